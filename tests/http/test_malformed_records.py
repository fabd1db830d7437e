"""One malformed customer or member: it counts as failed, and everything else goes on."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put
from chalicelib.model.times import rfc3339
from tests.support.audit import assert_sound
from tests.support.canaries import LogCapture
from tests.support.memory import Memory, memory_table
from tests.support.world import HOUR, World, unique_key_of

C1 = keys.customer_key("main", "p", "c1")
NOT_TEXT: list[dict[str, Any]] = [{"L": []}, {"NULL": True}, {"BOOL": True}, {"N": "5"}, {"M": {}}, {"B": b"x"}]
CUSTOMERS: dict[str, dict[str, Any]] = {
    **{f"events of type {next(iter(wrong))}": {"tail": wrong} for wrong in NOT_TEXT},
    "events nested too deeply": {"tail": {"S": "[" * 100_000}},
    "no events": {"tail": None},
    "a deadline with a fraction": {"due_at": {"N": "1.5"}},
    "text for a number": {"ex": {"S": "many"}},
    "a negative number of returns": {"rt": {"N": "-1"}},
}
MEMBERS: dict[str, dict[str, Any]] = {
    "a number for the day": {"day": {"N": "5"}},
    "no day": {"day": None},
    "text for the counts of the day": {"did": {"S": "many"}},
    "text for the number of claims": {"held": {"S": "many"}},
    "text for the room": {"room": {"S": "many"}},
}
NEGATIVE, FRACTION, AFTER_9999 = {"N": "-5"}, {"N": "1.5"}, {"N": "9" * 26}


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world in memory: it compares text with a number as DynamoDB does."""
    made = World(memory_table(Memory()))
    yield made
    assert_sound(made.table, statistics=not made.forged, now=made.clock.now)


def two_pools_with_due_claims(world: World, **policy: Any) -> None:
    """Create the pools p and q. In each, alice and bob hold two customers past their deadlines."""
    for pool in ("p", "q"):
        world.pool(pool, claim_ttl="PT1H", customers=6, **policy)
        world.user("alice", pool=pool).claim_batch(["c1", "c2"])
        world.user("bob", pool=pool).claim_batch(["c3", "c4"])
    world.clock.forward(2 * HOUR)


def spoil(world: World, key: Key, changes: dict[str, Any]) -> Item:
    """Change attributes of a stored item; None removes one. Return the item as it was."""
    sound = world.table.get([key])[key]
    changed = {name: content for name, content in (sound | changes).items() if content is not None}
    world.table.write([Put(key, changed)])
    world.service = world.another_process()
    return sound


@pytest.mark.parametrize("what", CUSTOMERS)
def test_a_sweep_counts_a_malformed_customer_as_failed_and_returns_all_others(
    world: World, logs: LogCapture, what: str
) -> None:
    two_pools_with_due_claims(world)
    sound = spoil(world, C1, CUSTOMERS[what])

    report = world.sweep()

    assert (report.due, report.returned, report.failed, report.remaining) == (8, 7, 1, 0)
    assert [text for text in logs.messages if "malformed record in pool p: " in text]
    world.table.write([Put(C1, sound)])
    assert world.sweep().returned == 1


@pytest.mark.parametrize("what", CUSTOMERS)
def test_the_audit_reports_a_malformed_customer_and_continues(world: World, what: str) -> None:
    two_pools_with_due_claims(world)
    sound = spoil(world, C1, CUSTOMERS[what])

    report = world.root.request("POST", "/v1/audit", {}).json

    assert ("malformed", "c1") in [(each["kind"], each["id"]) for each in report["drift"]]
    assert (report["customers"], report["complete"]) == (12, True)
    world.table.write([Put(C1, sound)])


def test_the_audit_names_a_few_missing_events_of_a_customer_with_a_huge_version(world: World) -> None:
    world.pool(customers=2)
    sound = spoil(world, C1, {"version": {"N": "253402300800000"}})

    report = world.root.request("POST", "/v1/audit", {}).json

    assert [(each["id"], each["found"]) for each in report["drift"] if each["kind"] == "events"] == [
        ("c1", [2, 3, 4, 5, 6])
    ]
    world.table.write([Put(C1, sound)])


