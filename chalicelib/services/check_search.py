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
from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, REMINDER, Key
from chalicelib.dynamodb.operations import SetAttributes
from chalicelib.dynamodb.table import Table, Throttled, between
from chalicelib.model.model import Pool
from chalicelib.model.times import MINUTE
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from chalicelib.services.schedule import AT_ONCE, check_unchanged, store_checks
from chalicelib.services.sweeper import SecondsLeft
from chalicelib.transactions.context import Backend

log = logging.getLogger("customer-pool")
HOUR_MS: Final = 60 * MINUTE
PERIOD_MS: Final = 50 * MINUTE  # of a search: with the time that it takes, every pool is looked at within an hour
PAGE: Final = 100


class Position(NamedTuple):
    """Where a search goes on: after this pool of this tenant; "" for the first."""

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
        for place, page in _pages(table, position):
            if seconds_left() < MIN_SECONDS_LEFT:
                if position.tenant:
                    _save(table, period, position)
                return found
            found += _correct(backend, page, now)
            position = place
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
                moved = items.check_now(keys.tenant_from_pk(key.pk), key.sk, now)
                late[key] = SetAttributes(key, moved, condition=check_unchanged(stored))
    store_checks(backend.table, late)
    return len(late)


def is_late(table: Table, key: Key, stored: Item, now: int) -> bool:
    """Return whether the check of the pool is missing, or later than something in its lists.

    A check within the next hour is not compared: it comes soon enough.
    """
    tenant = keys.tenant_from_pk(key.pk)
    at = items.deserialize_or_none(stored.get(INDEX_RANGE[DUE]))
    if not isinstance(at, int) or stored.get(DUE) != items.serialize(keys.schedule_of(tenant, key.sk)):
        return True
    if at <= now + HOUR_MS:
        return False
    try:
        pool = items.pool_record(tenant, stored)
    except MALFORMED:
        return True  # the check counts it as failed
    first = earliest(table, pool, now)
    return first is not None and first < at


def earliest(table: Table, pool: Pool, now: int) -> int | None:
    """Return the first deadline or reminder that the schedule has to act on, at the earliest `now`. None without."""
    if pool.status == "paused":
        return now if pool.resumed_at is not None else None
    claims = _first(table, DUE, sharded_query.partitions_of(keys.due_in, pool))
    if pool.status == "closed":
        return None if claims is None else now
    private = _first(table, DUE, [keys.private_in(pool.tenant, pool.id)]) if pool.policy.private_ttl else None
    deadline = min((each for each in (claims, private) if each is not None), default=None)
    if deadline is None or deadline - checks.longest_reminder(pool.policy) > now + HOUR_MS:
        return deadline
    lists = [*sharded_query.partitions_of(keys.due_in, pool), keys.private_in(pool.tenant, pool.id)]
    reminder = _first(table, REMINDER, lists) if pool.policy.reminders else None
    return deadline if reminder is None else min(deadline, reminder)


def _first(table: Table, index: str, partitions: list[str]) -> int | None:
    """Return the first sort value in these partitions."""
    firsts: list[int] = []
    for partition in partitions:
        for page in table.pages(partition, index=index, limit=1):
            firsts += [items.sort_value(item[INDEX_RANGE[index]]) for item in page.items]
            if page.items:
                break
    return min(firsts, default=None)


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
