"""Lists filtered by fields, searched by any part of a name, and in other orders."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dynamodb_calls import counted
from tests.support.memory import Memory, memory_table
from tests.support.world import DAY, HOUR, User, World

CITIES = ("Beijing", "Shanghai", "Xi'an")


def listed(user: User, query: str, limit: int = 100) -> list[str]:
    """Return the ids of all pages of a list."""
    return [each["id"] for page in user.pages(f"/customers?{query}", limit) for each in page]


def field(key: str, kind: str = "text", **members: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key, "zh": key}, "type": kind} | members


def filled(world: World, count: int = 12, **policy: Any) -> User:
    """Create a pool with customers in three cities, of growing size; the names count down."""
    fields = [field("city", filter=True, list=True), field("size", "number", filter=True),
              field("mobile", "phone", search=True)]  # fmt: skip
    mona = world.pool(fields=fields, **policy)
    world.clock.forward(11_000)
    rows = [
        {"id": f"c{n:03d}", "name": f"Name {count - n:03d} 科技",
         "fields": {"city": CITIES[n % 3], "size": n, "mobile": f"138{n:08d}"}}
        for n in range(count)
    ]  # fmt: skip
    for start in range(0, count, 100):
        assert mona.post("/import", {"rows": rows[start : start + 100]}).json["summary"]["failed"] == 0
        world.clock.forward(1)
    return mona


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_filter_is_combined_with_states_and_other_filters(world: World, limit: int) -> None:
    mona = filled(world)
    world.alice.claim("c001"), world.alice.claim("c004"), world.bob.claim("c007")

    one, several = listed(mona, "filter=city:Beijing", limit), listed(mona, "filter=city:Beijing,Xi'an", limit)
    both = listed(mona, "filter=city:Shanghai&filter=size:4..", limit)
    available = listed(mona, "state=available&filter=city:Shanghai", limit)
    claimed = listed(mona, "state=claimed&filter=size:1..4", limit)
    own = listed(world.alice, "holder=me&filter=size:4", limit)

    assert sorted(one) == ["c000", "c003", "c006", "c009"] and len(several) == 8
    assert sorted(both) == ["c004", "c007", "c010"] and available == ["c010"]
    assert sorted(claimed) == ["c001", "c004"] and own == ["c004"]


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_a_search_finds_any_part_of_a_name_and_of_searched_fields(world: World, limit: int) -> None:
    mona = filled(world)
    world.alice.claim("c003")

    by_name, by_field = listed(mona, "q=00 1科", limit), listed(mona, "q=00000011", limit)
    everybody, claimed = listed(mona, "q=ＮＡＭＥ", limit), listed(world.alice, "q=name&state=claimed", limit)
    own = listed(world.alice, "q=技&holder=me", limit)

    assert by_name == ["c011"] and by_field == ["c011"]
    assert everybody == [f"c{n:03d}" for n in reversed(range(12))]
    assert claimed == ["c003"] == own


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_lists_are_sorted_in_the_orders_that_they_have(world: World, limit: int) -> None:
    mona = filled(world, 6, claim_ttl="P7D")
    for each in ("c002", "c000", "c004"):
        world.alice.claim(each)
        world.clock.forward(HOUR)
    world.alice.post("/customers/c000/follow-up", {"note": "called"})

    assert listed(mona, "state=available&sort=name", limit) == ["c005", "c003", "c001"]
    assert listed(mona, "state=available&sort=rank", limit) == ["c001", "c003", "c005"]
    assert listed(mona, "state=claimed&sort=expires_at", limit) == ["c002", "c000", "c004"]
    assert listed(mona, "state=claimed&sort=name", limit) == ["c004", "c002", "c000"]
    assert listed(mona, "sort=name", limit) == [f"c{n:03d}" for n in reversed(range(6))]
    assert listed(mona, "holder=alice&sort=name", limit) == ["c004", "c002", "c000"]
    assert listed(mona, "holder=alice&sort=expires_at", limit) == ["c002", "c000", "c004"]
    assert listed(mona, "holder=alice&sort=last_follow_up_at", limit) == ["c002", "c004", "c000"]


def test_a_holders_newest_customers_are_first(world: World) -> None:
    mona = filled(world, 2)
    world.clock.forward(DAY)
    mona.create("new")
    world.alice.claim("c000"), world.alice.claim("new"), world.alice.claim("c001")

    assert listed(world.alice, "holder=me&sort=-entered_pool_at") == ["new", "c000", "c001"]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_all_customers_are_listed_by_the_time_when_they_entered_the_pool_the_latest_first(
    world: World, limit: int
) -> None:
    mona = filled(world, 1, win="holder", claim_ttl="P1D")
    for each in ("c1", "c2", "c3"):
        mona.create(each, fields={"city": "Xi'an"})
        world.clock.forward(HOUR)
    world.alice.claim_batch(["c1", "c2"])
    world.alice.post("/customers/c1/win")
    world.alice.release("c2")
    before = listed(mona, "", limit)
    world.alice.post("/customers/c1/deposit")

    assert before == ["c3", "c2", "c1", "c000"]
    assert listed(mona, "", limit) == listed(mona, "sort=-entered_pool_at", limit) == ["c1", "c3", "c2", "c000"]
    assert listed(mona, "filter=city:Xi'an&sort=-entered_pool_at", limit) == ["c1", "c3", "c2"]


@pytest.mark.parametrize(
    ("query", "orders"),
    [
        ("", "-entered_pool_at, name"), ("state=available", "rank, name"), ("state=claimed", "expires_at, name"),
        ("state=private", "expires_at, name"), ("q=name", "name"), ("holder=me&q=name", "name"),
        ("holder=me", "expires_at, name, last_follow_up_at, -entered_pool_at"),
        ("holder=me&state=private", "expires_at, name, last_follow_up_at, -entered_pool_at"),
    ],
)  # fmt: skip
def test_every_list_has_its_orders_and_the_first_is_the_default(world: World, query: str, orders: str) -> None:
    mona = filled(world, 4, win="holder")
    mona.post("/customers/c003/convert", {"to": "alice"})
    world.alice.claim_batch(["c000", "c001"])

    refused = mona.get(f"/customers?{query}&sort=size".replace("?&", "?"))

    assert refused.json["errors"] == [f"sort: is not possible for this list: its orders are {orders}"]
    for user in (mona, world.alice):
        in_order = [listed(user, f"{query}&sort={each}".lstrip("&")) for each in orders.split(", ")]
        assert listed(user, query) == in_order[0] and all(sorted(each) == sorted(in_order[0]) for each in in_order)


def test_a_cursor_of_the_default_order_is_one_of_that_order_by_name(world: World) -> None:
    mona = filled(world, 4)
    cursor = mona.get("/customers?limit=3").json["next_cursor"]

    assert mona.get(f"/customers?sort=-entered_pool_at&cursor={cursor}").ids == listed(mona, "")[3:]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("filter=mobile:1", "city, size"), ("filter=city", "city, size"), ("filter=size:a..b", "a number"),
        ("state=available&sort=expires_at", "rank, name"), ("sort=size", "name"), ("q=name&sort=rank", "name"),
        ("q=" + "x" * 65, "64"), ("q=%20", "blank"), ("q=a&name=b", "only one"),
        ("&".join(["filter=city:a"] * 9), "8"),
    ],
)  # fmt: skip
def test_a_wish_that_a_list_does_not_have_is_refused(world: World, query: str, named: str) -> None:
    mona = filled(world, 1)

    refused = mona.get(f"/customers?{query}")

    assert (refused.status, refused.code) == (422, "invalid_request") and named in refused.json["detail"]
    assert world.user("stranger").get(f"/customers?{query}").status in (403, 422)


def test_nobody_filters_sorts_or_searches_by_what_they_do_not_see_in_full(world: World) -> None:
    mona = filled(world, 6, masked_fields=["name", "city", "phone"])
    world.alice.claim("c003")

    refused = [world.alice.get(f"/customers?{query}").code for query in ("filter=city:Beijing", "sort=name")]
    everybody, own = listed(world.alice, "q=name"), listed(world.alice, "q=bei")
    by_phone = listed(world.bob, "q=00000003")

    assert refused == ["not_manager"] * 2
    assert everybody == ["c003"] and own == []
    assert by_phone == [] and listed(mona, "q=00000003") == ["c003"]


def test_a_cursor_belongs_to_its_filters_search_and_order(world: World) -> None:
    mona = filled(world)
    cursor = mona.get("/customers?filter=city:Beijing&limit=1").json["next_cursor"]

    others = ("filter=city:Shanghai", "q=name", "sort=name", "", "filter=city:Beijing&state=available")

    assert mona.get(f"/customers?filter=city:Beijing&limit=100&cursor={cursor}").json["next_cursor"] is None
    assert {mona.get(f"/customers?{query}&cursor={cursor}").code for query in others} == {"invalid_cursor"}


# Claim-next


def taken(user: User, **body: Any) -> list[str]:
    return [each["id"] for each in user.post("/claim-next", body).json["items"]]


def test_claim_next_takes_the_best_customers_that_fit_the_filter(world: World) -> None:
    mona = filled(world)
    mona.patch("/customers/c010", {"priority": 5})

    best = taken(world.alice, count=2, filter={"city": ["Shanghai"]})
    rest = taken(world.alice, count=9, filter={"city": ["Shanghai", "Beijing"], "size": ["1", "4", "6"]})
    none = taken(world.alice, filter={"city": ["Chengdu"]})

    assert best == ["c010", "c001"] and rest == ["c004", "c006"] and none == []
    assert len(taken(world.bob, count=100)) == 8


def test_claim_next_finds_a_value_that_was_changed_in_another_process(world: World) -> None:
    mona = filled(world, 3)
    taken(world.alice, filter={"city": ["Chengdu"]})

    with world.process():
        assert mona.patch("/customers/c002", {"fields": {"city": "Chengdu"}}).status == 200

    assert taken(world.alice, filter={"city": ["Chengdu"]}) == ["c002"]
    assert mona.customer("c002")["holder"] == "alice"


def test_an_unlucky_claim_next_stops_and_continues_at_its_cursor() -> None:
    world = World(memory_table(Memory()))
    mona = filled(world, 1_200)
    mona.patch("/customers/c1199", {"fields": {"city": "Chengdu"}})

    first = world.alice.post("/claim-next", {"filter": {"city": ["Chengdu"]}}).json
    body = {"filter": {"city": ["Chengdu"]}, "cursor": first["next_cursor"]}
    second = world.alice.post("/claim-next", body).json

    assert first["items"] == [] and [each["id"] for each in second["items"]] == ["c1199"]
    assert "next_cursor" not in second
    assert world.alice.post("/claim-next", {"cursor": "x" * 30}).code == "invalid_cursor"


def test_claim_next_filters_by_nothing_that_the_caller_does_not_see(world: World) -> None:
    filled(world, 3, masked_fields=["city"])

    masked = world.alice.post("/claim-next", {"filter": {"city": ["Beijing"]}})
    unknown = world.alice.post("/claim-next", {"filter": {"mobile": ["1"]}})

    assert masked.code == "not_manager"
    assert (unknown.status, unknown.code) == (422, "invalid_request")


def test_a_filtered_page_reads_the_index_and_its_customers_and_no_more(world: World) -> None:
    mona = filled(world, 120)

    with counted(world) as first:
        mona.get("/customers?filter=city:Beijing&limit=10")
    with counted(world) as whole:
        mona.get("/customers?filter=city:Chengdu&limit=10")

    assert (first["Query"], first["BatchGetItem"]) == (1, 2)  # the caller's role, and ten customers
    assert (whole["Query"], whole["BatchGetItem"]) == (2, 1)


@pytest.mark.parametrize("limit", [1, 100])
def test_no_filter_search_or_order_shows_a_private_customer_of_another(world: World, limit: int) -> None:
    mona = filled(world, 4)
    world.alice.claim("c002")
    world.alice.post("/customers/c002/win")

    queries = ("filter=size:0..9", "q=name", "sort=name", "q=00000002", "state=private&filter=size:2",
               "holder=alice&sort=name", "name=name&filter=size:2")  # fmt: skip
    by_bob = {each for query in queries for each in listed(world.bob, query, limit)}
    by_alice, by_mona = ([len(listed(user, query, limit)) for query in queries] for user in (world.alice, mona))

    assert by_bob == {"c000", "c001", "c003"}
    assert by_alice == by_mona == [4, 4, 4, 1, 1, 1, 1]


# What the caller does not see in full


@pytest.mark.parametrize("query", ["", "&sort=name", "&filter=city:"])
def test_the_beginning_of_a_masked_name_is_not_found_among_a_holders_customers(world: World, query: str) -> None:
    mona = world.pool(masked_fields=["phone"])
    mona.create("c1", name="13812345678 Wang")
    world.bob.claim("c1")

    assert world.alice.customer_ids(f"holder=bob&name=13812345678{query}") == []
    assert world.bob.customer_ids(f"holder=bob&name=13812345678{query}") == ["c1"]


def test_a_holders_customers_are_not_sorted_by_a_masked_name(world: World) -> None:
    def order(number: str) -> list[str]:
        mona = world.pool(f"p{number}", masked_fields=["phone"])
        mona.create("a", name=f"138{number}5678")
        mona.create("b", name="13855550000 B")
        world.user("bob", pool=mona.pool).claim_batch(["a", "b"])
        return world.user("alice", pool=mona.pool).customer_ids("holder=bob&sort=name")

    assert order("1111") == order("9999")


# Values at the ends of what a field accepts


@pytest.mark.parametrize("day", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_a_date_at_the_end_of_the_calendar_does_not_break_a_filter(world: World, day: str) -> None:
    mona = world.pool(fields=[field("d", "date", filter=True)])
    mona.create("c1", fields={"d": day})
    mona.create("c2", fields={"d": "2026-06-01"})

    assert mona.customer_ids("filter=d:2026-06-01") == ["c2"]
    assert world.alice.post("/claim-next", {"filter": {"d": ["2026-06-01"]}}).ids == ["c2"]


def test_a_filter_by_another_word_than_yes_and_no_finds_only_what_is_stored(world: World) -> None:
    mona = world.pool(fields=[field("vip", "bool", filter=True)])
    mona.create("c1", fields={"vip": False})
    mona.create("c2", fields={"vip": "是"})

    found = [mona.customer_ids(f"filter=vip:{word}") for word in ("maybe", "no", "true")]

    assert found == [[], ["c1"], ["c2"]]


# Combinations


@pytest.mark.parametrize("wish", ["filter=city:", "sort=win_requested_at"])
def test_a_member_filters_and_sorts_their_own_win_requests(world: World, wish: str) -> None:
    world.pool(customers=2, win="approval")
    world.alice.claim_batch(["c1", "c2"])
    for customer in ("c2", "c1"):
        world.clock.forward(1)
        world.alice.post(f"/customers/{customer}/win", {})

    assert world.alice.customer_ids(f"state=win_requested&{wish}") == ["c2", "c1"]


def test_a_search_by_phone_obeys_filters_and_refuses_an_unknown_order(world: World) -> None:
    mona = world.pool()
    mona.create("c1", fields={"phone": "13800000001", "city": "A"})

    found = [mona.customer_ids(f"phone=13800000001&filter=city:{city}") for city in "AB"]

    assert found == [["c1"], []]
    assert mona.get("/customers?phone=13800000001&filter=nope:1").status == 422
    assert mona.get("/customers?phone=13800000001&sort=bogus").status == 422


def test_a_replay_of_claim_next_has_the_cursor_of_the_first_answer(memory_world: World) -> None:
    memory_world.pool()
    memory_world.fill(1_200)
    body = {"filter": {"city": ["nowhere"]}}

    first, again = (memory_world.alice.post("/claim-next", body, idempotency_key="k") for _ in range(2))

    assert first.json["next_cursor"] and again.text == first.text


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_holders_list_is_by_deadline_also_where_private_customers_expire(world: World, limit: int) -> None:
    world.pool(customers=5, claim_ttl="P20D", private_ttl="P5D", win="holder")
    for customer in ("c1", "c2", "c3", "c4", "c5"):
        world.alice.claim(customer)
        world.clock.forward(DAY)
    for customer in ("c2", "c4"):
        world.alice.post(f"/customers/{customer}/win", {})

    by_default = listed(world.alice, "holder=me", limit)

    assert by_default == ["c2", "c4", "c1", "c3", "c5"]
    assert by_default == listed(world.alice, "holder=me&sort=expires_at", limit)
