"""Customer records: created by managers, edited by holders and managers, rejected when invalid."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.world import DAY, MINUTE, World


def test_a_manager_creates_a_customer_as_available(world: World) -> None:
    mona = world.pool(embargo="PT1H")

    made = mona.create(fields={"phone": "13812345678", "vip": True, "age": 7, "score": 1.5, "note": None}, priority=3)

    assert made.status == 201 and made.headers["ETag"] == '"1"'
    assert made.json == mona.customer("new")
    assert (made.json["state"], made.json["holder"], made.json["priority"]) == ("available", None, 3)
    assert made.json["fields"] == {"phone": "13812345678", "vip": True, "age": 7, "score": 1.5, "note": None}
    assert made.json["available_at"] == "2026-06-01T09:00:00.000Z"
    assert mona.events("new") == ["created"]
    assert world.alice.create("x").code == "not_manager"
    assert world.user("stranger").create("x").code == "not_a_member"


def test_a_customer_without_an_id_gets_a_valid_new_id(world: World) -> None:
    mona = world.pool()

    first, second = mona.create(None).json["id"], mona.create(None).json["id"]

    assert first != second and mona.customer(first)["name"] == "New"


@pytest.mark.parametrize("later", [0, MINUTE])
def test_a_customer_is_not_created_twice(world: World, later: int) -> None:
    mona = world.pool()
    mona.create(name="First")
    world.clock.forward(later)

    again = mona.create(name="Second")

    assert (again.status, again.code) == (409, "duplicate_customer")
    assert mona.customer("new")["name"] == "First"


def test_the_largest_allowed_customer_is_stored_whole(world: World) -> None:
    mona = world.pool()
    fields = {"note": "客" * 1_300, "huge": 10**40}

    mona.create("x" * 64, name="户" * 200, fields=fields, priority=-1000)

    assert mona.customer("x" * 64)["fields"] == fields
    assert mona.claim("x" * 64).json["name"] == "户" * 200


BAD_CUSTOMERS: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "x" * 201},
    {"name": None},
    {"id": "a#b"},
    {"id": ""},
    {"id": "x" * 65},
    {"id": "a\n"},
    {"priority": 1001},
    {"priority": 1.5},
    {"fields": None},
    {"fields": {"a": [[[[[[[[[1]]]]]]]]]}},
    {"fields": {"a": [[[[[[[[{"b": 1}]]]]]]]]}},
    {"fields": {"": 1}},
    {"fields": {"x" * 65: 1}},
    {"fields": {"a": "x" * 4_096}},
    {"fields": {str(n): "客户" * 10 for n in range(100)}},
    {"state": "claimed"},
    {"holder": "alice"},
    {"version": 9},
]


@pytest.mark.parametrize("attributes", BAD_CUSTOMERS, ids=lambda attributes: str(attributes)[:40])
def test_an_invalid_customer_is_rejected(no_store: World, attributes: dict[str, Any]) -> None:
    refused = no_store.mona.create(**attributes)

    assert (refused.status, refused.code) == (422, "invalid_request")
    assert refused.json["errors"]


# Editing


def test_only_the_holder_or_a_manager_edits_a_customer(world: World) -> None:
    mona = world.pool()
    mona.post("/customers", {"id": "c1", "name": "Old", "fields": {"city": "Wuhan", "fax": "1"}})
    edit = {"name": "New", "fields": {"fax": None, "size": 3}}

    assert world.alice.patch("/customers/c1", edit).code == "not_holder"
    world.alice.claim("c1")
    edited = world.alice.patch("/customers/c1", edit)

    assert (edited.json["name"], edited.json["fields"]) == ("New", {"city": "Wuhan", "size": 3})
    assert (edited.json["holder"], edited.json["version"]) == ("alice", 3)
    assert mona.patch("/customers/c1", {"priority": 7}).json["priority"] == 7
    assert mona.customer("c1")["fields"] == {"city": "Wuhan", "size": 3}


def test_only_a_manager_changes_a_priority(world: World) -> None:
    mona = world.pool()
    mona.create("c1", priority=2)
    mona.create("c2")
    world.alice.claim_batch(["c1", "c2"])

    same = world.alice.patch("/customers/c1", {"priority": 2, "name": "New"})
    other = world.alice.patch("/customers/c1", {"priority": 3, "name": "Newer"})
    batch = world.alice.post("/edit", {"customer_ids": ["c1", "c2"], "priority": 0})
    by_mona = mona.post("/edit", {"customer_ids": ["c1", "c2"], "priority": 9, "atomic": True})

    assert (same.status, same.json["name"], other.status, other.code) == (200, "New", 403, "not_manager")
    assert batch.results == ["not_manager", "ok"]
    assert by_mona.results == ["ok", "ok"] and mona.customer("c1")["priority"] == 9


def test_an_updated_event_names_the_keys_that_changed(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    mona.create("c1", fields={"city": "Wuhan", "phone": "13812345678"})
    mona.patch("/customers/c1", {"name": "Other", "priority": 1, "fields": {"city": None, "fax": "1"}})
    mona.post("/import", {"rows": [{"id": "c1", "name": "Other", "fields": {"phone": "13912345678"}}],
                          "on_duplicate": "update"})  # fmt: skip
    mona.claim("c1")

    events = world.bob.get("/customers/c1/history").json["items"]

    assert [(each["type"], each["changed"]) for each in events] == [
        ("created", []), ("updated", ["name", "priority", "city", "fax"]), ("updated", ["phone"]), ("claimed", []),
    ]  # fmt: skip


def test_a_manager_edits_a_customer_after_their_own_claim_expired(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=2)
    mona.claim("c1")
    world.alice.claim("c2")
    world.clock.forward(DAY)

    refused = world.alice.patch("/customers/c2", {"name": "New"})
    edited = mona.patch("/customers/c1", {"name": "New"})

    assert refused.code == "expired"
    assert (edited.status, edited.json["name"]) == (200, "New")


def test_a_refused_edit_does_not_reveal_the_size_of_the_customer(world: World) -> None:
    mona = world.pool()
    mona.create("c1", fields={"notes": "x" * 3_000})
    more = {"name": "New", "fields": {"more": "y" * 3_000}}

    edits = [world.user(name).patch("/customers/c1", more) for name in ("mona", "bob", "zed")]
    rows = {"rows": [{"id": "c1"} | more], "on_duplicate": "update"}
    imports = [world.user(name).post("/import", rows) for name in ("bob", "zed")]

    assert edits[0].json["errors"] == ["fields: 6022 bytes, but at most 4096 are allowed"]
    assert [reply.code for reply in edits] == ["invalid_request", "not_holder", "not_a_member"]
    assert [(reply.status, reply.code) for reply in imports] == [(403, "not_manager"), (403, "not_a_member")]


def test_an_edit_with_an_old_version_is_refused(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")

    refused = mona.patch("/customers/c1", {"name": "New"}, if_match='"1"')

    assert (refused.status, refused.code) == (412, "version_conflict")


def test_an_edit_that_lost_a_race_is_not_reported_as_done(world: World) -> None:
    mona = world.pool(customers=1)
    mona.customer("c1")
    with world.process():
        mona.patch("/customers/c1", {"name": "Theirs"})

    edited = mona.patch("/customers/c1", {"priority": 7})

    assert edited.status == 200 and mona.customer("c1")["priority"] == 7
