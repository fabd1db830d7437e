"""Plan the transitions of managers and holders: assign, transfer, extend, pin, win, convert, deposit and restore.

Pure, like `transitions`, and built from the same parts. The verbs of managers come first, then those of a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import deadlines, rules, unique_values
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import (
    POOL_NOT_OPEN,
    Actor,
    NoOp,
    QuotaUse,
    Recheck,
    Relocate,
    Tally,
    Transition,
    Write,
    active_claim_rules,
    contact_rules,
    customer_rules,
    hold_rules,
    holder_or_manager,
    manager_verb_rules,
    masked_unique_rules,
    past_holder_attributes,
    pool_accepts,
    with_former_keys,
    with_new_claim,
    without_expired,
)
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import Key
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer, transitioned
from chalicelib.model.policy import Policy
from chalicelib.model.text import is_blank
from chalicelib.model.times import rfc3339
from chalicelib.model.validation import FieldError

_NO_LENGTH: Final = FieldError("no_extension", "by")


def assign(
    actor: Actor, customer: str, known: Customer | None, to: str, new_id: Callable[[], str]
) -> Transition | Refusal:
    """Assign an available customer to a member. Limits apply; cooldown and embargo do not."""
    if actor.home.status != "open":
        return POOL_NOT_OPEN
    key = actor.customer_key(customer)
    required = (
        *_recipient_rules(actor, key, to),
        *rules.free_to_claim(key, actor.policy, actor.now),
        *hold_rules(actor, key, known, to),
    )
    if known is None:
        return Recheck(key, None, required)
    after = with_new_claim(without_expired(actor, known), "assigned", actor, to, new_id())
    return Write(key, known, required, after=after, quota_use=QuotaUse(to))


def transfer(
    actor: Actor,
    customer: str,
    known: Customer | None,
    to: str,
    new_id: Callable[[], str],
    claim_id: str | None = None,
    *,
    open_only: bool = True,
) -> Transition | Refusal:
    """Transfer a claimed customer to another member, as a new claim with its own clock; or a private customer.

    No claim begins in a pool that is not open, except when a member is removed (rule 33).
    """
    is_private = known is not None and known.state == "private"
    key = actor.customer_key(customer)
    if open_only and actor.home.status != "open" and not is_private:
        # After the rules about the caller, as for a private customer: other users must not see a difference.
        pool_key = keys.pool_key(actor.tenant, actor.pool)
        return Recheck(key, known, (*manager_verb_rules(actor), rules.always_fails(pool_key, "pool_not_open")))
    required = (
        *_recipient_rules(actor, key, to),
        rules.claimed_or_private(key),
        *rules.same_claim(key, claim_id),
        rules.not_expired(key, actor.clock(known)),
    )
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    if known.holder == to:
        return NoOp(key, known, required)
    left = past_holder_attributes(known, actor.policy, actor.now, actor.now)
    if is_private:
        clock = deadlines.owned_by_another(known, actor.policy, actor.now)
        after = transitioned(known, "transferred", actor.user, actor.now, holder=to, **clock, **left)
    else:
        required = (*required, *hold_rules(actor, key, known, to))
        after = with_new_claim(known, "transferred", actor, to, new_id(), **left)
    return Write(key, known, required, after=after, quota_use=QuotaUse(to, counter="private" if is_private else "held"))


class LeaveContext(Struct, frozen=True):
    """The leave of a user: its transitions require that it continues, and are counted in it."""

    rule: Rule
    tally: Tally


def from_holder(
    plan: Callable[[str, Customer | None], Transition | Refusal],
    user: str,
    customer: str,
    known: Customer | None,
    leave: LeaveContext | None = None,
) -> Transition | Refusal:
    """Plan the transition, and require that this user holds the customer. With `leave`, it is part of one."""
    transition = plan(customer, known)
    if isinstance(transition, Refusal):
        return transition
    required = (*transition.rules, rules.held_by(transition.key, user))
    if leave is not None:
        required = (leave.rule, *required)
    if transition.before is None or transition.before.holder != user:
        return Recheck(transition.key, transition.before, required)
    if isinstance(transition, Write) and leave is not None:
        return replace(transition, rules=required, tally=leave.tally)
    return replace(transition, rules=required)


def convert(actor: Actor, customer: str, known: Customer | None, to: str | None) -> Transition:
    """Make a customer private: to its holder, or to the named member."""
    key = actor.customer_key(customer)
    if to is None:
        not_expired = rules.not_expired(key, actor.clock(known))
        required = (*manager_verb_rules(actor), *customer_rules(actor, key), rules.claimed(key), not_expired)
    else:
        free = (rules.not_private(key, actor.now), rules.not_suppressed(key))
        required = (*_recipient_rules(actor, key, to), *free)
    holder = to or (None if known is None else known.holder)
    if known is None or holder is None:
        return Recheck(key, known, required)
    if to is None:
        required = (*required, owner_stays(actor, holder))
    after = made_private(actor, without_expired(actor, known), "converted", holder)
    return Write(key, known, required, after=after, quota_use=QuotaUse(holder, counter="private"))


def _recipient_rules(actor: Actor, key: Key, to: str) -> list[Rule]:
    """Require a manager as the actor, and as the recipient a member of the pool who has not left."""
    recipient = rules.recipient(keys.member_key(actor.tenant, actor.pool, to))
    return [*manager_verb_rules(actor), *recipient, *customer_rules(actor, key)]


def owner_stays(actor: Actor, owner: str) -> Rule:
    """Require that the future owner of a private customer has not left the company."""
    return rules.stays(keys.member_key(actor.tenant, actor.pool, owner))


# Verbs of a claim


def extend(actor: Actor, customer: str, known: Customer | None, by: int | None, claim_id: str | None) -> Transition:
    """Move the deadline later by `by` ms, counted from the current deadline (rule 15). The note has the old deadline.

    A missing `by` is refused last, after the rules about permission.
    """
    key, length = actor.customer_key(customer), by or 0
    required = (
        *active_claim_rules(actor, key, known, claim_id),
        rules.no_open_win_request(key),
        rules.unpinned(key, actor.clock(known)),
        *rules.extendable(key, actor.policy, length, _earliest_start(actor.policy, known, length)),
        *([] if actor.policy.members_may_extend else actor.manager_rules("extension_not_allowed")),
        *([rules.always_fails(key, "invalid_request", errors=(_NO_LENGTH,))] if by is None else []),
    )
    if by is None or known is None or known.expires_at is None or known.expires_at + by >= keys.NO_DEADLINE:
        return Recheck(key, known, required)
    after = transitioned(known, "extended", actor.user, actor.now, **deadlines.extended(known, actor.policy, by))
    note = {"old_expires_at": rfc3339(known.expires_at)}
    return Write(key, known, required, after=after, note=note, managed=known.holder != actor.user)


def _earliest_start(policy: Policy, known: Customer | None, by: int) -> int | None:
    """Return the earliest start of a claim that stays within `max_hold` after the extension, without pauses."""
    longest = policy.length("max_hold")
    if known is None or known.expires_at is None or longest is None:
        return None
    return known.expires_at + by - longest - known.stopped_ms


def follow_up(
    actor: Actor,
    customer: str,
    known: Customer | None,
    note: str | None,
    outcome: str | None,
    *,
    single: bool = True,
) -> Transition:
    """Record a contact by the holder of a claim, the owner of a private customer, or a manager.

    A follow-up about a `single` customer restarts the clock of a private customer, and that of a claim if the policy
    requires it (rules 12, 14 and 31). It never shortens a clock. A manager's follow-up leaves the clock and
    `last_follow_up_at` unchanged, unless the manager is the holder (rule 32).
    """
    key, moment = actor.customer_key(customer), actor.clock(known)
    required: tuple[Rule, ...] = (
        *customer_rules(actor, key, known),
        rules.claimed_or_private(key),
        *holder_or_manager(actor, key, known),
        rules.not_expired(key, moment),
    )
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    is_holder, changes = known.holder == actor.user, dict[str, Any]()
    if is_holder:
        clock = deadlines.followed_up(known, actor.policy, moment) if single else {}
        changes = {"last_follow_up_at": actor.now} | clock
        if clock and known.state == "private":
            required = (*required, rules.clock_not_behind(actor.member_key, actor.now))
    after = transitioned(known, "followed_up", actor.user, actor.now, note, outcome, **changes)
    return Write(key, known, required, after=after, managed=not is_holder)


def pin(actor: Actor, customer: str, known: Customer | None, until: int) -> Transition:
    """Keep the claim at least until `until` (rule 16).

    A holder who is no manager needs a `pin_limit`, which counts every pin and refuses only a holder's own. A claim that
    is pinned already uses no further pin.
    """
    key, policy = actor.customer_key(customer), actor.policy
    required = active_claim_rules(actor, key, known)
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    own, latest = known.holder == actor.user, deadlines.latest_pin(known, policy, actor.now, actor.user)
    required = (
        *required,
        *(actor.manager_rules() if own and policy.pin_limit is None else []),
        *([rules.always_fails(key, "pin_too_long")] if latest is not None and until > latest else []),
    )
    new = (known.pinned_until or 0) <= actor.clock(known)
    use = QuotaUse(actor.user, counter="pins") if own and new and policy.pin_limit is not None else None
    after = transitioned(known, "pinned", actor.user, actor.now, **deadlines.pinned(known, policy, until))
    return Write(key, known, required, after=after, quota_use=use, managed=not own)


def unpin(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """End the pin. A claim whose clock ran out during the pin ends now."""
    key = actor.customer_key(customer)
    required = active_claim_rules(actor, key, known)
    if known is None:
        return Recheck(key, None, required)
    managed = known.holder != actor.user
    if known.pinned_until is None:
        return NoOp(key, known, required, managed=managed)
    after = transitioned(
        known, "unpinned", actor.user, actor.now, **deadlines.unpinned(known, actor.policy, actor.clock(known))
    )
    return Write(key, known, required, after=after, managed=managed)


class WinDetails(Struct, frozen=True):
    """The details of a win: the amount, a note and the end of the contract, in ms."""

    amount: str | None = None
    note: str | None = None
    ends_at: int | None = None


def win(
    actor: Actor, customer: str, known: Customer | None, details: WinDetails, *, as_manager: bool = False
) -> Transition:
    """Make the customer private to its holder, or request that a manager approves it (rule 29).

    A manager wins at once, and confirms `ends_at` with it (rule 30). Whether the holder manages the pool is not known
    here: where it matters, the transition requires that they do not, and is planned again `as_manager` if they do.
    """
    key = actor.customer_key(customer)
    required = active_claim_rules(actor, key, known)
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    own, mode = known.holder == actor.user, actor.policy.win_mode
    by_member = own and mode != "manager" and not (as_manager or actor.admin)
    if by_member and mode == "approval":
        return _request_win(actor, known, required, details)
    amount, ends_at = details.amount or known.amount, details.ends_at or known.ends_at
    if by_member:
        role = [] if ends_at is None else [rules.no_manager(actor.member_key)]
    else:
        role = actor.manager_rules() if own else []
    required = (*required, *role, owner_stays(actor, known.holder))
    after = made_private(
        actor, known, "won", known.holder, details.note, confirmed=not by_member, amount=amount, ends_at=ends_at
    )
    use = QuotaUse(known.holder, counter="private")
    return Write(key, known, required, after=after, quota_use=use, managed=not own)


def _request_win(actor: Actor, known: Customer, required: Sequence[Rule], details: WinDetails) -> Write:
    key, moment = actor.customer_key(known.id), actor.clock(known)
    clock = deadlines.win_requested(known, actor.policy, actor.now, moment)
    changes = clock | {"amount": details.amount, "ends_at": details.ends_at}
    after = transitioned(known, "win_requested", actor.user, actor.now, details.note, **changes)
    rules_of_request = (
        rules.no_manager(actor.member_key), rules.stays(actor.member_key), rules.win_not_requested_before(key)
    )  # fmt: skip
    return Write(key, known, (*required, *rules_of_request), after=after)


def approve_win(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """Approve the requested win: the customer becomes its holder's."""
    key, required = _review_rules(actor, customer, known)
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    required = (*required, owner_stays(actor, known.holder))
    after = made_private(actor, known, "won", known.holder, confirmed=True, amount=known.amount, ends_at=known.ends_at)
    return Write(key, known, required, after=after, quota_use=QuotaUse(known.holder, counter="private"))


