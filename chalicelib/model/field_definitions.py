"""The fields that a pool defines for its customers, and the check of a value against its definition.

Pure. It must not know who sees a field, or where its value is stored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from chalicelib.model.normalization import KINDS, Kind
from chalicelib.model.text import NAME_PATTERN, is_blank, is_field_name
from chalicelib.model.validation import FieldError
from importing.unique import number

MAX_FIELDS: Final = 50
MAX_LISTED_FIELDS: Final = 8  # `list` or `filter`: their values are copied to the indexes
MAX_UNIQUE: Final = 3
MAX_SEARCH: Final = 4
MAX_OPTIONS: Final = 100

TYPES: Final = ("text", "number", "date", "choice", "choices", "bool", "phone", "email", "url")
_NO_FILTER: Final = frozenset(("phone", "email", "url"))
_NO_SEARCH: Final = frozenset(("number", "date", "bool"))
_NO_UNIQUE: Final = frozenset(("bool", "choices"))
_CHOICES: Final = frozenset(("choice", "choices"))
_WORDS: Final = frozenset(("true", "false", "yes", "no", "是", "否"))  # for a bool, as imports write it
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]{1,32}")  # any other unknown name may be a phone number or an address

# `problems` validates a stored type: a later version of the service may know more of them.
FieldType: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(TYPES)})]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]  # `problems` validates it
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=NAME_PATTERN)]


class Label(Struct, frozen=True, forbid_unknown_fields=True):
    """The title of a field in two languages."""

    en: Text
    zh: Text


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """One field of a pool's customers.

    `list` shows it in lists, `filter` lets lists be filtered by it, `search` makes its text part of a search.
    """

    key: Key
    label: Label
    type: FieldType
    options: tuple[Text, ...] = ()
    required: bool = False
    unique: bool = False
    masked: bool = False
    list: bool = False
    filter: bool = False
    search: bool = False


def _standard(
    key: str,
    en: str,
    zh: str,
    kind: str = "text",
    *,
    shown: bool = False,
    filtered: bool = False,
    searched: bool = False,
) -> Field:
    return Field(key, Label(en, zh), kind, list=shown, filter=filtered, search=searched)


# The fields of a pool that defines none.
STANDARD: Final = (
    _standard("phone", "Phone", "电话", "phone", shown=True),
    _standard("email", "E-mail", "邮箱", "email"),
    _standard("contact", "Contact", "联系人", searched=True, shown=True),
    _standard("city", "City", "城市", filtered=True),
    _standard("industry", "Industry", "行业", filtered=True),
    _standard("source", "Source", "来源", filtered=True),
    _standard("level", "Level", "级别", filtered=True),
    _standard("wechat", "WeChat", "微信"),
    _standard("remark", "Remark", "备注"),
)


class Definitions(Struct, frozen=True):
    """The definitions of a pool by key, and what follows from them.

    `kinds` names the fields whose values are contacts: `phone` and `email`, unless they are defined as something else,
    and every field of these types.
    """

    by_key: dict[str, Field]
    kinds: dict[str, Kind]
    masked: frozenset[str]
    unique: tuple[str, ...]
    exact: frozenset[str]  # fields in whose text no contact is looked for: ids, choices and numbers
    listed: tuple[str, ...]  # `list` or `filter`: what lists show
    checked: bool  # a pool that defines no fields accepts any text, number or bool

    def errors_of_new(self, fields: Mapping[str, Any], *, strict: bool) -> tuple[FieldError, ...]:
        """Return the errors in the fields of a new customer."""
        missing = (key for key in self._required() if _is_empty(fields.get(key)))
        return (*_missing(missing), *self._invalid(fields, strict))

    def errors_of_change(
        self, before: Mapping[str, Any], after: Mapping[str, Any], *, strict: bool
    ) -> tuple[FieldError, ...]:
        """Return the errors in the changed values. Values that are not changed stay, even if they no longer fit."""
        changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
        removed = (
            key for key in self._required() if _is_empty(after.get(key)) and not _is_empty(before.get(key))
        )  # fmt: skip
        return (*_missing(removed), *self._invalid(changed, strict))

    def _required(self) -> Iterator[str]:
        return (key for key, field in self.by_key.items() if field.required)

    def _invalid(self, fields: Mapping[str, Any], strict: bool) -> Iterator[FieldError]:
        for key, value in fields.items():
            if key not in self.by_key or not self.checked:
                if strict and key not in self.by_key:
                    yield FieldError("undefined_field", _path(key if _PLAIN_NAME.fullmatch(key) else "{}"))
                elif key in self.by_key and isinstance(value, list | dict):
                    yield FieldError("wrong_type", _path("[...]"), ("str | int | float | bool | null",))
            elif not _is_empty(value) and (error := _error(self.by_key[key], value)) is not None:
                yield FieldError(error[0], _path(key), error[1])


def _path(key: str) -> str:
    return f"fields.{key}"


def _missing(keys: Iterable[str]) -> Iterator[FieldError]:
    return (FieldError("missing", _path(key)) for key in keys)


def _is_empty(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and is_blank(value))


@lru_cache(maxsize=256)
def definitions_of(fields: tuple[Field, ...]) -> Definitions:
    """Return the definitions of a pool that defines these fields; the standard set if it defines none."""
    by_key = {field.key: field for field in fields or STANDARD}
    kinds: dict[str, Kind] = {kind: kind for kind in KINDS if kind not in by_key or by_key[kind].type == kind}
    kinds |= {key: kind for kind in KINDS for key, field in by_key.items() if field.type == kind}
    exact = {key for key, field in by_key.items() if field.unique or field.type in ("choice", "choices", "number")}
    masked = {key for key, field in by_key.items() if field.masked}
    unique = tuple(key for key, field in by_key.items() if field.unique)
    listed = tuple(key for key, field in by_key.items() if field.list or field.filter)
    return Definitions(by_key, kinds, frozenset(masked), unique, frozenset(exact), listed, checked=bool(fields))


# Values

_Check: TypeAlias = Callable[[Any], bool]
_Error: TypeAlias = tuple[str, tuple[str | int | float, ...]]


def _error(field: Field, value: Any) -> _Error | None:
    """Return the kind of a value's error, with the values of its sentence; None for a value that fits."""
    if field.type in _CHOICES:
        given = chosen(value) if field.type == "choices" else [value]
        fits = given is not None and all(each in field.options for each in given)
        return None if fits else ("not_one_of", (", ".join(field.options),))
    check, kind, values = _CHECKS.get(field.type, _TEXT)
    return None if check(value) else (kind, values)


