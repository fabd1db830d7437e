"""What else may become of a customer: given to a member, extended, followed up, won, taken out of the pool, put back.

Pure moves like those of `moves`, and built of the same pieces. A manager's verbs first, then those of a claim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib import layout, rules
from chalicelib.layout import Key
from chalicelib.moves import (
    Actor,
    Move,
    by_manager,
    on_claim,
    on_customer,
    still_of_interest,
    updated,
    with_holder,
    without_lapsed,
)
from chalicelib.records import Customer, step
from chalicelib.rules import Rule
from chalicelib.times import rfc3339


def assign(actor: Actor, customer: str, known: Customer | None, to: str, claim_id: str) -> Move:
    """A manager gives an available customer to a member, or to themself. Limits hold; cooldown and embargo do not."""
    key = actor.customer_key(customer)
    asked = (*_to_member(actor, key, to), rules.free_to_claim(key, actor.now))
    if known is None:
        return Move(key, None, None, asked)
    after = with_holder(without_lapsed(actor, known), "assigned", actor, to, claim_id)
    return Move(key, known, after, asked, taker=to)


def transfer(
    actor: Actor, customer: str, known: Customer | None, to: str, claim_id: str, known_claim: str | None
) -> Move:
    """A manager gives a claimed customer to another member: a new claim, with a clock of its own."""
    key = actor.customer_key(customer)
    asked = (
        *_to_member(actor, key, to),
        rules.claimed(key),
        *rules.same_claim(key, known_claim),
        rules.not_expired(key, actor.now),
    )
    if known is None or known.holder is None:
        return Move(key, known, None, asked)
    if known.holder == to:
        return Move(key, known, None, asked, stays=True)
    past = still_of_interest(known.past_holders | {known.holder: actor.now}, actor.policy, actor.now)
    after = with_holder(known, "transferred", actor, to, claim_id, past_holders=past)
    return Move(key, known, after, asked, taker=to)


def convert(actor: Actor, customer: str, known: Customer | None, to: str | None) -> Move:
    """A manager takes a customer out of the pool: for its holder or, also where it has none, for a named member."""
    key = actor.customer_key(customer)
    if to is None:
        asked = (*by_manager(actor), *on_customer(actor, key), rules.claimed(key), rules.not_expired(key, actor.now))
    else:
        asked = (*_to_member(actor, key, to), rules.in_the_pool(key))
    holder = to or (None if known is None else known.holder)
    if known is None or holder is None:
        return Move(key, known, None, asked)
    return Move(key, known, _private(actor, without_lapsed(actor, known), "converted", holder), asked)


def _to_member(actor: Actor, key: Key, to: str) -> list[Rule]:
    """A manager acts for the good of a member of the pool."""
    taker = rules.member(layout.member_key(actor.tenant, actor.pool, to), "taker_not_a_member")
    return [*by_manager(actor), taker, *on_customer(actor, key)]


# Verbs of a claim


def extend(actor: Actor, customer: str, known: Customer | None, by: int, claim_id: str | None) -> Move:
    """The deadline moves later, counted from where it is now (rule 15). The move's note says where it was."""
    key = actor.customer_key(customer)
    deadline = None if known is None or known.expires_at is None else known.expires_at + by
    asked = [*on_claim(actor, key, known, claim_id), *rules.extendable(key, actor.policy, by, deadline)]
    if not actor.policy.members_may_extend:
        asked.append(rules.manager(actor.member_key, "extension_not_allowed"))
    if known is None or known.expires_at is None or known.expires_at + by >= layout.FOREVER:
        return Move(key, known, None, tuple(asked))
    after = step(
        known, "extended", actor.user, actor.now, expires_at=deadline, extensions=known.extensions + 1,
        extended_ms=known.extended_ms + by,
    )  # fmt: skip
    return Move(
        key,
        known,
        after,
        tuple(asked),
        note={"old_expires_at": rfc3339(known.expires_at)},
        managed=known.holder != actor.user,
    )


