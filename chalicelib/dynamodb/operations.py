"""The actions of a transaction, and their form in a TransactWriteItems request.

The transactions package builds actions; `table` sends them. Nothing here knows a rule, a record or a client.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from pynamodb.expressions import update
from pynamodb.expressions.condition import Condition

from chalicelib.dynamodb.conditions import condition_expression
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key


class Put(Struct, frozen=True):
    """Write a whole item."""

    key: Key
    item: Item
    condition: Condition | None = None


class Update(Struct, frozen=True):
    """Change some attributes of an item; the others stay."""

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


Action = Put | Update | Check | Delete

_ENTRY_NAMES: Final = {Check: "ConditionCheck", Delete: "Delete", Put: "Put", Update: "Update"}


def request_entry(action: Action, table: str) -> dict[str, Any]:
    """Return one entry of `TransactItems`. A failed condition returns the existing item."""
    key = {"pk": {"S": action.key.pk}, "sk": {"S": action.key.sk}}
    names, values = dict[str, str](), dict[str, Any]()
    request: dict[str, Any] = {"TableName": table}
    if isinstance(action, Put):
        request["Item"] = action.item | key
    else:
        request["Key"] = key
    if isinstance(action, Update):
        request["UpdateExpression"] = update.Update(*action.actions).serialize(names, values)
    if action.condition is not None:
        request["ConditionExpression"] = condition_expression(action.condition, names, values)
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return {_ENTRY_NAMES[type(action)]: request | expression_names(names, values)}


def expression_names(names: dict[str, str], values: Item) -> dict[str, Any]:
    """Return the request members that define the placeholders. DynamoDB rejects empty ones, so they are left out."""
    defined: dict[str, Any] = {}
    if names:
        defined["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
    if values:
        defined["ExpressionAttributeValues"] = values
    return defined
