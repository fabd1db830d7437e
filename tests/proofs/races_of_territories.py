"""Races of claims and edits against changes of territories and of the values that they name."""

from __future__ import annotations

from typing import Any

from tests.proofs.race_runner import Race, Request, codes, race, request_by
from tests.support.world import Reply, World

EAST, NORTH = {"city": ["Shanghai"]}, {"city": ["Beijing"]}


def in_north(world: World) -> None:
    """Create c1 and c3 in the territory of alice, and c2 outside."""
    world.pool()
    for number, city in enumerate(("Beijing", "Shanghai", "Beijing"), 1):
        world.mona.create(f"c{number}", fields={"city": city})
    world.mona.patch("/members/alice", {"takes": NORTH})


def give(takes: dict[str, list[str]] | None, user: str = "alice") -> Request:
    return request_by("mona", "PATCH", f"/v1/pools/p/members/{user}", {"takes": takes})


def remember_and_claim(world: World) -> Reply:
    """Claim a customer outside, by which the process remembers the territory, then c1."""
    assert world.alice.claim("c9").code == "not_found"
    world.alice.claim("c2")
    return world.alice.claim("c1")


@race
def a_claim_and_a_change_of_the_territory(world: World) -> Race:
    in_north(world)
    return Race([lambda w: w.alice.claim("c1"), give(EAST)])


@race
def a_claim_in_a_remembered_territory_and_a_change_of_it_and_back(world: World) -> Race:
    in_north(world)

    def check(world: World, results: list[Any]) -> None:
        member = world.alice.get("/members/me").json
        assert member["held"] == len(world.alice.walk("/customers?holder=me")) and member["version"] == 4

    def away_and_back(world: World) -> list[Any]:
        return [give(EAST)(world), give(NORTH)(world)]

    return Race([remember_and_claim, away_and_back], check, serial=False, cached=("c1", "c2"))


@race
def a_claim_and_an_edit_that_moves_the_customer_out_of_the_territory(world: World) -> Race:
    in_north(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[1].status == 200 and codes(results)[0] in ("ok", "territory")

    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", {"fields": {"city": "Shanghai"}})
    return Race([lambda w: w.alice.claim("c1"), edit], check)


@race
def a_claim_and_an_edit_that_moves_the_customer_into_the_territory(world: World) -> Race:
    in_north(world)
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c2", {"fields": {"city": "Beijing"}})
    return Race([lambda w: w.alice.claim("c2"), edit], cached=("c2",))


@race
def claim_next_and_a_change_of_the_territory(world: World) -> Race:
    in_north(world)

    def check(world: World, results: list[Any]) -> None:
        (taken,) = results[0].ids
        assert taken in ("c1", "c2")

    return Race([lambda w: w.alice.claim_next(), give(EAST)], check, serial=False, cached=("c1", "c2", "c3"))


@race
def two_territories_that_are_set_and_a_member_who_is_removed(world: World) -> Race:
    in_north(world)

    def check(world: World, results: list[Any]) -> None:
        world.root.put("/members/alice", {"role": "member"})
        world.root.put("/members/bob", {"role": "member"})
        world.alice.claim("c1")
        assert world.alice.patch("/customers/c1", {"fields": {"city": "Wuhan"}}).status == 200

    remove = request_by("mona", "DELETE", "/v1/pools/p/members/alice")
    return Race([give(EAST, "bob"), give({"level": ["A"]}), remove], check, serial=False, cached=())


@race
def an_edit_by_a_holder_and_a_first_territory_by_that_field(world: World) -> Race:
    world.pool()
    world.fill(1)
    world.alice.claim("c1")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) in (["ok", "ok"], ["not_manager", "ok"])

    edit = request_by("alice", "PATCH", "/v1/pools/p/customers/c1", {"fields": {"city": "Wuhan"}})
    return Race([edit, give(NORTH, "bob")], check)


@race
def an_edit_by_a_holder_and_the_end_of_the_last_territory_by_that_field(world: World) -> Race:
    in_north(world)
    world.bob.claim("c2")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) in (["ok", "ok"], ["not_manager", "ok"])

    edit = request_by("bob", "PATCH", "/v1/pools/p/customers/c2", {"fields": {"city": "Wuhan"}})
    return Race([edit, give(None)], check, cached=("c2",))
