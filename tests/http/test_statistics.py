"""Statistics: what happened by day and by member, counted by the transactions that did it."""

from __future__ import annotations

from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, START, World


def test_statistics_count_by_day_and_member_and_include_current_totals(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=6)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.release("c1")

    world.clock.forward(DAY + HOUR)
    world.bob.claim("c1")
    world.sweep()
    world.bob.post("/customers/c1/win")
    shown = mona.get("/stats?from=2026-06-01&to=2026-06-02").json

    first = {"day": "2026-06-01", "entered": 6, "claimed": 3, "released": 1, "expired": 0, "won": 0}
    second = {"day": "2026-06-02", "entered": 0, "claimed": 1, "released": 0, "expired": 2, "won": 1}
    assert shown["by_day"] == [first, second]
    assert shown["totals"] == {"entered": 6, "claimed": 4, "released": 1, "expired": 2, "won": 1}
    assert {row["user_id"]: (row["claimed"], row["expired"]) for row in shown["by_member"]} == {
        "alice": (3, 2), "bob": (1, 0), "mona": (0, 0)
    }  # fmt: skip
    assert shown["now"].items() >= {"available": 5, "claimed": 0, "set_aside": 0}.items()


def test_taking_over_an_expired_claim_counts_an_expiration_and_a_claim(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")

    world.clock.forward(2 * DAY)
    world.bob.claim("c1")

    shown = {row["user_id"]: row for row in mona.get("/stats").json["by_member"]}
    assert (shown["alice"]["claimed"], shown["alice"]["expired"]) == (1, 1)
    assert (shown["bob"]["claimed"], shown["bob"]["expired"]) == (1, 0)


def test_statistics_use_days_in_the_time_zone_of_the_pool(world: World) -> None:
    mona = world.pool(time_zone="Asia/Shanghai", customers=2)
    midnight_in_shanghai = START + 8 * HOUR
    world.clock.now = midnight_in_shanghai - 1
    world.alice.claim("c1")

    world.clock.now = midnight_in_shanghai
    world.alice.claim("c2")

    claimed = {row["day"]: row["claimed"] for row in mona.get("/stats").json["by_day"]}
    assert claimed == {"2026-06-01": 1, "2026-06-02": 1}


def test_the_first_claim_of_a_day_archives_the_day_before_in_one_more_transaction(world: World) -> None:
    world.pool(daily_claim_limit=2, customers=4)
    alice = world.alice
    alice.claim_batch(["c1", "c2"])
    world.clock.forward(DAY)
    alice.get("/members/me")
    alice.customer("c3")

    with counted(world) as first:
        assert alice.claim("c3").status == 200
    world.alice.customer("c4")
    with counted(world) as second:
        assert alice.claim("c4").status == 200

    assert first == {"TransactWriteItems": 2}
    assert second == {"TransactWriteItems": 1}


def test_a_member_who_left_stays_in_the_statistics(world: World) -> None:
    mona = world.pool(customers=3)
    world.alice.claim_batch(["c1", "c2"])

    assert mona.delete("/members/alice?held=release").status == 200

    shown = mona.get("/stats").json
    assert {row["user_id"]: row["claimed"] for row in shown["by_member"]}["alice"] == 2
    assert shown["now"].items() >= {"available": 3, "claimed": 0, "set_aside": 0}.items()


def test_removing_a_manager_does_not_change_the_customer_count(world: World) -> None:
    world.pool(customers=3)
    world.root.put("/members/max", {"role": "manager"})

    world.user("max").delete("/members/mona")

    assert world.user("max").get("/stats").json["now"].items() >= {"available": 3, "claimed": 0, "set_aside": 0}.items()


def test_statistics_cost_the_same_for_any_number_of_customers(world: World) -> None:
    mona = world.pool(customers=2)
    with counted(world) as small:
        mona.get("/stats")

    world.fill(30, prefix="d")
    with counted(world) as large:
        mona.get("/stats")

    assert small == large


def test_statistics_require_a_manager_and_a_valid_range_of_days(world: World) -> None:
    mona = world.pool()

    assert world.alice.get("/stats").code == "not_manager"
    for days in (
        "from=2026-06-02&to=2026-06-01",
        "from=2020-01-01&to=2026-06-01",
        "from=yesterday",
        "to=2026-02-30",
    ):
        assert mona.get(f"/stats?{days}").status == 422, days


def test_the_largest_atomic_batch_succeeds_on_a_new_day(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(98)
    threaded.alice.claim("c1")
    threaded.alice.release("c1")
    threaded.clock.forward(DAY)

    claimed = threaded.alice.claim_batch(ids, atomic=True, idempotency_key="k")

    assert claimed.status == 200, claimed.text[:300]
    days = {row["day"]: row["claimed"] for row in threaded.mona.get("/stats").json["by_day"]}
    assert days == {"2026-06-01": 1, "2026-06-02": 98}


def test_statistics_of_any_day_never_get_a_5xx(world: World) -> None:
    mona = world.pool()

    for query in ("to=0001-01-05", "to=9999-12-31", "from=0001-01-01&to=0001-01-02"):
        assert mona.get(f"/stats?{query}").status == 200, query
    for query in ("from=0001-01-01", "from=9999-12-31"):
        assert mona.get(f"/stats?{query}").code == "invalid_request", query
