"""poolctl import: file formats, encodings and rejected rows."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter

from tests.support.command_line import Terminal, csv_of, customers_by_name, save
from tests.support.world import World

HEADINGS = "客户名称,手机,公司,备注\n"


# Content of a file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_an_import_file_is_read_in_any_encoding(terminal: Terminal, threaded: World, encoding: str) -> None:
    file = save(terminal, HEADINGS + "北辰科技,138 0013 8000,北辰集团,常联系 𠮷\n", encoding=encoding)

    done = terminal.run("import", file)

    assert done.status == 0, done.err
    assert customers_by_name(threaded)["北辰科技"]["fields"] == {
        "phone": "138 0013 8000", "company": "北辰集团", "remark": "常联系 𠮷",
    }  # fmt: skip


def test_an_import_file_in_no_encoding_is_rejected_in_one_line(terminal: Terminal) -> None:
    file = terminal.home / "broken.csv"
    file.write_bytes(b"name,phone\n\xff\xff\x80,1\n")

    done = terminal.run("import", file)

    assert done.status == 5 and "GB18030" in done.error_line


def test_the_encoding_of_an_import_file_can_be_given(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, "name,phone\nMüller,+4930123456\n", encoding="cp1252")

    guessed = terminal.run("import", file, "--dry-run")
    done = terminal.run("import", file, "--encoding", "cp1252")
    unknown = terminal.run("import", file, "--encoding", "klingon")

    assert "Read as gb18030" in guessed.out
    assert (done.status, unknown.status) == (0, 2)
    assert set(customers_by_name(threaded)) == {"Müller"}


def test_tabs_and_semicolons_separate_cells(terminal: Terminal, threaded: World) -> None:
    terminal.run("import", save(terminal, "姓名\t电话\n甲\t13800000001\n", "tabs.csv", "utf-16"))
    terminal.run("import", save(terminal, 'Name;Phone\n"B; Co";+44 20 7946 0104\n', "semicolons.csv"))

    assert customers_by_name(threaded)["甲"]["fields"] == {"phone": "13800000001"}
    assert customers_by_name(threaded)["B; Co"]["fields"] == {"phone": "+44 20 7946 0104"}


def test_a_workbook_is_read_with_numbers_and_dates(terminal: Terminal, threaded: World) -> None:
    path = terminal.home / "customers.xlsx"
    book = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["客户编号", "客户名称（必填）", "手机号码*", "员工数", "成立日期"])
    sheet.write_row(1, 0, [1001, "东海贸易", 13800138001, 1.5])
    sheet.write_datetime(1, 4, date(2020, 5, 1))
    book.close()

    done = terminal.run("import", path)

    made = customers_by_name(threaded)["东海贸易"]
    assert done.status == 0, done.err
    assert made["id"] == "1001"
    assert made["fields"] == {"phone": "13800138001", "员工数": "1.5", "成立日期": "2020-05-01"}


def test_a_number_shortened_by_excel_is_rejected_with_its_reason(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, HEADINGS + "甲,1.38E+10,,\n乙,13800138002,,\n")

    dry = terminal.run("import", file, "--dry-run", LANG="zh_CN.UTF-8")
    done = terminal.run("import", file)

    assert dry.status == done.status == 1
    assert "第 2 行" in dry.out and "1.38E+10" in dry.out and "文本格式" in dry.out
    assert "digits_lost" in (terminal.home / "customers.csv.errors.csv").read_text(encoding="utf-8-sig")
    assert set(customers_by_name(threaded)) == {"乙"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEADINGS + '甲,1380,,\n"乙,1381,,\n丙,1382,,\n', 3),
        ('"name,phone\n', 1),
        (HEADINGS + '"甲\n"x,1380,,\n乙,1381,,\n', 2),
    ],
)
def test_a_quotation_mark_that_leaves_lines_unclear_is_rejected_in_one_line(
    terminal: Terminal, threaded: World, text: str, line: int
) -> None:
    done = terminal.run("import", save(terminal, text))

    assert done.status == 5 and f"line {line}:" in done.error_line
    assert customers_by_name(threaded) == {}


def test_a_misplaced_quotation_mark_is_the_problem_of_its_line_alone(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, HEADINGS + '"甲"x,13800138001,,\n乙,13800138002,,\n')

    done = terminal.run("import", file, "--json")

    assert (done.status, done.json["ok"], done.json["failed"]) == (1, 1, 1)
    assert set(customers_by_name(threaded)) == {"乙"}
    assert "2,stray_quote: Text follows" in (terminal.home / "customers.csv.errors.csv").read_text(encoding="utf-8-sig")


def test_an_unclosed_quotation_mark_is_reported_with_its_position(terminal: Terminal) -> None:
    text = csv_of(20) + '"Open,13900000000\n' + "x,13900000001\n" * 20_000

    assert "line 22: a quotation mark is opened" in terminal.run("import", save(terminal, text)).error_line


def test_unknown_headings_become_fields_and_can_be_mapped(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, "Kunde,手机,Telefon,Farbe\nAcme,13800138000,123,blau\n")

    unnamed = terminal.run("import", file)
    named = terminal.run("import", file, "--map", "Kunde=name")

    assert unnamed.status == 5 and "--map" in unnamed.error_line
    assert named.status == 0
    assert customers_by_name(threaded)["Acme"]["fields"] == {"phone": "13800138000", "Telefon": "123", "Farbe": "blau"}


def test_control_characters_of_a_heading_never_reach_the_terminal(terminal: Terminal) -> None:
    file = save(terminal, '"Kunde\n\x1b[2J",\x85Telefon\nAcme,1\n')

    assert "are: Kunde �[2J, Telefon" in terminal.run("import", file).error_line


def test_an_import_dry_run_prints_the_columns_and_sends_nothing(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, HEADINGS + "甲,13800138000,,\n,13800138001,,\n")

    read = terminal.run("import", file, "--dry-run")
    program = terminal.run("import", file, "--dry-run", "--json")

    assert read.out.splitlines()[1].split() == ["客户名称", "name"]
    assert (program.json["rows"], program.json["failed"], program.json["keys"]) == (1, 1, {"phone": 1})
    assert program.json["mistakes"] == [{"line": 3, "code": "no_name", "text": "The name is missing."}]
    assert customers_by_name(threaded) == {}


@pytest.mark.parametrize("name", ["nothing.csv", "folder", "empty.csv", "broken.xlsx"])
def test_an_unreadable_import_file_is_one_line(terminal: Terminal, name: str) -> None:
    (terminal.home / "folder").mkdir()
    (terminal.home / "empty.csv").touch()
    (terminal.home / "broken.xlsx").write_bytes(b"PK\x03\x04 no workbook")

    done = terminal.run("import", terminal.home / name)

    assert done.status == 5 and name in done.error_line


# Rejected rows


def test_a_corrected_errors_file_is_imported(terminal: Terminal, threaded: World) -> None:
    threaded.mona.post("/import", {"rows": [{"name": "Old", "fields": {"phone": "13800000009"}}]})
    file = save(
        terminal, HEADINGS + "甲,13800000001,,\n,13800000002,=A1,\n丙,13800000009,,\n丁,无,,\n", encoding="gb18030"
    )

    first = terminal.run("import", file, "--key", "phone", "--json")
    errors = Path(first.json["errors_file"])
    lines = list(csv.reader(errors.open(encoding="utf-8-sig", newline="")))
    lines[1][2], lines[2][3], lines[3][3] = "乙", "13800000003", "13800000004"
    with errors.open("w", encoding="utf-8-sig", newline="") as mended:
        csv.writer(mended).writerows(lines)
    second = terminal.run("import", errors)

    assert (first.status, first.json["ok"], first.json["failed"]) == (1, 1, 3)
    assert [line[:2] for line in lines] == [
        ["poolctl_line", "poolctl_error"],
        ["3", "no_name: The name is missing."],
        ["4", "duplicate_customer: This customer already exists."],
        ["5", "no_key: The phone is missing."],
    ]
    assert second.status == 0, second.err
    assert set(customers_by_name(threaded)) == {"Old", "甲", "乙", "丙", "丁"}
    assert customers_by_name(threaded)["乙"]["fields"] == {"phone": "13800000002", "company": "=A1"}


def test_an_existing_errors_file_is_moved_aside(terminal: Terminal) -> None:
    file = save(terminal, "name,phone\n,1380000000\n")
    terminal.run("import", file)
    errors = terminal.home / "customers.csv.errors.csv"
    errors.write_text("mended by hand")

    terminal.run("import", file)

    assert (terminal.home / "customers.csv.errors.csv.bak").read_text() == "mended by hand"
    assert "no_name" in errors.read_text(encoding="utf-8-sig")


# Owners, fields of the pool and refused lines


def test_owners_are_offered_and_assigned_if_that_is_wanted(terminal: Terminal, threaded: World) -> None:
    file = save(terminal, "客户名称,手机,负责人\n甲,13800138000,alice\n乙,13900139000,nobody\n")

    dry = terminal.run("import", file, "--dry-run")
    done = terminal.run("import", file, "--assign-owners", "--json")

    made = customers_by_name(threaded)
    assert "负责人. --assign-owners" in dry.out and dry.status == 0
    assert (done.json["ok"], done.json["failed"], done.json["owners"]) == (1, 1, [])
    assert (made["甲"]["holder"], made["甲"]["fields"]) == ("alice", {"phone": "13800138000"})


def test_an_errors_file_is_imported_without_the_options_of_the_first_import(
    terminal: Terminal, threaded: World
) -> None:
    file = save(terminal, "Kunde,Extra,phone\nA,1,13800138000\n,2,13900139000\n")
    done = terminal.run("import", file, "--map", "Kunde=name", "--map", "Extra=city", "--json")
    errors = terminal.home / "customers.csv.errors.csv"
    errors.write_text(errors.read_text(encoding="utf-8-sig").replace("no_name: The name is missing.,", ",B"), "utf-8")

    again = terminal.run("import", errors, "--json")

    assert (done.json["failed"], again.json["ok"], again.json["failed"]) == (1, 1, 0), again.err
    assert customers_by_name(threaded)["B"]["fields"] == {"city": "2", "phone": "13900139000"}


def test_a_unique_field_is_the_key_by_its_key_or_its_label_and_of_rows_without_another_one(
    terminal: Terminal, threaded: World
) -> None:
    label = {"en": "Credit code", "zh": "统一社会信用代码"}
    field = {"key": "code", "label": label, "type": "text", "unique": True}
    mona = threaded.pool("q", fields=[field])
    first = save(terminal, "公司名称,统一社会信用代码\n甲,91310000MA1FL0000X\n", "1.csv")
    second = save(terminal, "公司名称,统一社会信用代码,城市\n甲改,91310000ma1fl0000x,上海\n", "2.csv")

    made = terminal.run("import", "-p", "q", first, "--json")
    given = [
        ("--key", each, "--on-duplicate", "update") for each in ("auto", "code", "统一社会信用代码", "Credit code")
    ]
    done = [terminal.run("import", "-p", "q", second, "--json", *each) for each in given]

    assert made.json["keys"] == {"code": 1}
    assert [each.json["keys"] for each in done] == [{"code": 1}] * 4
    (customer,) = mona.walk("/customers")
    assert customer["name"] == "甲改"
    assert mona.customer(customer["id"])["fields"] == {"code": "91310000ma1fl0000x", "city": "上海"}


def test_an_edited_export_changes_its_customers_and_a_new_line_adds_one(terminal: Terminal, threaded: World) -> None:
    threaded.mona.create("c1", name="甲", fields={"phone": "13800138000"})
    threaded.mona.create("c2", name="乙", fields={"phone": "13900139000"})
    file = terminal.home / "all.csv"
    assert terminal.run("export", file).status == 0
    exported = file.read_text(encoding="utf-8-sig").replace("13800138000", "13700137000")
    columns = exported.splitlines()[0].count(",")
    new = [f",{name}{',' * (columns - 1)}{phone}\r\n" for name, phone in (("丙", "13600136000"), ("丁", "13900139000"))]
    file.write_text(exported + "".join(new), encoding="utf-8-sig")

    done = terminal.run("import", file, "--on-duplicate", "skip", "--json")
    updated = terminal.run("import", file, "--on-duplicate", "update", "--json")

    made = {name: each["fields"]["phone"] for name, each in customers_by_name(threaded).items()}
    assert done.json["keys"] == {"id": 2, "phone": 1} and (updated.json["ok"], updated.json["failed"]) == (3, 1)
    assert made == {"甲": "13700137000", "乙": "13900139000", "丙": "13600136000"}


def test_a_name_identifies_a_customer_if_it_is_the_key(terminal: Terminal, threaded: World) -> None:
    first, second = (save(terminal, f"客户名称,城市\n甲 公司,{city}\n", f"{city}.csv") for city in ("上海", "北京"))

    done = [terminal.run("import", each, "--key", "name", "--on-duplicate", "update") for each in (first, second)]

    assert [each.status for each in done] == [0, 0]
    assert customers_by_name(threaded)["甲 公司"]["fields"] == {"city": "北京"}
