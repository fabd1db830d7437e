"""poolctl import: whatever a spreadsheet was saved as, interrupted anywhere, and never twice."""

from __future__ import annotations

import csv
import itertools
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from botocore.exceptions import EndpointConnectionError

from tests.command_line import Desk, desk, ended
from tests.engine import Crash, failing, hooked
from tests.world import World

HEADINGS = "客户名称,手机,公司,备注\n"


@pytest.fixture
def office(threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    threaded.pool()
    with desk(threaded, tmp_path, monkeypatch) as made:
        yield made


def saved(office: Desk, text: str, name: str = "customers.csv", encoding: str = "utf-8") -> Path:
    path = office.home / name
    path.write_bytes(text.encode(encoding))
    return path


def customers(world: World) -> dict[str, Any]:
    """Every customer of the pool, by name."""
    listed = world.user("mona").walk("/customers")
    by_name = {each["name"]: each for each in listed}
    assert len(by_name) == len(listed), "one was imported twice"
    return by_name


def many(count: int) -> str:
    return "name,phone\n" + "".join(f"Customer {n},1380000{n:04d}\n" for n in range(count))


# What a file says


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_a_file_is_read_in_whatever_encoding_it_was_saved(office: Desk, threaded: World, encoding: str) -> None:
    file = saved(office, HEADINGS + "北辰科技,138 0013 8000,北辰集团,常联系 𠮷\n", encoding=encoding)

    done = office.run("import", file)

    assert done.status == 0, done.err
    assert customers(threaded)["北辰科技"]["fields"] == {
        "phone": "13800138000", "company": "北辰集团", "note": "常联系 𠮷",
    }  # fmt: skip


def test_what_is_in_no_encoding_is_refused_in_one_line(office: Desk) -> None:
    file = office.home / "broken.csv"
    file.write_bytes(b"name,phone\n\xff\xff\x80,1\n")

    done = office.run("import", file)

    assert done.status == 5 and "GB18030" in done.told


def test_another_encoding_is_named_by_the_person_who_knows_it(office: Desk, threaded: World) -> None:
    file = saved(office, "name,phone\nMüller,+4930123456\n", encoding="cp1252")

    guessed = office.run("import", file, "--dry-run")
    done = office.run("import", file, "--encoding", "cp1252")
    unknown = office.run("import", file, "--encoding", "klingon")

    assert "read as gb18030" in guessed.out
    assert (done.status, unknown.status) == (0, 2)
    assert set(customers(threaded)) == {"Müller"}


def test_tabs_and_semicolons_part_cells_too(office: Desk, threaded: World) -> None:
    office.run("import", saved(office, "姓名\t电话\n甲\t13800000001\n", "tabs.csv", "utf-16"))
    office.run("import", saved(office, 'Name;Phone\n"B; Co";+44 20 7946 0104\n', "semicolons.csv"))

    assert customers(threaded)["甲"]["fields"] == {"phone": "13800000001"}
    assert customers(threaded)["B; Co"]["fields"] == {"phone": "+442079460104"}


def test_a_workbook_is_read_with_its_numbers_and_days(office: Desk, threaded: World) -> None:
    path = office.home / "customers.xlsx"
    book = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["客户编号", "客户名称（必填）", "手机号码*", "员工数", "成立日期"])
    sheet.write_row(1, 0, [1001, "东海贸易", 13800138001, 1.5])
    sheet.write_datetime(1, 4, date(2020, 5, 1))
    book.close()

    done = office.run("import", path)

    made = customers(threaded)["东海贸易"]
    assert done.status == 0, done.err
    assert made["id"] == "1001"
    assert made["fields"] == {"phone": "13800138001", "员工数": 1.5, "成立日期": "2020-05-01"}


def test_a_number_that_excel_has_shortened_is_refused_and_told(office: Desk, threaded: World) -> None:
    file = saved(office, HEADINGS + "甲,1.38E+10,,\n乙,13800138002,,\n")

    dry = office.run("import", file, "--dry-run", LANG="zh_CN.UTF-8")
    done = office.run("import", file)

    assert dry.status == done.status == 1
    assert "第 2 行" in dry.out and "1.38E+10" in dry.out and "文本格式" in dry.out
    assert "digits_lost" in (office.home / "customers.csv.errors.csv").read_text(encoding="utf-8-sig")
    assert set(customers(threaded)) == {"乙"}


