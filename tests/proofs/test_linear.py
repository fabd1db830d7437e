"""Concurrent histories recorded over a faulty network are checked for linearizability."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chalicelib.dynamodb.table import Table
from tests.conftest import new_table
from tests.proofs import careless_stores
from tests.proofs.linear import UNKNOWN, Op, in_order, pool_of
from tests.proofs.race_runner import process
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.network_faults import Storm
from tests.support.threads import at_once
from tests.support.world import Reply, World

LIMIT, ROUNDS = 2, 14
MEMBERS = ("alice", "bob", "carl", "dora")
IDS = ("c1", "c2", "c3", "c4")
UNSURE = ("outcome_unknown", "store_unavailable", "throttled")


# Histories


class Client:
    """A client of one process with its own cache. It usually repeats a request without a response under its key."""

    def __init__(self, world: World, number: int, seed: int) -> None:
        self.world, self.number = process(world), number
        self.draw = random.Random(f"{seed} {number}")

    def asks(self) -> list[Op]:
        return [op for at in range(ROUNDS) if (op := self.ask(at)) is not None]

    def ask(self, at: int) -> Op | None:
        """One request; None for a look that saw nothing."""
        verb = self.draw.choices(["claim", "release", "transfer", "look", "count"], [8, 5, 2, 2, 2])[0]
        manages = verb == "transfer" or (verb == "release" and self.draw.random() < 0.2)
        who = "mona" if manages else self.draw.choice(MEMBERS)
        about, to = self.draw.choice(IDS), self.draw.choice(MEMBERS) if verb == "transfer" else ""
        patient = self.draw.random() < 0.8
        start = time.perf_counter()
        reply = self.send(who, verb, about, to, f"k{self.number}-{at}")
        while patient and told(verb, reply) == UNKNOWN:
            reply = self.send(who, verb, about, to, f"k{self.number}-{at}")
        op = Op(start, time.perf_counter(), who, verb, about, told(verb, reply), to)
        return None if verb in ("look", "count") and op.told == UNKNOWN else op

    def send(self, who: str, verb: str, about: str, to: str, key: str) -> Reply:
        user = self.world.user(who)
        if verb == "look":
            return user.get(f"/customers/{about}")
        if verb == "count":
            return user.get("/members/me")
        body = {"to": to} if verb == "transfer" else None
        return user.post(f"/customers/{about}/{verb}", body, idempotency_key=key)


def told(verb: str, reply: Reply) -> str:
    if reply.status != 200:
        return UNKNOWN if reply.code in UNSURE else reply.code
    if verb in ("look", "count"):
        return str(reply.json["holder" if verb == "look" else "held"])
    return "ok"


def history_of(table: Table, seed: int, share: float) -> list[Op]:
    """Return the history of six concurrent clients on their own table."""
    world = World(table)
    world.pool(members=" ".join(MEMBERS), holding_limit=LIMIT)
    world.fill(len(IDS))
    clients = [Client(world, number, seed) for number in range(6)]
    with Storm(table, share, random.Random(seed)).over():
        histories = at_once([client.asks for client in clients])
    return [op for history in histories for op in history]


@pytest.mark.race
@pytest.mark.parametrize(
    "seed", [1, 2, 3, *(pytest.param(each, marks=pytest.mark.exhaustive) for each in range(4, 40))]
)
def test_concurrent_histories_are_linearizable(real_table: Table, seed: int) -> None:
    history = history_of(real_table, seed, 0.04 if seed % 3 else 0.0)

    tally.count("histories put in order")
    assert in_order(history, pool_of(LIMIT)), sorted(history, key=lambda op: op.start)
    assert_sound(real_table)


@pytest.mark.race
@pytest.mark.parametrize("kind", [careless_stores.ChecksFirst, careless_stores.Unlimited])
def test_histories_of_a_faulty_store_are_not_linearizable(ministack: str, kind: type[Table]) -> None:
    def histories() -> Iterator[list[Op]]:
        for seed in range(1, 12):
            table = new_table(ministack)
            table.__class__ = kind
            yield history_of(table, seed, 0.0)

    assert any(not in_order(history, pool_of(LIMIT)) for history in histories())


# The search


def ops(*given: tuple[float, float, str, str, str]) -> Sequence[Op]:
    """About c1, if it is about any."""
    return [Op(start, end, who, verb, "c1", said) for start, end, who, verb, said in given]


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
