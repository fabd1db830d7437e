"""One transaction, put together move by move for as long as it holds them.

Each item is touched once, under all conditions that are asked of it, whichever move asks. Nothing here looks at what a
transaction came to, or knows a verb.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules
from chalicelib.domain.transitions import Transition
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import MAX_ACTIONS, Action
from chalicelib.transactions.counters import Counters
from chalicelib.transactions.customer_writes import actions_of
from chalicelib.transactions.import_log import ImportLog


class TransactionBuilder:
    """`spoken_for` are items that the transaction touches besides."""

    def __init__(self, counters: Counters, log: ImportLog | None, reserved_keys: Iterable[Key]) -> None:
        self.transitions: dict[int, Transition] = {}
        self._counters, self._log = counters, log
        self._touched = set(reserved_keys)
        self._writes: dict[Key, Action] = {}
        self._asked: dict[Key, dict[int, Condition]] = {}

    def take(self, position: int, transition: Transition) -> bool:
        """Adds the move, unless that were more than a transaction holds."""
        asked: dict[Key, list[Condition]] = {}
        for rule in transition.rules:
            asked.setdefault(rule.key, []).append(rule.condition)
        writes = actions_of(transition, asked)
        more = {write.key for write in writes} | asked.keys() | self._counters.keys(transition)
        more |= set() if self._log is None else self._log.keys(transition)
        if len(self._touched | more) > MAX_ACTIONS:  # an action an item, since each is touched once
            return False
        self._touched |= more
        self.transitions[position] = transition
        # Two customers may say the same phone number at once: its guard, like any item, is written once, by the last.
        self._writes |= {write.key: write for write in writes}
        for key, conditions in asked.items():
            # Moves of one request share the rules about their actor: the same object, asked once.
            self._asked.setdefault(key, {}).update({id(condition): condition for condition in conditions})
        return True

    def actions(self) -> list[Action]:
        """What is to be written, and asked, for these moves."""
        asked = {key: list(conditions.values()) for key, conditions in self._asked.items()}
        transitions = self.transitions.values()
        written = [_with_conditions(write, asked.pop(key, [])) for key, write in self._writes.items()]
        counted = self._counters.actions(transitions, asked, self._counters.quota(transitions))
        return [*written, *counted, *([] if self._log is None else self._log.part(self.transitions))]


def _with_conditions(write: Action, conditions: list[Condition]) -> Action:
    """That write, under what another move asks of the item too."""
    own = [] if write.condition is None else [write.condition]
    return replace(write, condition=rules.all_of([*own, *conditions])) if conditions else write
