"""Add up the forecasts of an import: a file is many requests, and each forecast knows only its own rows.

The stored customers are the same for all forecasts, so what the rows of other requests take must be subtracted: the
room of the holders. Two rows about one customer are found where the file is read (`rows`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from importing.problems import Problem, problem


@dataclass
class FileForecast:
    """The forecast of all rows so far. `refused` has, by line, the result of the service or a problem found here.
    `room` is what each named holder may still get, None without a limit."""

    outcomes: Counter[str] = field(default_factory=Counter)
    refused: dict[int, Mapping[str, Any] | Problem] = field(default_factory=dict)
    room: dict[str, int | None] = field(default_factory=dict)
    _assigned: set[str] = field(default_factory=set)  # stored customers that a row gives to a holder

    @property
    def ok(self) -> int:
        return self.outcomes.total()

    def add(self, lines: Sequence[int], results: Sequence[Mapping[str, Any]], room: Mapping[str, int | None]) -> None:
        """Add the results of one request, in the order of the file, and the room that it states."""
        self.room = dict(room) | self.room
        for line, result in zip(lines, results, strict=True):
            if not result["ok"]:
                self.refused[line] = result
            elif self._fits(result):
                self.outcomes[result["outcome"]] += 1
            else:
                self.refused[line] = problem("holding_limit", holder=result["holder"])

    def _fits(self, result: Mapping[str, Any]) -> bool:
        """Take the room of the row's holder, if it names one. Return whether there was some."""
        holder, customer = result["holder"], result["id"]
        left = None if holder is None else self.room.get(holder)
        if left is None or customer in self._assigned:
            return True
        if left == 0:
            return False
        self.room[holder] = left - 1
        if customer:
            self._assigned.add(customer)
        return True
