"""poolctl import --undo: a complete or partial import of a file is undone, and the file can be imported again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.command_line import Terminal, csv_of, customers_by_name, save
from tests.support.dynamodb_calls import Crash, hooked
from tests.support.world import World


def test_undo_removes_all_rows_of_a_file_which_can_be_imported_again(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, csv_of(250))
    terminal.run("import", file)

    undone = terminal.run("import", file, "--undo", "--json")
    left = customers_by_name(threaded)
    imported_again = terminal.run("import", file, "--json")

    assert (undone.status, undone.json) == (0, {"undone": 250, "stayed": 0, "results": []})
    assert left == {}
    assert (imported_again.json["ok"], imported_again.json["already_done"]) == (250, False)
    assert len(customers_by_name(threaded)) == 250


def test_undo_keeps_and_names_customers_changed_since_the_import(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, "id,name\n" + "".join(f"c{number},Customer {number}\n" for number in range(20)))
    terminal.run("import", file)
    threaded.alice.claim_batch([f"c{number}" for number in range(12)])

    undone = terminal.run("import", file, "--undo")

    assert undone.status == 1
    assert (
        undone.out.splitlines()[0]
        == "8 customers are as before the import; 12 were changed since and stay as they are."
    )
    assert [line.split()[0] for line in undone.out.splitlines()[2:12]] == [f"c{number}" for number in range(10)]
    assert undone.out.splitlines()[12:] == ["2 more are not shown."]
    assert len(customers_by_name(threaded)) == 12


def test_undo_restores_the_fields_that_a_file_changed(terminal: Terminal, threaded: World) -> None:
    threaded.mona.create("c1", name="Before", fields={"city": "上海"})
    file = save(terminal, "id,name,city\nc1,After,北京\n")
    terminal.run("import", file, "--on-duplicate", "update")

    undone = terminal.run("import", file, "--on-duplicate", "update", "--undo")

    assert undone.status == 0, undone.err
    assert customers_by_name(threaded)["Before"]["fields"] == {"city": "上海"}


def test_undo_skips_requests_that_changed_nothing(terminal: Terminal, threaded: World) -> None:
    threaded.mona.create("c1", name="Here")
    file = save(terminal, "id,name\nc1,Here\n")
    terminal.run("import", file, "--on-duplicate", "skip")

    undone = terminal.run("import", file, "--on-duplicate", "skip", "--undo", "--json")

    assert (undone.status, undone.json["undone"]) == (0, 0)
    assert set(customers_by_name(threaded)) == {"Here"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_interrupted_undo_continues_to_the_end(terminal: Terminal, threaded: World) -> None:
    file, writes = save(terminal, csv_of(250)), itertools.count(1)
    terminal.run("import", file)

    def die(**_: Any) -> None:
        if next(writes) > 4:
            raise Crash

    with hooked(threaded, "after-call.dynamodb.TransactWriteItems", die):
        died = terminal.run("import", file, "--undo")
    undone = terminal.run("import", file, "--undo", "--json")

    assert died.status == 3 and len(died.error_line.splitlines()) == 1
    assert (undone.status, undone.json["undone"]) == (0, 250)
    assert customers_by_name(threaded) == {}


def test_an_undo_dry_run_counts_and_changes_nothing(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, csv_of(5))
    terminal.run("import", file)

    read = terminal.run("import", file, "--undo", "--dry-run")
    program = terminal.run("import", file, "--undo", "--dry-run", "--json")

    assert "5 rows would be undone" in read.out and program.json["rows"] == 5
    assert len(customers_by_name(threaded)) == 5


def test_undo_of_a_file_without_an_import_is_one_line(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, csv_of(5))
    never = terminal.run("import", file, "--undo")
    terminal.run("import", file)

    otherwise = terminal.run("import", file, "--key", "id", "--undo")
    both = terminal.run("import", file, "--undo", "--again")
    by_alice = terminal.run("import", file, "--undo", user="alice")

    assert [each.status for each in (never, otherwise, both, by_alice)] == [1, 1, 2, 1]
    assert all(len(each.error_line.splitlines()) == 1 for each in (never, otherwise, both, by_alice))
    assert "no record here of importing this file into p" in never.error_line
    assert len(customers_by_name(threaded)) == 5


def test_an_import_is_listed_with_its_file_and_undone_by_its_id(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, csv_of(150), "名单 13800138000.csv")
    terminal.run("import", file)

    listed = terminal.run("imports", "--json")
    shown = terminal.run("imports")
    undone = terminal.run("imports", "--undo", listed.json["items"][0]["id"], "--json", user="root")
    unknown = terminal.run("imports", "--undo", "unknown")

    (item,) = listed.json["items"]
    assert (item["rows"], item["created"], item["by"]) == (150, 150, "mona") and "名单" in item["file"]
    assert "13800138000" not in shown.out and item["file"] in shown.out
    assert (undone.status, undone.json["undone"], unknown.status) == (0, 150, 1), undone.err
    assert customers_by_name(threaded) == {}
