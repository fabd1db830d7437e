"""Claim-next: the best first, whoever has to be passed over, and however many call at once."""

from __future__ import annotations

import pytest

from tests.proofs.contention import crowd, crowded_pool
from tests.support.engine import counted, hooked
from tests.support.world import HOUR, MINUTE, World


def ids(world: World, user: str, count: int = 1) -> list[str]:
    return [each["id"] for each in world.user(user).claim_next(count).json["items"]]


# Lapsed claims


def test_a_customer_whose_claim_has_lapsed_stands_in_the_list_by_its_priority_swept_or_not(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H")
    for customer, priority in (("low", 1), ("high", 9), ("middle", 5)):
        mona.create(customer, priority=priority)
    world.user("bob").claim("high")
    world.user("bob").claim("low")
    world.clock.forward(HOUR)

    assert ids(world, "alice", 3) == ["high", "middle", "low"]


def test_among_equals_a_lapsed_claim_has_waited_since_its_deadline(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H")
    mona.create("lapsed")
    world.user("bob").claim("lapsed")
    world.clock.forward(30 * MINUTE)
    mona.create("before")
    world.clock.forward(30 * MINUTE + 1)
    mona.create("after")

    assert ids(world, "alice", 3) == ["before", "lapsed", "after"]


def test_a_sweep_changes_nothing_in_the_order(world: World) -> None:
    world.pool(claim_ttl="PT1H", members="alice bob carl")
    world.fill(6)
    world.user("bob").claim_batch(["c2", "c5"])
    world.clock.forward(HOUR)

    unswept = ids(world, "alice", 6)
    world.user("alice").release_batch(unswept)
    world.user("bob").claim_batch(["c2", "c5"])
    world.clock.forward(HOUR)
    world.sweep()

    assert sorted(unswept) == sorted(ids(world, "carl", 6)) and unswept[-2:] == ["c2", "c5"]


def test_one_that_would_be_set_aside_is_passed_over(world: World) -> None:
    world.pool(claim_ttl="PT1H", max_returns=1)
    world.fill(2)
    world.user("bob").claim("c1")
    world.clock.forward(HOUR)

    assert ids(world, "alice", 2) == ["c2"]


# What this very request takes


def test_what_the_caller_got_in_another_way_meanwhile_is_no_result(moto_world: World) -> None:
    world = moto_world
    mona = world.pool()
    world.fill(4)
    others = iter([lambda: ids(world, "alice"), lambda: mona.post("/customers/c2/assign", {"to": "alice"})])

    with hooked(world, "before-call.dynamodb.TransactWriteItems", lambda **_: next(others, lambda: None)()):
        taken = ids(world, "alice", 2)

    assert sorted([*taken, "c1", "c2"]) == ["c1", "c2", "c3", "c4"]
    assert world.user("alice").held() == 4


def test_who_meets_only_other_calls_of_their_own_still_gets_the_head_of_the_list(moto_world: World) -> None:
    world = moto_world
    world.pool()
    world.fill(5)
    others = iter([lambda: ids(world, "alice")])

    with hooked(world, "before-call.dynamodb.TransactWriteItems", lambda **_: next(others, lambda: None)()):
        taken = ids(world, "alice")

    assert (taken, ids(world, "alice", 3)) == (["c2"], ["c3", "c4", "c5"])


# Alone, and in a crowd


def test_who_finds_nothing_is_not_told_of_a_limit_that_only_their_lapsed_claims_reach(world: World) -> None:
    world.pool(holding_limit=1, claim_ttl="PT1H", cooldown="P1D")
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1")
    world.clock.forward(2 * HOUR)

    found = alice.claim_next()

    assert (found.status, found.json) == (200, {"items": []}), "its one customer is closed to her by the cooldown"
    assert alice.held() == 0


def test_alone_it_takes_exactly_the_head_of_the_list_for_two_lists_one_reading_and_one_transaction(
    world: World,
) -> None:
    world.pool()
    world.fill(5)
    world.service = world.another_process()
    world.user("alice").claim_next()

    with counted(world) as made:
        assert ids(world, "alice") == ["c2"]

    assert made == {"Query": 2, "BatchGetItem": 1, "TransactWriteItems": 1}


@pytest.mark.parametrize("seed", [1, 2])
def test_64_processes_that_take_1000_customers_hardly_ever_meet_at_one(seed: int) -> None:
    taken = crowd(crowded_pool(64, 1_000), 64, seed=seed)

    assert len(taken.ids) == len(set(taken.ids)) == 1_000
    assert taken.transactions <= 1.3
    assert taken.reads <= 1.2
    assert taken.worst <= 8


def test_64_callers_of_one_process_share_what_it_has_read() -> None:
    taken = crowd(crowded_pool(64, 1_000), 64, shared=True)

    assert len(set(taken.ids)) == 1_000
    assert taken.transactions <= 1.2 and taken.reads <= 0.3
    assert taken.worst <= 8


def test_a_crowd_takes_the_beginning_of_a_long_list_and_none_of_its_end() -> None:
    world = crowded_pool(8, 1_000)

    taken = crowd(world, 8, calls=10)

    assert len(set(taken.ids)) == 80
    assert max(int(each[1:]) for each in taken.ids) <= 600


def test_a_crowd_that_has_dispersed_leaves_the_next_caller_the_head_of_the_list() -> None:
    world = crowded_pool(8, 200)
    crowd(world, 8, calls=2, shared=True)
    left = [each["id"] for each in world.user("mona").walk("/customers?state=available")]

    world.clock.forward(10_000)

    assert ids(world, "m1", 3) == left[:3]


def test_batches_of_a_crowd_are_of_different_customers() -> None:
    taken = crowd(crowded_pool(16, 400), 16, count=10)

    assert len(taken.ids) == len(set(taken.ids)) == 400
