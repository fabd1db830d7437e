"""Remove a stack whose creation failed: CloudFormation can only delete it, and not what is protected in it."""

from __future__ import annotations

import sys
import time
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from tools.deploy.account import client, failure, status
from tools.problems import Unusable

FAILED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
POLL_S = 2


def remove_failed_creation(stack: str) -> None:
    """Delete the stack if its creation failed, and its table if that is empty."""
    if status(stack) not in FAILED:
        return
    print(f"removing {stack}, whose first deployment failed ...", file=sys.stderr)
    tables = _tables_of(stack)
    for table in tables:
        _unprotect(table)
    formation = client("cloudformation")
    formation.delete_stack(StackName=stack)
    try:
        formation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": POLL_S})
    except WaiterError:
        raise Unusable(f"{stack} could not be removed: {failure(stack)}") from None
    for table in tables:
        _delete_empty(table)


def _tables_of(stack: str) -> set[str]:
    """Return the tables that the stack has created and that still exist."""
    pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
    names = {
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackEvents"]
        if each["ResourceType"] == "AWS::DynamoDB::Table" and each.get("PhysicalResourceId")
    }
    return {name for name in names if _described(name) is not None}


def _described(table: str) -> dict[str, Any] | None:
    try:
        return dict(client("dynamodb").describe_table(TableName=table)["Table"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None


def _unprotect(table: str) -> None:
    client("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=False)
    while (_described(table) or {}).get("TableStatus") == "UPDATING":
        time.sleep(POLL_S)


def _delete_empty(table: str) -> None:
    """Delete a table that the stack has left behind, if nothing was ever stored in it."""
    engine = client("dynamodb")
    if _described(table) is None:
        return
    if engine.scan(TableName=table, Limit=1, ConsistentRead=True)["Items"]:
        print(f"the table {table} has items: it is kept, without protection", file=sys.stderr)
    else:
        engine.delete_table(TableName=table)
