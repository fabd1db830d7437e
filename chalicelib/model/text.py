"""Rules for text that people enter: ids, names, names of fields, and the size of all fields."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from chalicelib.model.validation import FieldError

IDENTIFIER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")  # of a pool, a customer, a tenant, a user

# Control characters, and those that change the direction of the text around them: no name may contain them.
CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069"
NAME_PATTERN: Final = rf"^[^{CONTROLS}]*\Z"
LONGEST_FIELD_NAME: Final = 64
# Separators, controls, format characters and surrogates by their category; and, whatever theirs, the characters that
# Unicode ignores by default (Hangul fillers, joiners, variation selectors) and the blank Braille pattern.
_INVISIBLE: Final = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Cs"))
_FILLERS: Final = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)

Fields: TypeAlias = dict[str, Any]  # JSON values
MAX_FIELD_LEVELS: Final = 8
MAX_FIELDS_BYTES: Final = 4_096  # of JSON: a response of 100 customers must fit through API Gateway


def is_field_name(text: str) -> bool:
    """Return whether a customer may have a field of that name."""
    return len(text) <= LONGEST_FIELD_NAME and re.search(NAME_PATTERN, text) is not None and not is_blank(text)


def check_field_name(text: str) -> None:
    """Raise ValueError with a key of `validation.SENTENCES` for an invalid field name."""
    if not is_field_name(text):
        raise ValueError("field_names")


def field_errors(fields: Fields) -> tuple[FieldError, ...]:
    """Return the validation errors of a customer's fields beyond their types: too many bytes."""
    size = len(msgspec.json.encode(fields))
    return () if size <= MAX_FIELDS_BYTES else (FieldError("bytes", "fields", (size, MAX_FIELDS_BYTES)),)


def is_too_deep(value: Any) -> bool:
    """Return whether lists and objects are nested more than MAX_FIELD_LEVELS deep in the value of a field."""
    level = [value]
    for _ in range(MAX_FIELD_LEVELS):
        level = [part for each in level for part in _parts(each)]
    return any(isinstance(each, list | dict) for each in level)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def texts_in(value: Any) -> Iterator[str]:
    """Yield each text and number in a JSON value, and the names in objects."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, str | int | float):
        yield str(value)
    for part in _parts(value):
        yield from texts_in(part)


def is_blank(text: str) -> bool:
    """Return whether the text contains only separators, controls and fillers (rule 32)."""
    return not any(_is_visible(character) for character in unicodedata.normalize("NFKC", text))


def is_filler(character: str) -> bool:
    """Return whether the character is shown as nothing although its category is that of a visible one."""
    return re.match(_FILLERS, character) is not None


def _is_visible(character: str) -> bool:
    return not is_filler(character) and unicodedata.category(character) not in _INVISIBLE
