"""The table itself: whether one that was kept is the one that this version of the service needs."""

from __future__ import annotations

from typing import Any

from moto import mock_aws

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import DUE
from chalicelib.dynamodb.schema import SCHEMA
from chalicelib.dynamodb.table import Table

(TODAY,) = (index for index in SCHEMA["GlobalSecondaryIndexes"] if index["IndexName"] == DUE)


def kept(table: Table, *due: dict[str, Any], **other: Any) -> Table:
    """Return another table, kept from a version with that due index, if any, and with those properties."""
    indexes = [*(index for index in SCHEMA["GlobalSecondaryIndexes"] if index["IndexName"] != DUE), *due]
    made = Table(
        f"{table.name}-kept", new_id=str, jitter=float, endpoint=str(table.connection.client.meta.endpoint_url)
    )
    used = {key["AttributeName"] for each in [SCHEMA, *indexes] for key in each["KeySchema"]}
    definitions = [each for each in SCHEMA["AttributeDefinitions"] if each["AttributeName"] in used]
    declared = SCHEMA | {"GlobalSecondaryIndexes": indexes, "AttributeDefinitions": definitions} | other
    table.connection.client.create_table(TableName=made.name, **declared)
    return made


def test_a_table_with_the_declared_schema_is_current(table: Table) -> None:
    assert kept(table, TODAY).is_current()


def test_a_table_with_a_missing_or_smaller_index_is_not_current(table: Table) -> None:
    without = kept(table)
    assert not without.is_current()
    table.connection.client.delete_table(TableName=without.name)

    assert not kept(table, TODAY | {"Projection": {"ProjectionType": "KEYS_ONLY"}}).is_current()


def test_a_table_without_its_stream_is_not_current(table: Table) -> None:
    assert not kept(table, TODAY, StreamSpecification={"StreamEnabled": False}).is_current()


# How it is made


def empty(name: str) -> Table:
    return Table(name, new_id=lambda: "t", jitter=lambda: 1.0, region="us-east-1")


def test_a_table_is_requested_at_its_configured_endpoint() -> None:
    here = Table("t", new_id=lambda: "t", jitter=lambda: 1.0, region="eu-west-1", endpoint="http://engine:8000")

    assert here.connection.client.meta.region_name == "eu-west-1"
    assert here.connection.client.meta.endpoint_url == "http://engine:8000"


@mock_aws
def test_a_table_is_created_once_with_indexes_stream_and_time_to_live() -> None:
    table = empty("one")

    assert (table.create(), table.create(), table.is_current()) == (True, False, True)

    client: Any = table.connection.client
    ttl = client.describe_time_to_live(TableName="one")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


@mock_aws
def test_a_table_can_be_created_without_time_to_live_and_stream() -> None:
    bare = empty("bare")

    assert bare.create(expiry=False, stream=False)

    client: Any = bare.connection.client
    assert client.describe_time_to_live(TableName="bare")["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
    assert not bare.is_current()


@mock_aws
def test_a_table_that_lost_an_index_is_not_current() -> None:
    older = empty("older")
    older.create()
    client: Any = older.connection.client

    client.update_table(TableName="older", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": keys.NAMES}}])

    assert not older.is_current()
