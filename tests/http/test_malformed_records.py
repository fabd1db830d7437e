"""One malformed customer or member: it counts as failed, and everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put
from tests.support.audit import assert_sound
from tests.support.canaries import Ear
from tests.support.memory import Memory, memory_table
from tests.support.world import HOUR, World

C1 = keys.customer_key("main", "p", "c1")
NOT_TEXT: list[dict[str, Any]] = [{"L": []}, {"NULL": True}, {"BOOL": True}, {"N": "5"}, {"M": {}}, {"B": b"x"}]
CUSTOMERS: dict[str, dict[str, Any]] = {
    **{f"events of type {next(iter(wrong))}": {"tail": wrong} for wrong in NOT_TEXT},
    "events nested too deeply": {"tail": {"S": "[" * 100_000}},
    "no events": {"tail": None},
    "a deadline with a fraction": {"due_at": {"N": "1.5"}},
    "text for a number": {"extensions": {"S": "many"}},
}
MEMBERS: dict[str, dict[str, Any]] = {
    "a number for the day": {"day": {"N": "5"}},
    "no day": {"day": None},
    "text for the counts of the day": {"did": {"S": "many"}},
    "text for the number of claims": {"held": {"S": "many"}},
    "text for the room": {"room": {"S": "many"}},
}


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world in memory: it compares text with a number as DynamoDB does."""
    made = World(memory_table(Memory()))
    yield made
    assert_sound(made.table, statistics=not made.forged)


def two_pools_with_due_claims(world: World, **policy: Any) -> None:
    """Create the pools p and q. In each, alice and bob hold two customers past their deadlines."""
    for pool in ("p", "q"):
        world.pool(pool, claim_ttl="PT1H", customers=6, **policy)
        world.user("alice", pool=pool).claim_batch(["c1", "c2"])
        world.user("bob", pool=pool).claim_batch(["c3", "c4"])
    world.clock.forward(2 * HOUR)


def spoil(world: World, key: Key, changes: dict[str, Any]) -> Item:
    """Change attributes of a stored item; None removes one. Return the item as it was."""
    sound = world.table.get([key])[key]
    changed = {name: content for name, content in (sound | changes).items() if content is not None}
    world.table.write([Put(key, changed)])
    world.service = world.another_process()
    return sound


@pytest.mark.parametrize("what", CUSTOMERS)
def test_a_sweep_counts_a_malformed_customer_as_failed_and_returns_all_others(
    world: World, ear: Ear, what: str
) -> None:
    two_pools_with_due_claims(world)
    sound = spoil(world, C1, CUSTOMERS[what])

    report = world.sweep()

    assert (report.due, report.returned, report.failed, report.remaining) == (8, 7, 1, 0)
    assert [text for text in ear.heard if "malformed record in pool p: " in text]
    world.table.write([Put(C1, sound)])
    assert world.sweep().returned == 1


@pytest.mark.parametrize("what", CUSTOMERS)
def test_the_audit_reports_a_malformed_customer_and_continues(world: World, what: str) -> None:
    two_pools_with_due_claims(world)
    sound = spoil(world, C1, CUSTOMERS[what])

    report = world.root.request("POST", "/v1/audit", {}).json

    assert ("malformed", "c1") in [(each["kind"], each["id"]) for each in report["drift"]]
    assert (report["customers"], report["complete"]) == (12, True)
    world.table.write([Put(C1, sound)])


@pytest.mark.parametrize("what", MEMBERS)
def test_a_sweep_counts_the_claims_of_a_malformed_member_as_failed_and_returns_all_others(
    world: World, what: str
) -> None:
    two_pools_with_due_claims(world)
    key = keys.member_key("main", "p", "alice")
    sound = spoil(world, key, MEMBERS[what])

    report = world.sweep()

    assert (report.due, report.returned, report.failed, report.throttled) == (8, 6, 2, False)
    world.table.write([Put(key, sound)])
    assert world.sweep().returned == 2


@pytest.mark.parametrize("wrong", [{"role": {"S": "boss"}}, {"version": {"S": "one"}}, {"pooled": {"S": "many"}}])
def test_a_malformed_manager_does_not_trip_the_breaker(world: World, wrong: dict[str, Any]) -> None:
    two_pools_with_due_claims(world, sweep_breaker=0.9)
    key = keys.member_key("main", "p", "mona")
    sound = spoil(world, key, wrong)

    report = world.sweep()

    assert (report.returned, report.failed, report.unconfirmed) == (8, 1, [])
    world.table.write([Put(key, sound)])


def test_the_breaker_trips_although_a_counter_is_malformed(world: World) -> None:
    two_pools_with_due_claims(world, sweep_breaker=0.6)
    key = keys.member_key("main", "p", "mona")
    sound = spoil(world, key, {"pooled": {"S": "many"}})

    report = world.sweep()

    assert (report.returned, report.unconfirmed) == (0, ["p", "q"])
    world.table.write([Put(key, sound)])


def test_the_audit_continues_after_a_pool_whose_own_counter_is_malformed(world: World) -> None:
    two_pools_with_due_claims(world)
    key = keys.leavers_key("main", "p")
    wrong: Item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "pooled": {"N": "1.5"}, "aside": {"N": "0"}}
    world.table.write([Put(key, wrong)])

    report = world.root.request("POST", "/v1/audit", {"repair": True}).json

    assert report["customers"] == 12
    world.table.write([Put(key, {**wrong, "pooled": {"N": "0"}})])
