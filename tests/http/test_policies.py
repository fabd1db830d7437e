"""Policies: valid and invalid rules, and changes for new claims or for all."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.table import Put
from chalicelib.model.policy import Policy
from chalicelib.model.times import rfc3339
from chalicelib.transactions.context import RequestContext
from tests.support.world import DAY, HOUR, START, Reply, User, World
from tools.local import seed


def make(user: User, policy: Any) -> Reply:
    return user.request("POST", "/v1/pools", {"id": "q", "name": "Q", "policy": policy})


def patch(user: User, version: int | None, **body: Any) -> Reply:
    headers = {} if version is None else {"if_match": f'"{version}"'}
    return user.patch("", body, **headers)


# Invalid rules


BAD_RULES: dict[str, list[Any]] = {
    "holding_limit": [-1, 1.5, "3", True, 1_000_001, [], {}],
    "daily_claim_limit": [-1, "many"],
    "claim_ttl": [
        "", "P", "PT", "P0D", "PT0S", "P1Y", "P1M", "-P1D", "P1.5D", "7 days", "p7d", "P36601D", 7, "P１D", "P7D ",
    ],
    "idle_ttl": ["never"],
    "cooldown": ["P", 0],
    "embargo": ["PT0H"],
    "extension": ["P1DT"],
    "max_hold": ["P" + "9" * 400 + "D"],
    "max_returns": [0],
    "reason_required": [1, "yes"],
    "masked_fields": ["phone", [1], ["x" * 65], ["f"] * 33, [""], ["phone", " "],
                      ["\u3164"], ["a\n"], ["\u202ephone"]],
    "reminders": ["P1D", ["soon"], ["P1D"] * 9],
    "time_zone": ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "America", "UTC\x00", 8, "x" * 5_000,
                  "localtime", "posixrules", "Factory", "posix/UTC", "right/UTC", "posixrules/", "utc", "UTC "],
    "notes_visible_to": ["all", "", True, ["pool"]],
    "phone_region": ["", "cn", "CHN", "ZZ", "86", "001", "CN ", "ＣＮ", 86, "x" * 5_000],
    "sweep_breaker": [0, 1.1, -0.1, "half"],
    "claim_tll": ["P7D"],
}  # fmt: skip


@pytest.mark.parametrize("rule", BAD_RULES)
def test_creating_a_pool_with_an_invalid_rule_names_the_rule(no_store: World, rule: str) -> None:
    for wrong in BAD_RULES[rule]:
        refused = make(no_store.root, {rule: wrong})

        assert (refused.status, refused.code) == (422, "policy_invalid"), (wrong, refused.text)
        assert re.search(rf"\b{rule}\b", refused.json["errors"][0]), wrong


def test_changing_a_pool_to_an_invalid_rule_is_rejected(memory_world: World) -> None:
    mona = memory_world.pool()

    for rule, values in BAD_RULES.items():
        for wrong in values:
            refused = patch(mona, 1, policy={rule: wrong})
            assert (refused.status, refused.code) == (422, "policy_invalid"), (rule, wrong, refused.text)
    assert mona.get().json["version"] == 1


@pytest.mark.parametrize("policy", [None, [], "", 7])
def test_a_policy_that_is_not_an_object_is_rejected(no_store: World, policy: Any) -> None:
    assert make(no_store.root, policy).code == "policy_invalid"
    assert patch(no_store.mona, 1, policy=policy).code == "policy_invalid"


def test_every_tzdata_zone_except_factory_is_accepted() -> None:
    listed = set(files("tzdata").joinpath("zones").read_text().split())

    taken = {name for name in listed if not Policy(time_zone=name).problems()}

    assert len(taken) > 500 and {"UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires"} < taken
    assert listed - taken == {"Factory"}


def test_a_stored_pool_with_values_rejected_today_still_works(memory_world: World) -> None:
    mona = memory_world.pool(daily_claim_limit=5, customers=1)
    pool = RequestContext(memory_world.service.backend, mona.caller, START).pool_now("p")
    policy = replace(pool.policy, time_zone="Factory", masked_fields=("",))
    stored = pool_items.pool_item(replace(pool, policy=policy)) | pool_items.check_now("main", "p", START)
    memory_world.table.write([Put(keys.pool_key("main", "p"), stored)])
    memory_world.service = memory_world.another_process()

    claimed = memory_world.alice.claim("c1")
    shown = mona.get()

    assert claimed.status == 200
    assert shown.json["policy"]["time_zone"] == "Factory"


# Changing


def test_a_policy_change_requires_the_current_version(world: World) -> None:
    mona = world.pool(holding_limit=1)

    assert (patch(mona, None, name="New").status, patch(mona, None, name="New").code) == (412, "version_conflict")
    assert patch(mona, 7, name="New").status == 412
    changed = patch(mona, 1, policy={"daily_claim_limit": 3})
    assert changed.json["policy"]["holding_limit"] == 1 and changed.json["policy"]["daily_claim_limit"] == 3
    assert changed.headers["ETag"] == '"2"'


def test_only_a_manager_changes_a_policy(world: World) -> None:
    world.pool()

    assert patch(world.alice, 1, name="Mine").code == "not_manager"
    assert patch(world.user("eve"), 1, name="Mine").code == "not_a_member"
    assert patch(world.alice, 1, name="Mine", dry_run=True).code == "not_manager"


def test_a_forbidden_policy_change_is_forbidden_even_when_it_is_invalid(world: World) -> None:
    world.pool()
    wrong: list[tuple[int | None, Any]] = [(None, {}), (7, {}), (1, {"claim_ttl": "P0D"}), (1, {"claim_tll": "P1D"})]

    refused = [patch(world.user(who), version, policy=policy) for who in ("alice", "eve") for version, policy in wrong]

    assert [reply.code for reply in refused] == ["not_manager"] * 4 + ["not_a_member"] * 4


def test_a_new_limit_applies_to_the_next_claim(world: World) -> None:
    mona = world.pool(holding_limit=1, customers=2)
    world.alice.claim("c1")

    patch(mona, 1, policy={"holding_limit": None})

    assert world.alice.claim("c2").status == 200


def test_another_process_applies_a_policy_change_within_ten_seconds(world: World) -> None:
    mona = world.pool(customers=1)
    other = world.another_process()
    with world.process(other):
        world.alice.customer("c1")
    patch(mona, 1, policy={"holding_limit": 0})

    world.clock.forward(10_000)
    world.service = other

    assert world.alice.claim("c1").code == "holding_limit"


def test_a_policy_change_for_new_claims_keeps_existing_deadlines(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=2)
    old = world.alice.claim("c1").json["expires_at"]

    patch(mona, 1, policy={"claim_ttl": "P2D"})

    assert world.alice.customer("c1")["expires_at"] == old
    assert world.alice.claim("c2").json["expires_at"] == rfc3339(world.clock.now + 2 * DAY)


def test_a_policy_dry_run_counts_exactly_what_applying_to_all_changes(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", extension="PT1H")
    ids = world.fill(5)
    claimed_at = world.clock.now
    world.alice.claim_batch(ids[:3])
    mona.post("/customers/c1/extend")

    dry = patch(mona, 1, policy={"claim_ttl": "P2D"}, apply_to="all", dry_run=True)
    assert dry.json["affected"] == 3 and dry.json["policy"]["claim_ttl"] == "P2D"
    assert dry.headers["ETag"] == '"1"' and mona.get().json["policy"]["claim_ttl"] == "P1D"
    applied = patch(mona, 1, policy={"claim_ttl": "P2D"}, apply_to="all")

    assert applied.json["affected"] == 3
    assert world.alice.customer("c2")["expires_at"] == rfc3339(claimed_at + 2 * DAY)
    assert world.alice.customer("c1")["expires_at"] == rfc3339(claimed_at + 2 * DAY + HOUR)
    assert patch(mona, 2, apply_to="all").json["affected"] == 0


def test_a_policy_dry_run_names_the_first_hundred_customers_and_their_holders(threaded: World) -> None:
    mona = threaded.pool(claim_ttl="P1D")
    ids = threaded.fill(120)
    threaded.alice.claim_batch(ids[:60])
    threaded.bob.claim_batch(ids[60:110])
    change = {"policy": {"claim_ttl": "P2D"}, "apply_to": "all"}

    dry = patch(mona, 1, **change, dry_run=True).json
    applied = patch(mona, 1, **change).json
    nobody = patch(mona, 2, **change, dry_run=True).json

    assert (dry["affected"], len(dry["affected_customers"]), dry["affected_holders"]) == (110, 100, ["alice", "bob"])
    assert set(dry["affected_customers"]) < set(ids[:110])
    assert applied["affected"] == 110 and "affected_customers" not in applied
    assert (nobody["affected"], nobody["affected_customers"], nobody["affected_holders"]) == (0, [], [])


WARNINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_hold_without_cooldown": ({"max_hold": "P30D"}, {"cooldown": "P1D"}),
    "pin_limit_without_max_pin": ({"pin_limit": 2}, {"max_pin": "P7D"}),
    "follow_up_restarts_clock_without_max_hold": ({"follow_up_restarts_clock": True}, {"max_hold": "P9D",
                                                                                       "cooldown": "P1D"}),
    "win_holder_without_private_limit": ({"win": "holder"}, {"private_limit": 9}),
}  # fmt: skip


@pytest.mark.parametrize("warning", WARNINGS)
def test_a_pool_warns_of_rules_that_leave_a_bypass_open(world: World, warning: str) -> None:
    opening, closing = WARNINGS[warning]
    mona = world.pool(win="approval")

    tried = patch(mona, 1, policy=opening, dry_run=True).json["warnings"]
    changed = patch(mona, 1, policy=opening).json["warnings"]
    read = [mona.get().json["warnings"], world.root.request("GET", "/v1/pools").json["items"][0]["warnings"]]
    closed = patch(mona, 2, policy=closing).json["warnings"]

    assert [tried, changed, *read] == [[warning]] * 4
    assert closed == []


def test_the_policy_of_the_demo_pool_leaves_no_bypass_open() -> None:
    assert msgspec.convert(seed.POLICY, Policy).warnings == []


def test_a_pin_limit_of_zero_leaves_no_bypass_open(world: World) -> None:
    assert world.pool(win="approval", pin_limit=0).get().json["warnings"] == []


def test_a_rule_applied_to_all_expires_nothing_before_now(world: World) -> None:
    mona = world.pool(claim_ttl="P9D", customers=1)
    world.alice.claim("c1")
    world.clock.forward(3 * DAY)

    patch(mona, 1, policy={"claim_ttl": "P1D"}, apply_to="all")

    assert world.alice.customer("c1")["expires_at"] == rfc3339(world.clock.now)
    assert world.sweep().returned == 1


def test_the_event_of_a_claim_that_lost_its_deadline_has_no_deadline(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")

    change = {"policy": {"claim_ttl": None}, "apply_to": "all"}
    assert mona.patch("", change, if_match=str(mona.get().json["version"])).json["affected"] == 1

    event = mona.get("/customers/c1/history").json["items"][-1]
    assert (event["type"], event["expires_at"]) == ("updated", None)
    assert world.alice.customer("c1")["expires_at"] is None


def test_a_policy_applied_to_all_changes_the_clock_under_a_pin(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/pin", {"until": rfc3339(START + 30 * DAY)})

    mona.patch("", {"policy": {"claim_ttl": "P3D"}, "apply_to": "all"}, if_match="1")

    assert world.alice.post("/customers/c1/unpin").json["expires_at"] == rfc3339(START + 1 + 3 * DAY)


def test_applying_the_same_policy_again_moves_no_deadline(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", follow_up_restarts_clock=True, members_may_extend=True, extension="P3D")
    world.fill(1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/extend")
    world.clock.forward(5 * DAY)
    world.alice.post("/customers/c1/follow-up", {"note": "called"})

    changed = mona.patch("", {"name": "x", "apply_to": "all"}, if_match="1")

    assert changed.json["affected"] == 0


def test_a_policy_applied_to_all_keeps_claims_within_max_hold(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", members_may_extend=True, extension="P3D", max_hold="P10D", customers=1)
    world.alice.claim("c1")
    assert world.alice.post("/customers/c1/extend").status == 200

    mona.patch("", {"policy": {"claim_ttl": "P9D"}, "apply_to": "all"}, if_match="1")

    assert world.alice.customer("c1")["expires_at"] == rfc3339(START + 1 + 10 * DAY)
