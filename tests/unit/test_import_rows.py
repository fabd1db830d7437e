"""From headings and cells to rows: fields, names, keys and the mistakes of a line."""

from __future__ import annotations

from typing import get_args

import pytest

from importing.columns import Column, FieldDefinition, columns_of
from importing.headings import EXPORTED_FIRST, attribute_title, kind_of_field
from importing.problems import Unreadable
from importing.rows import LEAST_PRIORITY, LONGEST_FIELDS, MOST_PRIORITY, content_id
from tests.support.import_files import read, sheet_of

# Columns


@pytest.mark.parametrize(
    ("headings", "cells"), [("手机,电话", "13800138000,021-12345678"), ("座机,手机", "021-12345678,13800138000")]
)
def test_a_second_phone_column_is_a_field_of_its_own(headings: str, cells: str) -> None:
    reading = read(f"客户名称,{headings},联系人\n甲公司,{cells},张三\n")

    (row,) = reading.rows
    other = "电话" if "电话" in headings else "座机"
    assert row["fields"] == {"phone": "13800138000", other: "021-12345678", "contact": "张三"}
    assert kind_of_field(other) == "phone"


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("老板电话", "phone"),
        ("财务手机", "phone"),
        ("紧急联系人手机号码", "phone"),
        ("商务电话 2", "phone"),
        ("企业公示的联系电话（更多号码）", "phone"),
        ("Owner's phone", "phone"),
        ("MobilePhone", "phone"),
        ("Day Phone Number 2", "phone"),
        ("Phone Numbers", "phone"),
        ("财务邮箱", "email"),
        ("电子邮件3地址", "email"),
        ("传真", None),
        ("电话备注", None),
        ("Email opt out", None),
    ],
)
def test_a_heading_that_ends_with_a_usual_one_is_like_it(heading: str, kind: str | None) -> None:
    assert columns_of(["name", "phone", "email", heading], {}).columns[3] == Column(heading, heading, kind)
    assert kind is None or columns_of(["name", heading], {}).columns[1].target == kind


def test_another_full_name_of_a_person_is_kept() -> None:
    (row,) = read("First Name,Last Name,File As,Company\nAda,Lovelace,Countess,Acme\n").rows

    assert row == {"name": "Acme", "fields": {"File As": "Countess", "contact": "Ada Lovelace"}}


def test_only_fields_of_the_type_phone_identify_a_customer() -> None:
    defined = [FieldDefinition("电话", ("Landline", "电话"), "phone")]

    assert read("客户名称,手机,电话\n甲,,021-12345678\n").keys == [(None, "")]
    assert read("客户名称,手机,电话\n甲,,021-12345678\n", definitions=defined).keys == [("phone", "+862112345678")]


def test_equal_headings_become_fields_with_numbers() -> None:
    reading = read("name,email,City,City,City\nA,a@x.com,1,2,3\n")

    assert reading.rows[0]["fields"] == {"email": "a@x.com", "city": "1", "City": "2", "City 2": "3"}


def test_a_column_can_be_mapped_by_its_number() -> None:
    reading = read("name,City,City\nA,1,2\n", mapping={"#3": "district"})

    assert reading.rows[0]["fields"] == {"city": "1", "district": "2"}
    with pytest.raises(Unreadable, match="no_column"):
        columns_of(["name"], {"#2": "city"})
    with pytest.raises(Unreadable, match="column_twice"):
        columns_of(["name", "a", "b"], {"a": "city", "b": "city"})


def test_values_under_an_empty_heading_are_kept_and_named() -> None:
    reading = read(",name,\n13800138000,Alice,\n")

    assert reading.rows == [{"name": "Alice", "fields": {"column_1": "13800138000"}}]
    assert reading.reader.unnamed == {"column_1"}


