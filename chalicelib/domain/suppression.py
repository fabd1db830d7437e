"""Plan the suppression of a customer that is not to be contacted, and its end (rule 49).

Pure, like `transitions`. The customer stays available, and nobody can claim it. The digests of its phone numbers and
e-mail addresses follow from the customer before and after each transition: `digests`. They work in a pool of any
status.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chalicelib.domain import deadlines, rules
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import (
    Actor,
    Erase,
    NoOp,
    Recheck,
    Remove,
    Transition,
    Unsuppress,
    Write,
    customer_rules,
    manager_verb_rules,
    past_holder_attributes,
    without_expired,
)
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import Key
from chalicelib.model.contact_keys import of_people
from chalicelib.model.model import Customer, Tombstone, transitioned


class Digest(NamedTuple):
    """A contact of a suppressed customer or a tombstone: the item of the contact, and the customer's name in it."""

    key: Key
    source: str


def suppress(actor: Actor, customer: str, known: Customer | None, *, force: bool) -> Transition:
    """Suppress a customer. One that somebody holds or owns is reclaimed, with `force` only."""
    key = actor.customer_key(customer)
    free = [] if force else [rules.not_held(key, actor.clock(known))]
    required = (*manager_verb_rules(actor), *customer_rules(actor, key), *free)
    if known is None:
        return Recheck(key, None, required)
    if known.suppressed_at is not None:
        return NoOp(key, known, required, managed=True)
    after = _suppressed(actor, without_expired(actor, known))
    return Write(key, known, required, after=after, managed=True)


def _suppressed(actor: Actor, start: Customer) -> Customer:
    """Return the customer suppressed. A claim ends like one that is released, an ownership like a deposited one."""
    changes: dict[str, Any] = {"suppressed_at": actor.now}
    if start.holder is not None:
        changes |= {"state": "available", "holder": None, "waiting_since": actor.now, **deadlines.CLEARED}
        changes |= past_holder_attributes(start, actor.policy, actor.now, actor.now)
    if start.state == "claimed":
        changes["returns"] = start.returns + 1
    if start.state == "private":
        changes |= {"entered_at": actor.now, "won_at": None}
    return transitioned(start, "suppressed", actor.user, actor.now, **changes)


def unsuppress(actor: Actor, customer: str, known: Customer | None) -> Transition:
    """End the suppression. The customer may be claimed again, unless it is set aside; it waits from now on."""
    key = actor.customer_key(customer)
    required = (*manager_verb_rules(actor), *customer_rules(actor, key))
    if known is None:
        return Recheck(key, None, required)
    if known.suppressed_at is None:
        return NoOp(key, known, required, managed=True)
    changes: dict[str, Any] = {"suppressed_at": None, "waiting_since": actor.now}
    after = transitioned(known, "unsuppressed", actor.user, actor.now, **changes)
    return Write(key, known, required, after=after, managed=True)


def unsuppress_erased(actor: Actor, customer: str, known: Customer | None, *, tombstone: Tombstone) -> Transition:
    """End the suppression of an erased customer. It stays erased."""
    key = actor.customer_key(customer)
    required = (*manager_verb_rules(actor), _same(key, tombstone))
    return Unsuppress(key, None, required, erased=tombstone, managed=True)


def _same(key: Key, tombstone: Tombstone) -> Rule:
    return rules.erased_and(key, tombstone.suppressed_at)


# Digests


def digests(transition: Transition) -> tuple[frozenset[Digest], frozenset[Digest]]:
    """Return the digests that the transition adds, and those that it removes."""
    before, after = _before(transition), _after(transition)
    return after - before, before - after


def _before(transition: Transition) -> frozenset[Digest]:
    if isinstance(transition, Unsuppress):
        return of_tombstone(transition.erased)
    writes = isinstance(transition, Write | Remove | Erase)
    return frozenset() if transition.before is None or not writes else of_customer(transition.before)


def _after(transition: Transition) -> frozenset[Digest]:
    if isinstance(transition, Erase | Unsuppress):
        return of_tombstone(transition.after)
    return of_customer(transition.after) if isinstance(transition, Write) else frozenset()


def of_customer(customer: Customer) -> frozenset[Digest]:
    """Return the digests of a customer with its fields: none unless it is suppressed."""
    if customer.suppressed_at is None:
        return frozenset()
    return _digests(customer, of_people(customer.contact_keys))


def of_tombstone(tombstone: Tombstone) -> frozenset[Digest]:
    return _digests(tombstone, tombstone.digests)


def _digests(customer: Customer | Tombstone, contact_keys: tuple[str, ...]) -> frozenset[Digest]:
    source = keys.suppression_source(customer.pool, customer.id)
    return frozenset(Digest(keys.suppression_key(customer.tenant, each), source) for each in contact_keys)
