"""Normalize the values of unique fields. The service and the reader of files agree about which values are equal.

A value is compared by its number, its phone numbers or e-mail addresses or, like a name, without regard to case, width
and spaces.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from importing.folding import folded

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def unique_texts(kind: str | None, value: Any, region: str) -> list[str]:
    """Return the normalized parts of a value, none of which two customers may have. `kind` is the type of the field."""
    if value is None or not (text := " ".join(folded(str(value)).split())):
        return []
    if kind == "phone":
        from importing.phones import phone_keys  # loaded on use: few customers have a unique value

        return phone_keys(value, region) or [text]
    if kind == "email":
        from importing.emails import email_keys

        return email_keys(value) or [text]
    if kind == "number" and (read := number(value)) is not None:
        return [f"{read.normalize():f}"]
    return [text]


def number(value: Any) -> Decimal | None:
    """Return a number, also one written as text; None for no number."""
    if isinstance(value, bool):
        return None
    text = value.strip() if isinstance(value, str) else str(value)
    if isinstance(value, str) and _NUMBER.fullmatch(text) is None:
        return None
    try:
        read = Decimal(text)
    except (InvalidOperation, ValueError):
        return None
    return read if read.is_finite() else None