@pytest.mark.parametrize(
    ("text", "line"),
    [(HEADINGS + '甲,1380,,\n"乙,1381,,\n丙,1382,,\n', 3), ('"name,phone\n', 1), (HEADINGS + '"甲"x,1380,,\n', 2)],
)
def test_a_quotation_mark_that_is_out_of_place_is_refused_in_one_line(
    office: Desk, threaded: World, text: str, line: int
) -> None:
    done = office.run("import", saved(office, text))

    assert done.status == 5 and f"line {line}:" in done.told
    assert customers(threaded) == {}


def test_a_quotation_mark_never_closed_in_a_large_file_is_told_where_it_was_opened(office: Desk) -> None:
    text = many(20) + '"Open,13900000000\n' + "x,13900000001\n" * 20_000

    assert "line 22: a quotation mark is opened" in office.run("import", saved(office, text)).told


def test_headings_that_are_not_known_are_fields_and_may_be_mapped(office: Desk, threaded: World) -> None:
    file = saved(office, "Kunde,手机,Telefon,Farbe\nAcme,13800138000,123,blau\n")

    unnamed = office.run("import", file)
    named = office.run("import", file, "--map", "Kunde=name")

    assert unnamed.status == 5 and "--map" in unnamed.told
    assert named.status == 0
    assert customers(threaded)["Acme"]["fields"] == {"phone": "13800138000", "Telefon": "123", "Farbe": "blau"}


def test_a_dry_run_tells_what_each_column_is_and_sends_nothing(office: Desk, threaded: World) -> None:
    file = saved(office, HEADINGS + "甲,13800138000,,\n,13800138001,,\n")

    read = office.run("import", file, "--dry-run")
    program = office.run("import", file, "--dry-run", "--json", user=None)

    assert read.out.splitlines()[1].split() == ["客户名称", "name"]
    assert (program.json["rows"], program.json["failed"], program.json["key"]) == (1, 1, "phone")
    assert program.json["mistakes"] == [{"line": 3, "code": "no_name", "text": "the name is missing"}]
    assert customers(threaded) == {}


@pytest.mark.parametrize("name", ["nothing.csv", "folder", "empty.csv", "broken.xlsx"])
def test_a_file_that_is_none_is_one_line(office: Desk, name: str) -> None:
    (office.home / "folder").mkdir()
    (office.home / "empty.csv").touch()
    (office.home / "broken.xlsx").write_bytes(b"PK\x03\x04 no workbook")

    done = office.run("import", office.home / name)

    assert done.status == 5 and name in done.told


# What was refused


def test_what_was_refused_is_put_right_in_the_errors_file_and_imported(office: Desk, threaded: World) -> None:
    threaded.user("mona").post("/import", {"rows": [{"name": "Old", "fields": {"phone": "13800000009"}}]})
    file = saved(
        office, HEADINGS + "甲,13800000001,,\n,13800000002,=A1,\n丙,13800000009,,\n丁,无,,\n", encoding="gb18030"
    )

    first = office.run("import", file, "--json")
    errors = Path(first.json["errors_file"])
    lines = list(csv.reader(errors.open(encoding="utf-8-sig", newline="")))
    lines[1][2], lines[2][3], lines[3][3] = "乙", "13800000003", "13800000004"
    with errors.open("w", encoding="utf-8-sig", newline="") as mended:
        csv.writer(mended).writerows(lines)
    second = office.run("import", errors)

    assert (first.status, first.json["ok"], first.json["failed"]) == (1, 1, 3)
    assert [line[:2] for line in lines] == [
        ["poolctl_line", "poolctl_error"],
        ["3", "no_name: the name is missing"],
        ["4", "duplicate_customer: This customer exists already."],
        ["5", "no_phone: 无 is no phone number"],
    ]
    assert second.status == 0, second.err
    assert set(customers(threaded)) == {"Old", "甲", "乙", "丙", "丁"}
    assert customers(threaded)["乙"]["fields"] == {"phone": "13800000002", "company": "=A1"}


