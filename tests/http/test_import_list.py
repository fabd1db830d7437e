"""The imports of a pool: what each did, and the undo of one of many requests, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from chalicelib.services.pagination import CursorCodec
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, KEY_SECRET, MINUTE, START, Reply, User, World, everything


def imported(user: User, *ids: str, file: str | None = None, of: str | None = "file-1", **options: Any) -> Reply:
    """Send one request of an import; without `of`, the request is an import of its own."""
    headers = {name: options.pop(name) for name in ("idempotency_key",) if name in options}
    source = {"import": {"id": of} | ({"file": file} if file else {})} if of else {}
    rows = [{"id": each, "name": "Imported"} for each in ids]
    return user.post("/import", {"rows": rows, "on_duplicate": "update"} | source | options, **headers)


def listed(user: User) -> list[dict[str, Any]]:
    return list(user.walk("/imports"))


def undo(user: User, import_id: str = "file-1", cursor: str | None = None, **headers: str) -> Reply:
    return user.post(f"/imports/{import_id}/undo", {} if cursor is None else {"cursor": cursor}, **headers)


def undo_all(user: User, import_id: str = "file-1") -> list[list[str]]:
    """Undo an import step by step. Return the results of each step."""
    reply = undo(user, import_id)
    steps = [reply.results]
    while reply.json["next_cursor"] is not None:
        reply = undo(user, import_id, reply.json["next_cursor"])
        steps.append(reply.results)
    return steps


# The list


def test_the_requests_of_one_file_are_one_import(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was")
    mona.create("b", name="Imported")

    first = imported(mona, "a", "b", "c", file="客户.xlsx")
    world.clock.forward(MINUTE)
    second = imported(mona, "d", "d", file="客户.xlsx")

    assert (first.json["import_id"], second.json["import_id"]) == ("file-1", "file-1")
    assert listed(mona) == [{
        "id": "file-1", "at": rfc3339(START), "by": "mona", "file": "客户.xlsx", "rows": 5, "created": 2,
        "updated": 1, "refused": 1, "undone_at": None,
    }]  # fmt: skip


def test_a_request_that_names_no_import_is_one_of_its_own(world: World) -> None:
    mona = world.pool()

    ids = [imported(mona, each, of=None).json["import_id"] for each in ("a", "b")]

    assert sorted(each["id"] for each in listed(mona)) == sorted(ids)
    assert [(each["file"], each["rows"], each["created"]) for each in listed(mona)] == [(None, 1, 1)] * 2


def test_an_import_whose_rows_are_all_refused_is_listed(world: World) -> None:
    mona = world.pool()

    imported(mona, "bad id", of="all-bad")

    assert [(each["id"], each["rows"], each["refused"]) for each in listed(mona)] == [("all-bad", 1, 1)]
    assert undo(mona, "all-bad").status == 404


def test_imports_are_listed_for_thirty_days_the_latest_first(world: World) -> None:
    mona = world.pool()
    for number in range(4):
        imported(mona, f"c{number}", of=f"f{number}")
        world.clock.forward(10 * DAY)

    names = [[each["id"] for each in page] for page in mona.pages("/imports", 2)]

    assert names == [["f3", "f2"], ["f1"]]


def test_a_cursor_of_an_import_that_is_no_longer_listed_ends_the_list(world: World) -> None:
    mona = world.pool()
    for number in range(3):
        imported(mona, f"c{number}", of=f"f{number}")
        world.clock.forward(MINUTE)
    cursor = mona.get("/imports?limit=1").json["next_cursor"]
    world.clock.forward(31 * DAY)

    assert mona.get(f"/imports?limit=1&cursor={cursor}").json == {"items": [], "next_cursor": None}


def test_a_pool_created_again_lists_no_earlier_import(world: World) -> None:
    mona = world.pool()
    imported(mona, "bad id")
    assert world.root.request("DELETE", "/v1/pools/p").status == 200
    world.clock.forward(MINUTE)

    assert listed(world.pool()) == []


def test_a_dry_run_is_not_listed(world: World) -> None:
    mona = world.pool()

    imported(mona, "a", dry_run=True)

    assert listed(mona) == []


def test_a_repeated_request_is_counted_once(world: World) -> None:
    mona = world.pool()

    replies = [imported(mona, "a", "bad id", idempotency_key="k") for _ in range(2)]

    assert replies[0].text == replies[1].text
    assert [(each["rows"], each["created"], each["refused"]) for each in listed(mona)] == [(2, 1, 1)]


def test_an_import_by_a_member_is_not_listed(world: World) -> None:
    mona = world.pool()
    before = list(everything(world.table))

    assert imported(world.alice, "a").status == imported(world.alice, "bad id").status == 403

    assert listed(mona) == [] and len(list(everything(world.table))) == len(before)


def test_the_list_takes_one_query(world: World) -> None:
    mona = world.pool()
    imported(mona, "a")

    with counted(world) as made:
        mona.get("/imports")

    assert made["Query"] == 1 and made["BatchGetItem"] <= 2  # of the member, and of names


@pytest.mark.parametrize("file", ["138 1234 5678.csv", "a@b.cn.csv", "x" * 201, "", "a\nb.csv"])
def test_a_file_name_is_short_and_contains_no_contact(world: World, file: str) -> None:
    mona = world.pool()

    source = {"id": "file-1", "file": file}
    reply = mona.post("/import", {"rows": [{"id": "a", "name": "A"}], "import": source})

    assert (reply.status, reply.code) == (422, "invalid_request") and "import.file" in reply.json["errors"][0]
    assert mona.get("/customers/a").status == 404


@pytest.mark.parametrize(
    "file", ["客户 2026-11-29.xlsx", "export_20261129.csv", "Kunden (3).csv", "20261129093015.csv"]
)
def test_a_date_in_a_file_name_is_no_contact(world: World, file: str) -> None:
    mona = world.pool()

    assert imported(mona, "a", file=file).status == 200
    assert [each["file"] for each in listed(mona)] == [file]


@pytest.mark.parametrize("given", ["13812345678", "a b", "", "x" * 65])
def test_the_id_of_an_import_is_an_id_and_no_contact(world: World, given: str) -> None:
    mona = world.pool()

    reply = mona.post("/import", {"rows": [{"id": "a", "name": "A"}], "import": {"id": given}})

    assert (reply.status, reply.code) == (422, "invalid_request") and "import.id" in reply.json["errors"][0]


def test_an_unknown_member_of_an_import_is_refused_with_those_that_there_are(world: World) -> None:
    reply = world.pool().post("/import", {"rows": [{"name": "A"}], "import": {"id": "a", "a b": 1}})

    assert reply.json["errors"] == ["import: has an unknown member: allowed are id, file"]


# The undo


def test_an_undo_goes_from_the_latest_request_to_the_first(world: World) -> None:
    mona = world.pool()
    mona.create("a", name="Was")
    for ids in (("a", "b"), ("c",), ("d", "e")):
        imported(mona, *ids)
        world.clock.forward(MINUTE)

    first = undo(mona)
    left = [each["undone_at"] for each in listed(mona)]
    second = undo(mona, cursor=first.json["next_cursor"])
    third = undo(mona, cursor=second.json["next_cursor"])

    assert [[each["id"] for each in reply.json["results"]] for reply in (first, second, third)] == [
        ["d", "e"], ["c"], ["a", "b"]
    ]  # fmt: skip
    assert left == [None] and third.json["next_cursor"] is None
    assert mona.customer("a")["name"] == "Was" and mona.customer_ids() == ["a"]
    assert [each["undone_at"] for each in listed(mona)] == [rfc3339(world.clock())]


def test_an_import_can_be_undone_for_thirty_days(world: World) -> None:
    mona = world.pool()
    imported(mona, "a", of="old")
    imported(mona, "b", of="new")

    world.clock.forward(30 * DAY - MINUTE)
    last = undo(mona, "new")
    world.clock.forward(2 * MINUTE)
    late = undo(mona, "old")

    assert (last.status, last.results) == (200, ["ok"])
    assert (late.status, mona.customer_ids()) == (404, ["a"])


def test_requests_of_one_moment_are_undone_one_by_one(world: World) -> None:
    mona = world.pool()
    for number in range(5):
        imported(mona, f"c{number}")

    assert undo_all(mona) == [["ok"]] * 5
    assert mona.customer_ids() == []


def test_an_undo_without_a_cursor_returns_the_first_results_again(world: World) -> None:
    mona = world.pool()
    for number in range(2):
        imported(mona, f"c{number}")
        world.clock.forward(MINUTE)
    undo(mona)

    steps = undo_all(mona)
    world.clock.forward(MINUTE)

    assert steps == [["ok"], ["ok"]] == undo_all(mona)
    assert [each["undone_at"] for each in listed(mona)] == [rfc3339(world.clock() - MINUTE)]


def test_an_import_that_goes_on_after_its_undo_is_no_longer_undone(world: World) -> None:
    mona = world.pool()
    imported(mona, "a")
    world.clock.forward(MINUTE)
    undo(mona)

    imported(mona, "b")

    assert [(each["undone_at"], each["created"]) for each in listed(mona)] == [(None, 2)]
    assert undo_all(mona) == [["ok"], ["ok"]] and mona.customer_ids() == []


def test_a_repeated_step_with_a_key_is_the_same_step_although_the_import_went_on(world: World) -> None:
    mona = world.pool()
    for each in ("a", "b"):
        imported(mona, each)
        world.clock.forward(MINUTE)
    first = undo(mona, idempotency_key="k")
    imported(mona, "c")

    again = undo(mona, idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)
    assert mona.customer_ids() == ["c", "a"]


def test_a_customer_that_changed_since_stays_and_the_undo_goes_on(world: World) -> None:
    mona = world.pool()
    for each in ("a", "b"):
        imported(mona, each)
        world.clock.forward(MINUTE)
    world.alice.claim("b")

    assert undo_all(mona) == [["version_conflict"], ["ok"]]
    assert mona.customer_ids() == ["b"] and listed(mona)[0]["undone_at"] is not None


def test_the_calls_of_a_step_do_not_depend_on_the_length_of_the_import(world: World) -> None:
    mona = world.pool()
    for number in range(12):
        imported(mona, f"c{number}")
        world.clock.forward(MINUTE)

    with counted(world) as made:
        undo(mona)

    assert sum(made.values()) <= 8


@pytest.mark.parametrize("position", ["", "x", "R#~", "9" * 16 + "#a", "1" * 15 + "#a#b", 7, None])
def test_an_undo_rejects_the_cursor_of_anything_else(world: World, position: Any) -> None:
    mona = world.pool()
    imported(mona, "a")
    cursors = [
        CursorCodec(KEY_SECRET, "T#main#P#p#I#file-1").write(position),
        CursorCodec(KEY_SECRET, "T#main#P#p#I#other").write("1" * 15 + "#a"),
        "x",
    ]

    replies = [undo(mona, cursor=each) for each in cursors]

    assert [reply.code for reply in replies[1:]] == ["invalid_cursor"] * 2
    assert replies[0].status == 400
