"""Two versions of the service on one table: attributes, rules and event elements of a later one survive (I11)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item, decode_events, deserialize, event_page_record as _events
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import SetAttributes
from tests.support.world import DAY, HOUR, World, unique_key_of

CUSTOMER, POOL = keys.customer_key("main", "p", "c1"), keys.pool_key("main", "p")
FIELDS = keys.fields_key("main", "p", "c1")
LATER: Item = {"score": {"N": "1.5"}, "tags": {"L": [{"S": "vip"}]}, "archived": {"BOOL": False}}


def stored(world: World, key: Key) -> Item:
    return world.table.get([key])[key]


def written_by_a_later_version(world: World, key: Key, changed: Item) -> None:
    """Add the attributes as another process does, and start a process that has read nothing yet."""
    world.table.write([SetAttributes(key, changed)])
    world.service = world.another_process()


def later(world: World, key: Key) -> Item:
    return {name: content for name, content in stored(world, key).items() if name in LATER}


def test_no_transition_of_a_customer_loses_an_attribute_that_it_does_not_know(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    written_by_a_later_version(world, CUSTOMER, LATER)

    answers = [world.alice.claim("c1"), world.alice.release("c1"), world.alice.claim("c1")]
    answers.append(
        world.mona.request("PATCH", "/v1/pools/p/customers/c1", {"name": "Acme", "fields": {"city": "上海"}})
    )
    world.clock.forward(HOUR)
    swept = world.sweep()

    assert [answer.status for answer in answers] == [200] * 4
    assert swept.returned == 1
    assert later(world, CUSTOMER) == LATER
    assert "score" not in world.mona.customer("c1")


def test_a_customer_takes_unknown_attributes_along_into_another_pool(world: World) -> None:
    for pool in ("p", "q"):
        world.pool(pool)
        world.root.request("PUT", f"/v1/pools/{pool}/members/alice", {"role": "manager"})
    world.mona.create("c1", fields={"city": "上海"})
    for key in (CUSTOMER, FIELDS):
        written_by_a_later_version(world, key, LATER)

    world.alice.claim("c1")
    world.alice.post("/customers/c1/win")
    moved = world.alice.post("/customers/c1/deposit", {"pool": "q"})
    written = world.user("alice", pool="q").patch("/customers/c1", {"fields": {"city": "北京"}})

    assert (moved.status, written.status) == (200, 200)
    for key in (keys.customer_key("main", "q", "c1"), keys.fields_key("main", "q", "c1")):
        assert later(world, key) == LATER
    assert world.user("alice", pool="q").customer("c1")["fields"] == {"city": "北京"}


def test_a_move_keeps_unknown_attributes_of_fields_that_this_process_has_not_read_again(world: World) -> None:
    for pool in ("p", "q"):
        world.pool(pool)
        world.root.request("PUT", f"/v1/pools/{pool}/members/alice", {"role": "manager"})
    world.mona.create("c1", fields={"city": "上海"})
    written_by_a_later_version(world, FIELDS, LATER)
    world.alice.customer("c1")
    with world.process():
        world.alice.claim("c1")
        world.alice.post("/customers/c1/win")

    moved = world.alice.post("/customers/c1/deposit", {"pool": "q"})

    assert moved.status == 200
    assert later(world, keys.fields_key("main", "q", "c1")) == LATER


def test_an_unknown_attribute_of_a_unique_key_survives_its_return_to_an_earlier_owner(world: World) -> None:
    mona = world.pool()
    for customer in ("c1", "c2"):
        mona.create(customer, fields={"phone": "13812345678"} if customer == "c1" else {})
    rows = [{"id": "c2", "name": "B", "fields": {"phone": "13812345678"}}]
    imported = mona.post("/import", {"rows": rows, "on_duplicate": "update"}).json["import_id"]
    key = unique_key_of("phone", "+8613812345678")
    written_by_a_later_version(world, key, LATER)

    undone = world.mona.post(f"/imports/{imported}/undo")

    assert undone.results == ["ok"]
    assert later(world, key) == LATER and stored(world, key)["customer"] == {"S": "c1"}
    assert world.mona.customer_ids("phone=13812345678") == ["c1"]


def test_unknown_attributes_and_rules_of_a_pool_survive_every_change_of_it(world: World) -> None:
    world.pool(holding_limit=1)
    root = world.root
    policy = json.loads(stored(world, POOL)["policy"]["S"]) | {"lottery": {"draws": 3}}
    written_by_a_later_version(world, POOL, LATER | {"policy": {"S": json.dumps(policy)}})

    answers = [
        root.request("PATCH", "/v1/pools/p", {"policy": {"holding_limit": 2}}, if_match='"1"'),
        root.post("/pause"), root.post("/resume"), root.post("/close", {"mode": "drain"}),
    ]  # fmt: skip

    assert [answer.status for answer in answers] == [200] * 4
    assert later(world, POOL) == LATER
    assert json.loads(stored(world, POOL)["policy"]["S"]) == policy | {"holding_limit": 2}
    assert "lottery" not in root.get().json["policy"]


def test_unknown_elements_of_events_are_kept_inline_and_in_a_page(world: World) -> None:
    world.pool(customers=1)
    alice = world.alice
    alice.claim("c1")
    events: list[list[Any]] = json.loads(decode_events(deserialize(stored(world, CUSTOMER)["tail"])))
    last = events[-1] + [None] * (12 - len(events[-1])) + [[], "approved", ["phone", "name"], 7]
    written_by_a_later_version(world, CUSTOMER, {"tail": {"S": json.dumps([*events[:-1], last])}})

    alice.release("c1")
    inline: list[list[Any]] = json.loads(decode_events(deserialize(stored(world, CUSTOMER)["tail"])))
    for _ in range(8):
        alice.claim("c1")
        alice.release("c1", reason="no answer")
    paged = [event for page in world.table.query(CUSTOMER.pk).items if "events" in page for event in _events(page)]

    assert inline[1] == last
    assert alice.events("c1")[:3] == ["imported", "claimed", "released"]
    assert [event.unknown for event in paged if event.unknown] == ['["approved",["phone","name"],7]']


# Activities that only a later version counts

ALICE = keys.member_key("main", "p", "alice")


def counts_of_days(world: World) -> list[Item]:
    """Return the counts in the rows of days."""
    return [
        {name: count for name, count in row.items() if "N" in count and count != {"N": "0"}}
        for row in world.table.query(keys.days_of("main", "p")).items
        if row["sk"]["S"] != "-"
    ]


def active_on_this_day(world: World) -> None:
    """Let alice claim a customer, and let a later version count three visits of hers on the same day."""
    world.pool(customers=3)
    world.alice.claim("c1")
    did = stored(world, ALICE)["did"]["M"] | {"visited": {"N": "3"}}
    written_by_a_later_version(world, ALICE, {"did": {"M": did}})


@pytest.mark.parametrize("verb", ["claim", "claim in an atomic batch"])
def test_the_archive_of_a_day_has_the_activities_that_only_a_later_version_counts(world: World, verb: str) -> None:
    active_on_this_day(world)
    world.clock.forward(DAY)

    claimed = world.alice.claim("c2") if verb == "claim" else world.alice.claim_batch(["c2", "c3"], atomic=True)

    assert claimed.status == 200
    assert counts_of_days(world) == [{"claimed": {"N": "1"}, "visited": {"N": "3"}}]
    assert "visited" not in stored(world, ALICE)["did"]["M"]


def test_a_member_who_is_removed_and_added_again_keeps_the_activities_that_only_a_later_version_counts(
    world: World,
) -> None:
    active_on_this_day(world)
    world.alice.release("c1")

    removed = world.root.request("DELETE", "/v1/pools/p/members/alice")
    archived = counts_of_days(world)
    added = world.root.request("PUT", "/v1/pools/p/members/alice", {"role": "member"})

    assert (removed.status, added.status) == (200, 200)
    assert archived == [{"claimed": {"N": "1"}, "released": {"N": "1"}, "visited": {"N": "3"}}]
    assert stored(world, ALICE)["did"]["M"]["visited"] == {"N": "3"} and counts_of_days(world) == [{}]
