"""A round of the schedule that one function cannot finish in its time is handed to parallel invocations of it."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import SCHEDULE_SHARDS
from chalicelib.services import fan_out
from chalicelib.services.expiry import SweepResult
from chalicelib.services.fan_out import Part, part_of
from chalicelib.services.sweeper import SecondsLeft
from tests.support.audit import assert_sound
from tests.support.canaries import LogCapture
from tests.support.faults import WRITE, client_error
from tests.support.memory import Memory
from tests.support.world import DAY, MINUTE, World
from tools.local.service import scheduled_event

POOLS = 12


def due_pools(world: World) -> list[str]:
    """Return the names of pools in several parts of the schedule, each with a claim that has expired."""
    names = [f"q{number}" for number in range(POOLS)]
    for name in names:
        world.pool(name, customers=1, claim_ttl="P7D")
        world.user("alice", pool=name).claim("c1")
    world.clock.forward(7 * DAY)
    return names


def held(world: World, names: list[str]) -> int:
    return sum(world.user("mona", pool=name).get("/customers/c1").json["state"] == "claimed" for name in names)


def run(world: World, event: dict[str, Any], seconds: float, invoked: list[Any] | None) -> SweepResult:
    invoke = None if invoked is None else invoked.append
    return fan_out.run(world.another_process().backend, event, world.clock(), lambda: seconds, invoke)


def test_a_round_with_enough_time_hands_nothing_over(world: World) -> None:
    names, invoked = due_pools(world), list[Any]()

    report = run(world, scheduled_event(), 60.0, invoked)

    assert (report.returned, held(world, names), invoked) == (POOLS, 0, [])


def test_a_round_without_enough_time_hands_each_part_of_the_schedule_over_once(world: World) -> None:
    names, invoked, event = due_pools(world), list[Any](), scheduled_event()

    report = run(world, event, 8.0, invoked)

    assert (report.returned, held(world, names)) == (0, POOLS)
    assert [part_of(each) for each in invoked] == [
        Part(shard, world.clock.now + MINUTE) for shard in range(SCHEDULE_SHARDS)
    ]
    assert [{**each, "detail": {}} for each in invoked] == [event] * SCHEDULE_SHARDS


def running_down(seconds: int) -> SecondsLeft:
    """Return a function that returns a second less at each call."""
    return partial(next, itertools.count(seconds, -1))


def test_a_round_hands_over_only_what_a_quarter_of_its_time_was_not_enough_for(memory_world: World) -> None:
    names, invoked = due_pools(memory_world), list[Any]()

    backend, now = memory_world.another_process().backend, memory_world.clock()
    begun = fan_out.run(backend, scheduled_event(), now, running_down(60), invoked.append)
    rest = [run(memory_world, event, 60.0, None).returned for event in invoked]

    assert 0 < begun.returned < POOLS
    assert (begun.returned + sum(rest), held(memory_world, names)) == (POOLS, 0)


def test_a_round_that_dynamodb_throttles_hands_nothing_over(memory_world: World) -> None:
    names, invoked = due_pools(memory_world), list[Any]()

    backend, now = memory_world.another_process().backend, memory_world.clock()
    engine_of(memory_world).before = throttle
    report = fan_out.run(backend, scheduled_event(), now, running_down(60), invoked.append)
    engine_of(memory_world).before = lambda call: None

    assert (report.throttled, report.returned, invoked) == (True, 0, [])
    assert held(memory_world, names) == POOLS


def throttle(call: str) -> None:
    if call == WRITE:
        raise client_error(call, "ThrottlingException")


def engine_of(world: World) -> Memory:
    engine = world.table.connection
    assert isinstance(engine, Memory)
    return engine


def test_without_the_setting_a_round_leaves_the_rest_to_the_next_one(world: World) -> None:
    names = due_pools(world)

    left = run(world, scheduled_event(), 3.0, None)
    finished = run(world, scheduled_event(), 60.0, None)

    assert (left.returned, finished.returned, held(world, names)) == (0, POOLS, 0)


def test_the_parts_together_finish_the_round_and_hand_nothing_over(world: World) -> None:
    names, invoked, again = due_pools(world), list[Any](), list[Any]()
    run(world, scheduled_event(), 8.0, invoked)

    done = [run(world, event, 60.0, again) for event in invoked]

    assert sum(report.returned for report in done) == POOLS
    assert max(report.returned for report in done) < POOLS
    assert (held(world, names), again) == (0, [])
    assert_sound(world.table, now=world.clock.now)


def test_a_part_ends_when_the_next_round_begins(world: World) -> None:
    names, invoked = due_pools(world), list[Any]()
    run(world, scheduled_event(), 8.0, invoked)

    world.clock.forward(MINUTE - 2_000)
    late = [run(world, event, 60.0, None) for event in invoked]

    assert ([report.returned for report in late], held(world, names)) == ([0] * SCHEDULE_SHARDS, POOLS)


def test_parts_may_run_twice_and_beside_the_next_round(world: World) -> None:
    names, invoked = due_pools(world), list[Any]()
    run(world, scheduled_event(), 8.0, invoked)

    returned = [run(world, event, 60.0, None).returned for event in (invoked[0], invoked[0])]
    returned += [run(world, event, 60.0, None).returned for event in (scheduled_event(), *invoked)]

    assert (sum(returned), held(world, names)) == (POOLS, 0)
    assert_sound(world.table, now=world.clock.now)


def test_a_round_that_cannot_invoke_its_function_logs_why_and_leaves_the_rest_to_the_next_one(
    memory_world: World, logs: LogCapture
) -> None:
    names = due_pools(memory_world)
    denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "Invoke")

    def refuse(event: Any) -> None:
        raise denied

    backend, now = memory_world.another_process().backend, memory_world.clock()
    fan_out.run(backend, scheduled_event(), now, lambda: 8.0, refuse)
    finished = run(memory_world, scheduled_event(), 60.0, [])

    (line,) = [each for each in logs.messages if "left for the next one" in each]
    assert "ClientError (Invoke: AccessDeniedException)" in line
    assert (finished.returned, held(memory_world, names)) == (POOLS, 0)


@pytest.mark.parametrize("detail", [{}, None, {"shard": 4, "until": 1}, {"shard": -1, "until": 1}, {"shard": "1"}])
def test_an_event_that_names_no_part_begins_a_round(detail: Any) -> None:
    assert part_of({"detail": detail}) is None
    assert part_of({}) is None


def test_the_pools_of_these_tests_are_in_more_than_one_part() -> None:
    assert len({keys.schedule_of("main", f"q{number}") for number in range(POOLS)}) > 1
