"""Search by any part of a name in a large pool, through the search rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from chalicelib.model.field_filters import searchable
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.services import row_search
from tests.support.audit import assert_sound
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.search_rows import index_customers
from tests.support.world import User, World

CUSTOMERS = 600
PLACES = ("北京", "上海", "深圳市", "广州", "Berlin ", "")
BRANDS = ("华为", "星辰", "海蓝", "金石", "Acme", "Ａｃｍｅ Works", "中科", "科技之星", "1380", "云")
KINDS = ("科技有限公司", "贸易公司", "集团", " Ltd", "", "实业")
CONTACTS = ("张三", "李四 13812345678", "Wang Wu", "li@example.com", "", "华为老张")
SEARCHES = ("科技", "华为", "acme", "acmew", "公司", "科技有限公司", "北京华为", "138", "1381234", "李四", "张三",
            "ltd", "ber", "云科技", "云", "example", "没有", "华为老")  # fmt: skip


def named(number: int, chance: random.Random) -> dict[str, Any]:
    name = chance.choice(PLACES) + chance.choice(BRANDS) + chance.choice(KINDS)
    if number % 97 == 0:
        name += f" 1390000{number:04d}"
    fields = {"phone": f"137{number:08d}", "contact": chance.choice(CONTACTS), "city": chance.choice(("北京", "上海"))}
    return {"id": f"c{number:04d}", "name": name, "fields": fields}


def filled(world: World, customers: int, **policy: Any) -> User:
    """Return the manager of a pool of generated customers. Some are claimed, some private, and bob has some of both."""
    mona, chance = world.pool(members="alice bob carl", claim_ttl="P7D", **policy), random.Random(7)
    rows = [named(number, chance) for number in range(customers)]
    for start in range(0, customers, 100):
        assert mona.post("/import", {"rows": rows[start : start + 100]}).json["summary"]["failed"] == 0
    ids = [row["id"] for row in rows]
    for user, first in (("alice", 0), ("bob", 7)):
        taken = ids[first::31][:40]
        assert world.user(user).claim_batch(taken).json["summary"]["ok"] == len(taken)
        assert world.user(user).post("/win", {"customer_ids": taken[::3]}).json["summary"]["failed"] == 0
    index_customers(world)
    return mona


def found(user: User, query: str, limit: int = 20) -> list[str]:
    """Return the ids on all pages; no page may be longer than the limit, and no customer stands twice."""
    pages = list(user.pages(f"/customers?{query}", limit))
    ids = [each["id"] for page in pages for each in page]
    assert len(ids) == len(set(ids)) and all(len(page) <= limit for page in pages)
    return ids


Views = tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]


def views(world: World, user: User) -> Views:
    """Return all customers as the user sees them, and as the manager does, by id."""
    return shown(user), {each["id"]: each for each in shown(world.mona)}


def found_by_name(user: User, seen: Views, query: str, limit: int = 20) -> list[str]:
    """Return the ids on all pages, which must be in the order of the names; those with equal names by id."""
    names = {name: truncate_name(fold_name(each["name"])) for name, each in seen[1].items()}
    ids = found(user, query, limit)
    assert [names[each] for each in ids] == sorted(names[each] for each in ids)
    return sorted(ids, key=lambda each: (names[each], each))


def expected(seen: Views, text: str, state: str | None = None) -> list[str]:
    """Return, by name, the ids of the customers in which the user sees the text, by what a list by id shows them."""
    theirs, all_of_it = seen
    everything_seen = {name: each for name, each in all_of_it.items() if state in (None, each["state"])}
    hits = []
    for each in theirs:
        whole = everything_seen.get(each["id"])
        if whole is None or each["name"] != whole["name"]:
            continue
        contact = each["fields"].get("contact") or ""
        texts = [each["name"], *([contact] if contact == whole["fields"].get("contact") else [])]
        if any(searchable(text) in searchable(part) for part in texts):
            hits.append((truncate_name(fold_name(each["name"])), each["id"]))
    return [customer for _, customer in sorted(hits)]


def shown(user: User) -> list[dict[str, Any]]:
    """Return all customers of the pool as the user sees them."""
    ids = [f"c{number:04d}" for number in range(CUSTOMERS)]
    batches = (",".join(ids[start : start + 100]) for start in range(0, CUSTOMERS, 100))
    return [each for batch in batches for each in user.get(f"/customers?ids={batch}").json["items"] if each]


def engine_of(world: World) -> Metered:
    engine = world.table.connection
    assert isinstance(engine, Metered)
    return engine


def large(**policy: Any) -> Iterator[World]:
    world = World(memory_table(Metered()))
    filled(world, CUSTOMERS, **policy)
    yield world
    assert_sound(world.table)


@pytest.fixture(scope="module")
def plain() -> Iterator[World]:
    """A large pool in which members see everything but the private customers of others."""
    yield from large()


@pytest.fixture(scope="module")
def masking() -> Iterator[World]:
    """A large pool that masks phone numbers and e-mail addresses, also inside names and contacts."""
    yield from large(masked_fields=["phone", "email"])


@pytest.fixture(scope="module")
def opened() -> Iterator[World]:
    """A large pool whose private customers everybody sees, and that masks the contact."""
    yield from large(masked_fields=["contact"], private_visible_to="pool")


@pytest.fixture(params=["plain", "masking", "opened"])
def pool(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue(request.param)
    return world


# What is found


@pytest.mark.parametrize("name", ["mona", "alice", "bob"])
def test_a_search_of_a_large_pool_finds_what_the_caller_sees_by_name(pool: World, name: str) -> None:
    user = pool.user(name)
    seen = views(pool, user)

    for text in SEARCHES:
        assert found_by_name(user, seen, f"q={quote(text)}", 50) == expected(seen, text), text


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_search_finds_the_same_on_pages_of_any_size(masking: World, limit: int) -> None:
    seen = views(masking, masking.bob)

    for text in ("中科贸", "acmew"):
        assert found_by_name(masking.bob, seen, f"q={quote(text)}", limit) == expected(seen, text)


def test_a_search_is_combined_with_a_state_and_a_filter(plain: World) -> None:
    seen = views(plain, plain.bob)
    here = {each["id"] for each in seen[0] if each["fields"]["city"] == "北京"}

    for text in ("华为", "acme"):
        for state in ("available", "claimed"):
            assert found_by_name(plain.bob, seen, f"q={quote(text)}&state={state}") == expected(seen, text, state)
        in_city = [each for each in expected(seen, text) if each in here]
        assert found_by_name(plain.bob, seen, f"q={quote(text)}&filter=city:{quote('北京')}") == in_city


# What it costs


@pytest.mark.parametrize("state", ["", "&state=available"])
@pytest.mark.parametrize("name", ["mona", "alice"])
def test_a_page_of_a_search_takes_six_requests_and_thirty_units_at_most(plain: World, name: str, state: str) -> None:
    engine = engine_of(plain)
    plain.user(name).get("/customers?q=xx")  # reads the pool and its totals, which the process keeps
    for text in SEARCHES:
        if len(text) > 1:
            engine.reset()
            plain.user(name).get(f"/customers?q={quote(text)}{state}")
            assert engine.requests.total() <= 6 and engine.read_units <= 30, (text, engine.requests, engine.read_units)


def pool_of_equal_names(name: str) -> World:
    """Return a large pool in which all customers have that name. Alice has two hundred of them as private ones."""
    world = World(memory_table(Metered()))
    mona = world.pool(members="alice bob")
    for start in range(0, CUSTOMERS, 100):
        rows = [{"id": f"c{number:04d}", "name": name} for number in range(start, start + 100)]
        assert mona.post("/import", {"rows": rows}).json["summary"]["failed"] == 0
    for start in (0, 100):
        ids = [f"c{number:04d}" for number in range(start, start + 100)]
        assert world.alice.claim_batch(ids).json["summary"]["failed"] == 0
        assert mona.post("/win", {"customer_ids": ids}).json["summary"]["failed"] == 0
    index_customers(world)
    return world


@pytest.mark.parametrize("limit", [7, 100])
def test_a_search_finds_all_customers_of_one_name(limit: int) -> None:
    world = pool_of_equal_names("Acme Trading")
    everything = {f"c{number:04d}" for number in range(CUSTOMERS)}
    private = {f"c{number:04d}" for number in range(200)}

    by_user = {name: set(found(world.user(name), "q=acme", limit)) for name in ("mona", "alice", "bob")}

    assert by_user == {"mona": everything, "alice": everything, "bob": everything - private}


@pytest.mark.parametrize("name", ["mona", "alice", "bob"])
def test_equal_names_and_many_private_customers_make_no_page_of_a_search_dear(name: str) -> None:
    world = pool_of_equal_names("Acme Trading")
    user, engine = world.user(name), engine_of(world)
    cursor = user.get("/customers?q=trading").json["next_cursor"]
    for query in ("q=me", "q=acme", "q=ac&state=available", "q=nothing", f"q=trading&cursor={cursor}"):
        engine.reset()

        reply = user.get(f"/customers?{query}")

        assert reply.status == 200 and len(reply.ids) == (0 if query == "q=nothing" else 20)
        assert engine.requests.total() <= 6 and engine.read_units <= 30, (query, engine.requests, engine.read_units)


# What must not be revealed


def observed(world: World, text: str) -> tuple[Any, ...]:
    """Return all that a member who holds nothing can observe of a search: the answer, and what it takes."""
    engine_of(world).reset()
    reply = world.user("carl").get(f"/customers?q={quote(text)}")
    return reply.status, reply.text, sorted(engine_of(world).requests.items()), engine_of(world).read_units


def test_a_search_reveals_no_hidden_value_not_even_by_what_it_looks_at(masking: World) -> None:
    masking.user("carl").get("/customers?q=xx")
    absent, hidden = ("0909", "9909"), ("1234", "5678", "李四1")  # of the number in many contacts

    assert not any(found(masking.mona, f"q={text}", 100) for text in absent)
    assert all(found(masking.mona, f"q={quote(text)}", 100) for text in hidden)
    assert all(observed(masking, text) == observed(masking, absent[0]) for text in (*absent, *hidden))


def test_the_private_customers_of_others_change_nothing_that_a_member_observes() -> None:
    world = World(memory_table(Metered()))
    mona = world.pool(members="alice bob carl")
    world.fill(row_search.SMALL + 1)
    mona.create("secret", name="Zhonghua Secret", private_of="alice")
    index_customers(world)

    assert found(world.alice, "q=secret") == found(mona, "q=secret") == ["secret"]
    world.user("carl").get("/customers?q=xx")
    assert observed(world, "secret") == observed(world, "nobody")
