"""Pools of any size on a metered engine, and the cost of sweeping them: for tests and benchmarks."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.dynamodb import items, keys
from chalicelib.model.model import Customer, created
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import HOUR, START, World

HOLDERS = tuple(f"m{number:02d}" for number in range(20))
DUE = 1_000


class Cost(NamedTuple):
    """Requests and units of one sweep."""

    queries: int
    reads: int
    transactions: int
    read_units: float
    write_units: float

    @property
    def finding(self) -> int:
        return self.queries + self.reads


def large_pool(engine: Metered, customers: int) -> World:
    """Return a pool of that many customers. Twenty members have a thousand expired claims."""
    world = World(memory_table(engine))
    world.pool(members=" ".join(HOLDERS), claim_ttl="PT1H")
    ids = [f"c{number:06d}" for number in range(customers)]
    for at, each in enumerate(ids):
        known = Customer("main", "p", each, f"Customer {each}", "available", 1, START, START, START, START + at, 1)
        for item in (items.customer_item(created(known, "imported", "mona")), items.fields_item(known)):
            engine.items[keys.Key(item["pk"]["S"], item["sk"]["S"])] = item
    for number, user in enumerate(HOLDERS):
        share = DUE // len(HOLDERS)
        assert world.user(user).claim_batch(ids[number * share : (number + 1) * share]).json["summary"]["ok"] == share
    world.clock.forward(HOUR)
    engine.reset()
    return world


def cost_of_sweep(customers: int) -> Cost:
    engine = Metered()
    world = large_pool(engine, customers)
    report = world.sweep()
    assert (report.due, report.returned, report.remaining) == (DUE, DUE, 0)
    made = engine.requests
    return Cost(made["Query"], made["BatchGetItem"], made["TransactWriteItems"], engine.read_units, engine.write_units)
