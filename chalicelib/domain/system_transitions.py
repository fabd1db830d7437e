"""Plan the transitions of schedules, policy changes and whole pools: expire, remind, end pins, resume, close.

Pure, like `transitions`. A function returns a Refusal if the customer no longer qualifies: customers are found through
an index, which is eventually consistent.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from chalicelib.domain import deadlines, rules
from chalicelib.domain.claim_transitions import made_private, owner_stays
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor, QuotaUse, Transition, Write, pool_rules, returned, with_claim_expired
from chalicelib.dynamodb import keys
from chalicelib.model.errors import Refusal
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import POOL_CLOSED, Customer, transitioned

NOT_APPLICABLE = Refusal("claim_changed")

PlanExisting = Callable[[Actor, Customer], Transition | Refusal]


def planned(plan: PlanExisting, actor: Actor, customer: str, known: Customer | None) -> Transition | Refusal:
    """Plan the transition of a customer that an index lists. It may no longer exist."""
    return NOT_APPLICABLE if known is None else plan(actor, known)


def expire(actor: Actor, known: Customer) -> Transition:
    """Return a customer past its deadline to the pool, if it is unchanged and still due (rules 18 and 31)."""
    key = actor.customer_key(known.id)
    due = (*pool_rules(actor), rules.due(key, actor.clock(known)))
    return Write(key, known, due, after=with_claim_expired(actor, known))


def remind(actor: Actor, known: Customer) -> Transition | Refusal:
    """Write one `reminded` event for each level that is due, with the level as its reason."""
    levels = deadlines.levels_due(known, actor.policy, actor.now)
    if known.holder is None or known.expired(actor.now) or (known.remind_at or actor.now + 1) > actor.now:
        return NOT_APPLICABLE
    key, after = actor.customer_key(known.id), known
    if not levels:  # the policy has dropped the level since the claim began
        after = transitioned(after, "updated", SYSTEM, actor.now, "reminders changed")
    for level in levels:
        after = transitioned(after, "reminded", SYSTEM, actor.now, level)
    after = replace(after, **deadlines.reminded(known, actor.policy, actor.now))
    return Write(key, known, (rules.claimed_or_private(key), rules.not_expired(key, actor.now)), after=after)


def end_pin(actor: Actor, known: Customer) -> Transition | Refusal:
    """Clear a pin that has ended, which makes room for another. Expire the claim if it ended with the pin."""
    key, moment = actor.customer_key(known.id), actor.clock(known)
    if known.pinned_until is None or known.pinned_until > moment:
        return NOT_APPLICABLE
    if known.expired(moment):
        return expire(actor, known)
    required = (*pool_rules(actor), rules.claimed(key), rules.not_expired(key, moment))
    after = transitioned(known, "unpinned", SYSTEM, actor.now, **deadlines.unpinned(known, actor.policy, moment))
    return Write(key, known, required, after=after)


def recompute_deadline(actor: Actor, known: Customer) -> Transition:
    """Compute the deadline of a claim or a private customer under a new policy, but never before now."""
    key, moment = actor.customer_key(known.id), actor.clock(known)
    required: tuple[Rule, ...] = (
        *pool_rules(actor),
        *actor.manager_rules(),
        rules.claimed_or_private(key),
        rules.not_expired(key, moment),
    )
    if known.state == "private" and known.holder is not None:
        owner = keys.member_key(actor.tenant, actor.pool, known.holder)
        required = (*required, rules.clock_not_behind(owner, actor.now))
    after = transitioned(known, "updated", actor.user, actor.now, **deadlines.recomputed(known, actor.policy, moment))
    return Write(key, known, required, after=after)


def resume(actor: Actor, known: Customer) -> Transition | Refusal:
    """Shift the deadlines of a claim by the part of the pause that it existed in.

    A claim that expired before the pause has no clock to shift: its customer is free since the deadline.
    """
    pool, key = actor.home, actor.customer_key(known.id)
    if known.pauses == pool.pauses or known.state != "claimed" or pool.paused_at is None or pool.resumed_at is None:
        return NOT_APPLICABLE
    if known.expired(pool.paused_at):
        return NOT_APPLICABLE
    clock = deadlines.shifted(known, actor.policy, pool.paused_at, pool.resumed_at, pool.pauses)
    after = transitioned(known, "updated", SYSTEM, actor.now, "pool resumed", **clock)
    return Write(key, known, (*pool_rules(actor), rules.claimed(key)), after=after)


def close(actor: Actor, known: Customer) -> Transition | Refusal:
    """End a claim of a pool that closes: return the customer to the pool, or make it private to its holder."""
    key = actor.customer_key(known.id)
    if known.state != "claimed" or known.holder is None:
        return NOT_APPLICABLE
    required = (*pool_rules(actor), rules.claimed(key))
    if known.expired(actor.clock(known)):
        return Write(key, known, required, after=with_claim_expired(actor, known))
    if actor.home.closing == "to_private":
        required = (*required, owner_stays(actor, known.holder))
        after = made_private(actor, known, "converted", known.holder)
        return Write(key, known, required, after=after, quota_use=QuotaUse(known.holder, counter="private"))
    return reclaim(actor, known)


def reclaim(actor: Actor, known: Customer) -> Transition | Refusal:
    """End a claim of a closed pool whose holder has left, or has no room for another private customer (rule 33)."""
    key = actor.customer_key(known.id)
    if known.state != "claimed" or known.holder is None:
        return NOT_APPLICABLE
    after = returned(actor, known, "reclaimed", SYSTEM, actor.now, POOL_CLOSED)
    return Write(key, known, (*pool_rules(actor), rules.claimed(key)), after=after)
