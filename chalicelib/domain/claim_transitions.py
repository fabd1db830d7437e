"""What else may become of a customer: given to a member, extended, followed up, won, taken out of the pool, put back.

Pure moves like those of `moves`, and built of the same pieces. A manager's verbs first, then those of a claim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from chalicelib.domain import deadlines, rules
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import (
    Actor,
    Transition,
    claim_rules,
    customer_rules,
    holder_or_manager,
    manager_rules,
    past_holders,
    pool_accepts,
    updated,
    with_new_claim,
    without_expired,
)
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import Key
from chalicelib.model.model import Customer, Policy, transitioned
from chalicelib.model.times import rfc3339
from chalicelib.model.validation import FieldError

_NO_LENGTH: Final = FieldError("no_extension", "by")


def assign(actor: Actor, customer: str, known: Customer | None, to: str, claim_id: str) -> Transition:
    """A manager gives an available customer to a member, or to themself. Limits hold; cooldown and embargo do not."""
    key = actor.customer_key(customer)
    asked = (*_recipient_rules(actor, key, to), *rules.free_to_claim(key, actor.policy, actor.now))
    if known is None:
        return Transition(key, None, None, asked)
    after = with_new_claim(without_expired(actor, known), "assigned", actor, to, claim_id)
    return Transition(key, known, after, asked, recipient=to)


def transfer(
    actor: Actor, customer: str, known: Customer | None, to: str, claim_id: str, known_claim: str | None
) -> Transition:
    """A manager gives a claimed customer to another member: a new claim, with a clock of its own."""
    key = actor.customer_key(customer)
    asked = (
        *_recipient_rules(actor, key, to),
        rules.claimed(key),
        *rules.same_claim(key, known_claim),
        rules.not_expired(key, actor.clock(known)),
    )
    if known is None or known.holder is None:
        return Transition(key, known, None, asked)
    if known.holder == to:
        return Transition(key, known, None, asked, stays=True)
    past = past_holders(known, actor.policy, actor.now, actor.now)
    after = with_new_claim(known, "transferred", actor, to, claim_id, past_holders=past)
    return Transition(key, known, after, asked, recipient=to)


def from_holder(transition: Transition, user: str) -> Transition:
    """The move, of a customer that this user holds: from anybody else it takes nothing."""
    asked = (*transition.rules, rules.held_by(transition.key, user))
    if transition.before is not None and transition.before.holder == user:
        return replace(transition, rules=asked)
    return Transition(transition.key, transition.before, None, asked)


def convert(actor: Actor, customer: str, known: Customer | None, to: str | None) -> Transition:
    """A manager takes a customer out of the pool: for its holder or, also where it has none, for a named member."""
    key = actor.customer_key(customer)
    if to is None:
        goes_on = rules.not_expired(key, actor.clock(known))
        asked = (*manager_rules(actor), *customer_rules(actor, key), rules.claimed(key), goes_on)
    else:
        asked = (*_recipient_rules(actor, key, to), rules.not_private(key))
    holder = to or (None if known is None else known.holder)
    if known is None or holder is None:
        return Transition(key, known, None, asked)
    return Transition(key, known, made_private(actor, without_expired(actor, known), "converted", holder), asked)


def _recipient_rules(actor: Actor, key: Key, to: str) -> list[Rule]:
    """A manager acts for the good of a member of the pool."""
    recipient = rules.member(keys.member_key(actor.tenant, actor.pool, to), "taker_not_a_member")
    return [*manager_rules(actor), recipient, *customer_rules(actor, key)]


# Verbs of a claim


def extend(actor: Actor, customer: str, known: Customer | None, by: int | None, claim_id: str | None) -> Transition:
    """The deadline moves later, counted from where it is now (rule 15). The move's note says where it was.

    Where nobody says `by` how much, that is refused last: first come those who may not extend at all.
    """
    key, length = actor.customer_key(customer), by or 0
    asked = (
        *claim_rules(actor, key, known, claim_id),
        rules.unpinned(key, actor.clock(known)),
        *rules.extendable(key, actor.policy, length, _earliest_start(actor.policy, known, length)),
        *([] if actor.policy.members_may_extend else actor.manager_rules("extension_not_allowed")),
        *([rules.always_fails(key, "invalid_request", errors=(_NO_LENGTH,))] if by is None else []),
    )
    if by is None or known is None or known.expires_at is None or known.expires_at + by >= keys.NO_DEADLINE:
        return Transition(key, known, None, asked)
    after = transitioned(known, "extended", actor.user, actor.now, **deadlines.extended(known, actor.policy, by))
    note = {"old_expires_at": rfc3339(known.expires_at)}
    return Transition(key, known, after, asked, note=note, managed=known.holder != actor.user)


def _earliest_start(policy: Policy, known: Customer | None, by: int) -> int | None:
    """When a claim must have begun to be held for at most `max_hold` after such an extension, pauses left aside."""
    longest = policy.length("max_hold")
    if known is None or known.expires_at is None or longest is None:
        return None
    return known.expires_at + by - longest - known.stopped_ms


def follow_up(actor: Actor, customer: str, known: Customer | None, note: str | None, outcome: str | None) -> Transition:
    """A contact is recorded: by the holder of a claim, by the owner of a private customer, by a manager of either.

    Under a policy that says so, a holder's follow-up restarts the clock, and never shortens it. A manager's leaves
    clock and `last_follow_up_at` as they are, unless they are the holder (rule 32).
    """
    key, moment = actor.customer_key(customer), actor.clock(known)
    asked = (
        *customer_rules(actor, key),
        rules.in_hand(key),
        *holder_or_manager(actor, key, known),
        rules.not_expired(key, moment),
    )
    if known is None or known.holder is None:
        return Transition(key, known, None, asked)
    theirs, changes = known.holder == actor.user, dict[str, Any]()
    if theirs:
        clock = deadlines.followed_up(known, actor.policy, moment) if known.state == "claimed" else {}
        changes = {"last_follow_up_at": actor.now} | clock
    after = transitioned(known, "followed_up", actor.user, actor.now, note, outcome, **changes)
    return Transition(key, known, after, asked, managed=not theirs)


def pin(actor: Actor, customer: str, known: Customer | None, until: int) -> Transition:
    """The claim does not end before that moment (rule 16). Pinned already, it moves its pin and needs no other."""
    key = actor.customer_key(customer)
    asked = list(claim_rules(actor, key, known))
    if known is not None and known.holder is not None and (known.pinned_until or 0) <= actor.clock(known):
        asked += rules.room_for_pin(keys.member_key(actor.tenant, actor.pool, known.holder), actor.policy)
    longest = actor.policy.length("max_pin")
    if longest is not None and until > actor.now + longest:
        asked.append(rules.always_fails(key, "pin_too_long"))
    if known is None or known.holder is None:
        return Transition(key, known, None, tuple(asked))
    after = transitioned(known, "pinned", actor.user, actor.now, **deadlines.pinned(known, actor.policy, until))
    return Transition(key, known, after, tuple(asked), managed=known.holder != actor.user)


def unpin(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """The clock rules again; a claim that it would have ended while the pin held ends now."""
    key = actor.customer_key(customer)
    asked = claim_rules(actor, key, known)
    managed = known is not None and known.holder != actor.user
    if known is None or known.pinned_until is None:
        return Transition(key, known, None, asked, stays=known is not None, managed=managed)
    after = transitioned(
        known, "unpinned", actor.user, actor.now, **deadlines.unpinned(known, actor.policy, actor.clock(known))
    )
    return Transition(key, known, after, asked, managed=managed)


def win(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """The goal is reached: the customer becomes its holder's own, out of quota and clock."""
    key = actor.customer_key(customer)
    asked = claim_rules(actor, key, known)
    if known is None or known.holder is None:
        return Transition(key, known, None, asked)
    others = known.holder != actor.user
    return Transition(key, known, made_private(actor, known, "won", known.holder), asked, managed=others)


