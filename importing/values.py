"""Values of cells as people mean them: without the marks of spreadsheets, and nothing for the signs of nothing."""

from __future__ import annotations

import re
from typing import Any, Final

from importing.cells import Cell

NOTHING: Final = frozenset((
    "", "-", "--", "—", "——", "–", "－", "无", "暂无", "N/A", "n/a", "#N/A", "null", "Null", "NULL", "(null)", "\\N",
    "None", "nan", "NaN",
))  # fmt: skip
_MARKS: Final = frozenset("='\ufeff")
_AS_TEXT: Final = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)  # ="000123", which keeps Excel from calculating
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")  # begins a formula, behind any number of apostrophes
SHORTENED: Final = re.compile(r"[+-]?[1-9]\d*([.,]\d+)?[eE]\+\d{2,3}")  # 1.38E+10: the last digits are lost


def guarded(cell: Any) -> Any:
    """Return text that a spreadsheet would run as a formula behind an apostrophe. Numbers stay unchanged: -5 as a
    number is harmless."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text


def exact(cell: Cell) -> Cell:
    """Return a value of an own export."""
    return unguarded(cell) if isinstance(cell, str) else cell


def meant(cell: Cell) -> Cell:
    """Return the value of a cell of any other file, or an empty string."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if text[:1] in _MARKS:
        text = unguarded(text.lstrip("\ufeff").strip())  # a byte order mark, from files that somebody has joined
        as_text = _AS_TEXT.fullmatch(text)
        text = as_text[1].replace('""', '"').strip() if as_text else text
    return "" if text in NOTHING else text
