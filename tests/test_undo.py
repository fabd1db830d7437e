"""Undoing an import: what nobody has touched since is as it was before, and the rest stays and says why."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.undo_log import KEPT_SECONDS
from tests.engine import Crash, counted, failing
from tests.storms import cancelled
from tests.test_faults import lost, struck
from tests.threads import at_once
from tests.world import DAY, HOUR, Reply, User, World, everything

PHONE = "13812345678"


def imported(user: User, *rows: dict[str, Any], on_duplicate: str = "update", **how: Any) -> str:
    """Imports those rows, all of which go well; the name of the import."""
    headers = {name: how.pop(name) for name in ("idempotency_key",) if name in how}
    body = {"rows": [{"name": "Imported"} | row for row in rows], "on_duplicate": on_duplicate} | how
    reply = user.post("/import", body, **headers)
    assert reply.json["summary"]["failed"] == 0, reply.text
    return str(reply.json["import_id"])


def undo(user: User, import_id: str, **headers: str) -> Reply:
    return user.post(f"/imports/{import_id}/undo", **headers)


def told(reply: Reply) -> dict[str, str]:
    """What came of each customer: `left`, `restored`, or the code that says why it stays."""
    assert reply.status == 200, reply.text
    results = reply.json["results"]
    done = {each["id"]: "restored" if each["customer"] else "left" for each in results if each["ok"]}
    return {each["id"]: done.get(each["id"]) or each["code"] for each in results}


def edit(user: User, customer: str, **said: Any) -> Reply:
    return user.request("PATCH", f"/v1/pools/p/customers/{customer}", said)


def listed(user: User, query: str = "") -> list[str]:
    return sorted(each["id"] for each in user.walk(f"/customers{query}"))


def items_about(world: World, *kinds: str) -> list[str]:
    """The partition keys in the table of customers (`#C#`) or of guards (`#D#`)."""
    keys = [item["pk"]["S"] for item in everything(world.table)]
    return sorted(pk for pk in keys if any(kind in pk for kind in kinds))


# The name of an import


def test_every_import_has_a_name_of_its_own_and_a_repetition_has_that_of_the_first(world: World) -> None:
    mona = world.pool()
    first = imported(mona, {"id": "a"}, idempotency_key="k")
    world.clock.forward(HOUR)

    again = imported(mona, {"id": "a"}, idempotency_key="k")
    others = [imported(mona, {"id": "a"}, idempotency_key="k2"), imported(mona, {"id": "a"}), imported(mona, {})]

    assert again == first and len({first, *others}) == 4


def test_a_key_used_again_after_it_was_forgotten_names_another_import(world: World) -> None:
    mona = world.pool()
    first = imported(mona, {"id": "a"}, idempotency_key="k")
    world.clock.forward(DAY + HOUR)

    second = imported(mona, {"id": "a", "name": "Later"}, idempotency_key="k")

    assert second != first
    assert told(undo(mona, second)) == {"a": "restored"}
    assert told(undo(mona, first)) == {"a": "version_conflict"}


def test_an_import_that_was_cut_short_has_one_name_and_is_undone_as_a_whole(threaded: World) -> None:
    mona = threaded.pool()
    rows = [{"id": f"c{number}"} for number in range(60)]
    with pytest.raises(Crash), failing(threaded, 2):
        imported(mona, *rows, idempotency_key="k")
    threaded.service = threaded.another_process()
    threaded.clock.forward(HOUR)

    name = imported(mona, *rows, idempotency_key="k")

    assert Counter(told(undo(mona, name)).values()) == {"left": 60}
    assert listed(mona) == []


# What is undone


def test_a_customer_that_the_import_made_leaves_with_all_that_it_said(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a", "fields": {"phone": PHONE, "email": "a@b.cn"}}, {"id": "b"})

    reply = undo(mona, name)

    assert told(reply) == {"a": "left", "b": "left"} and reply.json["summary"] == {"ok": 2, "failed": 0}
    assert mona.get("/customers/a").code == world.user("alice").claim("b").code == "not_found"
    assert listed(mona) == listed(mona, f"?phone={PHONE}") == items_about(world, "#C#", "#D#") == []


def test_a_customer_that_the_import_changed_says_again_what_it_said(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was", fields={"phone": PHONE, "city": "上海"}, priority=3)
    world.user("alice").claim("a")
    name = imported(mona, {"id": "a", "name": "Is", "fields": {"phone": "13900000000"}, "priority": 9})

    reply = undo(mona, name)

    shown = mona.customer("a")
    assert told(reply) == {"a": "restored"} and reply.json["results"][0]["customer"] == shown
    assert (shown["name"], shown["fields"], shown["priority"]) == ("Was", {"phone": PHONE, "city": "上海"}, 3)
    assert (shown["holder"], shown["version"]) == ("alice", 4)
    assert listed(mona, f"?phone={PHONE}") == ["a"] and listed(mona, "?phone=13900000000") == []


def test_the_history_tells_that_an_import_was_undone_and_by_whom(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was")

    undo(mona, imported(mona, {"id": "a", "name": "Is"}))

    last = mona.get("/customers/a/history").json["items"][-1]
    assert (last["type"], last["reason"], last["by"], last["seq"]) == ("updated", "import undone", "mona", 3)


def test_an_import_by_phone_number_is_undone_like_any_other(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was", fields={"phone": PHONE})
    rows = [{"fields": {"phone": PHONE, "vip": True}}, {"id": "b", "fields": {"phone": "13900000000"}}]

    reply = undo(mona, imported(mona, *rows, key="phone"))

    assert told(reply) == {"a": "restored", "b": "left"}
    assert mona.customer("a")["fields"] == {"phone": PHONE} and listed(mona) == ["a"]


def test_rows_that_failed_or_changed_nothing_are_no_part_of_it_and_the_others_keep_their_order(world: World) -> None:
    mona = world.pool()
    for each in ("same", "b"):
        mona.create(each, name="Was")
    rows: list[Any] = [{"id": "z", "name": "Z"}, 7, {"id": "same", "name": "Was"}, {"id": "b", "name": "B"},
                       {"id": "z", "name": "Twice"}, {"id": "a", "name": "A"}]  # fmt: skip
    reply = mona.post("/import", {"rows": rows, "on_duplicate": "update"})

    undone = undo(mona, reply.json["import_id"])

    assert list(told(undone).items()) == [("z", "left"), ("b", "restored"), ("a", "left")]
    assert listed(mona) == ["b", "same"]


@pytest.mark.parametrize("status", ["pause", "close"])
def test_an_import_is_undone_in_a_pool_that_is_not_open_too(world: World, status: str) -> None:
    mona, root = world.pool(), world.user("root", admin=True)
    mona.create("b", name="Was")
    name = imported(mona, {"id": "a"}, {"id": "b"})
    assert root.post(f"/{status}", {"mode": "drain"} if status == "close" else None).status == 200

    assert told(undo(mona, name)) == {"a": "left", "b": "restored"}


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
def test_what_somebody_has_touched_since_stays_as_it_is_and_the_rest_goes(world: World, touch: str) -> None:
    mona = world.pool()
    mona.create("old", name="Was")
    name = imported(mona, {"id": "new"}, {"id": "other"}, {"id": "old"})
    TOUCHES[touch](mona)
    before = mona.customer("new")

    reply = undo(mona, name)

    assert told(reply) == {"new": "version_conflict", "other": "left", "old": "restored"}
    assert reply.json["summary"] == {"ok": 2, "failed": 1} and reply.json["results"][0]["detail"]
    assert mona.customer("new") == before and listed(mona) == ["new", "old"]


def test_what_another_process_has_touched_stays_too(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})
    mine, world.service = world.service, world.another_process()
    world.user("alice").claim("a")
    world.service = mine

    assert told(undo(mona, name)) == {"a": "version_conflict", "b": "left"}
    assert world.user("alice").held() == 1


def test_what_has_gone_to_another_pool_is_not_found_and_stays_there(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    name = imported(mona, {"id": "a"})
    mona.post("/customers/a/convert", {"to": "mona"})
    assert mona.post("/customers/a/deposit", {"pool": "q"}).status == 200

    assert told(undo(mona, name)) == {"a": "not_found"}
    assert listed(world.user("mona", pool="q")) == ["a"]


def test_a_new_customer_under_the_id_of_one_that_went_away_is_another_one(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    name = imported(mona, {"id": "a"})
    mona.post("/customers/a/convert", {"to": "mona"})
    mona.post("/customers/a/deposit", {"pool": "q"})
    world.clock.forward(1)
    mona.create("a", name="Another")

    assert told(undo(mona, name)) == {"a": "version_conflict"}
    assert (mona.customer("a")["name"], mona.customer("a")["version"]) == ("Another", 1)


def test_the_earlier_of_two_imports_can_be_undone_only_where_the_later_one_changed_nothing(world: World) -> None:
    mona = world.pool()
    first = imported(mona, {"id": "a", "name": "First"}, {"id": "b"})
    second = imported(mona, {"id": "a", "name": "Second"}, {"id": "b"})

    assert told(undo(mona, first)) == {"a": "version_conflict", "b": "left"}
    assert told(undo(mona, second)) == {"a": "restored"} and mona.customer("a")["name"] == "First"


# Phone numbers and addresses


def test_a_number_that_somebody_else_has_said_since_stays_theirs(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a", "fields": {"phone": PHONE, "email": "a@b.cn"}}, {"id": "b"})
    mona.create("c", fields={"phone": PHONE})

    assert told(undo(mona, name)) == {"a": "left", "b": "left"}
    assert listed(mona, f"?phone={PHONE}") == ["c"] and len(items_about(world, "#D#")) == 1


def test_two_rows_that_said_one_number_leave_none_of_it(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a", "fields": {"phone": PHONE}}, {"id": "b", "fields": {"phone": PHONE}})

    assert told(undo(mona, name)) == {"a": "left", "b": "left"}
    assert items_about(world, "#C#", "#D#") == []


def test_a_number_that_the_import_gave_to_a_new_customer_goes_back_to_who_had_it(world: World) -> None:
    mona = world.pool()
    mona.create("old", fields={"phone": PHONE})
    taken = [{"id": "new", "fields": {"phone": PHONE}}, {"id": "old", "fields": {"phone": "13900000000"}}]

    for rows in (taken, taken[::-1]):
        world.clock.forward(1)
        assert set(told(undo(mona, imported(mona, *rows))).values()) == {"left", "restored"}
        assert listed(mona, f"?phone={PHONE}") == ["old"]


# Once only


def test_undoing_twice_changes_nothing_more_and_is_answered_alike(world: World) -> None:
    mona = world.pool()
    mona.create("b", name="Was")
    name = imported(mona, {"id": "a"}, {"id": "b"}, {"id": "c"})
    world.user("alice").claim("c")
    first = undo(mona, name)
    edit(mona, "b", name="Edited since")

    again = undo(mona, name)

    assert told(first) == {"a": "left", "b": "restored", "c": "version_conflict"}
    assert again.json == first.json and mona.customer("b")["name"] == "Edited since"


def test_undoing_an_import_again_leaves_alone_what_was_imported_anew(world: World) -> None:
    mona = world.pool()
    rows = [{"id": "a", "fields": {"phone": PHONE}}, {"id": "b"}]
    first = imported(mona, *rows)
    undo(mona, first)
    imported(mona, *rows)

    assert told(undo(mona, first)) == {"a": "left", "b": "left"}
    assert listed(mona) == ["a", "b"] and listed(mona, f"?phone={PHONE}") == ["a"]


def test_a_repetition_under_a_key_has_the_first_answer_whatever_has_happened_since(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})
    world.user("alice").claim("b")
    first = undo(mona, name, idempotency_key="k")
    mona.post("/customers/b/win")

    again = undo(mona, name, idempotency_key="k")

    assert (again.status, again.text) == (200, first.text) and again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


def test_an_import_repeated_under_its_key_after_it_was_undone_imports_nothing(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, idempotency_key="k")
    undo(mona, name)

    assert imported(mona, {"id": "a"}, idempotency_key="k") == name
    assert listed(mona) == []


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}])
@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_an_undoing_that_was_cut_short_is_finished_by_the_next(
    threaded: World, moment: str, key: dict[str, str]
) -> None:
    mona = threaded.pool()
    olds = [f"old{number}" for number in range(3)]
    imported(mona, *({"id": each, "name": "Was"} for each in olds))
    rows = [{"id": each} for each in [*olds, *(f"new{number}" for number in range(60))]]

    for call_number in range(1, 5 if key else 4):
        threaded.clock.forward(1)
        name = imported(mona, *rows)
        with pytest.raises(Crash), failing(threaded, call_number, moment):
            undo(mona, name, **({"idempotency_key": f"k{call_number}"} if key else {}))
        threaded.service = threaded.another_process()
        reply = undo(mona, name, **({"idempotency_key": f"k{call_number}"} if key else {}))
        assert Counter(told(reply).values()) == {"restored": 3, "left": 60}
        assert listed(mona) == olds and {mona.customer(each)["name"] for each in olds} == {"Was"}


def test_an_undoing_whose_answer_was_lost_is_not_taken_for_somebody_elses(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})

    with struck(world, lost(world)):
        reply = undo(mona, name)

    assert told(reply) == {"a": "left", "b": "left"} and listed(mona) == []


def test_an_undoing_that_arrives_after_it_was_given_up_is_recognised(threaded: World) -> None:
    mona = threaded.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})
    late: list[Any] = []

    def strike(request: Any, **_: Any) -> Any:
        if not late:
            late.append(request)
            threaded.table.connection.client._endpoint.http_session.send(request)
            return cancelled("TransactionConflict", "None")
        return None

    with struck(threaded, strike):
        reply = undo(mona, name)

    assert told(reply) == {"a": "left", "b": "left"} and listed(mona) == []


# Who may, and for how long


def test_undoing_is_for_managers_who_alone_learn_which_imports_there_are(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"})
    callers = [world.user("alice"), world.user("stranger"), world.user("root", admin=True)]

    for there in (name, "unknown"):
        assert [undo(each, there).code for each in callers] == ["not_manager", "not_a_member", "not_a_member"]
    undo(mona, name)
    assert undo(callers[0], name).code == "not_manager"


def test_an_unknown_import_another_pools_and_one_that_did_nothing_are_told_apart_by_nothing(world: World) -> None:
    mona, others = world.pool(), [world.pool("q"), world.pool(tenant="acme")]
    names = [imported(each, {"id": "a"}) for each in others]
    imported(mona, {"id": "b", "name": "B"})
    names += [imported(mona, {"id": "b", "name": "B"}), imported(mona, {"id": "b"}, on_duplicate="skip"), "unknown"]

    replies = [undo(mona, name) for name in names]

    assert {(reply.status, reply.code) for reply in replies} == {(404, "not_found")}
    assert len({reply.text for reply in replies}) == 1 and listed(mona) == ["b"]


def test_after_thirty_days_an_import_stands(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"})
    world.clock.forward(KEPT_SECONDS * 1000)

    assert undo(mona, name).code == "not_found" and listed(mona) == ["a"]


# What is counted


def test_who_left_did_enter_and_stands_in_the_pool_no_more(world: World) -> None:
    mona = world.pool()
    name = imported(mona, *({"id": f"c{number}"} for number in range(5)))
    world.user("alice").claim("c0")
    world.clock.forward(DAY)

    undo(mona, name)

    shown = mona.get("/stats").json
    assert shown["totals"]["entered"] == 5 and shown["now"] == {"available": 0, "claimed": 1, "set_aside": 0}
    assert [day["day"] for day in shown["by_day"] if day["entered"]] == ["2026-06-01"]


def test_an_import_by_a_manager_who_has_left_is_undone_by_another_and_counted_right(world: World) -> None:
    mona, root = world.pool(), world.user("root", admin=True)
    root.request("PUT", "/v1/pools/p/members/max", {"role": "manager"})
    name = imported(world.user("max"), {"id": "a"}, {"id": "b"})
    assert mona.request("DELETE", "/v1/pools/p/members/max").status == 200

    assert told(undo(mona, name)) == {"a": "left", "b": "left"}
    assert mona.get("/stats").json["now"] == {"available": 0, "claimed": 0, "set_aside": 0}


# Copies that outlive their customers


def in_another_process(world: World, do: Callable[[], Any]) -> Any:
    mine, world.service = world.service, world.another_process()
    try:
        return do()
    finally:
        world.service = mine


def test_a_process_that_remembers_who_has_left_is_told_so(world: World) -> None:
    mona, alice = world.pool(), world.user("alice")
    name = imported(mona, {"id": "a"}, {"id": "b"})
    in_another_process(world, lambda: undo(mona, name))

    assert (alice.claim("a").code, edit(mona, "b", name="New").code) == ("not_found", "not_found")
    assert alice.claim_batch(["a", "b"]).results == ["not_found"] * 2 and alice.claim_next(2).json["items"] == []


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_a_process_that_remembers_who_has_left_imports_them_anew(world: World, mode: str) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})
    in_another_process(world, lambda: undo(mona, name))

    imported(mona, {"id": "a", "name": "Anew"}, {"id": "b"}, on_duplicate=mode)

    assert listed(mona) == ["a", "b"] and mona.customer("a")["name"] == "Anew" and mona.events("a") == ["imported"]


def test_a_process_that_remembers_who_has_left_does_not_take_who_came_anew_for_them(world: World) -> None:
    mona, alice = world.pool(), world.user("alice")
    name = imported(mona, {"id": "a", "name": "Wrong", "fields": {"phone": PHONE}}, {"id": "b", "name": "Wrong"})

    def again() -> None:
        undo(mona, name)
        world.clock.forward(1)
        imported(mona, {"id": "a", "name": "Right", "fields": {"phone": "13900000000"}}, {"id": "b", "name": "Right"})

    in_another_process(world, again)

    claimed, edited = alice.claim("a").json, edit(mona, "b", fields={"x": 1}).json
    assert (claimed["name"], claimed["fields"]) == ("Right", {"phone": "13900000000"})
    assert (edited["name"], edited["fields"], mona.customer("a")["name"]) == ("Right", {"x": 1}, "Right")


# What it costs


def test_an_import_of_100_rows_notes_in_its_own_transactions_what_it_does(threaded: World) -> None:
    mona = threaded.pool()
    rows = [{"id": f"c{number}"} for number in range(100)]
    mona.get("/members/me")

    with counted(threaded) as made:
        imported(mona, *rows)
    with counted(threaded) as nothing_new:
        imported(mona, *rows)

    assert made == {"BatchGetItem": 2, "TransactWriteItems": 3}
    assert nothing_new == {"TransactWriteItems": 2}


@pytest.mark.parametrize("count", [48, 49])
def test_the_note_is_one_of_a_transactions_hundred_actions(world: World, count: int) -> None:
    mona = world.pool()
    mona.get("/members/me")

    with counted(world) as made:
        imported(mona, *({"id": f"c{number}"} for number in range(count)))

    assert made["TransactWriteItems"] == (1 if count == 48 else 2)


def test_undoing_100_rows_is_three_reads_and_three_transactions(threaded: World) -> None:
    mona = threaded.pool()
    name = imported(mona, *({"id": f"c{number}"} for number in range(100)))

    with counted(threaded) as made:
        assert undo(mona, name).json["summary"]["ok"] == 100

    assert made == {"BatchGetItem": 1, "Query": 2, "TransactWriteItems": 3}


def noise(letters: random.Random, length: int) -> str:
    return "".join(chr(letters.randrange(0x4E00, 0x9FFF)) for _ in range(length))


@pytest.mark.parametrize("changed", ["fields", "name"])
def test_as_much_as_an_import_can_overwrite_fits_into_its_note(threaded: World, changed: str) -> None:
    mona, letters = threaded.pool(), random.Random(5)
    olds = [
        {"id": f"c{number}", "name": noise(letters, 200), "fields": {"note": noise(letters, 1300)}}
        for number in range(50)
    ]
    for start in range(0, 50, 10):
        imported(mona, *olds[start : start + 10])
    news = [old | ({"name": "New"} if changed == "name" else {"name": "New", "fields": {}}) for old in olds]

    body = json.dumps({"rows": news, "on_duplicate": "update"}, ensure_ascii=False).encode()
    name = mona.request("POST", "/v1/pools/p/import", raw=body).json["import_id"]

    stored = [item["rows"]["B"] for item in everything(threaded.table) if f"#I#{name}" in item["pk"]["S"]]
    assert max(len(each) for each in stored) < 300_000
    assert set(told(undo(mona, name)).values()) == {"restored"}
    assert [mona.customer(old["id"])["fields"] for old in olds] == [old["fields"] for old in olds]


# Many at once


@pytest.mark.race
def test_of_an_undoing_and_a_claim_of_the_same_customer_exactly_one_wins(threaded: World) -> None:
    mona = threaded.pool()
    ids = [f"c{number}" for number in range(40)]
    name = imported(mona, *({"id": each, "fields": {"phone": f"1380000{at:04d}"}} for at, each in enumerate(ids)))

    def claim(each: str) -> Reply:
        return threaded.user("alice").claim(each)

    reply, *claims = at_once([lambda: undo(mona, name), *(lambda each=each: claim(each) for each in ids[::4])])

    won = {each for each, claimed in zip(ids[::4], claims, strict=True) if claimed.status == 200}
    assert {claimed.code for claimed in claims if claimed.status != 200} <= {"not_found"}
    assert told(reply) == {each: "version_conflict" if each in won else "left" for each in ids}
    assert set(listed(mona)) == won and threaded.user("alice").held() == len(won)


@pytest.mark.race
def test_of_an_undoing_and_a_later_import_of_the_same_customers_each_one_has_one_of_both(threaded: World) -> None:
    mona = threaded.pool()
    ids = [f"c{number}" for number in range(40)]
    imported(mona, *({"id": each, "name": "Was"} for each in ids))
    name = imported(mona, *({"id": each, "name": "Wrong"} for each in ids))

    def later(part: list[str]) -> str:
        return imported(mona, *({"id": each, "name": "Right"} for each in part))

    parts = [ids[start : start + 5] for start in range(0, 40, 5)]
    reply, *_ = at_once([lambda: undo(mona, name), *(lambda part=part: later(part) for part in parts)])

    assert set(told(reply).values()) <= {"restored", "version_conflict"}
    assert {each["name"] for each in mona.walk("/customers")} == {"Right"}
    undone = [each for each, how in told(reply).items() if how == "restored"]
    assert all("import undone" in mona.get(f"/customers/{each}/history").text for each in undone)


@pytest.mark.race
def test_an_import_undone_by_eight_at_once_from_two_processes_is_undone_once(threaded: World) -> None:
    mona = threaded.pool()
    other = World(threaded.table, threaded.clock)
    monas = [mona, other.user("mona")]
    mona.create("old", name="Was")
    name = imported(mona, {"id": "old"}, *({"id": f"c{number}"} for number in range(60)))

    replies = at_once([lambda n=n: undo(monas[n % 2], name) for n in range(8)])

    assert {reply.text for reply in replies} == {replies[0].text}
    assert Counter(told(replies[0]).values()) == {"restored": 1, "left": 60}
    assert mona.events("old") == ["created", "updated", "updated"] and listed(mona) == ["old"]


@pytest.mark.race
def test_an_undoing_against_imports_of_the_same_numbers_leaves_each_number_to_who_says_it(threaded: World) -> None:
    mona = threaded.pool()
    rows = [{"fields": {"phone": f"1380000{number:04d}"}} for number in range(40)]
    name = imported(mona, *rows, key="phone")

    def anew(part: list[dict[str, Any]]) -> str:
        return imported(mona, *part, key="phone", on_duplicate="update")

    at_once([lambda: undo(mona, name), *(lambda at=at: anew(rows[at : at + 10]) for at in (0, 10, 20, 30))])

    for each in mona.walk("/customers"):
        assert listed(mona, f"?phone={each['fields']['phone']}") == [each["id"]]