@pytest.mark.parametrize("what", MEMBERS)
def test_a_sweep_counts_the_claims_of_a_malformed_member_as_failed_and_returns_all_others(
    world: World, what: str
) -> None:
    two_pools_with_due_claims(world)
    key = keys.member_key("main", "p", "alice")
    sound = spoil(world, key, MEMBERS[what])

    report = world.sweep()

    assert (report.due, report.returned, report.failed, report.throttled) == (8, 6, 2, False)
    world.table.write([Put(key, sound)])
    assert world.sweep().returned == 2


@pytest.mark.parametrize("wrong", [{"role": {"S": "boss"}}, {"version": {"S": "one"}}, {"pooled": {"S": "many"}}])
def test_a_malformed_manager_does_not_trip_the_breaker(world: World, wrong: dict[str, Any]) -> None:
    two_pools_with_due_claims(world, sweep_breaker=0.9)
    key = keys.member_key("main", "p", "mona")
    sound = spoil(world, key, wrong)

    report = world.sweep()

    assert (report.returned, report.failed, report.unconfirmed) == (8, 1, [])
    world.table.write([Put(key, sound)])


def test_the_breaker_trips_although_a_counter_is_malformed(world: World) -> None:
    two_pools_with_due_claims(world, sweep_breaker=0.6)
    key = keys.member_key("main", "p", "mona")
    sound = spoil(world, key, {"pooled": {"S": "many"}})

    report = world.sweep()

    assert (report.returned, report.unconfirmed) == (0, ["p", "q"])
    world.table.write([Put(key, sound)])


def test_the_audit_continues_after_a_pool_whose_own_counter_is_malformed(world: World) -> None:
    two_pools_with_due_claims(world)
    key = keys.pool_counts_key("main", "p")
    wrong: Item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "pooled": {"N": "1.5"}, "aside": {"N": "0"}}
    world.table.write([Put(key, wrong)])

    report = world.root.request("POST", "/v1/audit", {"repair": True}).json

    assert report["customers"] == 12
    world.table.write([Put(key, {**wrong, "pooled": {"N": "0"}})])


# Requests


def repair(world: World) -> None:
    """Remove the attribute that makes the first customer malformed: it stands for its default."""
    stored = world.table.get([C1])[C1]
    if stored.get("ex") == {"S": "many"}:
        world.table.write([Put(C1, {name: content for name, content in stored.items() if name != "ex"})])


@pytest.fixture
def damaged(world: World) -> Iterator[World]:
    """Return a pool of five available customers, of which the first is malformed until the test is over."""
    world.pool(masked_fields=["phone"])
    for number in range(1, 6):
        world.mona.create(f"c{number}", name=f"Name {number}", fields={"phone": f"1381234567{number}"})
    spoil(world, C1, {"ex": {"S": "many"}})
    yield world
    repair(world)


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k1"}])
def test_claim_next_skips_a_malformed_customer(damaged: World, logs: LogCapture, key: dict[str, str]) -> None:
    taken = damaged.alice.claim_next(2, **key)

    assert taken.ids == ["c2", "c3"]
    assert [text for text in logs.messages if "malformed customer c1: " in text]


def test_a_batch_refuses_a_malformed_customer_and_changes_the_rest(damaged: World) -> None:
    claimed = damaged.alice.claim_batch(["c1", "c2", "c3"])
    assigned = damaged.mona.post("/assign", {"customer_ids": ["c1", "c4"], "to": "bob"})
    released = damaged.alice.release_batch(["c2", "c1"])

    assert claimed.results == ["store_unavailable", "ok", "ok"]
    assert assigned.results == ["store_unavailable", "ok"]
    assert released.results == ["ok", "store_unavailable"]
    assert claimed.json["summary"] == {"ok": 2, "failed": 1}
    assert "damaged" in claimed.json["results"][0]["detail"]


