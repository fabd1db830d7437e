"""The actions of a transaction, and their form in a TransactWriteItems request.

The transactions package builds actions; `table` sends them. Nothing here knows a rule, a record or a client.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import Action as Change, AddAction, RemoveAction, SetAction

from chalicelib.dynamodb.conditions import condition_expression, placeholders
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key


class Put(Struct, frozen=True):
    """Write a whole item."""

    key: Key
    item: Item
    condition: Condition | None = None


class SetAttributes(Struct, frozen=True):
    """Write the changed attributes of an item and remove others. Create the item if it is absent.

    All other attributes stay, also those that this version of the service does not know.
    """

    key: Key
    changed: Item
    removed: tuple[str, ...] = ()
    condition: Condition | None = None


class Update(Struct, frozen=True):
    """Change some attributes of an item by expressions, such as a sum; the others stay."""

    key: Key
    actions: list[Any]
    condition: Condition | None = None


class Check(Struct, frozen=True):
    """Write nothing; cancel the transaction if the condition fails."""

    key: Key
    condition: Condition


class Delete(Struct, frozen=True):
    key: Key
    condition: Condition | None = None


MAX_ATTRIBUTES: Final = 100  # of one SetAttributes

Action = Put | SetAttributes | Update | Check | Delete

_ENTRY_NAMES: Final = {
    Check: "ConditionCheck", Delete: "Delete", Put: "Put", SetAttributes: "Update", Update: "Update"
}  # fmt: skip
_CLAUSES: Final[dict[type[Change], str]] = {SetAction: "SET", RemoveAction: "REMOVE", AddAction: "ADD"}
_VALUES: Final = tuple(f":{index}" for index in range(MAX_ATTRIBUTES))


def request_entry(action: Action, table: str) -> dict[str, Any]:
    """Return one entry of `TransactItems`. A failed condition returns the existing item."""
    key = {"pk": {"S": action.key.pk}, "sk": {"S": action.key.sk}}
    names, values = dict[str, str](), dict[str, Any]()
    request: dict[str, Any] = {"TableName": table}
    if isinstance(action, Put):
        request["Item"] = action.item | key
    else:
        request["Key"] = key
    if isinstance(action, SetAttributes):
        request["UpdateExpression"], named = _set_expression(tuple(action.changed), action.removed)
        names.update(named)
        values.update(zip(_VALUES, action.changed.values(), strict=False))
    elif isinstance(action, Update):
        request["UpdateExpression"] = _update_expression(action.actions, names, values)
    if action.condition is not None:
        request["ConditionExpression"] = condition_expression(action.condition, names, values)
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return {_ENTRY_NAMES[type(action)]: request | expression_names(names, values)}


@lru_cache(maxsize=256)
def _set_expression(changed: tuple[str, ...], removed: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return the expression text, and the placeholders of the names. Cached, since a verb changes the same names.

    DynamoDB rejects a clause without attributes, so an empty one is left out.
    """
    names = {name: f"#{index}" for index, name in enumerate((*changed, *removed))}
    assigned = ", ".join([f"{names[name]} = {value}" for name, value in zip(changed, _VALUES, strict=False)])
    cleared = ", ".join([names[name] for name in removed])
    clauses = (f"SET {assigned}" if changed else "", f"REMOVE {cleared}" if removed else "")
    return " ".join(filter(None, clauses)), names


def _update_expression(actions: Sequence[Change], names: dict[str, str], values: Item) -> str:
    """Return the expression text. Adds its placeholders. PynamoDB's own serializer takes several times as long."""
    clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
    for action in actions:
        sides = [_operand(side, names, values) for side in action.values]
        clauses[_CLAUSES[type(action)]].append(action.format_string.format(*sides))
    return " ".join([f"{name} {', '.join(parts)}" for name, parts in clauses.items() if parts])


def _operand(operand: Any, names: dict[str, str], values: Item) -> str:
    """Return a path, a value, or a function of them, such as `if_not_exists (#0, :0) + :1`."""
    if isinstance(operand, Path | Value):
        return placeholders(operand, names, values)
    sides = [_operand(side, names, values) for side in operand.values]
    return str(operand.format_string.format(*sides))


def expression_names(names: dict[str, str], values: Item) -> dict[str, Any]:
    """Return the request members that define the placeholders. DynamoDB rejects empty ones, so they are left out."""
    defined: dict[str, Any] = {}
    if names:
        defined["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
    if values:
        defined["ExpressionAttributeValues"] = values
    return defined
