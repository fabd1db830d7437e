"""Compute when the schedule has to check a pool next (rule 18).

Each pool has one check: a time no later than any deadline or reminder of its customers. A round of the schedule reads
only the pools whose check is due. A claim never writes the check: after a round, it is at most the shortest clock of
the policy away, and a later claim cannot be due before that. A transaction that can set a deadline sooner moves the
check to the present. Pure. Times are in ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chalicelib.model.model import Customer, Pool
from chalicelib.model.policy import Policy
from chalicelib.model.times import DAY, MINUTE, duration_ms

STALE_MS: Final = MINUTE  # more than a cached pool, an index and the clock of another process together are behind
LONGEST_MS: Final = 30 * DAY  # to the next check of a pool that has no clock
_CLOCKS: Final = ("claim_ttl", "idle_ttl", "max_hold", "private_ttl")


def shortest_clock(policy: Policy) -> int | None:
    """Return the least time from a new claim, or a new private customer, to its first reminder or its deadline.

    None without any clock.
    """
    lengths = [length for setting in _CLOCKS if (length := policy.length(setting)) is not None]
    return max(min(lengths) - longest_reminder(policy), 0) if lengths else None


def longest_reminder(policy: Policy) -> int:
    """Return how long before a deadline the first reminder is sent; 0 without reminders."""
    return max([duration_ms(level) for level in policy.reminders or ()], default=0)


def comes_sooner(before: Customer | None, after: Customer, policy: Policy, now: int) -> bool:
    """Return whether a customer has a deadline or a reminder that the check of its pool may be too late for."""
    moment, clock = _first_moment(after), shortest_clock(policy)
    if moment is None or (clock is not None and moment >= now + clock):
        return False
    known = None if before is None else _first_moment(before)
    return known is None or moment < known


def _first_moment(customer: Customer) -> int | None:
    moments = [moment for moment in (customer.expires_at, customer.remind_at) if moment is not None]
    return min(moments, default=None)


def next_check(pool: Pool, moved_at: int, now: int, ahead: Iterable[int], jobs: Iterable[int]) -> int:
    """Return when to check the pool after a complete check at `now`.

    `moved_at` is when the check was last moved to the present, `ahead` the deadlines and reminders that the check saw
    after `now`, `jobs` when unfinished work on the pool goes on. Deadlines in a pool that is paused or closed wait for
    a change of the pool, which moves the check.
    """
    moments, ahead = [now + LONGEST_MS, *jobs], list(ahead)
    if pool.status == "open":
        clock = shortest_clock(pool.policy)
        moments += ahead if clock is None else [*ahead, now - STALE_MS + clock]
    elif pool.resumed_at is not None or (pool.status == "closed" and ahead):
        moments.append(now)  # claims are left to shift or to end
    if now < moved_at + STALE_MS:
        moments.append(now)  # the indexes may not show yet why it was moved, and a process may know an earlier policy
    return max(min(moments), now)
