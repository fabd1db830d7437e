"""Contention: many simulated processes call claim next until the pool is empty.

A seeded draw decides which process runs at each DynamoDB call, so a seed always gives the same run.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.proofs.race_runner import process
from tests.proofs.schedules import park, run
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import World


@dataclass(frozen=True)
class Taken:
    """The customers that a crowd took, in order, and the requests of each successful call.

    `read_units` are those of all calls, also of the last ones, which find nothing.
    """

    ids: list[str]
    requests: list[Counter[str]]
    read_units: float = 0.0

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
    world: World,
    callers: int,
    *,
    seed: int = 1,
    count: int = 1,
    shared: bool = False,
    calls: int = 10_000,
    filters: dict[str, list[str]] | None = None,
) -> Taken:
    """Let members m1 to mN call claim next for `count` customers, with these filters, until none are left.

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
                items = member.post("/claim-next", {"count": count, "filter": filters or {}}).json["items"]
                if not items:
                    return
                taken.ids.extend(each["id"] for each in items)
                taken.requests.append(here.made)

        return take

    draw = random.Random(seed)
    engine: Any = world.table.connection
    engine.reset()
    jobs = [caller(number) for number in range(1, callers + 1)]
    engine.before = count_and_park
    try:
        run(jobs, [draw.randrange(callers) for _ in range(20 * callers * 1_000)])
    finally:
        engine.before = lambda operation: None
    return replace(taken, read_units=engine.read_units / len(taken.ids))


def crowded_pool(callers: int, customers: int, **policy: Any) -> World:
    world = World(memory_table(Metered()))
    world.pool(members=" ".join(f"m{number}" for number in range(1, callers + 1)), **policy)
    world.fill(customers)
    return world


def divided_pool(callers: int, customers: int, *, territories: bool) -> World:
    """Return a pool in which each of ten levels has a tenth of the customers and, as territories, of the callers."""
    level = {"key": "level", "label": {"en": "Level", "zh": "级别"}, "type": "text", "filter": True}
    world = crowded_pool(callers, 0, fields=[level])
    for start in range(0, customers, 100):
        numbers = range(start, start + 100)
        rows = [{"id": f"c{number}", "name": "C", "fields": {"level": str(number % 10)}} for number in numbers]
        assert world.mona.post("/import", {"rows": rows}).json["summary"]["failed"] == 0
        world.clock.forward(1)
    for number in range(1, callers + 1) if territories else ():
        takes = {"level": [str(number % 10)]}
        assert world.mona.patch(f"/members/m{number}", {"takes": takes}).status == 200
    return world