def decline_win(actor: Actor, customer: str, known: Customer | None, reason: str | None) -> Transition:
    """Decline the requested win. The claim continues for at least a day."""
    key, required = _review_rules(actor, customer, known)
    if is_blank(reason or ""):
        required = (*required, rules.always_fails(key, "reason_required"))
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    clock = deadlines.win_declined(known, actor.policy, actor.clock(known))
    after = transitioned(known, "win_declined", actor.user, actor.now, reason, **clock)
    return Write(key, known, required, after=after)


def _review_rules(actor: Actor, customer: str, known: Customer | None) -> tuple[Key, tuple[Rule, ...]]:
    key = actor.customer_key(customer)
    required = (
        *manager_verb_rules(actor),
        *customer_rules(actor, key),
        rules.claimed(key),
        rules.not_expired(key, actor.clock(known)),
        rules.win_requested(key),
    )
    return key, required


def made_private(
    actor: Actor,
    start: Customer,
    event_type: str,
    holder: str,
    note: str | None = None,
    *,
    confirmed: bool = False,
    amount: str | None = None,
    ends_at: int | None = None,
) -> Customer:
    """Return the customer private to `holder`. A different previous holder becomes a past holder.

    `ends_at` delays the clock only if a manager has `confirmed` it (rule 30).
    """
    clock = deadlines.owned(actor.policy, actor.now, ends_at if confirmed else None)
    owner = {"state": "private", "holder": holder, "set_aside_at": None}
    changes = clock | owner | {"amount": amount, "ends_at": ends_at}
    if event_type == "won":
        changes["won_at"] = actor.now
    if start.holder != holder:
        changes |= past_holder_attributes(start, actor.policy, actor.now, actor.now)
    else:  # a deposit does not end the hold either
        changes["past_holds"] = deadlines.past_holds(start, actor.policy, {*start.past_holders, holder})
    return transitioned(start, event_type, actor.user, actor.now, note, **changes)