def test_a_customer_that_is_damaged_after_it_was_cached_is_refused_alone(damaged: World) -> None:
    damaged.alice.customer("c2")
    key = keys.customer_key("main", "p", "c2")
    sound = damaged.table.get([key])[key]
    damaged.table.write([Put(key, sound | {"version": {"S": "one"}})])

    claimed = damaged.alice.claim_batch(["c2", "c3"])

    assert claimed.results == ["store_unavailable", "ok"]
    damaged.table.write([Put(key, sound)])


def test_an_atomic_batch_with_a_malformed_customer_changes_nothing(damaged: World) -> None:
    claimed = damaged.alice.claim_batch(["c2", "c1", "c3"], atomic=True, idempotency_key="k1")
    again = damaged.alice.claim_batch(["c2", "c1", "c3"], atomic=True, idempotency_key="k1")

    assert (claimed.status, claimed.code) == (409, "store_unavailable")
    assert again.json["results"] == claimed.json["results"]
    assert damaged.alice.held() == 0


def test_a_repetition_of_the_key_continues_with_a_repaired_customer(damaged: World) -> None:
    first = damaged.alice.claim_batch(["c1", "c2"], idempotency_key="k1")
    alone = damaged.bob.claim("c1", idempotency_key="k1")
    repair(damaged)

    second = damaged.alice.claim_batch(["c1", "c2"], idempotency_key="k1")

    assert first.results == ["store_unavailable", "ok"] and second.results == ["ok", "ok"]
    assert (alone.status, alone.code) == (503, "store_unavailable")
    assert damaged.bob.claim("c1", idempotency_key="k1").code == "already_claimed"
    assert damaged.alice.release_batch(["c1", "c2"]).results == ["ok", "ok"]


@pytest.mark.parametrize("query", ["", "?state=available", "?name=name", "?state=available&limit=2"])
@pytest.mark.parametrize("who", ["alice", "mona"])
def test_a_list_leaves_a_malformed_customer_out(damaged: World, logs: LogCapture, who: str, query: str) -> None:
    listed = damaged.user(who).get(f"/customers{query}")

    assert listed.status == 200 and "c2" in listed.ids and "c1" not in listed.ids
    assert [text for text in logs.messages if "malformed customer c1: " in text]


def test_a_malformed_customer_is_null_among_customers_by_id(damaged: World, logs: LogCapture) -> None:
    first, second = damaged.alice.get("/customers?ids=c1,c2").json["items"]

    assert first is None and second["id"] == "c2"
    assert [text for text in logs.messages if "malformed customer c1: " in text]


@pytest.mark.parametrize("wrong", [{"entered_at": AFTER_9999}, {"version": NEGATIVE}, {"version": {"N": "0"}}])
def test_a_customer_whose_time_or_version_no_response_can_show_is_left_out(
    damaged: World, wrong: dict[str, Any]
) -> None:
    key = keys.customer_key("main", "p", "c2")
    sound = spoil(damaged, key, wrong)

    listed = damaged.mona.get("/customers")
    by_id = damaged.mona.get("/customers?ids=c2,c3").json["items"]
    claimed = damaged.alice.claim_batch(["c2", "c3"])

    assert listed.status == 200 and {"c3", "c4", "c5"} == set(listed.ids)
    assert by_id[0] is None and by_id[1]["id"] == "c3"
    assert claimed.results == ["store_unavailable", "ok"]
    damaged.table.write([Put(key, sound)])


def test_a_customer_whose_fields_never_fit_is_refused_alone(damaged: World) -> None:
    key = keys.customer_key("main", "p", "c2")
    sound = spoil(damaged, key, {keys.STORED_NAMES["fields_version"]: {"N": "77"}})

    by_id = damaged.mona.get("/customers?ids=c2,c3").json["items"]
    claimed = damaged.alice.claim_batch(["c2", "c3"])

    assert by_id[0] is None and by_id[1]["id"] == "c3"
    assert claimed.results == ["store_unavailable", "ok"]
    damaged.table.write([Put(key, sound)])


