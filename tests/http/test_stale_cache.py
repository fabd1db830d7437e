"""Stale caches: another process has changed a customer that this one has cached. The cache only proposes a transition;
the rules are checked against the stored customer.
"""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, START, World


def in_another_process(world: World, *steps: Any) -> None:
    """Run the steps in another process with its own cache."""
    with world.process():
        for step in steps:
            assert step().status == 200


@pytest.mark.parametrize("verb", ["release", "extend", "pin", "unpin", "win", "follow-up"])
def test_a_stale_cache_does_not_hide_the_current_holder(world: World, verb: str) -> None:
    world.pool(claim_ttl="P1D", extension="PT1H", members_may_extend=True, pin_limit=1, customers=1)
    world.alice.claim("c1")
    in_another_process(world, lambda: world.alice.release("c1"), lambda: world.bob.claim("c1"))

    bodies = {"pin": {"until": rfc3339(START + 2 * DAY)}, "follow-up": {"note": "called"}}
    done = world.bob.post(f"/customers/c1/{verb}", bodies.get(verb))

    assert done.status == 200, done.text


def test_a_manager_cached_as_the_holder_must_still_be_a_manager(world: World) -> None:
    mona = world.pool(customers=1)
    mona.claim("c1")
    in_another_process(world, lambda: mona.post("/customers/c1/transfer", {"to": "bob"}))

    reclaimed = mona.release("c1")

    assert (reclaimed.status, world.mona.events("c1")[-1]) == (200, "reclaimed")


def test_the_current_owner_may_deposit_and_edit_despite_a_stale_cache(world: World) -> None:
    mona = world.pool(customers=1)
    mona.post("/customers/c1/convert", {"to": "alice"})
    world.alice.customer("c1")
    in_another_process(
        world,
        lambda: world.alice.post("/customers/c1/deposit"),
        lambda: mona.post("/customers/c1/convert", {"to": "bob"}),
    )

    edited = world.bob.patch("/customers/c1", {"name": "Other"})
    put_back = world.bob.post("/customers/c1/deposit")

    assert (edited.status, put_back.status) == (200, 200)


def test_a_batch_uses_the_current_holders_despite_a_stale_cache(world: World) -> None:
    world.pool(customers=3)
    world.alice.claim_batch(["c1", "c2", "c3"])
    in_another_process(world, lambda: world.alice.release_batch(["c1", "c2"]), lambda: world.bob.claim("c1"))

    assert world.bob.release_batch(["c1", "c2", "c3"]).results == ["ok", "not_claimed", "not_holder"]


def test_a_refused_atomic_batch_returns_the_current_state_of_each(world: World) -> None:
    mona = world.pool(customers=1)
    made = mona.post("/import", {"rows": [{"id": "gone", "name": "Gone"}]}).json
    world.alice.claim("c1")
    in_another_process(
        world,
        lambda: mona.post(f"/imports/{made['import_id']}/undo"),
        lambda: world.alice.release("c1"),
        lambda: world.bob.claim("c1"),
    )

    assert world.alice.claim_batch(["nobody", "gone", "c1"], atomic=True).results == [
        "not_found", "not_found", "already_claimed"
    ]  # fmt: skip
    assert world.bob.release_batch(["no id", "c1"], atomic=True).results == ["not_found", "ok"]
    assert world.alice.release_batch(["no id", "gone"], atomic=True).results == ["not_found", "not_found"]


def test_claim_next_finds_a_restored_customer_cached_as_set_aside(world: World) -> None:
    mona = world.pool(max_returns=1, customers=1)
    world.alice.claim("c1")
    world.alice.release("c1")
    in_another_process(world, lambda: mona.post("/customers/c1/restore"))

    taken = world.bob.claim_next().json["items"]

    assert [each["id"] for each in taken] == ["c1"]


def test_claim_next_takes_a_better_customer_released_concurrently(
    world: World,
) -> None:
    mona = world.pool(cooldown="P1D")
    for customer, priority in (("c1", 2), ("c2", 1), ("c3", 0)):
        mona.create(customer, priority=priority)
    world.bob.claim("c1")
    world.bob.release("c1")
    world.alice.claim("c2")
    in_another_process(world, lambda: world.alice.release("c2"))

    taken = world.bob.claim_next().json["items"]

    assert [each["id"] for each in taken] == ["c2"]


def test_an_extension_applies_to_the_current_claim_despite_a_stale_cache(world: World) -> None:
    world.pool(claim_ttl="PT2H", members_may_extend=True, max_hold="PT4H", customers=1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/extend", {"by": "PT2H"})
    in_another_process(world, lambda: world.alice.release("c1"), lambda: world.bob.claim("c1"))

    assert world.bob.post("/customers/c1/extend", {"by": "PT2H"}).status == 200
    assert world.bob.customer("c1")["expires_at"] == rfc3339(world.clock.now + 4 * HOUR)


def test_a_stale_cache_with_other_conditions_costs_one_more_transaction(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")
    in_another_process(world, lambda: world.alice.release("c1"), lambda: world.bob.claim("c1"))

    with counted(world) as made:
        assert world.bob.release("c1").status == 200

    assert made == {"TransactWriteItems": 2}


def test_a_stale_cache_with_the_same_conditions_costs_nothing_more(world: World) -> None:
    world.pool(customers=1)
    in_another_process(world, lambda: world.bob.claim("c1"))

    with counted(world) as made:
        assert world.alice.claim("c1").code == "already_claimed"

    assert made == {"TransactWriteItems": 1}


def test_an_atomic_batch_is_planned_again_after_a_cache_refresh(world: World) -> None:
    world.pool(customers=2)
    world.alice.claim_batch(["c1", "c2"])
    in_another_process(world, lambda: world.alice.release("c1"), lambda: world.bob.claim("c1"))

    refused = world.alice.release_batch(["c2", "nobody", "c1"], atomic=True)

    assert refused.results == ["ok", "not_found", "not_holder"]
    assert world.alice.held() == 1, "nothing was done"
