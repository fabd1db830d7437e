"""The rules of the domain, one test each, in order; `docs/rules.md` names the function of each.

Each test shows its rule once, in the simplest case; the other files test the same rules in detail.
"""

from __future__ import annotations

from functools import partial

from chalicelib.model.times import rfc3339
from chalicelib.model.users import Profile
from chalicelib.transactions.context import Caller
from tests.support.dynamodb_calls import counted
from tests.support.threads import at_once
from tests.support.world import DAY, HOUR, MINUTE, START, User, World, everything

# Claim


def test_rule_1_state_counter_event_and_answer_change_in_one_conditional_transaction(world: World) -> None:
    world.pool(holding_limit=5, claim_ttl="P7D", customers=1)

    with counted(world) as made:
        claimed = world.alice.claim("c1", idempotency_key="k")

    assert made == {"TransactWriteItems": 1}
    assert (claimed.json["holder"], world.alice.held(), world.alice.events("c1")[-1]) == ("alice", 1, "claimed")
    assert world.alice.claim("c1", idempotency_key="k").text == claimed.text


def test_rule_2_the_pool_comes_from_the_stored_customer_and_never_from_the_client(world: World) -> None:
    world.pool("strict", holding_limit=0)
    world.pool("lax")
    world.fill(1, pool="strict")

    assert world.user("alice", pool="lax").claim("c1").status == 404
    assert world.user("alice", pool="strict").claim("c1").code == "holding_limit"


def test_rule_3_checks_run_in_a_fixed_order_and_the_first_that_fails_names_the_refusal(world: World) -> None:
    mona = world.pool(
        holding_limit=1, daily_claim_limit=1, cooldown="P1D", embargo="PT1H", claim_ttl="P7D", members="alice bob"
    )
    root, alice = world.root, world.alice
    world.fill(2)
    refusals = [alice.claim("c1").code]
    world.clock.forward(HOUR)
    alice.claim("c1")
    mona.post("/customers/c1/release")
    refusals.append(alice.claim("c1").code)
    refusals.append(alice.claim("c2").code)
    mona.post("/customers/c1/assign", {"to": "alice"})
    world.clock.forward(DAY)
    refusals.append(alice.claim("c2").code)
    refusals.append(world.bob.claim("c1").code)
    refusals.append(world.user("stranger").claim("c1").code)
    root.post("/pause")
    world.clock.forward(MINUTE)

    refusals.append(world.user("stranger").claim("c1").code)

    assert refusals == [
        "embargoed", "cooldown", "daily_limit", "holding_limit", "already_claimed", "not_a_member", "pool_not_open"
    ]  # fmt: skip


def test_rule_4_the_holding_limit_counts_all_that_is_held_and_a_members_own_limit_overrides_it(world: World) -> None:
    mona = world.pool(holding_limit=2, customers=4)
    alice, root = world.alice, world.root
    alice.claim("c1")
    mona.post("/customers/c2/assign", {"to": "alice"})

    full = alice.claim("c3").json
    root.put("/members/alice", {"role": "member", "holding_limit": 3})
    raised = alice.claim("c3").status
    root.put("/members/alice", {"role": "member", "holding_limit": 0})
    lowered = alice.claim("c4").code

    assert (full["code"], full["limit"], full["used"]) == ("holding_limit", 2, 2)
    assert (raised, lowered, alice.held()) == (200, "holding_limit", 3)
    assert alice.get("/members/me").json["headroom"] == 0


def test_rule_5_the_daily_limit_counts_claims_of_a_local_day_refunds_nothing_and_no_assignment(world: World) -> None:
    mona = world.pool(daily_claim_limit=2, time_zone="Asia/Shanghai", customers=6)
    alice = world.alice
    world.clock.now = START + 7 * HOUR  # 23:00 in Shanghai
    alice.claim("c1")
    alice.release("c1")
    mona.post("/customers/c5/assign", {"to": "alice"})
    alice.claim("c5")
    alice.claim("c2")

    refused = alice.claim("c3").json
    world.clock.forward(HOUR)

    assert (refused["code"], refused["limit"], refused["used"]) == ("daily_limit", 2, 2)
    assert refused["retry_at"] == rfc3339(START + 8 * HOUR)
    assert alice.claim("c3").status == 200
    assert alice.get("/members/me").json["claimed_today"] == 1


