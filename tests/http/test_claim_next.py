"""Claim next: highest priority first, ineligible customers skipped, with any number of concurrent callers."""

from __future__ import annotations

import pytest

from tests.proofs.contention import crowd, crowded_pool, divided_pool
from tests.support.dynamodb_calls import counted, interrupted
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import HOUR, MINUTE, World


def ids(world: World, user: str, count: int = 1) -> list[str]:
    return world.user(user).claim_next(count).ids


# Expired claims


def test_an_expired_claim_is_ordered_by_priority_before_and_after_a_sweep(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H")
    for customer, priority in (("low", 1), ("high", 9), ("middle", 5)):
        mona.create(customer, priority=priority)
    world.bob.claim("high")
    world.bob.claim("low")
    world.clock.forward(HOUR)

    assert ids(world, "alice", 3) == ["high", "middle", "low"]


def test_an_expired_claim_waits_since_its_deadline_among_equal_priorities(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H")
    mona.create("expired")
    world.bob.claim("expired")
    world.clock.forward(30 * MINUTE)
    mona.create("before")
    world.clock.forward(30 * MINUTE + 1)
    mona.create("after")

    assert ids(world, "alice", 3) == ["before", "expired", "after"]


def test_a_sweep_does_not_change_the_order_of_claim_next(world: World) -> None:
    world.pool(claim_ttl="PT1H", members="alice bob carl", customers=6)
    world.bob.claim_batch(["c2", "c5"])
    world.clock.forward(HOUR)

    unswept = ids(world, "alice", 6)
    world.alice.release_batch(unswept)
    world.bob.claim_batch(["c2", "c5"])
    world.clock.forward(HOUR)
    world.sweep()

    assert sorted(unswept) == sorted(ids(world, "carl", 6)) and unswept[-2:] == ["c2", "c5"]


def test_claim_next_skips_an_expired_claim_that_its_return_would_set_aside(world: World) -> None:
    world.pool(claim_ttl="PT1H", max_returns=1, customers=2)
    world.bob.claim("c1")
    world.clock.forward(HOUR)

    assert ids(world, "alice", 2) == ["c2"]


# Concurrent requests of the same caller


def test_claim_next_excludes_customers_the_caller_claimed_concurrently(memory_world: World) -> None:
    world = memory_world
    mona = world.pool(customers=4)
    concurrent = (lambda: ids(world, "alice"), lambda: mona.post("/customers/c2/assign", {"to": "alice"}))

    with interrupted(world, "TransactWriteItems", *concurrent):
        taken = ids(world, "alice", 2)

    assert sorted([*taken, "c1", "c2"]) == ["c1", "c2", "c3", "c4"]
    assert world.alice.held() == 4


def test_concurrent_claim_next_calls_of_one_caller_take_the_head_of_the_list(memory_world: World) -> None:
    world = memory_world
    world.pool(customers=5)

    with interrupted(world, "TransactWriteItems", lambda: ids(world, "alice")):
        taken = ids(world, "alice")

    assert (taken, ids(world, "alice", 3)) == (["c2"], ["c3", "c4", "c5"])


# One caller, and many


def test_an_empty_claim_next_reports_no_limit_reached_only_by_expired_claims(world: World) -> None:
    world.pool(holding_limit=1, claim_ttl="PT1H", cooldown="P1D", customers=1)
    world.alice.claim("c1")
    world.clock.forward(2 * HOUR)

    found = world.alice.claim_next()

    assert (found.status, found.json) == (200, {"items": []}), "its one customer is closed to her by the cooldown"
    assert world.alice.held() == 0


def test_a_single_claim_next_takes_the_head_in_two_queries_one_read_one_write(
    world: World,
) -> None:
    world.pool(customers=5)
    world.service = world.another_process()
    world.alice.claim_next()

    with counted(world) as made:
        assert ids(world, "alice") == ["c2"]

    assert made == {"Query": 2, "BatchGetItem": 1, "TransactWriteItems": 1}


@pytest.mark.parametrize("narrowed_by", ["filter", "territory"])
def test_a_search_for_certain_values_reads_rows_and_only_the_customer_that_it_takes(narrowed_by: str) -> None:
    engine = Metered()
    world = World(memory_table(engine))
    field = {"key": "level", "label": {"en": "Level", "zh": "级别"}, "type": "text", "filter": True}
    mona = world.pool(fields=[field])
    mona.post("/import", {"rows": [{"id": f"c{n}", "name": "C", "fields": {"level": str(n % 10)}} for n in range(100)]})
    if narrowed_by == "territory":
        mona.patch("/members/alice", {"takes": {"level": ["3"]}})
    body = {"count": 1, "filter": {"level": ["3"]}} if narrowed_by == "filter" else {"count": 1}
    first = world.alice.post("/claim-next", body).ids  # learns the territory
    engine.reset()

    second = world.alice.post("/claim-next", body).ids

    assert {*first, *second} < {f"c{n}" for n in range(3, 100, 10)} and len({*first, *second}) == 2
    assert engine.read_units <= 10
    assert engine.requests == {"Query": 2, "BatchGetItem": 1, "TransactWriteItems": 1}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_64_processes_taking_1000_customers_rarely_collide(seed: int) -> None:
    taken = crowd(crowded_pool(64, 1_000), 64, seed=seed)

    assert len(taken.ids) == len(set(taken.ids)) == 1_000
    assert taken.transactions <= 1.3
    assert taken.reads <= 1.2
    assert taken.worst <= 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_64_processes_with_a_filter_or_in_territories_rarely_collide(seed: int) -> None:
    filtered = crowd(divided_pool(64, 1_000, territories=False), 64, seed=seed, filters={"level": ["3"]})
    divided = crowd(divided_pool(64, 1_000, territories=True), 64, seed=seed)

    assert (len(set(filtered.ids)), len(set(divided.ids))) == (100, 1_000)
    assert filtered.transactions <= 1.4 and filtered.read_units <= 60
    assert divided.transactions <= 1.2 and divided.read_units <= 8


def test_a_process_that_learns_a_territory_tries_no_customer_outside_it() -> None:
    world = divided_pool(1, 100, territories=True)

    taken = crowd(world, 1, calls=2)

    assert [each["TransactWriteItems"] for each in taken.requests] == [2, 1]
    assert {int(each[1:]) % 10 for each in taken.ids} == {1}


@pytest.mark.slow
def test_64_callers_of_one_process_share_its_reads() -> None:
    taken = crowd(crowded_pool(64, 1_000), 64, shared=True)

    assert len(set(taken.ids)) == 1_000
    assert taken.transactions <= 1.2 and taken.reads <= 0.3
    assert taken.worst <= 8


def test_concurrent_callers_take_the_head_of_a_long_list() -> None:
    world = crowded_pool(8, 1_000)

    taken = crowd(world, 8, calls=10)

    assert len(set(taken.ids)) == 80
    assert max(int(each[1:]) for each in taken.ids) <= 600


def test_the_next_caller_after_contention_gets_the_head_of_the_list() -> None:
    world = crowded_pool(8, 200)
    crowd(world, 8, calls=2, shared=True)
    left = world.mona.customer_ids("state=available")

    world.clock.forward(10_000)

    assert ids(world, "m1", 3) == left[:3]


def test_concurrent_claim_next_batches_are_disjoint() -> None:
    taken = crowd(crowded_pool(16, 400), 16, count=10)

    assert len(taken.ids) == len(set(taken.ids)) == 400
