"""Races of verbs on one customer, mostly while it is claimed."""

from __future__ import annotations

from typing import Any

from tests.proofs.race_runner import Race, Request, codes, race, request_by
from tests.support.world import Reply, World


def held(world: World, **policy: Any) -> None:
    world.pool(members="alice bob carl", **policy)
    world.fill(1)
    world.user("alice").claim("c1")


def verb(user: str, name: str, **body: Any) -> Request:
    return lambda world: world.user(user, admin=user == "root").post(f"/customers/c1/{name}", body)


@race
def a_release_and_an_assignment(world: World) -> Race:
    held(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200

    return Race([verb("alice", "release"), verb("mona", "assign", to="bob")], check)


@race
def a_release_and_an_assignment_and_a_claim(world: World) -> Race:
    held(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and codes(results[1:]).count("ok") <= 1

    return Race([verb("alice", "release"), verb("mona", "assign", to="bob"), verb("carl", "claim")], check)


def requested(world: World) -> None:
    held(world, win="approval")
    world.user("alice").post("/customers/c1/win")


@race
def an_approval_and_a_release(world: World) -> Race:
    requested(world)
    return Race([verb("mona", "win/approve"), verb("alice", "release")])


@race
def an_approval_and_a_decline(world: World) -> Race:
    requested(world)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results).count("ok") == 1

    return Race([verb("mona", "win/approve"), verb("mona", "win/decline", reason="not signed")], check)


@race
def a_request_for_a_win_and_an_extension_and_a_pin(world: World) -> Race:
    held(world, win="approval", members_may_extend=True, extension="P1D")
    return Race([verb("alice", "win"), verb("alice", "extend"), verb("mona", "pin", until="2026-06-09T00:00:00Z")])


@race
def an_approval_and_a_transfer_and_an_edit(world: World) -> Race:
    requested(world)
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", {"name": "Other"})
    return Race([verb("mona", "win/approve"), verb("mona", "transfer", to="bob"), edit])


@race
def a_conversion_and_a_release(world: World) -> Race:
    held(world)
    return Race([verb("mona", "convert"), verb("alice", "release")])


@race
def a_transfer_and_a_release(world: World) -> Race:
    held(world)
    return Race([verb("mona", "transfer", to="bob"), verb("alice", "release")])


@race
def two_transfers_of_one_customer(world: World) -> Race:
    held(world, holding_limit=1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "ok"]

    return Race([verb("mona", "transfer", to="bob"), verb("mona", "transfer", to="carl")], check)


@race
def two_releases_of_one_claim(world: World) -> Race:
    held(world)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["not_claimed", "ok"]

    return Race([verb("alice", "release", reason="mine"), verb("mona", "release", reason="hers")], check)


@race
def two_wins_of_one_claim_and_an_edit(world: World) -> Race:
    held(world)
    edited = {"fields": {"phone": "+49 30 1234567"}}
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", edited)
    return Race([verb("alice", "win"), verb("mona", "win"), edit])


@race
def two_edits_and_a_claim(world: World) -> Race:
    world.pool()
    world.fill(1)

    def edit(world: World, **fields: str) -> Reply:
        return world.user("mona").request("PATCH", "/v1/pools/p/customers/c1", {"fields": fields})

    edits: list[Request] = [lambda w: edit(w, size="12"), lambda w: edit(w, city="Bonn")]
    return Race([*edits, verb("bob", "claim")])


@race
def a_deposit_into_another_pool_and_an_edit_and_a_claim(world: World) -> Race:
    held(world)
    world.pool("q", members="alice")
    world.user("alice").post("/customers/c1/win")
    edit = request_by("mona", "PATCH", "/v1/pools/p/customers/c1", {"name": "Other"})

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200
        assert world.user("mona").get("/customers/c1").status == 404
        assert world.user("mona", pool="q").customer("c1")["state"] == "available"

    return Race([verb("mona", "deposit", pool="q"), edit, verb("bob", "claim")], check)


@race
def a_deposit_and_a_claim_in_the_pool_where_it_lands(world: World) -> Race:
    held(world)
    world.pool("q", members="alice bob")
    world.user("alice").post("/customers/c1/win")
    return Race([verb("mona", "deposit", pool="q"), lambda w: w.user("bob", pool="q").claim("c1")])


@race
def two_deposits_into_two_pools(world: World) -> Race:
    held(world)
    world.pool("q", members="alice")
    world.pool("r", members="alice")
    world.user("alice").post("/customers/c1/win")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results).count("ok") == 1

    return Race([verb("root", "deposit", pool="q"), verb("mona", "deposit", pool="r")], check)


@race
def a_follow_up_of_the_holder_and_one_of_a_manager_and_a_win(world: World) -> Race:
    held(world, idle_ttl="PT1H")

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and results[2].status == 200
        assert world.user("mona").events("c1").count("followed_up") == codes(results[:2]).count("ok") == 2

    ups = [verb("alice", "follow-up", note="called"), verb("mona", "follow-up", outcome="interested")]
    return Race([*ups, verb("alice", "win")], check)


@race
def an_owner_follows_up_while_a_manager_deposits_and_somebody_claims(world: World) -> Race:
    held(world)
    world.user("alice").post("/customers/c1/win")

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[:1])[0] in ("ok", "not_claimed", "not_holder") and results[1].status == 200

    return Race([verb("alice", "follow-up", note="called"), verb("mona", "deposit"), verb("bob", "claim")], check)


@race
def two_private_customers_created_where_one_is_allowed_and_a_removal_of_their_owner(world: World) -> Race:
    world.pool(private_limit=1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[:2]).count("ok") <= 1

    def create(customer: str) -> Request:
        return lambda w: w.user("mona").create(customer, private_of="bob")

    removal = request_by("mona", "DELETE", "/v1/pools/p/members/bob")
    return Race([create("c1"), create("c2"), removal], check, cached=())