def chosen(value: Any) -> list[str] | None:
    """Return the options in a value of type `choices`: a list, or text with commas as in a file. None for another."""
    if isinstance(value, str):
        return [part.strip() for part in re.split("[,，]", value) if part.strip()]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    return None


def is_date(value: Any) -> bool:
    """Return whether the value is a date, or a time with its offset (RFC 3339)."""
    if not isinstance(value, str) or re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
        return False
    try:
        if len(value) == len("2026-06-01"):
            date.fromisoformat(value)
            return True
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _WORDS)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_phone(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _is_url(value: Any) -> bool:
    if not isinstance(value, str) or re.search(r"\s", value.strip()):
        return False
    text = value.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        return parts.scheme in ("http", "https") and "." in (parts.hostname or "")
    except ValueError:
        return False


_TEXT: Final[tuple[_Check, str, tuple[str, ...]]] = (_is_text, "wrong_type", ("str",))
# A phone number or e-mail address that is none is kept as text, so those types accept any text.
_CHECKS: Final[Mapping[str, tuple[_Check, str, tuple[str, ...]]]] = {
    "number": (lambda value: number(value) is not None, "wrong_type", ("float",)),
    "date": (is_date, "date", ()),
    "bool": (_is_bool, "wrong_type", ("bool",)),
    "phone": (_is_phone, "wrong_type", ("str",)),
    "url": (_is_url, "url", ()),
}


# Definitions


def problems(fields: Sequence[Field]) -> list[FieldError]:
    """Return the errors of definitions beyond their types; an empty list if they are valid."""
    found = [FieldError("too_many", "fields", (MAX_FIELDS,))] if len(fields) > MAX_FIELDS else []
    found += [
        FieldError("too_many_fields", "fields", (most, name))
        for name, most, count in (
            ("list, filter", MAX_LISTED_FIELDS, sum(field.list or field.filter for field in fields)),
            ("unique", MAX_UNIQUE, sum(field.unique for field in fields)),
            ("search", MAX_SEARCH, sum(field.search for field in fields)),
        )
        if count > most
    ]
    keys = Counter(field.key for field in fields)
    for at, field in enumerate(fields):
        found += [FieldError(kind, f"fields[{at}].{member}", values) for member, kind, values in _problems(field, keys)]
    return found


def _problems(field: Field, keys: Mapping[str, int]) -> Iterator[tuple[str, str, tuple[str | int | float, ...]]]:
    """Yield the member, kind and values of each error of one definition."""
    if not is_field_name(field.key) or ":" in field.key:
        yield "key", "field_key", ()
    if keys[field.key] > 1 or field.key == "name":
        yield "key", "field_key_taken", ()
    for language in ("en", "zh"):
        if is_blank(getattr(field.label, language)):
            yield f"label.{language}", "blank", ()
    if field.type not in TYPES:
        yield "type", "not_one_of", (", ".join(TYPES),)
        return
    if (kind := _options_problem(field)) is not None:
        yield "options", kind, (MAX_OPTIONS,)
    for flag, excluded in (("filter", _NO_FILTER), ("search", _NO_SEARCH), ("unique", _NO_UNIQUE)):
        if getattr(field, flag) and field.type in excluded:
            yield flag, "not_for_type", (field.type,)


def _options_problem(field: Field) -> str | None:
    if field.type not in _CHOICES:
        return "options_of_choice" if field.options else None
    if not field.options:
        return "none_given"
    if len(field.options) > MAX_OPTIONS:
        return "too_many"
    if len(set(field.options)) < len(field.options):
        return "same_option"
    valid = all(not is_blank(each) and not re.search(r"[,，]|\.\.", each) for each in field.options)
    return None if valid else "option"
