"""What the engine does with a condition, done again in Python on an item that the engine returned.

The engine decides, while writing; this only explains afterwards which part of a condition a returned item broke. It
must never be used to decide whether to write. It knows the operators that the rules use and refuses any other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from pynamodb.expressions.condition import And, Comparison, Condition, Exists, Not, NotExists, Or
from pynamodb.expressions.operand import Path, Value

from chalicelib.layout import Item, plain

_ABSENT: Final = object()
_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def holds(condition: Condition, item: Item) -> bool:
    """Whether the item meets the condition, as the engine would see it. An absent item is `{}`."""
    if isinstance(condition, And):
        return all(holds(part, item) for part in condition.values)
    if isinstance(condition, Or):
        return any(holds(part, item) for part in condition.values)
    if isinstance(condition, Not):
        return not holds(condition.values[0], item)
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
        return plain(operand.value)
    if not isinstance(operand, Path):
        raise TypeError(f"no rule may use {type(operand).__name__}: it cannot be explained")
    found: Any = {"M": item}
    for name in operand.path:
        found = found["M"].get(name) if "M" in found else None
        if found is None:
            return _ABSENT
    return plain(found)


def _compare(sign: str, left: Any, right: Any) -> bool:
    """An absent side makes every comparison false but `<>`; so do two sides of different types."""
    comparable = type(left) is type(right) and left is not _ABSENT and right is not _ABSENT
    if sign == "<>":
        return not (comparable and left == right)
    if not comparable:
        return False
    return bool(left == right) if sign == "=" else _ORDERINGS[sign](left, right)