def test_an_errors_file_that_somebody_may_be_mending_is_put_aside(office: Desk) -> None:
    file = saved(office, "name,phone\n,1380000000\n")
    office.run("import", file)
    errors = office.home / "customers.csv.errors.csv"
    errors.write_text("mended by hand")

    office.run("import", file)

    assert (office.home / "customers.csv.errors.csv.bak").read_text() == "mended by hand"
    assert "no_name" in errors.read_text(encoding="utf-8-sig")


# Interrupted


def test_the_same_file_again_imports_nothing_twice(office: Desk, threaded: World) -> None:
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


def test_ctrl_c_lets_the_request_under_way_end_and_the_next_run_goes_on(
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


def test_a_second_ctrl_c_ends_at_once_with_one_line_and_nothing_is_doubled(
    office: Desk, threaded: World, gate: Gate
) -> None:
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


def test_killed_outright_it_goes_on_and_nothing_is_doubled(office: Desk, threaded: World, gate: Gate) -> None:
    file = saved(office, many(250))

    with under_way(office, threaded, gate, file) as program:
        program.kill()
        program.communicate()
        gate.open.set()
        second = office.run("import", file, "--json")

    assert second.json["ok"] == len(customers(threaded)) == 250


def test_two_at_once_on_one_file_are_refused(office: Desk, threaded: World, gate: Gate) -> None:
    file = saved(office, many(250))

    with under_way(office, threaded, gate, file) as program:
        other = office.run("import", file)
        gate.open.set()

        assert other.status == 1 and "another poolctl" in other.told
        assert ended(program).status == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_service_that_dies_midway_is_one_line_and_the_next_run_goes_on(office: Desk, threaded: World) -> None:
    file, writes = saved(office, many(350)), itertools.count(1)

    def die(**_: Any) -> None:
        if next(writes) > 4:
            raise Crash

    with hooked(threaded, "after-call.dynamodb.TransactWriteItems", die):
        died = office.run("import", file)
    resumed = office.run("import", file, "--json")

    assert died.status == 3 and "100 of 350 rows are done" in died.told
    assert resumed.json["ok"] == len(customers(threaded)) == 350


def test_a_store_that_fails_for_a_moment_is_asked_again(office: Desk, threaded: World) -> None:
    file = saved(office, many(150))

    with failing(threaded, 2, error=lambda: EndpointConnectionError(endpoint_url="engine")):
        done = office.run("import", file, "--json")

    assert done.status == 0, done.err
    assert done.json["ok"] == len(customers(threaded)) == 150


def test_a_store_that_goes_on_failing_is_one_line(office: Desk, threaded: World) -> None:
    file = saved(office, many(50))

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="engine")

    with hooked(threaded, "before-call.dynamodb.TransactWriteItems", fail):
        done = office.run("import", file)

    assert done.status == 3 and "try again shortly" in done.told
    assert office.run("import", file).status == 0


def test_a_disk_that_is_full_midway_is_one_line_and_the_next_run_goes_on(office: Desk, threaded: World) -> None:
    file = saved(office, "id,name\n" + "".join(f"c{n},Customer {n}\n" for n in range(150)))
    rows = [{"id": f"c{n}", "name": f"Customer {n}"} for n in range(100)]
    threaded.user("mona").post("/import", {"rows": rows})
    threaded.clock.forward(1)

    full = office.run_on_a_full_disk("import", file)
    done = office.run("import", file, "--json")

    assert full.status == 5 and "no space left" in full.told
    assert (done.json["ok"], done.json["failed"]) == (50, 100)
    assert len(customers(threaded)) == 150


def test_a_token_that_is_not_taken_imports_nothing(office: Desk) -> None:
    file = saved(office, many(50))

    done = office.run("import", file, POOLCTL_TOKEN=office.token("mona")[:-8] + "AAAAAAAA", user=None)

    assert done.status == 4 and "poolctl login" in done.told


def test_who_is_no_manager_imports_nothing(office: Desk) -> None:
    done = office.run("import", saved(office, many(5)), "--json", user="alice")

    assert done.status == 1 and json.loads(done.told)["code"] == "not_manager"
