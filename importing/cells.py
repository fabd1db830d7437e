"""Cells and lines of a table, as a file contains them."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from importing.problems import Problem

_END_OF_FILE: Final = "\x1a"  # which old programs write behind the last line
Cell: TypeAlias = str | int | float | bool


class Line(NamedTuple):
    """`problem` keeps the line from being imported. `lost` are the positions of cells that lost digits, `without_value`
    those of formulas without a result."""

    number: int
    cells: list[Cell]
    problem: Problem | None = None
    lost: tuple[int, ...] = ()
    without_value: tuple[int, ...] = ()


def is_empty(cell: Cell) -> bool:
    return isinstance(cell, str) and not cell.replace(_END_OF_FILE, "").strip()
