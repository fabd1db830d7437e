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

from chalicelib import layout, places, rules, shards
from chalicelib.actions import Delete, Put
from chalicelib.layout import MALFORMED, Item, Key
from chalicelib.outlines import outline
from chalicelib.places import DUE, PLACE, shard_of
from chalicelib.pools import rewritten
from chalicelib.records import Pool
from chalicelib.table import KEYS_A_READ, Table

STALE_MS: Final = 15 * 60_000  # longer than any function lives
NO_TIME_LEFT_S: Final = 3.0  # what a page may take at worst
log = logging.getLogger("customer-pool")


def go_on(table: Table, pool: Pool, now: int, seconds_left: Callable[[], float]) -> None:
    """Moves entries for as long as there is time; once none is left to move, the old places are read no more."""
    if pool.spread_from is None or pool.spread_at is None or now < pool.spread_at + STALE_MS:
        return
    lists = [(PLACE, each) for each in shards.of(places.place_available, pool)]
    lists += [(DUE, each) for each in shards.of(places.due_in, pool)]
    first, after = _noted(table, pool)
    for number in range(first, len(lists)):
        index, partition = lists[number]
        while True:
            if seconds_left() < NO_TIME_LEFT_S:
                _note(table, pool, number, after)
                return
            page = table.query(partition, index=index, after=after, limit=KEYS_A_READ)
            _move(table, pool, page.keys, number % pool.shards_read)
            after = page.last
            if after is None:
                break
    _, write, _ = rewritten(pool, replace(pool, spread_from=None, spread_at=None), now)
    table.write([write, Delete(layout.spread_key(pool.tenant, pool.id))])  # refused: the pool changed, the next goes on


def _move(table: Table, pool: Pool, found: Sequence[Key], shard: int) -> None:
    """Those that stand in that shard and belong to another one now. What has moved meanwhile is where it belongs."""
    astray = [key for key in found if shard_of(layout.id_in(key.pk), pool.shards) != shard]
    waiting = {key: put for key, item in table.get(astray).items() if (put := _moved(pool, key, item))}
    while waiting:
        refusing = table.write(list(waiting.values()))
        waiting = {key: put for key, put in waiting.items() if refusing and key not in refusing}


def _moved(pool: Pool, key: Key, stored: Item) -> Put | None:
    try:
        customer = layout.customer_record(pool.tenant, pool.id, stored)
    except MALFORMED as error:
        log.error("malformed customer %s: %s", layout.id_in(key.pk), outline(error))
        return None
    same = rules.same(customer.version, customer.created_at)
    return Put(key, layout.customer_item(replace(customer, shards=pool.shards)), same)


# How far it has come


def _noted(table: Table, pool: Pool) -> tuple[int, Item | None]:
    """Where to go on: in which of the lists, and after which entry."""
    key = layout.spread_key(pool.tenant, pool.id)
    note = table.get([key]).get(key)
    if note is None or layout.plain(note["since"]) != pool.spread_at:
        return 0, None
    return layout.plain(note["list"]), msgspec.json.decode(note["after"]["S"])


def _note(table: Table, pool: Pool, number: int, after: Item | None) -> None:
    key = layout.spread_key(pool.tenant, pool.id)
    noted = {"since": pool.spread_at, "list": number, "after": msgspec.json.encode(after).decode()}
    table.write([Put(key, layout.item(key, noted))])
