"""Return expired claims to their pools: for the schedule, for `POST /sweep`, and for a member at their limit.

The horizon is fixed once per pass. Due claims are found through an index, page by page. Each is returned under the
condition that it is still the same claim and still due, so an earlier extension wins, and a sweep may run twice, in
parallel, or be killed at any point. A sweep must never return a claim before its deadline.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import astuple

from chalicelib.domain import system_transitions
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, PLACE, Key
from chalicelib.dynamodb.table import MalformedWrite, Page, Table, Throttled, between
from chalicelib.model.errors import Refusal
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import MARK, Customer, Pool
from chalicelib.model.reports import SweepReport
from chalicelib.observability import exception_summary
from chalicelib.services.pools import count_by_state, members_of
from chalicelib.transactions.context import Backend, RequestContext
from chalicelib.transactions.customer_cache import CustomerCache, customer_of
from chalicelib.transactions.unit_of_work import Outcome, PoolChanged, UnitOfWork, attempt

log = logging.getLogger("customer-pool")
PAGE_SIZE: Final = 500
MIN_SECONDS_LEFT: Final = 3.0  # upper bound for one page

MakeTransition = Callable[[Actor, Customer], Transition | Refusal]


class SweepResult(Struct):
    """Counts of one pass. `changed` were no longer due when written; `lag_ms` is the age of the oldest due claim.

    `unconfirmed` are the pools with so many due claims that an admin has to confirm the sweep; `throttled` means that
    DynamoDB throttled the pass before its end.
    """

    due: int = 0
    returned: int = 0
    changed: int = 0
    failed: int = 0
    remaining: int = 0
    reminded: int = 0
    lag_ms: int = 0
    unconfirmed: list[str] = []
    throttled: bool = False

    COUNTS = ("due", "returned", "changed", "failed", "remaining", "reminded")

    def add(self, other: SweepResult) -> None:
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lag_ms = max(self.lag_ms, other.lag_ms)
        self.unconfirmed += other.unconfirmed
        self.throttled = self.throttled or other.throttled

    def numbers(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.COUNTS} | {"lag_s": self.lag_ms / 1000}

    def body(self) -> SweepReport:
        return SweepReport(**self.numbers(), unconfirmed=self.unconfirmed)


class Applied(Struct):
    """Counts of the customers that a pass found: moved, changed meanwhile, or failed as malformed."""

    moved: int = 0
    changed: int = 0
    failed: int = 0

    def count(self, outcome: Outcome) -> None:
        refused = sum(result.refusal is not None for result in outcome.results.values())
        self.moved += len(outcome.results) - refused
        self.changed += refused

    @property
    def total(self) -> int:
        return self.moved + self.changed + self.failed


def expire_due(
    backend: Backend,
    pool: Pool,
    now: int,
    seconds_left: Callable[[], float],
    *,
    dry_run: bool = False,
    confirm: bool = False,
) -> SweepResult:
    """Run one pass over one pool. In a paused pool only claims that expired before the pause are due."""
    report, horizon = SweepResult(), pool.clock(now)
    stopped = not confirm and _breaker_trips(backend, pool, horizon, report)
    report.unconfirmed = [pool.id] if stopped else []

    def of_shard(claims: str) -> SweepResult:
        return _expire_shard(backend, pool, now, claims, seconds_left, dry_run or stopped)

    for part in backend.run_jobs(
        [partial(of_shard, claims) for claims in sharded_query.partitions_of(keys.due_in, pool)]
    ):
        report.add(part)
    return report


def _expire_shard(
    backend: Backend, pool: Pool, now: int, claims: str, seconds_left: Callable[[], float], count_only: bool
) -> SweepResult:
    report, horizon = SweepResult(), pool.clock(now)
    try:
        for page in backend.table.pages(claims, index=DUE, between=between(DUE, high=horizon), limit=PAGE_SIZE):
            report.due += len(page.items)
            report.lag_ms = max([report.lag_ms, *(horizon - items.sort_value(item["due_at"]) for item in page.items)])
            if count_only or seconds_left() < MIN_SECONDS_LEFT:
                report.remaining += len(page.items)
            else:
                _return_page(backend, pool, now, page.items, report)
    except PoolChanged:
        raise
    except Throttled:
        report.throttled = True
    return report


def _return_page(backend: Backend, pool: Pool, now: int, found: Sequence[Item], report: SweepResult) -> None:
    """Return the claims of one page and add the counts to the report; after a fault, the rest count as remaining."""
    done = Applied()
    try:
        apply_to_found(backend, pool, now, found, system_transitions.expire, whole=True, done=done)
    finally:
        left = len(found) - done.total
        report.add(SweepResult(returned=done.moved, changed=done.changed, failed=done.failed, remaining=left))


def _breaker_trips(backend: Backend, pool: Pool, horizon: int, report: SweepResult) -> bool:
    """Return whether more than `sweep_breaker` of the pool's customers is due at once (rule 19)."""
    share = pool.policy.sweep_breaker
    if share is None:
        return False
    claims, part = sharded_query.partitions_of(keys.due_in, pool), between(DUE, high=horizon)
    due = sum(len(page.keys) for page in sharded_query.pages(backend.table, claims, index=DUE, between=part))
    exact = Fraction(str(share))  # as floats, 0.29 * 100 < 29
    if due == 0:
        return False
    customers = _counted(backend.table, pool, report)
    if customers is None:
        customers = _listed(backend.table, pool, due / exact if exact else Fraction(1))
    return due > exact * customers