def test_rule_6_an_expired_claim_can_be_claimed_by_anyone_before_a_sweep(world: World) -> None:
    world.pool(claim_ttl="P1D", holding_limit=1, customers=2)
    world.alice.claim("c1")
    world.clock.forward(DAY)

    taken = world.bob.claim("c1")
    held = (world.alice.held(), world.bob.held())
    another = world.alice.claim("c2")

    assert (taken.json["holder"], held) == ("bob", (0, 1))
    assert world.alice.events("c1") == ["imported", "claimed", "expired", "claimed"]
    assert another.status == 200, "her own expired claim does not block her headroom"


def test_rule_7_claim_next_takes_the_highest_priority_and_then_the_longest_waiting(world: World) -> None:
    mona = world.pool()
    for name, priority in (("old", 0), ("new", 0), ("urgent", 9)):
        mona.post("/customers", {"id": name, "name": name, "priority": priority})
        world.clock.forward(MINUTE)

    assert world.alice.claim_next(2).ids == ["urgent", "old"]
    assert world.alice.claim_next(5).ids == ["new"]
    assert world.alice.claim_next().ids == []


def test_rule_7_concurrent_callers_of_claim_next_get_different_customers(threaded: World) -> None:
    names = " ".join(f"u{number}" for number in range(8))
    threaded.pool(members=names, customers=40)

    replies = at_once([partial(threaded.user(name).claim_next, 5) for name in names.split()])

    taken = [each["id"] for reply in replies for each in reply.json["items"]]
    assert len(taken) == len(set(taken)) == 40


def test_rule_8_claiming_a_customer_already_held_succeeds_and_changes_nothing(world: World) -> None:
    world.pool(holding_limit=1, daily_claim_limit=1, claim_ttl="P7D", customers=1)
    first = world.alice.claim("c1")
    world.clock.forward(HOUR)

    again = world.alice.claim("c1")

    assert (again.status, again.json) == (200, first.json)
    assert world.alice.held() == 1


# Release


def test_rule_9_members_release_their_own_and_only_managers_those_of_others(world: World) -> None:
    mona = world.pool(reason_required=True, customers=2)
    world.alice.claim_batch(["c1", "c2"])

    without = world.alice.release("c1")
    others = world.bob.release("c1", reason="mine now")
    own = world.alice.release("c1", reason="wrong number")
    reclaimed = mona.release("c2", reason="on leave")

    assert [without.code, others.code, own.status, reclaimed.status] == ["reason_required", "not_holder", 200, 200]
    assert (without.status, others.status) == (422, 403)
    history = world.alice.get("/customers/c1/history").json["items"]
    assert (history[-1]["type"], history[-1]["reason"]) == ("released", "wrong number")


def test_rule_10_a_release_counts_down_once_starts_the_cooldown_and_frees_the_customer_for_others(world: World) -> None:
    world.pool(cooldown="P3D", customers=2)
    alice = world.alice
    alice.claim_batch(["c1", "c2"])

    first, second = alice.release("c1"), alice.release("c1")

    assert (first.status, second.status, second.code, alice.held()) == (200, 409, "not_claimed", 1)
    waiting = alice.claim("c1").json
    assert (waiting["code"], waiting["retry_at"]) == ("cooldown", rfc3339(world.clock() + 3 * DAY))
    assert world.bob.claim("c1").status == 200


def test_rule_11_a_stale_client_can_neither_release_nor_extend_a_newer_claim(world: World) -> None:
    world.pool(claim_ttl="P7D", members_may_extend=True, customers=1)
    alice = world.alice
    old = alice.claim("c1").json["claim_id"]
    alice.release("c1")
    new = alice.claim("c1").json["claim_id"]

    released = alice.release("c1", claim_id=old)
    extended = alice.post("/customers/c1/extend", {"by": "P1D", "claim_id": old})

    assert [released.code, extended.code] == ["claim_changed"] * 2
    assert alice.release("c1", claim_id=new).status == 200


