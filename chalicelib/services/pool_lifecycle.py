"""What an admin does with a pool as a whole: pause, resume, close, open again, spread, delete (rule 21).

The pool's own record changes at once and says what is still to be done with its claims; `rounds` does that, here and
in every later round until it is done, however many there are. Nothing here moves a customer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import rules
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import ROSTER
from chalicelib.dynamodb.table import MAX_ACTIONS, Delete
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Closing, Pool
from chalicelib.services import sweeper
from chalicelib.services.pools import updated_pool
from chalicelib.transactions import serializers
from chalicelib.transactions.context import RequestContext


def pause(ctx: RequestContext, pool_id: str) -> dict[str, Any]:
    """No more claims, and every deadline stands still until the pool is resumed."""

    def paused(pool: Pool) -> Pool:
        if pool.status == "closed":
            raise Refused(Refusal("pool_not_open"))
        if pool.resumed_at is not None:
            raise Refused(Refusal("request_in_progress"))
        return pool if pool.paused_at else replace(pool, status="paused", paused_at=ctx.now, pauses=pool.pauses + 1)

    return _changed(ctx, pool_id, paused)


def resume(ctx: RequestContext, pool_id: str) -> dict[str, Any]:
    """Every deadline moves by exactly the pause; then the pool is open. With very many claims, in a later round."""

    def resumed(pool: Pool) -> Pool:
        if pool.status == "closed":
            raise Refused(Refusal("pool_not_open"))
        return pool if pool.status == "open" or pool.resumed_at else replace(pool, resumed_at=ctx.now)

    return _changed(ctx, pool_id, resumed)


def close(ctx: RequestContext, pool_id: str, mode: Closing) -> dict[str, Any]:
    """No more claims, and none is left: they go back to the pool, or to their holders for good."""

    def closed(pool: Pool) -> Pool:
        if pool.status == "closed" and pool.closing == mode:
            return pool
        return replace(pool, status="closed", closing=mode, resumed_at=None)

    return _changed(ctx, pool_id, closed)


def reopen(ctx: RequestContext, pool_id: str) -> dict[str, Any]:
    """A closed pool is open again. A paused one is resumed, not opened: its clocks have to be put right."""

    def opened(pool: Pool) -> Pool:
        if pool.status == "paused":
            raise Refused(Refusal("pool_not_open"))
        return replace(pool, status="open", closing=None, paused_at=None)

    return _changed(ctx, pool_id, opened)


def _changed(
    ctx: RequestContext,
    pool_id: str,
    change: Callable[[Pool], Pool],
    shown: Callable[[Pool], dict[str, Any]] = serializers.pool,
) -> dict[str, Any]:
    """The pool after that change, and after as much of its consequences as there was time for."""
    ctx.by_admin()
    if ctx.idempotency is None or 0 not in ctx.idempotency.answers:
        _write(ctx, pool_id, change)
    pool = sweeper.continue_lifecycle(ctx.backend, ctx.pool_now(pool_id), ctx.now, sweeper.request_time_left())
    ctx.forget(pool_id)
    return ctx.finish(shown(pool))


def _write(ctx: RequestContext, pool_id: str, change: Callable[[Pool], Pool]) -> None:
    while True:
        pool = _as_asked(ctx, pool_id)
        changed = change(pool)
        if changed == pool:
            return
        _, write, same = updated_pool(pool, changed, ctx.now)
        try:
            ctx.commit([write], [same], {}, position=0)
            return
        except Refused as refused:
            if refused.refusal.reason != "version_conflict" or ctx.if_match is not None:
                raise


def _as_asked(ctx: RequestContext, pool_id: str) -> Pool:
    """The pool as it is now. Raises Refused where that is not the version which the client insists on."""
    pool = ctx.pool_now(pool_id)
    if ctx.if_match not in (None, pool.version):
        raise Refused(Refusal("version_conflict"))
    return pool


def spread(ctx: RequestContext, pool_id: str, shards: int) -> dict[str, Any]:
    """The pool's lists shall stand in so many shards: the schedule moves them there, beside all that goes on."""

    def spreading(pool: Pool) -> Pool:
        if pool.shards == shards:
            return pool
        if pool.spread_from is not None:
            raise Refused(Refusal("request_in_progress"))
        return replace(pool, shards=shards, spread_from=pool.shards, spread_at=ctx.now)

    return _changed(ctx, pool_id, spreading, serializers.spread_pool)


# Delete


def delete(ctx: RequestContext, pool_id: str) -> dict[str, Any]:
    """Takes away a pool without customers, its members and its statistics. Raises Refused where there are any.

    It is closed first, which keeps customers from entering while it is looked at; and opened again if it has some.
    """
    ctx.by_admin()
    before = _as_asked(ctx, pool_id)
    _empty(ctx, before)
    closed = _shut(ctx, before)
    try:
        _empty(ctx, closed)
    except Refused:
        _put(ctx, closed, before)
        raise
    _clear(ctx, closed)
    same = rules.unchanged_since(keys.pool_key(closed.tenant, closed.id), closed.version)
    ctx.forget(pool_id)
    return ctx.commit([Delete(same.key, same.condition)], [same], {"id": closed.id})


def _empty(ctx: RequestContext, pool: Pool) -> None:
    roster = keys.customer_roster(pool.tenant, pool.id)
    if ctx.backend.table.query(roster, index=ROSTER, limit=1).keys:
        raise Refused(Refusal("pool_not_empty"))


def _shut(ctx: RequestContext, before: Pool) -> Pool:
    """The pool, closed: by whoever was first, since an earlier attempt of this very request may have been late."""
    try:
        _put(ctx, before, replace(before, status="closed", closing="drain"))
    except Refused:
        closed = ctx.pool_now(before.id)
        if (closed.status, closed.closing) != ("closed", "drain"):
            raise
        return closed
    return ctx.pool_now(before.id)


def _put(ctx: RequestContext, known: Pool, changed: Pool) -> None:
    _, write, same = updated_pool(known, changed, ctx.now)
    if ctx.backend.table.write([write]) is not None:
        raise Refused(Refusal(same.reason))
    ctx.forget(known.id)


def _clear(ctx: RequestContext, pool: Pool) -> None:
    """Members hold nothing here any more; nobody shall belong to a pool of the same name that is made later."""
    table = ctx.backend.table
    members = table.pages(keys.member_roster(pool.tenant, pool.id), index=ROSTER, limit=MAX_ACTIONS)
    days = table.pages(keys.days_of(pool.tenant, pool.id), limit=MAX_ACTIONS)
    for page in (*members, *days):
        if page.keys:
            table.write([Delete(key) for key in page.keys])
