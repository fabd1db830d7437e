"""Mask values for viewers who may not see them in full. Pure; no other module may know the formats.

`rendering` decides which viewer gets a mask. Here the rules of a pool become a mask, and a mask changes one value at a
time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from msgspec import Struct

from chalicelib.model.field_definitions import Field, definitions_of
from chalicelib.model.model import Pool
from chalicelib.model.normalization import KINDS, Kind, email, fold_name
from chalicelib.model.text import is_filler, texts_in

HIDDEN: Final = "****"
_SHORTEST: Final = 11  # digits of a number that may keep seven of them: at least four stay hidden
_ANYWHERE: Final = re.compile(r"\+[0-9]{10,}|1[3-9][0-9]{9}")  # a phone number also in a field of another name
_JOINER: Final = "\u200d"
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}|[0-9]{5,15}")  # a country code and 15 digits at most (E.164)
_MAINLAND_MOBILE: Final = re.compile(r"\+86(1[3-9][0-9]{9})")
_DIGITS: Final = 7  # fewer digits are no phone number: skip loading the library
_MIDDLE_DOTS: Final = "·•・･‧∙⋅"  # people write them between digits

_LATIN: Final = "A-Za-z\u00c0-\u024f0-9_%+\\-"
_LOCAL: Final = _LATIN + r"!#$&=?\^`{}~"  # RFC 5322 allows these in front of the @
_NOT_DOT: Final = r"""\s@<>()\[\],，;；:：、。"'“”‘’《》*|/"""
_OTHER: Final = _NOT_DOT + "."
_QUOTES: Final = "\"'“”‘’"
_DOT: Final = "[.。]"  # both separate the labels of a domain (RFC 3490)
_LATIN_DOMAIN: Final = rf"[A-Za-z0-9-]+(?:{_DOT}[A-Za-z0-9-]+)+"
_DOMAIN: Final = rf"[^{_OTHER}]+(?:{_DOT}[^{_OTHER}]+)+"
_LITERAL: Final = r"\[[^\]\s]{1,64}\]"  # an IP address in place of a domain
_AT: Final = (
    rf"(?:@({_LATIN_DOMAIN}|{_DOMAIN}|{_LITERAL})"
    rf"|[ \t]{{0,2}}@[ \t]{{0,2}}((?:[A-Za-z0-9-]+{_DOT})+[A-Za-z]{{2,}}))"  # people write spaces against robots
)
_QUOTED: Final = r"""(?:"(?:[^"\\\r\n]|\\.){1,64}"|'[^'@\r\n]{1,64}'|[“‘][^”’@\r\n]{1,64}[”’])"""
# In quotation marks; in Latin letters, which may follow Chinese text without a space; in any script.
_LOCAL_PARTS: Final = (
    rf"({_QUOTED})",
    rf"(?<![{_LOCAL}.])([{_LOCAL}.]+(?:'[{_LOCAL}.]+)*)",
    rf"(?<![^{_NOT_DOT}])([^{_NOT_DOT}]+)",
)


@cache
def _addresses() -> tuple[re.Pattern[str], ...]:
    """Return the patterns of e-mail addresses. Compiled on first use: keeps cold starts short."""
    return tuple(re.compile(local + _AT) for local in _LOCAL_PARTS)


class Mask(Struct, frozen=True):
    """The mask of a pool: the folded names of its masked fields, and whether they include contacts.

    `kinds` names the fields that hold contacts, `exact` those whose text contains none, `defined` all that the pool
    defines, each folded.
    """

    fields: frozenset[str]
    contacts: bool
    region: str
    kinds: dict[str, Kind]
    exact: frozenset[str]
    defined: frozenset[str] = frozenset()

    def field(self, name: str, value: Any) -> Any:
        """Return the masked value of a field.

        If phone numbers or e-mail addresses are masked, those inside other text are masked too. A contact field that
        the pool does not mask keeps its own kind of contact. A field that the pool does not define, such as a second
        column with phone numbers, is masked like the field that its name resembles. A list or an object with a contact
        in it is masked completely.
        """
        folded = fold_name(name)
        kind = self.kinds.get(folded)
        if folded in self.fields:
            return whole(value, kind)
        if self.contacts and folded not in self.defined and (like := _resembled(name)) in self.fields:
            return whole(value, like)
        if not self.contacts or folded in self.exact:
            return value
        if isinstance(value, list | dict):
            return HIDDEN if any(has_contact(text, self.region) for text in texts_in(value)) else value
        return in_text(value, self.region, kind) if isinstance(value, str) else value


