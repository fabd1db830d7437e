"""Eligibility: the rules that block a claim, listed before the claim."""

from __future__ import annotations

from tests.support.world import HOUR, User, World


def blocking(user: User, customer: str) -> list[str]:
    return [each["code"] for each in user.get(f"/customers/{customer}/eligibility").json["blocking"]]


def test_eligibility_agrees_with_the_result_of_a_claim(world: World) -> None:
    world.pool(claim_ttl="PT1H", holding_limit=1, customers=3)
    alice, bob = world.alice, world.bob
    alice.claim("c1")

    assert blocking(alice, "c1") == [] and alice.claim("c1").status == 200
    assert blocking(bob, "c1") == ["already_claimed"]
    assert blocking(alice, "c2") == ["holding_limit"]
    world.clock.forward(HOUR)
    assert blocking(alice, "c2") == [] and alice.claim("c2").status == 200
    assert world.user("eve").get("/customers/c1/eligibility").code == "not_a_member"
    assert alice.get("/customers/nobody/eligibility").status == 404


def test_a_holder_in_a_paused_pool_may_not_claim_again(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")

    shown = world.alice.get("/customers/c1/eligibility").json
    reply = world.alice.claim("c1")

    assert shown["eligible"] == (reply.status == 200), (shown, reply.text)


def test_eligibility_lists_one_cooldown_for_a_customer_held_twice(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", cooldown="P1D", customers=1)
    world.alice.claim("c1")
    world.alice.release("c1")
    mona.post("/customers/c1/assign", {"to": "alice"})
    world.clock.forward(2 * HOUR)

    shown = world.alice.get("/customers/c1/eligibility").json["blocking"]

    assert [each["code"] for each in shown] == ["cooldown"]
    assert shown[0]["retry_at"] == world.alice.claim("c1").json["retry_at"]


def test_eligibility_lists_no_cooldown_for_the_owner_of_a_private_customer(world: World) -> None:
    world.pool(cooldown="P1D", customers=1)
    world.mona.post("/customers/c1/convert", {"to": "alice"})

    assert blocking(world.alice, "c1") == ["already_claimed"]
