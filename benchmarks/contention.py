"""64 processes use claim-next at the same time until a thousand customers are claimed. Counts, from a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, Target
from tests.proofs.contention import crowd, crowded_pool

CALLERS, CUSTOMERS = 64, 1_000


def rows(target: Target) -> Iterator[Row]:
    taken = crowd(crowded_pool(CALLERS, CUSTOMERS), CALLERS)
    yield Row("claim-next, 64 processes at once: transactions a claim", taken.transactions, bound=1.3)
    yield Row("claim-next, 64 processes at once: reads a claim", taken.reads, bound=1.2)
    yield Row("claim-next, 64 processes at once: transactions of the worst claim", taken.worst, bound=8)
    shared = crowd(crowded_pool(CALLERS, CUSTOMERS), CALLERS, shared=True)
    yield Row("claim-next, 64 callers of one process: transactions a claim", shared.transactions, bound=1.2)
    yield Row("claim-next, 64 callers of one process: reads a claim", shared.reads, bound=0.3)
