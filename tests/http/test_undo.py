"""Undo of an import: unchanged customers go back to their earlier state; the others stay, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.transactions.import_log import RETENTION_SECONDS
from tests.support.undo_requests import PHONE, edit, imported, listed, partition_keys, undo, undo_results
from tests.support.world import DAY, User, World, everything

# What is undone


def test_undo_removes_a_created_customer_with_its_fields(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a", "fields": {"phone": PHONE, "email": "a@b.cn"}}, {"id": "b"})

    reply = undo(mona, name)

    assert undo_results(reply) == {"a": "left", "b": "left"} and reply.json["summary"] == {"ok": 2, "failed": 0}
    assert mona.get("/customers/a").code == world.alice.claim("b").code == "not_found"
    assert listed(mona) == listed(mona, f"?phone={PHONE}") == partition_keys(world, "#C#", "#D#") == []


def test_undo_restores_the_fields_of_an_updated_customer(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was", fields={"phone": PHONE, "city": "上海"}, priority=3)
    world.alice.claim("a")
    name = imported(mona, {"id": "a", "name": "Is", "fields": {"phone": "13900000000"}, "priority": 9})

    reply = undo(mona, name)

    shown = mona.customer("a")
    assert undo_results(reply) == {"a": "restored"} and reply.json["results"][0]["customer"] == shown
    assert (shown["name"], shown["fields"], shown["priority"]) == ("Was", {"phone": PHONE, "city": "上海"}, 3)
    assert (shown["holder"], shown["version"]) == ("alice", 4)
    assert listed(mona, f"?phone={PHONE}") == ["a"] and listed(mona, "?phone=13900000000") == []


def test_the_content_that_an_import_overwrote_is_stored_with_its_customer_only(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Wang Wei", fields={"phone": PHONE})

    imported(mona, {"id": "a", "name": "Acme", "fields": {"phone": "13900000000"}}, {"id": "b"})

    naming = [item for item in everything(world.table) if "Wang Wei" in str(item) or PHONE in str(item)]
    assert [(item["pk"]["S"], item["sk"]["S"]) for item in naming] == [("T#main#P#p#C#a", "I")]
    assert "ttl" in naming[0]


def test_the_history_records_the_undo_and_its_actor(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was")

    undo(mona, imported(mona, {"id": "a", "name": "Is"}))

    last = mona.get("/customers/a/history").json["items"][-1]
    assert (last["type"], last["reason"], last["by"], last["seq"]) == ("updated", "import undone", "mona", 3)


def test_an_import_by_phone_number_is_undone(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was", fields={"phone": PHONE})
    rows: list[dict[str, Any]] = [
        {"fields": {"phone": PHONE, "vip": True}},
        {"id": "b", "fields": {"phone": "13900000000"}},
    ]

    reply = undo(mona, imported(mona, *rows, key="phone"))

    assert undo_results(reply) == {"a": "restored", "b": "left"}
    assert mona.customer("a")["fields"] == {"phone": PHONE} and listed(mona) == ["a"]


def test_undo_returns_only_rows_that_changed_a_customer_in_order(world: World) -> None:
    mona = world.pool()
    for each in ("same", "b"):
        mona.create(each, name="Was")
    rows: list[Any] = [{"id": "z", "name": "Z"}, 7, {"id": "same", "name": "Was"}, {"id": "b", "name": "B"},
                       {"id": "z", "name": "Twice"}, {"id": "a", "name": "A"}]  # fmt: skip
    reply = mona.post("/import", {"rows": rows, "on_duplicate": "update"})

    undone = undo(mona, reply.json["import_id"])

    assert list(undo_results(undone).items()) == [("z", "left"), ("b", "restored"), ("a", "left")]
    assert listed(mona) == ["b", "same"]


@pytest.mark.parametrize("status", ["pause", "close"])
def test_an_import_is_undone_in_a_paused_or_closed_pool(world: World, status: str) -> None:
    mona, root = world.pool(), world.root
    mona.create("b", name="Was")
    name = imported(mona, {"id": "a"}, {"id": "b"})
    assert root.post(f"/{status}", {"mode": "drain"} if status == "close" else None).status == 200

    assert undo_results(undo(mona, name)) == {"a": "left", "b": "restored"}


# What stays


def claim_and_release(mona: User) -> None:
    mona.claim("new")
    mona.release("new")


TOUCHES: dict[str, Callable[[User], Any]] = {
    "claimed": lambda mona: mona.claim("new"),
    "claimed and released": claim_and_release,
    "edited": lambda mona: edit(mona, "new", fields={"note": "called"}),
    "imported again": lambda mona: imported(mona, {"id": "new", "name": "Later"}),
    "made private": lambda mona: mona.post("/customers/new/convert", {"to": "bob"}),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_undo_keeps_customers_changed_since_the_import(world: World, touch: str) -> None:
    mona = world.pool()
    mona.create("old", name="Was")
    name = imported(mona, {"id": "new"}, {"id": "other"}, {"id": "old"})
    TOUCHES[touch](mona)
    before = mona.customer("new")

    reply = undo(mona, name)

    assert undo_results(reply) == {"new": "version_conflict", "other": "left", "old": "restored"}
    assert reply.json["summary"] == {"ok": 2, "failed": 1} and reply.json["results"][0]["detail"]
    assert mona.customer("new") == before and listed(mona) == ["new", "old"]


def test_undo_keeps_customers_changed_by_another_process(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})
    with world.process():
        world.alice.claim("a")

    assert undo_results(undo(mona, name)) == {"a": "version_conflict", "b": "left"}
    assert world.alice.held() == 1


def test_undo_leaves_customers_that_moved_to_another_pool(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    name = imported(mona, {"id": "a"})
    mona.post("/customers/a/convert", {"to": "mona"})
    assert mona.post("/customers/a/deposit", {"pool": "q"}).status == 200

    assert undo_results(undo(mona, name)) == {"a": "not_found"}
    assert listed(world.user("mona", pool="q")) == ["a"]


def test_undo_leaves_a_new_customer_with_the_id_of_a_moved_one(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    name = imported(mona, {"id": "a"})
    mona.post("/customers/a/convert", {"to": "mona"})
    mona.post("/customers/a/deposit", {"pool": "q"})
    world.clock.forward(1)
    mona.create("a", name="Another")

    assert undo_results(undo(mona, name)) == {"a": "version_conflict"}
    assert (mona.customer("a")["name"], mona.customer("a")["version"]) == ("Another", 1)


def test_undo_skips_customers_that_a_later_import_changed(world: World) -> None:
    mona = world.pool()
    first = imported(mona, {"id": "a", "name": "First"}, {"id": "b"})
    second = imported(mona, {"id": "a", "name": "Second"}, {"id": "b"})

    assert undo_results(undo(mona, first)) == {"a": "version_conflict", "b": "left"}
    assert undo_results(undo(mona, second)) == {"a": "restored"} and mona.customer("a")["name"] == "First"


# Phone numbers and addresses


def test_undo_leaves_a_number_that_another_customer_took(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a", "fields": {"phone": PHONE, "email": "a@b.cn"}}, {"id": "b"})
    mona.create("c", fields={"phone": PHONE}, on_duplicate="allow")

    assert undo_results(undo(mona, name)) == {"a": "left", "b": "left"}
    assert listed(mona, f"?phone={PHONE}") == ["c"] and len(partition_keys(world, "#D#")) == 1


@pytest.mark.parametrize("way", ["create", "edit", "import"])
def test_undo_gives_no_number_back_that_another_customer_took_since(world: World, way: str) -> None:
    mona = world.pool()
    mona.create("a", fields={"phone": PHONE})
    mona.create("b")
    world.clock.forward(1)
    name = imported(mona, {"id": "a", "fields": {"phone": "13900000000"}}, {"id": "new"})
    world.clock.forward(1)
    if way == "create":
        assert mona.create("c", fields={"phone": PHONE}).status == 201
    elif way == "edit":
        edit(mona, "b", fields={"phone": PHONE})
    else:
        imported(mona, {"id": "c", "fields": {"phone": PHONE}}, key="phone")

    undone = undo(mona, name)

    assert undo_results(undone) == {"a": "duplicate_customer", "new": "left"}
    assert mona.customer("a")["fields"] == {"phone": "13900000000"}
    assert listed(mona, f"?phone={PHONE}") == ["b" if way == "edit" else "c"]


def test_undo_gives_customers_that_shared_a_number_their_number_back(world: World) -> None:
    mona = world.pool()
    ids = [f"c{number}" for number in range(60)]
    for each in ids:
        mona.create(each, fields={"phone": PHONE}, on_duplicate="allow")
    world.clock.forward(1)
    rows = [{"id": each, "fields": {"phone": f"139{at:08d}"}} for at, each in enumerate(ids)]
    source: dict[str, Any] = {"import": {"id": "file-1"}}
    for part in (rows[:30], rows[30:]):
        imported(mona, *part, **source)
        world.clock.forward(1)

    later = undo(mona, "file-1")
    earlier = mona.post("/imports/file-1/undo", {"cursor": later.json["next_cursor"]})

    assert {*undo_results(later).values(), *undo_results(earlier).values()} == {"restored"}
    assert all(mona.customer(each)["fields"] == {"phone": PHONE} for each in ids)


def test_undo_of_two_rows_with_one_number_frees_the_number(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a", "fields": {"phone": PHONE}}, {"id": "b", "fields": {"phone": PHONE}})

    assert undo_results(undo(mona, name)) == {"a": "left", "b": "left"}
    assert partition_keys(world, "#C#", "#D#") == []


def test_undo_returns_a_number_to_its_previous_customer(world: World) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE})
    taken = [{"id": "new", "fields": {"phone": PHONE}}, {"id": "old", "fields": {"phone": "13900000000"}}]

    for rows in (taken, taken[::-1]):
        world.clock.forward(1)
        assert set(undo_results(undo(mona, imported(mona, *rows))).values()) == {"left", "restored"}
        assert listed(mona, f"?phone={PHONE}") == ["old"]


# The customer that had the number before


def test_undo_returns_a_taken_number_to_a_customer_outside_of_the_import(world: World) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE, "email": "a@b.cn"})
    mona.create("other", name="Was", fields={"email": "x@y.cn"})
    rows = {"id": "new", "fields": {"phone": PHONE}}, {"id": "other", "fields": {"email": "a@b.cn"}}

    assert undo_results(undo(mona, imported(mona, *rows))) == {"new": "left", "other": "restored"}

    assert listed(mona, f"?phone={PHONE}") == listed(mona, "?email=a@b.cn") == ["old"]
    assert listed(mona, "?email=x@y.cn") == ["other"]
    again = mona.post(
        "/import", {"rows": [{"name": "Old", "fields": {"phone": PHONE}}], "key": "phone", "on_duplicate": "reject"}
    )
    assert again.results == ["duplicate_customer"]


def test_a_number_taken_by_two_imports_returns_to_its_first_customer(world: World) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE})
    first, second = (imported(mona, {"id": each, "fields": {"phone": PHONE}}) for each in ("a", "b"))

    undo(mona, second)
    assert listed(mona, f"?phone={PHONE}") == ["a"]
    undo(mona, first)

    assert listed(mona, f"?phone={PHONE}") == ["old"]


def test_undo_of_many_rows_with_one_number_returns_it_to_its_first_customer(world: World) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE})
    fillers = [{"id": f"c{number}", "fields": {"phone": f"1391234{number:04d}"}} for number in range(60)]

    same = [{"id": each, "fields": {"phone": PHONE}} for each in ("a", "b")]
    undo(mona, imported(mona, same[0], *fillers, same[1]))

    assert listed(mona) == listed(mona, f"?phone={PHONE}") == ["old"] and len(partition_keys(world, "#D#")) == 1


@pytest.mark.parametrize("requests", [1, 3])
def test_a_number_returns_to_its_first_customer_however_many_rows_had_it(world: World, requests: int) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE, "email": "a@b.cn"})
    rows = [{"id": f"c{number}", "fields": {"phone": PHONE, "email": "a@b.cn"}} for number in range(6)]

    parts = [rows[part::requests] for part in range(requests)]
    for name in reversed([imported(mona, *part) for part in parts]):
        undo(mona, name)

    assert listed(mona) == listed(mona, f"?phone={PHONE}") == listed(mona, "?email=a@b.cn") == ["old"]


def test_undo_returns_a_number_to_a_customer_of_the_same_import_that_stays(world: World) -> None:
    mona = world.pool()
    name = imported(mona, *({"id": each, "fields": {"phone": PHONE}} for each in ("a", "b", "c")))
    world.alice.claim("a")

    results = undo_results(undo(mona, name))
    again = mona.post("/import", {"rows": [{"name": "Again", "fields": {"phone": PHONE}}], "key": "phone"})

    assert results == {"a": "version_conflict", "b": "left", "c": "left"}
    assert listed(mona, f"?phone={PHONE}") == ["a"] and again.results == ["duplicate_customer"]


def test_an_erasure_returns_a_number_to_a_customer_of_the_same_import(world: World) -> None:
    mona = world.pool()
    imported(mona, *({"id": each, "fields": {"phone": PHONE}} for each in ("a", "b", "c")))

    mona.post("/customers/c/erase", {"reason": "asked"})
    first = listed(mona, f"?phone={PHONE}")
    mona.post("/customers/b/erase", {"reason": "asked"})

    assert (first, listed(mona, f"?phone={PHONE}")) == (["b"], ["a"])


def test_two_customers_that_exchanged_numbers_have_their_own_after_the_undo(world: World) -> None:
    mona, phones = world.pool(), {"a": PHONE, "b": "13900000000"}
    for each, phone in phones.items():
        mona.create(each, fields={"phone": phone})

    for rows in (["a", "b"], ["b", "a"]):
        exchanged = [{"id": each, "fields": {"phone": phones["ab".replace(each, "")]}} for each in rows]
        assert set(undo_results(undo(mona, imported(mona, *exchanged))).values()) == {"restored"}
        assert [listed(mona, f"?phone={phone}") for phone in phones.values()] == [["a"], ["b"]]


def test_undo_frees_a_number_that_its_previous_customer_has_no_more(world: World) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE})
    name = imported(mona, {"id": "new", "fields": {"phone": PHONE}})
    edit(mona, "old", fields={"phone": None})

    undo(mona, name)

    assert listed(mona) == ["old"] and partition_keys(world, "#D#") == []


# Cached customers that no longer exist


def in_another_process(world: World, do: Callable[[], Any]) -> Any:
    mine, world.service = world.service, world.another_process()
    try:
        return do()
    finally:
        world.service = mine


def test_a_process_with_a_cached_removed_customer_gets_not_found(world: World) -> None:
    mona, alice = world.pool(), world.alice
    name = imported(mona, {"id": "a"}, {"id": "b"})
    in_another_process(world, lambda: undo(mona, name))

    assert (alice.claim("a").code, edit(mona, "b", name="New").code) == ("not_found", "not_found")
    assert alice.claim_batch(["a", "b"]).results == ["not_found"] * 2 and alice.claim_next(2).json["items"] == []


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_a_process_with_a_cached_removed_customer_can_import_it_again(world: World, mode: str) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})
    in_another_process(world, lambda: undo(mona, name))

    imported(mona, {"id": "a", "name": "Anew"}, {"id": "b"}, on_duplicate=mode)

    assert listed(mona) == ["a", "b"] and mona.customer("a")["name"] == "Anew" and mona.events("a") == ["imported"]


def test_a_cached_removed_customer_is_not_used_for_its_successor(world: World) -> None:
    mona, alice = world.pool(), world.alice
    name = imported(mona, {"id": "a", "name": "Wrong", "fields": {"phone": PHONE}}, {"id": "b", "name": "Wrong"})

    def again() -> None:
        undo(mona, name)
        world.clock.forward(1)
        imported(mona, {"id": "a", "name": "Right", "fields": {"phone": "13900000000"}}, {"id": "b", "name": "Right"})

    in_another_process(world, again)

    claimed, edited = alice.claim("a").json, edit(mona, "b", fields={"x": 1}).json
    assert (claimed["name"], claimed["fields"]) == ("Right", {"phone": "13900000000"})
    assert (edited["name"], edited["fields"], mona.customer("a")["name"]) == ("Right", {"x": 1}, "Right")


# Who may, and for how long


def test_undo_requires_a_manager_and_hides_imports_from_others(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"})
    callers = [world.alice, world.user("stranger")]

    for there in (name, "unknown"):
        assert [undo(each, there).code for each in callers] == ["not_manager", "not_a_member"]
    undo(mona, name)
    assert undo(callers[0], name).code == "not_manager"


def test_unknown_foreign_and_empty_imports_get_the_same_response(world: World) -> None:
    mona, others = world.pool(), [world.pool("q"), world.pool(tenant="acme")]
    names = [imported(each, {"id": "a"}) for each in others]
    imported(mona, {"id": "b", "name": "B"})
    names += [imported(mona, {"id": "b", "name": "B"}), imported(mona, {"id": "b"}, on_duplicate="skip"), "unknown"]

    replies = [undo(mona, name) for name in names]

    assert {(reply.status, reply.code) for reply in replies} == {(404, "not_found")}
    assert len({reply.text for reply in replies}) == 1 and listed(mona) == ["b"]


def test_an_import_cannot_be_undone_after_thirty_days(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"})
    world.clock.forward(RETENTION_SECONDS * 1000)

    assert undo(mona, name).code == "not_found" and listed(mona) == ["a"]


# What is counted


def test_statistics_count_undone_customers_as_entered_and_removed(world: World) -> None:
    mona = world.pool()
    name = imported(mona, *({"id": f"c{number}"} for number in range(5)))
    world.alice.claim("c0")
    world.clock.forward(DAY)

    undo(mona, name)

    shown = mona.get("/stats").json
    assert (
        shown["totals"]["entered"] == 5
        and shown["now"].items() >= {"available": 0, "claimed": 1, "set_aside": 0}.items()
    )
    assert [day["day"] for day in shown["by_day"] if day["entered"]] == ["2026-06-01"]


def test_the_import_of_a_removed_manager_is_undone_with_correct_counts(world: World) -> None:
    mona, root = world.pool(), world.root
    root.put("/members/max", {"role": "manager"})
    name = imported(world.user("max"), {"id": "a"}, {"id": "b"})
    assert mona.delete("/members/max").status == 200

    assert undo_results(undo(mona, name)) == {"a": "left", "b": "left"}
    assert mona.get("/stats").json["now"].items() >= {"available": 0, "claimed": 0, "set_aside": 0}.items()
