"""Moves that nobody asks for by a customer's name: what the clock does, what a policy does, what a whole pool does.

Pure, like those of `moves` and `lifecycle`. Each answers with a Refusal where the customer turns out not to be
concerned any more: what found it, an index, may be a moment late.
"""

from __future__ import annotations

from msgspec.structs import replace

from chalicelib.domain import deadlines, rules
from chalicelib.domain.claim_transitions import made_private
from chalicelib.domain.transitions import SYSTEM, Actor, Transition, expired, pool_rules, returned
from chalicelib.model.errors import Refusal
from chalicelib.model.model import POOL_CLOSED, Customer, transitioned

NOT_APPLICABLE = Refusal("claim_changed")


def expire(actor: Actor, known: Customer) -> Transition:
    """A lapsed claim is returned, provided that it is still the same claim and still due (rule 18)."""
    key = actor.customer_key(known.id)
    return Transition(key, known, expired(actor, known), (*pool_rules(actor), rules.due(key, actor.clock(known))))


def remind(actor: Actor, known: Customer) -> Transition | Refusal:
    """The holder is told that the claim ends soon: one event for each level that is due, with the level as reason."""
    levels = deadlines.levels_due(known, actor.policy, actor.now)
    if known.state != "claimed" or known.lapsed(actor.now) or (known.remind_at or actor.now + 1) > actor.now:
        return NOT_APPLICABLE
    key, after = actor.customer_key(known.id), known
    if not levels:  # the policy has dropped the level since the claim began
        after = transitioned(after, "updated", SYSTEM, actor.now, "reminders changed")
    for level in levels:
        after = transitioned(after, "reminded", SYSTEM, actor.now, level)
    after = replace(after, **deadlines.reminded(known, actor.policy, actor.now))
    return Transition(key, known, after, (rules.claimed(key), rules.not_expired(key, actor.now)))


def end_pin(actor: Actor, known: Customer) -> Transition | Refusal:
    """A pin that has ended of itself makes room for another; its claim may have ended with it."""
    key, moment = actor.customer_key(known.id), actor.clock(known)
    if known.pinned_until is None or known.pinned_until > moment:
        return NOT_APPLICABLE
    if known.lapsed(moment):
        return expire(actor, known)
    asked = (*pool_rules(actor), rules.claimed(key), rules.not_expired(key, moment))
    after = transitioned(known, "unpinned", SYSTEM, actor.now, **deadlines.unpinned(known, actor.policy, moment))
    return Transition(key, known, after, asked)


def recompute_deadline(actor: Actor, known: Customer) -> Transition:
    """A new policy applies to a claim that goes on: its deadline is worked out again, but never before now."""
    key, moment = actor.customer_key(known.id), actor.clock(known)
    asked = (*pool_rules(actor), *actor.manager_rules(), rules.claimed(key), rules.not_expired(key, moment))
    after = transitioned(known, "updated", actor.user, actor.now, **deadlines.recomputed(known, actor.policy, moment))
    return Transition(key, known, after, asked)


def resume(actor: Actor, known: Customer) -> Transition | Refusal:
    """After a pause every deadline is later by as much of it as the claim lived through; one that had lapsed before has
    no clock to shift, and its customer has been free since the deadline, swept or not."""
    pool, key = actor.home, actor.customer_key(known.id)
    if known.pauses == pool.pauses or known.state != "claimed" or pool.paused_at is None or pool.resumed_at is None:
        return NOT_APPLICABLE
    if known.lapsed(pool.paused_at):
        return NOT_APPLICABLE
    clock = deadlines.shifted(known, actor.policy, pool.paused_at, pool.resumed_at, pool.pauses)
    after = transitioned(known, "updated", SYSTEM, actor.now, "pool resumed", **clock)
    return Transition(key, known, after, (*pool_rules(actor), rules.claimed(key)))


def close(actor: Actor, known: Customer) -> Transition | Refusal:
    """A pool that closes gives up its claims: back to the pool, or to their holders for good."""
    key = actor.customer_key(known.id)
    if known.state != "claimed" or known.holder is None:
        return NOT_APPLICABLE
    asked = (*pool_rules(actor), rules.claimed(key))
    if known.lapsed(actor.clock(known)):
        return Transition(key, known, expired(actor, known), asked)
    if actor.home.closing == "to_private":
        return Transition(key, known, made_private(actor, known, "converted", known.holder), asked)
    return Transition(key, known, returned(actor, known, "reclaimed", SYSTEM, actor.now, POOL_CLOSED), asked)
