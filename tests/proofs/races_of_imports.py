"""Races of imports and new customers with one phone number, against each other and against edits."""

from __future__ import annotations

from typing import Any

from tests.proofs.race_runner import Race, Request, race, request_by
from tests.support.audit import assert_unique_keys_belong_to_one_customer
from tests.support.world import Reply, World


@race
def two_imports_of_one_phone_number(world: World) -> Race:
    world.pool()

    def check(world: World, results: list[Any]) -> None:
        assert sorted(word for reply in results for word in reply.results) == ["duplicate_customer", "ok"]
        assert len(world.user("mona").walk("/customers")) == 1
        assert_unique_keys_belong_to_one_customer(world.table)

    return Race([lambda w: by_phone(w, "reject", "A"), lambda w: by_phone(w, "reject", "B")], check, cached=())


@race
def two_imports_of_one_phone_number_that_update(world: World) -> Race:
    world.pool()

    def check(world: World, results: list[Any]) -> None:
        assert [word for reply in results for word in reply.results] == ["ok", "ok"]
        assert len(world.user("mona").walk("/customers")) == 1
        assert_unique_keys_belong_to_one_customer(world.table)

    return Race([lambda w: by_phone(w, "update", "A"), lambda w: by_phone(w, "update", "B")], check, cached=())


@race
def an_import_by_phone_and_an_edit_of_the_phone_number(world: World) -> Race:
    world.pool()
    by_phone(world, "reject", "A", id="c1")
    body = {"fields": {"phone": "+49 30 7654321"}}
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", body)
    return Race([lambda w: by_phone(w, "update", "B", id="c2"), edit])


@race
def two_new_customers_with_one_phone_number(world: World) -> Race:
    world.pool()

    def check(world: World, results: list[Any]) -> None:
        assert sorted(reply.status for reply in results) == [201, 409]
        assert len(world.user("mona").walk("/customers")) == 1
        assert_unique_keys_belong_to_one_customer(world.table)

    return Race([created("c1"), created("c2")], check, cached=())


@race
def a_new_customer_an_import_and_a_private_customer_with_one_phone_number(world: World) -> Race:
    world.pool()

    def check(world: World, results: list[Any]) -> None:
        assert len(world.user("mona").walk("/customers")) == 1
        assert_unique_keys_belong_to_one_customer(world.table)

    requests = [created("c1"), lambda w: by_phone(w, "reject", "B", id="c2"), created("c3", private_of="bob")]
    return Race(requests, check, cached=())


@race
def a_new_customer_and_an_edit_that_gives_up_its_phone_number(world: World) -> Race:
    world.pool()
    by_phone(world, "reject", "A", id="c1")
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", {"fields": {"phone": None}})
    return Race([created("c2"), edit])


@race
def a_new_customer_and_an_edit_that_takes_its_phone_number(world: World) -> Race:
    world.pool()
    world.mona.create("c1")
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", {"fields": {"phone": "+49 30 1234567"}})
    return Race([created("c2"), edit])


def created(customer: str, **body: Any) -> Request:
    fields = {"phone": "+49 30 1234567"}
    return lambda world: world.user("mona").create(customer, fields=fields, **body)


def by_phone(world: World, on_duplicate: str, name: str, id: str | None = None, **headers: str) -> Reply:
    row: dict[str, Any] = {"name": name, "fields": {"phone": "+49 30 1234567"}} | ({"id": id} if id else {})
    body = {"rows": [row], "key": "phone", "on_duplicate": on_duplicate}
    return world.user("mona").post("/import", body, **headers)