# Batch


def test_rule_12_a_batch_returns_each_result_in_order_and_fills_the_headroom(world: World) -> None:
    world.pool(holding_limit=2, customers=4)
    world.bob.claim("c2")

    results = world.alice.claim_batch(["c1", "nobody", "c2", "c1", "c3", "c4"]).results
    atomic = world.bob.claim_batch(["c4", "c1"], atomic=True)

    assert results == ["ok", "not_found", "already_claimed", "duplicate_in_request", "ok", "holding_limit"]
    assert (atomic.status, atomic.code, world.bob.held()) == (409, "already_claimed", 1)


# Deadline


def test_rule_13_the_sweep_uses_the_deadline_that_is_shown(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=1)
    shown = world.alice.claim("c1").json["expires_at"]
    deadline = START + 7 * DAY + 1

    world.clock.now = deadline - 1
    early = world.sweep().due
    world.clock.now = deadline
    late = world.sweep().returned

    assert (shown, early, late) == (rfc3339(deadline), 0, 1)


def test_rule_14_the_clock_starts_at_the_claim_and_a_follow_up_restarts_it_if_enabled(world: World) -> None:
    world.pool(claim_ttl="P7D", follow_up_restarts_clock=True, customers=1)
    world.alice.claim("c1")
    world.alice.release("c1")
    world.clock.forward(30 * DAY)
    claimed = world.bob.claim("c1").json["expires_at"]
    world.clock.forward(DAY)

    followed = world.bob.post("/customers/c1/follow-up", {"note": "called"}).json["expires_at"]

    assert claimed == rfc3339(world.clock() + 6 * DAY)
    assert followed == rfc3339(world.clock() + 7 * DAY)


def test_rule_14_max_hold_counts_from_the_first_of_consecutive_claims(world: World) -> None:
    mona = world.pool(max_hold="P5D", customers=1)
    ends = world.alice.claim("c1").json["expires_at"]
    world.clock.forward(DAY)
    world.alice.release("c1")

    again = world.alice.claim("c1").json["expires_at"]
    mona.post("/customers/c1/transfer", {"to": "bob"})
    back = mona.post("/customers/c1/transfer", {"to": "alice"}).json["expires_at"]

    assert again == back == ends