def made_private(actor: Actor, start: Customer, event_type: str, holder: str) -> Customer:
    """The customer as its holder's own: no clock, no quota. Whoever held it before somebody else gets it has left."""
    changes = deadlines.CLEARED | {"state": "private", "holder": holder, "set_aside_at": None}
    if event_type == "won":
        changes["won_at"] = actor.now
    if start.holder != holder:
        changes["past_holders"] = past_holders(start, actor.policy, actor.now, actor.now)
    return transitioned(start, event_type, actor.user, actor.now, **changes)


def deposit(actor: Actor, customer: str, known: Customer | None, into: Actor) -> Transition:
    """A private customer enters the pool (again), by its owner or by a manager; or another one, by a manager.

    `into` is the actor in the pool where it shall be; who brings it there belongs there. An embargo starts anew.
    """
    key, target_key = actor.customer_key(customer), into.customer_key(customer)
    target_pool = target_key if target_key != key else None
    asked = [
        *([] if target_pool is None else manager_rules(actor)),
        *customer_rules(actor, key),
        *rules.private(key),
        *(holder_or_manager(actor, key, known) if target_pool is None else []),
        *pool_accepts(into),
    ]
    if target_pool is not None:
        asked += [*into.member_rules(), rules.does_not_exist(target_pool)]
    if known is None or known.holder is None or known.state != "private":
        return Transition(key, known, None, tuple(asked))
    past = past_holders(known, into.policy, actor.now, actor.now)
    after = transitioned(
        known, "deposited", actor.user, actor.now, state="available", holder=None, entered_at=actor.now,
        waiting_since=actor.now, past_holders=past, won_at=None,
    )  # fmt: skip
    seen_whole = (
        known.holder != actor.user and target_pool is None
    )  # who manages the one pool need not manage the other
    return Transition(
        key, known, _relocated(after, actor, into), tuple(asked), managed=seen_whole, target_key=target_pool
    )