def _counted(table: Table, pool: Pool, report: SweepResult) -> int | None:
    """Return how many customers the pool has by its counters. None if one is malformed: it counts as failed."""
    malformed: list[Key] = []
    members = list(members_of(table, pool, malformed))
    total = 0
    try:
        total = sum(astuple(count_by_state(table, pool, members)))
    except MALFORMED:
        malformed.append(keys.leavers_key(pool.tenant, pool.id))
    report.failed += len(malformed)
    return None if malformed else total


def _listed(table: Table, pool: Pool, enough: Fraction) -> int:
    """Return how many customers the lists of the pool contain. Stop counting at `enough`."""
    counted = 0
    lists = (
        (DUE, sharded_query.partitions_of(keys.due_in, pool)),
        (PLACE, sharded_query.partitions_of(keys.place_available, pool)),
        (PLACE, [keys.place_set_aside(pool.tenant, pool.id)]),
    )
    for index, partitions in lists:
        for page in sharded_query.pages(table, partitions, index=index):
            counted += len(page.keys)
            if counted >= enough:
                return counted
    return counted


def expire_claims_of(ctx: RequestContext, pool: Pool, user: str) -> bool:
    """Return a member's expired claims to the pool, to free their limit. Return whether there were any."""
    return (
        apply_to_found(ctx.backend, pool, ctx.now, expired_claims_of(ctx, pool, user), system_transitions.expire).moved
        > 0
    )


def expired_claims_of(ctx: RequestContext, pool: Pool, user: str) -> list[Item]:
    """Return index items of the claims that the member holds past their deadlines; at most one page."""
    pages = claims_of(ctx, pool, user, until=pool.clock(ctx.now), limit=PAGE_SIZE)
    return next((page.items for page in pages if page.items), [])


def claims_of(
    ctx: RequestContext, pool: Pool, user: str, *, until: int = keys.NO_DEADLINE, limit: int | None = None
) -> Iterator[Page]:
    """Yield pages of the member's claims, by the index, with deadlines no later than `until`."""
    place = keys.place_of_holder(pool.tenant, pool.id, user)
    return ctx.backend.table.pages(place, index=PLACE, between=between(PLACE, high=until), limit=limit)


def apply_to_found(
    backend: Backend,
    pool: Pool,
    now: int,
    found: Sequence[Item],
    make: MakeTransition,
    *,
    whole: bool = False,
    done: Applied | None = None,
) -> Applied:
    """Apply the transition to each customer found in an index. Return the counts, added to `done` even after a fault.

    With `whole`, the index holds complete customers and they are not read again. An old version is safe: each
    transition has its version as a condition. If a malformed record fails the batch, the halves are tried separately.
    """
    done = Applied() if done is None else done
    # A request marker of its own: claims that another sweep returns are not counted here.
    actor = Actor(pool, SYSTEM, now, request_marker=backend.new_id()[-MARK:])
    uow = UnitOfWork(backend.table, CustomerCache(whole=False), actor)

    def plan(_: str, known: Customer | None) -> Transition | Refusal:
        return system_transitions.NOT_APPLICABLE if known is None else make(actor, known)

    def carry(part: Sequence[Item]) -> None:
        half, outcome = len(part) // 2, Outcome()
        ids = {at: keys.id_from_pk(item["pk"]["S"]) for at, item in enumerate(part)}
        try:
            known = {ids[at]: customer_of(actor, item) for at, item in enumerate(part)} if whole else None
            attempt(uow, ids, plan, known=known, outcome=outcome)
        except (*MALFORMED, MalformedWrite) as error:
            if half == 0:
                done.failed += 1
                log.error("malformed record in pool %s: %s", pool.id, exception_summary(error))
                return
            carry(part[:half])
            carry(part[half:])
            return
        except Throttled:
            done.count(outcome)
            raise
        done.count(outcome)

    carry(found)
    return done
