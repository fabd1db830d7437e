"""Find the unique keys that customers lose, and who gets each of them.

A unique-key item names the last customer that took the phone number or e-mail address, the three before and the first.
When that customer loses the key, it returns to the last of these that still has it. All this is read in advance: the
rules of a `GivenUp` require that it still holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from chalicelib.domain import rules
from chalicelib.domain.transitions import Actor, GivenUp
from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model.model import Customer
from chalicelib.observability import exception_summary
from chalicelib.transactions.context import RequestContext

log = logging.getLogger("customer-pool")
Lost: TypeAlias = Mapping[str, Collection[Key]]  # by id of the customer
Owns: TypeAlias = Callable[[str, Key, Item], bool]
Left: TypeAlias = Mapping[str, Customer | None]  # the customers afterward; None for one that is removed


def given_up(
    ctx: RequestContext, actor: Actor, lost: Lost, stored: Mapping[Key, Item], owns: Owns, left: Left
) -> dict[str, tuple[GivenUp, ...]]:
    """Return the given-up keys of each customer: those of `lost` whose stored item it `owns`."""
    owned = {
        name: [key for key in unique_keys if key in stored and owns(name, key, stored[key])]
        for name, unique_keys in lost.items()
    }
    owners = _previous_owners(ctx, actor, [stored[key] for each in owned.values() for key in each], left)
    return {
        name: tuple(_given_up(actor, key, stored[key], owners) for key in own_keys) for name, own_keys in owned.items()
    }


def _given_up(actor: Actor, key: Key, taken: Item, owners: Left) -> GivenUp:
    still = rules.still_written(key, taken)
    next_owner = _next_owner(key, taken, owners)
    if next_owner is None:
        return GivenUp(still, None)
    owner = actor.customer_key(items.unique_key_owner(next_owner))
    return GivenUp(still, next_owner, rules.customer_exists(owner, rules.KEY_CHANGED))


def _previous_owners(ctx: RequestContext, actor: Actor, unique_keys: list[Item], left: Left) -> Left:
    """Return the customers from which the keys were taken, as they are afterward."""
    named = {owner for item in unique_keys for owner in items.previous_owners(item)} - left.keys()
    read = ctx.backend.customer_cache.read(ctx.backend.table, actor, sorted(named), malformed=set())
    return {**read, **left}


def _next_owner(key: Key, taken: Item, owners: Left) -> Item | None:
    """Return the unique-key item for the last previous owner that still has the contact, or None."""
    previous = items.previous_owners(taken)
    for at, name in enumerate(previous, 1):
        owner = owners.get(name)
        item = None if owner is None else items.unique_key_items(owner).get(key)
        if item is not None:
            return items.next_owner_item(item, previous[at:])
    return None


def owner_of(unique_key: Item) -> str | None:
    """Return the id of the customer that the item names. None if it is malformed, which is logged."""
    try:
        return items.unique_key_owner(unique_key)
    except items.MALFORMED as error:
        log.error("malformed unique key: %s", exception_summary(error))
        return None
