"""Count the customers of pools by state, from the counters of their members.

The sums are exact when they are read. Answers with a pool may use sums that this process read within the last half
minute, since reading the members of a pool costs a unit for each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import Table
from chalicelib.model.model import Member, Pool
from chalicelib.model.pool_responses import Totals
from chalicelib.observability import exception_summary
from chalicelib.transactions.context import RequestContext

log = logging.getLogger("customer-pool")
MAX_AGE_MS: Final = 30_000
MAX_THREADS: Final = 16


def of_pool(ctx: RequestContext, pool: Pool) -> Totals:
    return of_pools(ctx, [pool])[pool.id]


def of_pools(ctx: RequestContext, pools: Sequence[Pool]) -> dict[str, Totals]:
    """Return the totals of each pool, cached or read: two reads per pool, and one more per hundred members."""
    known: dict[str, Totals] = {}
    missing: list[Pool] = []
    for pool in pools:
        read_at, totals = ctx.backend.totals.get((pool.tenant, pool.id), (0, None))
        if totals is not None and 0 <= ctx.now - read_at < MAX_AGE_MS:
            known[pool.id] = totals
        else:
            missing.append(pool)
    for start in range(0, len(missing), MAX_THREADS):
        part = missing[start : start + MAX_THREADS]
        read = ctx.backend.run_jobs([partial(_read, ctx.backend.table, pool) for pool in part])
        for pool, totals in zip(part, read, strict=True):
            ctx.backend.totals[pool.tenant, pool.id] = (ctx.now, totals)
            known[pool.id] = totals
    return known


def _read(table: Table, pool: Pool) -> Totals:
    """Read the totals of a pool. Malformed counters are logged and left out."""
    own_row = keys.pool_counts_key(pool.tenant, pool.id)
    roster = keys.member_roster(pool.tenant, pool.id)
    wanted = [own_row, *(key for page in table.pages(roster, index=ROSTER) for key in page.keys)]
    found = table.get(wanted)
    own = found.pop(own_row, {})
    return _sum(own, list(_members(pool, found.items(), malformed=[])), lenient=True)


def members_of(table: Table, pool: Pool, malformed: list[Key] | None = None) -> Iterator[Member]:
    """Yield every member as stored now. Raises where one is malformed, unless a list collects the keys of those."""
    roster = keys.member_roster(pool.tenant, pool.id)
    for page in table.pages(roster, index=ROSTER):
        yield from _members(pool, table.get(page.keys).items(), malformed)


def _members(pool: Pool, stored_members: Iterable[tuple[Key, Item]], malformed: list[Key] | None) -> Iterator[Member]:
    for key, stored in stored_members:
        try:
            yield pool_items.member_record(pool.tenant, pool.id, stored)
        except MALFORMED as error:
            if malformed is None:
                raise
            log.error("malformed member %s: %s", keys.id_from_pk(key.pk), exception_summary(error))
            malformed.append(key)


def count_by_state(table: Table, pool: Pool, members: Sequence[Member], *, lenient: bool = False) -> Totals:
    """Return the numbers of customers by state, summed from the members' counters.

    With `lenient`, a malformed counter of the pool's own is left out, as malformed members are. Raises MALFORMED.
    """
    key = keys.pool_counts_key(pool.tenant, pool.id)
    return _sum(table.get([key]).get(key, {}), members, lenient=lenient)


def _sum(own: Item, members: Sequence[Member], *, lenient: bool) -> Totals:
    """Add the counters of the members and of the pool's own row."""
    if lenient:
        own = {name: tagged for name, tagged in own.items() if isinstance(items.deserialize_or_none(tagged), int)}
    left = items.deserialize_item(own)
    pooled, aside = (
        left.get(name, 0) + sum(getattr(member, name) for member in members) for name in ("pooled", "aside")
    )
    claimed = sum(member.held for member in members)
    private = sum(member.private for member in members)
    return Totals(available=pooled - claimed - aside, claimed=claimed, private=private, set_aside=aside)
