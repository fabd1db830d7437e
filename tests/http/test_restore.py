"""Restore: the table becomes, item for item, a copy of the restored table."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb.table import Table
from tests.conftest import new_table
from tests.support.audit import assert_sound
from tests.support.dynamodb_calls import Crash, failing
from tests.support.world import World, everything
from tools.deploy.restore import restore


def contents(table: Table) -> dict[tuple[str, str], Any]:
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in everything(table)}


@pytest.fixture
def restored_table(world: World) -> Table:
    """Return a copy of the table, as AWS restores it. Mistakes were made since then."""
    mona = world.pool(holding_limit=40, customers=60)
    world.alice.claim_batch([f"c{number}" for number in range(1, 31)])
    restored = new_table(str(world.table.connection.client.meta.endpoint_url))
    for item in everything(world.table):
        restored.connection.client.put_item(TableName=restored.name, Item=item)
    world.alice.release_batch([f"c{number}" for number in range(1, 31)])
    mona.post("/import", {"rows": [{"id": f"new{number}", "name": "New"} for number in range(40)], "key": "id"})
    mona.delete("/members/bob")
    return restored


def test_a_restore_copies_every_item_and_nothing_else(world: World, restored_table: Table) -> None:
    counts = restore(world.table, restored_table, write=True)

    assert contents(world.table) == contents(restored_table)
    assert counts["put"] > 30 and counts["deleted"] >= 80  # of each new customer, itself and its fields


def test_the_service_continues_from_a_restored_table(world: World, restored_table: Table) -> None:
    restore(world.table, restored_table, write=True)
    world.service = world.another_process()

    assert world.bob.claim("c1").code == "already_claimed"
    assert world.alice.claim("c60").status == 200
    assert world.alice.held() == 31
    assert_sound(world.table)


def test_a_repeated_restore_writes_nothing(world: World, restored_table: Table) -> None:
    restore(world.table, restored_table, write=True)

    assert not restore(world.table, restored_table, write=True)


def test_a_restore_only_counts_without_confirmation(world: World, restored_table: Table) -> None:
    before = contents(world.table)

    counts = restore(world.table, restored_table, write=False)

    assert contents(world.table) == before
    assert counts == restore(world.table, restored_table, write=True)


def test_the_next_restore_finishes_a_killed_one(world: World, restored_table: Table) -> None:
    with failing(world, 2, "before-send", ".BatchWriteItem"), pytest.raises(Crash):
        restore(world.table, restored_table, write=True)

    assert contents(world.table) != contents(restored_table)
    restore(world.table, restored_table, write=True)
    assert contents(world.table) == contents(restored_table)
