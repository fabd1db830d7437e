"""The cost of a sweep of a thousand expired claims, and of the schedule with many pools. Counted."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, Target
from tests.support.large_pools import DUE, cost_of_idle_pools, cost_of_round, cost_of_sweep


def rows(target: Target) -> Iterator[Row]:
    small, large = cost_of_sweep(10_000), cost_of_sweep(100_000)
    sizes = "100,000 compared with 10,000"
    yield Row(f"sweep of 1,000 due: requests to find them, {sizes}", large.finding, small.finding, bound=1)
    yield Row("sweep of 1,000 due: requests to return them, from 20 members", large.transactions, bound=20)
    yield Row(f"sweep of 1,000 due: read units, {sizes}", large.read_units, small.read_units, bound=1)
    yield Row("sweep of 1,000 due: write units for each", large.write_units / DUE, small.write_units / DUE, bound=1)
    few, many = cost_of_round(1_000, due=10), cost_of_round(10_000, due=10)
    yield Row("round with 10 due of 10,000 pools: requests beside returning", many.others, bound=40)
    yield Row("round with 10 due: requests, of 10,000 pools and of 1,000", many.others, few.others, bound=1)
    yield Row("100,000 idle pools: USD a month", cost_of_idle_pools(100_000).usd, bound=10)
