"""Compute when a claim ends, when a private customer returns to the pool, and when its holder is reminded (rule 13).

Each function returns the attributes of a customer that a transition sets; no other module may set them.
`Policy.deadline` has the formula. `clock_ends` is the deadline by the clocks of the policy. It is stored only while a
pin or the review of a win request holds `expires_at` later. Times are in ms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from chalicelib.dynamodb.keys import NO_DEADLINE
from chalicelib.model.model import Customer
from chalicelib.model.policy import Policy
from chalicelib.model.times import DAY, duration_ms

CLEARED: Final[dict[str, Any]] = {
    "claim_id": None, "claimed_at": None, "expires_at": None, "clock_ends": None, "pinned_until": None,
    "remind_at": None, "reminded": {}, "active_at": None, "extensions": 0, "extended_ms": 0, "stopped_ms": 0,
    "win_requested_at": None, "win_declined_at": None, "review_ends": None, "amount": None, "ends_at": None,
    "held_since": None,
}  # fmt: skip

LONGEST_OWN_PIN: Final = 30 * DAY  # of a holder, where the policy has no `max_pin`


def started(policy: Policy, now: int, pauses: int, held_since: int | None = None) -> dict[str, Any]:
    """Start a new claim now. Of earlier claims, only a hold that it continues counts, for `max_hold` (rule 14)."""
    start = CLEARED | {"claimed_at": now, "last_follow_up_at": None, "pauses": pauses, "held_since": held_since}
    return start | _ending(policy, policy.deadline(now, now, now if held_since is None else held_since), (), {})


def owned(policy: Policy, now: int, until: int | None = None) -> dict[str, Any]:
    """Close a claim and start the clock of a private customer now, or at `until` if that is later (rule 31).

    `until` is the end of a contract that a manager has confirmed. `active_at` is the start of the clock, which may be
    in the future. The clock does not stop during a pause.
    """
    active_at = max(now, until or 0)
    return CLEARED | {"active_at": active_at} | _ending(policy, policy.private_deadline(active_at), (), {})


def owned_by_another(known: Customer, policy: Policy, now: int) -> dict[str, Any]:
    """Start the clock of a private customer again for its new owner. A confirmed contract goes on."""
    active_at = max(now, known.active_at or now)
    started = {"active_at": active_at, "reminded": {}}
    return started | _ending(policy, policy.private_deadline(active_at), (), {})


def followed_up(known: Customer, policy: Policy, now: int) -> dict[str, Any]:
    """Restart the clock at the activity of the holder or owner, without shortening it.

    For a claim it is the idle clock. The restart uses up earlier extensions as far as the new deadline passes them.
    """
    if known.state == "private":
        return _owner_followed_up(known, policy, now)
    ends, fresh = clock_ends(known), policy.deadline(_first_claimed_at(known), now, _held_since(known))
    active: dict[str, Any] = {"active_at": now}
    if ends is not None and fresh is not None and (policy.follow_up_restarts_clock or policy.idle_ttl):
        ends = max(ends, fresh)
        active["extended_ms"] = min(known.extended_ms, ends - fresh)
    return active | _ending(policy, ends, _holds(known), known.reminded)


def _owner_followed_up(known: Customer, policy: Policy, now: int) -> dict[str, Any]:
    active_at = max(now, known.active_at or now)
    ends, fresh = known.expires_at, policy.private_deadline(active_at)
    if ends is not None and fresh is not None:
        ends = max(ends, fresh)
    return {"active_at": active_at} | _ending(policy, ends, (), known.reminded)


def extended(known: Customer, policy: Policy, by: int) -> dict[str, Any]:
    """Move the deadline later by `by`, counted from the current deadline (rule 15)."""
    ends = None if known.expires_at is None else known.expires_at + by
    counted = {"extensions": known.extensions + 1, "extended_ms": known.extended_ms + by}
    return counted | _ending(policy, ends, (), known.reminded) | {"pinned_until": known.pinned_until}


def pinned(known: Customer, policy: Policy, until: int) -> dict[str, Any]:
    """Keep the claim until the pin ends (rule 16)."""
    return {"pinned_until": until} | _ending(policy, clock_ends(known), (until, known.review_ends), known.reminded)


def latest_pin(known: Customer, policy: Policy, now: int, user: str) -> int | None:
    """Return the latest end of a pin that the user may set, or None. No pin reaches past `max_hold` (rule 16)."""
    longest = policy.length("max_pin") or (LONGEST_OWN_PIN if known.holder == user else None)
    ends = [None if longest is None else now + longest, _hold_ends(known, policy)]
    return min((end for end in ends if end is not None), default=None)


def unpinned(known: Customer, policy: Policy, now: int) -> dict[str, Any]:
    """Restore the deadline of the clocks, but never before now."""
    ends = clock_ends(known)
    ends = None if ends is None else max(ends, now)
    return {"pinned_until": None} | _ending(policy, ends, (known.review_ends,), known.reminded)


def win_requested(known: Customer, policy: Policy, now: int, moment: int) -> dict[str, Any]:
    """Hold the deadline during the review (rule 29): the only thing that may pass `max_hold`.

    The review runs on the clock of the claim, `moment`: a pause shifts it.
    """
    review_ends = moment + duration_ms(policy.review)
    requested = {"win_requested_at": now, "review_ends": review_ends}
    return requested | _ending(policy, clock_ends(known), (known.pinned_until, review_ends), known.reminded)


def win_declined(known: Customer, policy: Policy, moment: int) -> dict[str, Any]:
    """Restore the deadline of clocks and pin, but leave the holder at least a day, on the clock of the claim."""
    ends = clock_ends(known)
    ends = None if ends is None else max(ends, moment + DAY)
    declined = {
        "win_requested_at": None, "win_declined_at": moment, "review_ends": None, "amount": None, "ends_at": None
    }  # fmt: skip
    return declined | _ending(policy, ends, (known.pinned_until,), known.reminded)


def shifted(known: Customer, policy: Policy, stopped_at: int, resumed_at: int, pauses: int) -> dict[str, Any]:
    """Shift all times by the part of a pause that the claim existed in (rule 21).

    The shift is 0 for a claim that began while claims were being shifted, or if the clocks of two processes differ.
    """
    by = max(resumed_at - max(stopped_at, known.claimed_at or 0), 0)
    ends, until = _later(clock_ends(known), by), _later(known.pinned_until, by)
    review_ends = _later(known.review_ends, by)
    moved = {
        "pauses": pauses,
        "stopped_ms": known.stopped_ms + by,
        "active_at": _later(known.active_at, by),
        "pinned_until": until,
        "review_ends": review_ends,
        "win_declined_at": _later(known.win_declined_at, by),
    }
    return moved | _ending(policy, ends, (until, review_ends), known.reminded)


def recomputed(known: Customer, policy: Policy, now: int) -> dict[str, Any]:
    """Compute the deadline under `policy`, with extensions and a pin up to `max_hold`, but never before now.

    A change of policy does not take the day that a declined win leaves (rule 29).
    """
    if known.state == "private":
        ends = policy.private_deadline(known.active_at or now)
        ends = None if ends is None else max(ends, now)
        return {"pinned_until": None} | _ending(policy, ends, (), known.reminded)
    first = _first_claimed_at(known)
    ends = policy.deadline(first, known.active_at or first, _held_since(known))
    latest, until = _hold_ends(known, policy), known.pinned_until
    if ends is not None:
        ends += known.extended_ms
        declined = 0 if known.win_declined_at is None else known.win_declined_at + DAY
        ends = max(ends if latest is None else min(ends, latest), declined, now)
    if until is not None and latest is not None:
        until = min(until, max(latest, now))
    return {"pinned_until": until} | _ending(policy, ends, (until, known.review_ends), known.reminded)


def hold_window(policy: Policy) -> int:
    """Return how soon a user has to have a customer again for their hold to continue."""
    return max(policy.length("cooldown") or 0, DAY)


def continued_hold(known: Customer, policy: Policy, user: str, now: int) -> int | None:
    """Return when the hold began that a claim of the user made `now` would continue, or None (rule 14)."""
    left_at = known.past_holders.get(user)
    if policy.max_hold is None or left_at is None or now - left_at >= hold_window(policy):
        return None
    return known.past_holds.get(user)


def hold_used_up(known: Customer, policy: Policy, user: str, now: int) -> bool:
    """Return whether `max_hold` leaves no time for a claim of the user made `now`."""
    longest, began = policy.length("max_hold"), continued_hold(known, policy, user, now)
    return longest is not None and began is not None and began + longest <= now


def past_holds(known: Customer, policy: Policy, users: Collection[str]) -> dict[str, int]:
    """Return when the holds of these users began, including that of the holder. They matter only for `max_hold`."""
    if policy.max_hold is None:
        return {}
    own = {known.holder: _held_since(known)} if known.state == "claimed" and known.holder is not None else {}
    return {user: began for user, began in (known.past_holds | own).items() if user in users}


def reminded(known: Customer, policy: Policy, now: int) -> dict[str, Any]:
    """Mark every level that is due as reminded; each level is due once in a claim (rule 20)."""
    levels = known.reminded | dict.fromkeys(levels_due(known, policy, now), now)
    return {"reminded": levels, "remind_at": _next_reminder(policy, known.expires_at, levels)}


def levels_due(known: Customer, policy: Policy, now: int) -> list[str]:
    """Return the levels (durations before the deadline) that are reached and not yet reminded, longest first."""
    waiting = [level for level in policy.reminders or () if level not in known.reminded]
    due = [level for level in waiting if known.expired(now + duration_ms(level))]
    return sorted(dict.fromkeys(due), key=duration_ms, reverse=True)


def clock_ends(known: Customer) -> int | None:
    """Return when the clocks end the claim, without a pin or a review."""
    return known.expires_at if known.clock_ends is None else known.clock_ends


def _holds(known: Customer) -> tuple[int | None, ...]:
    """Return what may hold the deadline later than the clocks."""
    return known.pinned_until, known.review_ends


def _ending(
    policy: Policy, ends: int | None, holds: Iterable[int | None], reminded: Mapping[str, int]
) -> dict[str, Any]:
    ends = None if ends is None else min(ends, NO_DEADLINE)
    expires_at = None if ends is None else max([ends, *(hold for hold in holds if hold is not None)])
    return {
        "expires_at": expires_at,
        "clock_ends": None if expires_at == ends else ends,
        "remind_at": _next_reminder(policy, expires_at, reminded),
    }


def _next_reminder(policy: Policy, expires_at: int | None, reminded: Mapping[str, int]) -> int | None:
    waiting = [duration_ms(level) for level in policy.reminders or () if level not in reminded]
    return None if expires_at is None or not waiting else expires_at - max(waiting)


def _hold_ends(known: Customer, policy: Policy) -> int | None:
    """Return when `max_hold` ends the claim, or None."""
    longest = policy.length("max_hold")
    return None if longest is None else _held_since(known) + longest


def _held_since(known: Customer) -> int:
    """Return when the holder's hold began, on a clock that stops while the pool is paused."""
    return _first_claimed_at(known) if known.held_since is None else known.held_since + known.stopped_ms


def _first_claimed_at(known: Customer) -> int:
    """Return when the claim began, on a clock that stops while the pool is paused."""
    return (known.claimed_at or 0) + known.stopped_ms


def _later(moment: int | None, by: int) -> int | None:
    return None if moment is None else min(moment + by, NO_DEADLINE)
