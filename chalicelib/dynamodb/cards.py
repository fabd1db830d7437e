"""The card of a customer: the short values of its `list` and `filter` fields, stored in the customer item.

A claim never reads the fields, which are an item of their own. So the condition of a territory is about the card, and a
transaction that writes fields also writes the card. Nothing here calls DynamoDB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, reduce
from hashlib import sha256
from operator import and_
from typing import Any, Final
from zlib import crc32

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Value

from chalicelib.dynamodb.conditions import Attribute, Serialized
from chalicelib.dynamodb.items import Item
from chalicelib.model import times
from chalicelib.model.field_definitions import Definitions, Field
from chalicelib.model.field_filters import Comparable, FieldFilter, any_of, compared
from chalicelib.model.model import Pool
from chalicelib.model.territories import Territory

MAX_BYTES: Final = 200  # of all values of a card; each field has an equal share
MAX_OPTION_BYTES: Final = 12  # of one option of a `choices` field; a longer one is stored as a digest
_CUT: Final = "\x1f"  # separates the start of a longer text from the digest of all of it, so that it stays comparable
_CUT_BEFORE_CONTACT: Final = "\x1e"  # the same, where the whole text may contain a phone number or an address
_DIGEST: Final = 6
_DIGITS_OF_PHONE: Final = 7  # no phone number has fewer
_MORE: Final = "…"
_TEXTS: Final = ("text", "choice", "phone", "email", "url")  # types whose values are as written, and cut if long
_MAX_DIGITS: Final = 30  # a number with more is stored as text: DynamoDB keeps 38


def card_of(fields: Mapping[str, Any], pool: Pool) -> Item:
    """Return the card of a customer with these fields, in DynamoDB's JSON. A field without a value is left out."""
    names, tz = _names(pool.definitions.listed), times.zone(pool.policy.time_zone or "UTC")
    card: Item = {}
    for key, name in names.items():
        field = pool.definitions.by_key[key]
        if values := compared(field, fields.get(key), tz):
            card[name] = _stored(field, values, len(names))
    return card


def shown(card: Item, definitions: Definitions) -> dict[str, Any]:
    """Return the values of a card by field, as lists show them. Of a longer text only the start is left."""
    names = _names(definitions.listed)
    return {key: _read(definitions.by_key[key], card[name]) for key, name in names.items() if name in card}


def holds(fields: Mapping[str, Any], territory: Territory, pool: Pool) -> bool:
    """Return whether a customer with these fields is in the territory, under the pool's present definitions."""
    selected = _selected(territory, pool.definitions)
    if selected is None:
        return False
    return selected.fits(fields.get(territory.field), times.zone(pool.policy.time_zone or "UTC"))


def in_territory(territory: Territory, definitions: Definitions) -> Condition | None:
    """Return the condition that a customer's card is in the territory; None if no customer can be.

    It depends on nothing but its arguments, so it is built once for each.
    """
    return _condition(
        territory,
        _names(definitions.listed).get(territory.field),
        _selected(territory, definitions),
        len(definitions.listed),
    )


@lru_cache(maxsize=256)
def _condition(territory: Territory, name: str | None, selected: FieldFilter | None, shares: int) -> Condition | None:
    if name is None or selected is None:
        return None
    path = Attribute(["card", name])
    values = sorted(selected.values, key=str)
    if selected.field.type == "choices":
        return _any([path.contains(f",{_option(str(each))},") for each in values])
    stored = [Value(_stored(selected.field, [each], shares)) for each in values]
    one_of: Condition = path.is_in(*stored)
    return one_of


def matching(filters: Sequence[FieldFilter], definitions: Definitions) -> Condition | None:
    """Return the condition that a card fits all filters, of an item or of an index that carries the card.

    None without filters.
    """
    names, shares = _names(definitions.listed), len(definitions.listed)
    conditions = [_fits(each, Attribute(["card", names[each.field.key]]), shares) for each in filters]
    return reduce(and_, conditions) if conditions else None


def _fits(wanted: FieldFilter, path: Attribute, shares: int) -> Condition:
    """Return the condition that the value at `path` fits one filter.

    A range is no BETWEEN, which DynamoDB rejects if its bounds are in the wrong order.
    """
    if wanted.is_range:
        conditions = []
        if wanted.low is not None:
            conditions.append(path >= Serialized(_stored(wanted.field, [wanted.low], shares)))
        if wanted.high is not None:
            conditions.append(path <= Serialized(_stored(wanted.field, [wanted.high], shares)))
        return reduce(and_, conditions) if conditions else path.exists()
    values = [each for each in sorted(wanted.values, key=str) if each != ""]
    alternatives: list[Condition] = [] if "" not in wanted.values else [path.does_not_exist()]
    if wanted.field.type == "choices":
        alternatives += [path.contains(f",{_option(str(each))},") for each in values]
    elif values:
        alternatives.append(path.is_in(*[Serialized(_stored(wanted.field, [each], shares)) for each in values]))
    return _any(alternatives)


