"""The audit finds every planted fault in the suppressions of a tenant, and repairs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from tests.support.audit import assert_sound
from tests.support.world import World, everything

PHONE = "13812345678"


def suppressed(world: World) -> None:
    """c1 and c2 are suppressed with one phone number; c3 is erased and suppressed; c4 may be contacted."""
    mona = world.pool()
    for customer in ("c1", "c2", "c3", "c4"):
        fields = {"phone": PHONE} if customer < "c3" else {"email": f"{customer}@example.com"}
        assert mona.create(customer, fields=fields, on_duplicate="allow").status == 201
    for customer in ("c1", "c2"):
        assert mona.post(f"/customers/{customer}/suppress").status == 200
    assert mona.post("/customers/c3/erase", {"reason": "requested", "suppress": True}).status == 200


def audit(world: World, **body: Any) -> Any:
    reply = world.root.request("POST", "/v1/audit", body)
    assert reply.status == 200, reply.text
    return reply.json


def stored(world: World, kind: str = "phone") -> Key:
    """Return the key of the suppressed phone number, or of the e-mail address."""
    [found] = [item for item in everything(world.table) if f"#SUPPRESSED#{kind}" in item["pk"]["S"]]
    return Key(found["pk"]["S"], found["sk"]["S"])


def change(world: World, key: Key, expression: str, names: dict[str, str], **values: Any) -> None:
    """Change a stored item without any rule."""
    given: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
    if values:
        given["ExpressionAttributeValues"] = {f":{name}": items.serialize(each) for name, each in values.items()}
    world.table.connection.client.update_item(
        TableName=world.table.name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}, UpdateExpression=expression, **given
    )


def lose_the_item(world: World) -> None:
    key = stored(world, "email")
    world.table.connection.client.delete_item(
        TableName=world.table.name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    )


def forget_a_customer(world: World) -> None:
    change(world, stored(world), "REMOVE #name SET #count = :one", {"#name": "p/c2", "#count": "count"}, one=1)


def name_a_customer_that_may_be_contacted(world: World) -> None:
    change(world, stored(world), "SET #name = :one ADD #count :one", {"#name": "p/c4", "#count": "count"}, one=1)


def name_a_customer_that_never_was(world: World) -> None:
    change(world, stored(world), "SET #name = :one ADD #count :one", {"#name": "p/c9", "#count": "count"}, one=1)


def count_wrongly(world: World) -> None:
    change(world, stored(world), "SET #count = :nine", {"#count": "count"}, nine=9)


def test_an_audit_of_suppressed_customers_finds_nothing(world: World) -> None:
    suppressed(world)

    report = audit(world, repair=True)

    assert (report["drift"], report["complete"]) == ([], True)


@pytest.mark.parametrize(
    ("plant", "at"),
    [
        (lose_the_item, "c3"),
        (forget_a_customer, "c2"),
        (name_a_customer_that_may_be_contacted, "c4"),
        (name_a_customer_that_never_was, "c9"),
        (count_wrongly, "p"),
    ],
)
def test_drift_of_suppressions_is_found_and_repaired(world: World, plant: Callable[[World], None], at: str) -> None:
    suppressed(world)
    plant(world)

    found, repaired = audit(world), audit(world, repair=True)

    assert [(each["kind"], each["id"], each["repaired"]) for each in found["drift"]] == [("suppression", at, False)]
    assert [(each["kind"], each["id"], each["repaired"]) for each in repaired["drift"]] == [("suppression", at, True)]
    assert audit(world)["drift"] == []
    assert_sound(world.table)


def test_a_malformed_suppressed_customer_does_not_stop_the_audit(memory_world: World) -> None:
    suppressed(memory_world)
    change(memory_world, keys.customer_key("main", "p", "c1"), "SET #name = :wrong", {"#name": "version"}, wrong="x")
    forget_a_customer(memory_world)

    report = audit(memory_world)

    assert {(each["kind"], each["id"]) for each in report["drift"]} == {("malformed", "c1"), ("suppression", "c2")}
    change(memory_world, keys.customer_key("main", "p", "c1"), "SET #name = :right", {"#name": "version"}, right=2)
    audit(memory_world, repair=True)
