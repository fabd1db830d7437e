"""The cost of a sweep of a thousand expired claims in a small pool and in one ten times as large. Counted."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, Target
from tests.support.large_pools import DUE, cost_of_sweep


def rows(target: Target) -> Iterator[Row]:
    small, large = cost_of_sweep(10_000), cost_of_sweep(100_000)
    sizes = "100,000 compared with 10,000"
    yield Row(f"sweep of 1,000 due: requests to find them, {sizes}", large.finding, small.finding, bound=1)
    yield Row("sweep of 1,000 due: requests to return them, from 20 members", large.transactions, bound=20)
    yield Row(f"sweep of 1,000 due: read units, {sizes}", large.read_units, small.read_units, bound=1)
    yield Row("sweep of 1,000 due: write units for each", large.write_units / DUE, small.write_units / DUE, bound=1)
