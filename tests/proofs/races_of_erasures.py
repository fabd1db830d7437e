"""Races of an erasure with every kind of write: whichever comes first, nothing of the customer is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.dynamodb import items
from tests.proofs.race_runner import Race, Request, codes, race, request_by, run_sweep
from tests.support.world import DAY, World, everything

PHONE = "+49 30 1234567"


def erased(world: World, results: list[Any]) -> None:
    """Check that the erasure, which was requested first, was carried out and left nothing of the customer."""
    assert results[0].status == 200, results[0].text
    assert world.mona.get("/customers/c1").status == 404
    stored = [item for item in everything(world.table) if item["pk"]["S"].endswith("#P#p#C#c1")]
    assert [item["sk"]["S"] for item in stored if not item["sk"]["S"].startswith("E#")] == ["-"]
    assert items.is_tombstone(stored[0]) and not items.is_unfinished(stored[0])


def erase(user: str = "mona", **body: Any) -> Request:
    return request_by(user, "POST", "/v1/pools/p/customers/c1/erase", {"reason": "requested", "force": True} | body)


def verb(user: str, name: str, **body: Any) -> Request:
    return request_by(user, "POST", f"/v1/pools/p/customers/c1/{name}", body)


def held(world: World, **policy: Any) -> None:
    world.pool(members="alice bob carl", **policy)
    world.mona.create("c1", fields={"phone": PHONE})
    world.alice.claim("c1")


@race
def an_erasure_and_a_claim_and_another_claim(world: World) -> Race:
    world.pool()
    world.mona.create("c1", fields={"phone": PHONE})
    return Race([erase(), verb("alice", "claim"), verb("bob", "claim")], erased)


@race
def an_erasure_without_force_and_a_claim(world: World) -> Race:
    world.pool(customers=1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) in (["already_claimed", "ok"], ["not_found", "ok"])

    return Race([erase(force=False), verb("alice", "claim")], check)


@race
def an_erasure_and_a_release_and_a_transfer(world: World) -> Race:
    held(world)
    return Race([erase(), verb("alice", "release"), verb("mona", "transfer", to="bob")], erased)


@race
def an_erasure_and_a_win_and_a_follow_up(world: World) -> Race:
    held(world)
    return Race([erase(), verb("alice", "win"), verb("alice", "follow-up", note="called")], erased)


@race
def an_erasure_and_a_sweep(world: World) -> Race:
    held(world, claim_ttl="PT4H")
    world.clock.forward(DAY)

    def check(world: World, results: list[Any]) -> None:
        erased(world, results)
        assert results[1] == 0

    return Race([erase(force=False), run_sweep], check)


@race
def an_erasure_and_the_schedule(world: World) -> Race:
    held(world)
    return Race([erase(), lambda world: world.run_schedule().failed], erased)


@race
def two_erasures_of_one_customer(world: World) -> Race:
    held(world)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["not_found", "ok"] and world.mona.get("/customers/c1").status == 404

    return Race([erase(), erase("root")], check)


@race
def an_erasure_and_an_edit_of_the_phone_number(world: World) -> Race:
    held(world)
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", {"fields": {"phone": "+49 30 7654321"}})

    def check(world: World, results: list[Any]) -> None:
        erased(world, results)
        assert not [item for item in everything(world.table) if "#D#" in item["pk"]["S"]]

    return Race([erase(), edit], check)


def importing(row: dict[str, Any], key: str = "id") -> Callable[[World], Any]:
    return request_by("mona", "POST", "/v1/pools/p/import", {"rows": [row], "on_duplicate": "update", "key": key})


@race
def an_erasure_and_an_import_of_the_same_id(world: World) -> Race:
    held(world)
    return Race([erase(), importing({"id": "c1", "name": "Other", "fields": {"phone": "+49 30 7654321"}})], erased)


@race
def an_erasure_and_an_import_of_the_same_phone_number(world: World) -> Race:
    held(world)
    return Race([erase(), importing({"id": "c2", "name": "Other", "fields": {"phone": PHONE}}, "phone")], erased)


@race
def an_erasure_and_a_new_customer_with_the_same_phone_number(world: World) -> Race:
    held(world)
    body = {"id": "c2", "name": "C", "fields": {"phone": PHONE}, "on_duplicate": "allow"}
    create = request_by("mona", "POST", "/v1/pools/p/customers", body)

    def check(world: World, results: list[Any]) -> None:
        erased(world, results)
        assert world.mona.customer_ids("phone=%2B49301234567") == ["c2"]

    return Race([erase(), create], check)


@race
def an_erasure_and_a_new_customer_that_may_not_have_the_same_phone_number(world: World) -> Race:
    held(world)
    body = {"id": "c2", "name": "C", "fields": {"phone": PHONE}}
    return Race([erase(), request_by("mona", "POST", "/v1/pools/p/customers", body)], erased)


@race
def an_erasure_and_the_undo_of_the_import_that_took_its_number(world: World) -> Race:
    """The undo hands the number back to c1, unless c1 is erased."""
    held(world)
    row = {"id": "c2", "name": "Other", "fields": {"phone": PHONE}}
    name = world.mona.post("/import", {"rows": [row]}).json["import_id"]

    def check(world: World, results: list[Any]) -> None:
        erased(world, results)
        assert not [item for item in everything(world.table) if "#D#" in item["pk"]["S"]]

    return Race([erase(), request_by("mona", "POST", f"/v1/pools/p/imports/{name}/undo")], check)


@race
def an_erasure_and_the_undo_of_its_import(world: World) -> Race:
    held(world)
    row = {"id": "c1", "name": "Other", "fields": {"phone": "+49 30 7654321"}}
    name = world.mona.post("/import", {"rows": [row], "on_duplicate": "update"}).json["import_id"]
    return Race([erase(), request_by("mona", "POST", f"/v1/pools/p/imports/{name}/undo")], erased)


@race
def an_erasure_and_a_deposit_into_another_pool(world: World) -> Race:
    held(world)
    world.pool("q", members="alice")
    world.alice.post("/customers/c1/win")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["not_found", "ok"] and world.mona.get("/customers/c1").status == 404

    return Race([erase(), verb("root", "deposit", pool="q")], check)


@race
def an_erasure_and_the_removal_of_its_holder(world: World) -> Race:
    held(world)
    return Race([erase(), request_by("mona", "DELETE", "/v1/pools/p/members/alice?held=release")], erased)
