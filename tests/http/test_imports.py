"""Importing: every row has its own result; existing customers keep holder, state and clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.test_customers import BAD_CUSTOMERS
from tests.support.world import HOUR, World

BAD_ROWS = [each for each in BAD_CUSTOMERS if "holder" not in each]  # a row may name a holder


def rows_of(*rows: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"rows": [{"name": f"Row {number}"} | row for number, row in enumerate(rows)]} | options


@pytest.mark.parametrize(
    ("mode", "result", "name"),
    [("skip", "ok", "Customer c1"), ("update", "ok", "Row 0"), ("reject", "duplicate_customer", "Customer c1")],
)
def test_an_existing_row_is_skipped_updated_or_rejected_by_mode(
    world: World, mode: str, result: str, name: str
) -> None:
    mona = world.pool(customers=1)

    reply = mona.post("/import", rows_of({"id": "c1"}, {"id": "c2"}, on_duplicate=mode))

    assert (reply.status, reply.results) == (200, [result, "ok"])
    assert mona.customer("c1")["name"] == name and mona.customer("c2")["name"] == "Row 1"


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_an_import_never_changes_holder_state_or_clock(world: World, mode: str) -> None:
    mona = world.pool(claim_ttl="P7D", customers=3)
    world.alice.claim("c1")
    mona.post("/customers/c2/convert", {"to": "bob"})
    world.clock.forward(HOUR)
    kept = ("state", "holder", "claim_id", "claimed_at", "expires_at", "available_at", "entered_pool_at", "returns")
    before = [[mona.customer(each)[name] for name in kept] for each in ("c1", "c2", "c3")]

    mona.post("/import", rows_of({"id": "c1"}, {"id": "c2"}, {"id": "c3"}, on_duplicate=mode))

    assert [[mona.customer(each)[name] for name in kept] for each in ("c1", "c2", "c3")] == before
    assert world.alice.held() == 1


@pytest.mark.parametrize("key", ["id", "phone"])
def test_an_absent_field_stays_and_a_null_field_is_removed(world: World, key: str) -> None:
    mona = world.pool()
    mona.create("c1", priority=5, fields={"phone": "13800138000", "email": "a@example.com", "city": "Wuhan"})

    row = {"id": "c1", "name": "Acme", "fields": {"phone": "138 0013 8000", "city": None, "size": 7}}
    reply = mona.post("/import", {"rows": [row], "key": key, "on_duplicate": "update"})

    assert reply.results == ["ok"]
    acme = mona.customer("c1")
    assert (acme["name"], acme["priority"]) == ("Acme", 5)
    assert acme["fields"] == {"phone": "138 0013 8000", "email": "a@example.com", "size": 7}


@pytest.mark.parametrize("key", ["id", "phone"])
def test_a_row_that_would_exceed_the_field_limit_fails_alone(world: World, key: str) -> None:
    mona = world.pool()
    mona.create("c1", fields={"phone": "13800138000", "notes": "x" * 3_000})
    rows = rows_of(
        {"id": "c1", "fields": {"phone": "13800138000", "more": "y" * 3_000}},
        {"id": "c2", "fields": {"phone": "13900139000"}},
        key=key,
        on_duplicate="update",
    )

    assert mona.post("/import", rows).results == ["invalid_request", "ok"]
    assert mona.customer("c1")["version"] == 1


def test_an_update_without_changes_writes_no_event(world: World) -> None:
    mona = world.pool()
    rows = rows_of({"id": "c1", "fields": {"a": 1}}, on_duplicate="update")
    mona.post("/import", rows)

    assert mona.post("/import", rows).results == ["ok"]
    assert mona.events("c1") == ["imported"]


def test_failed_rows_are_returned_with_reasons_and_the_others_are_imported(world: World) -> None:
    mona = world.pool()
    rows = [{"id": "a", "name": "A"}, 7, {"id": "b"}, {"id": "a", "name": "A again"}, None, {"name": "No id"}]

    reply = mona.post("/import", {"rows": rows})

    assert reply.results == [
        "ok",
        "invalid_request",
        "invalid_request",
        "duplicate_in_request",
        "invalid_request",
        "ok",
    ]
    assert reply.ids[:5] == ["a", "", "b", "a", ""]
    assert all(each["detail"] for each in reply.json["results"] if not each["ok"])
    assert mona.customer("a")["name"] == "A"


def test_a_failed_row_does_not_make_a_later_row_a_duplicate(world: World) -> None:
    mona = world.pool()

    reply = mona.post("/import", {"rows": [{"id": "a"}, {"id": "a", "name": "Good"}]})

    assert reply.results == ["invalid_request", "ok"] and mona.customer("a")["name"] == "Good"


def test_an_invalid_row_fails_alone(world: World) -> None:
    mona = world.pool()
    rows = [{"id": f"bad{number}", "name": "New"} | wrong for number, wrong in enumerate(BAD_ROWS)]

    reply = mona.post("/import", {"rows": [*rows, {"id": "ok", "name": "Ok"}]})

    assert reply.results == [*["invalid_request"] * len(rows), "ok"]
    assert all(each["errors"] for each in reply.json["results"][:-1])
    assert mona.customer_ids() == ["ok"]


@pytest.mark.parametrize(("count", "code"), [(0, "invalid_request"), (101, "batch_too_large")])
def test_an_import_accepts_1_to_100_rows(no_store: World, count: int, code: str) -> None:
    refused = no_store.mona.post("/import", {"rows": [{"name": "N"}] * count})

    assert (refused.status, refused.code) == (422, code)


def test_an_import_requires_a_manager(world: World) -> None:
    world.pool(customers=1)
    rows = rows_of({"id": "c1"}, {"id": "x"}, on_duplicate="skip")

    replies = [world.user(name).post("/import", rows) for name in ("alice", "stranger")]

    assert [(reply.status, reply.code) for reply in replies] == [(403, "not_manager"), (403, "not_a_member")]
    assert "Customer" not in replies[0].text + replies[1].text


@pytest.mark.parametrize(("key", "row"), [("id", 5), ("id", {"id": "no id", "name": "A"}), ("phone", {"name": "A"})])
def test_an_import_of_only_invalid_rows_requires_a_manager(world: World, key: str, row: Any) -> None:
    mona = world.pool()
    rows = {"rows": [row], "key": key}

    replies = [world.user(name).post("/import", rows, idempotency_key="k") for name in ("alice", "stranger")]
    first, again = (mona.post("/import", rows, idempotency_key="k") for _ in range(2))

    assert [(reply.status, reply.code) for reply in replies] == [(403, "not_manager"), (403, "not_a_member")]
    assert first.results == ["invalid_request"] and again.text == first.text
