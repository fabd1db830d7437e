"""Races of a suppression with every write of its customer, and with whatever writes one of its contacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.proofs.race_runner import Race, Request, codes, race, request_by, run_sweep
from tests.support.world import DAY, World

PHONE, OTHER = "+49 30 1234567", "+49 30 7654321"


def verb(user: str, name: str, customer: str = "c1", **body: Any) -> Request:
    return request_by(user, "POST", f"/v1/pools/p/customers/{customer}/{name}", body)


def suppress(user: str = "mona", customer: str = "c1", **body: Any) -> Request:
    return verb(user, "suppress", customer, **body)


def create(pool: str = "p", customer: str = "c9", phone: str = PHONE) -> Request:
    body = {"id": customer, "name": "New", "fields": {"phone": phone}, "on_duplicate": "allow"}
    return request_by("mona", "POST", f"/v1/pools/{pool}/customers", body)


def edit(customer: str, phone: str) -> Request:
    return request_by("mona", "PATCH", f"/v1/pools/p/customers/{customer}", {"fields": {"phone": phone}})


def importing(*rows: dict[str, Any]) -> Callable[[World], Any]:
    return request_by("mona", "POST", "/v1/pools/p/import", {"rows": list(rows), "on_duplicate": "update"})


def prepared(world: World, **policy: Any) -> None:
    """c1 has the phone number, c2 another one."""
    world.pool(members="alice bob carl", **policy)
    world.pool("q")
    world.mona.create("c1", fields={"phone": PHONE})
    world.mona.create("c2", fields={"phone": OTHER})


def one_is_refused(*refusals: str) -> Callable[[World, list[Any]], None]:
    def check(world: World, results: list[Any]) -> None:
        assert codes(results) in [sorted((each, "ok")) for each in refusals]

    return check


def two_suppressed(world: World) -> None:
    """Create c1 and c3, which have one number, and suppress both."""
    prepared(world)
    world.mona.create("c3", fields={"phone": PHONE}, on_duplicate="allow")
    for each in ("c1", "c3"):
        world.mona.post(f"/customers/{each}/suppress")


@race
def a_suppression_and_two_claims(world: World) -> Race:
    prepared(world)
    return Race([suppress(), verb("alice", "claim"), verb("bob", "claim")])


@race
def a_suppression_without_force_and_a_claim(world: World) -> Race:
    prepared(world)
    return Race([suppress(), verb("alice", "claim")], one_is_refused("already_claimed", "suppressed"))


@race
def a_suppression_by_force_and_a_release_and_a_transfer(world: World) -> Race:
    prepared(world)
    world.alice.claim("c1")
    return Race([suppress(force=True), verb("alice", "release"), verb("mona", "transfer", to="bob")])


@race
def a_suppression_and_a_sweep(world: World) -> Race:
    prepared(world, claim_ttl="PT4H")
    world.alice.claim("c1")
    world.clock.forward(DAY)
    return Race([suppress(), run_sweep, verb("bob", "claim")])


@race
def a_suppression_and_a_new_customer_with_its_number_in_another_pool(world: World) -> Race:
    prepared(world)
    return Race([suppress(), create("q"), create("q", "c8", OTHER)])


@race
def a_suppression_and_an_import_of_its_number(world: World) -> Race:
    prepared(world)
    row = {"id": "c9", "name": "New", "fields": {"phone": PHONE}}
    return Race([suppress(), importing(row, {"id": "c2", "name": "Other", "fields": {"phone": PHONE}})])


@race
def a_suppression_and_an_edit_of_its_number(world: World) -> Race:
    prepared(world)
    return Race([suppress(), edit("c1", "+49 30 5555555"), create("q")])


@race
def a_suppression_and_an_edit_that_takes_its_number(world: World) -> Race:
    prepared(world)
    return Race([suppress(), edit("c2", PHONE), verb("mona", "unsuppress")])


@race
def the_ends_of_two_suppressions_with_one_number(world: World) -> Race:
    two_suppressed(world)
    return Race([verb("mona", "unsuppress"), verb("mona", "unsuppress", "c3"), create("q")])


@race
def the_end_of_one_of_two_suppressions_and_new_customers_with_their_number(world: World) -> Race:
    two_suppressed(world)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "suppressed", "suppressed"]

    return Race([verb("mona", "unsuppress"), create("q"), edit("c2", PHONE)], check)


@race
def a_suppression_and_the_end_of_another_one_with_its_number(world: World) -> Race:
    prepared(world)
    world.mona.create("c3", fields={"phone": PHONE}, on_duplicate="allow")
    world.mona.post("/customers/c3/suppress")
    return Race([suppress(), verb("mona", "unsuppress", "c3"), create("q")])


@race
def a_suppression_and_an_erasure(world: World) -> Race:
    prepared(world)
    erase = verb("root", "erase", reason="requested", force=True)
    return Race([suppress(), erase, create("q")])


@race
def two_ends_of_the_suppression_of_an_erased_customer(world: World) -> Race:
    prepared(world)
    world.mona.post("/customers/c1/erase", {"reason": "requested", "suppress": True})
    return Race([verb("mona", "unsuppress"), verb("root", "unsuppress"), create("q")])


@race
def a_suppression_and_a_deposit_into_another_pool(world: World) -> Race:
    prepared(world)
    world.mona.create("c3", fields={"phone": PHONE}, private_of="alice", on_duplicate="allow")
    return Race([suppress(), verb("root", "deposit", "c3", pool="q")])


@race
def a_suppression_and_the_undo_of_an_import_that_restores_its_number(world: World) -> Race:
    prepared(world)
    world.mona.create("c3", fields={"phone": PHONE}, on_duplicate="allow")
    row = {"id": "c3", "name": "Other", "fields": {"phone": "+49 30 5555555"}}
    name = world.mona.post("/import", {"rows": [row], "on_duplicate": "update"}).json["import_id"]
    return Race([suppress(), request_by("mona", "POST", f"/v1/pools/p/imports/{name}/undo")], serial=False)


@race
def two_suppressions_and_a_claim_next(world: World) -> Race:
    prepared(world)
    return Race([
        suppress(), suppress("root"), request_by("alice", "POST", "/v1/pools/p/claim-next", {"count": 2}),
    ])  # fmt: skip
