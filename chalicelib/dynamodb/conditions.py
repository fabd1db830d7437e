"""Conditions: serialization for DynamoDB, and evaluation against an item that a cancelled transaction returned.

DynamoDB decides while it writes. `evaluate` only explains afterwards which condition a returned item failed, and must
never decide whether to write. It supports the operators that the rules use and raises TypeError for any other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from pynamodb.expressions.condition import (
    And,
    BeginsWith,
    Between,
    Comparison,
    Condition,
    Contains,
    Exists,
    In,
    Not,
    NotExists,
    Or,
)
from pynamodb.expressions.operand import Path, Value, _Operand

from chalicelib.dynamodb.items import Item, deserialize, serialize

_ABSENT: Final = object()
ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Attribute(Path):
    """The path of an attribute, for conditions and updates.

    Values are serialized directly: PynamoDB's own way through its models takes several times as long. So does importing
    those models, which the constructor of `Path` would do.
    """

    def __init__(self, name: str | Sequence[str]) -> None:
        _Operand.__init__(self, [name] if isinstance(name, str) else [*name])
        self.attribute = self.attr_type = None  # type: ignore[assignment]

    def _to_operand(self, given: Any) -> Any:
        return given if isinstance(given, _Operand) else Serialized(serialize(given))

    def __getitem__(self, name: int | str) -> Attribute:
        return Attribute([*self.path, str(name)])


class Serialized(Value):
    """A value in DynamoDB's JSON. `Value` would import PynamoDB's models to inspect it, which takes 4 ms."""

    def __init__(self, value: Item) -> None:
        (self.attr_type,) = value
        _Operand.__init__(self, value)


class All(And):
    """A conjunction of any number of conditions. PynamoDB's `And` has two, so that a long one is deeply nested."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        Condition.__init__(self, "AND", *conditions)

    @property
    def format_string(self) -> str:  # type: ignore[override]
        return f"({' {operator} '.join(['{}'] * len(self.values))})"


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return the condition that all of these hold. There is at least one."""
    return conditions[0] if len(conditions) == 1 else All(conditions)


def unchanged(stored: Item, names: Iterable[str], *, did: Iterable[str] = ()) -> Condition:
    """Return the condition that these attributes, and the daily counts in `did`, are as in the item that was read."""
    read = [(Attribute(name), stored.get(name)) for name in names]
    today = stored.get("did", {}).get("M", {})
    read += [(Attribute(["did", kind]), today.get(kind)) for kind in did]
    return all_of([path.does_not_exist() if was is None else path == Serialized(was) for path, was in read])


def condition_expression(condition: Condition, names: dict[str, str], values: Item) -> str:
    """Return the expression text. Adds its placeholders to `names` (by name) and `values` (by placeholder).

    PynamoDB's own serializer returns the same in several times as long.
    """
    kind = type(condition)
    if kind is All or kind is And or kind is Or:
        parts = [condition_expression(part, names, values) for part in condition.values]
        return f"({f' {condition.operator} '.join(parts)})"
    if kind is Not:
        return f"(NOT {condition_expression(condition.values[0], names, values)})"
    if kind is Comparison:
        left, right = condition.values
        return f"{placeholders(left, names, values)} {condition.operator} {placeholders(right, names, values)}"
    sides = [placeholders(side, names, values) for side in condition.values]
    if kind is Between:
        return f"{sides[0]} BETWEEN {sides[1]} AND {sides[2]}"
    if kind is In:
        return f"{sides[0]} IN ({', '.join(sides[1:])})"
    if kind in (Exists, NotExists, BeginsWith, Contains):
        return f"{condition.operator} ({', '.join(sides)})"
    raise TypeError(f"unsupported condition: {kind.__name__}")


def placeholders(operand: Any, names: dict[str, str], values: Item) -> str:
    """Return the placeholders of a path or a value. Names need them: DynamoDB reserves many words."""
    if isinstance(operand, Path):
        path = operand.values[0]
        if len(path) == 1:  # nearly all: a claim has some twenty
            return names.get(path[0]) or names.setdefault(path[0], f"#{len(names)}")
        return ".".join([names.setdefault(name, f"#{len(names)}") for name in path])
    assert isinstance(operand, Value), f"unsupported operand: {type(operand).__name__}"
    placeholder = f":{len(values)}"
    values[placeholder] = operand.values[0]
    return placeholder


def evaluate(condition: Condition, item: Item) -> bool:
    """Return whether the item meets the condition, as DynamoDB would evaluate it. An absent item is `{}`."""
    if isinstance(condition, And):
        return all(evaluate(part, item) for part in condition.values)
    if isinstance(condition, Or):
        return any(evaluate(part, item) for part in condition.values)
    if isinstance(condition, Not):
        return not evaluate(condition.values[0], item)
    if isinstance(condition, Exists | NotExists):
        return (_operand(condition.values[0], item) is _ABSENT) == isinstance(condition, NotExists)
    if isinstance(condition, Contains | In):
        return _holds_or_is_one_of(condition, item)
    if isinstance(condition, Comparison):
        left, right = (_operand(side, item) for side in condition.values)
        return _compare(condition.operator, left, right)
    raise TypeError(f"unsupported condition in a rule: {type(condition).__name__}")


def _holds_or_is_one_of(condition: Contains | In, item: Item) -> bool:
    """Return whether a text contains another, or a value is one of several. It need not be a whole number."""
    path, *values = condition.values
    found = _stored(path, item) or {}
    if isinstance(condition, Contains):
        return "S" in found and any(each.value["S"] in found["S"] for each in values)
    return any(_same(found, each.value) for each in values)


def _operand(operand: Any, item: Item) -> Any:
    found = operand.value if isinstance(operand, Value) else _stored(operand, item)
    if found is None:
        return _ABSENT
    return Decimal(found["N"]) if "N" in found else deserialize(found)


def _stored(operand: Any, item: Item) -> dict[str, Any] | None:
    """Return the value at a path, in DynamoDB's JSON; None if it is absent."""
    if not isinstance(operand, Path):
        raise TypeError(f"unsupported operand in a rule: {type(operand).__name__}")
    found: Any = {"M": item}
    for name in operand.path:
        found = found["M"].get(name) if "M" in found else None
        if found is None:
            return None
    return dict(found)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two values are equal, as DynamoDB compares them: numbers by their value."""
    if "N" in one and "N" in other:
        return Decimal(one["N"]) == Decimal(other["N"])
    return one == other


def _compare(sign: str, left: Any, right: Any) -> bool:
    """Compare as DynamoDB does: with an absent side or different types, only `<>` is true."""
    comparable = type(left) is type(right) and left is not _ABSENT and right is not _ABSENT
    if sign == "<>":
        return not (comparable and left == right)
    if not comparable:
        return False
    return bool(left == right) if sign == "=" else ORDERINGS[sign](left, right)
