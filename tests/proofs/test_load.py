"""Load over HTTP on a faulty network, and histories recorded there, which are checked for linearizability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chalicelib.dynamodb.table import Table
from tests.conftest import new_table
from tests.proofs import careless_stores
from tests.proofs.linear import UNKNOWN, Op, in_order, pool_of
from tests.proofs.load import assert_linearizable, history_of, load
from tests.proofs.load_clients import LIMIT, UncheckedClient
from tests.support.audit import assert_sound


@pytest.mark.race
@pytest.mark.exhaustive
def test_concurrent_clients_on_a_faulty_network_lose_and_repeat_nothing(real_table: Table) -> None:
    figures = load(real_table, seconds=8, people=16, share=0.03)

    print(figures.summary())
    assert figures.faults.total() and figures.swept and figures.claim_ids and figures.histories


@pytest.mark.race
@pytest.mark.parametrize(
    "seed", [1, 2, 3, *(pytest.param(each, marks=pytest.mark.exhaustive) for each in range(4, 40))]
)
def test_concurrent_histories_are_linearizable(real_table: Table, seed: int) -> None:
    assert_linearizable(history_of(real_table, seed, 0.04 if seed % 3 else 0.0))
    assert_sound(real_table)


@pytest.mark.race
@pytest.mark.parametrize("kind", [careless_stores.ChecksFirst, careless_stores.Unlimited])
def test_histories_of_a_faulty_store_are_not_linearizable(ministack: str, kind: type[Table]) -> None:
    def histories() -> Iterator[list[Op]]:
        for seed in range(1, 12):
            table = new_table(ministack)
            table.__class__ = kind
            yield history_of(table, seed, 0.0, UncheckedClient)

    assert any(not in_order(history, pool_of(LIMIT)) for history in histories())


# The search


def ops(*given: tuple[float, float, str, str, str]) -> Sequence[Op]:
    """About c1, if it is about any."""
    return [Op(start, end, who, verb, "c1", result) for start, end, who, verb, result in given]


ORDERS: dict[str, tuple[bool, Any]] = {
    "one after the other": (True, ops((0, 1, "alice", "claim", "ok"), (2, 3, "bob", "claim", "already_claimed"))),
    "two winners": (False, ops((0, 1, "alice", "claim", "ok"), (0, 1, "bob", "claim", "ok"))),
    "two winners, and a release between": (True, ops(
        (0, 9, "alice", "claim", "ok"), (0, 9, "bob", "claim", "ok"), (0, 9, "alice", "release", "ok"))),
    "a release that came too late for it": (False, ops(
        (0, 1, "alice", "claim", "ok"), (2, 3, "bob", "claim", "ok"), (4, 5, "alice", "release", "ok"))),
    "an old sight after the claim": (False, ops((0, 1, "alice", "claim", "ok"), (2, 3, "bob", "look", "None"))),
    "an old sight during the claim": (True, ops((0, 4, "alice", "claim", "ok"), (2, 3, "bob", "look", "None"))),
    "seen, and then unseen": (False, ops(
        (0, 9, "alice", "claim", "ok"), (1, 2, "bob", "look", "alice"), (3, 4, "bob", "look", "None"))),
    "unanswered, and done": (True, ops((0, 1, "alice", "claim", UNKNOWN), (2, 3, "bob", "look", "alice"))),
    "unanswered, and not done": (True, ops((0, 1, "alice", "claim", UNKNOWN), (2, 3, "bob", "look", "None"))),
    "unanswered, done, and undone by nobody": (False, ops(
        (0, 1, "alice", "claim", UNKNOWN), (2, 3, "bob", "look", "alice"), (4, 5, "bob", "look", "None"))),
    "counted twice": (False, ops((0, 1, "alice", "claim", "ok"), (2, 3, "alice", "count", "2"))),
    "refused at a limit that was not reached": (False, ops(
        (0, 1, "alice", "claim", "ok"), (2, 3, "bob", "claim", "holding_limit"))),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_the_linearizability_checker_agrees_with_brute_force(name: str) -> None:
    explained, history = ORDERS[name]

    assert in_order(history, pool_of(LIMIT)) == explained
