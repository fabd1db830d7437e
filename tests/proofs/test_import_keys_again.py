"""Import by key, many at once and again: one customer a key all the same, and what that costs."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from tests.http.test_import_keys import SPELLINGS, edit, imported, listed, row
from tests.proofs.test_faults import lost, struck
from tests.support.audit import assert_unique_keys_belong_to_one_customer
from tests.support.dynamodb_calls import counted
from tests.support.threads import at_once
from tests.support.world import HOUR, Reply, World

# Many at once


@pytest.mark.race
@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_exactly_one_of_sixteen_concurrent_imports_creates_a_customer(threaded: World, mode: str) -> None:
    mona = threaded.pool()

    replies = at_once(
        [partial(imported, mona, row(SPELLINGS[n % 4], f"N{n}", id=f"c{n}"), on_duplicate=mode) for n in range(16)]
    )

    assert len(listed(mona)) == 1 and {each for reply in replies for each in reply.ids} == set(listed(mona))
    outcomes = Counter(reply.results[0] for reply in replies)
    assert outcomes == ({"ok": 1, "duplicate_customer": 15} if mode == "reject" else {"ok": 16})
    assert_unique_keys_belong_to_one_customer(threaded.table)


@pytest.mark.race
def test_overlapping_imports_from_two_processes_create_each_customer_once(threaded: World) -> None:
    mona = threaded.pool()
    other = World(threaded.table, threaded.clock)
    other.service = threaded.another_process()
    monas = [mona, other.user("mona")]
    numbers = [f"1380000{number:04d}" for number in range(90)]

    def part(offset: int) -> Reply:
        turned = numbers[offset:] + numbers[:offset]
        return imported(monas[offset % 2], *(row(each, email=f"{each}@b.cn") for each in turned[:60]))

    replies = at_once([partial(part, offset) for offset in (0, 15, 30, 45, 60, 75)])

    assert all(reply.json["summary"] == {"ok": 60, "failed": 0} for reply in replies)
    assert len(listed(mona)) == 90
    assert_unique_keys_belong_to_one_customer(threaded.table)


@pytest.mark.race
def test_twenty_concurrent_imports_with_one_key_have_one_effect_and_one_response(threaded: World) -> None:
    mona = threaded.pool()
    rows = [row(f"1380000{number:04d}") for number in range(50)] + [row("no phone")]

    replies = at_once([lambda: imported(mona, *rows, idempotency_key="k") for _ in range(20)])

    assert {reply.text for reply in replies} == {replies[0].text} and len(listed(mona)) == 50
    assert replies[0].json["summary"] == {"ok": 50, "failed": 1}


# Repeated, and what it costs


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_an_import_with_a_lost_response_is_recognized_as_the_callers(world: World, mode: str) -> None:
    mona = world.pool()

    with struck(world, lost(world)):
        reply = imported(mona, row(), row("13900000000", id="b"), on_duplicate=mode)

    assert reply.results == ["ok", "ok"] and sorted(reply.ids) == listed(mona)
    assert [mona.events(each) for each in reply.ids] == [["imported"]] * 2


def test_an_import_repeated_with_its_key_is_replayed(threaded: World) -> None:
    mona = threaded.pool()
    rows = [row(f"1380000{number:04d}") for number in range(40)] + [row("no phone"), row("13800000000")]
    first = imported(mona, *rows, idempotency_key="k")
    edit(mona, first.ids[0], phone="13900000000")
    threaded.clock.forward(HOUR)

    again = imported(mona, *rows, idempotency_key="k")

    expected = first.json
    expected["results"][0]["customer"]["fields"]["phone"] = "13900000000"  # fields are shown as they are now
    assert again.json == expected and again.headers["Idempotent-Replayed"] == "true"
    assert len(listed(mona)) == 40


def test_an_interrupted_import_continues_where_it_stopped(threaded: World) -> None:
    mona = threaded.pool()
    rows = [row(f"1380000{number:04d}") for number in range(80)]
    events, sent = threaded.table.connection.client.meta.events, []

    def cut(**_: Any) -> None:
        sent.append(1)
        if len(sent) == 2:
            raise KeyboardInterrupt  # the process is killed between two transactions

    events.register("before-call.dynamodb.TransactWriteItems", cut)
    with pytest.raises(KeyboardInterrupt):
        imported(mona, *rows, idempotency_key="k")
    events.unregister("before-call.dynamodb.TransactWriteItems", cut)
    began = listed(mona)
    threaded.service = threaded.another_process()

    reply = imported(mona, *rows, idempotency_key="k")

    assert reply.results == ["ok"] * 80 and len(began) == 23
    assert sorted(reply.ids) == listed(mona) and set(began) <= set(reply.ids)


def test_an_import_of_100_new_rows_is_two_reads_and_five_transactions(threaded: World) -> None:
    mona = threaded.pool()
    rows = [row(f"1380000{number:04d}") for number in range(100)]
    mona.get("/members/me")

    with counted(threaded) as first:
        assert imported(mona, *rows).json["summary"]["ok"] == 100
    with counted(threaded) as again:
        assert imported(mona, *rows).json["summary"]["ok"] == 100

    assert first == {"BatchGetItem": 2, "TransactWriteItems": 6}
    assert again == {"BatchGetItem": 4, "TransactWriteItems": 3}


@pytest.mark.parametrize("count", [23, 24])
def test_a_row_with_a_key_takes_four_of_a_transactions_hundred_actions(world: World, count: int) -> None:
    mona = world.pool()
    mona.get("/members/me")

    with counted(world) as made:
        imported(mona, *(row(f"1380000{number:04d}") for number in range(count)), idempotency_key="k")

    assert made["TransactWriteItems"] == (2 if count == 23 else 3)  # the last one counts the rows
