"""Statistics: what happened by day and by member, counted by the transactions that did it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, MINUTE, START, User, World


def test_statistics_count_by_day_and_member_and_include_current_totals(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=6)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.release("c1")

    world.clock.forward(DAY + HOUR)
    world.bob.claim("c1")
    world.sweep()
    world.bob.post("/customers/c1/win")
    shown = mona.get("/stats?from=2026-06-01&to=2026-06-02").json

    never = {"count": 0, "p50": None, "p90": None}
    assert [row.pop("time_to_first_follow_up") for row in (shown["totals"], *shown["by_day"])] == [never] * 3
    first, second = ({kind: count for kind, count in each.items() if count} for each in shown["by_day"])
    assert first == {"day": "2026-06-01", "entered": 6, "claimed": 3, "released": 1, "amount": "0.00"}
    assert second == {"day": "2026-06-02", "claimed": 1, "expired": 2, "won": 1, "amount": "0.00"}
    assert shown["totals"] == {
        "entered": 6, "claimed": 4, "assigned": 0, "followed_up": 0, "released": 1, "expired": 2, "won": 1,
        "amount": "0.00",
    }  # fmt: skip
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


def test_statistics_require_a_member_and_a_valid_range_of_days(world: World) -> None:
    mona = world.pool()

    assert world.user("stranger").get("/stats").code == "not_a_member"
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


# Assignments, follow-ups and amounts


def rows(user: User, query: str = "") -> dict[str, dict[str, Any]]:
    return {row["user_id"]: row for row in user.get(f"/stats{query}").json["by_member"]}


def test_assignments_count_for_the_recipient_and_follow_ups_for_their_author(world: World) -> None:
    mona = world.pool(customers=4)
    mona.post("/assign", {"customer_ids": ["c1", "c2"], "to": "alice"})
    mona.post("/customers/c3/assign", {"to": "bob"})
    world.alice.post("/follow-up", {"customer_ids": ["c1", "c2"], "note": "called"})
    mona.post("/customers/c1/follow-up", {"note": "checked"})
    world.root.post("/customers/c1/follow-up", {"note": "checked too"})

    shown = {user: (row["assigned"], row["followed_up"]) for user, row in rows(mona).items()}

    assert shown == {"alice": (2, 2), "bob": (1, 0), "mona": (0, 1), "root": (0, 1)}
    assert mona.get("/stats").json["totals"]["followed_up"] == 4


def test_amounts_won_are_added_exactly(world: World) -> None:
    mona = world.pool(customers=5, win="holder")
    amounts = ["0.10", "0.2", "9999999999999.99", "7"]
    world.alice.claim_batch(["c1", "c2", "c3", "c4", "c5"])
    for number, amount in enumerate(amounts, 1):
        world.alice.post(f"/customers/c{number}/win", {"amount": amount})
    world.alice.post("/customers/c5/win")

    assert rows(mona)["alice"]["won"] == 5
    assert rows(mona)["alice"]["amount"] == mona.get("/stats").json["totals"]["amount"] == "10000000000007.29"


def test_an_approved_win_counts_the_requested_amount_for_the_holder(world: World) -> None:
    mona = world.pool(customers=1, win="approval")
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win", {"amount": "12.50"})
    before = rows(mona)["alice"]["amount"]

    mona.post("/customers/c1/win/approve")

    assert (before, rows(mona)["alice"]["amount"], rows(mona)["mona"]["amount"]) == ("0.00", "12.50", "0.00")


def test_counts_of_earlier_days_keep_assignments_follow_ups_and_amounts(world: World) -> None:
    mona = world.pool(customers=3, win="holder")
    mona.post("/customers/c1/assign", {"to": "alice"})
    world.alice.post("/customers/c1/follow-up", {"note": "called"})
    world.alice.post("/customers/c1/win", {"amount": "5"})

    world.clock.forward(DAY)
    mona.post("/customers/c2/assign", {"to": "alice"})
    world.alice.post("/customers/c2/follow-up", {"note": "called"})

    days = {
        row["day"]: (row["assigned"], row["followed_up"], row["amount"]) for row in mona.get("/stats").json["by_day"]
    }
    assert days == {"2026-06-01": (1, 1, "5.00"), "2026-06-02": (1, 1, "0.00")}


# The present, and one's own


def test_statistics_show_who_holds_most_and_what_needs_attention(world: World) -> None:
    mona = world.pool(customers=6, claim_ttl="P4D", win="holder", private_ttl="P30D", pin_limit=1)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.bob.claim("c4")
    world.alice.post("/customers/c3/win")
    world.clock.forward(3 * DAY + HOUR)
    world.alice.post("/customers/c1/follow-up", {"note": "called"})
    world.bob.claim("c5")
    world.bob.post("/customers/c5/pin", {"until": rfc3339(START + 5 * DAY)})

    now = mona.get("/stats").json["now"]

    assert now == {
        "available": 1, "claimed": 4, "private": 1, "set_aside": 0, "pinned": 1, "no_contact": 2, "expiring": 3,
        "cut": False,
    }  # fmt: skip
    assert {user: (row["held"], row["private"]) for user, row in rows(mona).items()} == {
        "alice": (2, 1), "bob": (2, 0), "mona": (0, 0)
    }  # fmt: skip


def test_private_customers_that_expire_within_a_day_are_counted(world: World) -> None:
    mona = world.pool(customers=2, win="holder", private_ttl="P3D")
    world.alice.claim_batch(["c1", "c2"])
    world.alice.post("/win", {"customer_ids": ["c1", "c2"]})
    far = mona.get("/stats").json["now"]["expiring"]
    world.clock.forward(2 * DAY + 1)

    near = [user.get("/stats").json["now"]["expiring"] for user in (mona, world.alice, world.bob)]
    world.clock.forward(DAY)

    assert (far, near, mona.get("/stats").json["now"]["expiring"]) == (0, [2, 2, 0], 0)


def test_members_see_their_own_statistics_only(world: World) -> None:
    mona = world.pool(customers=5, claim_ttl="P1D", pin_limit=1)
    world.alice.claim_batch(["c1", "c2"])
    world.bob.claim("c3")
    world.alice.post("/customers/c1/pin", {"until": rfc3339(START + HOUR)})
    world.clock.forward(DAY // 2)
    world.alice.release("c2")

    own, all_rows = world.alice.get("/stats").json, rows(mona)

    assert own["by_member"] == [all_rows["alice"]]
    assert own["totals"] == {kind: count for kind, count in all_rows["alice"].items() if kind in own["totals"]}
    assert [(row["day"], row["claimed"], row["released"]) for row in own["by_day"]] == [("2026-06-01", 2, 1)]
    assert own["now"] == {
        "available": 3, "claimed": 1, "private": 0, "set_aside": 0, "pinned": 1, "no_contact": 0, "expiring": 1,
        "cut": False,
    }  # fmt: skip
    assert "bob" not in world.alice.get("/stats").text


def test_members_see_their_own_counts_of_earlier_days(world: World) -> None:
    mona = world.pool(customers=3)
    for day, user in ((1, world.alice), (2, world.bob), (3, world.alice)):
        user.claim(f"c{day}")
        world.clock.forward(DAY)

    own = world.alice.get("/stats?from=2026-06-01&to=2026-06-02").json

    assert [(row["day"], row["claimed"]) for row in own["by_day"] if row["claimed"]] == [("2026-06-01", 1)]
    assert (own["totals"]["claimed"], rows(mona)["alice"]["claimed"]) == (1, 2)


def test_a_breakdown_leaves_out_the_other_one(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")

    whole, by_day, by_member = (mona.get(f"/stats{query}").json for query in ("", "?by=day", "?by=member"))

    assert by_day == {name: part for name, part in whole.items() if name not in ("by_member", "people")}
    assert by_member == {name: part for name, part in whole.items() if name != "by_day"}
    assert mona.get("/stats?by=week").code == "invalid_request"


def test_what_needs_attention_is_counted_up_to_a_bound_and_says_so(memory_world: World) -> None:
    mona = memory_world.pool(claim_ttl="PT12H")
    for start in range(0, 1_001, 98):
        ids = memory_world.fill(min(98, 1_001 - start), prefix=f"n{start}x")
        assert memory_world.alice.claim_batch(ids).json["summary"]["failed"] == 0

    shown = [user.get("/stats").json["now"] for user in (mona, memory_world.alice)]

    assert [(now["claimed"], now["expiring"], now["cut"]) for now in shown] == [(1_001, 1_000, True)] * 2


# The time to the first follow-up


def followed_up(row: dict[str, Any]) -> tuple[int, str | None, str | None]:
    shown = row["time_to_first_follow_up"]
    return shown["count"], shown["p50"], shown["p90"]


def test_the_time_to_the_first_follow_up_is_counted_once_per_claim_for_its_holder(world: World) -> None:
    mona = world.pool(customers=4)
    world.alice.claim_batch(["c1", "c2"])
    world.bob.claim("c3")
    world.clock.forward(30 * MINUTE)
    mona.post("/customers/c1/follow-up", {"note": "not the holder"})
    world.alice.post("/customers/c1/follow-up", {"note": "first"})
    world.clock.forward(90 * MINUTE)
    world.alice.post("/follow-up", {"customer_ids": ["c1", "c2"], "note": "second and first"})
    world.bob.post("/customers/c3/follow-up", {"note": "first"})
    world.clock.forward(DAY)
    world.alice.release("c1")
    world.alice.claim("c1")
    world.clock.forward(10 * HOUR + 1)
    world.alice.post("/customers/c1/follow-up", {"note": "first of another claim"})

    shown = mona.get("/stats").json

    assert {user: followed_up(row) for user, row in rows(mona).items()} == {
        "alice": (3, "PT2H", "PT10H15M"), "bob": (1, "PT2H", "PT2H"), "mona": (0, None, None)
    }  # fmt: skip
    assert followed_up(shown["totals"]) == (4, "PT2H", "PT10H15M")
    assert [followed_up(row) for row in shown["by_day"]] == [(3, "PT2H", "PT2H"), (1, "PT10H15M", "PT10H15M")]
    assert followed_up(world.bob.get("/stats").json["totals"]) == (1, "PT2H", "PT2H")


def test_the_time_of_an_admin_who_is_a_member_is_counted_too(world: World) -> None:
    mona = world.pool(members="anna", customers=1)
    anna = world.user("anna", admin=True)
    anna.claim("c1")
    anna.post("/customers/c1/follow-up", {"note": "at once"})

    assert followed_up(rows(mona)["anna"]) == (1, "PT0M", "PT0M")


def test_follow_ups_of_private_customers_have_no_such_time(world: World) -> None:
    mona = world.pool(customers=2, win="holder")
    mona.post("/customers/c1/convert", {"to": "alice"})
    mona.post("/customers/c2/assign", {"to": "alice"})
    world.alice.post("/customers/c2/win")
    world.alice.post("/follow-up", {"customer_ids": ["c1", "c2"], "note": "called"})

    assert followed_up(rows(mona)["alice"]) == (0, None, None)


# By field


def by_value(user: User, query: str) -> dict[str | None, dict[str, Any]]:
    shown = user.get(f"/stats?{query}").json
    assert shown.keys().isdisjoint({"by_day", "by_member"}) and shown["values_cut"] is False
    return {row.pop("value"): row for row in shown["by_value"]}


def test_customers_that_entered_are_counted_by_a_field_with_what_became_of_them(world: World) -> None:
    mona = world.pool(win="holder")
    for number, city in enumerate(["Beijing", " Beijing ", "Xi'an", "Xi'an", "", None]):
        mona.create(f"c{number}", fields={} if city is None else {"city": city})
    world.alice.claim_batch(["c0", "c1", "c2"])
    world.alice.post("/customers/c0/win", {"amount": "12.50"})
    world.clock.forward(DAY)
    mona.create("later", fields={"city": "Beijing"})

    nothing = dict.fromkeys(("available", "claimed", "private", "set_aside", "won"), 0) | {"amount": "0.00"}
    beijing = nothing | {"entered": 2, "claimed": 1, "private": 1, "won": 1, "amount": "12.50"}
    xian = nothing | {"entered": 2, "available": 1, "claimed": 1}
    assert by_value(mona, "by=city&to=2026-06-01") == {
        "Beijing": beijing, "Xi'an": xian, None: nothing | {"entered": 2, "available": 2}
    }  # fmt: skip
    assert by_value(mona, "by=city&from=2026-06-02") == {"Beijing": nothing | {"entered": 1, "available": 1}}
    assert by_value(world.alice, "by=city") == {"Beijing": beijing, "Xi'an": xian | {"entered": 1, "available": 0}}
    assert by_value(world.bob, "by=city") == {}


def test_values_are_counted_as_filters_compare_them(world: World) -> None:
    mona = world.pool()
    kinds = {"size": "number", "since": "date", "tags": "choices", "vip": "bool"}
    fields = [
        {"key": key, "label": {"en": key, "zh": key}, "type": kind, "filter": True} for key, kind in kinds.items()
    ]
    fields[2]["options"] = ["a", "b"]
    assert mona.patch("", {"fields": fields}, if_match='"1"').status == 200
    values = ({"size": "100", "since": "2026-01-02", "tags": ["a", "b"], "vip": True},
              {"size": 100.0, "since": "2026-01-02T08:00:00Z", "tags": "a", "vip": "是"})  # fmt: skip
    for each in values:
        assert mona.create(None, fields=each).status == 201

    counted = {key: {text: row["entered"] for text, row in by_value(mona, f"by={key}").items()} for key in kinds}

    assert counted == {"size": {"100": 2}, "since": {"2026-01-02": 2}, "tags": {"a": 2, "b": 1}, "vip": {"true": 2}}


def test_a_breakdown_names_the_fields_that_it_may_have(world: World) -> None:
    mona = world.pool()

    refused = [user.get("/stats?by=phone") for user in (mona, world.alice)]

    assert {each.code for each in refused} == {"invalid_request"}
    assert "city, industry, source, level" in refused[0].json["detail"]
    assert world.user("stranger").get("/stats?by=city").code == "not_a_member"


def test_a_breakdown_by_a_field_looks_at_the_latest_thousand_customers(memory_world: World) -> None:
    mona = memory_world.pool()
    with counted(memory_world) as few:
        mona.get("/stats?by=city")
    memory_world.fill(1_001)

    with counted(memory_world) as many:
        shown = mona.get("/stats?by=city").json

    assert ([row["entered"] for row in shown["by_value"]], shown["values_cut"]) == ([1_000], True)
    assert many["Query"] - few["Query"] == 4 and many["BatchGetItem"] - few["BatchGetItem"] == 20


@pytest.mark.parametrize("days", ["to=0001-01-05", "to=9999-12-31", "from=0001-01-01&to=0001-01-02"])
def test_a_breakdown_of_any_day_never_gets_a_5xx(world: World, days: str) -> None:
    mona = world.pool()

    assert by_value(mona, f"by=city&{days}") == {}
