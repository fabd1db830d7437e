"""poolctl import: files that lose, double or refuse data in other readers, and what is stored of them here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.command_line import Terminal, customers_by_name
from tests.support.import_files import sheet_of, workbook
from tests.support.world import World

LONG = "字" * 2_000


def _hidden_first(book: Any) -> None:
    """Write a workbook whose first sheet, a list of choices, is hidden."""
    book.add_worksheet("选项").write_column(0, 0, ["name", "华东", "华南"])
    book.worksheets()[0].hide()
    visible = book.add_worksheet("客户")
    visible.write_row(0, 0, ["客户名称", "手机"])
    visible.write_row(1, 0, ["甲公司", "13800138000"])
    visible.activate()
    visible.set_first_sheet()


def _formats(book: Any) -> None:
    """Write numbers that a spreadsheet shows with leading zeros, as a date and in percent."""
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["客户名称", "客户编号", "邮编", "成立日期", "折扣"])
    sheet.write(1, 0, "甲公司")
    for column, (number, code) in enumerate([(123, "000000"), (10010, "000000"), (43845, "yyyy-mm-dd"), (0.15, "0%")]):
        sheet.write(1, column + 1, number, book.add_format({"num_format": code}))


CASES: dict[str, tuple[bytes | str, dict[str, dict[str, Any]], tuple[str, ...]]] = {
    # name: content of the file, fields of the customers by name, and texts that the command prints
    "two phone columns": (
        "客户名称,手机,电话,联系人\n甲公司,13800138000,021-12345678,张三\n",
        {"甲公司": {"phone": "13800138000", "电话": "021-12345678", "contact": "张三"}}, (),
    ),
    "an errors file": (
        "\ufeffpoolctl_line,poolctl_error,公司名称,联系电话,备注\n2,no_phone: …,甲,13800138000,'=1+1\n",
        {"甲": {"phone": "13800138000", "remark": "=1+1"}}, ("Columns left out: poolctl_line, poolctl_error",),
    ),
    "a number from a floating-point column": (
        "客户名称,手机\n甲公司,13800138000.0\n乙公司,13900139000\n",
        {"甲公司": {"phone": "13800138000"}, "乙公司": {"phone": "13900139000"}}, (),
    ),
    "extensions": (
        "客户名称,编号,电话\n甲公司,a1,021-12345678-801\n乙公司,a2,021-12345678转802\n丙公司,a3,021-12345678转801\n",
        {"甲公司": {"phone": "021-12345678-801"}, "乙公司": {"phone": "021-12345678转802"}},
        ("2 of 3 rows imported",),
    ),
    "one number in three spellings": (
        "客户名称,手机\n甲,13800138000\n甲,8613800138000\n甲,+86(0)13800138000\n",
        {"甲": {"phone": "13800138000"}}, ("1 of 3 rows imported",),
    ),
    "a trunk zero": (
        "name,phone\nA,+44 (0)20 7946 0958\nB,+44 20 7946 0958\n",
        {"A": {"phone": "+44 (0)20 7946 0958"}}, ("1 of 2 rows imported",),
    ),
    "two numbers in a cell": (
        "客户名称,手机\n甲,13800138000;13900139000\n乙,13700137000/010-12345678\n丙,13600136000(微信同号)\n",
        {
            "甲": {"phone": "13800138000;13900139000"}, "乙": {"phone": "13700137000/010-12345678"},
            "丙": {"phone": "13600136000(微信同号)"},
        }, (),
    ),
    "cells that Excel must not calculate": (
        '客户名称,手机,银行账号\n甲公司,="13800138000",="6222020200112233445"\n',
        {"甲公司": {"phone": "13800138000", "银行账号": "6222020200112233445"}}, (),
    ),
    "numbers with a label": (
        "客户名称,手机\n甲公司,手机：13800138000\n乙公司,tel:+8613900139000\n",
        {"甲公司": {"phone": "手机：13800138000"}, "乙公司": {"phone": "tel:+8613900139000"}}, (),
    ),
    "rows with an address only": (
        "name,phone,email\nA,13800138000,a@example.com\nB,,b@example.com\nC,-,c@example.com\n",
        {"A": {"phone": "13800138000", "email": "a@example.com"}, "B": {"email": "b@example.com"},
         "C": {"email": "c@example.com"}}, ("3 of 3 rows imported",),
    ),
    "columns named like those of an export": (
        "客户名称,手机,到期时间,领取时间\n甲公司,13800138000,2026-12-31,2026-01-01\n",
        {"甲公司": {"phone": "13800138000", "到期时间": "2026-12-31", "领取时间": "2026-01-01"}}, (),
    ),
    "title lines": (
        "2026年客户名录,,\n制表人：张三,,\n客户名称,手机,地址\n甲公司,13800138000,上海\n",
        {"甲公司": {"phone": "13800138000", "address": "上海"}}, ("headings in line 3",),
    ),
    "equal headings": (
        "name,email,City,City,City\nA,a@x.com,1,2,3\n",
        {"A": {"email": "a@x.com", "city": "1", "City": "2", "City 2": "3"}}, (),
    ),
    "a name in two columns": (
        "First Name,Last Name,Email\nAda,Lovelace,ada@example.com\n",
        {"Ada Lovelace": {"email": "ada@example.com"}}, (),
    ),
    "a column without a heading": (
        ",name\n13800138000,Alice\n", {"Alice": {"column_1": "13800138000"}}, ("have no heading", "column_1"),
    ),
    "a sep line": ("sep=;\nname;phone\nA;13800138000\n", {"A": {"phone": "13800138000"}}, ('separated by ";"',)),
    "another encoding": (
        "name,phone\nAdolesCiência,0912345678\n".encode("cp1252"),
        {"AdolesCi阯cia": {"phone": "0912345678"}}, ("AdolesCi阯cia", "--encoding"),
    ),
    "a NUL": ("客户名称,手机\n甲\0公司,13800138000\n", {}, ("0 of 1 rows imported",)),
    "a long cell": (f'编号,客户名称,备注\na1,甲,"{"x" * 140_000}"\na2,乙,ok\n', {"乙": {"remark": "ok"}}, ()),
    "priorities": (
        "编号,客户名称,优先级\na1,甲,高\na2,乙,5\na3,丙,3.0\na4,丁,99999999999\n",
        {"甲": {"优先级": "高"}, "乙": {}, "丙": {}}, ("3 of 4 rows imported",),
    ),
    "foreign ids": (
        "客户编号,客户名称\nKH.0002,甲\n客户003,乙\n",
        {"甲": {"external_id": "KH.0002"}, "乙": {"external_id": "客户003"}}, (),
    ),
    "a hidden first sheet": (workbook(_hidden_first), {"甲公司": {"phone": "13800138000"}}, ("from sheet 客户",)),
    "number formats": (
        workbook(_formats), {"甲公司": {"邮编": "010010", "成立日期": "2020-01-15", "折扣": "15%"}}, (),
    ),
    "Shift JIS": (
        "name,phone,住所\n田中商店,0312345678,大阪市\n".encode("shift_jis"),
        {"揷拞彜揦": {"phone": "0312345678", "廧強": "戝嶃巗"}}, ("9 of 9 characters are rare", "--encoding"),
    ),
    "a workbook with a long number": (
        sheet_of(["客户名称", "手机", "银行账号"], ["甲公司", 13800138000, 6222020200112233445]),
        {"甲公司": {"phone": "13800138000"}}, ("from sheet Sheet1", "银行账号"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_imported_without_losing_or_doubling_data(terminal: Terminal, threaded: World, name: str) -> None:
    content, customers, texts = CASES[name]
    file = terminal.home / "customers.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)

    done = terminal.run("import", file)

    made = {each: customer["fields"] for each, customer in customers_by_name(threaded).items()}
    assert made == customers, done.err
    assert [text for text in texts if text not in done.out] == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            '客户名称,手机,备注\n甲公司,13800138000,"未闭合\n乙公司,13900139000,正常\n'.encode(),
            "line 2: a quotation mark",
        ),
        ("name,phone\nJürgen Weiß,13800138000\n".encode("cp1252"), "--encoding"),
        (b"<html><table><tr><td>name</td></tr></table></html>", "web page"),
    ],
)
def test_a_file_that_cannot_be_read_correctly_is_refused(
    terminal: Terminal, threaded: World, content: bytes, text: str
) -> None:
    file = terminal.home / "customers.csv"
    file.write_bytes(content)

    done = terminal.run("import", file)

    assert done.status == 5 and text in done.error_line
    assert customers_by_name(threaded) == {}


def test_a_dry_run_names_the_lines_that_are_too_large(terminal: Terminal) -> None:
    file = terminal.home / "customers.csv"
    file.write_text(f"编号,客户名称,备注\na1,甲,{LONG}\na2,乙,{LONG}\n", encoding="utf-8")

    dry = terminal.run("import", file, "--dry-run", "--json")

    assert (dry.status, [each["line"] for each in dry.json["mistakes"]]) == (1, [2, 3])


@pytest.mark.parametrize("heading", ["城市", "电话"])
def test_a_file_with_one_more_line_adds_only_that_line(terminal: Terminal, threaded: World, heading: str) -> None:
    file = terminal.home / "customers.csv"
    file.write_text(f"客户名称,{heading}\n甲,见备注\n乙,北京\n", encoding="utf-8")

    first = terminal.run("import", file)
    file.write_text(f"客户名称,{heading}\n甲,见备注\n丙,广州\n乙,北京\n", encoding="utf-8")
    second = terminal.run("import", file, "--json")

    assert "2 rows have no phone, e-mail or id" in first.out
    assert (second.json["ok"], second.json["failed"], second.json["keys"]) == (1, 2, {"none": 3})
    assert set(customers_by_name(threaded)) == {"甲", "乙", "丙"}


def test_contacts_under_chinese_headings_are_masked(terminal: Terminal, threaded: World) -> None:
    threaded.pool("q", masked_fields=["phone", "wechat", "email"])
    file = terminal.home / "customers.csv"
    file.write_text(
        "公司名称,手机号码,微信号,电子邮件\n甲公司,13800138000,wx_abc,li.wei@example.com\n", encoding="utf-8"
    )

    done = terminal.run("import", "-p", "q", file)

    (seen,) = threaded.user("alice", pool="q").in_full("/customers")
    assert done.status == 0, done.err
    assert seen["fields"] == {"phone": "138****8000", "wechat": "w****", "email": "l****@example.com"}
