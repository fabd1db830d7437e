"""Read and write whole tables of DynamoDB: the table of a stage, and others in its account and region."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import bootstrap, config
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Fault, Table
from tools.deploy.account import client, outputs
from tools.deploy.stages import Stage
from tools.problems import Unusable

BATCH_SIZE = 25
Write: TypeAlias = dict[str, Any]  # as BatchWriteItem takes it


@contextmanager
def one_line_faults(action: str) -> Iterator[None]:
    """Raise Unusable, with the name of the action, for a fault of AWS."""
    try:
        yield
    except (Fault, BotoCoreError, ClientError) as error:
        raise Unusable(f"{action} failed: {str(error) or type(error).__name__}") from None


def stage_table(stage: Stage) -> Table:
    """Return the table of a deployed stage. Raises Unusable if the stage is not deployed."""
    name = outputs(stage.stack).get("TableName")
    if name is None:
        raise Unusable(f"there is no stack {stage.stack} in this account and region")
    return table_of(name)


def table_of(name: str) -> Table:
    region = client("cloudformation").meta.region_name
    return bootstrap.table(config.read({"TABLE_NAME": name, "AWS_REGION": region}))


def pages_of(table: Table) -> Iterator[dict[Key, Item]]:
    """Return the items of a table, one page at a time."""
    start: dict[str, Any] = {}
    while True:
        page = table.connection.client.scan(TableName=table.name, ConsistentRead=True, **start)
        yield {Key(item["pk"]["S"], item["sk"]["S"]): item for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def primary_key(key: Key) -> Item:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def batches(writes: Iterator[Write]) -> Iterator[list[Write]]:
    while batch := list(islice(writes, BATCH_SIZE)):
        yield batch


def write_batch(table: Table, writes: list[Write]) -> None:
    """Write a batch. Repeat the items that DynamoDB returns as unprocessed."""
    unprocessed: dict[str, Any] = {table.name: writes}
    while unprocessed:
        unprocessed = table.connection.client.batch_write_item(RequestItems=unprocessed)["UnprocessedItems"]
        time.sleep(0.5 if unprocessed else 0)
