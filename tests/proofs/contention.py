"""Contention: many simulated processes call claim next until the pool is empty.

A seeded draw decides which process runs at each DynamoDB call, so a seed always gives the same run.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.proofs.race_runner import process
from tests.proofs.schedules import park, run
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import World


@dataclass(frozen=True)
class Taken:
    """The customers that a crowd took, in order, and the requests of each successful call."""

    ids: list[str]
    requests: list[Counter[str]]

    def mean(self, *operations: str) -> float:
        return sum(each[name] for each in self.requests for name in operations) / len(self.ids)

    @property
    def transactions(self) -> float:
        return self.mean("TransactWriteItems")

    @property
    def reads(self) -> float:
        return self.mean("Query", "BatchGetItem")

    @property
    def worst(self) -> int:
        return max(each["TransactWriteItems"] for each in self.requests)


def crowd(
    world: World, callers: int, *, seed: int = 1, count: int = 1, shared: bool = False, calls: int = 10_000
) -> Taken:
    """Let members m1 to mN call claim next for `count` customers until none are left.

    With `shared` all of them are served by one process, which answers them at once; else each by its own.
    """
    taken = Taken([], [])
    here = threading.local()

    def count_and_park(operation: str) -> None:
        if hasattr(here, "made"):
            here.made[operation] += 1
        park(operation)

    def caller(number: int) -> Callable[[], None]:
        world.seed = seed * 1_000 + number
        member = process(world, "shared" if shared else "cold").user(f"m{number}")

        def take() -> None:
            for _ in range(calls):
                here.made = Counter()
                items = member.claim_next(count).json["items"]
                if not items:
                    return
                taken.ids.extend(each["id"] for each in items)
                taken.requests.append(here.made)

        return take

    draw = random.Random(seed)
    engine = world.table.connection
    jobs = [caller(number) for number in range(1, callers + 1)]
    engine.before = count_and_park  # type: ignore[attr-defined]
    try:
        run(jobs, [draw.randrange(callers) for _ in range(20 * callers * 1_000)])
    finally:
        engine.before = lambda operation: None  # type: ignore[attr-defined]
    return taken


def crowded_pool(callers: int, customers: int, **policy: Any) -> World:
    world = World(memory_table(Metered()))
    world.pool(members=" ".join(f"m{number}" for number in range(1, callers + 1)), **policy)
    world.fill(customers)
    return world
