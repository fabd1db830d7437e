"""A fault at every call of every operation: each is applied once, and the client learns what to do.

Either the result is correct at once, or it is one of three codes and the repetition with the same Idempotency-Key
corrects it. By default every seventh case runs; `-m exhaustive` runs all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.api.routes import ROUTES
from tests.proofs.operations import OPERATIONS, UNSURE, Operation, Trial, trial
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.faults import FAULTS, WRITE, Fault, Late, inject
from tests.support.world import find

EVERY = 7
Case = tuple[Trial, Fault, int, str | None]

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def cases(operation: Operation) -> Iterator[Case]:
    """Yield each fault at each call it can hit, with a key; and without one where a client must notice nothing."""
    made = trial(operation)
    for fault in FAULTS:
        for key, calls in (("k", made.calls), (None, made.calls_without_key)):
            if key or (fault.unseen and (operation.recognizable or not fault.forgotten)):
                yield from ((made, fault, at, key) for at, call in enumerate(calls) if call in fault.hits)


def late_cases(operation: Operation) -> Iterator[tuple[Trial, int, int]]:
    """Each transaction that may be held up, and each call of the repetition before which it may arrive, or after it."""
    made = trial(operation)
    for at, call in enumerate(made.calls):
        if call == WRITE:
            yield from ((made, at, arrival) for arrival in range(len(made.calls) + 3))


def try_out(made: Trial, fault: Fault, at: int, key: str | None) -> None:
    world = made.begin()
    inject(made.engine, fault, at)
    reply = made.operation.send(world, key)
    made.rest()
    if fault.stale and made.operation.finds:
        assert reply.status < 500
        assert_sound(made.table)
        return
    if fault.unseen:
        assert reply.status in (200, 201), f"a client has noticed: {reply.text}"
    elif reply.status in (429, 503):
        assert reply.code in UNSURE
        world.service = world.another_process() if at % 2 else world.service
        reply = made.operation.send(world, key)
    made.assert_done_once(world, reply, key)


def try_late(made: Trial, at: int, arrival: int) -> None:
    world = made.begin()
    late = Late(made.engine, at)
    given_up = made.operation.send(world, "k")
    assert (given_up.status, given_up.code) == (503, "outcome_unknown")
    late.arrive_at(arrival)
    reply = made.operation.send(world, "k")
    made.rest()
    late.arrive()
    if reply.status == 503:
        reply = made.operation.send(world, "k")
    made.assert_done_once(world, reply)


def try_all(operation: Operation, step: int, first: int = 0) -> None:
    """Try every `step`-th case. Fail with a list of all failed cases."""
    tried, wrong = 0, []
    for made, fault, at, key in list(cases(operation))[first::step]:
        tried += 1
        try:
            try_out(made, fault, at, key)
        except AssertionError as error:
            wrong.append(f"{fault.name}, call {at} of {made.calls}, key {key}: {error}"[:2000])
    for made, at, arrival in list(late_cases(operation))[first::step]:
        tried += 1
        try:
            try_late(made, at, arrival)
        except AssertionError as error:
            wrong.append(f"held up at call {at} of {made.calls}, arrives at {arrival}: {error}"[:2000])
    tally.count("faults tried", tried)
    assert not wrong, "\n".join(wrong)


@every_operation
def test_a_fault_at_sampled_calls_leaves_every_operation_applied_once(operation: Operation) -> None:
    try_all(operation, EVERY, OPERATIONS.index(operation) % EVERY)


@pytest.mark.exhaustive
@every_operation
def test_a_fault_at_any_call_leaves_every_operation_applied_once(operation: Operation) -> None:
    try_all(operation, 1)


def test_every_route_that_writes_is_among_the_operations() -> None:
    tried = {find(each.method, f"/v1{each.path.partition('?')[0]}")[0].path + each.method for each in OPERATIONS}

    writing = {route.path + route.method for route in ROUTES if route.method != "GET"}
    assert writing - {"/v1/pools/{pool}/import/previewPOST"} == tried  # a preview only reads


def test_there_are_thousands_of_fault_cases() -> None:
    count = sum(len(list(cases(each))) + len(list(late_cases(each))) for each in OPERATIONS)
    print(
        f"{count} faults at {sum(len(trial(each).calls) for each in OPERATIONS)} calls of {len(OPERATIONS)} operations"
    )

    assert count > 2_000
