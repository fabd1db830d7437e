"""Claiming: limits, deadlines, cooldowns and embargoes."""

from __future__ import annotations

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted, interrupted
from tests.support.world import DAY, HOUR, MINUTE, START, User, World


def test_a_claimed_customer_has_a_holder_and_a_deadline(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=1)

    claimed = world.alice.claim("c1")

    assert claimed.status == 200
    assert claimed.json["holder"] == "alice" and claimed.json["state"] == "claimed"
    assert claimed.json["expires_at"] == rfc3339(world.clock.now + 7 * DAY)
    assert claimed.headers["ETag"] == '"2"'


def test_a_second_claim_is_refused_with_the_end_of_the_first(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    expires_at = world.alice.claim("c1").json["expires_at"]

    refused = world.bob.claim("c1")

    assert (refused.status, refused.code) == (409, "already_claimed")
    assert refused.json["retry_at"] == expires_at
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_a_limit_of_zero_means_none_and_an_absent_one_means_unlimited(world: World) -> None:
    mona = world.pool(holding_limit=0)
    world.pool("open")
    world.fill(1)
    world.fill(1, "open")

    assert world.alice.claim("c1").code == "holding_limit"
    assert world.user("alice", pool="open").claim("c1").status == 200
    assert mona.get("/members/alice").json["headroom"] == 0


def test_a_lowered_limit_takes_nothing_away_but_stops_claims_until_below_it(world: World) -> None:
    mona = world.pool(customers=4)
    alice = world.alice
    alice.claim_batch(["c1", "c2", "c3"])

    mona.put("/members/alice", {"role": "member", "holding_limit": 2})

    assert alice.held() == 3
    assert alice.claim("c4").json["used"] == 3
    alice.release_batch(["c1", "c2"])
    assert alice.claim("c4").status == 200


def test_a_daily_count_survives_a_time_zone_change_until_the_new_day_ends(world: World) -> None:
    mona = world.pool(daily_claim_limit=1, time_zone="Pacific/Kiritimati")  # 22:00 there, 20:00 of the day before here
    world.fill(2)
    alice = world.alice
    alice.claim("c1")
    mona.patch("", {"policy": {"time_zone": "Etc/GMT+12"}}, if_match="1")

    refused = alice.claim("c2").json
    assert refused["retry_at"] == alice.get("/members/me").json["resets_at"] == "2026-06-02T12:00:00.000Z"
    world.clock.now = START + 28 * HOUR - 1
    assert alice.claim("c2").code == "daily_limit"
    world.clock.forward(1)
    assert alice.claim("c2").status == 200


def test_a_refused_claim_uses_nothing_of_the_daily_limit(world: World) -> None:
    world.pool(daily_claim_limit=1, customers=2)
    world.bob.claim("c1")

    world.alice.claim("c1")

    assert world.alice.claim("c2").status == 200


def test_a_claim_cannot_be_taken_a_millisecond_before_its_deadline(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(HOUR - 1)

    assert world.bob.claim("c1").code == "already_claimed"
    assert world.sweep().due == 0


def test_own_expired_claims_do_not_use_headroom(world: World) -> None:
    world.pool(claim_ttl="PT1H", holding_limit=2, customers=4)
    world.alice.claim_batch(["c1", "c2"])
    world.clock.forward(HOUR)

    assert world.alice.claim("c3").status == 200
    assert world.alice.held() == 1
    assert world.alice.claim("c4").status == 200


def one_expired_of_two(world: World) -> User:
    """Give alice the expired claim c1 and the live claim c2, at a limit of two."""
    world.pool(claim_ttl="PT1H", holding_limit=2, customers=4)
    world.alice.claim("c1")
    world.clock.forward(HOUR)
    world.alice.claim("c2")
    return world.alice


def test_a_refused_atomic_batch_counts_own_expired_claims_as_headroom(world: World) -> None:
    alice = one_expired_of_two(world)

    refused = alice.claim_batch(["nobody", "c3", "c4"], atomic=True)

    assert refused.results == ["not_found", "ok", "holding_limit"]


def test_own_expired_claims_are_queried_once_in_a_request(world: World) -> None:
    alice = one_expired_of_two(world)

    with counted(world) as made:
        assert alice.claim_batch(["c3", "c4"]).results == ["ok", "holding_limit"]

    # c3 and c4 are read, and refused; c1 is found, read, and returned; c3 and c4 are refused, and c3 is claimed.
    assert made == {"BatchGetItem": 2, "TransactWriteItems": 4, "Query": 1}


def test_an_own_expired_claim_can_be_claimed_again_at_the_limit(world: World) -> None:
    world.pool(claim_ttl="PT1H", holding_limit=1, customers=1)
    first = world.alice.claim("c1").json
    world.clock.forward(HOUR)

    again = world.alice.claim("c1")

    assert again.status == 200 and again.json["claim_id"] != first["claim_id"]
    assert world.alice.held() == 1


def test_the_cooldown_applies_to_every_past_holder(world: World) -> None:
    world.pool(cooldown="PT1H", customers=1)
    world.alice.claim("c1")
    world.alice.release("c1")
    world.clock.forward(10 * MINUTE)
    world.bob.claim("c1")
    world.bob.release("c1")

    refused = world.alice.claim("c1")

    assert refused.code == "cooldown"
    assert refused.json["retry_at"] == rfc3339(START + 1 + HOUR)
    world.clock.forward(50 * MINUTE)
    assert world.bob.claim("c1").code == "cooldown"
    assert world.alice.claim("c1").status == 200


def test_the_cooldown_of_an_expired_claim_starts_at_its_deadline(world: World) -> None:
    world.pool(cooldown="PT1H", claim_ttl="PT1H", customers=2)
    world.alice.claim_batch(["c1", "c2"])
    world.clock.forward(HOUR + 30 * MINUTE)

    unswept = world.alice.claim("c1")
    world.sweep()
    swept = world.alice.claim("c1")

    assert unswept.code == swept.code == "cooldown"
    assert unswept.json["retry_at"] == swept.json["retry_at"] == rfc3339(START + 1 + 2 * HOUR)
    world.clock.forward(30 * MINUTE)
    assert world.alice.claim("c1").status == 200


def test_a_new_customer_cannot_be_claimed_during_the_embargo(world: World) -> None:
    world.pool(embargo="PT2H", customers=1)

    refused = world.alice.claim("c1")

    assert refused.code == "embargoed"
    assert refused.json["retry_at"] == world.alice.customer("c1")["available_at"] == rfc3339(START + 2 * HOUR)
    world.clock.forward(2 * HOUR)
    assert world.alice.claim("c1").status == 200


def test_the_first_failing_rule_names_the_refusal(world: World) -> None:
    world.pool(embargo="P1D", holding_limit=0, daily_claim_limit=0, customers=1)

    assert world.user("eve").claim("c1").code == "not_a_member"
    assert world.user("eve").claim("nobody").code == "not_a_member"
    assert world.alice.claim("nobody").code == "not_found"
    assert world.alice.claim("c1").code == "embargoed"
    world.clock.forward(DAY)
    assert world.alice.claim("c1").code == "daily_limit"


def test_a_claim_that_loses_to_a_sweep_keeps_the_headroom_of_expired_claims(world: World) -> None:
    world.pool(holding_limit=1, claim_ttl="PT1H", customers=2)
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    with interrupted(world, "Query", world.sweep):
        claimed = world.alice.claim("c2")

    assert (claimed.status, claimed.json["holder"]) == (200, "alice")
