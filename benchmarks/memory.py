"""The memory of the function after very many requests, compared with the memory once its cache is full.

A process caches two thousand customers, each with its latest events. It grows until all of them are cached and have
made their first transitions. Then the number of objects stays exactly constant, and soon after so does the memory.
FULL=1 makes 100,000 requests, otherwise 60,000.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.responder import responder
from benchmarks.rows import Row, Target
from benchmarks.warm_claim import service_at
from chalicelib.transactions.customer_cache import MAX_CUSTOMERS

FILLED = 40_000  # requests; by then each cached customer has made twenty transitions


def rows(target: Target) -> Iterator[Row]:
    """Measure in a new process, so that nothing else counts."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    last = 100_000 if target.full else 60_000
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(target, there, last))
    process.start()
    there.close()  # so that recv raises if the process dies
    early, filled, late = here.recv()
    process.join()
    since = f"after {last:,} requests, compared with after {FILLED:,}"
    yield Row("memory of the function after 1,000 requests", early[0], unit="MB")
    yield Row(f"memory {since}, when the cache is full", late[0], filled[0], bound=1.02, unit="MB")
    yield Row(f"objects {since}", late[1], filled[1], bound=1.001)


def _serve(target: Target, there: Connection, last: int) -> None:
    """Claim and release, in turn, as many customers as the cache holds."""
    world = target.world()
    world.pool("cold", claim_ttl="P30D")
    ids, measured = world.fill(MAX_CUSTOMERS, "cold"), list[tuple[float, int]]()
    for _ in world.user("alice", pool="cold").pages("/customers"):
        """Read every page, so that each customer is cached."""
    with responder() as address:
        request = service_at(world, address)
        for number in range(last):
            verb = "claim" if number // MAX_CUSTOMERS % 2 == 0 else "release"
            request(ids[number % MAX_CUSTOMERS], verb)
            if number + 1 in (1_000, FILLED, last):
                gc.collect()
                measured.append((resident(), len(gc.get_objects())))
    there.send(measured)


def resident() -> float:
    """Return the resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6
