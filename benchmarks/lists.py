"""Requests and read units of a list page, of the caller's claims and usage, in a small and in a large pool.

Also the write units of a warm claim and release.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, Target
from chalicelib.dynamodb import items, keys
from chalicelib.model.model import Customer, created
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import START, World

SMALL, LARGE = 1_000, 100_000
READS = {
    "list page of 50": "/customers?state=available&limit=50",
    "my claims, 20 of them": "/customers?holder=me&limit=50",
    "my usage": "/members/me",
}


def rows(target: Target) -> Iterator[Row]:
    small, large = _costs(SMALL), _costs(LARGE)
    for read in READS:
        (requests, units), (fewest_requests, fewest_units) = large[read], small[read]
        name = f"{read}: requests, of {LARGE:,} customers compared with {SMALL:,}"
        yield Row(name, requests, fewest_requests, bound=1)
        yield Row(f"{read}: read units, likewise", units, fewest_units, bound=1)
    yield from _claim()


def _costs(customers: int) -> dict[str, tuple[float, float]]:
    """Return requests and read units of each read in a pool of that size."""
    engine = Metered()
    world = _pool(engine, customers)
    alice, costs = world.user("alice"), dict[str, tuple[float, float]]()
    assert alice.claim_batch([f"c{number:06d}" for number in range(20)]).json["summary"]["ok"] == 20
    for read, path in READS.items():
        world.service = world.another_process()
        assert alice.get("/members/me").status == 200  # loads the pool into the cache
        engine.reset()
        assert alice.get(path).status == 200
        costs[read] = (engine.requests.total(), engine.read_units)
    return costs


def _pool(engine: Metered, customers: int) -> World:
    world = World(memory_table(engine))
    world.pool(claim_ttl="P7D")
    for number in range(customers):
        name = f"Customer {number}"
        known = Customer("main", "p", f"c{number:06d}", name, "available", 1, START, START, START, START + number, 1)
        for item in (items.customer_item(created(known, "imported", "mona")), items.fields_item(known)):
            engine.items[keys.Key(item["pk"]["S"], item["sk"]["S"])] = item
    return world


def _claim() -> Iterator[Row]:
    engine = Metered()
    world = _pool(engine, 1)
    world.user("alice").get("/customers")
    for verb in ("claim", "release"):
        engine.reset()
        assert world.user("alice").post(f"/customers/c000000/{verb}").status == 200
        units = ", ".join(f"{item} {count}" for item, count in engine.bill.items())
        yield Row(f"write units of a {verb}: {units}", engine.write_units, bound=9)
