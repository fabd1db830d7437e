"""Convert the text of a cell to the type that the pool defines for its field.

Text that does not fit stays as it is: the service refuses it with a reason, and nobody's data is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from importing.cells import Cell

_WHOLE: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})")  # exact in JSON of every language
_DECIMAL: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})\.\d{1,15}")
_TRUE: Final = frozenset(("true", "yes", "是"))
_FALSE: Final = frozenset(("false", "no", "否"))
_DATE: Final = re.compile(
    r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?(?:[ T]0?0:00(?::00(?:\.0+)?)?)?", re.ASCII
)
_COMMAS: Final = re.compile("[,，]")


def converter(kind: str, *, exact: bool) -> Callable[[Cell], Any] | None:
    """Return the conversion of cells for a type of field. In an `exact` file, text is not a guess: it stays."""
    return None if exact and kind not in _OF_AN_EXPORT else _CONVERTERS.get(kind)


def _number(cell: Cell) -> Cell:
    """Return a number only where its digits are those of the text: `007` and `1.50` stay text."""
    if not isinstance(cell, str):
        return cell
    if _WHOLE.fullmatch(cell):
        return int(cell) if str(int(cell)) == cell else cell
    if _DECIMAL.fullmatch(cell) and repr(float(cell)) == cell:
        return float(cell)
    return cell


def _bool(cell: Cell) -> Cell:
    word = cell.strip().lower() if isinstance(cell, str) else ""
    return True if word in _TRUE else False if word in _FALSE else cell


def _date(cell: Cell) -> Cell:
    found = _DATE.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if found is None:
        return cell
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return cell


def _choices(cell: Cell) -> Cell | list[str]:
    if not isinstance(cell, str):
        return [str(cell)]
    return [part.strip() for part in _COMMAS.split(cell) if part.strip()]


def _text(cell: Cell) -> str:
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


_CONVERTERS: Final[Mapping[str, Callable[[Cell], Any]]] = {
    "number": _number, "bool": _bool, "date": _date, "choices": _choices,
    "text": _text, "choice": _text, "email": _text, "url": _text,
}  # fmt: skip
_OF_AN_EXPORT: Final = frozenset(("number", "bool", "choices"))  # CSV has no types, and no lists
