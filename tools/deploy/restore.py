"""`make restore STAGE=prod FROM=<table>`: make a stage's table equal to a table that AWS restored to an earlier moment.

Stop the service first: concurrent writes may be lost. Only items that differ are written, so an interrupted run can be
repeated. Without YES=1 it only counts.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator

from chalicelib.dynamodb.table import Table
from tools.deploy.stages import stage_named
from tools.deploy.tables import (
    Write,
    batches,
    one_line_faults,
    pages_of,
    primary_key,
    stage_table,
    table_of,
    write_batch,
)
from tools.problems import Unusable, run_tool


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("stage")
    stage, earlier = stage_named(parser.parse_args().stage), os.environ.get("FROM")
    confirmed = os.environ.get("YES") == "1"
    if not earlier:
        raise Unusable("name the restored table: make restore STAGE=prod FROM=<table>")
    with one_line_faults(f"restoring from {earlier}"):
        table = stage_table(stage)
        counts = restore(table, table_of(earlier), write=confirmed)
    print(summary(counts, table.name, confirmed))
    return 0


def summary(counts: Counter[str], name: str, written: bool) -> str:
    put, deleted = counts["put"], counts["deleted"]
    if written:
        return f"{put:,} items put and {deleted:,} deleted in {name}"
    return f"{put:,} items to put and {deleted:,} to delete in {name}: nothing was written; add YES=1 to write"


if __name__ == "__main__":
    run_tool(main)
