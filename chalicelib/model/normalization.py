"""Normalization of phone numbers, e-mail addresses and names, so that two spellings compare equal.

Pure functions of text. The original spelling is stored and shown; the normalized form is for searching. In table keys
it appears only as a digest: no key may contain a phone number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["phone", "email"]
KINDS: Final[tuple[Kind, ...]] = ("phone", "email")

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}|[0-9]{5,15}")  # a country code and 15 digits at most (E.164)
_MAINLAND_MOBILE: Final = re.compile(r"\+86(1[3-9][0-9]{9})")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MAX_ADDRESS_LENGTH: Final = 254  # characters, the limit of e-mail itself
_MAX_WRITTEN_LENGTH: Final = 500
_NAME_BYTES: Final = 120  # of a name in an index: 40 Chinese characters distinguish names, and cursors stay short


def phone(text: Any) -> str | None:
    """Return the digits, with `+` and the country code if given; None for no phone number.

    A mainland China mobile number is normalized to eleven digits, with or without its country code.
    """
    if isinstance(text, int) and not isinstance(text, bool) and 0 <= text < 10**15:
        text = str(text)
    if not isinstance(text, str) or len(text) > _MAX_WRITTEN_LENGTH:
        return None
    number = "".join(sign for sign in unicodedata.normalize("NFKC", text) if not _between_digits(sign))
    if number.startswith("00"):
        number = "+" + number.removeprefix("00")  # the international dialing prefix
    if _NUMBER.fullmatch(number) is None:
        return None
    mobile = _MAINLAND_MOBILE.fullmatch(number)
    return mobile[1] if mobile else number


def _between_digits(sign: str) -> bool:
    """Return whether a sign separates digits: space, dash, dot, bracket, or an invisible sign of a copied cell."""
    return sign in ".\u2212" or sign.isspace() or unicodedata.category(sign) in ("Pd", "Ps", "Pe", "Cf")


def email(text: Any) -> str | None:
    """Return the address in lower case; None for no address. Mail distinguishes case, people do not."""
    if not isinstance(text, str) or len(text) > _MAX_WRITTEN_LENGTH:
        return None
    address = fold_name(text)
    return address if len(address) <= _MAX_ADDRESS_LENGTH and _ADDRESS.fullmatch(address) else None


_NORMALIZERS: Final[dict[Kind, Callable[[Any], str | None]]] = {"phone": phone, "email": email}


def normalized(kind: Kind, text: Any) -> str | None:
    return _NORMALIZERS[kind](text)


def key_in(kind: Kind, fields: Mapping[str, Any]) -> str | None:
    """Return the normalized phone number or e-mail address in a customer's fields."""
    return normalized(kind, fields.get(kind))


def keys_in(fields: Mapping[str, Any]) -> dict[Kind, str]:
    """Return the normalized keys in a customer's fields, by kind."""
    found = {kind: key_in(kind, fields) for kind in _NORMALIZERS}
    return {kind: key for kind, key in found.items() if key is not None}


def known_region(text: str) -> str:
    """Return the ISO 3166 region code. Raises ValueError with a key of `validation.SENTENCES` if libphonenumber does
    not know it."""
    if re.fullmatch("[A-Z]{2}", text):
        from phonenumbers import SUPPORTED_REGIONS  # large: loaded only on use

        if text in SUPPORTED_REGIONS:
            return text
    raise ValueError("region")


def digest(key: str) -> str:
    return blake2b(key.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=64)
def fold_name(text: str) -> str:
    """Return a name for comparison: case and width folded, invisible signs removed, single spaces. Never shown.

    Cached, since a write folds the name before and after the change.
    """
    seen = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cf", "Cs") or sign.isspace())
    # Case folding may undo normalization, and normalization may restore capitals: do both twice.
    for _ in range(2):
        seen = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return " ".join(seen.split())


def truncate_name(name: str) -> str:
    """Cut a folded name to the length of an index key, at a character boundary."""
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")