def _relocated(after: Customer, actor: Actor, into: Actor) -> Customer:
    """In another pool a customer keeps its history: it remembers the homes that have the older events."""
    if actor.pool == into.pool:
        return after
    first = after.tail[0].seq
    homes = after.homes | ({actor.pool: first} if first > 1 else {})
    return replace(after, pool=into.pool, homes=homes, fields_version=after.version)


def restore(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """A manager has looked at a customer that was set aside: it may be claimed again, and its returns count anew.

    One whose claim has lapsed for the last time is set aside already, swept or not.
    """
    key = actor.customer_key(customer)
    asked = (*manager_rules(actor), *customer_rules(actor, key))
    aside = None if known is None else without_expired(actor, known)
    if aside is None or aside.set_aside_at is None:
        return Transition(key, known, None, asked, stays=known is not None)
    after = transitioned(
        aside, "restored", actor.user, actor.now, set_aside_at=None, returns=0, waiting_since=actor.now
    )
    return Transition(key, known, after, asked)


# Changes that leave the holder


def edit(
    actor: Actor, customer: str, known: Customer | None, changes: Callable[[Customer], dict[str, Any]]
) -> Transition:
    """What a customer says is changed by its holder or by a manager, who may be one whose own claim has lapsed."""
    key, moment = actor.customer_key(customer), actor.clock(known)
    asked = customer_rules(actor, key)
    if known is not None and known.holder == actor.user and known.lapsed(moment):
        asked += actor.manager_rules("expired")
    else:
        asked += holder_or_manager(actor, key, known)
        if known is None or known.holder == actor.user:
            asked.append(rules.not_expired(key, moment))
    return (
        Transition(key, None, None, tuple(asked))
        if known is None
        else updated(actor, known, tuple(asked), changes(known))
    )
