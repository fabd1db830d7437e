"""Batches: one result per input, exact limits, and all or nothing where `atomic` is set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dynamodb_calls import counted
from tests.support.memory import Memory, memory_table
from tests.support.world import World


def test_a_batch_returns_every_id_in_order_and_one_bad_id_fails_alone(world: World) -> None:
    world.pool(customers=3)
    world.bob.claim("c2")

    batch = world.alice.claim_batch(["c3", "c2", "nobody", "c3", "a#b", "c1"])

    assert batch.status == 200
    assert batch.results == ["ok", "already_claimed", "not_found", "duplicate_in_request", "not_found", "ok"]
    assert batch.ids == ["c3", "c2", "nobody", "c3", "a#b", "c1"]
    assert batch.json["summary"] == {"ok": 2, "failed": 4}
    assert batch.json["results"][0]["customer"]["holder"] == "alice"


def test_a_batch_fills_the_headroom_exactly_in_input_order(world: World) -> None:
    world.pool(holding_limit=3, customers=6)
    world.bob.claim("c2")

    batch = world.alice.claim_batch(["c1", "c2", "c3", "c4", "c5", "c6"])

    assert batch.results == ["ok", "already_claimed", "ok", "ok", "holding_limit", "holding_limit"]
    assert world.alice.held() == 3


def test_the_first_batch_of_a_new_member_cannot_exceed_the_limits(world: World) -> None:
    world.pool(holding_limit=4, daily_claim_limit=2, customers=5)

    batch = world.alice.claim_batch(["c1", "c2", "c3", "c4", "c5"])

    assert batch.results == ["ok", "ok", "daily_limit", "daily_limit", "daily_limit"]


def test_a_hundred_customers_are_claimed_and_released_in_one_request_each(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(100)

    assert threaded.alice.claim_batch(ids).json["summary"] == {"ok": 100, "failed": 0}
    assert threaded.alice.held() == 100
    assert threaded.alice.release_batch(ids).json["summary"] == {"ok": 100, "failed": 0}
    assert threaded.alice.held() == 0


@pytest.mark.parametrize(("count", "code"), [(0, "invalid_request"), (101, "batch_too_large")])
def test_a_batch_of_zero_or_over_a_hundred_ids_is_rejected(no_store: World, count: int, code: str) -> None:
    refused = no_store.alice.claim_batch(["c"] * count)

    assert (refused.status, refused.code) == (422, code)


def test_an_atomic_batch_is_applied_whole_or_not_at_all(world: World) -> None:
    world.pool(customers=3)
    world.bob.claim("c2")

    refused = world.alice.claim_batch(["c1", "c2", "c3"], atomic=True)

    assert (refused.status, refused.code) == (409, "already_claimed")
    assert refused.results == ["ok", "already_claimed", "ok"]
    assert world.alice.held() == 0 and world.alice.customer("c1")["state"] == "available"
    assert world.alice.claim_batch(["c1", "c3"], atomic=True).status == 200


def test_a_refused_atomic_batch_costs_one_transaction(world: World) -> None:
    world.pool(customers=2)
    world.bob.claim("c2")

    with counted(world) as made:
        refused = world.alice.claim_batch(["c1", "c2"], atomic=True)

    assert refused.results == ["ok", "already_claimed"]
    assert made == {"TransactWriteItems": 1}


def test_an_atomic_batch_with_a_repeated_or_impossible_id_claims_nothing(world: World) -> None:
    world.pool(customers=3)
    world.bob.claim("c3")

    refused = world.alice.claim_batch(["c1", "c1", "c2", "c3", "a#b"], atomic=True)

    assert (refused.status, refused.code) == (409, "duplicate_in_request")
    assert refused.results == ["ok", "duplicate_in_request", "ok", "already_claimed", "not_found"]
    assert world.alice.held() == 0 and world.alice.customer("c1")["version"] == 1


def test_an_atomic_batch_with_an_impossible_id_is_refused_even_with_pool_conditions(world: World) -> None:
    """A transaction that names the pool twice would be invalid and return 503."""
    mona = world.pool(customers=2)
    mona.post("/convert", {"customer_ids": ["c1"], "to": "alice"})
    world.alice.claim("c2")
    atomic = {"atomic": True, "customer_ids": ["c1", "c1"]}

    deposited = [world.alice.post("/deposit", atomic), mona.post("/deposit", atomic | {"customer_ids": ["c1", "#"]})]
    world.root.post("/pause")
    released = world.alice.post("/release", atomic | {"customer_ids": ["c2", "#"]})

    assert [each.status for each in (*deposited, released)] == [409, 409, 409], released.text
    assert [each.results for each in deposited] == [["ok", "duplicate_in_request"], ["ok", "not_found"]]
    assert released.results == ["ok", "not_found"]
    assert (mona.customer("c1")["state"], mona.customer("c2")["state"]) == ("private", "claimed")


def test_an_atomic_batch_of_98_with_an_impossible_id_is_refused(
    threaded: World,
) -> None:
    threaded.pool()
    ids = threaded.fill(98)

    refused = threaded.alice.claim_batch([*ids, "#"], atomic=True, idempotency_key="k")

    assert (refused.status, refused.code) == (409, "not_found")
    assert threaded.alice.held() == 0


def test_an_atomic_batch_of_98_fits_even_when_every_customer_has_a_history(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(98)
    alice = threaded.alice
    for _ in range(2):
        alice.claim_batch(ids)
        alice.release_batch(ids)

    assert alice.claim_batch(ids, atomic=True).status == 200
    assert alice.events("c1")[-1] == "claimed" and len(alice.events("c1")) == 6


def test_an_atomic_batch_too_large_for_a_transaction_is_refused_with_the_maximum(memory_world: World) -> None:
    memory_world.pool()
    ids = memory_world.fill(100)

    refused = memory_world.alice.claim_batch(ids, atomic=True)

    assert (refused.status, refused.code) == (422, "batch_too_large")
    assert (refused.json["limit"], refused.json["used"]) == (99, 100)
    assert refused.json["errors"] == ["An atomic batch must fit into one transaction of 100 writes"]
    assert memory_world.alice.held() == 0


def test_an_atomic_batch_over_the_limit_claims_nothing(world: World) -> None:
    world.pool(holding_limit=2, customers=3)

    with counted(world) as made:
        refused = world.alice.claim_batch(["c1", "c2", "c3"], atomic=True)

    assert (refused.status, refused.code) == (409, "holding_limit")
    assert made == {"TransactWriteItems": 1, "Query": 1, "BatchGetItem": 1}, "one query finds her expired claims"
    assert world.alice.held() == 0
    assert world.alice.claim_batch(["c1", "c2"], atomic=True).status == 200


def test_a_batch_over_expired_claims_of_several_holders_updates_every_counter(world: World) -> None:
    world.pool(claim_ttl="PT1H", members="alice bob carl")
    ids = world.fill(9)
    for number, name in enumerate(("alice", "bob", "carl")):
        world.user(name).claim_batch(ids[number * 3 : number * 3 + 3])
    world.clock.forward(3_600_000)

    assert world.alice.claim_batch(ids).json["summary"]["ok"] == 9
    assert [world.user(name).held() for name in ("alice", "bob", "carl")] == [9, 0, 0]


def test_claim_next_fills_the_headroom_and_refuses_only_without_headroom(
    world: World,
) -> None:
    world.pool(holding_limit=2, customers=3)

    assert len(world.alice.claim_next(3).json["items"]) == 2
    assert (world.alice.claim_next().status, world.alice.claim_next().code) == (409, "holding_limit")
    assert world.user("eve").claim_next().code == "not_a_member"


def test_claim_next_skips_customers_the_caller_may_not_claim(world: World) -> None:
    world.pool(cooldown="P1D", customers=3)
    world.alice.claim("c1")
    world.alice.release("c1")

    assert world.alice.claim_next(3).ids == ["c2", "c3"]


def test_claim_next_takes_expired_claims_when_nothing_else_is_left(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    world.bob.claim("c1")
    world.clock.forward(3_600_000)

    assert world.alice.claim_next().ids == ["c1"]


def test_claim_next_skips_ineligible_customers_in_few_requests(threaded: World) -> None:
    mona = threaded.pool(cooldown="P1D", customers=300)
    while items := threaded.alice.claim_next(100).json["items"]:
        threaded.alice.release_batch([each["id"] for each in items])
    mona.create("late", priority=-1)

    with counted(threaded) as made:
        taken = threaded.alice.claim_next().json["items"]

    assert [each["id"] for each in taken] == ["late"]
    assert made.total() < 25, made


def test_claim_next_over_many_ineligible_customers_is_bounded(world: World) -> None:
    world.pool(embargo="P1D", customers=60)

    with counted(world) as made:
        reply = world.alice.claim_next(1)

    assert reply.json == {"items": []}
    assert sum(made.values()) < 20


def test_claim_next_takes_customers_that_another_process_returned(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")
    with world.process():
        world.alice.release("c1")

    assert world.bob.claim_next().ids == ["c1"]


def test_claim_next_returns_the_refusal_when_no_customer_is_eligible(world: World) -> None:
    world.pool(embargo="P1D", holding_limit=0, customers=3)

    assert world.user("eve").claim_next().code == "not_a_member"
    assert world.alice.claim_next().code == "holding_limit"


MANY = [f"c{number}" for number in range(1, 101)]
ATOMIC_VERBS: dict[str, dict[str, Any]] = {
    "claim": {}, "release": {}, "assign": {"to": "alice"}, "transfer": {"to": "alice"}, "convert": {"to": "alice"},
    "extend": {"by": "P1D"}, "deposit": {}, "follow-up": {"note": "called"}, "edit": {"name": "Other"},
    "pin": {"until": "2026-06-02T00:00:00Z"}, "unpin": {}, "win": {}, "win/approve": {},
}  # fmt: skip


@pytest.mark.parametrize("spoiled", ["bad id!", "c1"], ids=["an invalid id", "a repeated id"])
@pytest.mark.parametrize("verb", ATOMIC_VERBS)
def test_a_failed_atomic_batch_shows_no_customer_to_a_caller_whom_the_rules_refuse(
    world: World, verb: str, spoiled: str
) -> None:
    world.pool(masked_fields=["name"], members="alice")
    world.fill(100)
    body = {"customer_ids": [*MANY[:50], spoiled, *MANY[51:]], "atomic": True, **ATOMIC_VERBS[verb]}

    refused = world.user("eve").post(f"/{verb}", body)

    assert refused.status == 409
    assert [each["id"] for each in refused.json["results"]] == body["customer_ids"]
    assert set(refused.results) <= {"not_a_member", "not_found", "duplicate_in_request"}
    assert refused.results.count("not_a_member") == 99


def test_every_id_of_a_failed_atomic_batch_is_evaluated(world: World) -> None:
    world.pool()
    world.fill(100)
    world.user("bob").claim("c100")

    refused = world.user("alice").claim_batch(["bad id!", *MANY[1:]], atomic=True)

    assert refused.status == 409
    assert refused.results == ["not_found", *["ok"] * 98, "already_claimed"]
    assert {each["customer"]["state"] for each in refused.json["results"] if each["ok"]} == {"available"}
    assert world.user("alice").held() == 0


def test_a_failed_atomic_batch_shows_no_more_than_the_limit_as_possible(world: World) -> None:
    world.pool(holding_limit=60, customers=99)
    ids = ["bad id!", *[f"c{number}" for number in range(1, 100)]]

    atomic, plain = (world.alice.claim_batch(ids, atomic=atomic) for atomic in (True, False))

    assert atomic.results == plain.results
    assert atomic.results.count("ok") == 60


def test_an_atomic_batch_with_a_customer_created_meanwhile_is_all_or_nothing() -> None:
    engine = Memory()
    world = World(memory_table(engine))
    world.pool(holding_limit=1, customers=1)
    meanwhile = iter([lambda: world.mona.create("c2")])

    def create(operation: str) -> None:
        if operation == "TransactWriteItems" and (act := next(meanwhile, None)) is not None:
            act()

    engine.before = create
    refused = world.alice.claim_batch(["c1", "c2"], atomic=True)

    assert (refused.status, refused.results) == (409, ["ok", "holding_limit"])
    assert world.alice.held() == 0
