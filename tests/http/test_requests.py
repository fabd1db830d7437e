"""The exact number of DynamoDB requests of each operation."""

from __future__ import annotations

import pytest

from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, World


def test_a_warm_claim_or_release_is_one_transaction_without_reads(world: World) -> None:
    world.pool(holding_limit=5, daily_claim_limit=50, claim_ttl="P7D", customers=2)

    with counted(world) as claim:
        assert world.alice.claim("c1").status == 200
    with counted(world) as keyed:
        assert world.alice.claim("c2", idempotency_key="k1").status == 200
    with counted(world) as release:
        assert world.alice.release("c1").status == 200

    assert claim == keyed == release == {"TransactWriteItems": 1}


def test_a_process_without_a_cached_customer_reads_it_once(world: World) -> None:
    world.pool(customers=1)
    world.service = world.another_process()
    world.alice.get("/members/me")

    with counted(world) as made:
        assert world.alice.claim("c1").status == 200

    assert made == {"BatchGetItem": 1, "TransactWriteItems": 1}


def test_losing_a_race_costs_no_read(world: World) -> None:
    world.pool(customers=1)
    other = world.another_process()
    world.alice.customer("c1")
    with world.process(other):
        world.bob.claim("c1")

    with counted(world) as made:
        assert world.alice.claim("c1").code == "already_claimed"

    assert made == {"TransactWriteItems": 1}


def test_a_member_at_the_limit_queries_own_expired_claims_once(world: World) -> None:
    world.pool(holding_limit=1, claim_ttl="PT1H", customers=3)
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    with counted(world) as made:
        assert world.alice.claim_batch(["c2", "c3"]).results == ["ok", "holding_limit"]

    assert made["Query"] == 1


def test_a_member_at_the_daily_limit_does_not_query_expired_claims(world: World) -> None:
    world.pool(holding_limit=1, daily_claim_limit=1, claim_ttl="PT1H", customers=2)
    world.alice.claim("c1")
    world.alice.release("c1")

    with counted(world) as made:
        assert world.alice.claim("c2").code == "daily_limit"

    assert made["Query"] == 0


def test_taking_over_an_expired_claim_is_one_transaction(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    world.bob.claim("c1")
    world.clock.forward(HOUR)
    with counted(world) as made:
        assert world.alice.claim("c1").status == 200

    assert made["TransactWriteItems"] == 1


def test_a_batch_of_98_takes_one_transaction(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(98)

    with counted(threaded) as made:
        assert threaded.alice.claim_batch(ids).json["summary"]["ok"] == 98

    assert made == {"TransactWriteItems": 1}


def test_a_batch_of_100_of_which_30_are_held_by_others_takes_at_most_6_requests(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(100)
    with threaded.process():
        threaded.bob.claim_batch(ids[::3][:30])

    with counted(threaded) as made:
        assert threaded.alice.claim_batch(ids).json["summary"]["ok"] == 70

    assert made.total() <= 6


def test_a_list_page_is_two_requests_or_three_for_any_pool_size(threaded: World) -> None:
    threaded.pool(customers=130)
    threaded.alice.claim_batch(["c1", "c2"])

    for query in ("", "?state=available", "?state=claimed", "?holder=me", "?state=claimed&holder=alice"):
        with counted(threaded) as made:
            assert threaded.alice.get(f"/customers{query}").status == 200
        reads = 1 if query else 2  # the member; of all states also the customers' own items
        assert made == {"Query": 1, "BatchGetItem": reads}, query


def test_a_sweep_of_200_claims_of_4_members_takes_4_transactions(threaded: World) -> None:
    names = "alice bob carl dora"
    threaded.pool(claim_ttl="PT1H", members=names)
    ids = threaded.fill(200)
    for number, name in enumerate(names.split()):
        threaded.user(name).claim_batch(ids[number * 50 : number * 50 + 50])
    threaded.clock.forward(HOUR)

    with counted(threaded) as made:
        assert threaded.sweep().returned == 200

    assert made["TransactWriteItems"] == 4  # three return the claims, one stores the next check of the pool
    assert made["Query"] == 7  # the due checks of four shards; the due claims, twice; the due private customers


VERBS = {
    "claim": ("alice", "free", {}),
    "release": ("alice", "held", {}),
    "extend": ("mona", "held", {"by": "P1D"}),
    "follow-up": ("alice", "held", {"note": "called"}),
    "assign": ("mona", "free", {"to": "bob"}),
    "transfer": ("mona", "held", {"to": "bob"}),
    "win": ("alice", "held", {}),
    "convert": ("mona", "held", {}),
    "deposit": ("alice", "own", {}),
    "pin": ("alice", "held", {"until": "2026-06-05T00:00:00Z"}),
    "unpin": ("alice", "pinned", {}),
    "restore": ("mona", "aside", {}),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_single_verb_is_one_transaction_when_warm(world: World, verb: str) -> None:
    mona = world.pool(claim_ttl="P7D", holding_limit=9, daily_claim_limit=9, max_returns=1, pin_limit=2, customers=5)
    world.alice.claim_batch(["c2", "c3", "c4", "c5"])
    world.alice.post("/customers/c3/win")
    world.alice.post("/customers/c4/pin", {"until": "2026-06-04T00:00:00Z"})
    world.alice.release("c5")
    target = {"free": "c1", "held": "c2", "own": "c3", "pinned": "c4", "aside": "c5"}
    who, which, body = VERBS[verb]
    mona.get("/customers")

    with counted(world) as made:
        reply = world.user(who).post(f"/customers/{target[which]}/{verb}", body or None)

    assert reply.status == 200, reply.text
    assert made == {"TransactWriteItems": 1}


def test_a_claim_refused_at_the_limit_is_three_requests(world: World) -> None:
    world.pool(holding_limit=0, customers=1)
    world.mona.get("/customers")

    with counted(world) as made:
        assert world.alice.claim("c1").code == "holding_limit"

    # Own expired claims are queried before the limit is reported, in case a sweep has just returned some.
    assert made == {"TransactWriteItems": 1, "Query": 1, "BatchGetItem": 1}


def test_a_verb_in_a_paused_pool_also_reads_the_pool(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")

    with counted(world) as made:
        assert world.alice.release("c1").status == 200

    assert made == {"BatchGetItem": 1, "TransactWriteItems": 1}


def test_claim_next_skips_ineligible_customers_in_batches(threaded: World) -> None:
    mona = threaded.pool(embargo="P1D", customers=3)
    threaded.clock.forward(2 * DAY)
    for name in ("first", "second"):
        rows = [{"id": f"{name}{number}", "name": "New", "priority": 5} for number in range(100)]
        assert mona.post("/import", {"rows": rows}).json["summary"]["ok"] == 100

    with counted(threaded) as made:
        taken = threaded.alice.claim_next(2).json["items"]

    assert [each["id"] for each in taken] == ["c1", "c2"]
    assert made["Query"] <= 8 and made["BatchGetItem"] <= 8 and made["TransactWriteItems"] <= 3
