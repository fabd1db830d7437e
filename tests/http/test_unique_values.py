"""Unique fields: no two customers of a pool have the same value, however it is written and whoever writes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.audit import assert_sound
from tests.support.undo_requests import imported, undo, undo_results
from tests.support.world import Reply, User, World, everything


def field(key: str, kind: str = "text", **flags: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key, "zh": key}, "type": kind} | flags


UNIQUE = [
    field("tax_id", unique=True), field("phone", "phone"), field("size", "number", unique=True),
    field("mobile", "phone", unique=True),
]  # fmt: skip


def with_unique_fields(world: World, pool: str = "p") -> User:
    return world.pool(pool, fields=UNIQUE)


def define(mona: User, fields: list[dict[str, Any]]) -> Reply:
    version = mona.get().headers["ETag"]
    return mona.request("PATCH", f"/v1/pools/{mona.pool}", {"fields": fields}, if_match=version)


def codes(*replies: Reply) -> list[str]:
    return ["ok" if each.status < 300 else each.code for each in replies]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"tax_id": "DE 123 abc"}, {"tax_id": "  ｄｅ 123  ABC "}),
        ({"size": 10}, {"size": "10.0"}),
        ({"mobile": "138 1234 5678"}, {"mobile": "+86-13812345678"}),
        ({"mobile": "none yet"}, {"mobile": "None  Yet"}),
    ],
)
def test_no_two_customers_of_a_pool_have_the_same_value(
    world: World, first: dict[str, Any], second: dict[str, Any]
) -> None:
    mona = with_unique_fields(world)

    replies = [mona.create("a", fields=first), mona.create("b", fields=second)]
    allowed = mona.create("c", fields=second, on_duplicate="allow")

    assert codes(*replies, allowed) == ["ok", "duplicate_customer", "duplicate_customer"]
    assert (replies[1].status, mona.customer("a")["fields"]) == (409, first)


def test_different_values_and_different_fields_and_no_value_are_no_duplicates(world: World) -> None:
    mona = with_unique_fields(world)

    replies = [
        mona.create("a", fields={"tax_id": "1", "phone": "13812345678"}),
        mona.create("b", fields={"tax_id": "2", "mobile": "13812345678"}, on_duplicate="allow"),
        mona.create("c", fields={"tax_id": "", "size": 1}),
        mona.create("d", fields={"tax_id": " ", "size": 2}),
        mona.create("e"),
    ]

    assert codes(*replies) == ["ok"] * 5


def test_an_edit_gets_no_value_of_another_customer_and_keeps_its_own(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", fields={"tax_id": "1"})
    mona.create("b", fields={"tax_id": "2"})

    taken = mona.patch("/customers/b", {"fields": {"tax_id": "1"}})
    own = mona.patch("/customers/a", {"fields": {"tax_id": " 1 ", "size": 3}})
    moved = mona.patch("/customers/a", {"fields": {"tax_id": "3"}})
    freed = mona.patch("/customers/b", {"fields": {"tax_id": "1"}})
    removed = mona.patch("/customers/b", {"fields": {"tax_id": None}})

    assert codes(taken, own, moved, freed, removed) == ["duplicate_customer", "ok", "ok", "ok", "ok"]
    assert mona.create("c", fields={"tax_id": "1"}).status == 201
    assert_sound(world.table)


def test_a_batch_gives_a_value_to_one_customer_only(world: World) -> None:
    mona = with_unique_fields(world)
    for each in ("a", "b"):
        mona.create(each)
    body = {"customer_ids": ["a", "b"], "fields": {"tax_id": "1"}}

    atomic = mona.post("/edit", body | {"atomic": True})
    single = mona.post("/edit", body)

    assert (atomic.status, atomic.code, atomic.results) == (409, "duplicate_customer", ["ok", "duplicate_customer"])
    assert single.results == ["ok", "duplicate_customer"]


def test_an_import_refuses_the_row_with_a_value_of_another_customer(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", fields={"tax_id": "1"})
    rows = [
        {"id": "b", "name": "B", "fields": {"tax_id": "1"}},
        {"id": "c", "name": "C", "fields": {"tax_id": "2"}},
        {"id": "d", "name": "D", "fields": {"tax_id": " 2"}},
    ]

    tried = mona.post("/import", {"rows": rows, "dry_run": True}).results
    results = mona.post("/import", {"rows": rows}).results

    assert tried == results == ["duplicate_customer", "ok", "duplicate_customer"]


def test_an_import_finds_customers_by_a_unique_field(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", name="Old", fields={"tax_id": "AB 1"})
    rows = [{"name": "New", "fields": {"tax_id": "ab  1"}}, {"name": "Other", "fields": {"tax_id": "2"}}, {"name": "N"}]

    reply = mona.post("/import", {"rows": rows, "key": "tax_id", "on_duplicate": "update"})

    assert reply.results == ["ok", "ok", "invalid_request"] and reply.ids[0] == "a"
    assert mona.customer("a")["name"] == "New"
    again = mona.post("/import", {"rows": rows[:2], "key": "auto", "on_duplicate": "update"})
    assert again.ids == reply.ids[:2]


def test_auto_prefers_contacts_to_unique_fields(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", fields={"phone": "13812345678"})
    rows = [{"name": "Found", "fields": {"phone": "13812345678", "tax_id": "7"}}]

    reply = mona.post("/import", {"rows": rows, "key": "auto", "on_duplicate": "update"})

    assert reply.ids == ["a"] and mona.customer("a")["fields"]["tax_id"] == "7"
    assert mona.create("b", fields={"tax_id": "7"}).code == "duplicate_customer"


@pytest.mark.parametrize("key", ["city", "phonee", "name"])
def test_an_import_by_a_field_that_is_not_unique_is_refused(world: World, key: str) -> None:
    mona = with_unique_fields(world)
    body = {"rows": [{"name": "A", "fields": {"city": "Bonn"}}], "key": key}

    replies = [mona.post("/import", body | {"dry_run": dry_run}) for dry_run in (False, True)]

    assert [(each.status, each.code) for each in replies] == [(422, "invalid_request")] * 2
    assert "tax_id" in replies[0].text


def test_a_deposit_into_another_pool_needs_values_that_nobody_has_there(world: World) -> None:
    mona = with_unique_fields(world)
    there = with_unique_fields(world, "q")
    there.create("other", fields={"tax_id": "1"})
    for each, value in (("a", "1"), ("b", "2")):
        mona.create(each, fields={"tax_id": value}, private_of="alice")

    replies = [mona.post(f"/customers/{each}/deposit", {"pool": "q"}) for each in ("a", "b")]

    assert codes(*replies) == ["duplicate_customer", "ok"]
    assert there.create("c", fields={"tax_id": "2"}).code == "duplicate_customer"
    assert mona.create("c", fields={"tax_id": "2"}).status == 201


MASKED = {"defined": [field("tax_id", unique=True, masked=True)], "listed": [field("tax_id", unique=True)]}


def with_secret(world: World, way: str, pool: str = "p", members: str = "alice bob") -> User:
    """Create a pool that masks a unique field. Alice holds `own`; `secret` has the value 4711."""
    masked: dict[str, Any] = {"masked_fields": [" Tax_ID "]} if way == "listed" else {}
    mona = world.pool(pool, members=members, fields=MASKED[way], **masked)
    mona.create("own", fields={"tax_id": "1"})
    mona.create("secret", fields={"tax_id": "4711"})
    assert world.user("alice", pool=pool).claim("own").status == 200
    return mona


@pytest.mark.parametrize("way", ["defined", "listed"])
@pytest.mark.parametrize("verb", ["PATCH", "batch", "atomic"])
def test_a_member_cannot_probe_for_a_masked_value_of_a_unique_field(world: World, verb: str, way: str) -> None:
    mona = with_secret(world, way)

    def probe(value: str | None) -> Reply:
        fields = {"fields": {"tax_id": value}}
        if verb == "PATCH":
            return world.alice.patch("/customers/own", fields)
        return world.alice.post("/edit", {"customer_ids": ["own"], "atomic": verb == "atomic"} | fields)

    answers = {probe(value).text for value in ("4711", "4712", " 4711 ", "x" * 300, None)}

    assert len(answers) == 1 and '"not_manager"' in answers.pop()
    assert mona.customer("own")["fields"] == {"tax_id": "1"} and mona.events("own") == ["created", "claimed"]


def test_managers_write_a_masked_unique_field_and_members_every_other_one(world: World) -> None:
    mona = with_secret(world, "defined")
    mona.create("hers")
    mona.claim("hers")

    own = [world.alice.patch("/customers/own", {"fields": each}) for each in ({"tax_id": "1"}, {"city": "Bonn"})]
    managed = [mona.patch(f"/customers/{each}", {"fields": {"tax_id": each}}) for each in ("own", "hers")]
    taken = [user.patch("/customers/own", {"fields": {"tax_id": "4711"}}) for user in (mona, world.root)]

    assert codes(*own, *managed, *taken) == ["ok"] * 4 + ["duplicate_customer"] * 2


def test_a_deposit_shows_a_member_of_the_target_pool_no_masked_value(world: World) -> None:
    with_secret(world, "listed", "q", members="alice bob carl")
    carl = world.user("carl")
    world.pool(members="alice", fields=UNIQUE)
    world.root.request("PUT", "/v1/pools/p/members/carl", {"role": "manager"})
    for each, fields in (("a", {"tax_id": "4711"}), ("b", {"tax_id": "4712"}), ("c", {"size": 1})):
        carl.create(each, fields=fields, private_of="carl")

    moved = [carl.post(f"/customers/{each}/deposit", {"pool": "q"}) for each in ("a", "b", "c")]

    assert codes(*moved) == ["not_manager", "not_manager", "ok"]
    assert moved[0].json["detail"] == moved[1].json["detail"]
    assert world.root.post("/customers/b/deposit", {"pool": "q"}).status == 200


def test_an_erased_customer_leaves_its_values_to_others(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", fields={"tax_id": "1", "mobile": "13812345678"})

    mona.post("/customers/a/erase", {"reason": "requested"})

    assert not [item for item in everything(world.table) if "#D#" in item["pk"]["S"]]
    assert mona.create("b", fields={"tax_id": "1", "mobile": "13812345678"}).status == 201


def test_the_undo_of_an_import_releases_values_and_takes_none_of_another_customer(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", fields={"tax_id": "1"})
    mona.create("b", fields={"tax_id": "2"})
    first = imported(mona, {"id": "a", "name": "A", "fields": {"tax_id": "10"}})
    second = imported(mona, {"id": "b", "name": "B", "fields": {"tax_id": "20"}}, {"id": "n", "name": "N",
                      "fields": {"tax_id": "2"}})  # fmt: skip
    mona.create("c", fields={"tax_id": "1"})

    undone = [undo_results(undo(mona, name)) for name in (first, second)]

    assert undone == [{"a": "duplicate_customer"}, {"b": "restored", "n": "left"}]
    assert mona.customer("b")["fields"] == {"tax_id": "2"}
    assert_sound(world.table)


def test_a_field_that_becomes_unique_binds_values_written_from_then_on(world: World) -> None:
    mona = world.pool()
    for each in ("a", "b"):
        mona.create(each, fields={"tax_id": "1"})
    define(mona, UNIQUE)

    unrelated = mona.patch("/customers/b", {"fields": {"size": 5}})
    mona.create("c", fields={"tax_id": "3"})
    twin = mona.patch("/customers/b", {"fields": {"tax_id": "3"}})
    define(mona, [field("tax_id"), *UNIQUE[1:]])
    free = mona.patch("/customers/b", {"fields": {"tax_id": "3"}})

    assert codes(unrelated, twin, free) == ["ok", "duplicate_customer", "ok"]


def test_claims_and_releases_leave_unique_values_alone(world: World) -> None:
    mona = with_unique_fields(world)
    mona.create("a", fields={"tax_id": "1"})

    world.alice.claim("a")
    world.alice.release("a")

    assert mona.create("b", fields={"tax_id": "1"}).code == "duplicate_customer"
    assert mona.events("a") == ["created", "claimed", "released"]
