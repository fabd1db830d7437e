"""Changing what rules a pool, changing what a customer says, and asking why one cannot claim."""

from __future__ import annotations

from typing import Any

from chalicelib.times import rfc3339
from tests.world import DAY, HOUR, Reply, User, World


def patch(user: User, version: int | None, **body: Any) -> Reply:
    headers = {} if version is None else {"if_match": f'"{version}"'}
    return user.request("PATCH", "/v1/pools/p", body, **headers)


def blocking(user: User, customer: str) -> list[str]:
    return [each["code"] for each in user.get(f"/customers/{customer}/eligibility").json["blocking"]]


def test_a_change_names_the_version_that_the_manager_saw(world: World) -> None:
    mona = world.pool(holding_limit=1)

    assert (patch(mona, None, name="New").status, patch(mona, None, name="New").code) == (412, "version_conflict")
    assert patch(mona, 7, name="New").status == 412
    changed = patch(mona, 1, policy={"daily_claim_limit": 3})
    assert changed.json["policy"]["holding_limit"] == 1 and changed.json["policy"]["daily_claim_limit"] == 3
    assert changed.headers["ETag"] == '"2"'


def test_only_a_manager_changes_a_policy(world: World) -> None:
    world.pool()

    assert patch(world.user("alice"), 1, name="Mine").code == "not_manager"
    assert patch(world.user("eve"), 1, name="Mine").code == "not_a_member"
    assert patch(world.user("alice"), 1, name="Mine", dry_run=True).code == "not_manager"


def test_a_policy_that_makes_no_sense_is_refused(world: World) -> None:
    mona = world.pool()

    for policy in (
        {"claim_ttl": "PT0S"},
        {"claim_ttl": "-P1D"},
        {"claim_ttl": "P1M"},
        {"holding_limit": -1},
        {"time_zone": "Mars/Olympus"},
        {"unknown_rule": 1},
        {"reminders": ["soon"]},
    ):
        refused = patch(mona, 1, policy=policy)
        assert (refused.status, refused.code) == (422, "policy_invalid"), policy


def test_a_new_limit_rules_the_next_claim(world: World) -> None:
    mona = world.pool(holding_limit=1)
    world.fill(2)
    alice = world.user("alice")
    alice.claim("c1")

    patch(mona, 1, policy={"holding_limit": None})

    assert alice.claim("c2").status == 200


def test_another_process_learns_of_a_change_within_ten_seconds(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    other = world.another_process()
    mine, world.service = world.service, other
    world.user("alice").customer("c1")
    world.service = mine
    patch(mona, 1, policy={"holding_limit": 0})

    world.clock.forward(10_000)
    world.service = other

    assert world.user("alice").claim("c1").code == "holding_limit"


def test_a_change_for_new_claims_leaves_the_deadlines_of_others_alone(world: World) -> None:
    mona = world.pool(claim_ttl="P1D")
    world.fill(2)
    alice = world.user("alice")
    old = alice.claim("c1").json["expires_at"]

    patch(mona, 1, policy={"claim_ttl": "P2D"})

    assert alice.customer("c1")["expires_at"] == old
    assert alice.claim("c2").json["expires_at"] == rfc3339(world.clock.now + 2 * DAY)


def test_a_dry_run_counts_exactly_what_applying_to_all_would_change(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", extension="PT1H")
    ids = world.fill(5)
    alice = world.user("alice")
    claimed_at = world.clock.now
    alice.claim_batch(ids[:3])
    mona.post("/customers/c1/extend")

    dry = patch(mona, 1, policy={"claim_ttl": "P2D"}, apply_to="all", dry_run=True)
    assert dry.json["affected"] == 3 and mona.get().json["version"] == 1
    applied = patch(mona, 1, policy={"claim_ttl": "P2D"}, apply_to="all")

    assert applied.json["affected"] == 3
    assert alice.customer("c2")["expires_at"] == rfc3339(claimed_at + 2 * DAY)
    assert alice.customer("c1")["expires_at"] == rfc3339(claimed_at + 2 * DAY + HOUR)
    assert patch(mona, 2, apply_to="all").json["affected"] == 0


def test_a_rule_applied_to_all_expires_nothing_before_now(world: World) -> None:
    mona = world.pool(claim_ttl="P9D")
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(3 * DAY)

    patch(mona, 1, policy={"claim_ttl": "P1D"}, apply_to="all")

    assert world.user("alice").customer("c1")["expires_at"] == rfc3339(world.clock.now)
    assert world.sweep().returned == 1


def test_a_holder_or_a_manager_edits_a_customer_and_nobody_else(world: World) -> None:
    mona = world.pool()
    mona.post("/customers", {"id": "c1", "name": "Old", "fields": {"city": "Wuhan", "fax": "1"}})
    alice = world.user("alice")
    edit = {"name": "New", "fields": {"fax": None, "size": 3}}

    assert alice.request("PATCH", "/v1/pools/p/customers/c1", edit).code == "not_holder"
    alice.claim("c1")
    edited = alice.request("PATCH", "/v1/pools/p/customers/c1", edit)

    assert (edited.json["name"], edited.json["fields"]) == ("New", {"city": "Wuhan", "size": 3})
    assert (edited.json["holder"], edited.json["version"]) == ("alice", 3)
    assert mona.request("PATCH", "/v1/pools/p/customers/c1", {"priority": 7}).json["priority"] == 7
    assert mona.customer("c1")["fields"] == {"city": "Wuhan", "size": 3}


def test_an_edit_bound_to_an_old_version_is_refused(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    world.user("alice").claim("c1")

    refused = mona.request("PATCH", "/v1/pools/p/customers/c1", {"name": "New"}, if_match='"1"')

    assert (refused.status, refused.code) == (412, "version_conflict")


def test_eligibility_names_every_rule_in_the_way_and_when_each_ends(world: World) -> None:
    world.pool(embargo="PT3H", cooldown="P1D", holding_limit=0, daily_claim_limit=0)
    world.fill(1)
    alice = world.user("alice")

    answer = alice.get("/customers/c1/eligibility").json

    assert answer["eligible"] is False
    assert blocking(alice, "c1") == ["embargoed", "daily_limit", "holding_limit"]
    assert answer["blocking"][0]["retry_at"] == alice.customer("c1")["available_at"]
    assert (answer["blocking"][2]["limit"], answer["blocking"][2]["used"]) == (0, 0)


def test_eligibility_agrees_with_what_a_claim_would_answer(world: World) -> None:
    world.pool(claim_ttl="PT1H", holding_limit=1)
    world.fill(3)
    alice, bob = world.user("alice"), world.user("bob")
    alice.claim("c1")

    assert blocking(alice, "c1") == [] and alice.claim("c1").status == 200
    assert blocking(bob, "c1") == ["already_claimed"]
    assert blocking(alice, "c2") == ["holding_limit"]
    world.clock.forward(HOUR)
    assert blocking(alice, "c2") == [] and alice.claim("c2").status == 200
    assert world.user("eve").get("/customers/c1/eligibility").code == "not_a_member"
    assert alice.get("/customers/nobody/eligibility").status == 404


def test_the_event_of_a_claim_that_lost_its_deadline_tells_of_none(world: World) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(1)
    world.user("alice").claim("c1")

    change = {"policy": {"claim_ttl": None}, "apply_to": "all"}
    assert mona.request("PATCH", "/v1/pools/p", change, if_match=str(mona.get().json["version"])).json["affected"] == 1

    event = mona.get("/customers/c1/history").json["items"][-1]
    assert (event["type"], event["expires_at"]) == ("updated", None)
    assert world.user("alice").customer("c1")["expires_at"] is None
