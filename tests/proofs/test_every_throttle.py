"""Every pattern of throttled calls: a request about one customer sends no call after its fourth once it is throttled.

All patterns of up to `MAX_FAULTS` throttled calls and conflicts that a request can meet are tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.proofs.operations import OPERATIONS, Operation, trial
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.faults import CONFLICT, Pattern, first_throttled, inject_pattern, patterns
from tests.support.world import find

MAX_REQUESTS: Final = 4
MAX_FAULTS: Final = 4


def form_of(operation: Operation) -> str:
    return find(operation.method, f"/v1{operation.path}")[0].form


SINGLE = [each for each in OPERATIONS if form_of(each) == "one"]
SEARCHES = [each for each in OPERATIONS if form_of(each) == "items"]


def try_all(operation: Operation, most: Callable[[Pattern, int], int]) -> None:
    """Send the operation under every pattern. Check its calls, its response, and a repetition.

    `most` receives the pattern and the number of the first throttled call, and returns how many calls may be sent.
    """
    made, wrong = trial(operation), []

    def calls_under(pattern: Pattern) -> list[str]:
        world = made.begin()
        calls = inject_pattern(made.engine, pattern)
        reply = operation.send(world, "k")
        made.rest()
        first = first_throttled(pattern)
        if first is not None and len(calls) > most(pattern, first):
            wrong.append(f"{pattern}: {calls}")
        if reply.status in (429, 503):
            assert first is not None and reply.headers["Retry-After"]
            assert reply.status == 503 or made.engine.items == made.start
            reply = operation.send(world, "k")
        if operation.finds:  # the customers that are next may be others after an interruption
            assert reply.status in (200, 201)
            assert_sound(made.table)
        else:
            made.assert_done_once(world, reply)
        return calls

    tried = list(patterns(calls_under, MAX_FAULTS))
    tally.count("faults tried", len(tried))
    assert len(tried) > 1 and not wrong, "\n".join(wrong)


@pytest.mark.parametrize("operation", SINGLE, ids=lambda operation: operation.name)
def test_a_throttled_request_about_one_customer_sends_at_most_four_calls(operation: Operation) -> None:
    try_all(operation, lambda pattern, first: max(MAX_REQUESTS, first))


@pytest.mark.parametrize("operation", SEARCHES, ids=lambda operation: operation.name)
def test_claim_next_sends_at_most_one_call_more_if_throttled(operation: Operation) -> None:
    undisturbed = len(trial(operation).calls)

    def most(pattern: Pattern, first: int) -> int:
        return max(MAX_REQUESTS, undisturbed + 1 + list(pattern.values()).count(CONFLICT))

    try_all(operation, most)
