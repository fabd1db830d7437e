"""Queries of a pool's sharded lists, as if each were one partition.

Entries are ordered by the index sort value, then by shard. A page queries all shards concurrently; its cursor is the
last entry with its rank and shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from pynamodb.expressions.condition import Condition

from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import INDEX_RANGE, Key
from chalicelib.dynamodb.table import Page, Table, between
from chalicelib.model.model import Pool

T = TypeVar("T")
EXTRA_ENTRIES = 2  # each shard is queried for twice its share of a page, plus 2, since shards are uneven


class RunJobs(Protocol):
    """Runs independent jobs. Returns their results in order."""

    def __call__(self, jobs: Sequence[Callable[[], T]]) -> list[T]: ...


def run_in_order(jobs: Sequence[Callable[[], T]]) -> list[T]:
    return [job() for job in jobs]


def run_concurrently(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run jobs in threads: each waits for DynamoDB nearly all of its time."""
    if len(jobs) < 2:
        return run_in_order(jobs)
    # Only pools with shards need these; keeps cold starts short.
    from concurrent.futures import ThreadPoolExecutor

    from chalicelib.model.struct_types import prepare_structs

    prepare_structs()
    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(lambda job: job(), jobs))


def partitions_of(partition: Callable[[str, str, int], str], pool: Pool) -> list[str]:
    """Return the partitions of a pool's list, in the order of the shards."""
    return [partition(pool.tenant, pool.id, shard) for shard in range(pool.shards_read)]


def pages(table: Table, partitions: Sequence[str], **options: Any) -> Iterator[Page]:
    """Yield every page of each partition, one partition after the other."""
    for partition in partitions:
        yield from table.pages(partition, **options)


class Entry(NamedTuple):
    """An entry of a list: its sort value, its shard and the index item."""

    rank: int
    shard: int
    item: Item


def page(
    table: Table,
    partitions: Sequence[str],
    index: str,
    limit: int,
    after: tuple[Key, int, int] | None,
    jobs: RunJobs,
    high: int | None = None,
) -> list[Entry]:
    """Return the first `limit` entries of a numerically sorted list, or those after that key, rank and shard.

    With `high`, only those up to that rank.
    """
    share = EXTRA_ENTRIES * limit // len(partitions) + EXTRA_ENTRIES
    queries = [
        _start(index, partition, shard, after, high) | {"limit": share} for shard, partition in enumerate(partitions)
    ]
    first = jobs(
        [partial(table.query, partition, **query) for partition, query in zip(partitions, queries, strict=True)]
    )
    streams = [
        _stream(table, partition, shard, page, query)
        for shard, (partition, page, query) in enumerate(zip(partitions, first, queries, strict=True))
    ]
    return list(islice(merge(*streams, key=lambda entry: entry[:2]), limit))


class Looked(NamedTuple):
    """The entries that a look at a part of a list has found, and how many it looked at.

    `end` is the key, rank and shard where the list continues; None if it has ended.
    """

    entries: list[Entry]
    looked_at: int
    end: tuple[Key, Any, int] | None


def look(
    table: Table,
    partitions: Sequence[str],
    index: str,
    size: int,
    after: tuple[Key, Any, int] | None,
    jobs: RunJobs,
    where: Condition | None,
    part: Condition | None = None,
) -> Looked:
    """Look at about `size` entries of a list after that key, rank and shard. Return those that meet `where`.

    One query per shard. `part` limits a list of one partition. Entries beyond the end of the shortest look are left
    out.
    """
    after_all = [_start(index, partition, shard, after, None) for shard, partition in enumerate(partitions)]
    if len(partitions) == 1:
        after_all[0] |= {"between": part}
    options = {"limit": -(-size // len(partitions)), "where": where}
    asked = zip(partitions, after_all, strict=True)
    pages = jobs([partial(table.query, partition, **start | options) for partition, start in asked])
    ends = [
        (items.sort_value(page.last[INDEX_RANGE[index]]), shard, items.key_of(page.last))
        for shard, page in enumerate(pages)
        if page.last is not None
    ]
    end = min(ends, default=None)
    entries = [
        Entry(items.sort_value(item[INDEX_RANGE[index]]), shard, item)
        for shard, page in enumerate(pages)
        for item in page.items
    ]
    within = [each for each in entries if end is None or each[:2] <= end[:2]]
    if len(partitions) > 1:
        within.sort(key=lambda entry: entry[:2])
    return Looked(within, sum(page.looked_at for page in pages), None if end is None else (end[2], *end[:2]))


def _start(
    index: str, partition: str, shard: int, after: tuple[Key, int, int] | None, high: int | None
) -> dict[str, Any]:
    """Return the query options that continue a shard after the last entry of the page before.

    Shards before that entry's shard are read up to and including its rank, later ones up to it.
    """
    if after is None:
        return {"index": index, "between": between(index, high=high)}
    key, rank, last_shard = after
    if shard == last_shard:
        position = items.index_position(index, partition, key, rank)
        return {"index": index, "after": position, "between": between(index, high=high)}
    return {"index": index, "between": between(index, rank + 1 if shard < last_shard else rank, high)}


def _stream(table: Table, partition: str, shard: int, page: Page, query: dict[str, Any]) -> Iterator[Entry]:
    while True:
        for item in page.items:
            yield Entry(items.sort_value(item[INDEX_RANGE[query["index"]]]), shard, item)
        if page.last is None:
            return
        page = table.query(partition, **query | {"after": page.last})
