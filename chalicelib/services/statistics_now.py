"""Count what a pool, or a member of it, has now: customers by state, and those that need attention.

The states are sums of the members' counters. Those that need attention are counted on the customers themselves, which
are read by deadline up to a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DUE, PLACE, Key
from chalicelib.dynamodb.table import Page, between
from chalicelib.model.model import Customer, Member, Pool
from chalicelib.model.pool_responses import Totals
from chalicelib.model.reports import StatisticsNow
from chalicelib.model.times import DAY
from chalicelib.services import totals
from chalicelib.services.pools import sound
from chalicelib.transactions.context import RequestContext

MAX_LOOKED_AT: Final = 1_000  # of the claims of a pool, of its private customers, and of the customers of a member
PAGE: Final = 250
NO_CONTACT_MS: Final = 3 * DAY
SOON_MS: Final = DAY


class _Found(NamedTuple):
    """Entries of a list, the first MAX_LOOKED_AT; `cut` if there are more."""

    entries: list[tuple[Key, Item]]
    cut: bool


def of_pool(ctx: RequestContext, pool: Pool, members: Sequence[Member]) -> StatisticsNow:
    table = ctx.backend.table
    claims_by_deadline = sharded_query.partitions_of(keys.due_in, pool)
    later, soon = between(DUE, pool.clock(ctx.now) + 1), between(DUE, ctx.now + 1, ctx.now + SOON_MS)
    claims = _first(sharded_query.pages(table, claims_by_deadline, index=DUE, between=later, limit=PAGE))
    private = _first(table.pages(keys.private_in(pool.tenant, pool.id), index=DUE, between=soon, limit=PAGE))
    customers = _customers(pool, [*claims.entries, *private.entries])
    states = totals.count_by_state(table, pool, members, lenient=True)
    return _now(ctx, pool, states, members, customers, cut=claims.cut or private.cut)


def of_member(ctx: RequestContext, pool: Pool, member: Member) -> StatisticsNow:
    """Return the numbers of one member, beside the customers that are available to everybody."""
    table, shared = ctx.backend.table, totals.of_pool(ctx, pool)
    listed = _first(table.pages(keys.place_of_holder(pool.tenant, pool.id, member.user), index=PLACE, limit=PAGE))
    stored = table.get([key for key, _ in listed.entries])
    present = [(key, item) for key, item in stored.items() if not items.is_tombstone(item)]
    customers = [each for each in _customers(pool, present) if each.holder == member.user]
    states = Totals(available=shared.available, claimed=member.held, private=member.private, set_aside=shared.set_aside)
    return _now(ctx, pool, states, [member], customers, cut=listed.cut)


def _first(pages: Iterable[Page]) -> _Found:
    found: list[tuple[Key, Item]] = []
    for page in pages:
        found += zip(page.keys, page.items, strict=True)
        if len(found) > MAX_LOOKED_AT:
            return _Found(found[:MAX_LOOKED_AT], True)
    return _Found(found, False)


def _customers(pool: Pool, entries: Iterable[tuple[Key, Item]]) -> list[Customer]:
    """Return the customers. A malformed one is logged and left out."""
    stored = [(keys.id_from_pk(key.pk), item) for key, item in entries]
    return sound("customer", stored, lambda item: items.customer_record(pool.tenant, pool.id, item))


def _now(
    ctx: RequestContext,
    pool: Pool,
    states: Totals,
    members: Sequence[Member],
    customers: Iterable[Customer],
    *,
    cut: bool,
) -> StatisticsNow:
    actor = ctx.actor(pool)
    clocks = [(each, actor.clock(each)) for each in customers]
    live = [(each, clock) for each, clock in clocks if not each.expired(clock)]
    return StatisticsNow(
        available=states.available,
        claimed=states.claimed,
        private=states.private,
        set_aside=states.set_aside,
        pinned=sum(member.pins for member in members),
        no_contact=sum(each.state == "claimed" and _contact(each) <= ctx.now - NO_CONTACT_MS for each, _ in live),
        expiring=sum(each.expires_at is not None and each.expires_at <= clock + SOON_MS for each, clock in live),
        cut=cut,
    )


def _contact(customer: Customer) -> int:
    """Return when the holder last recorded a contact in this claim, or else when it began."""
    return max(customer.claimed_at or 0, customer.last_follow_up_at or 0)
