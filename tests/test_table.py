"""The table itself: whether one that was kept is the one that this version of the service needs."""

from __future__ import annotations

from typing import Any

from chalicelib.places import DUE
from chalicelib.schema import SCHEMA
from chalicelib.table import Table

(TODAY,) = (index for index in SCHEMA["GlobalSecondaryIndexes"] if index["IndexName"] == DUE)


def kept(table: Table, *due: dict[str, Any], **other: Any) -> Table:
    """A table beside that one, kept from a version that declared the due index so, if at all, and those properties."""
    indexes = [*(index for index in SCHEMA["GlobalSecondaryIndexes"] if index["IndexName"] != DUE), *due]
    made = Table(f"{table.name}-kept", mint=str, jitter=float, endpoint=str(table.connection.client.meta.endpoint_url))
    used = {key["AttributeName"] for each in [SCHEMA, *indexes] for key in each["KeySchema"]}
    definitions = [each for each in SCHEMA["AttributeDefinitions"] if each["AttributeName"] in used]
    declared = SCHEMA | {"GlobalSecondaryIndexes": indexes, "AttributeDefinitions": definitions} | other
    table.connection.client.create_table(TableName=made.name, **declared)
    return made


def test_a_table_as_it_is_declared_today_is_current(table: Table) -> None:
    assert kept(table, TODAY).is_current()


def test_one_without_an_index_or_with_one_that_holds_less_is_not(table: Table) -> None:
    without = kept(table)
    assert not without.is_current()
    table.connection.client.delete_table(TableName=without.name)

    assert not kept(table, TODAY | {"Projection": {"ProjectionType": "KEYS_ONLY"}}).is_current()


def test_one_without_its_stream_is_not(table: Table) -> None:
    assert not kept(table, TODAY, StreamSpecification={"StreamEnabled": False}).is_current()
