"""Filters of lists by fields, and the search of any part of a text: what a client wrote, and whether a value fits.

Pure. It must not know how customers are stored or who may see a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from chalicelib.model.field_definitions import Definitions, Field, chosen
from chalicelib.model.normalization import fold_name
from chalicelib.model.validation import FieldError
from importing.unique import number

MAX_VALUES: Final = 100
_RANGE: Final = ".."
_PLAIN_DIGITS: Final = 20  # a number of more digits is shown with its exponent
_RANGED: Final = frozenset(("number", "date"))
_BOOLS: Final = {"true": True, "yes": True, "是": True, "false": False, "no": False, "否": False}

Comparable: TypeAlias = Decimal | str | bool
_Bound: TypeAlias = Decimal | str | None


class InvalidFilter(ValueError):
    """A filter that no list has. `error` names what is wrong."""

    def __init__(self, kind: str, *values: str | int) -> None:
        super().__init__(kind)
        self.error = FieldError(kind, "filter", values)


class FieldFilter(Struct, frozen=True):
    """Select customers whose value of a field is one of `values`, or from `low` to `high`, both included.

    Dates are compared by their day in the pool's time zone. An empty text among the values selects customers without a
    value.
    """

    field: Field
    values: frozenset[Comparable] = frozenset()
    is_range: bool = False
    low: _Bound = None
    high: _Bound = None

    def fits(self, value: Any, tz: ZoneInfo) -> bool:
        found = compared(self.field, value, tz)
        if not self.is_range:
            return not self.values.isdisjoint(found or [""])
        return any(_in_order(self.low, each) and _in_order(each, self.high) for each in found)


def parse(text: str, definitions: Definitions) -> FieldFilter:
    """Return the filter written as `key:a,b` or `key:from..to`. Raises InvalidFilter."""
    key, separator, rest = text.partition(":")
    field = filterable(key if separator else "", definitions)
    if field.type in _RANGED and _RANGE in rest:
        low, _, high = rest.partition(_RANGE)
        return FieldFilter(field, is_range=True, low=_bound(field, low), high=_bound(field, high))
    return _any_of(field, rest.split(","))


def any_of(key: str, values: Sequence[str], definitions: Definitions) -> FieldFilter:
    """Return the filter for any of these values. Raises InvalidFilter."""
    return _any_of(filterable(key, definitions), values)


def filterable(key: str, definitions: Definitions) -> Field:
    """Return the field with `filter` of that key. Raises InvalidFilter, with the keys that there are."""
    field = definitions.by_key.get(key)
    if field is not None and field.filter:
        return field
    raise InvalidFilter("no_filter", ", ".join(each.key for each in definitions.by_key.values() if each.filter) or "-")


def _any_of(field: Field, values: Sequence[str]) -> FieldFilter:
    if len(values) > MAX_VALUES:
        raise InvalidFilter("too_many", MAX_VALUES)
    read = _WRITTEN.get(field.type, str)
    return FieldFilter(field, frozenset(read(each.strip()) for each in values))


def _in_order(first: Comparable | None, second: Comparable | None) -> bool:
    """Return whether two numbers or two days are in order. A bound that is None is missing; other kinds are not."""
    if first is None or second is None:
        return True
    if isinstance(first, Decimal) and isinstance(second, Decimal):
        return first <= second
    return isinstance(first, str) and isinstance(second, str) and first <= second


def _bound(field: Field, text: str) -> _Bound:
    """Return one end of a range; None if it is missing. Raises InvalidFilter."""
    text = text.strip()
    if not text:
        return None
    if field.type == "number":
        read = number(text)
        if read is None:
            raise InvalidFilter("wrong_type", "float")
        return read
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidFilter("date") from None


# A value that is no number or no date equals no stored value, so it is no error.
def _written_number(text: str) -> Comparable:
    read = number(text)
    return text if read is None else read


def _bool(text: str) -> Comparable:
    """Return the truth value of a word; other text unchanged."""
    return _BOOLS.get(text.lower(), text)


_WRITTEN: Final[dict[str, Callable[[str], Comparable]]] = {
    "number": _written_number,
    "bool": _bool,
}


def compared(field: Field, value: Any, tz: ZoneInfo) -> list[Comparable]:
    """Return the stored value as filters compare it; several for `choices`, none if it is empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if field.type == "number":
        read = number(value)
        return [str(value)] if read is None else [read]
    if field.type == "date":
        return [_day(str(value), tz)]
    if field.type == "choices":
        return list(chosen(value) or [])
    if field.type == "bool":
        return [value if isinstance(value, bool) else _bool(str(value).strip())]
    return [str(value).strip()]


def texts_of(field: Field, value: Any, tz: ZoneInfo) -> list[str]:
    """Return the stored value as text, equal for values that a filter finds together; [] if it is empty."""
    found = (_text(each) for each in compared(field, value, tz))
    return list(dict.fromkeys(found))


def _text(value: Comparable) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    shortest = value.normalize()
    return f"{shortest:f}" if abs(shortest.adjusted()) < _PLAIN_DIGITS else str(shortest)


def _day(text: str, tz: ZoneInfo) -> str:
    """Return the day of a date or of a time in that zone; other text unchanged."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    try:
        return (moment if moment.tzinfo is None else moment.astimezone(tz)).date().isoformat()
    except OverflowError:  # at the ends of the calendar, the zone may lead out of it
        return moment.date().isoformat()


# Search


def searchable(text: str) -> str:
    """Return text as a search compares it: without case, width and spaces."""
    return fold_name(text).replace(" ", "")


def searched_texts(field: Field, value: Any) -> tuple[str, ...]:
    """Return the texts of a stored value in which a search looks. A phone number is also searched by its digits."""
    if value is None:
        return ()
    text = ",".join(value) if isinstance(value, list) else str(value)
    if field.type != "phone":
        return (searchable(text),)
    return searchable(text), "".join(sign for sign in text if sign.isdigit())


class TextSearch(Struct, frozen=True):
    """Select customers with `text` in any part of their name or of a field with `search`."""

    text: str

    def fits(
        self, name: str, fields: dict[str, Any], definitions: Definitions, sees: Callable[[str, Any], bool]
    ) -> bool:
        """`sees` returns whether the caller sees a value in full: others are not searched."""
        if self.is_in_name(name) and sees("name", name):
            return True
        found = ((key, fields.get(key)) for key, field in definitions.by_key.items() if field.search)
        return any(self.is_in(definitions.by_key[key], value) and sees(key, value) for key, value in found)

    def is_in_name(self, name: str) -> bool:
        return self.text in searchable(name)

    def is_in(self, field: Field, value: Any) -> bool:
        """Return whether the stored value of a field has the text."""
        if value is None:
            return False
        text = ",".join(value) if isinstance(value, list) else str(value)
        if field.type == "phone" and self.text.isdigit():
            return self.text in "".join(sign for sign in text if sign.isdigit())
        return self.text in searchable(text)
