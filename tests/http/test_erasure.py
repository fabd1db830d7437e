"""Erasure: nothing personal of an erased customer stays in the table, and no route shows it again."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.dynamodb import items, keys
from tests.support.audit import assert_sound
from tests.support.canaries import EMAIL, FIELDS, NAME, PHONE
from tests.support.dynamodb_calls import Crash, counted, failing
from tests.support.undo_requests import imported, partition_keys, undo, undo_results
from tests.support.world import DAY, Reply, User, World, everything

REASON = "requested by the customer"
LATER = {"phone": "13810028888", "email": "later-canary@example.test"}
NOTE = "a note with a canary "
WIN = "123456.78"


def erase(user: User, customer: str, **body: Any) -> Reply:
    headers = {name: body.pop(name) for name in ("idempotency_key", "if_match") if name in body}
    return user.post(f"/customers/{customer}/erase", {"reason": REASON} | body, **headers)


def with_a_past(world: World, mona: User) -> None:
    """Customer z: overwritten by an import, with earlier contacts, notes, pages of events, and a win."""
    mona.create("z", name=NAME, fields=FIELDS | {"remark": "canary remark"})
    for _ in range(6):
        world.alice.claim("z")
        world.alice.post("/customers/z/follow-up", {"note": NOTE * 20, "outcome": "canary outcome"})
        world.alice.release("z", reason="canary reason")
    imported(mona, {"id": "z", "name": f"Later {NAME}", "fields": {"phone": LATER["phone"], "canary field": "x"}})
    mona.patch("/customers/z", {"fields": {"email": LATER["email"]}})
    world.alice.claim("z")
    world.alice.post("/customers/z/win", {"note": NOTE, "amount": WIN})


def left_of_it(world: World) -> list[str]:
    """Return the items with anything personal of that customer, also inside compressed content."""
    values = ("canary", PHONE, LATER["phone"], WIN)
    return [
        f"{item['pk']['S']} {item['sk']['S']}"
        for item in everything(world.table)
        if "#D#" in item["pk"]["S"] or any(each in readable(item).lower() for each in values)
    ]


def readable(item: dict[str, Any]) -> str:
    events = {"tail": items.recent_events_record, "events": items.event_page_record}
    unpacked = [str(read(item)) for name, read in events.items() if name in item]
    packed = [item[name]["B"] for name in ("rows", "answers") if "B" in item.get(name, {})]
    unpacked += [zlib.decompress(each).decode() for each in packed]
    return " ".join((str(item), *unpacked))


# What is left


def test_nothing_of_an_erased_customer_is_left_in_the_whole_table(world: World) -> None:
    mona = world.pool()
    with_a_past(world, mona)
    assert {"T#main#P#p#C#z F", "T#main#P#p#C#z I"} < set(left_of_it(world))
    assert sum("#D#" in each for each in left_of_it(world)) == 4

    reply = erase(mona, "z", force=True, idempotency_key="k")

    assert (reply.status, reply.json) == (200, {"id": "z", "erased_at": "2026-06-01T08:00:00.000Z"})
    assert left_of_it(world) == []
    assert_sound(world.table)


def test_pages_of_events_in_an_earlier_pool_are_emptied_too(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    with_a_past(world, mona)
    mona.post("/customers/z/deposit", {"pool": "q"})
    world.clock.forward(1)
    mona.create("z", name="Another")
    mona.patch("/customers/z", {"name": "Renamed"})
    for _ in range(9):
        world.alice.claim("z")
        world.alice.release("z", reason="of another customer with this id")

    reply = erase(world.user("mona", pool="q"), "z")

    assert reply.status == 200 and left_of_it(world) == []
    assert mona.customer("z")["name"] == "Renamed" and len(mona.events("z")) == 20
    reasons = [each["reason"] for each in mona.walk("/customers/z/history")]
    assert reasons.count("of another customer with this id") == 9
    assert_sound(world.table)


def test_attributes_and_items_of_a_later_version_are_erased_as_well(world: World) -> None:
    mona = world.pool()
    mona.create("z", name=NAME)
    client, key = world.table.connection.client, {"pk": {"S": "T#main#P#p#C#z"}, "sk": {"S": "-"}}
    stored = world.table.get([keys.customer_key("main", "p", "z")]).popitem()[1]
    for item in (stored | {"nickname": {"S": "canary"}}, key | {"sk": {"S": "V#1"}, "visit": {"S": "canary"}}):
        client.put_item(TableName=world.table.name, Item=item)

    erase(mona, "z")

    assert left_of_it(world) == []


def test_types_and_times_of_events_stay_for_the_audit(world: World) -> None:
    mona = world.pool()
    with_a_past(world, mona)
    before = mona.events("z")

    erase(mona, "z", force=True)

    tombstone = items.tombstone_record(world.table.get([keys.customer_key("main", "p", "z")]).popitem()[1])
    pages = [item for item in everything(world.table) if item["sk"]["S"].startswith("E#")]
    events = [event for item in pages for event in items.event_page_record(item)] + list(tombstone.tail)
    assert [event.type for event in sorted(events, key=lambda event: event.seq)] == [*before, "erased"]
    assert world.root.request("POST", "/v1/audit", {}).json["drift"] == []


def test_the_audit_reports_a_lost_event_of_an_erased_customer(world: World) -> None:
    mona = world.pool()
    mona.create("z")
    erase(mona, "z")
    key = keys.customer_key("main", "p", "z")
    stored = world.table.get([key])[key]
    events = items.encode_events(items.tombstone_record(stored).tail[1:])
    world.table.connection.client.put_item(TableName=world.table.name, Item=stored | {"tail": items.serialize(events)})

    report = world.root.request("POST", "/v1/audit", {}).json

    assert [(each["kind"], each["id"], each["found"]) for each in report["drift"]] == [("events", "z", [1])]
    world.table.connection.client.put_item(TableName=world.table.name, Item=stored)


# From then on


ROUTES: dict[str, Callable[[User], Reply]] = {
    "read": lambda user: user.get("/customers/z"),
    "history": lambda user: user.get("/customers/z/history"),
    "eligibility": lambda user: user.get("/customers/z/eligibility"),
    "edit": lambda user: user.patch("/customers/z", {"name": "Other"}),
    "claim": lambda user: user.claim("z"),
    "release": lambda user: user.release("z"),
    "assign": lambda user: user.post("/customers/z/assign", {"to": "bob"}),
    "transfer": lambda user: user.post("/customers/z/transfer", {"to": "bob"}),
    "convert": lambda user: user.post("/customers/z/convert", {"to": "bob"}),
    "deposit": lambda user: user.post("/customers/z/deposit"),
    "extend": lambda user: user.post("/customers/z/extend", {"by": "PT1H"}),
    "follow up": lambda user: user.post("/customers/z/follow-up", {"note": "called"}),
    "win": lambda user: user.post("/customers/z/win"),
    "pin": lambda user: user.post("/customers/z/pin", {"until": "2026-06-02T00:00:00Z"}),
    "restore": lambda user: user.post("/customers/z/restore"),
    "erase": lambda user: erase(user, "z", force=True),
}


@pytest.mark.parametrize("warm", [True, False], ids=["cached", "not cached"])
@pytest.mark.parametrize("route", ROUTES)
def test_an_erased_customer_is_not_found_on_any_route(memory_world: World, route: str, warm: bool) -> None:
    mona = memory_world.pool()
    mona.create("z", name=NAME)
    before = memory_world.service
    with memory_world.process():
        memory_world.alice.claim("z")
        erase(mona, "z", force=True)
    memory_world.service = before if warm else memory_world.another_process()

    reply = ROUTES[route](mona)

    assert (reply.status, reply.code) == (404, "not_found")
    assert_sound(memory_world.table)


def test_an_erased_customer_is_on_no_list(world: World) -> None:
    mona = world.pool()
    mona.create("z", name=NAME, fields=FIELDS)
    mona.create("other")

    erase(mona, "z")

    for query in ("", "state=available", "name=zhang", f"phone={PHONE}", f"email={EMAIL}"):
        assert "z" not in mona.customer_ids(query)
    assert [each["id"] for each in world.alice.claim_next(5).json["items"]] == ["other"]


def test_the_id_of_an_erased_customer_is_not_used_again(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    mona.create("z")
    erase(mona, "z")
    world.user("mona", pool="q").create("z")
    world.user("mona", pool="q").post("/customers/z/convert", {"to": "alice"})

    created = mona.create("z")
    modes = [
        mona.post("/import", {"rows": [{"id": "z", "name": "Z"}], "on_duplicate": mode}).results
        for mode in ("reject", "skip", "update")
    ]
    deposited = world.user("mona", pool="q").post("/customers/z/deposit", {"pool": "p"})

    assert (created.status, created.code) == (409, "suppressed")
    assert modes == [["suppressed"]] * 3 and deposited.code == "suppressed"
    assert mona.customer_ids() == []


def test_undoing_an_import_restores_nothing_of_an_erased_customer(world: World) -> None:
    mona = world.pool()
    mona.create("old", name=NAME, fields=FIELDS)
    name = imported(mona, {"id": "old", "name": "Now"}, {"id": "new", "fields": {"phone": "13900000000"}}, {"id": "b"})
    mona.post("/erase", {"customer_ids": ["old", "new"], "reason": REASON})

    reply = undo(mona, name)

    assert undo_results(reply) == {"old": "not_found", "new": "not_found", "b": "left"}
    assert left_of_it(world) == []
    assert_sound(world.table)


def test_a_replay_after_an_erasure_shows_neither_name_nor_fields(world: World) -> None:
    mona = world.pool()
    body = {"id": "z", "name": NAME, "fields": FIELDS}
    first = mona.post("/customers", body, idempotency_key="k")
    erase(mona, "z")

    again = mona.post("/customers", body, idempotency_key="k")

    assert again.json == first.json | {"name": None, "fields": None}
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_replayed_erasure_gives_the_first_answer(world: World) -> None:
    mona = world.pool()
    mona.create("z")
    first = erase(mona, "z", idempotency_key="k")
    world.clock.forward(1)

    again = erase(mona, "z", idempotency_key="k")

    assert again.text == first.text and again.headers["Idempotent-Replayed"] == "true"


# Counters, keys and events


def test_counters_of_holders_owners_and_the_pool_are_put_right(world: World) -> None:
    mona = world.pool(max_returns=1, pin_limit=2, customers=5)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.post("/customers/c1/pin", {"until": "2026-06-02T00:00:00Z"})
    world.alice.post("/customers/c2/win")
    world.alice.release("c3")

    reply = mona.post("/erase", {"customer_ids": ["c1", "c2", "c3", "c4", "c5"], "reason": REASON, "force": True})

    member = world.alice.get("/members/me").json
    assert reply.results == ["ok"] * 5
    assert (member["held"], member["pins"], member["private"]) == (0, 0, 0)
    assert mona.get("/stats").json["now"].items() >= {"available": 0, "claimed": 0, "set_aside": 0}.items()
    assert_sound(world.table)


def test_an_erasure_hands_a_shared_phone_number_to_its_previous_owner(world: World) -> None:
    mona = world.pool()
    mona.create("first", fields={"phone": PHONE})
    mona.create("second", fields={"phone": PHONE})

    erase(mona, "second")

    assert mona.customer_ids(f"phone={PHONE}") == ["first"]
    erase(mona, "first")
    assert partition_keys(world, "#D#") == []


def test_an_erasure_leaves_the_phone_number_of_another_customer(world: World) -> None:
    mona = world.pool()
    mona.create("first", fields={"phone": PHONE})
    mona.create("second", fields={"phone": PHONE}, on_duplicate="allow")

    erase(mona, "first")

    assert mona.customer_ids(f"phone={PHONE}") == ["second"]
    assert_sound(world.table)


def test_a_pool_whose_customers_are_erased_can_be_deleted(world: World) -> None:
    mona = world.pool()
    mona.create("z")
    erase(mona, "z")

    assert world.root.delete().status == 200
    world.clock.forward(1)
    world.pool()
    assert mona.create("z").code == "suppressed"


# Who may, and what is refused


def test_a_held_customer_is_erased_with_force_only(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=3)
    world.alice.claim_batch(["c1", "c2"])
    world.alice.post("/customers/c2/win")

    refused = [erase(mona, each).code for each in ("c1", "c2")]
    forced = [erase(mona, each, force=True).status for each in ("c1", "c2")]
    world.alice.claim("c3")
    world.clock.forward(DAY)

    assert refused == ["already_claimed"] * 2 and forced == [200, 200]
    assert erase(mona, "c3").status == 200
    assert_sound(world.table)


@pytest.mark.parametrize("reason", ["of 138 1002 9999", f"mail of {EMAIL}", " \u3164", "", "x" * 201, None])
def test_a_reason_is_short_visible_and_without_contacts(world: World, reason: str | None) -> None:
    mona = world.pool(customers=1)

    reply = mona.post("/customers/c1/erase", {"reason": reason})

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert mona.get("/customers/c1").status == 200


@pytest.mark.parametrize("identifier", [PHONE, "138-1002-9999", "8613810029999", "021-12345678"])
def test_an_id_that_is_a_phone_number_is_refused(world: World, identifier: str) -> None:
    mona = world.pool()

    created = mona.create(identifier)
    modes = [
        mona.post("/import", {"rows": [{"id": identifier, "name": "A"}, {"id": "b"}, {"id": "c", "name": "C"}],
                              "on_duplicate": mode}).results[0]
        for mode in ("reject", "update")
    ]  # fmt: skip

    assert (created.status, created.json["errors"]) == (
        422, ["id: must not contain a phone number or an e-mail address"]
    )  # fmt: skip
    assert modes == ["invalid_request"] * 2 and mona.customer_ids() == ["c"]


def test_ids_with_many_digits_that_are_no_phone_number_are_accepted(world: World) -> None:
    mona = world.pool()

    assert [mona.create(each).status for each in ("2026060100001234", "KH-0000001", "order-7")] == [201] * 3


def test_members_neither_erase_nor_list_the_erased(world: World) -> None:
    world.pool(customers=1)

    assert erase(world.alice, "c1").code == world.alice.get("/erased").code == "not_manager"
    assert erase(world.user("stranger"), "c1").code == "not_a_member"


def test_if_match_guards_an_erasure(world: World) -> None:
    mona = world.pool(customers=1)

    assert erase(mona, "c1", if_match="7").code == "version_conflict"
    assert erase(mona, "c1", if_match="1").status == 200


def test_an_atomic_batch_erases_all_or_none(world: World) -> None:
    mona = world.pool(customers=3)
    world.alice.claim("c2")
    body = {"customer_ids": ["c1", "c2", "c3"], "reason": REASON, "atomic": True}

    refused = mona.post("/erase", body)
    done = mona.post("/erase", body | {"force": True})

    assert (refused.status, refused.code) == (409, "already_claimed")
    assert done.results == ["ok"] * 3 and mona.customer_ids() == []
    assert [each["erased_at"] for each in done.json["results"]] == ["2026-06-01T08:00:00.001Z"] * 3


@pytest.mark.parametrize("status", ["pause", "close"])
def test_customers_are_erased_in_a_paused_or_closed_pool(world: World, status: str) -> None:
    mona = world.pool(customers=1)
    world.root.post(f"/{status}", {"mode": "drain"} if status == "close" else None)

    assert erase(mona, "c1").status == 200


# The list


def test_the_list_of_erased_customers_says_when_by_whom_and_why(world: World) -> None:
    mona = world.pool(customers=3)
    world.root.request("PUT", "/v1/users/mona", {"name": "Mona"})
    for each in ("c1", "c2", "c3"):
        erase(mona, each)
        world.clock.forward(1)

    listed = mona.walk("/erased")
    first = mona.get("/erased?limit=2").json

    assert [each["id"] for each in listed] == ["c1", "c2", "c3"]
    assert listed[0] == {
        "id": "c1", "erased_at": "2026-06-01T08:00:00.001Z", "by": "mona", "reason": REASON, "suppressed": False,
    }  # fmt: skip
    assert len(first["items"]) == 2 and first["people"] == {"mona": {"name": "Mona"}}


# Cut short


def test_the_schedule_finishes_an_erasure_that_was_cut_short(world: World) -> None:
    mona = world.pool()
    with_a_past(world, mona)
    with pytest.raises(Crash), failing(world, 2):
        erase(mona, "z", force=True)
    assert left_of_it(world) != [] and mona.get("/customers/z").status == 404

    report = world.run_schedule()

    assert left_of_it(world) == [] and report.failed == 0
    assert_sound(world.table)


def test_a_repetition_finishes_an_erasure_that_failed_midway(world: World) -> None:
    mona = world.pool()
    with_a_past(world, mona)
    with failing(world, 2, error=lambda: EndpointConnectionError(endpoint_url="engine")):
        failed = erase(mona, "z", force=True, idempotency_key="k")

    again = erase(mona, "z", force=True, idempotency_key="k")

    assert (failed.status, failed.code, again.status) == (503, "outcome_unknown", 200)
    assert left_of_it(world) == []


def test_one_malformed_page_of_events_does_not_stop_an_erasure(world: World) -> None:
    mona = world.pool()
    with_a_past(world, mona)
    pages = [item for item in everything(world.table) if item["sk"]["S"].startswith("E#")]
    world.table.connection.client.put_item(TableName=world.table.name, Item=pages[0] | {"events": {"S": "canary"}})

    assert erase(mona, "z", force=True).status == 200
    assert [each for each in everything(world.table) if "canary" in str(each)] == []
    world.table.connection.client.put_item(TableName=world.table.name, Item=items.emptied_page(pages[0]))


# Costs


def test_an_erasure_makes_three_reads_and_two_transactions(world: World) -> None:
    mona = world.pool()
    mona.create("z", name=NAME, fields=FIELDS)
    mona.get("/customers/z")

    with counted(world) as made:
        erase(mona, "z")

    assert made == {"BatchGetItem": 2, "Query": 1, "TransactWriteItems": 2}
