"""Convert the text of a cell to the type that the pool defines for its field.

Text that does not fit stays as it is: the service refuses it with a reason, and nobody's data is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from importing.cells import Cell

_WHOLE: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})")  # exact in JSON of every language
_DECIMAL: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})\.\d{1,15}")
_TRUE: Final = frozenset(("true", "yes", "y", "1", "是"))
_FALSE: Final = frozenset(("false", "no", "n", "0", "否"))
_DATE: Final = re.compile(
    r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?(?:[ T]0?0:00(?::00(?:\.0+)?)?)?", re.ASCII
)
_DATE_OF_DIGITS: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_COMMAS: Final = re.compile("[,，]")
_SEMICOLONS: Final = re.compile("[;；]")  # Salesforce and HubSpot write lists with them


def converter(kind: str, *, exact: bool) -> Callable[[Cell], Any] | None:
    """Return the conversion of cells for a type of field. In an `exact` file, text is not a guess: it stays."""
    return _OF_AN_EXPORT.get(kind) if exact else _CONVERTERS.get(kind)


def text_of(cell: Cell) -> str:
    """Return a cell of a workbook as text: a number without an exponent."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"{Decimal(repr(cell)):f}" if isinstance(cell, float) else str(cell)


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
    word = text_of(cell).strip().lower()
    return True if word in _TRUE else False if word in _FALSE else cell


def _date(cell: Cell) -> Cell:
    text = text_of(cell).strip()
    found = _DATE.fullmatch(text) or _DATE_OF_DIGITS.fullmatch(text)
    if found is None:
        return cell
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return cell


def _choices(cell: Cell) -> list[str]:
    text = text_of(cell)
    parts = _COMMAS.split(text)
    return _without_blanks(parts if len(parts) > 1 else _SEMICOLONS.split(text))


def _choices_of_an_export(cell: Cell) -> list[str]:
    return _without_blanks(_COMMAS.split(text_of(cell)))


def _without_blanks(parts: list[str]) -> list[str]:
    return [part.strip() for part in parts if part.strip()]


_CONVERTERS: Final[Mapping[str, Callable[[Cell], Any]]] = {
    "number": _number, "bool": _bool, "date": _date, "choices": _choices,
    "text": text_of, "choice": text_of, "email": text_of, "url": text_of,
}  # fmt: skip
# CSV has no types, and no lists.
_OF_AN_EXPORT: Final[Mapping[str, Callable[[Cell], Any]]] = {
    "number": _number, "bool": _bool, "choices": _choices_of_an_export,
}  # fmt: skip
