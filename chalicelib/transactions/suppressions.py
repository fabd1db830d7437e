"""Write the suppressions of a tenant: one item for each phone number and e-mail address of suppressed customers.

The item exists while a suppressed customer, or a tombstone, has the contact. It names them and counts them, so that the
last one deletes it. All changes follow from transitions, like those of counters. Whether an item stays is assumed
first: the one customer is the only one. DynamoDB then returns the item of a wrong assumption. No decision is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Value

from chalicelib.domain import suppression
from chalicelib.domain.transitions import Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute, all_of
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import Action, Delete, Update

_count: Final = Attribute("count")


class Suppressions:
    """The suppressions that one request writes."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._seen: dict[Key, Item] = {}

    def learn(self, failed_items: Mapping[Key, Item]) -> None:
        """Store the suppressions among the failed items; {} means that there is none."""
        self._seen |= {key: item for key, item in failed_items.items() if keys.is_suppression(key)}

    def keys(self, transition: Transition) -> set[Key]:
        """Return the keys of the items that a transition writes."""
        added, removed = suppression.digests(transition)
        return {each.key for each in added | removed}

    def actions(self, transitions: Iterable[Transition], required: dict[Key, list[Condition]]) -> list[Action]:
        """Return one action per item. Its conditions are removed from `required`."""
        added, removed = dict[Key, set[str]](), dict[Key, set[str]]()
        for transition in transitions:
            for sums, digests in zip((added, removed), suppression.digests(transition), strict=True):
                for each in digests:
                    sums.setdefault(each.key, set()).add(each.source)
        actions = []
        for key in added.keys() | removed.keys():
            action = self._action(key, added.get(key, set()), removed.get(key, set()), required.get(key, []))
            if action is not None:
                required.pop(key, None)
                actions.append(action)
        return actions

    def _action(self, key: Key, added: set[str], removed: set[str], conditions: list[Condition]) -> Action | None:
        """Return the write of one item; None if a customer is named, or not, already."""
        seen = self._seen.get(key)
        if seen is not None:
            added, removed = added - seen.keys(), removed & seen.keys()
        if not added and not removed:
            return None
        conditions = [*conditions, *(Attribute([each]).does_not_exist() for each in sorted(added))]
        conditions += [Attribute([each]).exists() for each in sorted(removed)]
        others = sorted(keys.named_in_suppression(seen or {}) - removed)
        if not added and not others:
            return Delete(key, all_of([*conditions, ~(_count > len(removed))]))
        if not added:
            conditions.append(Attribute([others[0]]).exists())
        return Update(key, self._changes(added, removed), all_of(conditions))

    def _changes(self, added: set[str], removed: set[str]) -> list[Any]:
        roster = Attribute(ROSTER).set(Value(items.serialize(keys.suppressions(self._tenant))))
        named = [Attribute([each]).set(Value(items.serialize(1))) for each in sorted(added)]
        gone = [Attribute([each]).remove() for each in sorted(removed)]
        return [roster, *named, *gone, _count.add(len(added) - len(removed))]
