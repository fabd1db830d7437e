"""Return expired claims and private customers to their pools: for the schedule and for `POST /sweep`.

The horizon is fixed once per pass. Due customers are found through an index, page by page. Each customer is returned
under the condition that it is unchanged and still due, so an earlier extension wins, and a sweep may run twice, in
parallel, or be killed at any point. A sweep must never return a customer before its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from chalicelib.domain import system_transitions
from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, PLACE, Key
from chalicelib.dynamodb.table import Table, Throttled, between
from chalicelib.model.model import Pool
from chalicelib.model.reports import SweepReport
from chalicelib.services.totals import count_by_state, members_of
from chalicelib.transactions.context import Backend
from chalicelib.transactions.expired_claims import PAGE_SIZE, Applied, apply_to_found
from chalicelib.transactions.unit_of_work import PlanOutdated

if TYPE_CHECKING:
    from fractions import Fraction

MIN_SECONDS_LEFT: Final = 3.0  # upper bound for one page
FIRST_PAGE: Final = 50  # of a check: what is due, as a rule, and the next deadline


class SweepResult(Struct):
    """Counts of one pass. `changed` were no longer due when written; `lag_ms` is the age of the oldest due customer.

    `unconfirmed` are the pools with so many due customers that an admin has to confirm the sweep; `throttled` means
    that DynamoDB throttled the pass before its end. Of the schedule, `checked` are the pools whose check was due, and
    `overdue_ms` is the age of the oldest such check.
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
    checked: int = 0
    overdue_ms: int = 0

    COUNTS = ("due", "returned", "changed", "failed", "remaining", "reminded")

    def add(self, other: SweepResult) -> None:
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lag_ms = max(self.lag_ms, other.lag_ms)
        self.unconfirmed += other.unconfirmed
        self.throttled = self.throttled or other.throttled
        self.checked += other.checked
        self.overdue_ms = max(self.overdue_ms, other.overdue_ms)

    def numbers(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.COUNTS} | {"lag_s": self.lag_ms / 1000}

    def schedule_numbers(self) -> dict[str, Any]:
        """Return the numbers of a round of the schedule, over all tenants."""
        return self.numbers() | {"checked": self.checked, "overdue_s": self.overdue_ms / 1000}

    @property
    def complete(self) -> bool:
        """Whether the pass left nothing that was due, and sent no reminder, after which another one is next."""
        return self.due == self.returned and not (self.failed or self.remaining or self.reminded or self.throttled)

    def body(self) -> SweepReport:
        return SweepReport(**self.numbers(), unconfirmed=self.unconfirmed)


class Ahead(Struct):
    """The future deadlines that a check of a pool has read: the first by partition of `due`, and reminders."""

    deadlines: dict[str, int] = {}
    reminders: list[int] = []


def expire_due(
    backend: Backend,
    pool: Pool,
    now: int,
    seconds_left: Callable[[], float],
    *,
    dry_run: bool = False,
    confirm: bool = False,
    ahead: Ahead | None = None,
) -> SweepResult:
    """Run one pass over one pool. In a paused pool only claims that expired before the pause are due.

    Private customers are due in an open pool only. `ahead` receives the deadlines that are next.
    """
    report, horizon = SweepResult(), pool.clock(now)
    stopped = not confirm and _breaker_trips(backend, pool, horizon, report)
    report.unconfirmed = [pool.id] if stopped else []

    def of_shard(partition: str) -> SweepResult:
        pages = due_pages(backend.table, partition, DUE, horizon, None if ahead is None else ahead.deadlines)
        return _expire_shard(backend, pool, now, pages, seconds_left, dry_run or stopped)

    for part in backend.run_jobs([partial(of_shard, partition) for partition in _due_lists(pool)]):
        report.add(part)
    return report


def _due_lists(pool: Pool) -> list[str]:
    """Return the partitions of the index `due` with what the sweep returns (rule 31)."""
    private = [keys.private_in(pool.tenant, pool.id)] if pool.status == "open" else []
    return [*sharded_query.partitions_of(keys.due_in, pool), *private]


