"""Returns lapsed claims to their pools: for the schedule, for `POST /sweep`, and for a member short of headroom.

The horizon is fixed once. Due claims are found through an index, page by page, and each is returned on the condition
that it is still the same claim and still due: so an extension a moment earlier wins, and a sweep may run twice, in
parallel, or be killed anywhere. It must never take a claim that is not past its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Final

from msgspec import Struct

from chalicelib import layout, places, shards, upkeep
from chalicelib.context import Backend, Call
from chalicelib.copies import Copies, MalformedRecord, record
from chalicelib.layout import Item
from chalicelib.moves import SYSTEM, Actor, Move
from chalicelib.places import DUE, PLACE
from chalicelib.pools import members_of, standing
from chalicelib.records import MARK, Customer, Pool
from chalicelib.refusals import Refusal
from chalicelib.settling import Desk, Outcome, PoolChanged, attempt
from chalicelib.table import MalformedWrite, Page, Throttled, between

PAGE: Final = 500
NO_TIME_LEFT_S: Final = 3.0  # what one page may take at worst

Make = Callable[[Actor, Customer], Move | Refusal]


class Report(Struct):
    """What one pass did. `changed` were no longer due when written; `lag_ms` is the age of the oldest due claim;
    `unconfirmed` are the pools of which so much was due that somebody has to say yes first; `throttled` means that
    DynamoDB throttled the pass before its end."""

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

    def add(self, other: Report) -> None:
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lag_ms = max(self.lag_ms, other.lag_ms)
        self.unconfirmed += other.unconfirmed
        self.throttled = self.throttled or other.throttled

    def numbers(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.COUNTS} | {"lag_s": self.lag_ms / 1000}

    def body(self) -> dict[str, Any]:
        return self.numbers() | {"unconfirmed": self.unconfirmed}


class Done(Struct):
    """What came of the customers that a pass found: moved, not concerned any more, or malformed."""

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


def return_lapsed(
    backend: Backend,
    pool: Pool,
    now: int,
    seconds_left: Callable[[], float],
    *,
    dry_run: bool = False,
    confirm: bool = False,
) -> Report:
    """One pass over one pool. A paused pool's clocks stand still, so only what lapsed before the pause is due."""
    report, horizon = Report(), pool.clock(now)
    stopped = not confirm and _too_many(backend, pool, horizon)
    report.unconfirmed = [pool.id] if stopped else []

    def of_shard(claims: str) -> Report:
        return _of_shard(backend, pool, now, claims, seconds_left, dry_run or stopped)

    for part in backend.abreast([partial(of_shard, claims) for claims in shards.of(places.due_in, pool)]):
        report.add(part)
    return report


def _of_shard(
    backend: Backend, pool: Pool, now: int, claims: str, seconds_left: Callable[[], float], count_only: bool
) -> Report:
    report, horizon = Report(), pool.clock(now)
    try:
        for page in backend.table.pages(claims, index=DUE, between=between(DUE, high=horizon), limit=PAGE):
            report.due += len(page.items)
            report.lag_ms = max([report.lag_ms, *(horizon - layout.plain(item["due_at"]) for item in page.items)])
            if count_only or seconds_left() < NO_TIME_LEFT_S:
                report.remaining += len(page.items)
            else:
                _return_page(backend, pool, now, page.items, report)
    except PoolChanged:
        raise
    except Throttled:
        report.throttled = True
    return report


def _return_page(backend: Backend, pool: Pool, now: int, found: Sequence[Item], report: Report) -> None:
    """Adds to the report what came of those; where a fault ends it, the others remain."""
    done = Done()
    try:
        carry_out(backend, pool, now, found, upkeep.expire, whole=True, done=done)
    finally:
        left = len(found) - done.total
        report.add(Report(returned=done.moved, changed=done.changed, failed=done.failed, remaining=left))


def _too_many(backend: Backend, pool: Pool, horizon: int) -> bool:
    """Whether more than the pool's set share of its customers is due at once (rule 19)."""
    share = pool.policy.sweep_breaker
    if share is None:
        return False
    claims, part = shards.of(places.due_in, pool), between(DUE, high=horizon)
    due = sum(len(page.keys) for page in shards.pages(backend.table, claims, index=DUE, between=part))
    if due == 0:
        return False
    counted = standing(backend.table, pool, list(members_of(backend.table, pool)))
    return due > Fraction(str(share)) * sum(counted.values())  # 29 of 100 are no more than 0.29, which a float denies


def return_lapsed_of(call: Call, pool: Pool, user: str) -> bool:
    """Returns a member's lapsed claims, so that they do not count against their limit. True if there were any."""
    return carry_out(call.backend, pool, call.now, lapsed_of(call, pool, user), upkeep.expire).moved > 0


def lapsed_of(call: Call, pool: Pool, user: str) -> list[Item]:
    """The customers that the member holds past their deadlines, as their list names them; at most a page of them."""
    pages = claims_of(call, pool, user, until=pool.clock(call.now), limit=PAGE)
    return next((page.items for page in pages if page.items), [])


def claims_of(
    call: Call, pool: Pool, user: str, *, until: int = places.FOREVER, limit: int | None = None
) -> Iterator[Page]:
    """Those of a member's claims whose deadlines come no later than that, as their list has them, page by page."""
    place = places.place_with(pool.tenant, pool.id, user)
    return call.backend.table.pages(place, index=PLACE, between=between(PLACE, high=until), limit=limit)


def carry_out(
    backend: Backend,
    pool: Pool,
    now: int,
    found: Sequence[Item],
    make: Make,
    *,
    whole: bool = False,
    done: Done | None = None,
) -> Done:
    """Makes that move with each customer found in an index. Where the index holds them `whole` they are not read: a
    move is bound to the version that it was made from, so it does no harm if that is a moment old.

    Where a malformed record spoils it, the halves are tried apart until it is alone. What came of them is added to
    `done`, also where a fault ends it.
    """
    done = Done() if done is None else done
    actor = Actor(pool, SYSTEM, now, mark=backend.mint()[-MARK:])  # what another sweep moves is not counted here
    desk = Desk(backend.table, Copies(whole=False), actor)

    def plan(_: str, known: Customer | None) -> Move | Refusal:
        return upkeep.NOT_CONCERNED if known is None else make(actor, known)

    def carry(part: Sequence[Item]) -> None:
        half, outcome = len(part) // 2, Outcome()
        ids = {at: layout.id_in(item["pk"]["S"]) for at, item in enumerate(part)}
        try:
            known = {ids[at]: record(actor, item) for at, item in enumerate(part)} if whole else None
            attempt(desk, ids, plan, known=known, outcome=outcome)
        except (MalformedRecord, MalformedWrite):
            if half == 0:
                done.failed += 1
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
