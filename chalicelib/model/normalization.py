"""How a phone number, an e-mail address or a name is spelled one way, so that two spellings of it are found equal.

Pure text to text. What a client wrote is stored and shown as it was written; a normalised form serves to find it
again, and leaves this module only as a digest where it names an item: no phone number may stand in a key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["phone", "email"]
KINDS: Final[tuple[Kind, ...]] = ("phone", "email")

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}|[0-9]{5,15}")  # a country code and 15 digits at most (E.164)
_MAINLAND_MOBILE: Final = re.compile(r"\+86(1[3-9][0-9]{9})")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MAX_ADDRESS_LENGTH: Final = 254  # characters, as mail itself has it
_MAX_WRITTEN_LENGTH: Final = 500
_NAME_BYTES: Final = 120  # of a name in an index: 40 Chinese characters tell names apart, and a cursor stays short


def phone(said: Any) -> str | None:
    """Digits, with `+` and a country code where one was given; None where it is no phone number.

    A mainland mobile number is the same with and without its country code: eleven digits.
    """
    if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < 10**15:
        said = str(said)
    if not isinstance(said, str) or len(said) > _MAX_WRITTEN_LENGTH:
        return None
    number = "".join(sign for sign in unicodedata.normalize("NFKC", said) if not _between_digits(sign))
    if number.startswith("00"):
        number = "+" + number.removeprefix("00")  # how an international number is dialled
    if _NUMBER.fullmatch(number) is None:
        return None
    mobile = _MAINLAND_MOBILE.fullmatch(number)
    return mobile[1] if mobile else number


def _between_digits(sign: str) -> bool:
    """Spaces, dashes, dots, brackets, and what cannot be seen at all: it comes along when a cell is copied."""
    return sign in ".\u2212" or sign.isspace() or unicodedata.category(sign) in ("Pd", "Ps", "Pe", "Cf")


def email(said: Any) -> str | None:
    """The address in small letters; None where it is none. Mail tells capitals apart, people do not."""
    if not isinstance(said, str) or len(said) > _MAX_WRITTEN_LENGTH:
        return None
    address = fold_name(said)
    return address if len(address) <= _MAX_ADDRESS_LENGTH and _ADDRESS.fullmatch(address) else None


_NORMALIZERS: Final[dict[Kind, Callable[[Any], str | None]]] = {"phone": phone, "email": email}


def normalized(kind: Kind, said: Any) -> str | None:
    return _NORMALIZERS[kind](said)


def key_in(kind: Kind, fields: Mapping[str, Any]) -> str | None:
    """The normalised key of that kind in the fields of a customer."""
    return normalized(kind, fields.get(kind))


def keys_in(fields: Mapping[str, Any]) -> dict[Kind, str]:
    """The normalised keys that those fields say."""
    found = {kind: key_in(kind, fields) for kind in _NORMALIZERS}
    return {kind: key for kind, key in found.items() if key is not None}


def known_region(said: str) -> str:
    """That ISO 3166 code of a region. Raises ValueError with a kind of `validation` where libphonenumber
    knows no such region."""
    if re.fullmatch("[A-Z]{2}", said):
        from phonenumbers import SUPPORTED_REGIONS  # large: loaded by those who need it

        if said in SUPPORTED_REGIONS:
            return said
    raise ValueError("region")


def digest(key: str) -> str:
    return blake2b(key.encode(), digest_size=16).hexdigest()


def fold_name(text: str) -> str:
    """Without capitals, widths and signs that cannot be seen, and with single spaces: for comparing, never to show."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cf", "Cs") or sign.isspace())
    # Folding may undo the normal form and the normal form may bring capitals back, so each is done twice.
    for _ in range(2):
        seen = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return " ".join(seen.split())


def truncate_name(name: str) -> str:
    """So much of a folded name as an index holds; never half a character."""
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")
