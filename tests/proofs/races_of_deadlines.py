"""Races at the deadline of a claim or a private customer: a sweep or a claim against its holder, to the millisecond."""

from __future__ import annotations

from typing import Any

from chalicelib.model.times import rfc3339
from tests.proofs.race_runner import Race, Request, codes, earlier, race, request_by, run_sweep
from tests.support.world import DAY, HOUR, MINUTE, START, Reply, World


def held_for_an_hour(world: World, **policy: Any) -> None:
    """Give c1 to alice and move the clock to her deadline."""
    world.pool(claim_ttl="PT1H", **policy)
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(HOUR)


@race
def a_claim_and_a_sweep_at_the_instant_of_expiry(world: World) -> Race:
    held_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and results[1] == 0
        assert world.user("mona").events("c1") == ["imported", "claimed", "expired", "claimed"]

    return Race([lambda w: w.user("bob").claim("c1"), run_sweep], check)


@race
def two_claims_and_a_sweep_at_the_instant_of_expiry(world: World) -> Race:
    held_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[:2]) == ["already_claimed", "ok"]
        assert world.user("mona").events("c1").count("expired") == 1

    return Race([lambda w: w.user("bob").claim("c1"), lambda w: w.user("mona").claim("c1"), run_sweep], check)


@race
def two_sweeps_at_once(world: World) -> Race:
    held_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert results == [0, 0]
        assert world.user("mona").events("c1").count("expired") == 1

    return Race([run_sweep, run_sweep], check)


@race
def two_sweeps_at_once_count_what_each_has_returned(world: World) -> Race:
    held_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert sorted(results) == [0, 1]

    return Race([lambda w: w.sweep().returned] * 2, check)


def extend(world: World, user: str = "alice") -> Reply:
    return world.user(user).post("/customers/c1/extend", {"by": "PT1H"})


@race
def an_extension_a_millisecond_before_expiry_and_a_sweep(world: World) -> Race:
    held_for_an_hour(world, members_may_extend=True)

    def check(world: World, results: list[Any]) -> None:
        extended, customer = results[0].status == 200, world.user("mona").customer("c1")
        assert extended == (customer["holder"] == "alice")
        assert customer["expires_at"] == (rfc3339(START + 2 * HOUR + 1) if extended else None)

    return Race([earlier(1, extend), run_sweep], check)


@race
def an_extension_at_the_instant_of_expiry_and_a_sweep(world: World) -> Race:
    held_for_an_hour(world, members_may_extend=True)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].code in ("expired", "not_claimed") and results[1] == 0
        assert world.user("alice").held() == 0

    return Race([extend, run_sweep], check)


@race
def two_extensions_where_one_is_allowed(world: World) -> Race:
    held_for_an_hour(world, members_may_extend=True, max_extensions=1)
    world.clock.forward(-MINUTE)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["extension_limit", "ok"]

    return Race([extend, lambda w: extend(w, "mona")], check)


@race
def two_equal_extensions_in_one_millisecond(world: World) -> Race:
    held_for_an_hour(world, members_may_extend=True)
    world.clock.forward(-MINUTE)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "ok"]
        ends = sorted(reply.json["expires_at"] for reply in results)
        assert ends == [rfc3339(START + 2 * HOUR + 1), rfc3339(START + 3 * HOUR + 1)]

    return Race([extend, extend], check)


@race
def a_win_a_millisecond_before_expiry_and_a_claim_after_it(world: World) -> Race:
    held_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert "ok" in codes(results)

    won = earlier(1, lambda w: w.user("alice").post("/customers/c1/win"))
    return Race([won, lambda w: w.user("bob").claim("c1")], check)


@race
def two_pins_where_one_is_allowed(world: World) -> Race:
    world.pool(pin_limit=1, claim_ttl="P1D")
    world.fill(2)
    world.user("alice").claim_batch(["c1", "c2"])

    def check(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "pin_limit"]

    def pin(world: World, customer: str) -> Reply:
        return world.user("alice").post(f"/customers/{customer}/pin", {"until": rfc3339(START + 3 * DAY)})

    return Race([lambda w: pin(w, "c1"), lambda w: pin(w, "c2")], check, cached=("c1", "c2"))


@race
def two_batches_of_pins_where_three_are_allowed(world: World) -> Race:
    world.pool(pin_limit=3, claim_ttl="P1D")
    ids = world.fill(4)
    world.user("alice").claim_batch(ids)

    def check(world: World, results: list[Any]) -> None:
        assert sorted([*results[0].results, *results[1].results]) == ["ok", "ok", "ok", "pin_limit"]

    def pin(world: World, *chosen: str) -> Reply:
        body = {"customer_ids": list(chosen), "until": rfc3339(START + 3 * DAY)}
        return world.user("alice").post("/pin", body)

    return Race([lambda w: pin(w, "c1", "c2"), lambda w: pin(w, "c3", "c4")], check, cached=tuple(ids))


