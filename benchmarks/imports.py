"""An import of many rows through the API, compared with BatchWriteItem of the same items, in alternating turns.

`FULL=1` imports 100,000 rows, otherwise 20,000. The memory of the importing process is measured too: it stays constant.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from benchmarks.memory import resident
from benchmarks.rows import Row, Target
from chalicelib.dynamodb import items as table_items
from chalicelib.model.model import Customer, created
from tests.support.world import START

REQUEST, TURN, BATCH = 100, 1_000, 25


def rows(target: Target) -> Iterator[Row]:
    count = 100_000 if target.full else 20_000
    world, plain = target.world(), target.table()
    world.pool()
    mona, ours, theirs, sizes = world.user("mona"), 0.0, 0.0, list[float]()
    for start in range(0, count, TURN):
        started = perf_counter()
        for first in range(start, start + TURN, REQUEST):
            sent = [{"id": f"c{number}", "name": f"Customer {number}"} for number in range(first, first + REQUEST)]
            assert mona.post("/import", {"rows": sent}).json["summary"]["ok"] == REQUEST
        between = perf_counter()
        write(plain.connection.client, plain.name, range(start, start + TURN))
        ours, theirs = ours + between - started, theirs + perf_counter() - between
        gc.collect()
        sizes.append(resident())
    name = f"import of {count:,} rows: rows a second, compared with BatchWriteItem"
    yield Row(name, count / ours, count / theirs, bound=0.5, at_least=True, unit="/s")
    quarter = len(sizes) // 4
    name = "import: memory at the end, compared with after a quarter"
    yield Row(name, sizes[-1], sizes[quarter], bound=1.05, unit="MB")


def write(client: Any, table: str, numbers: range) -> None:
    """Write the items of these customers, 25 in a request."""
    puts = [{"PutRequest": {"Item": item}} for number in numbers for item in items(number)]
    for start in range(0, len(puts), BATCH):
        answer = client.batch_write_item(RequestItems={table: puts[start : start + BATCH]})
        assert not answer["UnprocessedItems"]


def items(number: int) -> Iterator[table_items.Item]:
    name = f"Customer {number}"
    known = Customer("main", "p", f"c{number}", name, "available", 1, START, START, START, START, 1)
    yield table_items.customer_item(created(known, "imported", "mona"))
    yield table_items.fields_item(known)
