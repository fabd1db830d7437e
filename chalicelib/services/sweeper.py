"""Run the scheduled work of pools: continue lifecycle changes, return expired claims, send reminders, reshard.

`schedule` selects the pools of a scheduled round; a request sweeps the pools of its tenant.

Each step finds customers through an index and writes each under its own conditions. A round may therefore be killed at
any point or overlap with another one; the next round continues. A round stops before its time is up and reports the
work that is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Final, TypeAlias

from msgspec.structs import replace

from chalicelib.domain import system_transitions
from chalicelib.domain.system_transitions import PlanExisting
from chalicelib.dynamodb import keys, pool_items, sharded_query
from chalicelib.dynamodb.items import MALFORMED
from chalicelib.dynamodb.keys import DUE, NO_DEADLINE, REMINDER
from chalicelib.dynamodb.pool_items import MalformedPool
from chalicelib.dynamodb.table import Patience, Throttled
from chalicelib.model.model import Pool
from chalicelib.observability import exception_summary
from chalicelib.services import field_job, resharding, search_rows
from chalicelib.services.expiry import MIN_SECONDS_LEFT, Ahead, SweepResult, due_pages, expire_due
from chalicelib.services.pools import updated_pool
from chalicelib.transactions.context import Backend, RequestContext
from chalicelib.transactions.expired_claims import PAGE_SIZE, apply_to_found
from chalicelib.transactions.unit_of_work import PlanOutdated

log = logging.getLogger("customer-pool")
SecondsLeft = Callable[[], float]
Listed: TypeAlias = Pool | MalformedPool
PATIENCE: Final = partial(Patience, most=None, pause_s=1.0)  # for one pool: a scheduled run can wait
NO_PATIENCE: Final = partial(Patience, retries=0, most=None)  # for the pool after a throttled one
REQUEST_SECONDS: Final = 20.0  # API Gateway times out after 29; the schedule does the rest


def request_time_left() -> SecondsLeft:
    """Return a function that returns the seconds left of REQUEST_SECONDS, counted from now."""
    stop_at = time.monotonic() + REQUEST_SECONDS
    return lambda: stop_at - time.monotonic()


def all_pools(backend: Backend) -> Iterator[Listed]:
    """Yield every pool of every tenant."""
    for page in backend.table.pages(keys.tenant_key("").pk):
        for key in page.keys:
            yield from pools_of(backend, key.sk)


def pools_of(backend: Backend, tenant: str) -> Iterator[Listed]:
    """Yield the pools of a tenant. A malformed record is yielded as MalformedPool and does not stop the others."""
    for page in backend.table.pages(keys.pool_key(tenant, "").pk):
        for key, stored in zip(page.keys, page.items, strict=True):
            yield listed(key.sk, partial(pool_items.pool_record, tenant, stored))


def pool_named(ctx: RequestContext, pool_id: str) -> list[Listed]:
    """Return a list of that one pool. Raises Refused if the tenant has no such pool."""
    return [listed(pool_id, partial(ctx.pool_now, pool_id))]


def listed(pool_id: str, read: Callable[[], Pool]) -> Listed:
    try:
        return read()
    except MALFORMED as error:
        log.error("malformed pool %s: %s", pool_id, exception_summary(error))
        return MalformedPool(pool_id)


def sweep_pools(
    backend: Backend,
    pools: Iterable[Listed],
    now: int,
    seconds_left: SecondsLeft,
    *,
    dry_run: bool = False,
    confirm: bool = False,
) -> SweepResult:
    """Run one round over the pools, up to the time `now`. With `dry_run`, only count expired claims.

    A pool with a malformed record, policy or member counts as one failure and does not stop the others. A pool that
    DynamoDB throttles is left for the next round; after two in a row, so are all remaining pools. Their customers do
    not count as failures.
    """
    total, patience = SweepResult(), PATIENCE
    for pool in _until_throttled(pools):
        report = sweep_pool(backend.patient(patience()), pool, now, seconds_left, dry_run=dry_run, confirm=confirm)
        if report is None:
            continue
        total.add(report)
        if report.throttled and patience is NO_PATIENCE:
            break
        patience = NO_PATIENCE if report.throttled else PATIENCE
    return total


def sweep_pool(
    backend: Backend,
    pool: Listed,
    now: int,
    seconds_left: SecondsLeft,
    *,
    dry_run: bool = False,
    confirm: bool = False,
    ahead: Ahead | None = None,
) -> SweepResult | None:
    """Run one round over one pool. Return None if the pool changed meanwhile: it is left for the next round.

    `ahead` receives what is next in the pool.
    """
    if isinstance(pool, MalformedPool):
        return SweepResult(failed=1)
    try:
        report = _round(backend, pool, now, seconds_left, dry_run=dry_run, confirm=confirm, ahead=ahead)
    except PlanOutdated as error:
        log.warning("pool %s is left for the next round: %s", pool.id, exception_summary(error))
        return None
    if report.throttled:
        log.warning("pool %s is left for the next round: throttled", pool.id)
    return report


def _until_throttled(pools: Iterable[Listed]) -> Iterator[Listed]:
    """Yield pools until the listing is throttled. Raises Throttled if it yielded none."""
    any_listed = False
    try:
        for pool in pools:
            any_listed = True
            yield pool
    except Throttled:
        if not any_listed:
            raise
        log.warning("the pools that are not listed are left for the next round: throttled")


def _round(
    backend: Backend,
    pool: Pool,
    now: int,
    seconds_left: SecondsLeft,
    *,
    dry_run: bool,
    confirm: bool,
    ahead: Ahead | None,
) -> SweepResult:
    report = SweepResult()
    try:
        current = pool if dry_run else continue_lifecycle(backend, pool, now, seconds_left)
        report.add(expire_due(backend, current, now, seconds_left, dry_run=dry_run, confirm=confirm, ahead=ahead))
        if not dry_run and not report.throttled:
            report.reminded += _remind(backend, current, now, seconds_left, ahead)
            resharding.continue_resharding(backend.table, current, now, seconds_left)
            _continue_field_change(backend, current, now, seconds_left)
    except PlanOutdated:
        raise
    except Throttled:
        report.throttled = True
    except MALFORMED as error:  # the report keeps what was returned before
        report.failed += 1
        log.error("malformed pool %s: %s", pool.id, exception_summary(error))
    return report


def _continue_field_change(backend: Backend, pool: Pool, now: int, seconds_left: SecondsLeft) -> None:
    """Continue what a change of field definitions leaves to do: first the search rows, then the customers."""
    if pool.unindexed_since is None and pool.fields_since is None:
        return
    if search_rows.continue_indexing(backend.table, pool, now, seconds_left):
        field_job.continue_job(backend, pool, now, seconds_left)


def continue_lifecycle(backend: Backend, pool: Pool, now: int, seconds_left: SecondsLeft) -> Pool:
    """Continue closing or resuming a pool. Return the pool afterwards, which may be open or still unfinished."""
    if pool.closing is not None:
        # The reclaim is for owners who have no room for another private customer.
        _all_claims(backend, pool, now, seconds_left, system_transitions.close, system_transitions.reclaim)
    if pool.resumed_at is None:
        return pool
    while True:
        moved = _all_claims(backend, pool, now, seconds_left, system_transitions.resume)
        if moved is None:
            return pool
        if moved == 0:  # indexes are eventually consistent: stop after a pass that moves nothing
            return _reopen(backend, pool, now)


def _all_claims(
    backend: Backend,
    pool: Pool,
    now: int,
    seconds_left: SecondsLeft,
    plan: PlanExisting,
    if_refused: PlanExisting | None = None,
) -> int | None:
    """Apply the transition to every claim of the pool, and `if_refused` to claims that it was refused for.

    Return how many were moved, or None if time ran out.
    """
    moved = 0
    for page in sharded_query.pages(
        backend.table, sharded_query.partitions_of(keys.due_in, pool), index=DUE, limit=PAGE_SIZE
    ):
        if seconds_left() < MIN_SECONDS_LEFT:
            return None
        found = apply_to_found(backend.table, backend.new_id, pool, now, page.items, plan, whole=True)
        moved += found.moved
        if found.changed and if_refused is not None:
            moved += apply_to_found(backend.table, backend.new_id, pool, now, page.items, if_refused).moved
    return moved


def _reopen(backend: Backend, pool: Pool, now: int) -> Pool:
    opened, write, _ = updated_pool(pool, replace(pool, status="open", paused_at=None, resumed_at=None), now)
    refusing = backend.table.write([write])
    if refusing is None:
        return opened
    stored = refusing[write.key]
    return pool_items.pool_record(pool.tenant, stored) if stored else pool  # another round wrote the pool first


def _remind(backend: Backend, pool: Pool, now: int, seconds_left: SecondsLeft, ahead: Ahead | None) -> int:
    """Send reminders for the claims and private customers that expire soon (rules 20 and 31). Return how many.

    `ahead` receives the reminders that are next. A customer without a future deadline has no reminder either.
    """
    reminded = 0
    if pool.status != "open" or not pool.policy.reminders:
        return 0
    soon = [*sharded_query.partitions_of(keys.due_in, pool), keys.private_in(pool.tenant, pool.id)]
    later: dict[str, int] | None = None
    if ahead is not None:
        later, soon = {}, [each for each in soon if ahead.deadlines.get(each, NO_DEADLINE) < NO_DEADLINE]
    for found in chain.from_iterable(due_pages(backend.table, each, REMINDER, now, later) for each in soon):
        if seconds_left() < MIN_SECONDS_LEFT:
            break
        done = apply_to_found(backend.table, backend.new_id, pool, now, found, system_transitions.remind)
        reminded += done.moved
    if ahead is not None and later is not None:
        ahead.reminders += later.values()
    return reminded