def test_every_page_of_a_list_is_reached_past_a_malformed_rank(damaged: World) -> None:
    key = keys.customer_key("main", "p", "c2")
    sound = spoil(damaged, key, {"rank": {"N": "1.5"}})

    listed = [each["id"] for page in damaged.mona.pages("/customers?state=available", limit=1) for each in page]
    taken = damaged.alice.claim_next(2)

    assert sorted(listed) == ["c3", "c4", "c5"]
    assert taken.ids == ["c3", "c4"]
    damaged.table.write([Put(key, sound)])


@pytest.mark.parametrize("rank", [-(10**18), 10**18, -(10**36), 10**36])
def test_every_page_of_a_list_is_reached_past_a_rank_that_is_no_time(damaged: World, rank: int) -> None:
    keys_of_two = [keys.customer_key("main", "p", each) for each in ("c2", "c3")]
    sound = [spoil(damaged, key, {"rank": {"N": str(rank)}}) for key in keys_of_two]

    listed = [each["id"] for page in damaged.mona.pages("/customers?state=available", limit=1) for each in page]

    assert sorted(listed) == ["c4", "c5"]
    damaged.table.write([Put(key, item) for key, item in zip(keys_of_two, sound, strict=True)])


def test_a_search_by_phone_leaves_a_malformed_customer_out(damaged: World) -> None:
    assert damaged.mona.get("/customers?phone=13812345671").ids == []
    assert damaged.mona.get("/customers?phone=13812345672").ids == ["c2"]


@pytest.mark.parametrize("how", ["skip", "update", "reject"])
def test_an_import_refuses_the_row_of_a_malformed_customer_only(damaged: World, how: str) -> None:
    rows = [{"name": "New", "fields": {"phone": f"1381234567{number}"}} for number in (1, 9)]
    by_phone = damaged.mona.post("/import", {"rows": rows, "key": "phone", "on_duplicate": how})
    by_id = damaged.mona.post(
        "/import", {"rows": [{"id": each, "name": "N"} for each in ("c1", "c9")], "on_duplicate": how}
    )

    assert by_phone.results == by_id.results == ["store_unavailable", "ok"]


@pytest.mark.parametrize("wrong", [{"customer": {"NULL": True}}, {"customer": None}, {"version": {"S": "one"}}])
def test_a_malformed_unique_key_refuses_its_row_of_an_import_and_a_new_customer_only(
    world: World, wrong: dict[str, Any]
) -> None:
    mona = world.pool()
    mona.create("c1", fields={"phone": "13812345678"})
    key = unique_key_of("phone", "+8613812345678")
    sound = spoil(world, key, wrong)
    rows = [{"name": "New", "fields": {"phone": phone}} for phone in ("13812345678", "13812345679")]

    imported = mona.post("/import", {"rows": rows, "key": "phone", "on_duplicate": "update"})
    created = [mona.create(fields={"phone": phone}) for phone in ("13812345678", "13812345677")]

    assert imported.results == ["store_unavailable", "ok"]
    assert [each.status for each in created] == [503, 201]
    world.table.write([Put(key, sound)])


def test_a_malformed_member_is_left_out_of_the_members_and_the_statistics(world: World, logs: LogCapture) -> None:
    world.pool(customers=2)
    key = keys.member_key("main", "p", "bob")
    sound = spoil(world, key, {"held": {"S": "many"}})

    members, stats = world.mona.get("/members"), world.mona.get("/stats")

    assert [each["user_id"] for each in members.json["items"]] == ["alice", "mona"]
    assert stats.json["now"]["available"] == world.mona.get().json["totals"]["available"] == 2
    assert len([text for text in logs.messages if "malformed member bob: " in text]) == 3
    world.table.write([Put(key, sound)])


