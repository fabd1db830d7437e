"""Exports of other systems are imported without naming a single column."""

from __future__ import annotations

import csv
import io
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.import_files import read, sheet_of

LAYOUTS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "export_headings.toml").read_text(encoding="utf-8")
)
ROWS = 100


def cell_of(kind: str | None, number: int) -> str:
    """Return a value that suits a column: each phone number and address is another one."""
    values = {"phone": f"1380000{number:04d}", "email": f"u{number}@example.com", "company": f"公司{number}"}
    names = {"first_name": "Ada", "last_name": f"Lovelace{number}", "name": f"客户{number}", "person": f"人{number}"}
    ids = {"id": f"C-{number}", "external_id": f"KH.{number}"}
    return (values | names | ids).get(kind or "", f"值{number}")


def lines_of(layout: dict[str, Any]) -> list[list[str]]:
    columns = read(f"{','.join(layout['headings'])}\n").columns.columns
    kinds = [column.target if column.target in ("phone", "email") or column.own else column.kind for column in columns]
    kinds = [
        None if kind in ("phone", "email") and column.target != kind else kind
        for kind, column in zip(kinds, columns, strict=True)
    ]
    rows = [[cell_of(kind, number) for kind in kinds] for number in range(ROWS)]
    return [*([title] for title in layout.get("titles", [])), layout["headings"], *rows]


def csv_of(lines: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()


def test_there_are_layouts_of_at_least_twenty_systems() -> None:
    assert len({name.partition("_")[0] for name in LAYOUTS}) >= 14 and len(LAYOUTS) >= 29


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_headings_of_an_export_are_recognized(name: str) -> None:
    layout = LAYOUTS[name]

    shown = read(f"{','.join(layout['headings'])}\n").columns.described()

    assert {heading: shown.get(heading) for heading in layout["fields"]} == layout["fields"]
    assert "name" in shown.values()


@pytest.mark.parametrize(
    ("headings", "targets"),
    [
        ("Name,Asst. Phone,Home Phone,Business Phone", {"Business Phone": "phone", "Asst. Phone": "Asst. Phone"}),
        ("Name,Assistant's Phone,Direct phone,Fax phone", {"Direct phone": "phone"}),
        ("Name,Fax phone,Asst Phone", {"Asst Phone": "phone"}),
        ("Name,Home Phone,Other Phone,Work Phone", {"Work Phone": "phone"}),
        ("Name,Company Phone,Mobile", {"Mobile": "phone", "Company Phone": "Company Phone"}),
        ("姓名,公司电话,家庭电话,手机", {"手机": "phone"}),
        ("企业名称,无效手机号,同电话企业电话,更多电话,企业电话", {"企业电话": "phone"}),
        ("姓名,紧急联系人电话,老板电话", {"老板电话": "phone"}),
        ("Name,Billing Email,Home Email,Business Email", {"Business Email": "email"}),
        ("姓名,个人邮箱,企业邮箱", {"企业邮箱": "email"}),
        ("Parent Company,Company name,Phone", {"Company name": "name", "Parent Company": "Parent Company"}),
        ("Name,固话/座机,Mobile 2", {"Mobile 2": "phone", "固话/座机": "固话/座机"}),
    ],
)
def test_the_best_of_several_columns_is_the_field_wherever_it_stands(headings: str, targets: dict[str, str]) -> None:
    first, *others = headings.split(",")

    shown = [read(f"{','.join([first, *each])}\n").columns.described() for each in (others, others[::-1])]

    assert [{heading: each[heading] for heading in targets} for each in shown] == [targets, targets]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16", "xlsx"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_hundred_rows_of_an_export_are_imported_with_names_and_keys(name: str, encoding: str) -> None:
    layout = LAYOUTS[name]
    lines = lines_of(layout)

    reading = read(sheet_of(*lines) if encoding == "xlsx" else csv_of(lines).encode(encoding))

    assert (len(reading.rows), reading.problems) == (ROWS, [])
    assert all(kind for kind, _ in reading.keys) or not {"phone", "email"} & set(layout["fields"].values())
    assert len({row["name"] for row in reading.rows}) == ROWS
    if layout.get("person"):
        first = reading.rows[7]
        assert "Lovelace7" in str(first) or "人7" in str(first)