def of(pool: Pool) -> Mask | None:
    """Return the mask of a pool; None if it masks nothing."""
    definitions = pool.definitions
    if not pool.policy.masked_fields and not definitions.masked:
        return None
    return _of(pool.policy.masked_fields or (), pool.policy.region, pool.fields)


def hides(pool: Pool, kind: Kind, contact: str) -> bool:
    """Return whether the pool masks this normalized contact in any field of its kind."""
    mask = of(pool)
    if mask is None:
        return False
    fields = (name for name, each in mask.kinds.items() if each == kind)
    return any(mask.field(name, contact) != contact for name in fields)


def unique_fields(pool: Pool) -> frozenset[str]:
    """Return the unique fields that the pool masks. A write shows whether another customer has the value."""
    mask = of(pool)
    return (
        frozenset()
        if mask is None
        else frozenset(name for name in pool.definitions.unique if fold_name(name) in mask.fields)
    )


@lru_cache(maxsize=256)
def _of(masked_fields: tuple[str, ...], region: str, fields: tuple[Field, ...]) -> Mask:
    definitions = definitions_of(fields)
    masked = frozenset(fold_name(name) for name in (*masked_fields, *definitions.masked))
    kinds = {fold_name(name): kind for name, kind in definitions.kinds.items()}
    exact = frozenset(fold_name(name) for name in definitions.exact)
    defined = frozenset(fold_name(name) for name in definitions.by_key)
    return Mask(masked, not masked.isdisjoint(kinds), region, kinds, exact, defined)


@lru_cache(maxsize=1024)
def _resembled(name: str) -> Kind | None:
    """Return the field of contacts that a name resembles: `phone` for `Mobile 2` and `老板电话`."""
    from importing.headings import kind_of_field  # reads a table: only pools with other fields need it

    kind = kind_of_field(name)
    return next((each for each in KINDS if each == kind), None)


def whole(value: Any, kind: Kind | None = None) -> Any:
    """Mask a whole value: a phone number, an e-mail address, other text, or no text.

    None and an empty text stay as they are.
    """
    if value is None or value == "":
        return value
    if not isinstance(value, str):
        return HIDDEN
    number = _digits(value)
    if number is not None and (kind == "phone" or _ANYWHERE.fullmatch(number)):
        return _number(number)
    return _address(value) or _first(value) + HIDDEN


@lru_cache(maxsize=4096)
def in_text(text: str, region: str, kept: Kind | None = None) -> str:
    """Mask phone numbers and e-mail addresses inside a text, except those of the `kept` kind, in any spelling."""
    if kept != "email" and any(sign in text for sign in "@＠﹫"):
        for pattern in _addresses():
            text = _without_addresses(text, pattern)
    if kept != "phone" and sum(sign.isdigit() for sign in text) >= _DIGITS:
        text = _without_numbers(text, region)
    return text


