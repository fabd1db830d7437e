"""Move the index entries of a pool to their new shards after its shard count has changed.

Ten seconds after the request, every write uses the new shard count and every read covers the old and the new shards.
After 15 minutes no process is left that knows only the old count, so one pass over the lists moves all entries that no
write has moved. Such a move is not a transition: customer and version stay the same, and no event is published.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from chalicelib.domain import rules
from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, PLACE, Key, shard_of
from chalicelib.dynamodb.operations import Delete, SetAttributes
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ, Table
from chalicelib.model.model import Pool
from chalicelib.observability import exception_summary
from chalicelib.services.pools import updated_pool

STALE_MS: Final = 15 * 60_000  # longer than any Lambda invocation
MIN_SECONDS_LEFT: Final = 3.0  # upper bound for one page
log = logging.getLogger("customer-pool")


def continue_resharding(table: Table, pool: Pool, now: int, seconds_left: Callable[[], float]) -> None:
    """Move entries while there is time. After the last one, stop reading the old shards."""
    if pool.spread_from is None or pool.spread_at is None or now < pool.spread_at + STALE_MS:
        return
    lists = [(PLACE, each) for each in sharded_query.partitions_of(keys.place_available, pool)]
    lists += [(DUE, each) for each in sharded_query.partitions_of(keys.due_in, pool)]
    first, after = _load_progress(table, pool)
    for number in range(first, len(lists)):
        index, partition = lists[number]
        while True:
            if seconds_left() < MIN_SECONDS_LEFT:
                _save_progress(table, pool, number, after)
                return
            page = table.query(partition, index=index, after=after, limit=MAX_KEYS_PER_READ)
            _move(table, pool, page.keys, number % pool.shards_read)
            after = page.last
            if after is None:
                break
    _, write, _ = updated_pool(pool, replace(pool, spread_from=None, spread_at=None), now)
    # If the condition fails, the pool has changed and the next round continues.
    table.write([write, Delete(keys.resharding_key(pool.tenant, pool.id))])


def _move(table: Table, pool: Pool, found: Sequence[Key], shard: int) -> None:
    """Move the entries of `shard` that belong to another shard. An entry written meanwhile is already in its shard."""
    misplaced = [key for key in found if shard_of(keys.id_from_pk(key.pk), pool.shards) != shard]
    stored = {key: item for key, item in table.get(misplaced).items() if not items.is_tombstone(item)}
    pending = {key: put for key, item in stored.items() if (put := _relocation(pool, key, item))}
    while pending:
        refusing = table.write(list(pending.values()))
        pending = {key: put for key, put in pending.items() if refusing and key not in refusing}


def _relocation(pool: Pool, key: Key, stored: Item) -> SetAttributes | None:
    try:
        customer = items.customer_record(pool.tenant, pool.id, stored)
    except MALFORMED as error:
        log.error("malformed customer %s: %s", keys.id_from_pk(key.pk), exception_summary(error))
        return None
    same = rules.same_version(customer.version, customer.created_at)
    changes = items.customer_changes(customer, replace(customer, shards=pool.shards))
    return SetAttributes(key, *changes, same)


# Progress


def _load_progress(table: Table, pool: Pool) -> tuple[int, Item | None]:
    """Return where to continue: the number of the list, and the entry after which to read."""
    key = keys.resharding_key(pool.tenant, pool.id)
    note = table.get([key]).get(key)
    if note is None or items.deserialize(note["since"]) != pool.spread_at:
        return 0, None
    return items.deserialize(note["list"]), msgspec.json.decode(note["after"]["S"])


def _save_progress(table: Table, pool: Pool, number: int, after: Item | None) -> None:
    key = keys.resharding_key(pool.tenant, pool.id)
    noted = {"since": pool.spread_at, "list": number, "after": msgspec.json.encode(after).decode()}
    table.write([SetAttributes(key, items.serialize_attributes(noted))])
