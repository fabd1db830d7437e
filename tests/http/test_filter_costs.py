"""What a page of a filtered list costs in a large pool, and that it continues where it stopped."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.cards import card_of
from chalicelib.dynamodb.pool_items import pool_record
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import User, World

SHARES = {"tenth": 10, "hundredth": 100, "thousandth": 1_000}
TYPES = {"size": "number", "city": "text", "source": "text"} | dict.fromkeys(SHARES, "bool")


@lru_cache(maxsize=1)
def large_pool(customers: int) -> tuple[Metered, User]:
    """Return a pool in which `size` is the number of a customer; `tenth` is true for one of ten, and so on."""
    engine = Metered()
    world = World(memory_table(engine))
    fields = [
        {"key": key, "label": {"en": key, "zh": key}, "type": kind, "filter": True} for key, kind in TYPES.items()
    ]
    mona = world.pool(customers=1, fields=fields)
    mona.patch("/customers/c1", {"name": "上海龙华精密机械有限公司", "fields": {"city": "上海市", "source": "官网"}})
    pool = pool_record("main", engine.items[keys.pool_key("main", "p")])
    key = keys.customer_key("main", "p", "c1")
    customer = engine.items.pop(key)
    for number in range(customers):
        shares = {name: number % every == every - 1 for name, every in SHARES.items()}
        given: dict[str, Any] = {"size": number, "city": "上海市", "source": "官网"} | shares
        pk = {"pk": {"S": f"{key.pk}{number:06d}"}}
        engine.items[keys.Key(pk["pk"]["S"], "-")] = customer | pk | {"card": {"M": card_of(given, pool)}}
    return engine, mona


def full_page(engine: Metered, user: User, query: str) -> tuple[int, int, float]:
    """Return the HTTP requests, queries and read units until twenty customers are found."""
    user.get("/customers?limit=1&state=available")  # reads the pool
    engine.reset()
    found: list[str] = []
    cursor, requests = "", 0
    while len(found) < 20:
        page = user.get(f"/customers?limit=20&{query}{cursor}").json
        found += [each["id"] for each in page["items"]]
        cursor, requests = f"&cursor={page['next_cursor']}", requests + 1
        assert len(page["items"]) == 20 or page["looked_at"] > 0
    return requests, engine.requests["Query"], engine.read_units


@pytest.mark.parametrize("customers", [30_000, pytest.param(100_000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("state", ["state=available", "sort=-entered_pool_at"])
def test_a_full_page_of_a_filter_takes_few_queries_and_units(customers: int, state: str) -> None:
    engine, mona = large_pool(customers)

    costs = {name: full_page(engine, mona, f"{state}&filter={name}:true") for name in SHARES}

    bounds = {"tenth": (1, 3, 20), "hundredth": (1, 4, 120), "thousandth": (3, 14, 2_000)}
    for name, (requests, queries, units) in costs.items():
        most = bounds[name]
        assert requests <= most[0] and queries <= most[1] and units <= most[2], (name, requests, queries, units)


def test_a_page_that_looked_at_its_share_is_short_and_its_cursor_continues() -> None:
    engine, mona = large_pool(30_000)
    engine.reset()

    first = mona.get("/customers?state=available&filter=size:29000..29001&limit=100").json
    found = mona.walk("/customers?state=available&filter=size:29000..29001")

    assert first["items"] == [] and 5_000 < first["looked_at"] < 17_600 and first["next_cursor"] is not None
    assert [each["fields"]["size"] for each in found] == [29_000, 29_001]


def test_a_filtered_list_is_complete_whatever_the_size_of_its_pages() -> None:
    _, mona = large_pool(30_000)

    pages = {limit: [each["fields"]["size"] for page in mona.pages("/customers?state=available&filter=hundredth:true",
                     limit) for each in page] for limit in (17, 100)}  # fmt: skip

    assert pages[17] == pages[100] == list(range(99, 30_000, 100))
