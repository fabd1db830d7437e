"""What each request costs the engine: counted, not hoped."""

from __future__ import annotations

from tests.engine import counted
from tests.world import HOUR, World


def test_a_warm_claim_and_a_warm_release_are_one_transaction_and_no_read(world: World) -> None:
    world.pool(holding_limit=5, daily_claim_limit=50, claim_ttl="P7D")
    world.fill(2)
    alice = world.user("alice")

    with counted(world) as claim:
        assert alice.claim("c1").status == 200
    with counted(world) as keyed:
        assert alice.claim("c2", idempotency_key="k1").status == 200
    with counted(world) as release:
        assert alice.release("c1").status == 200

    assert claim == keyed == release == {"TransactWriteItems": 1}


def test_a_process_that_has_never_seen_the_customer_reads_it_once(world: World) -> None:
    world.pool()
    world.fill(1)
    world.service = world.another_process()
    world.user("alice").get("/members/me")

    with counted(world) as made:
        assert world.user("alice").claim("c1").status == 200

    assert made == {"BatchGetItem": 1, "TransactWriteItems": 1}


def test_losing_a_race_costs_no_read_either(world: World) -> None:
    world.pool()
    world.fill(1)
    other = world.another_process()
    world.user("alice").customer("c1")
    mine, world.service = world.service, other
    world.user("bob").claim("c1")
    world.service = mine

    with counted(world) as made:
        assert world.user("alice").claim("c1").code == "already_claimed"

    assert made == {"TransactWriteItems": 1}


def test_taking_over_a_lapsed_claim_is_one_transaction(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    world.fill(1)
    world.user("bob").claim("c1")
    world.clock.forward(HOUR)
    with counted(world) as made:
        assert world.user("alice").claim("c1").status == 200

    assert made["TransactWriteItems"] == 1


def test_a_batch_of_98_takes_one_transaction(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(98)

    with counted(threaded) as made:
        assert threaded.user("alice").claim_batch(ids).json["summary"]["ok"] == 98

    assert made == {"TransactWriteItems": 1}


def test_a_batch_of_100_of_which_30_are_held_by_others_takes_at_most_6_requests(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(100)
    mine, threaded.service = threaded.service, threaded.another_process()
    threaded.user("bob").claim_batch(ids[::3][:30])
    threaded.service = mine

    with counted(threaded) as made:
        assert threaded.user("alice").claim_batch(ids).json["summary"]["ok"] == 70

    assert made.total() <= 6


def test_a_list_page_is_two_requests_whatever_the_size_of_the_pool(threaded: World) -> None:
    threaded.pool()
    threaded.fill(130)
    alice = threaded.user("alice")
    alice.claim_batch(["c1", "c2"])

    for query in ("", "?state=available", "?state=claimed", "?holder=me", "?state=claimed&holder=alice"):
        with counted(threaded) as made:
            assert alice.get(f"/customers{query}").status == 200
        assert made == {"Query": 1, "BatchGetItem": 1}, query


def test_a_sweep_of_200_claims_of_4_members_takes_3_transactions(threaded: World) -> None:
    names = "alice bob carl dora"
    threaded.pool(claim_ttl="PT1H", members=names)
    ids = threaded.fill(200)
    for number, name in enumerate(names.split()):
        threaded.user(name).claim_batch(ids[number * 50 : number * 50 + 50])
    threaded.clock.forward(HOUR)

    with counted(threaded) as made:
        assert threaded.sweep().returned == 200

    assert made["TransactWriteItems"] == 3
    assert made["Query"] == 3  # the tenants, their pools, the due claims
