"""Spreads the lists of a pool over more shards, or fewer: moves the entries that still stand where they used to.

Ten seconds after it was asked for, whatever is written goes to its new place, and readers read both. A quarter of an
hour after it, no process is left that knows of the old number only, so one way through the lists moves all that did not
move by itself. A move is no transition: the same customer at the same version, with no event, where it belongs.
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
from chalicelib.dynamodb.operations import Delete, Put
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ, Table
from chalicelib.model.model import Pool
from chalicelib.observability import exception_summary
from chalicelib.services.pools import updated_pool

STALE_MS: Final = 15 * 60_000  # longer than any function lives
MIN_SECONDS_LEFT: Final = 3.0  # what a page may take at worst
log = logging.getLogger("customer-pool")


def continue_resharding(table: Table, pool: Pool, now: int, seconds_left: Callable[[], float]) -> None:
    """Moves entries for as long as there is time; once none is left to move, the old places are read no more."""
    if pool.spread_from is None or pool.spread_at is None or now < pool.spread_at + STALE_MS:
        return
    lists = [(PLACE, each) for each in sharded_query.partitions_of(keys.place_available, pool)]
    lists += [(DUE, each) for each in sharded_query.partitions_of(keys.due_in, pool)]
    first, after = _noted(table, pool)
    for number in range(first, len(lists)):
        index, partition = lists[number]
        while True:
            if seconds_left() < MIN_SECONDS_LEFT:
                _note(table, pool, number, after)
                return
            page = table.query(partition, index=index, after=after, limit=MAX_KEYS_PER_READ)
            _move(table, pool, page.keys, number % pool.shards_read)
            after = page.last
            if after is None:
                break
    _, write, _ = updated_pool(pool, replace(pool, spread_from=None, spread_at=None), now)
    table.write(
        [write, Delete(keys.resharding_key(pool.tenant, pool.id))]
    )  # refused: the pool changed, the next goes on


def _move(table: Table, pool: Pool, found: Sequence[Key], shard: int) -> None:
    """Those that stand in that shard and belong to another one now. What has moved meanwhile is where it belongs."""
    astray = [key for key in found if shard_of(keys.id_from_pk(key.pk), pool.shards) != shard]
    waiting = {key: put for key, item in table.get(astray).items() if (put := _moved(pool, key, item))}
    while waiting:
        refusing = table.write(list(waiting.values()))
        waiting = {key: put for key, put in waiting.items() if refusing and key not in refusing}


def _moved(pool: Pool, key: Key, stored: Item) -> Put | None:
    try:
        customer = items.customer_record(pool.tenant, pool.id, stored)
    except MALFORMED as error:
        log.error("malformed customer %s: %s", keys.id_from_pk(key.pk), exception_summary(error))
        return None
    same = rules.same_version(customer.version, customer.created_at)
    return Put(key, items.customer_item(replace(customer, shards=pool.shards)), same)


# How far it has come


def _noted(table: Table, pool: Pool) -> tuple[int, Item | None]:
    """Where to go on: in which of the lists, and after which entry."""
    key = keys.resharding_key(pool.tenant, pool.id)
    note = table.get([key]).get(key)
    if note is None or items.deserialize(note["since"]) != pool.spread_at:
        return 0, None
    return items.deserialize(note["list"]), msgspec.json.decode(note["after"]["S"])


def _note(table: Table, pool: Pool, number: int, after: Item | None) -> None:
    key = keys.resharding_key(pool.tenant, pool.id)
    noted = {"since": pool.spread_at, "list": number, "after": msgspec.json.encode(after).decode()}
    table.write([Put(key, items.build_item(key, noted))])
