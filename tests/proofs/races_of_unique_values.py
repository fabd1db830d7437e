"""Races for the value of a unique field: one customer of the pool gets it, whoever writes it."""

from __future__ import annotations

from typing import Any

from tests.proofs.race_runner import Race, Request, codes, race, request_by
from tests.support.world import World

FIELD = {"key": "tax_id", "label": {"en": "Tax id", "zh": "税号"}, "type": "text", "unique": True}


def prepared(world: World, *pools: str) -> None:
    """c1 and c2 have values of their own."""
    for pool in ("p", *pools):
        mona = world.pool(pool)
        path = f"/v1/pools/{pool}"
        assert mona.request("PATCH", path, {"fields": [FIELD]}, if_match=mona.get().headers["ETag"]).status == 200
    for each in ("c1", "c2"):
        assert world.mona.create(each, fields={"tax_id": each}).status == 201


def create(customer: str, value: str = "x") -> Request:
    body = {"id": customer, "name": "New", "fields": {"tax_id": value}, "on_duplicate": "allow"}
    return request_by("mona", "POST", "/v1/pools/p/customers", body)


def edit(customer: str, value: str | None = "x") -> Request:
    return request_by("mona", "PATCH", f"/v1/pools/p/customers/{customer}", {"fields": {"tax_id": value}})


def importing(key: str, **row: Any) -> Request:
    body = {"rows": [{"name": "Imported", **row}], "key": key, "on_duplicate": "update"}
    return request_by("mona", "POST", "/v1/pools/p/import", body)


def one_gets_it(world: World, results: list[Any]) -> None:
    assert codes(results).count("ok") == 1, codes(results)


@race
def two_new_customers_with_one_unique_value_and_an_edit(world: World) -> Race:
    prepared(world)
    return Race([create("c8"), create("c9", " X "), edit("c1")], one_gets_it)


@race
def a_new_customer_and_an_import_with_one_unique_value(world: World) -> Race:
    prepared(world)
    return Race([create("c8"), importing("id", id="c9", fields={"tax_id": "x"}), edit("c2")])


@race
def two_imports_by_one_unique_value(world: World) -> Race:
    prepared(world)
    return Race([importing("tax_id", fields={"tax_id": each}) for each in ("x", "X")])


@race
def an_edit_that_releases_a_unique_value_and_two_that_take_it(world: World) -> Race:
    prepared(world)
    return Race([edit("c1", None), edit("c2", "c1"), create("c8", "c1")])


@race
def an_erasure_and_two_new_customers_with_its_unique_value(world: World) -> Race:
    prepared(world)
    erase = request_by("mona", "POST", "/v1/pools/p/customers/c1/erase", {"reason": "requested"})
    return Race([erase, create("c8", "c1"), create("c9", "c1")])


@race
def a_deposit_and_a_new_customer_with_its_unique_value_in_the_other_pool(world: World) -> Race:
    prepared(world, "q")
    world.mona.create("c3", fields={"tax_id": "x"}, private_of="alice")
    body = {"id": "c9", "name": "New", "fields": {"tax_id": "x"}}
    there = request_by("mona", "POST", "/v1/pools/q/customers", body)
    return Race([request_by("root", "POST", "/v1/pools/p/customers/c3/deposit", {"pool": "q"}), there], one_gets_it)