def test_a_batch_refuses_the_customers_of_a_malformed_member_only(world: World) -> None:
    two_pools_with_due_claims(world)
    key = keys.member_key("main", "p", "alice")
    sound = spoil(world, key, {"day": None})

    released = world.mona.post("/claim", {"customer_ids": ["c1", "c3", "c5"]})

    assert released.results == ["store_unavailable", "ok", "ok"]
    world.table.write([Put(key, sound)])


WRONG = {"S": "many"}
COUNTERS: dict[str, dict[str, Any]] = {
    "the number of claims": {"held": WRONG},
    "the room": {"room": WRONG},
    "the counts of the day": {"did": WRONG},
    "a count of the day": {"did": {"M": {"released": WRONG, "claimed": {"N": "2"}}}},
}


@pytest.mark.parametrize("what", COUNTERS)
@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_refuses_the_customers_of_a_member_with_a_malformed_counter_only(
    world: World, what: str, atomic: bool
) -> None:
    world.pool(customers=4)
    world.alice.claim("c1")
    world.bob.claim_batch(["c2", "c3"])
    key = keys.member_key("main", "p", "bob")
    sound = spoil(world, key, COUNTERS[what])

    released = world.mona.release_batch(["c1", "c2", "c3"], atomic=atomic)

    assert released.results == ["ok", "store_unavailable", "store_unavailable"]
    assert world.alice.held() == int(atomic)
    world.table.write([Put(key, sound)])


@pytest.mark.parametrize("counter", ["held", "room", "own_limit"])
def test_a_member_with_a_malformed_counter_or_limit_can_take_no_customer(world: World, counter: str) -> None:
    world.pool(customers=4, holding_limit=10, daily_claim_limit=10)
    key = keys.member_key("main", "p", "bob")
    sound = spoil(world, key, {counter: WRONG})

    assigned = world.mona.post("/assign", {"customer_ids": ["c1", "c2"], "to": "bob"})
    claimed, taken = world.bob.claim("c3"), world.bob.claim_next(2)

    assert assigned.results == ["store_unavailable"] * 2
    assert claimed.code == "store_unavailable"
    assert taken.code == "store_unavailable" if counter != "room" else taken.ids == []
    world.table.write([Put(key, sound)])


def test_others_take_customers_past_the_expired_claims_of_a_malformed_member(world: World) -> None:
    two_pools_with_due_claims(world)
    key = keys.member_key("main", "p", "bob")
    sound = spoil(world, key, {"held": WRONG})

    claimed = world.alice.claim_batch(["c3", "c5"])
    taken = world.alice.claim_next(4)

    assert claimed.results == ["store_unavailable", "ok"]
    assert sorted(taken.ids) == ["c1", "c2", "c6"]
    world.table.write([Put(key, sound)])


@pytest.mark.parametrize("counter", ["held", "private", "own_limit"])
@pytest.mark.parametrize("wrong", [NEGATIVE, FRACTION], ids=["negative", "fraction"])
def test_a_member_with_a_negative_or_fractional_counter_is_not_shown_and_not_changed(
    world: World, logs: LogCapture, counter: str, wrong: dict[str, Any]
) -> None:
    world.pool(customers=4)
    key = keys.member_key("main", "p", "bob")
    sound = spoil(world, key, {counter: wrong})

    put = world.root.request("PUT", "/v1/pools/p/members/bob", {"role": "manager"})
    members, stats = world.mona.get("/members"), world.mona.get("/stats")

    assert (put.status, put.code) == (503, "store_unavailable")
    assert [each["user_id"] for each in members.json["items"]] == ["alice", "mona"] and stats.status == 200
    assert [text for text in logs.messages if "malformed member bob: " in text]
    world.table.write([Put(key, sound)])


