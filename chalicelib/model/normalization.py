"""Normalization of e-mail addresses and names, so that two spellings compare equal.

Pure functions of text. The original spelling is stored and shown; the normalized form is for searching.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from importing.folding import folded

Kind: TypeAlias = Literal["phone", "email"]
KINDS: Final[tuple[Kind, ...]] = ("phone", "email")

_NAME_BYTES: Final = 120  # of a name in an index: 40 Chinese characters distinguish names, and cursors stay short


def email(text: Any) -> str | None:
    """Return the address in lower case; None for no address. Mail distinguishes case, people do not."""
    if not isinstance(text, str) or "@" not in (address := fold_name(text)):
        return None
    from importing.emails import email_keys  # loaded on use

    return address if email_keys(address) == [address] else None


def known_region(text: str) -> str:
    """Return the ISO 3166 region code. Raises ValueError with a key of `validation.SENTENCES` if libphonenumber does
    not know it."""
    if re.fullmatch("[A-Z]{2}", text):
        from phonenumbers import SUPPORTED_REGIONS  # large: loaded only on use

        if text in SUPPORTED_REGIONS:
            return text
    raise ValueError("region")


@lru_cache(maxsize=64)
def fold_name(text: str) -> str:
    """Return a name for comparison: case and width folded, invisible signs removed, single spaces. Never shown.

    Cached, since a write folds the name before and after the change.
    """
    return " ".join(folded(text).split())


def truncate_name(name: str) -> str:
    """Cut a folded name to the length of an index key, at a character boundary."""
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")
