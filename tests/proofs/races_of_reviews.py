"""Races while the win of a claim is reviewed, and at the end of the review (rule 29)."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.model.times import rfc3339
from tests.proofs.race_runner import Race, codes, earlier, race, request_by, run_sweep
from tests.proofs.races_of_verbs import verb
from tests.support.world import DAY, HOUR, World

POOL: Final = "/v1/pools/p"


def reviewed(world: World, **policy: Any) -> None:
    """Alice holds c1, whose clock ends in an hour; a manager has two days to decide about its win."""
    world.pool(members="alice bob carl", win="approval", claim_ttl="PT1H", win_review="P2D", **policy)
    world.fill(1)
    world.alice.claim("c1")
    assert world.alice.post("/customers/c1/win").status == 200


@race
def an_approval_a_millisecond_before_the_review_ends_and_a_claim_at_its_end_and_a_sweep(world: World) -> Race:
    reviewed(world)
    world.clock.forward(2 * DAY)

    def check(world: World, results: list[Any]) -> None:
        assert codes(results[:2]).count("ok") == 1

    approval, claim = verb("mona", "win/approve"), verb("bob", "claim")
    return Race([earlier(1, approval), claim, run_sweep], check, serial=False)


@race
def a_decline_a_millisecond_before_the_review_ends_and_a_sweep_at_its_end(world: World) -> Race:
    reviewed(world)
    world.clock.forward(2 * DAY)

    def check(world: World, results: list[Any]) -> None:
        customer, declined = world.mona.customer("c1"), codes(results[:1])[0]
        assert (customer["state"], declined) in (("claimed", "ok"), ("available", "not_claimed"))

    return Race([earlier(1, verb("mona", "win/decline", reason="not signed")), run_sweep], check, serial=False)


@race
def a_decline_and_a_policy_for_all_claims(world: World) -> Race:
    reviewed(world)
    world.clock.forward(DAY)
    body = {"policy": {"holding_limit": 5}, "apply_to": "all"}
    decline = verb("mona", "win/decline", reason="not signed")

    def check(world: World, results: list[Any]) -> None:
        assert [reply.status for reply in results] == [200, 200]
        assert world.mona.customer("c1")["expires_at"] == rfc3339(world.clock() + DAY), "the day after a decline"

    return Race([decline, request_by("mona", "PATCH", POOL, body, if_match="1")], check, serial=False)


@race
def an_approval_and_a_pin_and_an_unpin(world: World) -> Race:
    reviewed(world)
    pin = verb("mona", "pin", until="2026-06-09T00:00:00Z")
    return Race([verb("mona", "win/approve"), pin, verb("mona", "unpin")])


@race
def a_transfer_and_a_decline_and_an_extension(world: World) -> Race:
    reviewed(world, members_may_extend=True, extension="P1D")
    decline = verb("mona", "win/decline", reason="not signed")
    return Race([verb("mona", "transfer", to="bob"), decline, verb("alice", "extend")])


@race
def a_pause_and_an_approval_and_a_follow_up(world: World) -> Race:
    reviewed(world)
    world.clock.forward(HOUR)
    pause = request_by("root", "POST", f"{POOL}/pause")
    return Race([pause, verb("mona", "win/approve"), verb("alice", "follow-up", note="called")])


@race
def a_removal_in_a_closed_pool_and_a_transfer_of_a_private_customer(world: World) -> Race:
    reviewed(world)
    world.mona.post("/customers/c1/win/approve")
    assert world.root.post("/close", {"mode": "to_private"}).status == 200

    def check(world: World, results: list[Any]) -> None:
        assert [reply.status for reply in results] == [200, 200]
        assert world.mona.customer("c1")["holder"] in (None, "bob")

    removal = request_by("mona", "DELETE", f"{POOL}/members/alice?private=transfer&to=bob")
    return Race([removal, verb("mona", "transfer", to="bob")], check, serial=False)