@pytest.mark.parametrize("counter", ["held", "did"])
def test_a_negative_counter_gives_no_member_more_than_the_limit(world: World, counter: str) -> None:
    world.pool(customers=4, holding_limit=1, daily_claim_limit=1)
    key = keys.member_key("main", "p", "bob")
    today = world.table.get([key])[key]["day"]
    wrong = NEGATIVE if counter == "held" else {"M": {"claimed": NEGATIVE}}
    sound = spoil(world, key, {counter: wrong, "day": today})

    claimed, taken = world.bob.claim_batch(["c1", "c2"]), world.bob.claim_next(2)

    assert claimed.results == ["store_unavailable"] * 2
    assert taken.code == "store_unavailable"
    world.table.write([Put(key, sound)])


def test_a_negative_number_of_pins_lets_no_member_pin_more_than_the_limit(world: World) -> None:
    world.pool(customers=2, claim_ttl="P1D", pin_limit=1, max_pin="P1D")
    world.bob.claim_batch(["c1", "c2"])
    key = keys.member_key("main", "p", "bob")
    sound = spoil(world, key, {"pins": NEGATIVE})

    pinned = world.bob.post("/pin", {"customer_ids": ["c1", "c2"], "until": rfc3339(world.clock() + HOUR)})

    assert pinned.results == ["store_unavailable"] * 2
    world.table.write([Put(key, sound)])


@pytest.mark.parametrize("wrong", [NEGATIVE, FRACTION, {"S": "many"}], ids=["negative", "fraction", "text"])
def test_a_member_whose_archived_day_is_malformed_is_not_added_again(world: World, wrong: dict[str, Any]) -> None:
    world.pool(customers=1)
    world.bob.claim("c1")
    world.bob.release("c1")
    world.root.request("DELETE", "/v1/pools/p/members/bob")
    row = keys.day_key(keys.member_key("main", "p", "bob"), "2026-06-01")
    sound = spoil(world, row, {"claimed": wrong})

    added = world.root.request("PUT", "/v1/pools/p/members/bob", {"role": "member"})

    assert (added.status, added.code) == (503, "store_unavailable")
    assert world.mona.get("/stats").status == 200
    world.table.write([Put(row, sound)])


# Replays, undo, lists and statistics


ROWS: dict[str, Any] = {
    "no rows": None,
    "text for rows": {"S": "many"},
    "bytes that are not compressed": {"B": b"x"},
    "a negative index": {"B": zlib.compress(b'[[-1,"c1",2,0,false]]')},
    "no version": {"B": zlib.compress(b'[[0,"c1",0,0,false]]')},
    "an id that no customer has": {"B": zlib.compress(b'[[0,"c1#X",2,0,false]]')},
}


@pytest.mark.parametrize("what", ROWS)
def test_an_undo_of_an_import_with_a_malformed_log_changes_nothing(world: World, logs: LogCapture, what: str) -> None:
    mona = world.pool(customers=2)
    rows = [{"id": each, "name": "New"} for each in ("c1", "c2")]
    imported = mona.post("/import", {"rows": rows, "on_duplicate": "update"}).json["import_id"]
    stored = world.table.query(keys.import_key("main", "p", imported).pk).keys
    key = next(each for each in stored if each.sk.startswith("R#"))
    sound = spoil(world, key, {"rows": ROWS[what]})

    undone = mona.post(f"/imports/{imported}/undo")

    assert (undone.status, undone.code) == (503, "store_unavailable")
    assert [mona.customer(each)["name"] for each in ("c1", "c2")] == ["New", "New"]
    assert [text for text in logs.messages if "malformed record of an import: " in text]
    world.table.write([Put(key, sound)])
    assert mona.post(f"/imports/{imported}/undo").results == ["ok", "ok"]


def test_a_replay_shows_all_other_customers_than_a_malformed_one(world: World) -> None:
    world.pool(customers=3)
    first = world.alice.claim_batch(["c1", "c2"], idempotency_key="k1")
    sound = spoil(world, C1, {"version": WRONG})

    again = world.alice.claim_batch(["c1", "c2"], idempotency_key="k1")

    assert (again.status, again.results) == (200, ["ok", "ok"])
    assert again.json["results"][1] == first.json["results"][1]
    world.table.write([Put(C1, sound)])


