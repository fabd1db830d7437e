"""Run one round of the schedule over all tenants: erasures, leaves, and the pools whose check is due.

The cost follows what is due, not how many pools there are. Each pool's item carries the time of its next check, by
which a few index partitions list all pools (`domain.checks`). A round reads the checks that are due, the oldest first,
works on several pools at once, and stores when each is to be checked next, unless something has moved the check
meanwhile. Pools that a round does not reach stay due, so no pool starves. A round may be killed at any point or overlap
with another one. `late_checks` finds checks that are missing or too late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from pynamodb.expressions.condition import Condition

from chalicelib.domain import checks, rules
from chalicelib.dynamodb import items, keys, pool_items, sharded_query
from chalicelib.dynamodb.conditions import all_of, unchanged
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, Key
from chalicelib.dynamodb.operations import SetAttributes
from chalicelib.dynamodb.pool_items import MOVED_AT, MalformedPool
from chalicelib.dynamodb.table import MAX_ACTIONS, Table, Throttled
from chalicelib.model.times import MINUTE
from chalicelib.observability import exception_summary
from chalicelib.services import erasure, leaving, resharding, search_rows, sweeper
from chalicelib.services.expiry import MIN_SECONDS_LEFT, Ahead, SweepResult
from chalicelib.services.sweeper import NO_PATIENCE, PATIENCE, SecondsLeft
from chalicelib.transactions.context import Backend

log = logging.getLogger("customer-pool")
AT_ONCE: Final = 8  # pools; each waits for DynamoDB most of its time
PAGE: Final = 50  # checks that are read, and stored, together
SEARCH_SHARE: Final = 4  # of the time, one part is for the search
HAND_OVER_SHARE: Final = 4  # of the time, one part is for the checks, where the rest is handed over


def run_round(
    backend: Backend, now: int, seconds_left: SecondsLeft, hand_over: Callable[[], None] | None = None
) -> SweepResult:
    """Empty erased customers, continue leaves, check the pools that are due, and search for checks that are late.

    `hand_over` lets others check what this round has no time for (`fan_out`).
    """
    from chalicelib.services import late_checks  # imports this module

    failed = 0
    try:
        failed = erasure.continue_erasures(backend.table, seconds_left)
    except Throttled as error:
        log.warning("erased customers are left for the next round: %s", exception_summary(error))
    half = seconds_left() / 2
    failed += _continue_leaves(backend, now, lambda: seconds_left() - half)
    share = 1 / HAND_OVER_SHARE if hand_over is not None else 1 - 1 / SEARCH_SHARE
    reserved = seconds_left() * (1 - share)
    report = check_pools(backend, now, lambda: seconds_left() - reserved)
    report.failed += failed
    if hand_over is not None and not report.throttled and seconds_left() - reserved < MIN_SECONDS_LEFT:
        hand_over()
    if not report.throttled:
        late_checks.continue_search(backend, now, seconds_left)
    return report


def _continue_leaves(backend: Backend, now: int, seconds_left: SecondsLeft) -> int:
    """Return how many failed. Each minute another leave is the first, so that a long one does not delay the others."""
    try:
        backend = backend.patient(PATIENCE())
        users = backend.table.query(keys.unfinished_leaves(), index=DUE).keys
        if not users:
            return 0
        first = now // MINUTE % len(users)
        return leaving.continue_all(backend, [*users[first:], *users[:first]], now, seconds_left)
    except Throttled:
        log.warning("the leaves of users are left for the next round: throttled")
        return 0


def check_pools(
    backend: Backend, now: int, seconds_left: SecondsLeft, partitions: Sequence[str] | None = None
) -> SweepResult:
    """Check the pools whose check is due, the oldest first, while there is time."""
    checking = _Checking(backend, now, seconds_left)
    checking.run(keys.schedule_partitions() if partitions is None else partitions)
    return checking.total


class _Checking:
    """The checks of one round. After a pool that DynamoDB throttles, the next ones get no patience, and after another
    such pool the round ends. In each case the rest stays due.
    """

    def __init__(self, backend: Backend, now: int, seconds_left: SecondsLeft) -> None:
        self.backend, self.now, self.seconds_left = backend, now, seconds_left
        self.total, self.seen = SweepResult(), set[Key]()
        self.patience, self.stopped = PATIENCE, False

    def run(self, partitions: Sequence[str]) -> None:
        """List the checks that are due and run them, page by page. What a round stores as due now comes once only."""
        after: tuple[Key, int, int] | None = None
        while not self.stopped:
            table, jobs = self.backend.table, self.backend.run_jobs
            try:
                listed = sharded_query.page(table, partitions, DUE, PAGE, after, jobs, high=self.now)
            except Throttled:
                if after is None:
                    raise
                log.warning("the pools that are not listed are left for the next round: throttled")
                return
            new = {key: entry.rank for entry in listed if (key := items.key_of(entry.item)) not in self.seen}
            self.seen |= new.keys()
            self.total.overdue_ms = max([self.total.overdue_ms, *(self.now - rank for rank in new.values())])
            self._check_all(list(new))
            if len(listed) < PAGE:
                return
            after = (items.key_of(listed[-1].item), listed[-1].rank, listed[-1].shard)

    def _check_all(self, listed: Sequence[Key]) -> None:
        """Check these pools and store their next checks.

        They are read again: another round may have checked them since the index did.
        """
        stored = self.backend.table.get(listed)
        due = [key for key in listed if key in stored and _is_due(stored[key], self.now)]
        next_checks: dict[Key, SetAttributes] = {}
        for start in range(0, len(due), AT_ONCE):
            self.stopped = self.stopped or self.seconds_left() < MIN_SECONDS_LEFT
            if self.stopped:
                break
            group = due[start : start + AT_ONCE]
            done = self.backend.run_jobs([partial(self._check, key, stored[key]) for key in group])
            for key, (report, at) in zip(group, done, strict=True):
                self.total.add(report)
                if at is not None:
                    next_checks[key] = _next(key, stored[key], at)
        store_checks(self.backend.table, next_checks)

    def _check(self, key: Key, stored: Item) -> tuple[SweepResult, int | None]:
        """Run one round over the pool. Return the counts, and the time of its next check; None to leave it due."""
        if self.stopped:
            return SweepResult(), None
        backend, ahead = self.backend.patient(self.patience()), Ahead()
        pool = sweeper.listed(key.sk, partial(pool_items.pool_record, keys.tenant_from_pk(key.pk), stored))
        report = sweeper.sweep_pool(backend, pool, self.now, self.seconds_left, ahead=ahead)
        if report is None:
            return SweepResult(checked=1), None
        report.checked = 1
        self._note_throttling(report.throttled)
        if report.throttled:
            return report, None
        if isinstance(pool, MalformedPool) or not report.complete:
            return report, self.now
        moved_at = items.integer_or_none(stored.get(MOVED_AT)) or 0
        jobs = [] if pool.spread_at is None else [pool.spread_at + resharding.STALE_MS]
        since = [each for each in (pool.unindexed_since, pool.fields_since) if each is not None]
        jobs += [each + search_rows.STALE_MS for each in since]
        moments = [*ahead.deadlines.values(), *ahead.reminders]
        return report, checks.next_check(pool, moved_at, self.now, moments, jobs)

    def _note_throttling(self, throttled: bool) -> None:
        self.stopped = self.stopped or (throttled and self.patience is NO_PATIENCE)
        self.patience = NO_PATIENCE if throttled else PATIENCE


def store_checks(table: Table, writes: Mapping[Key, SetAttributes]) -> None:
    """Store next checks, each under its condition. One that is moved meanwhile stays as it is."""
    waiting = dict(writes)
    try:
        while waiting:
            some = dict(list(waiting.items())[:MAX_ACTIONS])
            failed_items = table.write(list(some.values()))
            gone = some.keys() if failed_items is None else failed_items.keys()
            waiting = {key: write for key, write in waiting.items() if key not in gone}
    except Throttled:
        log.warning("the checks of %d pools are left for the next round: throttled", len(waiting))


def _next(key: Key, stored: Item, at: int) -> SetAttributes:
    check = pool_items.check_at(keys.tenant_from_pk(key.pk), key.sk, at)
    return SetAttributes(key, check, condition=check_unchanged(stored))


def check_unchanged(stored: Item) -> Condition:
    """Return the condition that nothing has moved the check since the pool was read."""
    return all_of([rules.pk.exists(), unchanged(stored, (DUE, INDEX_RANGE[DUE], MOVED_AT))])


def _is_due(stored: Item, now: int) -> bool:
    at = stored.get(INDEX_RANGE[DUE])
    return DUE in stored and at is not None and items.sort_value(at) <= now
