"""One transaction, put together move by move for as long as it holds them.

Each item is touched once, under all conditions that are asked of it, whichever move asks. Nothing here looks at what a
transaction came to, or knows a verb.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib import rules
from chalicelib.counters import Counters
from chalicelib.layout import Key
from chalicelib.moves import Move
from chalicelib.table import ACTIONS_A_TRANSACTION, Action
from chalicelib.undo_log import UndoLog
from chalicelib.writes import writes_of


class Draft:
    """`spoken_for` are items that the transaction touches besides."""

    def __init__(self, counters: Counters, log: UndoLog | None, spoken_for: Iterable[Key]) -> None:
        self.moves: dict[int, Move] = {}
        self._counters, self._log = counters, log
        self._touched = set(spoken_for)
        self._writes: dict[Key, Action] = {}
        self._asked: dict[Key, dict[int, Condition]] = {}

    def take(self, position: int, move: Move) -> bool:
        """Adds the move, unless that were more than a transaction holds."""
        asked: dict[Key, list[Condition]] = {}
        for rule in move.rules:
            asked.setdefault(rule.key, []).append(rule.condition)
        writes = writes_of(move, asked)
        more = {write.key for write in writes} | asked.keys() | self._counters.keys(move)
        more |= set() if self._log is None else self._log.keys(move)
        if len(self._touched | more) > ACTIONS_A_TRANSACTION:  # an action an item, since each is touched once
            return False
        self._touched |= more
        self.moves[position] = move
        # Two customers may say the same phone number at once: its guard, like any item, is written once, by the last.
        self._writes |= {write.key: write for write in writes}
        for key, conditions in asked.items():
            # Moves of one request share the rules about their actor: the same object, asked once.
            self._asked.setdefault(key, {}).update({id(condition): condition for condition in conditions})
        return True

    def actions(self) -> list[Action]:
        """What is to be written, and asked, for these moves."""
        asked = {key: list(conditions.values()) for key, conditions in self._asked.items()}
        moves = self.moves.values()
        written = [_asking(write, asked.pop(key, [])) for key, write in self._writes.items()]
        counted = self._counters.actions(moves, asked, self._counters.quota(moves))
        return [*written, *counted, *([] if self._log is None else self._log.part(self.moves))]


def _asking(write: Action, conditions: list[Condition]) -> Action:
    """That write, under what another move asks of the item too."""
    own = [] if write.condition is None else [write.condition]
    return replace(write, condition=rules.all_of([*own, *conditions])) if conditions else write