def test_rule_15_extending_adds_to_the_current_deadline_within_caps_and_never_after_it(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", extension="P2D", max_extensions=2, max_hold="P30D", customers=2)
    old = world.alice.claim("c1").json["expires_at"]

    by_member = world.alice.post("/customers/c1/extend")
    extended = mona.post("/customers/c1/extend").json
    mona.post("/customers/c1/extend")
    third = mona.post("/customers/c1/extend").json
    world.alice.claim("c2")
    too_long = mona.post("/customers/c2/extend", {"by": "P24D"})
    world.clock.forward(20 * DAY)
    too_late = mona.post("/customers/c2/extend")

    assert by_member.code == "extension_not_allowed"
    assert (extended["old_expires_at"], extended["expires_at"]) == (old, rfc3339(START + 9 * DAY + 1))
    assert (third["code"], third["limit"], third["used"]) == ("extension_limit", 2, 2)
    assert [too_long.code, too_late.code] == ["extension_limit", "expired"]


def test_rule_16_a_converted_customer_has_no_clock_and_a_pinned_claim_ends_with_its_pin(world: World) -> None:
    world.pool(claim_ttl="P1D", holding_limit=2, pin_limit=1, customers=3)
    alice = world.alice
    alice.claim_batch(["c1", "c2"])
    won = alice.post("/customers/c1/win").json
    until = rfc3339(START + 5 * DAY)
    pinned = alice.post("/customers/c2/pin", {"until": until})
    alice.claim("c3")

    second = alice.post("/customers/c3/pin", {"until": until})
    world.clock.forward(2 * DAY)
    world.sweep()

    assert (won["state"], won["expires_at"], pinned.json["pinned_until"]) == ("private", None, until)
    assert second.code == "pin_limit"
    assert [alice.customer(each)["holder"] for each in ("c1", "c2", "c3")] == ["alice", "alice", None]


def test_rule_17_a_policy_change_is_versioned_validated_and_can_be_previewed(
    world: World,
) -> None:
    mona = world.pool(claim_ttl="P7D", customers=2)
    world.alice.claim_batch(["c1", "c2"])
    longer = {"policy": {"claim_ttl": "P9D"}}

    stale = mona.patch("", longer, if_match="7")
    zero = mona.patch("", {"policy": {"claim_ttl": "P0D"}}, if_match="1")
    trial = mona.patch("", longer | {"apply_to": "all", "dry_run": True}, if_match="1").json
    for_new = mona.patch("", longer, if_match="1").json
    untouched = world.alice.customer("c1")["expires_at"]
    for_all = mona.patch("", longer | {"apply_to": "all"}, if_match="2").json

    assert [stale.status, zero.code] == [412, "policy_invalid"]
    assert (trial["affected"], for_new["version"], for_all["affected"]) == (2, 2, 2)
    assert untouched == rfc3339(START + 7 * DAY + 1)
    assert world.alice.customer("c1")["expires_at"] == rfc3339(START + 9 * DAY + 1)


# Sweep


def test_rule_18_the_sweep_returns_what_is_still_due_reports_it_and_may_run_twice(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=3)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.clock.forward(DAY - 1)
    mona.post("/customers/c3/extend", {"by": "P1D"})
    world.clock.forward(MINUTE)

    first, second = world.sweep(), world.sweep()

    assert (first.due, first.returned, first.changed, first.failed) == (2, 2, 0, 0)
    assert first.lag_ms == MINUTE - 1
    assert second.due == 0


def test_rule_19_a_large_sweep_needs_confirmation_and_frequent_returns_need_review(world: World) -> None:
    world.pool(claim_ttl="P1D", sweep_breaker=0.5, max_returns=1, customers=2)
    world.alice.claim_batch(["c1", "c2"])
    world.clock.forward(DAY)

    held_back = world.sweep()
    confirmed = world.sweep(confirm=True)

    assert (held_back.returned, held_back.unconfirmed, confirmed.returned) == (0, ["p"], 2)
    assert world.bob.claim("c1").code == "set_aside"


def test_rule_20_each_reminder_is_sent_once_per_claim_and_level(world: World) -> None:
    world.pool(claim_ttl="P7D", reminders=["P1D"], customers=1)
    world.alice.claim("c1")

    world.clock.now = START + 6 * DAY
    early = world.sweep().reminded
    world.clock.forward(1)

    assert [early, world.sweep().reminded, world.sweep().reminded] == [0, 1, 0]
    assert world.alice.events("c1")[-1] == "reminded"


# Managing


def test_rule_21_pausing_stops_clocks_closing_ends_claims_and_only_empty_pools_are_deleted(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")

    world.root.post("/pause")
    world.clock.forward(30 * DAY)
    world.root.post("/resume")
    shifted = world.alice.customer("c1")["expires_at"]
    world.root.post("/close", {"mode": "drain"})

    assert shifted == rfc3339(START + 37 * DAY + 1)
    assert (world.alice.customer("c1")["state"], world.alice.held()) == ("available", 0)
    assert world.root.delete().code == "pool_not_empty"


def test_rule_22_removing_a_member_states_what_happens_to_their_customers(world: World) -> None:
    mona = world.pool(members="alice bob carl", customers=2)
    world.alice.claim("c1")
    world.bob.claim("c2")

    refused = mona.delete("/members/alice")
    mona.delete("/members/alice?held=transfer&to=carl")
    mona.delete("/members/bob?held=release")

    assert refused.code == "member_has_claims"
    assert [mona.customer(each)["holder"] for each in ("c1", "c2")] == ["carl", None]


def test_rule_23_import_adds_or_updates_and_never_touches_holder_or_state(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")
    rows = [{"id": "c1", "name": "Renamed"}, {"id": "new", "name": "New"}, {"id": "bad", "name": 7}]

    results = mona.post("/import", {"rows": rows, "on_duplicate": "update"})
    rejected = mona.post("/import", {"rows": rows[:1], "on_duplicate": "reject"})

    assert (results.results, rejected.results) == (["ok", "ok", "invalid_request"], ["duplicate_customer"])
    shown = mona.customer("c1")
    assert (shown["name"], shown["state"], shown["holder"]) == ("Renamed", "claimed", "alice")


def test_rule_24_masked_fields_are_masked_on_every_route(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    mona.post("/customers", {"id": "c1", "name": "Acme", "fields": {"phone": "13800001234"}})

    paths = ("/customers", "/customers/c1", "/customers/c1/history", "/customers/c1/eligibility")
    before = [world.alice.get(path).text for path in paths]
    mine = world.alice.claim("c1").text
    others = world.bob.get("/customers?holder=alice").text
    refused = world.bob.claim_batch(["c1"]).text

    assert not any("13800001234" in text for text in [*before, others, refused])
    assert "138****1234" in before[0]
    assert "13800001234" in mine


def test_rule_25_eligibility_lists_every_blocking_rule_and_its_end(world: World) -> None:
    world.pool(embargo="P1D", daily_claim_limit=0, holding_limit=0, customers=1)

    shown = world.alice.get("/customers/c1/eligibility").json

    assert shown["eligible"] is False
    assert (shown["blocking"][2]["limit"], shown["blocking"][2]["used"]) == (0, 0)
    assert shown["blocking"][0]["retry_at"] == world.alice.customer("c1")["available_at"]
    assert [(rule["code"], rule.get("retry_at")) for rule in shown["blocking"]] == [
        ("embargoed", rfc3339(START + DAY)),
        ("daily_limit", "2026-06-02T00:00:00.000Z"),
        ("holding_limit", None),
    ]


def test_rule_32_a_follow_up_has_content_and_a_managers_restarts_no_clock(world: World) -> None:
    mona = world.pool(idle_ttl="PT2H", customers=1)
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    refused = world.alice.post("/customers/c1/follow-up", {"note": " "})
    managers = mona.post("/customers/c1/follow-up", {"outcome": "seen"}).json
    holders = world.alice.post("/customers/c1/follow-up", {"note": "called"}).json

    assert (refused.status, refused.code) == (422, "invalid_request")
    assert (managers["last_follow_up_at"], managers["expires_at"]) == (None, rfc3339(START + 1 + 2 * HOUR))
    assert holders["expires_at"] == rfc3339(START + 1 + 3 * HOUR)


def test_rule_34_refusals_name_the_fact(world: World) -> None:
    mona = world.pool(customers=2)
    world.alice.claim("c1")

    claimed = world.alice.post("/customers/c1/deposit")
    available = mona.post("/customers/c2/deposit")
    world.alice.post("/customers/c1/win")
    private = world.alice.release("c1")

    assert [each.code for each in (claimed, available, private)] == ["not_private", "already_available", "not_claimed"]


def test_rule_35_a_pool_defines_fields_and_checks_each_value_that_is_written(world: World) -> None:
    mona = world.pool()
    stage = {"key": "stage", "label": {"en": "Stage", "zh": "阶段"}, "type": "choice", "options": ["new", "hot"]}

    defined = mona.patch("", {"fields": [stage]}, if_match='"1"')
    kept, refused = mona.create("a", fields={"stage": "hot"}), mona.create("b", fields={"stage": "cold"})

    assert [each["key"] for each in defined.json["fields"]] == ["stage"]
    assert kept.json["fields"] == {"stage": "hot"}
    assert (refused.status, refused.code, refused.json["errors"]) == (
        422,
        "field_invalid",
        ["fields.stage: must be one of new, hot"],
    )


def test_rule_36_lists_filter_search_and_sort(world: World) -> None:
    mona = world.pool()
    for at, city in enumerate(("Beijing", "Shanghai", "Beijing")):
        mona.create(f"c{at}", name=f"Company {9 - at}", fields={"city": city})
        world.clock.forward(1)

    filtered, searched, ordered = (
        [each["id"] for each in mona.get(f"/customers?{query}").json["items"]]
        for query in ("filter=city:Beijing", "q=pany 8", "sort=name")
    )

    assert (filtered, searched, ordered) == (["c2", "c0"], ["c1"], ["c2", "c1", "c0"])
    assert mona.get("/customers?sort=city").code == "invalid_request"


def test_rule_37_a_member_takes_only_customers_of_their_territory(world: World) -> None:
    mona = world.pool()
    for at, city in enumerate(("Beijing", "Shanghai", "Beijing")):
        mona.create(f"c{at}", fields={"city": city})

    given = mona.patch("/members/alice", {"takes": {"city": ["Beijing"]}}).json["takes"]
    outside, inside = world.alice.claim("c1"), world.alice.claim("c0")
    following = world.alice.claim_next(3)

    assert given == {"city": ["Beijing"]} and (outside.status, outside.code) == (409, "territory")
    assert inside.status == 200 and following.ids == ["c2"]
    assert mona.post("/customers/c1/assign", {"to": "alice"}).status == 200, "a manager is free of it"


def test_rule_38_an_erased_customer_is_not_found_and_leaves_nothing_personal(world: World) -> None:
    mona = world.pool()
    mona.create("z", name="Wang Wei", fields={"phone": "13812345678"})
    world.alice.claim("z")

    refused = mona.post("/customers/z/erase", {"reason": "requested"})
    erased = mona.post("/customers/z/erase", {"reason": "requested", "force": True})

    assert (refused.code, erased.status, world.alice.held()) == ("already_claimed", 200, 0)
    assert mona.get("/customers/z").code == "not_found" and mona.create("z").code == "suppressed"
    assert not any("Wang Wei" in str(item) or "13812345678" in str(item) for item in everything(world.table))


def test_rule_45_a_user_states_who_they_are_and_an_admin_has_the_last_word(world: World) -> None:
    mona = world.pool(customers=1)
    alice = User(world, Caller("main", "alice", False, Profile(name="Alice", department="Sales")))
    world.alice.claim("c1")

    before = mona.get("/members/alice").json
    own = alice.request("GET", "/v1/me").json
    world.root.request("PUT", "/v1/users/alice", {"name": "Alice Chen"})
    again = alice.request("GET", "/v1/me").json

    assert (before["name"], before["seen"]) == (None, False)
    assert [(each["name"], each["department"]) for each in (own, again)] == [
        ("Alice", "Sales"),
        ("Alice Chen", "Sales"),
    ]
    assert mona.customer("c1")["people"] == {"alice": {"name": "Alice Chen"}}
    assert [each["id"] for each in alice.request("GET", "/v1/me/customers").json["items"]] == ["c1"]


def test_rule_47_an_admin_manages_every_pool_and_needs_a_membership_only_for_counters(world: World) -> None:
    world.pool()

    created = world.root.create("c1")
    assigned = world.root.post("/customers/c1/assign", {"to": "alice"})
    reclaimed = world.root.release("c1")
    claimed = world.root.claim("c1")

    assert [each.status for each in (created, assigned, reclaimed)] == [201, 200, 200]
    assert (claimed.status, claimed.code) == (403, "not_a_member")


def test_rule_48_only_managers_change_a_priority_and_an_event_names_what_changed(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")

    refused = world.alice.patch("/customers/c1", {"priority": 5, "name": "New"})
    edited = mona.patch("/customers/c1", {"priority": 5, "name": "New"})

    assert (refused.status, refused.code) == (403, "not_manager")
    assert (edited.json["priority"], edited.json["name"]) == (5, "New")
    assert mona.get("/customers/c1/history").json["items"][-1]["changed"] == ["name", "priority"]


def test_rule_49_a_suppressed_customer_is_not_claimed_and_its_contacts_are_refused(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    mona.create("z", fields={"phone": "13812345678"})

    suppressed = mona.post("/customers/z/suppress")
    claimed, elsewhere = (
        world.alice.claim("z"),
        world.user("mona", pool="q").create("y", fields={"phone": "13812345678"}),
    )
    mona.post("/customers/z/unsuppress")

    assert suppressed.json["suppressed_at"] is not None and mona.customer_ids("state=suppressed") == []
    assert (claimed.status, claimed.code, elsewhere.status, elsewhere.code) == (409, "suppressed", 409, "suppressed")
    assert world.alice.claim("z").status == 200
