"""Build one DynamoDB transaction from transitions, up to the maximum number of actions.

Each item appears once, with the conditions of all transitions that need it. This module must not know any verb, nor the
outcome of a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules, unique_values
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import all_of
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import MAX_ACTIONS, Action, Update
from chalicelib.transactions.counters import Counters
from chalicelib.transactions.customer_writes import actions_of, taken_keys
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.scheduled_checks import checks_moved
from chalicelib.transactions.suppressions import Suppressions


class TransactionBuilder:
    """`actor` makes the transitions; `reserved_keys` are the keys of other items in the transaction."""

    def __init__(
        self,
        actor: Actor,
        counters: Counters,
        suppressions: Suppressions,
        log: ImportLog | None,
        reserved_keys: Iterable[Key],
    ) -> None:
        self.transitions: dict[int, Transition] = {}
        self._actor, self._counters, self._suppressions, self._log = actor, counters, suppressions, log
        self._touched = set(reserved_keys)
        self._writes: dict[Key, Action] = {}
        self._takers: dict[Key, list[Item]] = {}  # of a unique key, in order
        self._required: dict[Key, dict[int, Condition]] = {}
        self._suppressed: set[Key] = set()
        self._unique: set[Key] = set()

    def add(self, position: int, transition: Transition) -> bool:
        """Add the transition if it fits. Return whether it did."""
        required: dict[Key, list[Condition]] = {}
        for rule in transition.rules:
            required.setdefault(rule.key, []).append(rule.condition)
        writes = [*actions_of(transition, required), *checks_moved(transition, self._actor)]
        more = {write.key for write in writes} | required.keys() | self._counters.keys(transition)
        more |= set() if self._log is None else self._log.keys(transition)
        suppressed = self._suppressions.keys(transition)
        more |= suppressed
        if len(self._touched | more) > MAX_ACTIONS or self.conflict(transition) is not None:  # one action per item
            return False
        self._touched |= more
        self._suppressed |= suppressed
        self._unique |= unique_values.changed(transition)
        self.transitions[position] = transition
        # Two customers may get the same phone number at once: the last one writes the unique-key item.
        taken = taken_keys(transition)
        for write in writes:
            if write.key in taken:
                self._takers.setdefault(write.key, []).append(taken[write.key])
            self._writes[write.key] = write
        for key, conditions in required.items():
            # Transitions of one request share the rules about their actor: the same object, checked once.
            self._required.setdefault(key, {}).update({id(condition): condition for condition in conditions})
        return True

    def conflict(self, transition: Transition) -> str | None:
        """Return why the transition cannot follow another one in this transaction; None if nothing is against it.

        DynamoDB evaluates all conditions before the writes. So one customer must not get a contact in the transaction
        that suppresses it, and two customers not the same value of a unique field.
        """
        if unique_values.changed(transition) & self._unique:
            return rules.VALUE_TAKEN
        required = {rule.key for rule in transition.rules if keys.is_suppression(rule.key)}
        suppressed = self._suppressions.keys(transition)
        refused = required & self._suppressed or suppressed & self._required.keys()
        return "suppressed" if refused else None

    def actions(self) -> list[Action]:
        """Return the actions of all added transitions."""
        required = {key: list(conditions.values()) for key, conditions in self._required.items()}
        transitions = self.transitions.values()
        for rule in self._counters.uncounted(transitions):
            required.setdefault(rule.key, []).append(rule.condition)
        written = [_with_conditions(self._taken(write), required.pop(key, [])) for key, write in self._writes.items()]
        suppressed = self._suppressions.actions(transitions, required)
        counted = self._counters.actions(transitions, required, self._counters.quotas(transitions))
        return [*written, *suppressed, *counted, *([] if self._log is None else self._log.part(self.transitions))]

    def _taken(self, write: Action) -> Action:
        """Return the write. One of a unique key that several customers take also names those before the last one."""
        *overtaken, last = self._takers.get(write.key, [{}])
        if not overtaken or not isinstance(write, Update):
            return write
        names = [items.unique_key_owner(each) for each in reversed(overtaken)]
        return replace(write, actions=rules.take_unique_key(last, names))


def _with_conditions(write: Action, conditions: list[Condition]) -> Action:
    """Return the write with the conditions of other transitions on the same item."""
    own = [] if write.condition is None else [write.condition]
    return replace(write, condition=all_of([*own, *conditions])) if conditions else write
