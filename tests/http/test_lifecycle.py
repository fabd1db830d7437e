"""Assigning, transferring, extending, following up, winning, converting and depositing customers."""

from __future__ import annotations

from chalicelib.model.times import rfc3339
from tests.support.world import DAY, HOUR, MINUTE, START, World


def test_a_manager_assigns_an_available_customer_to_a_member_or_to_themself(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", daily_claim_limit=0, customers=2)

    to_alice = mona.post("/customers/c1/assign", {"to": "alice"})
    to_mona = mona.post("/customers/c2/assign", {"to": "mona"})

    assert (to_alice.json["holder"], to_mona.json["holder"]) == ("alice", "mona")
    assert to_alice.json["expires_at"] == rfc3339(world.clock.now + 7 * DAY)
    assert world.alice.get("/members/me").json["claimed_today"] == 0
    assert mona.events("c1")[-1] == "assigned"


def test_an_assignment_never_takes_a_member_above_their_limit(world: World) -> None:
    mona = world.pool(holding_limit=2, customers=4)
    world.alice.claim("c1")

    batch = mona.post("/assign", {"customer_ids": ["c1", "c2", "c3", "c4"], "to": "alice"})

    assert batch.results == ["already_claimed", "ok", "holding_limit", "holding_limit"]
    assert world.alice.held() == 2


def test_only_a_manager_assigns_and_only_to_members(world: World) -> None:
    mona = world.pool(customers=1)

    assert world.alice.post("/customers/c1/assign", {"to": "alice"}).code == "not_manager"
    assert mona.post("/customers/c1/assign", {"to": "eve"}).code == "not_a_member"
    assert mona.post("/customers/nobody/assign", {"to": "alice"}).code == "not_found"


def test_a_transfer_moves_the_customer_and_starts_a_clock_of_its_own(world: World) -> None:
    mona = world.pool(claim_ttl="PT2H", cooldown="P1D", customers=1)
    old = world.alice.claim("c1").json
    world.clock.forward(HOUR)

    moved = mona.post("/customers/c1/transfer", {"to": "bob", "claim_id": old["claim_id"]})

    assert moved.json["holder"] == "bob" and moved.json["claim_id"] != old["claim_id"]
    assert moved.json["expires_at"] == rfc3339(world.clock.now + 2 * HOUR)
    assert (world.alice.held(), world.bob.held()) == (0, 1)
    world.bob.release("c1")
    assert world.alice.claim("c1").code == "cooldown"


def test_a_transfer_respects_the_limit_and_the_claim_that_the_client_knew(world: World) -> None:
    mona = world.pool(holding_limit=1, customers=2)
    world.alice.claim("c1")
    world.bob.claim("c2")

    assert mona.post("/customers/c1/transfer", {"to": "bob"}).code == "holding_limit"
    assert mona.post("/customers/c1/transfer", {"to": "alice", "claim_id": "other"}).code == "claim_changed"
    assert mona.post("/customers/c1/transfer", {"to": "alice"}).json["version"] == 2
    assert world.bob.post("/customers/c1/transfer", {"to": "bob"}).code == "not_manager"


def test_an_extension_starts_at_the_current_deadline_and_returns_both_deadlines(world: World) -> None:
    world.pool(claim_ttl="PT2H", extension="PT1H", members_may_extend=True, customers=1)
    old = world.alice.claim("c1").json["expires_at"]
    world.clock.forward(30 * MINUTE)

    extended = world.alice.post("/customers/c1/extend")

    assert extended.json["old_expires_at"] == old
    assert extended.json["expires_at"] == rfc3339(world.clock.now + 2 * HOUR + 30 * MINUTE)
    assert extended.json["extensions"] == 1


def test_extensions_are_capped_by_count_and_by_total_time(world: World) -> None:
    world.pool(claim_ttl="PT1H", extension="PT1H", members_may_extend=True, max_extensions=1)
    world.pool("q", claim_ttl="PT1H", members_may_extend=True, max_hold="PT3H")
    world.fill(1)
    world.fill(1, "q")
    alice, other = world.alice, world.user("alice", pool="q")
    alice.claim("c1")
    other.claim("c1")

    assert [alice.post("/customers/c1/extend").status for _ in range(2)] == [200, 409]
    assert alice.post("/customers/c1/extend").code == "extension_limit"
    assert other.post("/customers/c1/extend", {"by": "PT2H"}).status == 200
    assert other.post("/customers/c1/extend", {"by": "PT1S"}).code == "extension_limit"


def test_only_managers_extend_unless_the_policy_lets_members(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", extension="PT1H", customers=1)
    world.alice.claim("c1")

    refused = world.alice.post("/customers/c1/extend")

    assert (refused.status, refused.code) == (403, "extension_not_allowed")
    assert world.bob.post("/customers/c1/extend").code == "not_holder"
    assert mona.post("/customers/c1/extend").status == 200


def test_a_missing_extension_length_is_reported_only_to_those_who_may_extend(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", customers=2)
    world.alice.claim("c1")

    def refusals(who: str) -> list[str]:
        return [world.user(who).post(f"/customers/{each}/extend").code for each in ("c1", "c2", "nobody")]

    assert refusals("zed") == ["not_a_member"] * 3
    assert refusals("bob") == ["not_holder", "not_claimed", "not_found"]
    assert refusals("alice") == ["extension_not_allowed", "not_claimed", "not_found"]
    assert refusals("mona") == ["invalid_request", "not_claimed", "not_found"]
    assert mona.post("/customers/c1/extend").json["errors"] == ["by: the policy has no default extension: send `by`"]


def test_a_batch_of_extensions_without_a_length_is_rejected_as_a_whole(
    world: World,
) -> None:
    mona = world.pool(claim_ttl="PT1H", customers=2)
    alice, body = world.alice, {"customer_ids": ["c1", "c2", "nobody"]}
    alice.claim("c1")

    refused = [mona.post("/extend", body | {"atomic": atomic}) for atomic in (False, True)]

    assert [(reply.status, reply.code) for reply in refused] == [(422, "invalid_request")] * 2
    assert alice.post("/extend", body).results == ["extension_not_allowed", "not_claimed", "not_found"]


def test_an_extension_of_zero_is_rejected(world: World) -> None:
    world.pool(claim_ttl="PT1H", extension="PT1H", members_may_extend=True, customers=1)
    world.alice.claim("c1")

    refused = [world.alice.post("/customers/c1/extend", {"by": by}) for by in ("", "P", "PT0S", "soon")]

    assert {(reply.status, reply.code) for reply in refused} == {(422, "invalid_request")}


def test_an_expired_claim_cannot_be_extended(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", extension="PT1H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    assert mona.post("/customers/c1/extend").code == "expired"


def test_an_extension_a_millisecond_earlier_wins_over_the_sweep(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", extension="PT1H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(HOUR - 1)
    mona.post("/customers/c1/extend")
    world.clock.forward(1)

    assert world.sweep().due == 0
    assert world.alice.held() == 1


def test_a_follow_up_restarts_the_clock_only_if_the_policy_enables_it(world: World) -> None:
    world.pool(claim_ttl="PT2H", follow_up_restarts_clock=True)
    world.pool("q", claim_ttl="PT2H")
    world.fill(1)
    world.fill(1, "q")
    world.alice.claim("c1")
    deadline = world.user("alice", pool="q").claim("c1").json["expires_at"]
    world.clock.forward(HOUR)

    restarted = world.alice.post("/customers/c1/follow-up", {"note": "rang", "outcome": "interested"})
    kept = world.user("alice", pool="q").post("/customers/c1/follow-up", {"note": "called"})

    assert restarted.json["expires_at"] == rfc3339(world.clock.now + 2 * HOUR)
    assert kept.json["expires_at"] == deadline
    assert restarted.json["last_follow_up_at"] == rfc3339(world.clock.now)
    assert world.bob.post("/customers/c1/follow-up", {"note": "called"}).code == "not_holder"


def test_the_earlier_of_idle_clock_and_claim_clock_ends_a_claim(world: World) -> None:
    world.pool(claim_ttl="PT5H", idle_ttl="PT2H", max_hold="PT4H", customers=1)
    alice = world.alice
    start = world.clock.now

    assert alice.claim("c1").json["expires_at"] == rfc3339(start + 2 * HOUR)
    world.clock.forward(HOUR)
    assert alice.post("/customers/c1/follow-up", {"note": "called"}).json["expires_at"] == rfc3339(start + 3 * HOUR)
    world.clock.forward(HOUR + 30 * MINUTE)
    assert alice.post("/customers/c1/follow-up", {"note": "called"}).json["expires_at"] == rfc3339(start + 4 * HOUR)


def test_a_converted_customer_is_private_without_quota_or_clock(world: World) -> None:
    world.pool(claim_ttl="PT1H", holding_limit=1, customers=2)
    alice = world.alice
    alice.claim("c1")

    won = alice.post("/customers/c1/win")

    assert (won.json["state"], won.json["holder"], won.json["expires_at"]) == ("private", "alice", None)
    assert alice.held() == 0 and alice.claim("c2").status == 200
    world.clock.forward(DAY)
    assert world.sweep().due == 1
    assert alice.get("/customers?state=private&holder=me").ids == ["c1"]
    assert world.mona.claim("c1").code == "already_claimed"


def test_a_holder_whose_claim_was_converted_for_another_waits_for_the_cooldown(
    world: World,
) -> None:
    mona = world.pool(cooldown="P1D", customers=1)
    world.alice.claim("c1")
    mona.post("/customers/c1/convert", {"to": "bob"})
    world.clock.forward(HOUR)
    world.bob.post("/customers/c1/deposit")

    refused = world.alice.claim("c1")

    assert (refused.code, refused.json["retry_at"]) == ("cooldown", rfc3339(START + 1 + DAY))


def test_a_manager_converts_a_claimed_customer_or_an_available_one_to_a_named_member(world: World) -> None:
    mona = world.pool(customers=3)
    world.alice.claim("c1")

    batch = mona.post("/convert", {"customer_ids": ["c1", "c2"]})
    named = mona.post("/customers/c2/convert", {"to": "bob"})

    assert batch.results == ["ok", "not_claimed"]
    assert (named.json["state"], named.json["holder"]) == ("private", "bob")
    assert world.alice.held() == 0
    assert world.alice.post("/customers/c3/convert", {"to": "alice"}).code == "not_manager"


def test_a_private_customer_is_deposited_by_its_holder_or_a_manager(world: World) -> None:
    mona = world.pool(embargo="PT1H", customers=2)
    world.clock.forward(HOUR)
    for each in ("c1", "c2"):
        world.alice.claim(each)
        world.alice.post(f"/customers/{each}/win")

    assert world.bob.post("/customers/c1/deposit").code == "not_found"
    assert world.alice.post("/customers/c1/deposit").json["state"] == "available"
    assert mona.post("/deposit", {"customer_ids": ["c1", "c2"]}).results == ["already_available", "ok"]
    assert world.bob.claim("c1").code == "embargoed"
    assert mona.events("c1") == ["imported", "claimed", "won", "deposited"]


def test_a_conversion_is_kept_until_the_customer_returns_to_the_pool(world: World) -> None:
    mona = world.pool(customers=2)
    alice = world.alice
    alice.claim_batch(["c1", "c2"])

    won = alice.post("/customers/c1/win").json
    converted = mona.post("/customers/c2/convert").json
    edited = alice.patch("/customers/c1", {"name": "Renamed"}).json
    deposited = alice.post("/customers/c1/deposit").json
    again = alice.claim("c1").json

    assert won["won_at"] == rfc3339(world.clock.now) == edited["won_at"]
    assert (converted["state"], converted["won_at"]) == ("private", None)
    assert deposited["won_at"] is None and again["won_at"] is None
