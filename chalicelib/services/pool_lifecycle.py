"""Pause, resume, close, reopen, reshard and delete a pool (rule 21). Admins only.

The pool's record changes at once and stores the work that is left to do on its claims. `sweeper` does that work, first
within the request and then in every scheduled round until it is complete. Nothing here writes a customer.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from chalicelib.domain import rendering, rules
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import ROSTER
from chalicelib.dynamodb.table import MAX_ACTIONS, Delete, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Closing, Pool
from chalicelib.model.pool_responses import DeletedPool, Totals
from chalicelib.model.responses import Body, Schema
from chalicelib.services import sweeper, totals
from chalicelib.services.pools import MAX_WRITES, updated_pool
from chalicelib.transactions import change_log
from chalicelib.transactions.context import RequestContext


def pause(ctx: RequestContext, pool_id: str) -> Body:
    """Stop new claims, and stop every deadline until the pool is resumed."""

    def paused(pool: Pool) -> Pool:
        if pool.status == "closed":
            raise Refused(Refusal("pool_not_open"))
        if pool.resumed_at is not None:
            raise Refused(Refusal("request_in_progress"))
        return pool if pool.paused_at else replace(pool, status="paused", paused_at=ctx.now, pauses=pool.pauses + 1)

    return _changed(ctx, pool_id, paused)


def resume(ctx: RequestContext, pool_id: str) -> Body:
    """Move every deadline by exactly the pause, then open the pool; with very many claims, in a later round."""

    def resumed(pool: Pool) -> Pool:
        if pool.status == "closed":
            raise Refused(Refusal("pool_not_open"))
        return pool if pool.status == "open" or pool.resumed_at else replace(pool, resumed_at=ctx.now)

    return _changed(ctx, pool_id, resumed)


def close(ctx: RequestContext, pool_id: str, mode: Closing) -> Body:
    """Stop new claims and end the existing ones: return them to the pool, or give them to their holders for good."""

    def closed(pool: Pool) -> Pool:
        if pool.status == "closed" and pool.closing == mode:
            return pool
        return replace(pool, status="closed", closing=mode, resumed_at=None)

    return _changed(ctx, pool_id, closed)


def reopen(ctx: RequestContext, pool_id: str) -> Body:
    """Open a closed pool again. A paused pool must be resumed instead, since its deadlines have to move."""

    def opened(pool: Pool) -> Pool:
        if pool.status == "paused":
            raise Refused(Refusal("pool_not_open"))
        return replace(pool, status="open", closing=None, paused_at=None)

    return _changed(ctx, pool_id, opened)


def _changed(
    ctx: RequestContext,
    pool_id: str,
    change: Callable[[Pool], Pool],
    render: Callable[[Pool, Totals], Body] = rendering.pool,
) -> Body:
    """Return the pool after the change, and after as much of the work on its claims as time allows."""
    ctx.by_admin()
    if 0 not in ctx.idempotency.answers:
        _write(ctx, pool_id, change)
    pool = sweeper.continue_lifecycle(ctx.backend, ctx.pool_now(pool_id), ctx.now, sweeper.request_time_left())
    ctx.forget(pool_id)
    return ctx.finish(render(pool, totals.of_pool(ctx, pool)))


def _write(ctx: RequestContext, pool_id: str, change: Callable[[Pool], Pool]) -> None:
    for _ in range(MAX_WRITES):
        pool = _required_version(ctx, pool_id)
        changed = change(pool)
        if changed == pool:
            return
        _, write, same = updated_pool(pool, changed, ctx.now)
        try:
            ctx.commit([write, *change_log.of_pool(ctx, pool, changed)], [same], Schema(), position=0)
            return
        except Refused as refused:
            if refused.refusal.reason != "version_conflict" or ctx.if_match is not None:
                raise
    raise Throttled


def _required_version(ctx: RequestContext, pool_id: str) -> Pool:
    """Return the stored pool. Raises Refused if its version is not the one in If-Match."""
    pool = ctx.pool_now(pool_id)
    if ctx.if_match not in (None, pool.version):
        raise Refused(Refusal("version_conflict"))
    return pool


def spread(ctx: RequestContext, pool_id: str, shards: int) -> Body:
    """Set the number of shards of the pool's lists. The schedule moves the entries while the pool is in use."""

    def spreading(pool: Pool) -> Pool:
        if pool.shards == shards:
            return pool
        if pool.spread_from is not None:
            raise Refused(Refusal("request_in_progress"))
        return replace(pool, shards=shards, spread_from=pool.shards, spread_at=ctx.now)

    return _changed(ctx, pool_id, spreading, rendering.resharded_pool)


# Delete


def delete(ctx: RequestContext, pool_id: str) -> Body:
    """Delete a pool without customers, with its members and statistics. Raises Refused if it has customers.

    The pool is closed first, so that no customer enters during the check, and restored if it has customers.
    """
    ctx.by_admin()
    before = _required_version(ctx, pool_id)
    _require_empty(ctx, before)
    closed = _shut(ctx, before)
    try:
        _require_empty(ctx, closed)
    except Refused:
        _put(ctx, closed, before)
        raise
    _clear(ctx, closed)
    same = rules.matches_if_match(keys.pool_key(closed.tenant, closed.id), closed.version)
    ctx.forget(pool_id)
    progress = Delete(keys.field_job_key(closed.tenant, closed.id))  # a job at work may have written it again
    return ctx.commit([Delete(same.key, same.condition), progress], [same], DeletedPool(closed.id))


def _require_empty(ctx: RequestContext, pool: Pool) -> None:
    roster = keys.customer_roster(pool.tenant, pool.id)
    if ctx.backend.table.query(roster, index=ROSTER, limit=1).keys:
        raise Refused(Refusal("pool_not_empty"))


def _shut(ctx: RequestContext, before: Pool) -> Pool:
    """Close and return the pool. It may already be closed by an earlier attempt of this request."""
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
    """Delete members, statistics, territories, the log and the progress of jobs.

    None of it is left for a later pool with the same id.
    """
    table = ctx.backend.table
    members = table.pages(keys.member_roster(pool.tenant, pool.id), index=ROSTER, limit=MAX_ACTIONS)
    days = table.pages(keys.days_of(pool.tenant, pool.id), limit=MAX_ACTIONS)
    changes = table.pages(keys.log_of(pool.tenant, pool.id), limit=MAX_ACTIONS)
    for page in (*members, *days, *changes):
        if page.keys:
            table.write([Delete(key) for key in page.keys])
    rest = (keys.territories_key, keys.resharding_key, keys.indexing_key)
    table.write([Delete(key_of(pool.tenant, pool.id)) for key_of in rest])