def in_full(card: Item, field: str, definitions: Definitions) -> bool:
    """Return whether the value of a card is complete, or was cut from a text without a contact."""
    stored = card.get(_names(definitions.listed).get(field, ""), {})
    return _CUT_BEFORE_CONTACT not in stored.get("S", "")


def whole_text(card: Item, field: Field, definitions: Definitions) -> str | None:
    """Return the text of a field as it was written, "" without one. None if the card does not have all of it."""
    if field.key not in definitions.listed or field.type not in _TEXTS:
        return None
    text: str = card.get(_names(definitions.listed)[field.key], {"S": ""}).get("S", "[")
    is_list = text.startswith("[")  # of a field that was once of another type
    return None if is_list or _CUT in text or _CUT_BEFORE_CONTACT in text else text


def _any(conditions: Sequence[Condition]) -> Condition:
    """Return the disjunction as a balanced tree: DynamoDB limits how deep parentheses may be nested."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    either: Condition = _any(conditions[:half]) | _any(conditions[half:])
    return either


def _selected(territory: Territory, definitions: Definitions) -> FieldFilter | None:
    field = definitions.by_key.get(territory.field)
    return any_of(territory.field, territory.values, definitions) if field is not None and field.filter else None


def layout(field: Field, definitions: Definitions) -> tuple[str, int]:
    """Return the name of a field in cards, and the most bytes of its value; 0 for a value that is never cut."""
    return _names(definitions.listed)[field.key], MAX_BYTES // len(definitions.listed) if field.type in _TEXTS else 0


@lru_cache(maxsize=256)
def _names(fields: tuple[str, ...]) -> dict[str, str]:
    """Return the name in a card of each field that is in it: short, and the same whatever other fields there are.

    Fields with equal short names keep their keys.
    """
    short = {key: f"{crc32(key.encode()) & 0xFFFF:04x}" for key in fields}
    taken = list(short.values())
    return {key: name if taken.count(name) == 1 else key for key, name in short.items()}


# Values


def _stored(field: Field, values: Sequence[Comparable], shares: int) -> dict[str, Any]:
    """Return the value of a card, in DynamoDB's JSON. Equal values are stored alike, and different ones differ."""
    if field.type == "choices":
        return {"S": f",{','.join(_option(str(each)) for each in values)},"}
    (value,) = values
    if isinstance(value, bool):
        return {"S": "true" if value else "false"}
    if isinstance(value, Decimal):
        return _number(value)
    return {"S": _cut(field, value, MAX_BYTES // shares)}


def _number(value: Decimal) -> dict[str, Any]:
    plain = value.normalize()
    if len(plain.as_tuple().digits) <= _MAX_DIGITS and abs(plain.adjusted()) <= _MAX_DIGITS:
        return {"N": f"{plain:f}" if plain else "0"}
    return {"S": str(plain)}


def _cut(field: Field, text: str, most: int) -> str:
    """Return text of at most `most` bytes: a longer one is cut, and a digest keeps it different from others.

    A part of a phone number or an address could not be recognized and masked, so nothing of one is left.
    """
    written = text.encode()
    if len(written) <= most:
        return text
    kept = written[: most - _DIGEST - len(_CUT)].decode(errors="ignore")
    if field.unique or field.type == "choice":
        return f"{kept}{_CUT}{_digest(text)}"
    if field.type != "email" and any(sign in text for sign in "@＠﹫"):
        return f"{kept[:1]}{_CUT_BEFORE_CONTACT}{_digest(text)}"
    if field.type != "phone" and sum(sign.isdigit() for sign in text) >= _DIGITS_OF_PHONE:
        before = next((at for at, sign in enumerate(kept) if sign.isdigit() or sign == "+"), len(kept))
        return f"{kept[:before]}{_CUT_BEFORE_CONTACT}{_digest(text)}"
    return f"{kept}{_CUT}{_digest(text)}"


def _option(text: str) -> str:
    return text if len(text.encode()) <= MAX_OPTION_BYTES else f"{_CUT}{_digest(text)}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGEST]


def _read(field: Field, stored: dict[str, Any]) -> Any:
    """Return the value of a card as its field's type has it. One that was written under another definition is text."""
    ((kind, content),) = stored.items()
    if kind == "N":
        number = Decimal(content)
        return int(number) if number == number.to_integral_value() else float(number)
    if field.type == "choices" and content.startswith(","):
        options = {_option(each): each for each in field.options}
        return [options.get(each, _MORE if each.startswith(_CUT) else each) for each in content[1:-1].split(",")]
    if field.type == "bool" and content in ("true", "false"):
        return content == "true"
    kept = re.split(f"[{_CUT}{_CUT_BEFORE_CONTACT}]", content, maxsplit=1)
    return content if len(kept) == 1 else f"{kept[0]}{_MORE}"
