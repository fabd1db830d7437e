"""Pausing and resuming a pool, which stops its clocks (rule 21)."""

from __future__ import annotations

import pytest

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import Crash, counted, failing, hooked
from tests.support.world import DAY, HOUR, MINUTE, START, World


def test_a_paused_pool_refuses_claims_and_accepts_releases(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=3)
    alice = world.alice
    alice.claim("c1")

    paused = world.root.post("/pause").json

    assert paused["status"] == "paused"
    refused = [
        alice.claim("c2"), alice.claim_next(), mona.post("/customers/c2/assign", {"to": "bob"}),
        mona.post("/customers/c1/transfer", {"to": "bob"}),
    ]  # fmt: skip
    assert [reply.code for reply in refused] == ["pool_not_open"] * 4
    assert alice.claim_batch(["c2", "c3"]).results == ["pool_not_open"] * 2
    assert alice.post("/customers/c1/follow-up", {"note": "called"}).status == 200
    assert alice.release("c1").status == 200


def test_a_pause_stops_the_clock_and_resuming_shifts_every_deadline_by_exactly_the_pause(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=2)
    before = world.alice.claim("c1").json["expires_at"]
    world.clock.forward(3 * DAY)
    world.root.post("/pause")
    world.clock.forward(30 * DAY)

    assert world.sweep().due == 0
    assert world.alice.customer("c1")["expires_at"] == before
    resumed = world.root.post("/resume").json

    assert resumed["status"] == "open"
    assert before == rfc3339(START + 7 * DAY + 1)
    assert world.alice.customer("c1")["expires_at"] == rfc3339(START + 37 * DAY + 1)
    assert world.alice.claim("c2").json["expires_at"] == rfc3339(world.clock() + 7 * DAY)


def test_a_claim_that_expired_before_the_pause_is_returned_during_it(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=2)
    world.alice.claim("c1")
    world.clock.forward(DAY - HOUR)
    world.bob.claim("c2")
    world.clock.forward(2 * HOUR)
    world.root.post("/pause")
    world.clock.forward(5 * DAY)

    report = world.sweep()

    assert (report.due, report.returned) == (1, 1)
    assert world.bob.release("c2").status == 200


