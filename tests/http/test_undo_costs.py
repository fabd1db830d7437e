"""What it costs that an import can be undone: requests, the actions of a transaction, the size of a note."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.support.dynamodb_calls import counted
from tests.support.undo_requests import imported, undo, undo_results
from tests.support.world import World, everything


def test_an_import_of_100_rows_writes_its_log_in_its_own_transactions(threaded: World) -> None:
    mona = threaded.pool()
    rows = [{"id": f"c{number}"} for number in range(100)]
    mona.get("/members/me")

    with counted(threaded) as made:
        imported(mona, *rows)
    with counted(threaded) as nothing_new:
        imported(mona, *rows)

    # The last transaction counts the rows.
    assert made == {"BatchGetItem": 3, "TransactWriteItems": 4}
    assert nothing_new == {"BatchGetItem": 1, "TransactWriteItems": 3}


@pytest.mark.parametrize("count", [48, 49])
def test_the_import_log_is_one_of_a_hundred_transaction_actions(world: World, count: int) -> None:
    mona = world.pool()
    mona.get("/members/me")

    with counted(world) as made:
        imported(mona, *({"id": f"c{number}"} for number in range(count)))

    assert made["TransactWriteItems"] == (2 if count == 48 else 3)  # the last one counts the rows


def test_undoing_100_rows_is_three_reads_and_four_transactions(threaded: World) -> None:
    mona = threaded.pool()
    name = imported(mona, *({"id": f"c{number}"} for number in range(100)))

    with counted(threaded) as made:
        assert undo(mona, name).json["summary"]["ok"] == 100

    assert made == {"BatchGetItem": 1, "Query": 2, "TransactWriteItems": 4}


def noise(letters: random.Random, length: int) -> str:
    return "".join(chr(letters.randrange(0x4E00, 0x9FFF)) for _ in range(length))


@pytest.mark.parametrize("changed", ["fields", "name"])
def test_the_largest_overwrite_fits_into_the_import_log(threaded: World, changed: str) -> None:
    mona, letters = threaded.pool(), random.Random(5)
    olds: list[dict[str, Any]] = [
        {"id": f"c{number}", "name": noise(letters, 200), "fields": {"note": noise(letters, 1300)}}
        for number in range(50)
    ]
    for start in range(0, 50, 10):
        imported(mona, *olds[start : start + 10])
    news = [old | ({"name": "New"} if changed == "name" else {"name": "New", "fields": {}}) for old in olds]

    body = json.dumps({"rows": news, "on_duplicate": "update"}, ensure_ascii=False).encode()
    name = mona.post("/import", body).json["import_id"]

    parts = (item["rows"] for item in everything(threaded.table) if f"#I#{name}" in item["pk"]["S"] and "rows" in item)
    stored = [rows["B"] for rows in parts if "B" in rows]
    assert max(len(each) for each in stored) < 300_000
    assert set(undo_results(undo(mona, name)).values()) == {"restored"}
    assert [mona.customer(old["id"])["fields"] for old in olds] == [old["fields"] for old in olds]


def test_undo_evicts_removed_customers_from_the_cache(world: World) -> None:
    mona = world.pool()
    undo(mona, imported(mona, {"id": "c1"}))

    with counted(world) as made:
        assert world.alice.claim("c1").status == 404

    assert made == {"BatchGetItem": 1, "TransactWriteItems": 1}
