"""Computed values of the domain objects: no DynamoDB, no rule."""

from __future__ import annotations

from itertools import count
from typing import Any

from msgspec.structs import fields, replace

from chalicelib.dynamodb.items import attribute_changes, customer_changes, customer_item, customer_record
from chalicelib.model.model import POOL_RELOAD_MS, Customer, Event, Member
from tests.support.transition_samples import AVAILABLE, CLAIMED, POOL, PRIVATE
from tests.support.world import START

EVENT = Event(2, "claimed", START, "alice")


def test_a_new_shard_count_applies_to_writes_once_every_process_knows_it() -> None:
    spread = replace(POOL, shards=4, spread_from=1, spread_at=START)

    written = [spread.shards_written(START + ms) for ms in (0, POOL_RELOAD_MS - 1, POOL_RELOAD_MS)]

    assert written == [1, 1, 4]
    assert replace(POOL, shards=4).shards_written(START) == 4, "it always was"


def test_a_members_claims_count_on_their_day_or_with_clock_skew_on_the_day_before() -> None:
    alice = Member("main", "p", "alice", "member", did={"claimed": 2})

    claimed = [replace(alice, day=day).claimed_on("2026-06-01") for day in ("2026-05-31", "2026-06-01", "2026-06-02")]

    assert claimed == [0, 2, 2]
    assert replace(alice, day="2026-06-01", did={}).claimed_on("2026-06-01") == 0


OTHER_ITEM: dict[str, Any] = {"former_keys": (), "unique_keys": (), "unknown_of_fields": {}}


def test_every_attribute_of_a_customer_is_stored_and_read_back() -> None:
    numbers = count(2)
    of_type: dict[Any, Any] = {
        str: "a",
        str | None: "b",
        dict[str, int]: {"p": 7},
        tuple[Event, ...]: (EVENT,),
        dict[str, Any]: {"later": {"BOOL": True}},
    }
    given: dict[str, Any] = {each.name: of_type.get(each.type) or next(numbers) for each in fields(Customer)}
    customer = Customer(**given | {"state": "claimed", "fields": {}, "contact_keys": ()} | OTHER_ITEM)

    read = customer_record(customer.tenant, customer.pool, customer_item(customer))

    assert read == customer
    elsewhere = ("fields", "contact_keys", *OTHER_ITEM)
    assert [
        each.name for each in fields(Customer) if each.name not in elsewhere and given[each.name] == each.default
    ] == []


def test_the_changes_of_a_customer_are_those_between_its_items() -> None:
    claimed = replace(CLAIMED, reminded={"PT1H": START}, shards=4, tail=(EVENT,), unknown={"later": {"BOOL": True}})
    states = (AVAILABLE, CLAIMED, claimed, PRIVATE, replace(AVAILABLE, set_aside_at=START, name="\u3164"))

    pairs = [(before, after) for before in states for after in states]

    for before, after in pairs:
        changed, removed = customer_changes(before, replace(after, unknown=before.unknown))
        written = attribute_changes(customer_item(before), customer_item(replace(after, unknown=before.unknown)))
        assert (changed, set(removed)) == (written[0], set(written[1]))
