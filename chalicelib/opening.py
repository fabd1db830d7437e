"""What an admin does with a pool as a whole: pause, resume, close, open again, spread, delete (rule 21).

The pool's own record changes at once and says what is still to be done with its claims; `rounds` does that, here and
in every later round until it is done, however many there are. Nothing here moves a customer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib import layout, places, rounds, rules, views
from chalicelib.context import Call
from chalicelib.places import ROSTER
from chalicelib.pools import rewritten
from chalicelib.records import Closing, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.table import ACTIONS_A_TRANSACTION, Delete


def pause(call: Call, pool_id: str) -> dict[str, Any]:
    """No more claims, and every deadline stands still until the pool is resumed."""

    def paused(pool: Pool) -> Pool:
        if pool.status == "closed":
            raise Refused(Refusal("pool_not_open"))
        if pool.resumed_at is not None:
            raise Refused(Refusal("request_in_progress"))
        return pool if pool.paused_at else replace(pool, status="paused", paused_at=call.now, pauses=pool.pauses + 1)

    return _changed(call, pool_id, paused)


def resume(call: Call, pool_id: str) -> dict[str, Any]:
    """Every deadline moves by exactly the pause; then the pool is open. With very many claims, in a later round."""

    def resumed(pool: Pool) -> Pool:
        if pool.status == "closed":
            raise Refused(Refusal("pool_not_open"))
        return pool if pool.status == "open" or pool.resumed_at else replace(pool, resumed_at=call.now)

    return _changed(call, pool_id, resumed)


def close(call: Call, pool_id: str, mode: Closing) -> dict[str, Any]:
    """No more claims, and none is left: they go back to the pool, or to their holders for good."""

    def closed(pool: Pool) -> Pool:
        if pool.status == "closed" and pool.closing == mode:
            return pool
        return replace(pool, status="closed", closing=mode, resumed_at=None)

    return _changed(call, pool_id, closed)


def open_again(call: Call, pool_id: str) -> dict[str, Any]:
    """A closed pool is open again. A paused one is resumed, not opened: its clocks have to be put right."""

    def opened(pool: Pool) -> Pool:
        if pool.status == "paused":
            raise Refused(Refusal("pool_not_open"))
        return replace(pool, status="open", closing=None, paused_at=None)

    return _changed(call, pool_id, opened)


def _changed(
    call: Call, pool_id: str, change: Callable[[Pool], Pool], shown: Callable[[Pool], dict[str, Any]] = views.pool
) -> dict[str, Any]:
    """The pool after that change, and after as much of its consequences as there was time for."""
    call.by_admin()
    if call.journal is None or 0 not in call.journal.answers:
        _write(call, pool_id, change)
    pool = rounds.finish(call.backend, call.pool_now(pool_id), call.now, rounds.time_for_a_request())
    call.forget(pool_id)
    return call.finish(shown(pool))


def _write(call: Call, pool_id: str, change: Callable[[Pool], Pool]) -> None:
    while True:
        pool = _as_asked(call, pool_id)
        changed = change(pool)
        if changed == pool:
            return
        _, write, same = rewritten(pool, changed, call.now)
        try:
            call.commit([write], [same], {}, position=0)
            return
        except Refused as refused:
            if refused.refusal.reason != "version_conflict" or call.if_match is not None:
                raise


def _as_asked(call: Call, pool_id: str) -> Pool:
    """The pool as it is now. Raises Refused where that is not the version which the client insists on."""
    pool = call.pool_now(pool_id)
    if call.if_match not in (None, pool.version):
        raise Refused(Refusal("version_conflict"))
    return pool


def spread(call: Call, pool_id: str, shards: int) -> dict[str, Any]:
    """The pool's lists shall stand in so many shards: the schedule moves them there, beside all that goes on."""

    def spreading(pool: Pool) -> Pool:
        if pool.shards == shards:
            return pool
        if pool.spread_from is not None:
            raise Refused(Refusal("request_in_progress"))
        return replace(pool, shards=shards, spread_from=pool.shards, spread_at=call.now)

    return _changed(call, pool_id, spreading, views.spread_pool)


# Delete


def delete(call: Call, pool_id: str) -> dict[str, Any]:
    """Takes away a pool without customers, its members and its statistics. Raises Refused where there are any.

    It is closed first, which keeps customers from entering while it is looked at; and opened again if it has some.
    """
    call.by_admin()
    before = _as_asked(call, pool_id)
    _empty(call, before)
    closed = _shut(call, before)
    try:
        _empty(call, closed)
    except Refused:
        _put(call, closed, before)
        raise
    _clear(call, closed)
    same = rules.unchanged_since(layout.pool_key(closed.tenant, closed.id), closed.version)
    call.forget(pool_id)
    return call.commit([Delete(same.key, same.condition)], [same], {"id": closed.id})


def _empty(call: Call, pool: Pool) -> None:
    roster = places.roster_of_customers(pool.tenant, pool.id)
    if call.backend.table.query(roster, index=ROSTER, limit=1).keys:
        raise Refused(Refusal("pool_not_empty"))


def _shut(call: Call, before: Pool) -> Pool:
    """The pool, closed: by whoever was first, since an earlier attempt of this very request may have been late."""
    try:
        _put(call, before, replace(before, status="closed", closing="drain"))
    except Refused:
        closed = call.pool_now(before.id)
        if (closed.status, closed.closing) != ("closed", "drain"):
            raise
        return closed
    return call.pool_now(before.id)


def _put(call: Call, known: Pool, changed: Pool) -> None:
    _, write, same = rewritten(known, changed, call.now)
    if call.backend.table.write([write]) is not None:
        raise Refused(Refusal(same.reason))
    call.forget(known.id)


def _clear(call: Call, pool: Pool) -> None:
    """Members hold nothing here any more; nobody shall belong to a pool of the same name that is made later."""
    table = call.backend.table
    members = table.pages(places.roster_of_members(pool.tenant, pool.id), index=ROSTER, limit=ACTIONS_A_TRANSACTION)
    days = table.pages(layout.days_of(pool.tenant, pool.id), limit=ACTIONS_A_TRANSACTION)
    for page in (*members, *days):
        if page.keys:
            table.write([Delete(key) for key in page.keys])
