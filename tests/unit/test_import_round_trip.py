"""An export imports as exactly the customers that it was written from, from CSV and from a workbook."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from importing import headings
from importing.columns import FieldDefinition
from importing.values import SHORTENED
from poolctl.exports import rows_of, titled_fields, write_file
from tests.support.import_files import read

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t='+-@\"\u3000,;"))
NOTABLE = st.sampled_from([
    "'=x", "=1+1", "''=x", "'x", '="000123"', "000123", "6222020200112233445", "-", "无", "null", "N/A", "TRUE",
    "多行\n备注", " blank ", "a\tb", "a\r\nb", "😀", "2026-12-31", "_x0041_", "sep=;", "13800138000.0",
    "手机：13800138000",
])  # fmt: skip
NAMES = st.sampled_from([
    *headings.fields(), "手机", "城市", "编号", "客户名称", "name", "id", "priority", "state", "公海状态", "pool_state",
    "phone 2", "City", "column_1", "=x", "'=x", "负责人", "first_name", "姓名",
])  # fmt: skip
# A phone number that Excel has shortened is refused even in an export: somebody may have saved the file in Excel.
VALUES = (TEXT | NOTABLE).filter(lambda text: text != "" and not SHORTENED.fullmatch(text))
NUMBERS = st.integers(-(10**14), 10**14) | st.booleans() | st.integers(1, 10**9).map(lambda number: number / 1000)
FIELD_NAMES = NAMES | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@st.composite
def customers(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> list[dict[str, Any]]:
    pool_attributes = {"state": "claimed", "holder": "alice", "claimed_at": "2026-01-01", "expires_at": "2026-02-01"}
    return [
        pool_attributes
        | {
            "id": f"c{number}",
            "name": draw(VALUES.filter(lambda text: text.strip() != "" and len(text) <= 200)),
            "priority": draw(st.integers(-1000, 1000)),
            "fields": draw(st.dictionaries(FIELD_NAMES, values, max_size=6)),
        }
        for number in range(draw(st.integers(1, 4)))
    ]


def imported_again(
    written: list[dict[str, Any]], kind: str, language: str, definitions: Sequence[FieldDefinition] = ()
) -> list[dict[str, Any]]:
    names = titled_fields(dict.fromkeys(name for each in written for name in each["fields"]), language)
    spool = io.StringIO("".join(json.dumps(each) + "\n" for each in written))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"all{kind}"
        write_file(kind, rows_of(language, names, spool), path)
        reading = read(path.read_bytes(), definitions=definitions)
    assert reading.problems == [] and reading.warnings == []
    return reading.rows


def expected(written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: each[name] for name in ("id", "name", "priority", "fields")} for each in written]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", [".csv", ".xlsx"])
@settings(deadline=None)
@given(data=st.data())
def test_text_survives_an_export_and_an_import(kind: str, language: str, data: st.DataObject) -> None:
    written = data.draw(customers(VALUES))

    assert imported_again(written, kind, language) == expected(written)


def test_a_delimiter_and_a_blank_in_a_name_leave_other_blanks_alone() -> None:
    fields = {"remark": " "}
    pool_attributes = {"state": "claimed", "holder": "alice", "claimed_at": "2026-01-01", "expires_at": "2026-02-01"}
    written = [pool_attributes | {"id": "c0", "name": ", ", "priority": 0, "fields": fields}]

    assert imported_again(written, ".csv", "en") == expected(written)


@pytest.mark.parametrize("language", ["zh", "en"])
@settings(deadline=None)
@given(customers(VALUES | NUMBERS))
@example([{
    "id": "c0", "name": "A", "priority": 0, "state": None, "holder": None, "claimed_at": None, "expires_at": None,
    "fields": {"a": 5, "b": 0.1, "c": True, "d": False, "e": -(10**14), "phone": 13800138000},
}])  # fmt: skip
def test_numbers_and_booleans_survive_a_workbook(language: str, written: list[dict[str, Any]]) -> None:
    again = imported_again(written, ".xlsx", language)

    assert again == expected(written)
    assert [[type(value) is bool for value in row["fields"].values()] for row in again] == [
        [type(value) is bool for value in (each["fields"][name] for name in row["fields"])]
        for row, each in zip(again, written, strict=True)
    ]


DEFINITIONS = [
    FieldDefinition("size", ("Size", "规模"), "number"), FieldDefinition("vip", ("VIP", "重点"), "bool"),
    FieldDefinition("signed", ("Signed", "签约"), "date"), FieldDefinition("tags", ("Tags", "标签"), "choices"),
    FieldDefinition("level", ("Level", "级别"), "choice"), FieldDefinition("zip", ("Postcode", "邮编"), "text"),
]  # fmt: skip
OPTIONS = st.sampled_from(["A级", "b", "1", "-"])


@pytest.mark.parametrize("kind", [".csv", ".xlsx"])
@settings(deadline=None, max_examples=30)
@given(st.lists(st.fixed_dictionaries({}, optional={
    "size": st.integers(-(10**14), 10**14) | st.integers(1, 10**9).map(lambda number: number / 1000),
    "vip": st.booleans(), "signed": st.dates().map(str), "tags": st.lists(OPTIONS, min_size=1, max_size=3, unique=True),
    "level": OPTIONS, "zip": st.from_regex(r"\A0[0-9]{5}\Z"), "other": VALUES,
}), min_size=1, max_size=4))  # fmt: skip
def test_the_values_of_defined_fields_survive_with_their_types(kind: str, fields: list[dict[str, Any]]) -> None:
    pool: dict[str, Any] = {"state": "available", "holder": None, "claimed_at": None, "expires_at": None}
    written = [pool | {"id": f"c{at}", "name": "A", "priority": 0, "fields": each} for at, each in enumerate(fields)]

    again = imported_again(written, kind, "zh", DEFINITIONS)

    assert again == expected(written)
    assert [type(row["fields"].get("vip")) for row in again] == [type(each.get("vip")) for each in fields]


def test_a_workbook_has_long_numbers_as_text() -> None:
    written = [{
        "id": "c0", "name": "A", "priority": 0, "state": None, "holder": None, "claimed_at": None, "expires_at": None,
        "fields": {"account": 6222020200112233445, "long": 10**15, "rate": 1.8053470180602744},
    }]  # fmt: skip

    (row,) = imported_again(written, ".xlsx", "zh")

    assert row["fields"] == {
        "account": "6222020200112233445", "long": "1000000000000000", "rate": "1.8053470180602744",
    }  # fmt: skip