def deposit(actor: Actor, customer: str, known: Customer | None, into: Actor, *, open_only: bool = True) -> Transition:
    """Return a private customer to its pool, by its owner or a manager; or move it to another pool, by a manager.

    `into` is the actor in the target pool, and must be a member of it. The embargo starts again. When a member is
    removed, not `open_only`, the pool may be closed and the deadline may have passed (rule 33).
    """
    key, target_key = actor.customer_key(customer), into.customer_key(customer)
    target_pool = target_key if target_key != key else None
    required = [
        *([] if target_pool is None else manager_verb_rules(actor)),
        *customer_rules(actor, key, known),
        *rules.private(key),
        *(holder_or_manager(actor, key, known) if target_pool is None else []),
        *([rules.not_expired(key, actor.clock(known)), *pool_accepts(into)] if open_only else []),
    ]
    if target_pool is not None:
        written = [] if known is None else [name for name, each in into.unique_keys(known.fields).items() if each]
        required += [*into.member_rules(), *masked_unique_rules(into, written)]
        required += [rules.not_erased(target_pool), rules.does_not_exist(target_pool)]
    if known is None or known.holder is None or known.state != "private":
        return Recheck(key, known, tuple(required))
    left = past_holder_attributes(known, into.policy, actor.now, actor.now)
    after = transitioned(
        known, "deposited", actor.user, actor.now, state="available", holder=None, entered_at=actor.now,
        waiting_since=actor.now, won_at=None, **left, **deadlines.CLEARED,
    )  # fmt: skip
    if target_pool is None:
        return Write(key, known, tuple(required), after=after, managed=known.holder != actor.user)
    # A manager of one pool need not manage the other, so the result may be masked.
    there = _relocated(after, actor, into)
    return Relocate(
        key,
        known,
        (*required, *contact_rules(there), *unique_values.rules_of(there)),
        after=there,
        target_key=target_pool,
    )


def _relocated(after: Customer, actor: Actor, into: Actor) -> Customer:
    """Return the customer in the target pool, whose region completes its phone numbers.

    `homes` records which pools hold its older events.
    """
    first = after.tail[0].seq
    homes = after.homes | ({actor.pool: first} if first > 1 else {})
    contact_keys = into.contact_keys(after.fields)
    unique_keys = tuple(key for each in into.unique_keys(after.fields).values() for key in each)
    there = replace(
        after, pool=into.pool, homes=homes, fields_version=after.version, contact_keys=contact_keys,
        unique_keys=unique_keys,
    )  # fmt: skip
    return with_former_keys(there, after)


def restore(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """Make a customer that was set aside claimable again, and reset its number of returns.

    A customer whose last allowed claim has expired counts as set aside, even before the sweep.
    """
    key = actor.customer_key(customer)
    required = (*manager_verb_rules(actor), *customer_rules(actor, key))
    if known is None:
        return Recheck(key, None, required)
    aside = without_expired(actor, known)
    if aside.set_aside_at is None:
        return NoOp(key, known, required)
    after = transitioned(
        aside, "restored", actor.user, actor.now, set_aside_at=None, returns=0, waiting_since=actor.now
    )
    return Write(key, known, required, after=after)