def due_pages(
    table: Table, partition: str, index: str, horizon: int, later: dict[str, int] | None
) -> Iterator[list[Item]]:
    """Yield the entries of an index partition up to the horizon, page by page.

    With `later`, read past the horizon, and store the first sort value after it there, if there is one. The first page
    is small, since as a rule little is due.
    """
    if later is None:
        pages = table.pages(partition, index=index, between=between(index, high=horizon), limit=PAGE_SIZE)
        yield from (page.items for page in pages)
        return
    page = table.query(partition, index=index, limit=FIRST_PAGE)
    while True:
        moments = [items.sort_value(item[INDEX_RANGE[index]]) for item in page.items]
        found = page.items[: sum(moment <= horizon for moment in moments)]
        if found:
            yield found
        if len(found) < len(moments):
            later[partition] = moments[len(found)]
            return
        if page.last is None:
            return
        page = table.query(partition, index=index, after=page.last, limit=PAGE_SIZE)


def _expire_shard(
    backend: Backend,
    pool: Pool,
    now: int,
    pages: Iterator[list[Item]],
    seconds_left: Callable[[], float],
    count_only: bool,
) -> SweepResult:
    report, horizon = SweepResult(), pool.clock(now)
    try:
        for found in pages:
            report.due += len(found)
            report.lag_ms = max([report.lag_ms, *(horizon - items.sort_value(item["due_at"]) for item in found)])
            if count_only or seconds_left() < MIN_SECONDS_LEFT:
                report.remaining += len(found)
            else:
                _return_page(backend, pool, now, found, report)
    except PlanOutdated:
        raise
    except Throttled:
        report.throttled = True
    return report


def _return_page(backend: Backend, pool: Pool, now: int, found: Sequence[Item], report: SweepResult) -> None:
    """Return the customers of one page and add the counts to the report; after a fault, the rest count as remaining."""
    done = Applied()
    try:
        table, new_id = backend.table, backend.new_id
        apply_to_found(table, new_id, pool, now, found, system_transitions.expire, whole=True, done=done)
    finally:
        left = len(found) - done.total
        report.add(SweepResult(returned=done.moved, changed=done.changed, failed=done.failed, remaining=left))


def _breaker_trips(backend: Backend, pool: Pool, horizon: int, report: SweepResult) -> bool:
    """Return whether more than `sweep_breaker` of the pool's customers is due at once (rule 19).

    Where private customers expire, the share is of all customers, private ones included (rule 31).
    """
    share = pool.policy.sweep_breaker
    if share is None:
        return False
    lists, part = _due_lists(pool), between(DUE, high=horizon)
    due = sum(len(page.keys) for page in sharded_query.pages(backend.table, lists, index=DUE, between=part))
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
        counts = count_by_state(table, pool, members)
        total = counts.available + counts.claimed + counts.set_aside
        total += counts.private if pool.policy.private_ttl is not None else 0
    except MALFORMED:
        malformed.append(keys.pool_counts_key(pool.tenant, pool.id))
    report.failed += len(malformed)
    return None if malformed else total


def _listed(table: Table, pool: Pool, enough: Fraction) -> int:
    """Return how many customers the lists of the pool contain. Stop counting at `enough`."""
    counted = 0
    private = [keys.private_in(pool.tenant, pool.id)] if pool.policy.private_ttl is not None else []
    lists = (
        (DUE, [*sharded_query.partitions_of(keys.due_in, pool), *private]),
        (PLACE, sharded_query.partitions_of(keys.place_available, pool)),
        (PLACE, [keys.place_set_aside(pool.tenant, pool.id)]),
    )
    for index, partitions in lists:
        for page in sharded_query.pages(table, partitions, index=index):
            counted += len(page.keys)
            if counted >= enough:
                return counted
    return counted