BEFORE: list[dict[str, Any]] = [
    {"before": {"S": "{"}}, {"before": {"S": '{"name":5}'}}, {"before": {"S": '{"state":1}'}}, {"before": None},
    {"import": None},
]  # fmt: skip


@pytest.mark.parametrize("wrong", BEFORE)
def test_an_undo_refuses_only_the_customer_whose_earlier_content_is_malformed(
    world: World, wrong: dict[str, Any]
) -> None:
    mona = world.pool(customers=2)
    rows = [{"id": each, "name": "New"} for each in ("c1", "c2")]
    imported = mona.post("/import", {"rows": rows, "on_duplicate": "update"}).json["import_id"]
    key = keys.overwritten_key(C1)
    sound = spoil(world, key, wrong)

    undone = mona.post(f"/imports/{imported}/undo")

    assert undone.results == ["store_unavailable", "ok"]
    assert (mona.customer("c1")["name"], mona.customer("c2")["name"]) == ("New", "Customer c2")
    world.table.write([Put(key, sound)])
    assert mona.post(f"/imports/{imported}/undo").results == ["ok", "ok"]


@pytest.mark.parametrize("user", ["mona", "alice"])
def test_a_search_by_a_malformed_unique_key_finds_nobody(world: World, user: str) -> None:
    world.pool(masked_fields=["phone"]).create("c1", fields={"phone": "13812345678"})
    key = unique_key_of("phone", "+8613812345678")
    sound = spoil(world, key, {"version": WRONG})

    known, unknown = (world.user(user).get(f"/customers?phone=1381234567{last}") for last in (8, 9))

    assert (known.status, known.json.get("code")) == (unknown.status, unknown.json.get("code"))
    world.table.write([Put(key, sound)])


@pytest.mark.parametrize("wrong", [WRONG, {"N": "1.5"}])
def test_the_statistics_leave_a_malformed_counter_of_the_pool_out(world: World, wrong: dict[str, Any]) -> None:
    world.pool(customers=2)
    key = keys.pool_counts_key("main", "p")
    malformed: Item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "pooled": wrong, "aside": {"N": "0"}}
    world.table.write([Put(key, malformed)])

    assert world.mona.get("/stats").json["now"]["available"] == 2

    world.table.write([Put(key, {**malformed, "pooled": {"N": "0"}})])


@pytest.mark.parametrize("sort", ["expires_at", "name", "last_follow_up_at"])
def test_the_list_of_own_customers_leaves_a_malformed_one_out(world: World, sort: str) -> None:
    world.pool(customers=2)
    world.alice.claim_batch(["c1", "c2"])
    sound = spoil(world, C1, {"version": WRONG})

    listed = world.alice.request("GET", f"/v1/me/customers?sort={sort}")

    assert (listed.status, listed.ids) == (200, ["c2"])
    world.table.write([Put(C1, sound)])


@pytest.mark.parametrize("query", ["", "?sort=held", "?sort=name"])
def test_the_list_of_members_leaves_one_with_a_malformed_day_out(world: World, query: str) -> None:
    mona = world.pool(members="alice bob")
    key = keys.member_key("main", "p", "alice")
    sound = spoil(world, key, {"day": {"S": "yesterday"}})

    listed = mona.get(f"/members{query}")

    assert {each["user_id"] for each in listed.json["items"]} == {"mona", "bob"}
    world.table.write([Put(key, sound)])


def test_a_dry_run_refuses_only_the_rows_of_a_holder_with_malformed_counters(world: World) -> None:
    mona = world.pool(members="alice bob", holding_limit=5)
    key = keys.member_key("main", "p", "alice")
    sound = spoil(world, key, {"held": {"S": "many"}})
    rows = [{"id": each, "name": "New", "holder": each} for each in ("alice", "bob")]

    tried = mona.post("/import", {"rows": rows, "dry_run": True})

    assert tried.results == ["store_unavailable", "ok"]
    world.table.write([Put(key, sound)])