@pytest.mark.parametrize(
    "heading",
    [
        "手机号码（必填）*",
        "\ufeff手机",
        "Ｐｈｏｎｅ",
        "Mobile_Phone",
        "E-Mail",
        "手 机",
        "【必填】手机",
        "Phone (Work)",
    ],
)
def test_brackets_stars_width_case_and_blanks_of_a_heading_do_not_matter(heading: str) -> None:
    (column, _) = columns_of([heading, "name"], {}).columns

    assert column.target == ("email" if "Mail" in heading else "phone")


def test_columns_named_like_those_of_an_export_are_fields_unless_all_are_there() -> None:
    text = "客户名称,手机,到期时间,领取时间\n甲公司,13800138000,2026-12-31,2026-01-01\n"

    assert read(text).rows[0]["fields"] == {"phone": "13800138000", "到期时间": "2026-12-31", "领取时间": "2026-01-01"}


def test_the_columns_of_an_errors_file_are_left_out() -> None:
    reading = read("\ufeffpoolctl_line,poolctl_error,公司名称,联系电话,备注\n4,no_name: …,乙,,'=1+1\n")

    assert reading.rows == [{"name": "乙", "fields": {"remark": "=1+1"}}]
    assert reading.columns.left_out == ["poolctl_line", "poolctl_error"]


def test_a_file_without_a_column_for_names_is_refused() -> None:
    with pytest.raises(Unreadable, match="no_name_column"):
        read("phone,Farbe\n13800138000,blau\n")


# Names


@pytest.mark.parametrize(
    ("text", "name", "contact"),
    [
        ("First Name,Last Name,Email\nAda,Lovelace,ada@example.com\n", "Ada Lovelace", None),
        ("姓,名,手机\n张,三,13800138000\n", "张三", None),
        ("姓氏,名字,手机\n张,三,13800138000\n", "张三", None),
        ("名字,手机\n张三,13800138000\n", "张三", None),
        ("First Name,Last Name,File As\nAda,Lovelace,Countess\n", "Ada Lovelace", None),
        ("First Name,Last Name,Full name\nAda,,Ada Lovelace\n", "Ada Lovelace", None),
        ("First Name,Last Name,Company\nAda,Lovelace,Acme\n", "Acme", "Ada Lovelace"),
        ("First Name,Last Name,Company\nAda,Lovelace,\n", "Ada Lovelace", None),
        ("姓名,公司,手机\n张三,甲公司,13800138000\n", "甲公司", "张三"),
        ("姓名,公司,手机\n张三,-,13800138000\n", "张三", None),
        ("联系人,手机\n张三,13800138000\n", "张三", None),
        ("客户名称,公司,姓名\n甲,甲集团,张三\n", "甲", "张三"),
        ("Name,Given Name,Family Name,Organization 1 - Name\nAda Lovelace,Ada,Lovelace,Acme\n", "Acme", "Ada Lovelace"),
    ],
)
def test_a_person_is_the_contact_of_the_company_or_else_the_customer(text: str, name: str, contact: str | None) -> None:
    (row,) = read(text).rows

    assert (row["name"], row["fields"].get("contact")) == (name, contact)


# Values and keys


def test_the_marks_of_a_spreadsheet_are_removed_and_the_rest_is_stored_as_written() -> None:
    reading = read(
        '客户名称,手机,银行账号\n甲,="13800138000",="6222020200112233445"\n乙,021-1234 5678 转801,\n丙,13900139000.0,\n'
    )

    assert [row["fields"] for row in reading.rows] == [
        {"phone": "13800138000", "银行账号": "6222020200112233445"},
        {"phone": "021-1234 5678 转801"},
        {"phone": "13900139000"},
    ]


@pytest.mark.parametrize("nothing", ["", "-", "—", "无", "N/A", "null", "\\N"])
def test_a_row_takes_the_first_key_that_it_has(nothing: str) -> None:
    reading = read(f"name,phone,email\nA,13800138000,a@example.com\nB,{nothing},B@example.com\nC,{nothing},{nothing}\n")

    assert reading.keys == [("phone", "+8613800138000"), ("email", "b@example.com"), (None, "")]
    assert [row["fields"] for row in reading.rows][1:] == [{"email": "B@example.com"}, {}]


