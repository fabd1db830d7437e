"""`make remove-tenant STAGE=prod TENANT=acme`: delete everything of a tenant from a stage's table.

The tenant's tokens must have ended: what a request writes meanwhile may stay. The whole table is read, and an
interrupted run can be repeated. Without YES=1 it only counts.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from chalicelib.dynamodb.keys import Key, tenant_key
from chalicelib.dynamodb.table import Table
from chalicelib.model.text import IDENTIFIER
from tools.deploy.stages import stage_named
from tools.deploy.tables import Write, batches, one_line_faults, pages_of, primary_key, stage_table, write_batch
from tools.problems import Unusable, run_tool


def remove(table: Table, tenant: str, *, write: bool) -> int:
    """Count the items of the tenant; delete them if `write`. Raises Unusable for text that no tenant is called."""
    if IDENTIFIER.fullmatch(tenant) is None:
        raise Unusable("a tenant has 1 to 64 letters, digits, - or _")
    count = 0
    for writes in batches(deletions(table, tenant)):
        count += len(writes)
        if write:
            write_batch(table, writes)
    return count


def deletions(table: Table, tenant: str) -> Iterator[Write]:
    """Yield the deletion of each item of the tenant; the entry in the list of tenants is the last."""
    own = tenant_key(tenant)
    for page in pages_of(table):
        yield from (_deletion(key) for key in page if key.pk.startswith(f"T#{tenant}#"))
    if own in table.get([own]):
        yield _deletion(own)


def _deletion(key: Key) -> Write:
    return {"DeleteRequest": {"Key": primary_key(key)}}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make remove-tenant", description=__doc__)
    parser.add_argument("stage")
    stage, tenant = stage_named(parser.parse_args().stage), os.environ.get("TENANT")
    confirmed = os.environ.get("YES") == "1"
    if not tenant:
        raise Unusable("name the tenant: make remove-tenant STAGE=prod TENANT=acme")
    with one_line_faults(f"removing {tenant}"):
        table = stage_table(stage)
        count = remove(table, tenant, write=confirmed)
    print(summary(count, table.name, confirmed))
    return 0


def summary(count: int, name: str, written: bool) -> str:
    if written:
        return f"{name}: {count:,} items deleted"
    return f"{name}: {count:,} items to delete. Nothing was written; add YES=1 to delete"


if __name__ == "__main__":
    run_tool(main)
