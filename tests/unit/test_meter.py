"""The meter computes the capacity units that DynamoDB reports for single writes, transactions and queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.dynamodb import items as table_items, keys
from chalicelib.dynamodb.items import Item, kilobytes, size
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, PLACE, ROSTER
from chalicelib.dynamodb.table import Put, Table
from chalicelib.model.model import Customer, created
from tests.conftest import new_table
from tests.support.memory import memory_table
from tests.support.metered import Metered, index_units, item_units
from tests.support.world import START
from tools.local.engines import DynamoDBLocal
from tools.paths import DYNAMODB_LOCAL

FREE = created(Customer("main", "p", "c1", "张 Ā", "available", 1, START, START, START, START, 1), "created", "mona")
HELD = replace(FREE, version=2, state="claimed", holder="alice", expires_at=START + 5, past_holders={"bob": 1})
LONG = replace(HELD, version=3, name="x" * 1500)
CHANGES = {
    "enters": (None, FREE),
    "is claimed": (FREE, HELD),
    "stays where it is": (HELD, replace(HELD, version=3)),
    "is extended": (HELD, replace(HELD, version=3, expires_at=START + 1_000_000)),
    "grows over a kilobyte": (HELD, LONG),
    "shrinks": (LONG, replace(HELD, version=4)),
    "is won": (HELD, replace(HELD, version=3, state="private", expires_at=None)),
}


def items(change: str) -> tuple[Item, Item]:
    before, after = CHANGES[change]
    return {} if before is None else table_items.customer_item(before), table_items.customer_item(after)


def capacity_units(answer: Any) -> tuple[float, dict[str, float]]:
    """Return the reported capacity units of the table and of each index."""
    of_indexes = {name: each["CapacityUnits"] for name, each in answer.get("GlobalSecondaryIndexes", {}).items()}
    return answer["CapacityUnits"] - sum(of_indexes.values()), of_indexes


@pytest.mark.parametrize("change", CHANGES)
def test_the_write_units_of_a_single_write(real_table: Table, change: str) -> None:
    before, after = items(change)
    client = real_table.connection.client
    if before:
        client.put_item(TableName=real_table.name, Item=before)

    answer = client.put_item(TableName=real_table.name, Item=after, ReturnConsumedCapacity="INDEXES")

    of_indexes = {name: index_units(name, before, after) for name in INDEX_RANGE}
    charged = {name: units for name, units in of_indexes.items() if units}
    assert capacity_units(answer["ConsumedCapacity"]) == (item_units(before, after), charged)


@pytest.mark.parametrize("change", CHANGES)
def test_the_write_units_of_a_transaction(real_table: Table, change: str) -> None:
    before, after = items(change)
    client, engine = real_table.connection.client, Metered()
    key = keys.customer_key("main", "p", "c1")
    if before:
        client.put_item(TableName=real_table.name, Item=before)
        engine.load({key: before})

    puts = [{"Put": {"TableName": real_table.name, "Item": after}}]
    (answer,) = client.transact_write_items(TransactItems=puts, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    memory_table(engine).write([Put(key, after)])

    assert answer["CapacityUnits"] == engine.write_units


PARTITIONS = [(PLACE, 1), (PLACE, 10), (DUE, 6), (ROSTER, 60), (None, 8)]
LARGER = [(PLACE, 90), (DUE, 40), (None, 30)]


@pytest.mark.parametrize(("index", "count"), PARTITIONS)
def test_the_read_units_of_a_query_under_four_kilobytes(real_table: Table, index: str | None, count: int) -> None:
    assert_query_is_metered(real_table, index, count)


@pytest.mark.parametrize(("index", "count"), PARTITIONS + LARGER)
def test_the_read_units_of_a_query_of_any_size(dynamodb_local: Table, index: str | None, count: int) -> None:
    """MiniStack charges the minimum for every page; DynamoDB Local counts the bytes."""
    assert_query_is_metered(dynamodb_local, index, count)


@pytest.fixture
def dynamodb_local() -> Iterator[Table]:
    if not DYNAMODB_LOCAL.exists():
        pytest.skip("DynamoDB Local is not here: `make dynamodb-local` fetches it")
    with DynamoDBLocal() as engine:
        yield new_table(engine.endpoint)


def assert_query_is_metered(table: Table, index: str | None, count: int) -> None:
    engine, client = Metered(), table.connection.client
    for stored in filled(index, count):
        client.put_item(TableName=table.name, Item=stored)
        engine.items[keys.Key(stored["pk"]["S"], stored["sk"]["S"])] = stored
    partition = stored[index or "pk"]["S"]

    answer = client.query(
        TableName=table.name,
        KeyConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": index or "pk"},
        ExpressionAttributeValues={":p": {"S": partition}},
        ReturnConsumedCapacity="TOTAL",
        **({"IndexName": index} if index else {"ConsistentRead": True}),
    )
    memory_table(engine).query(partition, index=index)

    assert (len(answer["Items"]), answer["ConsumedCapacity"]["CapacityUnits"]) == (count, engine.read_units)


def filled(index: str | None, count: int) -> Iterator[Item]:
    """So many items in one partition."""
    for number in range(count):
        customer = replace(HELD if index == DUE else FREE, id=f"c{number:03d}", name="n" * 100)
        stored = table_items.customer_item(customer)
        yield stored if index else stored | {"pk": {"S": "one"}, "sk": {"S": f"{number:03d}"}}


def test_a_number_takes_one_byte_per_two_digits_plus_one() -> None:
    assert [size({"n": {"N": number}}) for number in ("7", "42", "-421", "1780300800000")] == [3, 3, 4, 9]
    assert [kilobytes(each) for each in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
