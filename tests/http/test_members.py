"""Members: adding them, listing them, their counters, and removing them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.table import Put
from chalicelib.model.model import Member
from tests.support.dynamodb_calls import interrupted
from tests.support.world import DAY, HOUR, START, Reply, User, World

SETTINGS = ("role", "holding_limit", "private_limit", "version")


def put_member(user: User, name: str, **body: Any) -> Reply:
    return user.put(f"/members/{name}", {"role": "member"} | body)


def test_an_admin_adds_any_role_and_a_manager_adds_only_members(world: World) -> None:
    mona, root = world.pool(), world.root

    assert put_member(root, "max", role="manager").status == 200
    assert put_member(mona, "carl").status == 200
    assert put_member(mona, "carl", role="manager").code == "not_admin"
    assert put_member(mona, "max").code == "not_admin"
    assert put_member(mona, "mona", holding_limit=99).code == "not_admin"
    assert put_member(world.alice, "carl").code == "not_manager"
    assert put_member(world.alice, "alice", holding_limit=99).code == "not_manager"
    assert put_member(world.user("stranger"), "stranger").code == "not_a_member"
    assert mona.get("/members/max").json["role"] == "manager"


@pytest.mark.parametrize(
    "body", [{}, {"role": "admin"}, {"role": None}, {"holding_limit": -1}, {"holding_limit": "1"}, {"held": 0}], ids=str
)
def test_a_member_without_a_valid_role_is_rejected(no_store: World, body: dict[str, Any]) -> None:
    sent = body if "role" in body or not body else {"role": "member"} | body

    refused = no_store.root.put("/members/carl", sent)

    assert (refused.status, refused.code) == (422, "invalid_request")


def test_updating_a_member_keeps_held_customers_and_daily_claims(world: World) -> None:
    mona = world.pool(holding_limit=5, daily_claim_limit=5, customers=3)
    world.alice.claim_batch(["c1", "c2"])

    changed = put_member(mona, "alice", holding_limit=2)

    assert changed.json == mona.get("/members/alice").json
    assert [changed.json[name] for name in ("held", "headroom", "claimed_today", "version")] == [2, 0, 2, 2]
    assert put_member(mona, "alice").json["holding_limit"] == 5
    assert world.alice.claim("c3").status == 200


def test_a_change_of_a_member_keeps_what_it_does_not_name(world: World) -> None:
    mona = world.pool(holding_limit=9)
    put_member(mona, "alice", holding_limit=5, private_limit=7)

    fewer = mona.patch("/members/alice", {"holding_limit": 2}).json
    pools_limit = mona.patch("/members/alice", {"holding_limit": None}).json
    promoted = world.root.patch("/members/alice", {"role": "manager"}).json

    shown = [[each[name] for name in SETTINGS] for each in (fewer, pools_limit, promoted)]
    assert shown == [["member", 2, 7, 3], ["member", 9, 7, 4], ["manager", 9, 7, 5]]
    assert mona.get("/members/alice").json == promoted


def test_only_those_who_put_a_member_may_change_one(world: World) -> None:
    mona, alice = world.pool(), world.alice
    world.root.put("/members/max", {"role": "manager"})

    for member in ("bob", "nobody"):
        assert alice.patch(f"/members/{member}", {"holding_limit": 1}).code == "not_manager"
        assert world.user("stranger").patch(f"/members/{member}", {"holding_limit": 1}).code == "not_a_member"
    for member, change in (("max", {}), ("mona", {"holding_limit": 9}), ("bob", {"role": "manager"})):
        assert mona.patch(f"/members/{member}", change).code == "not_admin"
    assert mona.patch("/members/bob", {"holding_limit": 1}).json["holding_limit"] == 1


def test_a_change_of_nobody_is_not_found_and_adds_no_member(world: World) -> None:
    mona = world.pool()

    for headers in ({}, {"if_match": '"1"'}, {"idempotency_key": "k"}):
        for who in (mona, world.root):
            assert who.patch("/members/nobody", {"role": "member"}, **headers).code == "not_found"

    assert mona.patch("/members/me", {"holding_limit": 1}).code == "not_found"
    assert [each["user_id"] for each in mona.get("/members").json["items"]] == ["alice", "bob", "mona"]


def test_a_change_of_a_member_honors_if_match(world: World) -> None:
    mona = world.pool()
    etag = mona.patch("/members/alice", {"holding_limit": 5}).headers["ETag"]

    stale = mona.patch("/members/alice", {"holding_limit": 4}, if_match='"1"')
    later = mona.patch("/members/alice", {"holding_limit": 3}, if_match='"7"')
    current = mona.patch("/members/alice", {"private_limit": 2}, if_match=etag)

    assert [stale.code, later.code, current.status] == ["version_conflict", "version_conflict", 200]
    assert [current.json[name] for name in SETTINGS] == ["member", 5, 2, 3]


@pytest.mark.parametrize(
    "body", [{"role": None}, {"role": "admin"}, {"holding_limit": -1}, {"private_limit": "1"}, {"held": 0}], ids=str
)
def test_an_invalid_change_of_a_member_is_rejected(no_store: World, body: dict[str, Any]) -> None:
    assert no_store.root.patch("/members/carl", body).code == "invalid_request"


def test_me_returns_the_caller_and_only_managers_see_other_members(world: World) -> None:
    mona, alice = world.pool(), world.alice

    assert alice.get("/members/me").json == alice.get("/members/alice").json == mona.get("/members/alice").json
    assert alice.get("/members/bob").code == alice.get("/members").code == "not_manager"
    assert world.user("stranger").get("/members/me").code == "not_a_member"
    assert world.user("stranger").get("/members").code == "not_a_member"
    assert mona.get("/members/nobody").status == 404
    assert put_member(mona, "me").status == 404


def test_members_are_listed_once_by_id_at_any_page_size(world: World) -> None:
    mona = world.pool(members="dora alice carl bob")

    for limit in (1, 2, 3, 100):
        pages = list(mona.pages("/members", limit))
        assert [each["user_id"] for page in pages for each in page] == ["alice", "bob", "carl", "dora", "mona"]
        assert all(len(page) == limit for page in pages[:-1])


def holders(world: World) -> User:
    """Create a pool whose members hold 0 to 2 customers; two of them have names."""
    mona = world.pool(members="alice bob carl dora", customers=5)
    for user, ids in (("alice", ["c1"]), ("bob", ["c2", "c3"]), ("dora", ["c4"])):
        world.user(user).claim_batch(ids)
    for user, name in (("bob", "Ａnna"), ("carl", "zoe")):
        world.root.request("PUT", f"/v1/users/{user}", {"name": name})
    return mona


SORTED = {
    "held": ["carl", "mona", "alice", "dora", "bob"],
    "-held": ["bob", "alice", "dora", "carl", "mona"],
    "name": ["alice", "bob", "dora", "mona", "carl"],  # bob is Anna, carl is Zoe
}


@pytest.mark.parametrize("order", SORTED)
def test_members_are_sorted_by_what_they_hold_or_by_name_at_any_page_size(world: World, order: str) -> None:
    mona = holders(world)

    for limit in (1, 2, 3, 100):
        pages = list(mona.pages(f"/members?sort={order}", limit))
        assert [each["user_id"] for page in pages for each in page] == SORTED[order], limit
        assert all(len(page) == limit for page in pages[:-1])


def test_a_sorted_page_shows_members_like_the_list_by_id(world: World) -> None:
    mona = holders(world)

    by_id, by_name = (mona.get(f"/members{query}").json["items"] for query in ("", "?sort=name"))

    assert sorted(by_name, key=lambda member: str(member["user_id"])) == by_id
    assert by_name[1]["name"] == "Ａnna"


def test_a_cursor_of_members_is_bound_to_its_order(world: World) -> None:
    mona = holders(world)
    cursor = mona.get("/members?sort=held&limit=1").json["next_cursor"]

    for query in ("", "&sort=-held", "&sort=name"):
        assert mona.get(f"/members?cursor={cursor}{query}").code == "invalid_cursor", query
    assert mona.get("/members?sort=version").code == "invalid_request"


def add_members(world: World, numbers: range) -> None:
    for start in range(0, len(numbers), 50):
        members = [
            Member("main", "p", f"m{each:04}", "member", day="2026-06-01") for each in numbers[start : start + 50]
        ]
        puts = [Put(keys.member_key("main", "p", each.user), pool_items.member_item(each)) for each in members]
        world.table.write(puts)


def test_a_pool_with_more_than_a_thousand_members_is_not_sorted(world: World) -> None:
    mona = world.pool(members="alice")
    add_members(world, range(998))
    full = mona.get("/members?sort=-held&limit=1")
    add_members(world, range(998, 999))

    refused, by_member = mona.get("/members?sort=-held"), world.alice.get("/members?sort=-held")

    assert full.status == 200
    assert (refused.code, by_member.code) == ("invalid_request", "not_manager")
    assert refused.json["errors"] == ["sort: sorts pools with at most 1000 members"]
    assert mona.get("/members?limit=1").status == 200


# Leaving


def test_removing_a_member_who_holds_customers_requires_a_disposition(world: World) -> None:
    mona = world.pool(customers=2)
    world.alice.claim("c1")

    refused = mona.delete("/members/alice")

    assert (refused.status, refused.code) == (409, "member_has_claims")
    assert mona.delete("/members/bob").status == 200
    assert world.bob.claim("c2").code == "not_a_member"
    assert mona.delete("/members/bob").code == "not_found"
    assert world.alice.delete("/members/mona").code == "not_manager"


def test_a_member_with_only_expired_claims_can_be_removed(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", customers=2)
    world.alice.claim_batch(["c1", "c2"])
    world.clock.forward(HOUR)

    assert mona.delete("/members/alice").status == 200
    assert [mona.customer(each)["state"] for each in ("c1", "c2")] == ["available", "available"]
    assert mona.events("c1")[-1] == "expired"


def test_a_member_may_not_remove_themself_and_a_refused_removal_changes_nothing(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    refused = world.alice.delete("/members/alice?held=release")

    assert (refused.status, refused.code) == (403, "not_manager")
    assert world.alice.customer("c1")["holder"] == "alice"


def test_customers_of_a_removed_member_are_released_to_the_pool(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H")
    ids = world.fill(5)
    world.alice.claim_batch(ids[:2])
    world.clock.forward(HOUR)
    world.alice.claim_batch(ids[2:])

    removed = mona.delete("/members/alice?held=release")

    assert removed.status == 200
    assert {mona.customer(each)["state"] for each in ids} == {"available"}
    assert mona.events("c1")[-1] == "expired" and mona.events("c3")[-1] == "reclaimed"


def test_customers_of_a_removed_member_are_transferred_within_the_recipients_limit(world: World) -> None:
    mona = world.pool(holding_limit=2, customers=4)
    world.alice.claim_batch(["c1", "c2"])
    world.bob.claim("c3")

    refused = mona.delete("/members/alice?held=transfer&to=bob")
    assert refused.code == "holding_limit" and world.alice.held() == 2
    world.bob.release("c3")
    removed = mona.delete("/members/alice?held=transfer&to=bob")

    assert removed.status == 200
    assert mona.get("/members/alice").status == 404


def test_a_member_who_is_added_again_starts_with_no_customers(world: World) -> None:
    mona = world.pool(holding_limit=1, customers=2)
    world.bob.claim("c1")
    mona.delete("/members/bob?held=release")

    put_member(mona, "bob")

    assert world.bob.held() == 0 and world.bob.claim("c2").status == 200


@pytest.mark.parametrize("by", ["mona", "root"])
def test_daily_claims_survive_repeated_removal_and_adding(world: World, by: str) -> None:
    world.pool(daily_claim_limit=2, customers=3)
    alice, remover = world.alice, world.user(by, admin=by == "root")

    results = []
    for each in ("c1", "c2", "c3"):
        claimed = alice.claim(each)
        remover.delete("/members/alice?held=release")
        put_back = put_member(remover, "alice")
        results.append((claimed.json.get("code"), put_back.json["claimed_today"]))

    assert results == [(None, 1), (None, 2), ("daily_limit", 2)]
    assert alice.get("/members/me").json["claimed_today"] == 2
    assert alice.get("/customers/c3/eligibility").json["blocking"][0]["code"] == "daily_limit"


def test_adding_a_member_again_counts_nothing_twice_in_the_statistics(world: World) -> None:
    mona = world.pool(customers=2)
    world.alice.claim("c1")
    before = mona.get("/stats").json["by_member"]

    for _ in range(3):
        mona.delete("/members/alice?held=transfer&to=bob")
        put_member(mona, "alice")
    world.alice.claim("c2")
    after = mona.get("/stats").json["by_member"]

    claims = [{row["user_id"]: row["claimed"] for row in rows} for rows in (before, after)]
    assert claims == [{"alice": 1, "bob": 0, "mona": 0}, {"alice": 2, "bob": 0, "mona": 0}]


def test_a_member_added_again_on_a_later_day_has_the_whole_daily_limit(world: World) -> None:
    mona = world.pool(daily_claim_limit=1, customers=2)
    world.alice.claim("c1")
    mona.delete("/members/alice?held=release")

    world.clock.forward(DAY)
    put_back = put_member(mona, "alice")

    assert put_back.json["claimed_today"] == 0
    assert world.alice.claim("c2").status == 200
    days = {row["day"]: row["claimed"] for row in mona.get("/stats").json["by_day"]}
    assert days == {"2026-06-01": 1, "2026-06-02": 1}


def test_the_response_to_a_new_limit_has_the_counters_at_its_write(world: World) -> None:
    mona = world.pool(holding_limit=5, customers=1)

    with interrupted(world, "TransactWriteItems", lambda: world.alice.claim("c1")):
        response = put_member(mona, "alice", holding_limit=3).json

    assert (response["held"], response["headroom"], response["claimed_today"]) == (1, 2, 1)


# Daily limits when the pool changes its time zone


def change_time_zone(world: World, name: str | None) -> None:
    version = world.mona.get().json["version"]
    changed = world.mona.patch("", {"policy": {"time_zone": name}}, if_match=str(version))
    assert changed.status == 200, changed.text
    world.clock.forward(10_000)


@pytest.mark.parametrize(
    ("zones", "ends"),
    [
        (["Asia/Shanghai"], "2026-06-02T16:00:00.000Z"),
        (["America/New_York"], "2026-06-02T04:00:00.000Z"),
        (["Pacific/Kiritimati", "UTC", "Asia/Shanghai", "UTC"], "2026-06-02T00:00:00.000Z"),
        (["Asia/Shanghai", "Pacific/Honolulu"], "2026-06-02T10:00:00.000Z"),
    ],
    ids=str,
)
def test_no_time_zone_change_starts_a_second_day_within_24_hours(world: World, zones: list[str], ends: str) -> None:
    world.pool(daily_claim_limit=1, customers=3)
    alice = world.alice
    world.clock.now = START + 7 * HOUR  # 15:00 of the day in UTC
    assert alice.claim("c1").status == 200

    for name in zones:
        change_time_zone(world, name)
    own = alice.get("/members/me").json
    until = int(datetime.fromisoformat(ends).timestamp() * 1000)
    refused = []
    for moment in (START + 9 * HOUR, START + 15 * HOUR, until - 1):
        world.clock.now = moment
        refused.append(alice.claim("c2"))
    world.clock.now = until

    assert (own["claimed_today"], own["resets_at"]) == (1, ends)
    assert [(each.code, each.json["retry_at"]) for each in refused] == [("daily_limit", ends)] * 3
    assert alice.claim("c2").status == 200
    assert alice.claim("c3").code == "daily_limit"


def test_a_change_of_time_zone_and_back_begins_no_second_day_at_once(world: World) -> None:
    world.pool(daily_claim_limit=1, customers=2)
    world.clock.now = START - 8 * HOUR + HOUR  # an hour after midnight in UTC
    change_time_zone(world, "Asia/Shanghai")
    world.clock.forward(38 * HOUR)
    assert world.alice.claim("c1").status == 200

    change_time_zone(world, "UTC")

    assert world.alice.claim("c2").code == "daily_limit"
    world.clock.forward(9 * HOUR)  # midnight in UTC
    assert world.alice.claim("c2").status == 200


def test_a_time_zone_change_with_a_removal_starts_no_second_day(world: World) -> None:
    mona = world.pool(daily_claim_limit=1, customers=2)
    world.clock.now = START + 7 * HOUR
    world.alice.claim("c1")

    change_time_zone(world, "Asia/Shanghai")
    world.clock.now = START + 9 * HOUR
    mona.delete("/members/alice?held=release")
    put_back = put_member(mona, "alice")

    assert put_back.json["claimed_today"] == 1
    assert world.alice.claim("c2").code == "daily_limit"
