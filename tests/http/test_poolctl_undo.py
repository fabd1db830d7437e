"""poolctl import --undo: a complete or partial import of a file is undone, and the file can be imported again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Desk, customers, many, saved, uow
from tests.support.engine import Crash, hooked
from tests.support.world import World


@pytest.fixture
def office(threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    threaded.pool()
    with uow(threaded, tmp_path, monkeypatch) as made:
        yield made


def test_undo_removes_all_rows_of_a_file_which_can_be_imported_again(office: Desk, threaded: World) -> None:
    file = saved(office, many(250))
    office.run("import", file)

    undone = office.run("import", file, "--undo", "--json")
    left = customers(threaded)
    anew = office.run("import", file, "--json")

    assert (undone.status, undone.json) == (0, {"undone": 250, "stayed": 0, "results": []})
    assert left == {}
    assert (anew.json["ok"], anew.json["already_done"]) == (250, False)
    assert len(customers(threaded)) == 250


def test_undo_keeps_and_names_customers_changed_since_the_import(office: Desk, threaded: World) -> None:
    file = saved(office, "id,name\n" + "".join(f"c{number},Customer {number}\n" for number in range(20)))
    office.run("import", file)
    threaded.alice.claim_batch([f"c{number}" for number in range(12)])

    undone = office.run("import", file, "--undo")

    assert undone.status == 1
    assert (
        undone.out.splitlines()[0]
        == "8 customers are as before the import; 12 were changed since and stay as they are."
    )
    assert [line.split()[0] for line in undone.out.splitlines()[2:12]] == [f"c{number}" for number in range(10)]
    assert undone.out.splitlines()[12:] == ["2 more are not shown."]
    assert len(customers(threaded)) == 12


def test_undo_restores_the_fields_that_a_file_changed(office: Desk, threaded: World) -> None:
    threaded.mona.create("c1", name="Before", fields={"city": "上海"})
    file = saved(office, "id,name,city\nc1,After,北京\n")
    office.run("import", file, "--on-duplicate", "update")

    undone = office.run("import", file, "--on-duplicate", "update", "--undo")

    assert undone.status == 0, undone.err
    assert customers(threaded)["Before"]["fields"] == {"city": "上海"}


def test_undo_skips_requests_that_changed_nothing(office: Desk, threaded: World) -> None:
    threaded.mona.create("c1", name="Here")
    file = saved(office, "id,name\nc1,Here\n")
    office.run("import", file, "--on-duplicate", "skip")

    undone = office.run("import", file, "--on-duplicate", "skip", "--undo", "--json")

    assert (undone.status, undone.json["undone"]) == (0, 0)
    assert set(customers(threaded)) == {"Here"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_interrupted_undo_continues_to_the_end(office: Desk, threaded: World) -> None:
    file, writes = saved(office, many(250)), itertools.count(1)
    office.run("import", file)

    def die(**_: Any) -> None:
        if next(writes) > 4:
            raise Crash

    with hooked(threaded, "after-call.dynamodb.TransactWriteItems", die):
        died = office.run("import", file, "--undo")
    undone = office.run("import", file, "--undo", "--json")

    assert died.status == 3 and len(died.told.splitlines()) == 1
    assert (undone.status, undone.json["undone"]) == (0, 250)
    assert customers(threaded) == {}


def test_an_undo_dry_run_counts_and_changes_nothing(office: Desk, threaded: World) -> None:
    file = saved(office, many(5))
    office.run("import", file)

    read = office.run("import", file, "--undo", "--dry-run")
    program = office.run("import", file, "--undo", "--dry-run", "--json")

    assert "5 rows would be undone" in read.out and program.json["rows"] == 5
    assert len(customers(threaded)) == 5


def test_undo_of_a_file_without_an_import_is_one_line(office: Desk, threaded: World) -> None:
    file = saved(office, many(5))
    never = office.run("import", file, "--undo")
    office.run("import", file)

    otherwise = office.run("import", file, "--key", "id", "--undo")
    both = office.run("import", file, "--undo", "--again")
    by_alice = office.run("import", file, "--undo", user="alice")

    assert [each.status for each in (never, otherwise, both, by_alice)] == [1, 1, 2, 1]
    assert all(len(each.told.splitlines()) == 1 for each in (never, otherwise, both, by_alice))
    assert "no record here of importing this file into p" in never.told
    assert len(customers(threaded)) == 5
