"""A condition, written for the engine; and what the engine does with it, done again on an item that it returned.

The engine decides, while writing; `holds` only explains afterwards which part of a condition a returned item broke. It
must never be used to decide whether to write. It knows the operators that the rules use and refuses any other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import reduce
from operator import and_
from typing import Any, Final

from pynamodb.expressions.condition import And, BeginsWith, Between, Comparison, Condition, Exists, Not, NotExists, Or
from pynamodb.expressions.operand import Path, Value, _Operand

from chalicelib.dynamodb.items import Item, deserialize, serialize

_ABSENT: Final = object()
_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Attribute(Path):
    """An attribute of an item, or of a map in one, to be compared or changed. Values are typed as those of items are:
    PynamoDB would ask its models first, at several times the work."""

    def _to_operand(self, given: Any) -> Any:
        return given if isinstance(given, _Operand) else Value(serialize(given))

    def __getitem__(self, name: int | str) -> Attribute:
        return Attribute([*self.path, str(name)])


def unchanged(stored: Item, names: Iterable[str], *, did: Iterable[str] = ()) -> Condition:
    """That nothing of this has changed since the item was read; nor, with `did`, what the member did of that today."""
    read = [(Attribute(name), stored.get(name)) for name in names]
    today = stored.get("did", {}).get("M", {})
    read += [(Attribute(["did", kind]), today.get(kind)) for kind in did]
    return reduce(and_, [path.does_not_exist() if was is None else path == deserialize(was) for path, was in read])


def condition_expression(condition: Condition, names: dict[str, str], values: Item) -> str:
    """Its text. The placeholders that it uses are added to `names`, by name, and to `values`, by placeholder.

    PynamoDB writes the same, in several times as long.
    """
    kind = type(condition)
    if kind is And or kind is Or:
        parts = [condition_expression(part, names, values) for part in condition.values]
        return f"({f' {condition.operator} '.join(parts)})"
    if kind is Not:
        return f"(NOT {condition_expression(condition.values[0], names, values)})"
    sides = [_placed(side, names, values) for side in condition.values]
    if kind is Comparison:
        return f"{sides[0]} {condition.operator} {sides[1]}"
    if kind is Between:
        return f"{sides[0]} BETWEEN {sides[1]} AND {sides[2]}"
    if kind in (Exists, NotExists, BeginsWith):
        return f"{condition.operator} ({', '.join(sides)})"
    raise TypeError(f"no condition here may use {kind.__name__}")


def _placed(operand: Any, names: dict[str, str], values: Item) -> str:
    """The placeholders of a path, or of a value: many names are words that the engine keeps for itself."""
    if isinstance(operand, Path):
        return ".".join([names.setdefault(name, f"#{len(names)}") for name in operand.path])
    assert isinstance(operand, Value), f"no condition here may use {type(operand).__name__}"
    placeholder = f":{len(values)}"
    values[placeholder] = operand.value
    return placeholder


def evaluate(condition: Condition, item: Item) -> bool:
    """Whether the item meets the condition, as the engine would see it. An absent item is `{}`."""
    if isinstance(condition, And):
        return all(evaluate(part, item) for part in condition.values)
    if isinstance(condition, Or):
        return any(evaluate(part, item) for part in condition.values)
    if isinstance(condition, Not):
        return not evaluate(condition.values[0], item)
    if isinstance(condition, Exists):
        return _operand(condition.values[0], item) is not _ABSENT
    if isinstance(condition, NotExists):
        return _operand(condition.values[0], item) is _ABSENT
    if isinstance(condition, Comparison):
        left, right = (_operand(side, item) for side in condition.values)
        return _compare(condition.operator, left, right)
    raise TypeError(f"no rule may use {type(condition).__name__}: it cannot be explained")


def _operand(operand: Any, item: Item) -> Any:
    if isinstance(operand, Value):
        return deserialize(operand.value)
    if not isinstance(operand, Path):
        raise TypeError(f"no rule may use {type(operand).__name__}: it cannot be explained")
    found: Any = {"M": item}
    for name in operand.path:
        found = found["M"].get(name) if "M" in found else None
        if found is None:
            return _ABSENT
    return deserialize(found)


def _compare(sign: str, left: Any, right: Any) -> bool:
    """An absent side makes every comparison false but `<>`; so do two sides of different types."""
    comparable = type(left) is type(right) and left is not _ABSENT and right is not _ABSENT
    if sign == "<>":
        return not (comparable and left == right)
    if not comparable:
        return False
    return bool(left == right) if sign == "=" else _ORDERINGS[sign](left, right)
