"""poolctl import, interrupted in every way: it goes on where it stopped, and nothing is imported twice."""

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

from tests.support.command_line import Desk, customers, ended, many, saved, uow
from tests.support.engine import Crash, failing, hooked
from tests.support.world import World


@pytest.fixture
def office(threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    threaded.pool()
    with uow(threaded, tmp_path, monkeypatch) as made:
        yield made


def test_importing_the_same_file_again_imports_nothing_twice(office: Desk, threaded: World) -> None:
    file = saved(office, "name\n" + "".join(f"Nameless {n}\n" for n in range(150)))

    first, second = office.run("import", file, "--json"), office.run("import", file, "--json")
    threaded.clock.forward(1)
    anew = office.run("import", file, "--json", "--again")

    assert (first.json["ok"], first.json["already_done"]) == (150, False)
    assert (second.json["ok"], second.json["already_done"]) == (150, True)
    assert (anew.status, anew.json["failed"]) == (1, 150)
    assert len(customers(threaded)) == 150


class Gate:
    """Holds the first write of the second request, until it is opened: a request takes four to import 100 by phone."""

    def __init__(self) -> None:
        self.writes, self.reached, self.open = 0, threading.Event(), threading.Event()

    def __call__(self, **_: Any) -> None:
        self.writes += 1
        if self.writes == 5:
            self.reached.set()
            assert self.open.wait(60)


@pytest.fixture
def gate(threaded: World) -> Iterator[Gate]:
    """Closed from the time that the office is there."""
    made = Gate()
    yield made
    made.open.set()


@contextmanager
def under_way(office: Desk, world: World, gate: Gate, file: Path) -> Iterator[subprocess.Popen[str]]:
    """An import as a program of its own, held in its second request."""
    with hooked(world, "before-call.dynamodb.TransactWriteItems", gate):
        program = office.start("import", file)
        assert gate.reached.wait(60)
        yield program


def test_ctrl_c_finishes_the_current_request_and_the_next_run_continues(
    office: Desk, threaded: World, gate: Gate
) -> None:
    file = saved(office, many(350))

    with under_way(office, threaded, gate, file) as program:
        program.send_signal(signal.SIGINT)
        assert program.stderr is not None and "Ctrl-C again" in program.stderr.readline()
        gate.open.set()
        first = ended(program)
    second = office.run("import", file, "--json")

    assert first.status == 130 and "200 of 350 rows are done" in first.told
    assert (second.json["ok"], second.json["resumed"]) == (350, True)
    assert len(customers(threaded)) == 350


def test_a_second_ctrl_c_stops_at_once_and_nothing_is_imported_twice(office: Desk, threaded: World, gate: Gate) -> None:
    file = saved(office, many(250))

    with under_way(office, threaded, gate, file) as program:
        program.send_signal(signal.SIGINT)
        assert program.stderr is not None and "Ctrl-C again" in program.stderr.readline()
        program.send_signal(signal.SIGINT)
        first = ended(program)
        gate.open.set()
    second = office.run("import", file, "--json")

    assert first.status == 130 and "100 of 250 rows are done" in first.told
    assert second.json["ok"] == len(customers(threaded)) == 250


def test_a_killed_import_continues_and_nothing_is_imported_twice(office: Desk, threaded: World, gate: Gate) -> None:
    file = saved(office, many(250))

    with under_way(office, threaded, gate, file) as program:
        program.kill()
        program.communicate()
        gate.open.set()
        second = office.run("import", file, "--json")

    assert second.json["ok"] == len(customers(threaded)) == 250


def test_a_second_concurrent_import_of_one_file_is_refused(office: Desk, threaded: World, gate: Gate) -> None:
    file = saved(office, many(250))

    with under_way(office, threaded, gate, file) as program:
        other = office.run("import", file)
        gate.open.set()

        assert other.status == 1 and "Another poolctl" in other.told
        assert ended(program).status == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_service_lost_during_an_import_is_one_line_and_the_next_run_continues(office: Desk, threaded: World) -> None:
    file, writes = saved(office, many(350)), itertools.count(1)

    def die(**_: Any) -> None:
        if next(writes) > 4:
            raise Crash

    with hooked(threaded, "after-call.dynamodb.TransactWriteItems", die):
        died = office.run("import", file)
    resumed = office.run("import", file, "--json")

    assert died.status == 3 and "100 of 350 rows are done" in died.told
    assert resumed.json["ok"] == len(customers(threaded)) == 350


def test_an_import_retries_a_transient_failure(office: Desk, threaded: World) -> None:
    file = saved(office, many(150))

    with failing(threaded, 2, error=lambda: EndpointConnectionError(endpoint_url="engine")):
        done = office.run("import", file, "--json")

    assert done.status == 0, done.err
    assert done.json["ok"] == len(customers(threaded)) == 150


def test_an_import_reports_a_lasting_failure_in_one_line(office: Desk, threaded: World) -> None:
    file = saved(office, many(50))

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="engine")

    with hooked(threaded, "before-call.dynamodb.TransactWriteItems", fail):
        done = office.run("import", file)

    assert done.status == 3 and "try again shortly" in done.told
    assert office.run("import", file).status == 0


def test_a_full_disk_during_an_import_is_one_line_and_the_next_run_continues(office: Desk, threaded: World) -> None:
    file = saved(office, "id,name\n" + "".join(f"c{n},Customer {n}\n" for n in range(150)))
    rows = [{"id": f"c{n}", "name": f"Customer {n}"} for n in range(100)]
    threaded.mona.post("/import", {"rows": rows})
    threaded.clock.forward(1)

    full = office.run_on_a_full_disk("import", file)
    done = office.run("import", file, "--json")

    assert full.status == 5 and "No space left" in full.told
    assert (done.json["ok"], done.json["failed"]) == (50, 100)
    assert len(customers(threaded)) == 150


def test_an_import_with_a_rejected_token_imports_nothing(office: Desk) -> None:
    file = saved(office, many(50))

    done = office.run("import", file, POOLCTL_TOKEN=office.token("mona")[:-8] + "AAAAAAAA", user=None)

    assert done.status == 4 and "poolctl login" in done.told


def test_an_import_by_a_plain_member_imports_nothing(office: Desk) -> None:
    done = office.run("import", saved(office, many(5)), "--json", user="alice")

    assert done.status == 1 and json.loads(done.told)["code"] == "not_manager"
