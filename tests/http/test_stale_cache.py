"""A process that remembers a customer as it was some seconds ago, while others have changed it: a copy proposes, and
never decides. What is asked follows from the customer as it is now."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.support.engine import counted
from tests.support.world import DAY, HOUR, START, World


def target_pool(world: World, *deeds: Any) -> None:
    """Does that through another process, which remembers what it has seen; the first one does not hear of it."""
    mine, world.service = world.service, world.another_process()
    for deed in deeds:
        assert deed().status == 200
    world.service = mine


@pytest.mark.parametrize("verb", ["release", "extend", "pin", "unpin", "win", "follow-up"])
def test_who_holds_a_customer_by_now_is_its_holder_for_a_process_that_remembers_another_one(
    world: World, verb: str
) -> None:
    world.pool(claim_ttl="P1D", extension="PT1H", members_may_extend=True)
    world.fill(1)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim("c1")
    target_pool(world, lambda: alice.release("c1"), lambda: bob.claim("c1"))

    bodies = {"pin": {"until": rfc3339(START + 2 * DAY)}, "follow-up": {"note": "called"}}
    done = bob.post(f"/customers/c1/{verb}", bodies.get(verb))

    assert done.status == 200, done.text


def test_a_manager_whom_a_process_remembers_as_the_holder_is_asked_by_now_whether_she_manages(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    mona.claim("c1")
    target_pool(world, lambda: mona.post("/customers/c1/transfer", {"to": "bob"}))

    reclaimed = mona.release("c1")

    assert (reclaimed.status, world.user("mona").events("c1")[-1]) == (200, "reclaimed")


def test_who_owns_a_private_customer_by_now_may_put_it_back_and_edit_it(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    alice, bob = world.user("alice"), world.user("bob")
    mona.post("/customers/c1/convert", {"to": "alice"})
    alice.customer("c1")
    target_pool(
        world,
        lambda: alice.post("/customers/c1/deposit"),
        lambda: mona.post("/customers/c1/convert", {"to": "bob"}),
    )

    edited = bob.request("PATCH", "/v1/pools/p/customers/c1", {"name": "Other"})
    put_back = bob.post("/customers/c1/deposit")

    assert (edited.status, put_back.status) == (200, 200)


def test_in_a_batch_each_is_judged_by_who_holds_it_now(world: World) -> None:
    world.pool()
    world.fill(3)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim_batch(["c1", "c2", "c3"])
    target_pool(world, lambda: alice.release_batch(["c1", "c2"]), lambda: bob.claim("c1"))

    assert bob.release_batch(["c1", "c2", "c3"]).results == ["ok", "not_claimed", "not_holder"]


def test_an_atomic_batch_that_is_refused_tells_of_each_as_it_is_now_and_leaves_none_out(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    made = mona.post("/import", {"rows": [{"id": "gone", "name": "Gone"}]}).json
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim("c1")
    target_pool(
        world,
        lambda: mona.post(f"/imports/{made['import_id']}/undo"),
        lambda: alice.release("c1"),
        lambda: bob.claim("c1"),
    )

    assert alice.claim_batch(["nobody", "gone", "c1"], atomic=True).results == [
        "not_found", "not_found", "already_claimed"
    ]  # fmt: skip
    assert bob.release_batch(["no id", "c1"], atomic=True).results == ["not_found", "ok"]
    assert alice.release_batch(["no id", "gone"], atomic=True).results == ["not_found", "not_found"]


def test_claim_next_finds_what_a_process_remembers_as_set_aside_and_somebody_has_restored(world: World) -> None:
    mona = world.pool(max_returns=1)
    world.fill(1)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim("c1")
    alice.release("c1")
    target_pool(world, lambda: mona.post("/customers/c1/restore"))

    taken = bob.claim_next().json["items"]

    assert [each["id"] for each in taken] == ["c1"]


def test_claim_next_takes_the_better_one_that_was_released_meanwhile_also_where_it_looks_further_down(
    world: World,
) -> None:
    mona = world.pool(cooldown="P1D")
    for customer, priority in (("c1", 2), ("c2", 1), ("c3", 0)):
        mona.create(customer, priority=priority)
    alice, bob = world.user("alice"), world.user("bob")
    bob.claim("c1")
    bob.release("c1")
    alice.claim("c2")
    target_pool(world, lambda: alice.release("c2"))

    taken = bob.claim_next().json["items"]

    assert [each["id"] for each in taken] == ["c2"]


def test_an_extension_is_measured_by_the_claim_as_it_is_now(world: World) -> None:
    world.pool(claim_ttl="PT2H", members_may_extend=True, max_hold="PT4H")
    world.fill(1)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim("c1")
    alice.post("/customers/c1/extend", {"by": "PT2H"})
    target_pool(world, lambda: alice.release("c1"), lambda: bob.claim("c1"))

    assert bob.post("/customers/c1/extend", {"by": "PT2H"}).status == 200
    assert world.user("bob").customer("c1")["expires_at"] == rfc3339(world.clock.now + 4 * HOUR)


def test_an_old_copy_costs_one_more_transaction_where_it_asks_something_else(world: World) -> None:
    world.pool()
    world.fill(1)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim("c1")
    target_pool(world, lambda: alice.release("c1"), lambda: bob.claim("c1"))

    with counted(world) as made:
        assert bob.release("c1").status == 200

    assert made == {"TransactWriteItems": 2}


def test_an_old_copy_that_asks_the_same_is_answered_by_what_refused(world: World) -> None:
    world.pool()
    world.fill(1)
    target_pool(world, lambda: world.user("bob").claim("c1"))

    with counted(world) as made:
        assert world.user("alice").claim("c1").code == "already_claimed"

    assert made == {"TransactWriteItems": 1}


def test_an_atomic_batch_is_not_answered_while_one_of_it_is_known_anew(world: World) -> None:
    world.pool()
    world.fill(2)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim_batch(["c1", "c2"])
    target_pool(world, lambda: alice.release("c1"), lambda: bob.claim("c1"))

    refused = alice.release_batch(["c2", "nobody", "c1"], atomic=True)

    assert refused.results == ["ok", "not_found", "not_holder"]
    assert alice.held() == 1, "nothing was done"
