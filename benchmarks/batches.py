"""A batch claim of 98 customers against 98 claims of one: requests counted, customers a second in alternating runs."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

from benchmarks.rows import Place, Row
from tests.support.engine import counted

ROUNDS, CUSTOMERS = 7, 98


def rows(place: Place) -> Iterator[Row]:
    world = place.world()
    world.pool()
    ids = world.fill(CUSTOMERS)
    alice = world.user("alice")
    with counted(world) as made:
        assert alice.claim_batch(ids).json["summary"]["ok"] == CUSTOMERS
    yield Row("batch claim of 98: requests a claim", made.total() / CUSTOMERS, bound=0.03)

    together, one_by_one = list[float](), list[float]()
    for _ in range(ROUNDS):
        assert alice.release_batch(ids).status == 200
        started = perf_counter()
        assert alice.claim_batch(ids).status == 200
        together.append(CUSTOMERS / (perf_counter() - started))
        assert alice.release_batch(ids).status == 200
        started = perf_counter()
        for each in ids:
            assert alice.claim(each).status == 200
        one_by_one.append(CUSTOMERS / (perf_counter() - started))
    name = "batch claim of 98: claims a second, against single ones"
    yield Row(name, median(together), median(one_by_one), bound=3.5, at_least=True, unit="/s")
