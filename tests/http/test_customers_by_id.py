"""`?ids=` returns customers in the order of the ids, in full and as they are now; null for all that one cannot read."""

from __future__ import annotations

import pytest

from tests.support.canaries import FIELDS, NAME
from tests.support.dynamodb_calls import counted
from tests.support.world import HOUR, User, World


def by_id(user: User, *ids: str) -> list[str | None]:
    """Return the id of each entry."""
    items = user.get(f"/customers?ids={','.join(ids)}").json["items"]
    return [None if each is None else each["id"] for each in items]


def test_customers_are_returned_in_the_order_of_the_ids_in_full_and_as_they_are_now(world: World) -> None:
    mona = world.pool(customers=30)
    mona.patch("/customers/c7", {"fields": {"remark": "x" * 900}})
    world.alice.claim("c3")

    page = world.bob.get("/customers?ids=c7,c3,c30,c7")

    assert page.json["items"] == [world.bob.customer(each) for each in ("c7", "c3", "c30", "c7")]
    assert page.json["next_cursor"] is None and "looked_at" not in page.json
    assert [each["holder"] for each in page.json["items"]] == [None, "alice", None, None]


def test_unknown_foreign_erased_and_hidden_customers_are_null_and_told_apart_by_nothing(world: World) -> None:
    mona = world.pool(customers=4)
    world.pool("q").create("of-q")
    world.pool("p", tenant="acme").create("of-acme")
    mona.post("/customers/c1/convert", {"to": "alice"})
    mona.post("/customers/c2/erase", {"reason": "requested"})
    ids = ("unknown", "of-q", "of-acme", "c2", "c1", "not an id", "", "p:c3", "x" * 65)

    with counted(world) as calls:
        page = world.bob.get(f"/customers?ids={','.join([*ids, 'c3'])}")

    assert page.json["items"] == [None] * len(ids) + [world.bob.customer("c3")]
    for each in ids[:5]:
        with counted(world) as alone:
            single = world.bob.get(f"/customers?ids={each}")
        assert (single.text, alone["BatchGetItem"]) == ('{"items":[null],"next_cursor":null}', 2), each
    assert calls["BatchGetItem"] == 2
    assert by_id(world.alice, "c1", "c2") == ["c1", None] == by_id(mona, "c1", "c2")


def test_a_private_customer_is_shown_once_anybody_may_claim_it(world: World) -> None:
    mona = world.pool(customers=1, private_ttl="PT1H")
    mona.post("/customers/c1/convert", {"to": "alice"})
    before = by_id(world.bob, "c1")
    world.clock.forward(HOUR)

    assert (before, by_id(world.bob, "c1")) == ([None], ["c1"])


def test_each_customer_is_masked_for_the_caller(world: World) -> None:
    mona = world.pool(masked_fields=["phone", "email", "name"])
    mona.create("c1", name=NAME, fields=FIELDS)
    mona.create("c2", name=NAME, fields=FIELDS, on_duplicate="allow")
    world.alice.claim("c1")

    masked = [each["masked"] for each in world.alice.get("/customers?ids=c1,c2").json["items"]]
    seen_by_bob = world.bob.get("/customers?ids=c1,c2").text

    assert masked == [False, True] and NAME not in seen_by_bob and FIELDS["phone"] not in seen_by_bob
    assert [each["masked"] for each in mona.get("/customers?ids=c1,c2").json["items"]] == [False, False]


def test_a_hundred_customers_are_three_reads_whatever_the_size_of_the_pool(world: World) -> None:
    world.pool(customers=120)

    with counted(world) as calls:
        ids = by_id(world.alice, *(f"c{number}" for number in range(1, 101)))

    assert ids == [f"c{number}" for number in range(1, 101)]
    assert calls == {"BatchGetItem": 3}


def test_rows_by_id_are_those_of_lists_and_null_for_all_that_one_cannot_read(world: World) -> None:
    mona = world.pool(customers=5, masked_fields=["phone"])
    mona.patch("/customers/c3", {"fields": {"phone": "13812345678", "city": "Shanghai", "remark": "x"}})
    mona.post("/customers/c1/convert", {"to": "alice"})
    mona.post("/customers/c2/erase", {"reason": "requested"})
    world.alice.claim("c4")
    listed = {each["id"]: each for each in world.bob.walk("/customers")}

    with counted(world) as calls:
        page = world.bob.get("/customers?ids=c4,unknown,c1,c3,c2,not%20an%20id,c5,c4&partial=true")

    assert page.json["items"] == [listed["c4"], None, None, listed["c3"], None, None, listed["c5"], listed["c4"]]
    assert page.json["items"][3]["fields"] == {"phone": "138****5678", "city": "Shanghai"}
    assert calls == {"BatchGetItem": 2}


@pytest.mark.parametrize(
    ("query", "status", "code", "detail"),
    [
        (f"ids={','.join(['c1'] * 101)}", 422, "batch_too_large", "too many ids"),
        ("ids=", 422, "invalid_request", "at least one"),
        ("ids=c1&ids=c2", 422, "invalid_request", "ids: is given more than once"),
        ("ids=c1&state=available", 422, "invalid_request", "ids: cannot be combined with state"),
        ("ids=c1&holder=me", 422, "invalid_request", "holder"),
        ("ids=c1&q=a&sort=name", 422, "invalid_request", "q, sort"),
        ("ids=c1&filter=city:a", 422, "invalid_request", "filter"),
        ("ids=c1&name=a", 422, "invalid_request", "name"),
        ("ids=c1&partial=true&name=a", 422, "invalid_request", "name"),
        ("ids=c1&phone=13800138000", 422, "invalid_request", "phone"),
        ("ids=c1&email=a%40example.com", 422, "invalid_request", "email"),
        ("ids=c1&cursor=abc", 400, "invalid_cursor", "cursor"),
    ],
)
def test_ids_are_not_combined_with_other_parameters_and_at_most_a_hundred(
    memory_world: World, query: str, status: int, code: str, detail: str
) -> None:
    memory_world.pool(customers=1)

    reply = memory_world.alice.get(f"/customers?{query}")

    assert (reply.status, reply.code) == (status, code) and detail in reply.json["detail"]


def test_only_members_read_customers_by_id(world: World) -> None:
    world.pool(customers=1)

    assert world.user("stranger").get("/customers?ids=c1").code == "not_a_member"
    assert world.user("stranger").get("/customers?ids=c1&partial=true").code == "not_a_member"
    assert world.user("mona", pool="nowhere").get("/customers?ids=c1").code == "not_found"
    assert by_id(world.root, "c1") == ["c1"]
