"""A batch claim of 98 customers compared with 98 single claims: number of requests, and customers a second."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

from benchmarks.rows import Row, Target
from tests.support.dynamodb_calls import counted

ROUNDS, CUSTOMERS = 7, 98


def rows(target: Target) -> Iterator[Row]:
    world = target.world()
    world.pool()
    ids = world.fill(CUSTOMERS)
    alice = world.user("alice")
    with counted(world) as requests:
        assert alice.claim_batch(ids).json["summary"]["ok"] == CUSTOMERS
    yield Row("batch claim of 98: requests a claim", requests.total() / CUSTOMERS, bound=0.03)

    batched, single = list[float](), list[float]()
    for _ in range(ROUNDS):
        assert alice.release_batch(ids).status == 200
        started = perf_counter()
        assert alice.claim_batch(ids).status == 200
        batched.append(CUSTOMERS / (perf_counter() - started))
        assert alice.release_batch(ids).status == 200
        started = perf_counter()
        for each in ids:
            assert alice.claim(each).status == 200
        single.append(CUSTOMERS / (perf_counter() - started))
    name = "batch claim of 98: claims a second, compared with single claims"
    yield Row(name, median(batched), median(single), bound=3.5, at_least=True, unit="/s")
