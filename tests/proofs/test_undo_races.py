"""An import has one name and is undone once: repeated, cut short, its answer lost, or by many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.proofs.test_faults import lost, struck
from tests.support.dynamodb_calls import Crash, failing
from tests.support.network_faults import cancelled
from tests.support.threads import at_once
from tests.support.undo_requests import PHONE, edit, imported, listed, undo, undo_results
from tests.support.world import DAY, HOUR, Reply, World

# The name of an import


def test_every_import_has_its_own_id_and_a_repetition_the_id_of_the_first(world: World) -> None:
    mona = world.pool()
    first = imported(mona, {"id": "a"}, idempotency_key="k")
    world.clock.forward(HOUR)

    again = imported(mona, {"id": "a"}, idempotency_key="k")
    others = [imported(mona, {"id": "a"}, idempotency_key="k2"), imported(mona, {"id": "a"}), imported(mona, {})]

    assert again == first and len({first, *others}) == 4


def test_an_expired_idempotency_key_names_a_new_import(world: World) -> None:
    mona = world.pool()
    first = imported(mona, {"id": "a"}, idempotency_key="k")
    world.clock.forward(DAY + HOUR)

    second = imported(mona, {"id": "a", "name": "Later"}, idempotency_key="k")

    assert second != first
    assert undo_results(undo(mona, second)) == {"a": "restored"}
    assert undo_results(undo(mona, first)) == {"a": "version_conflict"}


def test_an_interrupted_import_has_one_id_and_is_undone_as_a_whole(threaded: World) -> None:
    mona = threaded.pool()
    rows = [{"id": f"c{number}"} for number in range(60)]
    with pytest.raises(Crash), failing(threaded, 2):
        imported(mona, *rows, idempotency_key="k")
    threaded.service = threaded.another_process()
    threaded.clock.forward(HOUR)

    name = imported(mona, *rows, idempotency_key="k")

    latest = undo(mona, name)
    earlier = mona.post(f"/imports/{name}/undo", {"cursor": latest.json["next_cursor"]})
    assert Counter([*undo_results(latest).values(), *undo_results(earlier).values()]) == {"left": 60}
    assert earlier.json["next_cursor"] is None and listed(mona) == []


# Once only


def test_a_second_undo_changes_nothing_and_returns_the_same(world: World) -> None:
    mona = world.pool()
    mona.create("b", name="Was")
    name = imported(mona, {"id": "a"}, {"id": "b"}, {"id": "c"})
    world.user("alice").claim("c")
    first = undo(mona, name)
    edit(mona, "b", name="Edited since")

    again = undo(mona, name)

    assert undo_results(first) == {"a": "left", "b": "restored", "c": "version_conflict"}
    assert undo_results(again) == undo_results(first)
    assert again.json["results"][1]["customer"]["version"] == first.json["results"][1]["customer"]["version"]
    assert mona.customer("b")["name"] == "Edited since"


def test_a_second_undo_leaves_customers_imported_again(world: World) -> None:
    mona = world.pool()
    rows: list[dict[str, Any]] = [{"id": "a", "fields": {"phone": PHONE}}, {"id": "b"}]
    first = imported(mona, *rows)
    undo(mona, first)
    imported(mona, *rows)

    assert undo_results(undo(mona, first)) == {"a": "left", "b": "left"}
    assert listed(mona) == ["a", "b"] and listed(mona, f"?phone={PHONE}") == ["a"]


def test_an_undo_repeated_with_its_key_replays_the_first_response(world: World) -> None:
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
def test_the_next_undo_finishes_an_interrupted_one(threaded: World, moment: str, key: dict[str, str]) -> None:
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
        assert Counter(undo_results(reply).values()) == {"restored": 3, "left": 60}
        assert listed(mona) == olds and {mona.customer(each)["name"] for each in olds} == {"Was"}


def test_an_undo_with_a_lost_response_is_recognized_as_the_callers(world: World) -> None:
    mona = world.pool()
    name = imported(mona, {"id": "a"}, {"id": "b"})

    with struck(world, lost(world)):
        reply = undo(mona, name)

    assert undo_results(reply) == {"a": "left", "b": "left"} and listed(mona) == []


def test_an_undo_that_commits_after_its_timeout_is_recognized(threaded: World) -> None:
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

    assert undo_results(reply) == {"a": "left", "b": "left"} and listed(mona) == []


# Many at once


@pytest.mark.race
def test_exactly_one_of_a_concurrent_undo_and_claim_wins(threaded: World) -> None:
    mona = threaded.pool()
    ids = [f"c{number}" for number in range(40)]
    name = imported(mona, *({"id": each, "fields": {"phone": f"1380000{at:04d}"}} for at, each in enumerate(ids)))

    def claim(each: str) -> Reply:
        return threaded.user("alice").claim(each)

    reply, *claims = at_once([lambda: undo(mona, name), *(lambda each=each: claim(each) for each in ids[::4])])

    won = {each for each, claimed in zip(ids[::4], claims, strict=True) if claimed.status == 200}
    assert {claimed.code for claimed in claims if claimed.status != 200} <= {"not_found"}
    assert undo_results(reply) == {each: "version_conflict" if each in won else "left" for each in ids}
    assert set(listed(mona)) == won and threaded.user("alice").held() == len(won)


@pytest.mark.race
def test_each_customer_gets_one_of_a_concurrent_undo_and_import(threaded: World) -> None:
    mona = threaded.pool()
    ids = [f"c{number}" for number in range(40)]
    imported(mona, *({"id": each, "name": "Was"} for each in ids))
    name = imported(mona, *({"id": each, "name": "Wrong"} for each in ids))

    def later(part: list[str]) -> str:
        return imported(mona, *({"id": each, "name": "Right"} for each in part))

    parts = [ids[start : start + 5] for start in range(0, 40, 5)]
    jobs: list[Callable[[], Any]] = [partial(undo, mona, name), *(partial(later, part) for part in parts)]
    reply, *_ = at_once(jobs)

    assert set(undo_results(reply).values()) <= {"restored", "version_conflict"}
    assert {each["name"] for each in mona.walk("/customers")} == {"Right"}
    undone = [each for each, how in undo_results(reply).items() if how == "restored"]
    assert all("import undone" in mona.get(f"/customers/{each}/history").text for each in undone)


@pytest.mark.race
def test_eight_concurrent_undos_from_two_processes_undo_once(threaded: World) -> None:
    mona = threaded.pool()
    other = World(threaded.table, threaded.clock)
    monas = [mona, other.user("mona")]
    mona.create("old", name="Was")
    name = imported(mona, {"id": "old"}, *({"id": f"c{number}"} for number in range(60)))

    replies = at_once([partial(undo, monas[n % 2], name) for n in range(8)])

    assert {reply.text for reply in replies} == {replies[0].text}
    assert Counter(undo_results(replies[0]).values()) == {"restored": 1, "left": 60}
    assert mona.events("old") == ["created", "updated", "updated"] and listed(mona) == ["old"]


@pytest.mark.race
def test_an_undo_racing_imports_leaves_each_number_with_its_customer(threaded: World) -> None:
    mona = threaded.pool()
    rows = [{"fields": {"phone": f"1380000{number:04d}"}} for number in range(40)]
    name = imported(mona, *rows, key="phone")

    def import_again(part: list[dict[str, Any]]) -> str:
        return imported(mona, *part, key="phone", on_duplicate="update")

    parts = [rows[start : start + 10] for start in range(0, 40, 10)]
    jobs: list[Callable[[], Any]] = [partial(undo, mona, name), *(partial(import_again, part) for part in parts)]
    at_once(jobs)

    for each in mona.walk("/customers"):
        assert listed(mona, f"?phone={each['fields']['phone']}") == [each["id"]]
