"""Returns lapsed claims to their pools: for the schedule, for `POST /sweep`, and for a member short of headroom.

The horizon is fixed once. Due claims are found through an index, page by page, and each is returned on the condition
that it is still the same claim and still due: so an extension a moment earlier wins, and a sweep may run twice, in
parallel, or be killed anywhere. It must never take a claim that is not past its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from chalicelib import layout, moves
from chalicelib.context import Backend, Call
from chalicelib.copies import Copies, MalformedRecord
from chalicelib.layout import DUE, PLACE
from chalicelib.moves import SYSTEM, Actor, Move
from chalicelib.records import Customer, Pool
from chalicelib.refusals import Refusal
from chalicelib.settling import Desk, settle
from chalicelib.table import MalformedWrite, between

PAGE: Final = 500
NO_TIME_LEFT_S: Final = 3.0  # what one page may take at worst


class Report(Struct):
    """What one pass did. `changed` were no longer due when written; `lag_ms` is the age of the oldest due claim."""

    due: int = 0
    returned: int = 0
    changed: int = 0
    failed: int = 0
    remaining: int = 0
    lag_ms: int = 0

    def add(self, other: Report) -> None:
        for name in ("due", "returned", "changed", "failed", "remaining"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lag_ms = max(self.lag_ms, other.lag_ms)

    def body(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("due", "returned", "changed", "failed", "remaining")}
        return counts | {"lag_s": self.lag_ms / 1000}


def every_pool(backend: Backend) -> Iterator[Pool]:
    """Every pool of every tenant, for the schedule."""
    for page in backend.table.pages(layout.tenant_key("").pk):
        for key in page.keys:
            yield from pools_of(backend, key.sk)


def pools_of(backend: Backend, tenant: str) -> Iterator[Pool]:
    for page in backend.table.pages(layout.pool_key(tenant, "").pk):
        yield from (layout.pool_record(tenant, stored) for stored in page.items)


def sweep(
    backend: Backend,
    pools: Iterator[Pool],
    now: int,
    seconds_left: Callable[[], float],
    *,
    dry_run: bool = False,
) -> Report:
    """One pass over those pools, up to the horizon `now`. It stops before the time is up and counts what remains."""
    total = Report()
    for pool in pools:
        total.add(return_lapsed(backend, pool, now, seconds_left, dry_run=dry_run))
    return total


def return_lapsed(
    backend: Backend,
    pool: Pool,
    now: int,
    seconds_left: Callable[[], float] = lambda: 3600.0,
    *,
    dry_run: bool = False,
) -> Report:
    """One pass over one pool. A paused pool's clocks stand still."""
    report = Report()
    if pool.status == "paused":
        return report
    claims = layout.due_in(pool.tenant, pool.id)
    for page in backend.table.pages(claims, index=DUE, between=between(DUE, high=now), limit=PAGE):
        due = [layout.id_in(key.pk) for key in page.keys]
        report.due += len(due)
        report.lag_ms = max([report.lag_ms, *(now - layout.plain(item["due_at"]) for item in page.items)])
        if dry_run or seconds_left() < NO_TIME_LEFT_S:
            report.remaining += len(due)
        else:
            report.add(_return(backend, pool, now, due))
    return report


def return_lapsed_of(call: Call, pool: Pool, user: str) -> bool:
    """Returns a member's lapsed claims, so that they do not count against their limit. True if there were any."""
    return _return(call.backend, pool, call.now, lapsed_of(call, pool, user)).returned > 0


def lapsed_of(call: Call, pool: Pool, user: str) -> list[str]:
    """The ids of the customers that the member holds past their deadlines; at most a page of them."""
    place = layout.place_with(pool.tenant, pool.id, user)
    page = call.backend.table.query(place, index=PLACE, between=between(PLACE, high=call.now), limit=PAGE)
    return [layout.id_in(key.pk) for key in page.keys]


def _return(backend: Backend, pool: Pool, now: int, ids: Sequence[str]) -> Report:
    """Returns those claims. Where a malformed record spoils it, the halves are tried apart until that one is alone."""
    actor = Actor(pool.tenant, pool.id, SYSTEM, pool.policy, now)
    desk = Desk(backend.table, Copies(whole=False), actor, lambda customer, managed: {"id": customer.id})

    def plan(_: str, known: Customer | None) -> Move | Refusal:
        return Refusal("claim_changed") if known is None else moves.expire(actor, known)

    try:
        results = settle(desk, ids, plan).results.values()
    except (MalformedRecord, MalformedWrite):
        if len(ids) == 1:
            return Report(failed=1)
        halves = Report()
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            halves.add(_return(backend, pool, now, half))
        return halves
    changed = sum(result.refusal is not None for result in results)
    return Report(returned=len(ids) - changed, changed=changed)
