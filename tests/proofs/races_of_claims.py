"""Races of claim against claim: for one customer, for the last room that a member has, in batches, by claim-next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.proofs.race_runner import Race, codes, race
from tests.proofs.races_of_verbs import verb
from tests.support.world import DAY, HOUR, Reply, World


def claim_by(user: str, customer: str) -> Callable[[World], Reply]:
    return lambda world: world.user(user).claim(customer)


@race
def two_members_claim_one_customer(world: World) -> Race:
    world.pool()
    world.fill(1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]

    return Race([lambda w: w.user("alice").claim("c1"), lambda w: w.user("bob").claim("c1")], check)


@race
def three_members_claim_one_customer(world: World) -> Race:
    world.pool(members="alice bob carl")
    world.fill(1)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "already_claimed", "ok"]

    return Race([claim_by(name, "c1") for name in ("alice", "bob", "carl")], check)


@race
def a_member_with_room_for_one_claims_two(world: World) -> Race:
    world.pool(holding_limit=1)
    world.fill(2)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["holding_limit", "ok"]
        assert world.user("alice").held() == 1

    return Race([claim_by("alice", each) for each in ("c1", "c2")], check, cached=("c1", "c2"))


@race
def a_member_whose_room_is_taken_by_a_expired_claim_claims_two(world: World) -> Race:
    world.pool(holding_limit=1, claim_ttl="PT1H")
    world.fill(3)
    world.user("alice").claim("c3")
    world.clock.forward(HOUR)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["holding_limit", "ok"]
        assert world.user("alice").held() == 1

    return Race([claim_by("alice", each) for each in ("c1", "c2")], check, cached=("c1", "c2", "c3"))


@race
def the_first_two_claims_of_a_new_day_at_a_daily_limit_of_one(world: World) -> Race:
    world.pool(daily_claim_limit=1)
    world.fill(3)
    world.user("alice").claim("c1")
    world.clock.forward(DAY)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["daily_limit", "ok"]
        assert world.user("alice").get("/members/me").json["claimed_today"] == 1

    return Race([claim_by("alice", each) for each in ("c2", "c3")], check, cached=("c2", "c3"))


def put_limit(world: World, user: str, limit: int) -> Reply:
    root = world.user("root", admin=True)
    return root.request("PUT", f"/v1/pools/p/members/{user}", {"role": "member", "holding_limit": limit})


@race
def a_limit_is_lowered_while_its_member_claims(world: World) -> Race:
    world.pool()
    world.fill(3)
    put_limit(world, "alice", 2)

    def check(world: World, results: list[Any]) -> None:
        assert results[2].status == 200
        assert world.user("alice").held() == codes(results[:2]).count("ok") >= 1
        assert world.user("alice").claim("c3").code == "holding_limit"

    claims = [claim_by("alice", each) for each in ("c1", "c2")]
    return Race([*claims, lambda w: put_limit(w, "alice", 1)], check, cached=("c1", "c2"))


@race
def two_batches_overlap_in_opposite_order(world: World) -> Race:
    world.pool(holding_limit=2)
    ids = world.fill(3)

    def check(world: World, results: list[Any]) -> None:
        won = [each["id"] for reply in results for each in reply.json["results"] if each["ok"]]
        assert sorted(won) == ids, "each is won once"
        assert {world.user("alice").held(), world.user("bob").held()} == {1, 2}

    batches = [lambda w: w.user("alice").claim_batch(ids), lambda w: w.user("bob").claim_batch(ids[::-1])]
    return Race(batches, check, serial=False, cached=ids)


@race
def two_atomic_batches_overlap(world: World) -> Race:
    world.pool()
    ids = world.fill(3)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]
        assert {world.user("alice").held(), world.user("bob").held()} == {0, 2}

    batches = [
        lambda w: w.user("alice").claim_batch(ids[:2], atomic=True),
        lambda w: w.user("bob").claim_batch(ids[:0:-1], atomic=True),
    ]
    return Race(batches, check, cached=ids)


@race
def two_members_take_the_next(world: World) -> Race:
    world.pool()
    world.fill(3)

    def check(world: World, results: list[Any]) -> None:
        taken = [each["id"] for reply in results for each in reply.json["items"]]
        assert len(taken) == len(set(taken)) == 2

    return Race([lambda w: w.user("alice").claim_next(), lambda w: w.user("bob").claim_next()], check, serial=False)


@race
def two_members_want_the_last_two(world: World) -> Race:
    world.pool(holding_limit=2)
    world.fill(2)

    def check(world: World, results: list[Any]) -> None:
        taken = [each["id"] for reply in results for each in reply.json["items"]]
        assert sorted(taken) == ["c1", "c2"]

    nexts = [lambda w: w.user("alice").claim_next(2), lambda w: w.user("bob").claim_next(2)]
    return Race(nexts, check, serial=False, cached=("c1", "c2"))


# One member who calls several times at once


def taken_by(results: list[Any]) -> list[str]:
    """Return the ids of all calls of claim-next. A call at the limit took none."""
    assert {reply.code for reply in results if reply.status != 200} <= {"holding_limit", "daily_limit"}
    return [each["id"] for reply in results if reply.status == 200 for each in reply.json["items"]]


def held_by(world: World, user: str) -> list[str]:
    return sorted(each["id"] for each in world.user("mona").walk(f"/customers?holder={user}"))


def next_at_once(world: World, calls: int, count: int, supply: int, **policy: Any) -> Race:
    """Check that the calls together returned everything that the member holds, and nothing twice."""
    world.pool(**policy)
    ids = world.fill(supply)
    limits = [policy[name] for name in ("holding_limit", "daily_claim_limit") if name in policy]

    def check(world: World, results: list[Any]) -> None:
        assert sorted(taken_by(results)) == held_by(world, "alice")
        assert world.user("alice").held() == min(calls * count, supply, *limits)

    return Race([lambda w: w.user("alice").claim_next(count)] * calls, check, serial=False, cached=ids)


@race
def a_member_takes_the_next_twice_at_once(world: World) -> Race:
    return next_at_once(world, calls=2, count=1, supply=3)


@race
def a_member_takes_the_last_one_twice_at_once(world: World) -> Race:
    return next_at_once(world, calls=2, count=1, supply=1)


@race
def a_member_takes_the_next_two_three_times_at_once_and_there_are_five(world: World) -> Race:
    return next_at_once(world, calls=3, count=2, supply=5)


@race
def a_member_with_room_for_five_takes_the_next_two_four_times_at_once(world: World) -> Race:
    return next_at_once(world, calls=4, count=2, supply=9, holding_limit=5)


@race
def a_member_with_room_for_three_takes_the_next_three_twice_at_once(world: World) -> Race:
    return next_at_once(world, calls=2, count=3, supply=9, holding_limit=3)


@race
def a_member_with_three_claims_a_day_takes_the_next_two_three_times_at_once(world: World) -> Race:
    return next_at_once(world, calls=3, count=2, supply=9, daily_claim_limit=3)


@race
def a_member_takes_the_next_two_while_a_manager_assigns_them_one(world: World) -> Race:
    world.pool(holding_limit=3)
    ids = world.fill(5)

    def check(world: World, results: list[Any]) -> None:
        first, second, assigned = results
        given = ["c1"] if assigned.status == 200 else []
        assert sorted(taken_by([first, second]) + given) == held_by(world, "alice")
        assert world.user("alice").held() == 3

    nexts = [lambda w: w.user("alice").claim_next(2)] * 2
    return Race([*nexts, lambda w: w.user("mona").post("/customers/c1/assign", {"to": "alice"})], check, False, ids)


@race
def a_member_takes_the_next_two_while_one_is_released_and_transferred_to_them(world: World) -> Race:
    world.pool()
    ids = world.fill(2)
    world.user("bob").claim("c1")

    def check(world: World, results: list[Any]) -> None:
        taken = taken_by(results[:1])
        assert set(taken) <= set(held_by(world, "alice")) and "c2" in taken
        assert ("c1" in taken) == (world.user("mona").events("c1")[-1] == "claimed")

    transfer = verb("mona", "transfer", to="alice")
    return Race([lambda w: w.user("alice").claim_next(2), verb("bob", "release"), transfer], check, False, ids)


@race
def two_members_with_room_for_one_take_the_next_two(world: World) -> Race:
    """A customer lost to the other member is replaced by the next one."""
    world.pool(holding_limit=1)
    ids = world.fill(4)

    def check(world: World, results: list[Any]) -> None:
        assert sorted(taken_by(results)) == sorted(held_by(world, "alice") + held_by(world, "bob"))
        assert (world.user("alice").held(), world.user("bob").held()) == (1, 1)

    return Race([lambda w: w.user("alice").claim_next(2), lambda w: w.user("bob").claim_next(2)], check, False, ids)