def test_an_id_identifies_a_row_that_has_no_other_key() -> None:
    reading = read("编号,客户名称,手机,邮箱\n1,甲,13800138000,\n2,乙,-,b@x.cn\n3,丙,,\n")

    assert reading.keys == [("phone", "+8613800138000"), ("email", "b@x.cn"), ("id", "3")]
    assert [row["id"] for row in reading.rows] == ["1", "2", "3"]


@pytest.mark.parametrize("cells", ["1,乙,13900139000", "1,乙,"])
def test_a_second_row_with_an_id_is_refused_whatever_else_identifies_it(cells: str) -> None:
    reading = read(f"编号,客户名称,手机\n1,甲,13800138000\n{cells}\n")

    assert reading.problems == [(3, "duplicate_in_file")]


def test_in_an_export_the_id_identifies_a_row_and_a_new_row_may_have_none() -> None:
    headings = ",".join(attribute_title(name, "zh") for name in EXPORTED_FIRST)

    reading = read(f"{headings},手机\nc1,甲,,,,,0,13800138000\nc2,乙,,,,,0,13800138000\n,丙,,,,,0,13900139000\n")

    assert reading.keys == [("id", "c1"), ("id", "c2"), ("phone", "+8613900139000")]


def test_three_spellings_of_one_number_are_one_customer() -> None:
    reading = read("客户名称,手机\n甲,13800138000\n甲,8613800138000\n甲,+86(0)13800138000\n")

    assert len(reading.rows) == 1
    assert reading.problems == [(3, "duplicate_in_file"), (4, "duplicate_in_file")]


@pytest.mark.parametrize("foreign", ["KH.0002", "客户003", "__export__.res_partner.7"])
def test_a_foreign_id_is_kept_as_external_id(foreign: str) -> None:
    reading = read(f"客户编号,客户名称\n{foreign},甲\nKH-1,乙\n")

    assert reading.rows[0] == {"name": "甲", "fields": {"external_id": foreign}}
    assert reading.keys == [("external_id", foreign.lower()), ("id", "KH-1")]


UNIQUE = [
    FieldDefinition("code", ("Credit code", "统一社会信用代码"), "text", unique=True),
    FieldDefinition("no", ("No", "序号"), "number", unique=True),
]


def test_a_unique_field_identifies_a_row_that_has_no_other_key() -> None:
    reading = read(
        "客户名称,手机,统一社会信用代码,序号\n甲,13800138000,A1,\n乙,,B1,\n丙,-,-,7\n丁,,,\n", definitions=UNIQUE
    )

    assert reading.keys == [("phone", "+8613800138000"), ("code", "b1"), ("no", "7"), (None, "")]


@pytest.mark.parametrize("again", ["13900139000,a1,", "13900139000,Ａ1,", ",A1,", "13900139000,,7.0", ",,7"])
def test_a_second_row_with_a_value_of_a_unique_field_is_refused(again: str) -> None:
    reading = read(f"客户名称,手机,统一社会信用代码,序号\n甲,13800138000,A1,7\n乙,{again}\n", definitions=UNIQUE)

    assert reading.problems == [(3, "duplicate_in_file")]


def test_a_phone_number_in_the_column_of_ids_is_a_foreign_id() -> None:
    reading = read("客户编号,客户名称\n13800138000,甲\nA-1,乙\n")

    assert reading.rows == [
        {"name": "甲", "fields": {"external_id": "13800138000"}}, {"id": "A-1", "name": "乙", "fields": {}},
    ]  # fmt: skip


def test_the_id_of_the_company_is_not_that_of_its_contact() -> None:
    reading = read("Account ID,Contact ID,Last Name\nA.1,C.1,Li\nA.1,C.2,Wu\n")

    assert [row["fields"] for row in reading.rows] == [
        {"external_id": "C.1", "Account ID": "A.1"}, {"external_id": "C.2", "Account ID": "A.1"},
    ]  # fmt: skip


