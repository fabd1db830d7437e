"""Prefix text that a spreadsheet would run as a formula with an apostrophe; remove the apostrophe on reading."""

from __future__ import annotations

from typing import Any

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: Any) -> Any:
    """Return text with the apostrophe if needed. Numbers stay unchanged: -5 as a number is harmless."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINS_A_FORMULA) else cell


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_BEGINS_A_FORMULA) else text
