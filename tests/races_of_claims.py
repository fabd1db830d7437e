"""Races of claim against claim: for one customer, for the last room that a member has, in batches, by claim-next."""

from __future__ import annotations

from typing import Any

from tests.arena import Race, codes, race
from tests.world import DAY, HOUR, Reply, World


@race
def two_members_claim_one_customer(world: World) -> Race:
    world.pool()
    world.fill(1)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]

    return Race([lambda w: w.user("alice").claim("c1"), lambda w: w.user("bob").claim("c1")], so)


@race
def three_members_claim_one_customer(world: World) -> Race:
    world.pool(members="alice bob carl")
    world.fill(1)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "already_claimed", "ok"]

    return Race([lambda w, name=name: w.user(name).claim("c1") for name in ("alice", "bob", "carl")], so)


@race
def a_member_with_room_for_one_claims_two(world: World) -> Race:
    world.pool(holding_limit=1)
    world.fill(2)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["holding_limit", "ok"]
        assert world.user("alice").held() == 1

    return Race([lambda w, c=c: w.user("alice").claim(c) for c in ("c1", "c2")], so, sees=("c1", "c2"))


@race
def a_member_whose_room_is_taken_by_a_lapsed_claim_claims_two(world: World) -> Race:
    world.pool(holding_limit=1, claim_ttl="PT1H")
    world.fill(3)
    world.user("alice").claim("c3")
    world.clock.forward(HOUR)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["holding_limit", "ok"]
        assert world.user("alice").held() == 1

    return Race([lambda w, c=c: w.user("alice").claim(c) for c in ("c1", "c2")], so, sees=("c1", "c2", "c3"))


@race
def the_first_two_claims_of_a_new_day_at_a_daily_limit_of_one(world: World) -> Race:
    world.pool(daily_claim_limit=1)
    world.fill(3)
    world.user("alice").claim("c1")
    world.clock.forward(DAY)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["daily_limit", "ok"]
        assert world.user("alice").get("/members/me").json["claimed_today"] == 1

    return Race([lambda w, c=c: w.user("alice").claim(c) for c in ("c2", "c3")], so, sees=("c2", "c3"))


def put_limit(world: World, user: str, limit: int) -> Reply:
    root = world.user("root", admin=True)
    return root.request("PUT", f"/v1/pools/p/members/{user}", {"role": "member", "holding_limit": limit})


@race
def a_limit_is_lowered_while_its_member_claims(world: World) -> Race:
    world.pool()
    world.fill(3)
    put_limit(world, "alice", 2)

    def so(world: World, results: list[Any]) -> None:
        assert results[2].status == 200
        assert world.user("alice").held() == codes(results[:2]).count("ok") >= 1
        assert world.user("alice").claim("c3").code == "holding_limit"

    claims = [lambda w, c=c: w.user("alice").claim(c) for c in ("c1", "c2")]
    return Race([*claims, lambda w: put_limit(w, "alice", 1)], so, sees=("c1", "c2"))


@race
def two_batches_overlap_in_opposite_order(world: World) -> Race:
    world.pool(holding_limit=2)
    ids = world.fill(3)

    def so(world: World, results: list[Any]) -> None:
        won = [each["id"] for reply in results for each in reply.json["results"] if each["ok"]]
        assert sorted(won) == ids, "each is won once"
        assert {world.user("alice").held(), world.user("bob").held()} == {1, 2}

    batches = [lambda w: w.user("alice").claim_batch(ids), lambda w: w.user("bob").claim_batch(ids[::-1])]
    return Race(batches, so, serial=False, sees=ids)


@race
def two_atomic_batches_overlap(world: World) -> Race:
    world.pool()
    ids = world.fill(3)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]
        assert {world.user("alice").held(), world.user("bob").held()} == {0, 2}

    batches = [
        lambda w: w.user("alice").claim_batch(ids[:2], atomic=True),
        lambda w: w.user("bob").claim_batch(ids[:0:-1], atomic=True),
    ]
    return Race(batches, so, sees=ids)


@race
def two_members_take_the_next(world: World) -> Race:
    world.pool()
    world.fill(3)

    def so(world: World, results: list[Any]) -> None:
        taken = [each["id"] for reply in results for each in reply.json["items"]]
        assert len(taken) == len(set(taken)) == 2

    return Race([lambda w: w.user("alice").claim_next(), lambda w: w.user("bob").claim_next()], so, serial=False)


@race
def two_members_want_the_last_two(world: World) -> Race:
    world.pool(holding_limit=2)
    world.fill(2)

    def so(world: World, results: list[Any]) -> None:
        taken = [each["id"] for reply in results for each in reply.json["items"]]
        assert sorted(taken) == ["c1", "c2"]

    nexts = [lambda w: w.user("alice").claim_next(2), lambda w: w.user("bob").claim_next(2)]
    return Race(nexts, so, serial=False, sees=("c1", "c2"))