@pytest.mark.parametrize("swept", [True, False])
def test_a_pause_does_not_extend_the_cooldown_of_an_earlier_expired_claim(world: World, swept: bool) -> None:
    world.pool(claim_ttl="PT1H", cooldown="PT4H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(2 * HOUR)
    if swept:
        world.sweep()

    world.root.post("/pause")
    world.clock.forward(3 * HOUR)
    world.root.post("/resume")

    assert world.alice.get("/customers/c1/eligibility").json == {"eligible": True, "blocking": []}
    assert world.alice.claim("c1").status == 200
    assert world.alice.events("c1") == ["imported", "claimed", "expired", "claimed"]


def test_the_holder_keeps_all_rights_while_the_clock_stands_still(world: World) -> None:
    world.pool(claim_ttl="P1D", extension="P1D", members_may_extend=True, customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")
    world.clock.forward(9 * DAY)

    extended = world.alice.post("/customers/c1/extend").json
    world.root.post("/resume")

    assert extended["expires_at"] == rfc3339(START + 2 * DAY + 1)
    assert world.alice.customer("c1")["expires_at"] == rfc3339(START + 11 * DAY + 1)


def test_a_follow_up_during_a_pause_restarts_the_idle_clock_from_the_end_of_the_pause(world: World) -> None:
    world.pool(idle_ttl="P3D", follow_up_restarts_clock=True, customers=1)
    world.alice.claim("c1")
    world.clock.forward(2 * DAY)
    world.root.post("/pause")
    world.clock.forward(4 * DAY)

    world.alice.post("/customers/c1/follow-up", {"note": "called"})
    world.clock.forward(DAY)
    world.root.post("/resume")

    assert world.alice.customer("c1")["expires_at"] == rfc3339(world.clock() + 3 * DAY)


def test_two_pauses_add_up_and_survive_a_policy_applied_to_all(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")
    for days in (1, 2):
        world.root.post("/pause")
        world.clock.forward(days * DAY)
        world.root.post("/resume")

    version = mona.get().json["version"]
    patch = {"policy": {"claim_ttl": "P8D"}, "apply_to": "all"}
    assert mona.patch("", patch, if_match=str(version)).json["affected"] == 1

    assert world.alice.customer("c1")["expires_at"] == rfc3339(START + 11 * DAY + 1)


def test_max_hold_is_measured_without_the_pauses(world: World) -> None:
    mona = world.pool(claim_ttl="P2D", max_hold="P4D", customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")
    world.clock.forward(20 * DAY)
    world.root.post("/resume")

    assert mona.post("/customers/c1/extend", {"by": "P2D"}).status == 200
    assert mona.post("/customers/c1/extend", {"by": "PT1S"}).code == "extension_limit"


def test_a_second_pause_or_resume_changes_nothing(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")

    versions = [world.root.post("/pause").json["version"]]
    world.clock.forward(DAY)
    versions += [world.root.post("/pause").json["version"]]
    first = world.root.post("/resume").json
    again = world.root.post("/resume").json

    assert versions[0] == versions[1]
    assert first == again
    assert world.alice.customer("c1")["expires_at"] == rfc3339(START + 8 * DAY + 1)


def test_the_schedule_finishes_a_resume_killed_at_any_point(threaded: World) -> None:
    threaded.pool(claim_ttl="P7D", members="alice bob")
    ids = threaded.fill(150)
    threaded.alice.claim_batch(ids[:100])
    threaded.bob.claim_batch(ids[100:])

    for call_number in range(1, 9):
        threaded.root.post("/pause")
        threaded.clock.forward(HOUR)
        with pytest.raises(Crash), failing(threaded, call_number, operation=""):
            threaded.root.post("/resume")
            raise Crash
        threaded.clock.forward(MINUTE)
        threaded.sweep()
        assert threaded.root.get().json["status"] in ("open", "paused")
        threaded.root.post("/resume")

    shown = threaded.mona.get("/customers?state=claimed&limit=100").json["items"]
    assert len({each["expires_at"] for each in shown}) == 1, "all were claimed at once, so all end at once"


def test_resuming_costs_one_transaction_per_hundred_claims(threaded: World) -> None:
    threaded.pool(claim_ttl="P7D")
    threaded.alice.claim_batch(threaded.fill(90))
    threaded.root.post("/pause")
    threaded.clock.forward(HOUR)

    with counted(threaded) as made:
        threaded.root.post("/resume")

    assert made["TransactWriteItems"] == 3  # the start of the resume, the claims, the status of the pool


def test_a_claim_transferred_during_a_pause_has_a_stopped_clock(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")
    world.clock.forward(DAY)
    mona.delete("/members/alice?held=transfer&to=bob")
    world.clock.forward(30 * DAY)

    kept = world.bob.post("/customers/c1/follow-up", {"note": "called"})
    world.root.post("/resume")

    assert kept.status == 200
    assert world.bob.customer("c1")["expires_at"] == rfc3339(world.clock() + 7 * DAY)


def test_a_request_refused_as_in_progress_can_be_repeated_with_its_key(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")
    with failing(world, 2), pytest.raises(Crash):
        world.root.post("/resume")

    first = world.root.post("/pause", idempotency_key="k")
    world.sweep()
    again = world.root.post("/pause", idempotency_key="k")

    assert (first.code, again.status) == ("request_in_progress", 200)


def test_a_verb_during_a_resume_is_retried_and_applied_once(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")
    ours, other = world.service, world.another_process()

    def resume(**_: object) -> None:
        if world.service is ours:
            world.service = other
            world.root.post("/resume")

    with hooked(world, "before-call.dynamodb.TransactWriteItems", resume):
        met = world.alice.release("c1", idempotency_key="k")
    again = world.alice.release("c1", idempotency_key="k")

    assert (met.status, met.code) == (429, "throttled")
    assert (again.status, world.alice.held()) == (200, 0)
