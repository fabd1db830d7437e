"""`make restore STAGE=prod FROM=<table>`: make a stage's table equal to a table that AWS restored to an earlier moment.

Stop the service first: concurrent writes may be lost. Only items that differ are written, so an interrupted run can be
repeated. Without YES=1 it only counts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import bootstrap, config
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Fault, Table
from tools.deploy.account import client, outputs
from tools.deploy.stages import stage_named
from tools.problems import Unusable, run_tool

BATCH_SIZE = 25
Write: TypeAlias = dict[str, Any]  # as BatchWriteItem takes it


def restore(table: Table, earlier: Table, *, write: bool) -> Counter[str]:
    """Count the items to `put`, which differ or are missing, and the newer ones to `deleted`; write them if `write`."""
    counts: Counter[str] = Counter()
    for writes in batches(differences(table, earlier)):
        counts.update("put" if "PutRequest" in each else "deleted" for each in writes)
        if write:
            write_batch(table, writes)
    return counts


def differences(table: Table, earlier: Table) -> Iterator[Write]:
    """Return the writes that make `table` equal to `earlier`."""
    for items in pages_of(earlier):
        current = table.get(list(items))
        yield from ({"PutRequest": {"Item": item}} for key, item in items.items() if current.get(key) != item)
    for items in pages_of(table):
        restored = earlier.get(list(items))
        yield from ({"DeleteRequest": {"Key": primary_key(key)}} for key in items if key not in restored)


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("stage")
    stage, earlier = stage_named(parser.parse_args().stage), os.environ.get("FROM")
    confirmed = os.environ.get("YES") == "1"
    if not earlier:
        raise Unusable("name the restored table: make restore STAGE=prod FROM=<table>")
    try:
        name, region = outputs(stage.stack).get("TableName"), client("cloudformation").meta.region_name
        if name is None:
            raise Unusable(f"there is no stack {stage.stack} in this account and region")
        counts = restore(table_of(name, region), table_of(earlier, region), write=confirmed)
    except (Fault, BotoCoreError, ClientError) as error:
        raise Unusable(f"restoring from {earlier} failed: {str(error) or type(error).__name__}") from None
    print(summary(counts, name, confirmed))
    return 0


def summary(counts: Counter[str], name: str, written: bool) -> str:
    put, deleted = counts["put"], counts["deleted"]
    if written:
        return f"{put:,} items put and {deleted:,} deleted in {name}"
    return f"{put:,} items to put and {deleted:,} to delete in {name}: nothing was written; add YES=1 to write"


def table_of(name: str, region: str) -> Table:
    return bootstrap.table(config.read({"TABLE_NAME": name, "AWS_REGION": region}))


if __name__ == "__main__":
    run_tool(main)
