"""What it costs to look: a page of a list, one's own claims, one's usage, in a small pool and in a large one. Counted.

And what a warm claim is charged for, as `tests/test_units.py` asserts it.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Place, Row
from chalicelib.dynamodb import items, keys
from chalicelib.model.model import Customer, created
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import START, World

SMALL, LARGE = 1_000, 100_000
LOOKS = {
    "list page of 50": "/customers?state=available&limit=50",
    "my claims, 20 of them": "/customers?holder=me&limit=50",
    "my usage": "/members/me",
}


def rows(place: Place) -> Iterator[Row]:
    small, large = _costs(SMALL), _costs(LARGE)
    for what in LOOKS:
        (requests, units), (at_least_requests, at_least_units) = large[what], small[what]
        yield Row(f"{what}: requests, of {LARGE:,} customers against {SMALL:,}", requests, at_least_requests, bound=1)
        yield Row(f"{what}: read units, likewise", units, at_least_units, bound=1)
    yield from _claim()


def _costs(customers: int) -> dict[str, tuple[float, float]]:
    """Requests and read units of each look, in a pool of that size."""
    engine = Metered()
    world = _pool(engine, customers)
    alice, costs = world.user("alice"), {}
    assert alice.claim_batch([f"c{number:06d}" for number in range(20)]).json["summary"]["ok"] == 20
    for what, path in LOOKS.items():
        world.service = world.another_process()
        assert alice.get("/members/me").status == 200  # it knows the pool
        engine.reset()
        assert alice.get(path).status == 200
        costs[what] = (engine.requests.total(), engine.read_units)
    return costs


def _pool(engine: Metered, customers: int) -> World:
    world = World(memory_table(engine))
    world.pool(claim_ttl="P7D")
    for number in range(customers):
        name = f"Customer {number}"
        known = Customer("main", "p", f"c{number:06d}", name, "available", 1, *[START] * 3, START + number, 1)
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
        told = ", ".join(f"{what} {units}" for what, units in engine.bill.items())
        yield Row(f"write units of a {verb}: {told}", engine.write_units, bound=9)
