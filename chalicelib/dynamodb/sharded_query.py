"""Reads the lists of a pool that may be spread over several partitions, as if each were one.

The order is that of one list: by what the index sorts by, and where that is equal, by shard. A page is asked of all
shards at once, and goes on from its last entry, of which it is known in which shard it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import INDEX_RANGE, Key
from chalicelib.dynamodb.table import Page, Table, between
from chalicelib.model.model import Pool

T = TypeVar("T")
EXTRA_ENTRIES = 2  # times its part of a page is asked of each shard, and as many besides: they are not all alike


class RunJobs(Protocol):
    """How jobs are done that do not wait for each other: their results, in order."""

    def __call__(self, jobs: Sequence[Callable[[], T]]) -> list[T]: ...


def run_in_order(jobs: Sequence[Callable[[], T]]) -> list[T]:
    return [job() for job in jobs]


def run_concurrently(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """In threads: each job waits for the engine nearly all of its time."""
    if len(jobs) < 2:
        return run_in_order(jobs)
    from concurrent.futures import ThreadPoolExecutor  # where lists are in several shards: no cold start waits for it

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(lambda job: job(), jobs))


def partitions_of(partition: Callable[[str, str, int], str], pool: Pool) -> list[str]:
    """The partitions over which that list of a pool is spread, in the order of the shards."""
    return [partition(pool.tenant, pool.id, shard) for shard in range(pool.shards_read)]


def pages(table: Table, partitions: Sequence[str], **asked: Any) -> Iterator[Page]:
    """Every page of each, one after the other."""
    for partition in partitions:
        yield from table.pages(partition, **asked)


class Entry(NamedTuple):
    """Of a list: what it is sorted by, the shard, and the item of the index."""

    rank: int
    shard: int
    item: Item


def page(
    table: Table, partitions: Sequence[str], index: str, limit: int, after: tuple[Key, int, int] | None, jobs: RunJobs
) -> list[Entry]:
    """The first `limit` entries of a list that is sorted by a number, or those after that key, rank and shard."""
    part = EXTRA_ENTRIES * limit // len(partitions) + EXTRA_ENTRIES
    asks = [_from(index, partition, shard, after) | {"limit": part} for shard, partition in enumerate(partitions)]
    first = jobs([partial(table.query, partition, **ask) for partition, ask in zip(partitions, asks, strict=True)])
    streams = [
        _stream(table, partition, shard, got, ask)
        for shard, (partition, got, ask) in enumerate(zip(partitions, first, asks, strict=True))
    ]
    return list(islice(merge(*streams, key=lambda entry: entry[:2]), limit))


def _from(index: str, partition: str, shard: int, after: tuple[Key, int, int] | None) -> dict[str, Any]:
    """Where a shard goes on: those before the last entry's have been gone through up to its rank, it is included."""
    if after is None:
        return {"index": index}
    key, rank, of_last = after
    if shard == of_last:
        return {"index": index, "after": items.index_position(index, partition, key, rank)}
    return {"index": index, "between": between(index, low=rank + 1 if shard < of_last else rank)}


def _stream(table: Table, partition: str, shard: int, page: Page, ask: dict[str, Any]) -> Iterator[Entry]:
    while True:
        for item in page.items:
            yield Entry(items.deserialize(item[INDEX_RANGE[ask["index"]]]), shard, item)
        if page.last is None:
            return
        page = table.query(partition, **ask | {"after": page.last})
