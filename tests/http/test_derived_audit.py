"""The audit of what is derived from fields: cards, keys of contacts and unique values, and the items of the values."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Delete, Put
from tests.support.audit import assert_sound
from tests.support.world import MINUTE, World, everything

FIELDS = [
    {"key": "city", "label": {"en": "City", "zh": "城市"}, "type": "text", "filter": True},
    {"key": "tax_id", "label": {"en": "Tax id", "zh": "税号"}, "type": "text", "unique": True},
]
C1, F1 = keys.customer_key("main", "p", "c1"), keys.fields_key("main", "p", "c1")


def filled(world: World) -> None:
    mona = world.pool(fields=FIELDS)
    for each in ("c1", "c2"):
        fields = {"city": "Bonn", "tax_id": each, "phone": "13812345678"}
        assert mona.create(each, fields=fields, on_duplicate="allow").status == 201


def audit(world: World, *, repair: bool = False) -> list[tuple[str, str, bool]]:
    report = world.root.request("POST", "/v1/audit", {"repair": repair}).json
    return [(each["kind"], each["id"], each["repaired"]) for each in report["drift"]]


def unique_value(world: World, customer: str) -> dict[str, Any]:
    """Return the item of the unique value that names the customer."""
    found = (item for item in everything(world.table) if "#D#unique#" in item["pk"]["S"])
    return next(item for item in found if item["customer"]["S"] == customer)


def put(world: World, item: dict[str, Any]) -> None:
    world.table.write([Put(Key(item["pk"]["S"], item["sk"]["S"]), item)])


def delete(world: World, item: dict[str, Any]) -> None:
    world.table.write([Delete(Key(item["pk"]["S"], item["sk"]["S"]))])


def lose_card(world: World) -> None:
    put(world, world.table.get([C1])[C1] | {"card": {"M": {}}})


def lose_keys(world: World) -> None:
    item = world.table.get([F1])[F1] | {"keys": {"S": ""}}
    put(world, {name: content for name, content in item.items() if name != "unique_keys"})


def lose_item(world: World) -> None:
    delete(world, unique_value(world, "c1"))


def name_another(world: World) -> None:
    put(world, unique_value(world, "c1") | {"customer": {"S": "c2"}})


def name_nobody(world: World) -> None:
    put(world, unique_value(world, "c1") | {"customer": {"S": "gone"}})


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lose_card, "card"), (lose_keys, "keys"), (lose_item, "unique"), (name_another, "unique"),
        (name_nobody, "unique"),
    ],
)  # fmt: skip
def test_drift_between_fields_and_what_is_derived_is_reported_and_repaired(
    world: World, damage: Any, kind: str
) -> None:
    filled(world)
    damage(world)

    reports = [audit(world, repair=repair) for repair in (False, True, False)]

    assert reports == [[(kind, "c1", False)], [(kind, "c1", True)], []]
    assert world.mona.create("c3", fields={"tax_id": " C1"}).code == "duplicate_customer"
    assert world.mona.customer("c1")["version"] == 1
    assert_sound(world.table)


@pytest.mark.parametrize("gone", [False, True])
def test_an_item_of_a_value_that_its_customer_does_not_have_is_reported_and_deleted(world: World, gone: bool) -> None:
    filled(world)
    left = unique_value(world, "c1") | {"customer": {"S": "never"}} if gone else unique_value(world, "c1")
    world.mona.patch("/customers/c1", {"fields": {"tax_id": "new"}})
    put(world, left)
    owner = "never" if gone else "c1"

    before = world.mona.create("c3", fields={"tax_id": "c1"}).code
    reports = [audit(world, repair=repair) for repair in (False, True, False)]

    assert reports == [[("unique", owner, False)], [("unique", owner, True)], []]
    assert (before, world.mona.create("c3", fields={"tax_id": "c1"}).status) == ("duplicate_customer", 201)
    assert_sound(world.table)


def test_the_item_of_a_malformed_customers_value_stays(memory_world: World) -> None:
    world = memory_world
    filled(world)
    sound = world.table.get([C1])[C1]
    put(world, sound | {"ex": {"S": "many"}})

    drift = audit(world, repair=True)

    assert {kind for kind, _, _ in drift} == {"malformed"} and unique_value(world, "c1")
    put(world, sound)
    assert audit(world) == []


def test_a_pool_in_order_and_one_whose_fields_are_changing_have_no_drift(world: World) -> None:
    filled(world)

    before = audit(world)
    changed = world.mona.patch("", {"fields": FIELDS[:1]}, if_match='"1"')
    meanwhile = audit(world)
    world.clock.forward(MINUTE)
    world.sweep()

    assert changed.json["fields_ready"] is False and [before, meanwhile, audit(world)] == [[], [], []]


def test_two_customers_with_one_value_are_reported_and_stay(memory_world: World) -> None:
    world = memory_world
    filled(world)
    f2, c2 = (Key(each.pk.replace("c1", "c2"), each.sk) for each in (F1, C1))
    whole = world.table.get([F1, f2])
    put(world, whole[f2] | {name: whole[F1][name] for name in ("fields", "unique_keys", "keys")})
    delete(world, unique_value(world, "c2"))

    drift = audit(world, repair=True)

    assert drift == [("unique", "c2", False)] and c2 in world.table.get([c2])
    put(world, whole[f2])
    assert audit(world, repair=True) == [("unique", "c2", True)]


def test_no_value_of_a_field_is_in_a_report(world: World) -> None:
    filled(world)
    for damage in (lose_card, lose_keys, lose_item):
        damage(world)

    reply = world.root.request("POST", "/v1/audit", {"repair": True})

    assert not [text for text in ("Bonn", "13812345678") if text in reply.text]
    assert items.deserialize(world.table.get([C1])[C1]["rewrites"]) == 1
