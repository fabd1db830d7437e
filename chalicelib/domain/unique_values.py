"""The values of unique fields that a transition takes for its customer, and those that it releases (rule 35).

Derived from the customer before and after, so that no verb can forget them. A value belongs to at most one customer of
a pool: its item exists while that customer has the value.
"""

from __future__ import annotations

from typing import Final

from chalicelib.domain import rules
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Erase, Remove, Transition, Write
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.model.model import Customer

_NONE: Final[frozenset[Key]] = frozenset()


def rules_of(after: Customer, before: Customer | None = None) -> list[Rule]:
    """Require of each value that the customer gets: no other customer of the pool has it."""
    gained = sorted(_keys(after) - _keys(before))
    return [rules.not_of_another(key, after.id, after.created_at) for key in gained]


def changed(transition: Transition) -> frozenset[Key]:
    """Return the values that the transition takes or releases."""
    return _after(transition) ^ _before(transition)


def taken(transition: Transition) -> frozenset[Key]:
    return _after(transition) - _before(transition)


def released(transition: Transition) -> frozenset[Key]:
    return _before(transition) - _after(transition)


def items_of(transition: Write) -> dict[Key, Item]:
    """Return the items of the values that the customer gets."""
    return {key: item_of(key, transition.after) for key in sorted(taken(transition))}


def item_of(key: Key, owner: Customer) -> Item:
    """Return the item of a value that this customer has."""
    roster = keys.unique_values_in(owner.tenant, owner.pool)
    named = {"customer": owner.id, "created_at": owner.created_at, "version": owner.version}
    return items.build_item(key, named | {ROSTER: roster})


def has(customer: Customer, key: Key) -> bool:
    return key in _keys(customer)


def _before(transition: Transition) -> frozenset[Key]:
    return _keys(transition.before) if isinstance(transition, Write | Remove | Erase) else _NONE


def _after(transition: Transition) -> frozenset[Key]:
    return _keys(transition.after) if isinstance(transition, Write) else _NONE


def _keys(customer: Customer | None) -> frozenset[Key]:
    if customer is None or not customer.unique_keys:
        return _NONE
    return frozenset(keys.unique_key(customer.tenant, customer.pool, each) for each in customer.unique_keys)
