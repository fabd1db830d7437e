"""The whole API in random order, by any caller, with an advancing clock: after each request the response and all
visible state must match the model. `model` has the state, `model_machine` the possible steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from moto import mock_aws

from chalicelib.dynamodb.table import Table
from tests.conftest import new_table
from tests.proofs import careless_stores
from tests.proofs.model_machine import Everything
from tests.support.memory import Memory, memory_table

Make = Callable[[], AbstractContextManager[Table]]


def play(make: Make, runs: int, *phases: Phase) -> None:
    """Play that many runs of about forty requests, always the same ones. A failure is shrunk and reported."""
    machine = type("Machine", (Everything,), {"make": staticmethod(make)})
    how = settings(
        max_examples=runs, stateful_step_count=40, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=phases or (Phase.generate, Phase.shrink),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)


def in_memory(kind: type[Table] = Table) -> AbstractContextManager[Table]:
    return nullcontext(memory_table(Memory(), kind))


@contextmanager
def on_moto() -> Iterator[Table]:
    with mock_aws():
        yield new_table(None)


def test_random_operations_match_the_model() -> None:
    play(in_memory, runs=40)


def test_random_operations_match_the_model_on_ministack(ministack: str) -> None:
    play(lambda: nullcontext(new_table(ministack)), runs=3)


@pytest.mark.exhaustive
def test_many_random_runs_match_the_model() -> None:
    play(in_memory, runs=1_200)


@pytest.mark.exhaustive
def test_more_random_runs_match_the_model_on_separate_engines(ministack: str) -> None:
    play(on_moto, runs=15)
    play(lambda: nullcontext(new_table(ministack)), runs=25)


@pytest.mark.parametrize("kind", [careless_stores.Unlimited, careless_stores.Unbound, careless_stores.Forgetful])
def test_the_model_exposes_a_faulty_store(kind: type[Table]) -> None:
    with pytest.raises(AssertionError):
        play(partial(in_memory, kind), 400, Phase.generate)  # it ends with the first run that notices