@race
def a_claim_of_a_used_up_hold_and_a_sweep(world: World) -> Race:
    world.pool(max_hold="PT1H")
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(HOUR)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].code == "cooldown"
        assert world.user("mona").customer("c1")["holder"] != "alice"

    return Race([lambda w: w.user("alice").claim("c1"), run_sweep], check, cached=("c1",))


@race
def a_claim_in_place_of_a_expired_one_and_a_sweep(world: World) -> Race:
    held_for_an_hour(world, holding_limit=1)
    world.fill(1, prefix="d")

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200, "one's own expired claims never block the headroom"

    return Race([lambda w: w.user("alice").claim("d1"), run_sweep], check, serial=False, cached=("c1", "d1"))


def owned_for_an_hour(world: World, **policy: Any) -> None:
    """Let alice own c1 and move the clock to its deadline. Carl and bob are members."""
    world.pool(members="alice bob carl", private_ttl="PT1H", **policy)
    world.fill(1)
    world.user("alice").claim("c1")
    world.user("alice").post("/customers/c1/win")
    world.clock.forward(HOUR)


def transfer(world: World) -> Reply:
    return world.user("mona").post("/customers/c1/transfer", {"to": "mona"})


@race
def a_claim_of_an_expired_private_customer_and_a_sweep(world: World) -> Race:
    owned_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and results[1] == 0
        assert world.user("mona").events("c1")[-2:] == ["expired", "claimed"]
        assert world.user("alice").get("/members/me").json["private"] == 0

    return Race([lambda w: w.user("bob").claim("c1"), run_sweep], check)


@race
def two_claims_of_an_expired_private_customer_and_a_transfer(world: World) -> Race:
    owned_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[:2]) == ["already_claimed", "ok"]
        assert world.user("mona").events("c1").count("expired") == 1

    claims: list[Request] = [lambda w: w.user("bob").claim("c1"), lambda w: w.user("carl").claim("c1")]
    return Race([*claims, transfer], check)


@race
def a_transfer_a_millisecond_before_the_deadline_of_an_owner_and_a_claim_at_it(world: World) -> Race:
    owned_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert sorted(["ok" if reply.status == 200 else "refused" for reply in results]) != ["refused", "refused"]

    return Race([earlier(1, transfer), lambda w: w.user("bob").claim("c1")], check)


@race
def a_follow_up_a_millisecond_before_the_deadline_of_an_owner_and_a_claim_and_a_sweep(world: World) -> Race:
    owned_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        followed = results[0].status == 200
        assert followed == (world.user("mona").customer("c1")["holder"] == "alice")
        assert followed != (results[1].status == 200) and results[2] == 0

    follow_up = earlier(1, lambda w: w.user("alice").post("/customers/c1/follow-up", {"note": "rang"}))
    return Race([follow_up, lambda w: w.user("bob").claim("c1"), run_sweep], check)


@race
def a_win_in_place_of_an_expired_private_customer_and_a_sweep(world: World) -> Race:
    owned_for_an_hour(world, private_limit=1)
    world.fill(1, prefix="d")
    world.user("alice").claim("d1")

    def check(world: World, results: list[Any]) -> None:
        assert results[0].status == 200, "what has expired never blocks the private limit"
        assert world.user("alice").get("/members/me").json["private"] == 1

    return Race(
        [request_by("alice", "POST", "/v1/pools/p/customers/d1/win"), run_sweep],
        check,
        serial=False,
        cached=("c1", "d1"),
    )


@race
def a_pause_and_a_sweep_of_a_private_customer_and_a_claim(world: World) -> Race:
    owned_for_an_hour(world)
    pause = request_by("root", "POST", "/v1/pools/p/pause")
    return Race([pause, run_sweep, lambda w: w.user("bob").claim("c1")])


@race
def a_removal_of_an_owner_and_a_claim_of_what_has_expired(world: World) -> Race:
    owned_for_an_hour(world)

    def check(world: World, results: list[Any]) -> None:
        assert [reply.status for reply in results] == [200, 200]

    removal = request_by("mona", "DELETE", "/v1/pools/p/members/alice?private=deposit")
    return Race([removal, lambda w: w.user("bob").claim("c1")], check, serial=False)
