"""64 processes use claim-next at the same time until a thousand customers are claimed. Counts, from a fixed seed.

Also with a filter that one of ten customers fits, until these are claimed, and in ten territories.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, Target
from tests.proofs.contention import crowd, crowded_pool, divided_pool

CALLERS, CUSTOMERS = 64, 1_000


def rows(target: Target) -> Iterator[Row]:
    taken = crowd(crowded_pool(CALLERS, CUSTOMERS), CALLERS)
    yield Row("claim-next, 64 processes at once: transactions a claim", taken.transactions, bound=1.3)
    yield Row("claim-next, 64 processes at once: reads a claim", taken.reads, bound=1.2)
    yield Row("claim-next, 64 processes at once: transactions of the worst claim", taken.worst, bound=8)
    shared = crowd(crowded_pool(CALLERS, CUSTOMERS), CALLERS, shared=True)
    yield Row("claim-next, 64 callers of one process: transactions a claim", shared.transactions, bound=1.2)
    yield Row("claim-next, 64 callers of one process: reads a claim", shared.reads, bound=0.3)
    filtered = crowd(divided_pool(CALLERS, CUSTOMERS, territories=False), CALLERS, filters={"level": ["3"]})
    yield Row("claim-next, 64 processes, a filter of 1 in 10: transactions a claim", filtered.transactions, bound=1.4)
    yield Row("claim-next, 64 processes, a filter of 1 in 10: read units a claim", filtered.read_units, bound=60)
    divided = crowd(divided_pool(CALLERS, CUSTOMERS, territories=True), CALLERS)
    yield Row("claim-next, 64 processes, ten territories: transactions a claim", divided.transactions, bound=1.2)
    yield Row("claim-next, 64 processes, ten territories: read units a claim", divided.read_units, bound=8)
    alone = crowd(divided_pool(1, CUSTOMERS, territories=True), 1, calls=20)
    yield Row("claim-next, alone in a territory: read units a claim", alone.read_units, bound=20)
