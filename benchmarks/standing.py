"""What the function keeps in memory after very many requests, against after its memory of customers has filled.

A process keeps copies of two thousand customers, each with its latest events; so it grows until it has them all and
each has gone through its first transitions, and no further: the number of objects stands still, exactly, and the memory
that the allocator holds for them soon after. FULL=1 makes 100,000 requests, otherwise 60,000.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.responder import responder
from benchmarks.rows import Place, Row
from benchmarks.warm_claim import service_at
from chalicelib.transactions.customer_cache import MAX_CUSTOMERS

FILLED = 40_000  # requests: by then each of the copies has gone through twenty transitions


def rows(place: Place) -> Iterator[Row]:
    """In a process of its own, so that nothing else is measured."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    last = 100_000 if place.full else 60_000
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(place, there, last))
    process.start()
    there.close()  # if it dies, that is noticed
    early, filled, late = here.recv()
    process.join()
    since = f"after {last:,} requests, against after {FILLED:,}"
    yield Row("memory of the function after 1,000 requests", early[0], unit="MB")
    yield Row(f"memory {since}, when all that it keeps is there", late[0], filled[0], bound=1.02, unit="MB")
    yield Row(f"objects {since}", late[1], filled[1], bound=1.001)


def _serve(place: Place, there: Connection, last: int) -> None:
    """Claims and releases, in turn, of as many customers as copies are kept of."""
    world = place.world()
    world.pool("cold", claim_ttl="P30D")
    ids, kept = world.fill(MAX_CUSTOMERS, "cold"), list[tuple[float, int]]()
    for _ in world.user("alice", pool="cold").pages("/customers"):
        """Now there is a copy of each."""
    with responder() as address:
        answer = service_at(world, address)
        for number in range(last):
            verb = "claim" if number // MAX_CUSTOMERS % 2 == 0 else "release"
            answer(ids[number % MAX_CUSTOMERS], verb)
            if number + 1 in (1_000, FILLED, last):
                gc.collect()
                kept.append((resident(), len(gc.get_objects())))
    there.send(kept)


def resident() -> float:
    """Megabytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6
