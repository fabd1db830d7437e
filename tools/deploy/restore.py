"""`make restore STAGE=prod FROM=<table>`: makes a stage's table say again what another table says, one that AWS has
restored to a moment before a mistake.

For a service that has been stopped: what is written meanwhile may be lost. Items are compared, and only what differs is
written, so that it may be killed anywhere and run again. It only counts until YES=1 is said.
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
from tools.deploy.cloudformation import Cloud
from tools.deploy.stages import stage_named
from tools.problems import Unusable, run_tool

WRITES_A_REQUEST = 25
Write: TypeAlias = dict[str, Any]  # as BatchWriteItem takes it


def restore(table: Table, earlier: Table, *, write: bool) -> Counter[str]:
    """How many items are `put` because they differ or are gone, and how many that are new are `deleted`."""
    counts: Counter[str] = Counter()
    for writes in _batches(differences(table, earlier)):
        counts.update("put" if "PutRequest" in each else "deleted" for each in writes)
        if write:
            _write(table, writes)
    return counts


def differences(table: Table, earlier: Table) -> Iterator[Write]:
    """What has to be written to `table`, so that it says what `earlier` says."""
    for items in _scanned(earlier):
        there = table.get(list(items))
        yield from ({"PutRequest": {"Item": item}} for key, item in items.items() if there.get(key) != item)
    for items in _scanned(table):
        known = earlier.get(list(items))
        yield from ({"DeleteRequest": {"Key": _named(key)}} for key in items if key not in known)


def _scanned(table: Table) -> Iterator[dict[Key, Item]]:
    """The items of the table, a page at a time."""
    start: dict[str, Any] = {}
    while True:
        page = table.connection.client.scan(TableName=table.name, ConsistentRead=True, **start)
        yield {Key(item["pk"]["S"], item["sk"]["S"]): item for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _named(key: Key) -> Item:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _batches(writes: Iterator[Write]) -> Iterator[list[Write]]:
    while batch := list(islice(writes, WRITES_A_REQUEST)):
        yield batch


def _write(table: Table, writes: list[Write]) -> None:
    """All of them; what the engine leaves out for now is sent again."""
    left: dict[str, Any] = {table.name: writes}
    while left:
        left = table.connection.client.batch_write_item(RequestItems=left)["UnprocessedItems"]
        time.sleep(0.5 if left else 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("stage")
    stage, earlier = stage_named(parser.parse_args().stage), os.environ.get("FROM")
    yes = os.environ.get("YES") == "1"
    if not earlier:
        raise Unusable("say which table to take it from: make restore STAGE=prod FROM=<table>")
    try:
        name, region = Cloud().outputs(stage.stack)["TableName"], Cloud().region
        counts = restore(_table(name, region), _table(earlier, region), write=yes)
    except (Fault, BotoCoreError, ClientError) as error:
        raise Unusable(f"restoring from {earlier} was cut short: {str(error) or type(error).__name__}") from None
    print(told(counts, name, yes))
    return 0


def told(counts: Counter[str], name: str, written: bool) -> str:
    put, deleted = counts["put"], counts["deleted"]
    if written:
        return f"{put:,} items put and {deleted:,} deleted in {name}"
    return f"{put:,} items to put and {deleted:,} to delete in {name}: nothing was written, say YES=1"


def _table(name: str, region: str) -> Table:
    return bootstrap.table(config.read({"TABLE_NAME": name, "AWS_REGION": region}))


if __name__ == "__main__":
    run_tool(main)