class _Folded(Struct, frozen=True):
    """A text in which every spelling of a character is the same; `starts` are its positions in the original text."""

    text: str
    starts: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the part of the original text, with the invisible characters after it."""
        return self.starts[start], self.starts[end]


def _folded(text: str, fold: Callable[[str], str]) -> _Folded:
    """Return the text with each character folded. Folding must not remove a visible character."""
    if text.isascii() and text.isprintable() and "_" not in text:
        return _Folded(text, range(len(text) + 1))
    parts = [fold(sign) for sign in text]
    starts = [at for at, part in enumerate(parts) for _ in part]
    return _Folded("".join(parts), [*starts, len(text)])


@lru_cache(maxsize=4096)
def _sign(sign: str) -> str:
    """Return the character as addresses are compared: width and style folded, empty if it is invisible.

    A character that stands for several signs of punctuation stays, so that it cannot become part of an address.
    """
    if _is_ignored(sign):
        return ""
    folded = unicodedata.normalize("NFKC", sign)
    return folded if len(folded) == 1 or folded[0].isalnum() else sign


@lru_cache(maxsize=4096)
def _digit(sign: str) -> str:
    """Return the character as numbers are compared: digits, plus signs and separators only."""
    if _is_ignored(sign):
        return ""
    digit = unicodedata.digit(sign, None)
    if digit is not None:
        return str(digit)
    if unicodedata.normalize("NFKC", sign) == "+":
        return "+"
    if sign == "\t" or unicodedata.category(sign) == "Zs":
        return " "
    return "." if sign in _MIDDLE_DOTS else "-" if sign == "_" or unicodedata.category(sign) == "Pd" else sign


def _is_ignored(sign: str) -> bool:
    """Return whether the character is invisible, or a mark on the one before it."""
    category = unicodedata.category(sign)
    return category in ("Cf", "Mn", "Me") or (category == "Cc" and not sign.isspace()) or is_filler(sign)


def _without_addresses(text: str, pattern: re.Pattern[str]) -> str:
    folded = _folded(text, _sign)
    parts, end = [], 0
    for found in pattern.finditer(folded.text):
        start, stop = folded.span(*found.span())
        domain = folded.span(*found.span(2 if found[2] is not None else 3))
        parts += [text[end:start], f"{_initial(found[1].strip(_QUOTES))[0]}{HIDDEN}@{text[slice(*domain)]}"]
        end = stop
    return "".join((*parts, text[end:]))


def _without_numbers(text: str, region: str) -> str:
    """Mask the numbers that libphonenumber finds, whatever is invisible between two digits: nothing, or a separator."""
    written = _Folded(text, range(len(text) + 1))
    joined, spaced = _folded(text, _digit), _folded(text, lambda sign: _digit(sign) or " ")
    readings = {each.text: each for each in (written, joined, spaced)}
    found = sorted(
        (*reading.span(start, end), reading.text[start:end])
        for reading in readings.values()
        for start, end in _numbers(reading.text, region)
    )
    parts, end = [], 0
    for start, stop, raw in found:
        if start >= end:
            number = _digits(raw)
            parts += [text[end:start], _first(raw) + HIDDEN if number is None else _number(number)]
        end = max(end, stop)
    return "".join((*parts, text[end:]))


def _numbers(text: str, region: str) -> list[tuple[int, int]]:
    """Return where phone numbers begin and end."""
    from phonenumbers import Leniency, PhoneNumberMatcher  # a large library that only this function needs

    return [(each.start, each.end) for each in PhoneNumberMatcher(text, region, leniency=Leniency.VALID)]


def _digits(text: str) -> str | None:
    """Return the digits of a written number as a mask shows them, with `+` and a given country code; None for others.

    A mainland China mobile number is shown with eleven digits, with or without its country code.
    """
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


def has_contact(text: str, region: str) -> bool:
    """Return whether the text contains a phone number or an e-mail address."""
    return in_text(text, region) != text


def is_contact(text: str, region: str) -> bool:
    """Return whether the whole text is a phone number or an e-mail address."""
    if sum(sign.isdecimal() for sign in text) < _DIGITS:
        return email(text) is not None
    return email(text) is not None or any(end - start == len(text) for start, end in _numbers(text, region))


def _number(number: str) -> str:
    """13812345678 → 138****5678. A shorter number keeps only its first digit, or it could be guessed."""
    return f"{number[:3]}{HIDDEN}{number[-4:]}" if len(number) >= _SHORTEST else _first(number) + HIDDEN


def _address(text: str) -> str | None:
    """zhang@example.com → z****@example.com; None if it is no e-mail address. No mask shows how long the name is."""
    if email(text) is None:
        return None
    local, _, domain = unicodedata.normalize("NFKC", text).strip().rpartition("@")
    return f"{_initial(local)[0]}{HIDDEN}@{domain}"


def _first(text: str) -> str:
    """Return the first visible character; empty if it is the whole text."""
    first, rest = _initial(text)
    return first if rest else ""


def _initial(text: str) -> tuple[str, str]:
    """Return the first visible character, and the rest."""
    seen = "".join(sign for sign in text if sign == _JOINER or unicodedata.category(sign) not in ("Cc", "Cf"))
    seen = seen.strip().lstrip(_JOINER)
    end = 2 if all("\U0001f1e6" <= sign <= "\U0001f1ff" for sign in seen[:2]) else 1  # a flag is two signs
    while end < len(seen) and (_continues(seen[end]) or seen[end - 1] == _JOINER):
        end += 1
    return seen[:end], seen[end:]


def _continues(sign: str) -> bool:
    """Return whether the sign belongs to the character before it: an accent, variation, skin tone or joiner."""
    return sign == _JOINER or "\U0001f3fb" <= sign <= "\U0001f3ff" or unicodedata.category(sign) in ("Mn", "Mc", "Me")
