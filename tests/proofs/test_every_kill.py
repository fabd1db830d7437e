"""The process dies at any call of any operation; a repetition in another process applies the operation once.

By default every third death is tried, and every fortieth pair of one and of another in the repetition; `-m exhaustive`
tries all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.proofs import careless_stores
from tests.proofs.operations import OPERATIONS, OPERATIONS_BY_NAME, Operation, Trial, trial
from tests.support import tally
from tests.support.dynamodb_calls import Crash
from tests.support.world import Reply, World

SOME, SOME_PAIRS = 3, 40
COMPLETE = ("claim", "release", "claim the next")  # every death in each run
Death = tuple[int, str]  # at which call, and whether before it arrived or after

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def deaths(made: Trial, more: int = 0) -> list[Death]:
    return [(at, moment) for at in range(len(made.calls) + more) for moment in ("before", "after")]


def pairs(made: Trial) -> Iterator[tuple[Death, ...]]:
    """Yield a death and another one during the repetition, which may make a few more calls."""
    return itertools.product(deaths(made), deaths(made, more=2))


def dies(made: Trial, world: World, death: Death) -> Reply | None:
    """Return the response, or None if the process died before it."""
    at, moment = death
    number = itertools.count()

    def strike(call: str) -> None:
        if next(number) == at:
            raise Crash

    setattr(made.engine, moment, strike)
    try:
        return made.operation.send(world, "k")
    except Crash:
        world.service = world.another_process()
        return None
    finally:
        made.rest()


def dies_and_is_repeated(made: Trial, *each: Death) -> None:
    world = made.begin()
    for death in each:
        dies(made, world, death)
    tally.count("deaths tried", len(each))
    made.assert_done_once(world, made.operation.send(world, "k"))


@every_operation
def test_repeating_an_operation_killed_at_sampled_calls_applies_it_once(operation: Operation) -> None:
    made, at = trial(operation), OPERATIONS.index(operation)
    step = 1 if operation.name in COMPLETE else SOME
    for death in deaths(made)[at % step :: step]:
        dies_and_is_repeated(made, death)
    for pair in list(pairs(made))[at % SOME_PAIRS :: SOME_PAIRS]:
        dies_and_is_repeated(made, *pair)


@pytest.mark.exhaustive
@every_operation
def test_repeating_an_operation_killed_at_any_call_applies_it_once(operation: Operation) -> None:
    made = trial(operation)
    for death in deaths(made):
        dies_and_is_repeated(made, death)


@pytest.mark.exhaustive
@every_operation
def test_repeating_an_operation_killed_twice_applies_it_once(operation: Operation) -> None:
    made = trial(operation)
    for pair in itertools.islice(pairs(made), 0, None, 1 if len(made.calls) < 12 else 20):
        dies_and_is_repeated(made, *pair)


@pytest.mark.parametrize("name", ["claim", "release", "claim several", "deposit elsewhere", "sweep"])
def test_a_kill_exposes_a_store_without_transactions(name: str) -> None:
    suspect = Trial(OPERATIONS_BY_NAME[name], careless_stores.WritesOneByOne)
    found = 0
    for death in deaths(suspect):
        try:
            dies_and_is_repeated(suspect, death)
        except AssertionError:
            found += 1

    assert found
