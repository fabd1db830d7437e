"""The schedule: which pools a round checks, and what moves the check of a pool (rule 18)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from chalicelib.domain.checks import LONGEST_MS, shortest_clock
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.keys import DUE, SCHEDULE_SHARDS
from chalicelib.dynamodb.operations import SetAttributes
from chalicelib.model.policy import Policy
from chalicelib.model.times import epoch_ms
from tests.support.audit import assert_sound
from tests.support.dynamodb_calls import Crash, counted
from tests.support.large_pools import cost_of_idle_pools, cost_of_round
from tests.support.memory import Memory, memory_table
from tests.support.world import DAY, HOUR, MINUTE, World


def check_of(world: World, pool: str = "p", tenant: str = "main") -> int | None:
    """Return when the pool is checked next. None if its check is missing."""
    stored = world.table.get([keys.pool_key(tenant, pool)])[keys.pool_key(tenant, pool)]
    return items.deserialize(stored["due_at"]) if DUE in stored else None


def lose_check(world: World, pool: str = "p") -> None:
    world.table.write([SetAttributes(keys.pool_key("main", pool), {"lost": items.serialize(1)}, (DUE, "due_at"))])


def settled(world: World) -> None:
    """Let the schedule run until it has stored the next check of every pool."""
    for _ in range(3):
        world.clock.forward(MINUTE)
        world.run_schedule()


def run_until(world: World, time: int) -> int:
    """Run the schedule each minute until that time. Return how many customers it returned."""
    returned = 0
    while world.clock.now < time:
        world.clock.forward(min(MINUTE, time - world.clock.now))
        returned += world.run_schedule().returned
    return returned


# When a pool is checked


def test_a_claim_returns_within_a_minute_of_its_deadline_though_no_claim_writes_the_check(world: World) -> None:
    world.pool(customers=2, claim_ttl="PT3H")
    settled(world)
    before = check_of(world)

    claimed = world.clock.now + 20 * MINUTE
    run_until(world, claimed)
    world.alice.claim("c1")
    after = check_of(world)
    early = run_until(world, claimed + 3 * HOUR - 1)
    late = run_until(world, claimed + 3 * HOUR + MINUTE - 1)

    assert before == after
    assert (early, late) == (0, 1)


def test_a_pool_is_checked_at_its_next_deadline(world: World) -> None:
    world.pool(customers=1, claim_ttl="PT3H")
    world.alice.claim("c1")
    deadline = world.clock.now + 3 * HOUR

    settled(world)

    assert check_of(world) is not None and deadline - 5 * MINUTE < (check_of(world) or 0) <= deadline


def test_a_pool_without_a_clock_is_checked_once_in_a_month(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    settled(world)

    assert (check_of(world) or 0) > world.clock.now - 3 * MINUTE + LONGEST_MS - 1
    assert world.run_schedule().checked == 0


def test_only_pools_whose_check_is_due_are_read(world: World) -> None:
    for name in ("p", "q", "r"):
        world.pool(name, customers=0, claim_ttl="P7D" if name != "q" else "PT2H")
    settled(world)

    world.clock.forward(2 * HOUR)
    report = world.run_schedule()

    assert report.checked == 1
    assert report.overdue_ms < 2 * HOUR


# What moves the check


def declined(world: World) -> None:
    world.mona.patch("", {"policy": {"win": "approval"}}, if_match=str(world.mona.get().json["version"]))
    world.clock.forward(10_000)
    assert world.alice.post("/customers/c1/win", {}).status == 200
    settled(world)
    assert world.mona.post("/customers/c1/win/decline", {"reason": "no"}).status == 200


def unpinned(world: World) -> None:
    until = "2026-06-30T00:00:00Z"
    assert world.mona.post("/customers/c1/pin", {"until": until}).status == 200
    world.clock.forward(4 * DAY)
    settled(world)
    assert world.mona.post("/customers/c1/unpin").status == 200


def shortened(world: World) -> None:
    version = str(world.mona.get().json["version"])
    changed = world.mona.patch("", {"policy": {"claim_ttl": "PT2H"}, "apply_to": "all"}, if_match=version)
    assert changed.json["affected"] == 1


def private_clock_set(world: World) -> None:
    world.mona.post("/customers/c1/convert", {})
    settled(world)
    version = str(world.mona.get().json["version"])
    changed = world.mona.patch("", {"policy": {"private_ttl": "PT2H"}, "apply_to": "all"}, if_match=version)
    assert changed.json["affected"] == 1


def resumed(world: World) -> None:
    for verb in ("pause", "resume"):
        assert world.root.post(f"/{verb}", {}).status == 200


@pytest.mark.parametrize("verb", [declined, unpinned, shortened, private_clock_set, resumed])
def test_a_verb_that_sets_a_deadline_sooner_moves_the_check(world: World, verb: Callable[[World], Any]) -> None:
    world.pool(customers=1, claim_ttl="P3D", max_pin="P60D")
    world.alice.claim("c1")
    settled(world)

    verb(world)
    moved = check_of(world)
    held = world.mona.get("/customers/c1").json
    settled(world)

    assert moved == world.clock.now - 3 * MINUTE
    assert (check_of(world) or 0) <= items_time(held["expires_at"]) or world.mona.customer("c1")["holder"] is None


def items_time(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text))


def test_a_claim_that_continues_an_old_hold_moves_the_check(world: World) -> None:
    world.pool(customers=1, claim_ttl="P3D", max_hold="P3D")
    world.alice.claim("c1")
    world.clock.forward(2 * DAY + 12 * HOUR)
    world.alice.release("c1")
    settled(world)

    assert world.alice.claim("c1").status == 200

    assert check_of(world) == world.clock.now


@pytest.mark.parametrize("body", [{"outcome": "reached"}, None], ids=["follow-up", "release"])
def test_a_verb_of_every_day_never_writes_the_check(world: World, body: dict[str, str] | None) -> None:
    world.pool(customers=1, claim_ttl="P3D", idle_ttl="P1D", reminders=["PT6H"])
    settled(world)
    before = check_of(world)

    world.alice.claim("c1")
    world.clock.forward(HOUR)
    done = world.alice.release("c1") if body is None else world.alice.post("/customers/c1/follow-up", body)

    assert done.status in (200, 201)
    assert check_of(world) == before


def test_a_move_during_a_round_is_not_overwritten(memory_world: World) -> None:
    world = memory_world
    world.pool(customers=1, claim_ttl="P3D", max_pin="P60D")
    world.alice.claim("c1")
    world.mona.post("/customers/c1/pin", {"until": "2026-06-30T00:00:00Z"})
    settled(world)
    world.clock.forward(4 * DAY)
    writes = iter([True])

    def unpin_first(operation: str) -> None:
        if operation == "TransactWriteItems" and next(writes, False):
            world.mona.post("/customers/c1/unpin")

    world.table.connection.before = unpin_first  # type: ignore[attr-defined]
    world.run_schedule()

    assert (check_of(world) or 0) <= world.clock.now
    world.clock.forward(MINUTE)
    assert world.run_schedule().returned == 1


# Lost checks


def test_a_lost_check_is_found_again_within_an_hour_and_a_minute(world: World) -> None:
    draw = random.Random(11)
    names = [f"q{number}" for number in range(8)]
    for name in names:
        world.pool(name, customers=1, claim_ttl="P1D")
        world.user("alice", pool=name).claim("c1")
    settled(world)
    world.clock.forward(DAY - 30 * MINUTE)

    for name in draw.sample(names, 5):
        lose_check(world, name)
    deadline = world.clock.now + 30 * MINUTE
    run_until(world, deadline + 61 * MINUTE)

    held = [world.user("mona", pool=name).get("/customers/c1").json["state"] for name in names]
    assert held == ["available"] * len(names)


def test_a_check_that_is_too_late_is_found_again(world: World) -> None:
    world.pool(customers=1, claim_ttl="P1D")
    world.alice.claim("c1")
    settled(world)
    late = pool_items.check_at("main", "p", world.clock.now + 20 * DAY)
    world.table.write([SetAttributes(keys.pool_key("main", "p"), late)])

    world.clock.forward(DAY)
    returned = run_until(world, world.clock.now + 61 * MINUTE)

    assert returned == 1


def test_a_search_that_runs_out_of_time_continues_in_the_next_round(memory_world: World) -> None:
    for number in range(3):
        memory_world.pool(tenant=f"t{number}", claim_ttl="P7D")
    memory_world.run_schedule(seconds=2.0)
    settled(memory_world)

    with counted(memory_world) as idle:
        memory_world.run_schedule()

    # One query for each part of the schedule, one for leaves, one for erasures; and the progress of the search.
    assert idle == {"Query": SCHEDULE_SHARDS + 2, "BatchGetItem": 1}


def test_the_audit_finds_a_check_that_is_missing_or_too_late_and_repairs_it(world: World) -> None:
    for name in ("p", "q", "r"):
        world.pool(name, customers=1, claim_ttl="P1D")
        world.user("alice", pool=name).claim("c1")
    deadline = world.clock.now + DAY
    settled(world)
    lose_check(world, "p")
    late = pool_items.check_at("main", "q", deadline + DAY)
    world.table.write([SetAttributes(keys.pool_key("main", "q"), late)])

    found = world.root.request("POST", "/v1/audit", {}).json
    repaired = world.root.request("POST", "/v1/audit", {"repair": True}).json
    again = world.root.request("POST", "/v1/audit", {}).json

    assert [(each["kind"], each["id"], each["found"]) for each in found["drift"]] == [
        ("check", "p", None), ("check", "q", deadline + DAY)
    ]  # fmt: skip
    assert (repaired["drifted"], repaired["repaired"], again["drifted"]) == (2, 2, 0)
    assert check_of(world, "p") == check_of(world, "q") == world.clock.now


# A round that is killed


def test_a_round_killed_at_any_call_leaves_the_rest_to_the_next_one() -> None:
    engine = Memory()
    world = World(memory_table(engine))
    for name in ("p", "q", "r"):
        world.pool(name, customers=2, claim_ttl="P7D", reminders=["P1D"])
        world.user("alice", pool=name).claim("c1")
    world.clock.forward(6 * DAY)
    for name in ("p", "q", "r"):
        world.user("alice", pool=name).claim("c2")
    settled(world)
    world.clock.forward(DAY)
    start, calls = dict(engine.items), list[str]()
    engine.before = calls.append
    world.run_schedule()

    for death, moment in itertools.product(range(len(calls)), ("before", "after")):
        engine.before = engine.after = lambda call: None
        engine.load(start)
        number = itertools.count()
        setattr(engine, moment, partial(strike, number, death))
        with suppress(Crash):
            world.run_schedule()
        engine.before = engine.after = lambda call: None
        world.clock.forward(MINUTE)
        world.run_schedule()
        assert_sound(world.table, now=world.clock.now)
        states = {world.user("mona", pool=name).get("/customers/c1").json["state"] for name in ("p", "q", "r")}
        assert states == {"available"}, (death, moment)
        world.clock.now -= MINUTE


def strike(number: Iterator[int], death: int, call: str) -> None:
    if next(number) == death:
        raise Crash


# Costs


def test_a_warm_claim_costs_one_request_with_the_schedule(memory_world: World) -> None:
    memory_world.pool(customers=2, claim_ttl="P7D", reminders=["P1D"])
    memory_world.alice.claim("c1")

    with counted(memory_world) as warm:
        memory_world.alice.claim("c2")

    assert warm["TransactWriteItems"] == 1 and "Query" not in warm


@pytest.mark.parametrize("pools", [1_000, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_a_round_with_ten_due_pools_costs_at_most_forty_requests(pools: int) -> None:
    cost = cost_of_round(pools, due=10)

    assert cost.returned == 10
    assert cost.others <= 40
    assert cost == cost_of_round(100, due=10)


def test_a_hundred_thousand_idle_pools_cost_at_most_ten_dollars_a_month() -> None:
    month = cost_of_idle_pools(100_000)

    assert month.usd <= 10


def test_the_policy_without_rules_has_no_shortest_clock() -> None:
    assert shortest_clock(Policy()) is None
    assert shortest_clock(Policy(claim_ttl="P7D", idle_ttl="P3D", reminders=("P1D",))) == 2 * DAY
    assert shortest_clock(Policy(claim_ttl="P7D", reminders=("P30D",))) == 0
