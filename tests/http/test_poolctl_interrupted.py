"""poolctl import after an interruption continues where it stopped and imports nothing twice."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.command_line import Terminal, csv_of, customers_by_name, result_of, save
from tests.support.dynamodb_calls import Crash, failing, hooked
from tests.support.world import World


def test_importing_the_same_file_again_imports_nothing_twice(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, "name\n" + "".join(f"Nameless {n}\n" for n in range(150)))

    first, second = terminal.run("import", file, "--json"), terminal.run("import", file, "--json")
    threaded.clock.forward(1)
    repeated = terminal.run("import", file, "--json", "--again")

    assert (first.json["ok"], first.json["already_done"]) == (150, False)
    assert (second.json["ok"], second.json["already_done"]) == (150, True)
    assert (repeated.status, repeated.json["failed"]) == (1, 150)
    assert len(customers_by_name(threaded)) == 150


GARBAGE = [
    b"garbage",
    b"{}",
    b"[]",
    b"5",
    b'{"attempt":"x"}',
    b"\xff\xfe",
    b'{"chunk":0}',
    b'{"chunk":[]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("line", [0, 1])
def test_an_import_with_a_malformed_journal_is_sent_again_and_imports_nothing_twice(
    terminal: Terminal, threaded: World, line: int, garbage: bytes
) -> None:
    file = save(terminal, "name\nNameless\n")
    assert terminal.run("import", file).status == 0
    (journal,) = terminal.home.rglob("*.jsonl")
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:line], garbage, *lines[line + 1 :]]))

    again, later = terminal.run("import", file, "--json"), terminal.run("import", file, "--json")

    assert (again.json["ok"], again.json["already_done"]) == (1, False)
    assert (later.json["ok"], later.json["already_done"]) == (1, True)
    assert len(customers_by_name(threaded)) == 1


class Gate:
    """Hold the first write of the second request until the gate opens: 100 rows by phone take six writes."""

    def __init__(self) -> None:
        self.writes, self.reached, self.open = 0, threading.Event(), threading.Event()

    def __call__(self, **_: Any) -> None:
        self.writes += 1
        if self.writes == 7:
            self.reached.set()
            assert self.open.wait(60)


@pytest.fixture
def gate(threaded: World) -> Iterator[Gate]:
    """Return a closed gate, which opens at the end."""
    made = Gate()
    yield made
    made.open.set()


@contextmanager
def paused_import(terminal: Terminal, world: World, gate: Gate, file: Path) -> Iterator[subprocess.Popen[str]]:
    """Start an import as a program that is held in its second request."""
    with hooked(world, "before-call.dynamodb.TransactWriteItems", gate):
        program = terminal.start("import", file)
        assert gate.reached.wait(60)
        yield program


def test_ctrl_c_finishes_the_current_request_and_the_next_run_continues(
    terminal: Terminal, threaded: World, gate: Gate
) -> None:
    file = save(terminal, csv_of(350))

    with paused_import(terminal, threaded, gate, file) as program:
        program.send_signal(signal.SIGINT)
        assert program.stderr is not None and "Ctrl-C again" in program.stderr.readline()
        gate.open.set()
        first = result_of(program)
    second = terminal.run("import", file, "--json")

    assert first.status == 130 and "200 of 350 rows are done" in first.error_line
    assert (second.json["ok"], second.json["resumed"]) == (350, True)
    assert len(customers_by_name(threaded)) == 350


def test_a_second_ctrl_c_stops_at_once_and_nothing_is_imported_twice(
    terminal: Terminal, threaded: World, gate: Gate
) -> None:
    file = save(terminal, csv_of(250))

    with paused_import(terminal, threaded, gate, file) as program:
        program.send_signal(signal.SIGINT)
        assert program.stderr is not None and "Ctrl-C again" in program.stderr.readline()
        program.send_signal(signal.SIGINT)
        first = result_of(program)
        gate.open.set()
    second = terminal.run("import", file, "--json")

    assert first.status == 130 and "100 of 250 rows are done" in first.error_line
    assert second.json["ok"] == len(customers_by_name(threaded)) == 250


def test_a_killed_import_continues_and_nothing_is_imported_twice(
    terminal: Terminal, threaded: World, gate: Gate
) -> None:
    file = save(terminal, csv_of(250))

    with paused_import(terminal, threaded, gate, file) as program:
        program.kill()
        program.communicate()
        gate.open.set()
        second = terminal.run("import", file, "--json")

    assert second.json["ok"] == len(customers_by_name(threaded)) == 250


def test_a_second_concurrent_import_of_one_file_is_refused(terminal: Terminal, threaded: World, gate: Gate) -> None:
    file = save(terminal, csv_of(250))

    with paused_import(terminal, threaded, gate, file) as program:
        other = terminal.run("import", file)
        gate.open.set()

        assert other.status == 1 and "Another poolctl" in other.error_line
        assert result_of(program).status == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_service_lost_during_an_import_is_one_line_and_the_next_run_continues(
    terminal: Terminal, threaded: World
) -> None:
    file, writes = save(terminal, csv_of(350)), itertools.count(1)

    def die(**_: Any) -> None:
        if next(writes) > 6:
            raise Crash

    with hooked(threaded, "after-call.dynamodb.TransactWriteItems", die):
        died = terminal.run("import", file)
    resumed = terminal.run("import", file, "--json")

    assert died.status == 3 and "100 of 350 rows are done" in died.error_line
    assert resumed.json["ok"] == len(customers_by_name(threaded)) == 350


def test_an_import_retries_a_transient_failure(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, csv_of(150))

    with failing(threaded, 2, error=lambda: EndpointConnectionError(endpoint_url="engine")):
        done = terminal.run("import", file, "--json")

    assert done.status == 0, done.err
    assert done.json["ok"] == len(customers_by_name(threaded)) == 150


def test_an_import_reports_a_lasting_failure_in_one_line(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, csv_of(50))

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="engine")

    with hooked(threaded, "before-call.dynamodb.TransactWriteItems", fail):
        done = terminal.run("import", file)

    assert done.status == 3 and "try again shortly" in done.error_line
    assert terminal.run("import", file).status == 0


def test_a_full_disk_during_an_import_is_one_line_and_the_next_run_continues(
    terminal: Terminal, threaded: World
) -> None:
    file = save(terminal, "id,name\n" + "".join(f"c{n},Customer {n}\n" for n in range(150)))
    rows = [{"id": f"c{n}", "name": f"Customer {n}"} for n in range(100)]
    threaded.mona.post("/import", {"rows": rows})
    threaded.clock.forward(1)

    full = terminal.run_on_a_full_disk("import", file)
    done = terminal.run("import", file, "--json")

    assert full.status == 5 and "No space left" in full.error_line
    assert (done.json["ok"], done.json["failed"]) == (50, 100)
    assert len(customers_by_name(threaded)) == 150


def test_an_import_with_a_rejected_token_imports_nothing(terminal: Terminal) -> None:
    file = save(terminal, csv_of(50))

    done = terminal.run("import", file, POOLCTL_TOKEN=terminal.token("mona")[:-8] + "AAAAAAAA", user=None)

    assert done.status == 4 and "poolctl login" in done.error_line


def test_an_import_by_a_plain_member_imports_nothing(terminal: Terminal) -> None:
    done = terminal.run("import", save(terminal, csv_of(5)), "--json", user="alice")

    assert done.status == 1 and json.loads(done.error_line)["code"] == "not_manager"