def test_a_name_that_lost_digits_is_the_problem_of_its_line() -> None:
    reading = read(sheet_of(["客户名称", "手机"], [12345678901234567, "13800138000"], ["乙", "13900139000"]))

    assert reading.problems == [(2, "digits_lost")] and [row["name"] for row in reading.rows] == ["乙"]


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("bool", "TRUE", True), ("bool", "1", True), ("bool", "n", False), ("bool", "否", False),
        ("bool", "maybe", "maybe"),
        ("date", "20260105", "2026-01-05"), ("date", "2026年1月5日", "2026-01-05"), ("date", "20261305", "20261305"),
        ("date", "01/05/2026", "01/05/2026"), ("choices", "a；b", ["a", "b"]), ("choices", "a;b", ["a", "b"]),
        ("choices", "a，b", ["a", "b"]), ("choices", '"a;b,c"', ["a;b", "c"]), ("number", "12.5", 12.5),
        ("number", "007", "007"),
    ],
)  # fmt: skip
def test_a_cell_gets_the_type_of_its_field(kind: str, cell: str, value: object) -> None:
    (row,) = read(f"客户名称,值\n甲,{cell}\n", definitions=[FieldDefinition("v", ("V", "值"), kind)]).rows

    assert row["fields"] == {"v": value} and type(row["fields"]["v"]) is type(value)


def test_a_given_key_is_required_of_every_row() -> None:
    text = "name,phone,email\nA,call me,a@example.com\nB,,b@example.com\n"

    assert read(text, key="phone").problems == [(2, "no_phone"), (3, "no_key")]
    assert read(text).keys == [("email", "a@example.com"), ("email", "b@example.com")]
    assert read(text).rows[0]["fields"]["phone"] == "call me"


def test_a_row_without_a_key_gets_the_same_id_when_its_file_is_read_again() -> None:
    first, second = (
        read("客户名称,城市\n甲,上海\n乙,北京\n甲,上海\n"),
        read("客户名称,城市\n丙,广州\n甲,上海\n乙,北京\n甲,上海\n"),
    )

    ids = [first.reader.numbered(content_id(row)) for row in first.rows]

    assert len(set(ids)) == 3
    assert [second.reader.numbered(content_id(row)) for row in second.rows][1:] == ids


@pytest.mark.parametrize(
    ("cell", "priority"),
    [("5", 5), ("3.0", 3), ("-7", -7), (str(MOST_PRIORITY), MOST_PRIORITY), ("高", None), ("High", None)],
)
def test_a_priority_is_a_whole_number_and_in_words_a_field(cell: str, priority: int | None) -> None:
    (row,) = read(f"客户名称,优先级\n甲,{cell}\n").rows

    assert row.get("priority") == priority
    assert row["fields"] == ({"优先级": cell} if priority is None else {})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"客户名称,优先级\n甲,{LEAST_PRIORITY - 1}\n", "priority_range"),
        ("客户名称,手机\n甲,1.38E+10\n", "digits_lost"),
        ("客户名称,手机\n,13800138000\n", "no_name"),
        (f"客户名称,手机\n{'甲' * 201},13800138000\n", "name_too_long"),
        (f"客户名称,备注\n甲,{'字' * (LONGEST_FIELDS // 3)}\n", "fields_too_large"),
        ("编号,客户名称,外部编号\nKH.1,甲,X\n", "no_id"),
    ],
)
def test_what_the_service_would_refuse_is_the_problem_of_the_line(text: str, code: str) -> None:
    assert read(text).problems == [(2, code)]


def test_the_limits_of_a_row_are_those_of_the_service() -> None:
    from chalicelib.api.requests import Priority
    from chalicelib.model.text import LONGEST_FIELD_NAME, MAX_FIELDS_BYTES
    from importing import columns

    _, meta = get_args(Priority)
    assert (meta.ge, meta.le) == (LEAST_PRIORITY, MOST_PRIORITY)
    assert LONGEST_FIELDS == MAX_FIELDS_BYTES
    assert columns.LONGEST_FIELD_NAME == LONGEST_FIELD_NAME
