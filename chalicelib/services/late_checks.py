"""Search all pools, once in an hour, for checks that are missing or too late, and move these to the present.

The schedule needs no search as long as every check is where it has to be: this bounds the delay if one is lost. It
lists the pools page by page and reads, for each whose check is more than an hour away, the first entry of its lists.
It writes nothing to a pool that is in order. A round continues where the last one stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from chalicelib.domain import checks
from chalicelib.domain.invariants import Difference
from chalicelib.dynamodb import items, keys, pool_items, sharded_query
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, NO_DEADLINE, REMINDER, Key
from chalicelib.dynamodb.operations import SetAttributes
from chalicelib.dynamodb.pool_items import MOVED_AT
from chalicelib.dynamodb.table import Table, Throttled, between
from chalicelib.model.model import Pool
from chalicelib.model.times import MINUTE
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from chalicelib.services.schedule import AT_ONCE, check_unchanged, store_checks
from chalicelib.services.sweeper import SecondsLeft
from chalicelib.transactions.context import Backend

log = logging.getLogger("customer-pool")
HOUR_MS: Final = 60 * MINUTE
PERIOD_MS: Final = 55 * MINUTE  # from search to search: they are in the same order, so each pool is in time
PAGE: Final = 100
A_CHECK: Final = "a check"


class Position(NamedTuple):
    """Where a search continues: after this pool of this tenant; "" for the first."""

    tenant: str = ""
    pool: str = ""


def continue_search(backend: Backend, now: int, seconds_left: SecondsLeft) -> int:
    """Continue the search of this period while there is time. Return how many checks were missing or too late."""
    table, key, period = backend.table, keys.search_key(), now // PERIOD_MS
    found = 0
    try:
        stored = table.get([key]).get(key, {})
        position = _position(stored, period)
        if position is None:
            return 0
        for reached, page in _pages(table, position):
            if seconds_left() < MIN_SECONDS_LEFT:
                if position.tenant:
                    _save(table, period, position)
                return found
            found += _correct(backend, page, now)
            position = reached
        _save(table, period, None)
    except Throttled:
        log.warning("the search for late checks is left for the next round: throttled")
    return found


def _pages(table: Table, position: Position) -> Iterator[tuple[Position, dict[Key, Item]]]:
    """Yield pages of pools as stored, by key, with the position after each."""
    first = position.tenant or None
    for tenants in table.pages(keys.tenant_key("").pk, between=between(None, low=first)):
        for tenant in tenants.keys:
            last = position.pool if tenant.sk == position.tenant else ""
            after = items.build_item(keys.pool_key(tenant.sk, last), {}) if last else None
            while True:
                page = table.query(keys.pool_key(tenant.sk, "").pk, after=after, limit=PAGE)
                if page.keys:
                    yield Position(tenant.sk, page.keys[-1].sk), dict(zip(page.keys, page.items, strict=True))
                after = page.last
                if after is None:
                    break


def _correct(backend: Backend, page: dict[Key, Item], now: int) -> int:
    """Move the checks of these pools to the present that are missing or too late. Return how many."""
    late: dict[Key, SetAttributes] = {}
    pools = list(page.items())
    for start in range(0, len(pools), AT_ONCE):
        group = pools[start : start + AT_ONCE]
        looks = backend.run_jobs([partial(is_late, backend.table, key, stored, now) for key, stored in group])
        for (key, stored), is_one in zip(group, looks, strict=True):
            if is_one:
                log.warning("the check of pool %s was missing or too late", key.sk)
                late[key] = moved_to_now(key, stored, now)
    store_checks(backend.table, late)
    return len(late)


def moved_to_now(key: Key, stored: Item, now: int) -> SetAttributes:
    """Return the write that moves the check of the pool to the present, if nothing has moved it meanwhile."""
    moved = pool_items.check_now(keys.tenant_from_pk(key.pk), key.sk, now)
    return SetAttributes(key, moved, condition=check_unchanged(stored))


def is_late(table: Table, key: Key, stored: Item, now: int) -> bool:
    """Return whether the check of the pool is missing, or later than something in its lists.

    A check within the next hour is not compared: it comes soon enough.
    """
    at = _scheduled(key, stored)
    if at is None or at <= now + HOUR_MS:
        return at is None
    try:
        pool = pool_items.pool_record(keys.tenant_from_pk(key.pk), stored)
    except MALFORMED:
        return True  # the check counts it as failed
    first = _first_of_pool(table, pool, now, within=HOUR_MS)
    return pool.resumed_at is not None or (first is not None and first.moment < at)


def difference(table: Table, key: Key, now: int) -> tuple[Item, Difference] | None:
    """Return how the check of a pool differs from its lists, and the pool as stored; None if it is in order.

    The check is read again after the customer that it is too late for: a difference is one if neither has changed.
    """
    stored = table.get([key]).get(key)
    if stored is None:
        return None
    at = _scheduled(key, stored)
    if at is None:
        return stored, Difference("check", A_CHECK, None)
    first = _first_of_pool(table, pool_items.pool_record(keys.tenant_from_pk(key.pk), stored), now)
    if first is None or first.moment >= at or at <= now:  # the next round checks it: something was left undone
        return None
    customer = Key(first.item["pk"]["S"], first.item["sk"]["S"])
    again = table.get([key, customer])
    listed = all(again.get(customer, {}).get(name) == first.item[name] for name in first.place)
    moved = any(again.get(key, {}).get(name) != stored.get(name) for name in (INDEX_RANGE[DUE], MOVED_AT))
    return None if moved or not listed else (stored, Difference("check", first.moment, at))


def _scheduled(key: Key, stored: Item) -> int | None:
    """Return the time of the pool's check. None if it is missing, or listed where no round reads it."""
    at = items.integer_or_none(stored.get(INDEX_RANGE[DUE]))
    partition = items.serialize(keys.schedule_of(keys.tenant_from_pk(key.pk), key.sk))
    return at if stored.get(DUE) == partition else None


