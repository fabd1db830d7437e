"""Releasing: permissions, effects and stale clients."""

from __future__ import annotations

from tests.support.world import HOUR, World


def test_a_released_customer_can_be_claimed_by_others_at_once(world: World) -> None:
    world.pool(holding_limit=1, customers=2)
    world.alice.claim("c1")

    released = world.alice.release("c1")

    assert released.status == 200
    assert (released.json["state"], released.json["holder"], released.json["claim_id"]) == (
        "available",
        None,
        None,
    )
    assert world.bob.claim("c1").status == 200
    assert world.alice.claim("c2").status == 200


def test_only_the_holder_or_a_manager_releases_a_customer(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")

    assert (world.bob.release("c1").status, world.bob.release("c1").code) == (
        403,
        "not_holder",
    )
    assert world.user("eve").release("c1").code == "not_a_member"
    assert mona.release("c1").status == 200
    assert mona.events("c1")[-1] == "reclaimed"
    assert world.alice.held() == 0


def test_past_the_deadline_the_holder_has_no_rights(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    assert (world.alice.release("c1").status, world.alice.release("c1").code) == (409, "expired")
    world.sweep()
    assert world.alice.release("c1").code == "not_claimed"


def test_a_forbidden_release_does_not_require_a_reason(world: World) -> None:
    world.pool(reason_required=True, customers=1)

    outsider, unknown = world.user("stranger").release("c1"), world.alice.release("nobody")

    assert (outsider.status, outsider.code) == (403, "not_a_member")
    assert (unknown.status, unknown.code) == (404, "not_found")


def test_a_manager_releases_their_own_claim_and_those_of_others_in_one_batch(world: World) -> None:
    mona = world.pool(customers=4)
    mona.claim("c1")
    world.alice.claim_batch(["c2"])
    world.bob.claim_batch(["c3"])

    batch = mona.release_batch(["c1", "c2", "c3", "c4"])

    assert batch.results == ["ok", "ok", "ok", "not_claimed"]
    assert [world.user(name).held() for name in ("mona", "alice", "bob")] == [0, 0, 0]


def test_a_member_batch_releases_own_customers_and_refuses_the_others(world: World) -> None:
    world.pool(customers=3)
    world.alice.claim_batch(["c1", "c3"])
    world.bob.claim("c2")

    batch = world.alice.release_batch(["c1", "c2", "c3", "nobody"])

    assert batch.results == ["ok", "not_holder", "ok", "not_found"]
