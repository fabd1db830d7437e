"""Rows of lists: what they show, and what a page costs."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.cards import MAX_BYTES
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import World

LONG = "上海市浦东新区世纪大道一百号环球金融中心七十九楼"


def field(key: str, kind: str = "text", **members: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key, "zh": key}, "type": kind} | members


def row(world: World, user: str = "mona", query: str = "") -> dict[str, Any]:
    """Return the only row of a list."""
    (only,) = world.user(user).get(f"/customers?{query}").json["items"]
    return dict(only)


def test_a_row_has_only_fields_of_lists_and_filters_and_the_detail_has_all(world: World) -> None:
    mona = world.pool()
    fields = {"phone": "13812345678", "city": "Shanghai", "wechat": "zhang", "remark": "call on Monday"}
    mona.create("c1", name="Acme", fields=fields)

    listed, detail, by_id = row(world), mona.customer("c1"), row(world, query="ids=c1")

    assert detail["fields"] == fields and by_id == detail and detail["partial"] is False
    assert listed == detail | {"partial": True, "fields": {"phone": "13812345678", "city": "Shanghai"}}


LISTS = ("", "state=available", "state=claimed", "state=private", "state=set_aside", "state=suppressed", "holder=alice",
         "state=win_requested", "sort=name", "q=customer", "name=cust", "holder=alice&sort=name",
         "state=private&holder=alice")  # fmt: skip


def test_a_row_of_every_list_has_the_facts_of_the_detail(world: World) -> None:
    clocks: dict[str, Any] = {"claim_ttl": "P7D", "private_ttl": "P30D", "members_may_extend": True, "pin_limit": 5}
    mona = world.pool(customers=9, win="approval", max_returns=1, extension="P1D", **clocks)
    world.alice.claim_batch(["c1", "c2", "c3", "c4", "c5", "c6"])
    world.clock.forward(5_000)
    world.alice.post("/customers/c2/extend")
    world.alice.post("/customers/c2/follow-up", {"note": "rang"})
    world.alice.post("/customers/c2/pin", {"until": "2026-06-04T00:00:00Z"})
    world.alice.post("/customers/c3/win", {"amount": "12.50"})
    mona.post("/customers/c4/win", {"amount": "9", "ends_at": "2026-09-01T00:00:00Z"})
    world.alice.release("c5"), world.alice.release("c6"), mona.post("/customers/c6/suppress", {})
    mona.patch("/customers/c7", {"priority": 3, "fields": {"city": "Shanghai", "level": "A"}})

    rows = [(query, each) for query in LISTS for each in mona.walk(f"/customers?{query}")]

    assert {query for query, _ in rows} == {*LISTS}
    for query, each in rows:
        assert each == mona.customer(each["id"]) | {"partial": True}, query


def test_a_longer_text_is_cut_in_the_row_and_complete_in_the_detail(world: World) -> None:
    mona = world.pool()
    mona.create("c1", fields={"city": LONG, "level": "A"})

    shown = row(world)["fields"]

    assert shown["city"].endswith("…") and LONG.startswith(shown["city"][:-1]) and len(shown["city"]) > 8
    assert shown["level"] == "A" and mona.customer("c1")["fields"]["city"] == LONG


def test_a_row_shows_values_as_their_type_has_them(world: World) -> None:
    mona = world.pool()
    fields = [field("size", "number", filter=True), field("vip", "bool", filter=True), field("from", "date", list=True),
              field("tags", "choices", filter=True, options=["a", "b", "比较长的一个选项"])]  # fmt: skip
    mona.patch("", {"fields": fields}, if_match='"1"')
    world.clock.forward(11_000)
    given = {"size": 12.5, "vip": True, "from": "2026-06-01", "tags": ["b", "比较长的一个选项"]}
    mona.create("c1", fields=given)
    mona.create("c2", fields={"size": "40", "vip": "no", "tags": "a"})

    first, second = sorted(mona.walk("/customers?state=available"), key=lambda each: str(each["id"]))

    assert first["fields"] == given
    assert second["fields"] == {"size": 40, "vip": False, "tags": ["a"]}


@pytest.mark.parametrize(
    "text",
    [
        "请打电话给采购部的王经理13812345678，周一到周五",
        "call the buyer +86 138 1234 5678 on Monday morning",
        "上海国际采购中心 zhang.san@example.com 请先发邮件",
        "zhang.san.of.the.long.name@department.example.com",
    ],
)
def test_no_row_shows_a_part_of_a_masked_contact(world: World, text: str) -> None:
    mona = world.pool(masked_fields=["phone", "email"])
    for start in range(20):
        mona.create(f"c{start}", fields={"city": "x" * start + text})

    shown = [each["fields"]["city"] for each in world.alice.walk("/customers?state=available")]

    assert len(shown) == 20 and all("…" in each or "****" in each for each in shown)
    assert not [each for each in shown if "81234567" in each.replace(" ", "") or "zhang" in each]


def test_the_values_of_a_row_are_short_whatever_the_fields_contain(world: World) -> None:
    mona = world.pool()
    mona.create("c1", fields=dict.fromkeys(("phone", "contact", "city", "industry", "source", "level"), LONG * 3))

    shown = row(world)["fields"]

    assert len(shown) == 6 and sum(len(each.encode()) for each in shown.values()) <= MAX_BYTES


# Costs


@pytest.fixture(scope="module")
def large() -> tuple[Metered, World]:
    """Return a pool of 3,000 customers with cards of 250 bytes, some of them claimed or private."""
    engine = Metered()
    world = World(memory_table(engine))
    mona = world.pool(customers=2, claim_ttl="P7D")
    fields = [field(f"field{n}", list=True, filter=True) for n in range(8)]
    mona.patch("", {"fields": fields}, if_match='"1"')
    world.clock.forward(11_000)
    given = {f"field{n}": f"{n}" * 25 for n in range(8)}
    mona.patch("/customers/c1", {"name": "Shanghai Longhua Precision Co., Ltd.", "fields": given})
    key, other = keys.customer_key("main", "p", "c1"), keys.fields_key("main", "p", "c1")
    customer, written = engine.items[key], engine.items[other]
    for number in range(3_000):
        pk = {"pk": {"S": f"{key.pk}{number:06d}"}}
        engine.items[keys.Key(pk["pk"]["S"], "-")] = customer | pk
        engine.items[keys.Key(pk["pk"]["S"], "F")] = written | pk
    assert items.size(customer["card"]["M"]) <= 250
    ids = [each["id"] for page in range(1) for each in mona.get("/customers?state=available&limit=60").json["items"]]
    world.alice.claim_batch(ids)
    for each in ids[:25]:
        mona.post(f"/customers/{each}/win", {})
    return engine, world


@pytest.mark.parametrize(
    ("query", "requests", "units"),
    [
        ("state=available", 2, 4), ("state=claimed", 2, 4), ("state=private", 2, 4), ("holder=alice", 2, 4),
        ("holder=me", 2, 4), ("state=claimed&holder=me", 2, 4), ("state=win_requested", 2, 4), ("", 3, 12),
    ],
)  # fmt: skip
@pytest.mark.parametrize("user", ["mona", "alice"])
def test_a_page_of_twenty_takes_few_requests_and_units(
    large: tuple[Metered, World], user: str, query: str, requests: int, units: float
) -> None:
    engine, world = large
    caller = world.user(user)
    caller.get("/customers?limit=1")  # reads the pool
    caller.get(f"/customers?{query}")  # reads the names of users
    engine.reset()

    page = caller.get(f"/customers?limit=20&{query}")

    assert page.status == 200 and (len(page.json["items"]) == 20 or "me" in query or "win" in query)
    assert sum(engine.requests.values()) <= requests and engine.read_units <= units, (
        engine.requests,
        engine.read_units,
    )


@pytest.mark.parametrize("user", ["mona", "alice"])
def test_to_read_twenty_shown_rows_again_takes_half_a_unit_for_each(large: tuple[Metered, World], user: str) -> None:
    engine, world = large
    caller = world.user(user)
    ids = [each["id"] for each in caller.get("/customers?state=available&limit=20").json["items"]]
    engine.reset()

    page = caller.get(f"/customers?ids={','.join(ids)}&partial=true")

    assert [each["id"] for each in page.json["items"]] == ids
    assert (engine.requests, engine.read_units) == ({"BatchGetItem": 2}, 11)