class First(NamedTuple):
    """The first entry of a list, and when the schedule has to act on it."""

    moment: int
    place: tuple[str, str]  # the attributes of the index
    item: Item


def _first_of_pool(table: Table, pool: Pool, now: int, within: int | None = None) -> First | None:
    """Return the first deadline or reminder that the schedule has to act on. None without any.

    In a pool that is closed or resumed every claim is to be acted on now; in a paused one, those that expired before.
    With `within`, leave out what can be sooner than that only if a later verb has moved the check.
    """
    claims = _first(table, DUE, sharded_query.partitions_of(keys.due_in, pool))
    if pool.status != "open":
        waiting = pool.status == "closed" or pool.resumed_at is not None
        acts = claims is not None and (waiting or claims.moment <= pool.clock(now))
        return claims._replace(moment=now) if claims is not None and acts else None
    private_list = keys.private_in(pool.tenant, pool.id)
    private = None if within is not None and pool.policy.private_ttl is None else _first(table, DUE, [private_list])
    deadlines = [each for each in (claims, private) if each is not None and each.moment < NO_DEADLINE]
    deadline = min(deadlines, default=None, key=lambda each: each.moment)
    if deadline is None or not pool.policy.reminders:
        return deadline
    if within is not None and deadline.moment - checks.longest_reminder(pool.policy) > now + within:
        return deadline
    reminder = _first(table, REMINDER, [*sharded_query.partitions_of(keys.due_in, pool), private_list])
    return deadline if reminder is None else min(deadline, reminder, key=lambda each: each.moment)


def _first(table: Table, index: str, partitions: list[str]) -> First | None:
    """Return the first entry of these partitions."""
    firsts: list[First] = []
    for partition in partitions:
        page = next((page for page in table.pages(partition, index=index, limit=1) if page.items), None)
        if page is not None:
            sorted_by = INDEX_RANGE[index]
            firsts.append(First(items.sort_value(page.items[0][sorted_by]), (index, sorted_by), page.items[0]))
    return min(firsts, default=None, key=lambda each: each.moment)


# Progress


def _position(stored: Item, period: int) -> Position | None:
    """Return where to go on. None if the search of this period is complete."""
    if items.deserialize_or_none(stored.get("period")) != period:
        return Position()
    tenant, pool = (items.deserialize_or_none(stored.get(name)) for name in ("tenant", "pool"))
    return Position(tenant, pool) if isinstance(tenant, str) and isinstance(pool, str) else None


def _save(table: Table, period: int, position: Position | None) -> None:
    """Store how far the search is. None: it is complete."""
    where = {} if position is None else position._asdict()
    removed = Position._fields if position is None else ()
    table.write([SetAttributes(keys.search_key(), items.serialize_attributes({"period": period} | where), removed)])