def follow_up(actor: Actor, customer: str, known: Customer | None, note: str | None) -> Move:
    """The holder records a contact; under a policy that says so it restarts the clock, and never shortens it."""
    key = actor.customer_key(customer)
    asked = (
        *on_customer(actor, key),
        rules.claimed(key),
        rules.held_by(key, actor.user),
        rules.not_expired(key, actor.now),
    )
    if known is None or known.claimed_at is None:
        return Move(key, known, None, asked)
    expires_at = _restarted(actor, known, known.claimed_at)
    after = step(
        known, "followed_up", actor.user, actor.now, note, last_follow_up_at=actor.now, expires_at=expires_at
    )  # fmt: skip
    return Move(key, known, after, asked)


def _restarted(actor: Actor, known: Customer, claimed_at: int) -> int | None:
    if known.expires_at is None or not (actor.policy.follow_up_restarts_clock or actor.policy.idle_ttl):
        return known.expires_at
    return max(known.expires_at, actor.policy.deadline(claimed_at, actor.now) or 0)


def win(actor: Actor, customer: str, known: Customer | None) -> Move:
    """The goal is reached: the customer becomes its holder's own, out of quota and clock."""
    key = actor.customer_key(customer)
    asked = on_claim(actor, key, known)
    if known is None or known.holder is None:
        return Move(key, known, None, asked)
    others = known.holder != actor.user
    return Move(key, known, _private(actor, known, "won", known.holder), asked, managed=others)


def _private(actor: Actor, start: Customer, event_type: str, holder: str) -> Customer:
    return step(
        start, event_type, actor.user, actor.now, state="private", holder=holder, claim_id=None, claimed_at=None,
        expires_at=None, extensions=0, extended_ms=0,
    )  # fmt: skip


def deposit(actor: Actor, customer: str, known: Customer | None) -> Move:
    """A private customer enters the pool (again): by its private holder or by a manager. An embargo starts anew."""
    key = actor.customer_key(customer)
    others = known is not None and known.holder is not None and known.holder != actor.user
    asked = (
        *on_customer(actor, key),
        *rules.private(key),
        rules.manager(actor.member_key, "not_holder") if others else rules.held_by(key, actor.user),
    )
    if known is None or known.holder is None or known.state != "private":
        return Move(key, known, None, asked)
    past = still_of_interest(known.past_holders | {known.holder: actor.now}, actor.policy, actor.now)
    after = step(
        known, "deposited", actor.user, actor.now, state="available", holder=None, entered_at=actor.now,
        waiting_since=actor.now, past_holders=past,
    )  # fmt: skip
    return Move(key, known, after, asked, managed=others)


# Changes that leave the holder


def edit(actor: Actor, customer: str, known: Customer | None, changes: Callable[[Customer], dict[str, Any]]) -> Move:
    """What a customer says is changed by its holder or by a manager."""
    key = actor.customer_key(customer)
    asked = (*on_customer(actor, key), *_holder_or_manager(actor, key, known))
    return Move(key, None, None, asked) if known is None else updated(actor, known, asked, changes(known))


def _holder_or_manager(actor: Actor, key: Key, known: Customer | None) -> list[Rule]:
    if known is not None and known.holder != actor.user:
        return [rules.manager(actor.member_key, "not_holder")]
    return [rules.held_by(key, actor.user), rules.not_expired(key, actor.now)]


def clock_anew(actor: Actor, known: Customer) -> Move:
    """A new policy applies to a claim that goes on: its deadline is worked out again, but never before now."""
    key = actor.customer_key(known.id)
    asked = (rules.manager(actor.member_key), rules.claimed(key), rules.not_expired(key, actor.now))
    after = step(known, "updated", actor.user, actor.now, expires_at=deadline_anew(actor, known))
    return Move(key, known, after, asked)


def deadline_anew(actor: Actor, known: Customer) -> int | None:
    deadline = known.clocked(actor.policy)
    return None if deadline is None else max(deadline, actor.now)
