"""Reading files as people save them: encodings, delimiters, titles, workbooks, and mistakes of single lines."""

from __future__ import annotations

import io
from datetime import date, timedelta
from zipfile import ZipFile

import pytest
import xlsxwriter

from importing.columns import FieldDefinition
from importing.number_formats import shown
from importing.problems import SENTENCES, Unreadable
from importing.typed import text_of
from tests.support.import_files import read, sheet_of, workbook

# Encodings


def test_a_text_that_is_no_gb18030_is_not_read() -> None:
    with pytest.raises(Unreadable) as refused:
        read("name,phone,city\nJürgen Weiß,13800138000,Köln\n".encode("cp1252"))

    assert refused.value.problem.code == "no_encoding"
    assert all("--encoding" in refused.value.problem.sentence(each, options=True) for each in ("en", "zh"))


@pytest.mark.parametrize(
    ("content", "counts", "example"),
    [
        ("name,phone,住所\n山田商事,0312345678,東京都千代田区\n".encode("cp932"), True, ""),
        ("name,phone\nAdolesCiência,0912345678\n".encode("cp1252"), (1, 1), "AdolesCi阯cia"),
    ],
)
def test_gb18030_with_rare_characters_is_read_with_a_warning(content: bytes, counts: object, example: str) -> None:
    reading = read(content)

    (warning,) = reading.warnings
    assert reading.table.encoding == "gb18030" and warning.code == "other_encoding"
    assert example in warning.sentence("en") and "--encoding" in warning.sentence("zh", options=True)
    assert counts is True or (warning.values["outside"], warning.values["signs"]) == counts


def test_usual_chinese_text_in_gb18030_is_read_without_a_warning() -> None:
    reading = read("客户名称,手机\n北辰科技有限公司,13800138000\n".encode("gb18030"))

    assert (reading.table.encoding, reading.warnings) == ("gb18030", [])


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_an_undecodable_line_is_the_problem_of_that_line_alone(encoding: str) -> None:
    lines = [f"客户{number},1380000000{number}".encode(encoding) for number in range(8)]
    lines[3] = b"\xff\xff\x80,13800000003"

    reading = read(b"\n".join(["客户名称,手机".encode(encoding), *lines]))

    assert reading.table.encoding == encoding
    assert reading.problems == [(5, "undecodable")] and len(reading.rows) == 7


def test_a_nul_is_the_problem_of_its_line_alone() -> None:
    reading = read("客户名称,手机\n甲\0公司,13800138000\n乙,13900139000\n")

    assert reading.table.encoding == "utf-8" and reading.problems == [(2, "nul")]
    assert [row["name"] for row in reading.rows] == ["乙"]


# Lines


def test_a_long_cell_is_not_reported_as_an_open_quotation_mark() -> None:
    long = '"' + "x" * 140_000 + '"'

    reading = read(f"编号,客户名称,备注\na1,甲,{long}\na2,乙,ok\n")

    assert reading.problems == [(2, "cell_too_long")] and reading.rows[0]["id"] == "a2"


@pytest.mark.parametrize("text", ["甲\0\n乙", "甲\0\0\n乙", "\0\0\n乙", "a\0\nb\n乙", "\0甲\n乙"])
def test_nuls_beside_line_breaks_are_no_utf_16(text: str) -> None:
    reading = read(f"客户名称\n{text}\n")

    assert reading.table.encoding == "utf-8" and reading.problems == [(2, "nul")]
    assert reading.rows[-1]["name"] == "乙"


def test_the_mark_for_the_end_of_a_file_is_no_customer() -> None:
    assert [row["name"] for row in read("客户名称,手机\n甲,13800138000\n\x1a").rows] == ["甲"]


def test_an_open_quotation_mark_in_the_last_line_is_the_problem_of_that_line_alone() -> None:
    reading = read('客户名称,备注\n甲,好\n乙,"未闭合\n')

    assert reading.problems == [(3, "open_quote")] and [row["name"] for row in reading.rows] == ["甲"]


@pytest.mark.parametrize(
    ("lines", "line", "code"),
    [
        ('甲,1,"未闭合\n乙,2,正常\n丙,3,正常\n', 2, "open_quote"),
        ('甲,1,"未闭合\n乙,2,"正常"\n丙,3,正常\n', 2, "stray_quote_in_lines"),
    ],
)
def test_a_quotation_mark_that_leaves_lines_unclear_refuses_the_file(lines: str, line: int, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read("客户名称,编号,备注\n" + lines)

    assert (refused.value.line, refused.value.problem.code) == (line, code)


def test_a_mistake_of_one_line_keeps_its_neighbors() -> None:
    reading = read('客户名称,手机\n"甲"x,13800000001\n乙,13800000002,多余\n丙,13800000003\n')

    assert reading.problems == [(2, "stray_quote"), (3, "too_many_cells")]
    assert [row["name"] for row in reading.rows] == ["丙"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_most_lines_contain_equally_often(delimiter: str) -> None:
    lines = [["name", "phone", "note"], ["A", "13800000001", "1,5 / 2,5"], ["B", "13800000002", "3,5 / 4,5 / 5,5"]]
    text = "\n".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in line) for line in lines)

    assert read(text).rows[1]["fields"] == {"phone": "13800000002", "remark": "3,5 / 4,5 / 5,5"}


def test_a_sep_line_names_the_delimiter() -> None:
    reading = read("sep=;\nname;phone\nA;13800138000\n")

    assert (reading.table.delimiter, reading.table.heading_line) == (";", 2)
    assert reading.rows == [{"name": "A", "fields": {"phone": "13800138000"}}]


def test_the_headings_are_found_below_titles_and_notices() -> None:
    reading = read("2026年客户名录,,\n制表人：张三,,\n客户名称,手机,地址\n甲公司,13800138000,上海\n")

    assert reading.table.heading_line == 3 and [each.code for each in reading.warnings] == ["title_lines"]
    assert reading.rows == [{"name": "甲公司", "fields": {"phone": "13800138000", "address": "上海"}}]


@pytest.mark.parametrize(
    "above",
    ["名录,导出时间：2026-11-28,", "客户,名录,2026", "制表人,张三,\n日期,2026-11-28,", '"说明：\n1、必填\n2、选填",,',
     "联系电话,13800138000,", "填写说明：1、必填，2、选填", "客户,,", "sep=,"],
)  # fmt: skip
def test_titles_of_any_width_are_above_the_headings(above: str) -> None:
    (row,) = read(f"{above}\n客户名称,手机,地址\n甲公司,13800138000,上海\n").rows

    assert row == {"name": "甲公司", "fields": {"phone": "13800138000", "address": "上海"}}


def test_commas_in_text_do_not_decide_against_another_delimiter() -> None:
    reading = read("名录, 共 1 条, 2026\n客户名称\t手机\t地址\n甲公司\t13800138000\t上海, 浦东, 1 号\n")

    assert reading.rows == [{"name": "甲公司", "fields": {"phone": "13800138000", "address": "上海, 浦东, 1 号"}}]
    assert read("客户名称\n甲\n").table.delimiter == ","


def test_the_second_of_two_lines_of_headings_names_the_columns() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.merge_range("A1:A2", "客户名称")
        sheet.merge_range("B1:C1", "联系方式")
        sheet.write_row("B2", ["手机", "邮箱"])
        sheet.write_row("A3", ["甲公司", 13800138000, "a@example.com"])

    (row,) = read(workbook(write)).rows

    assert row == {"name": "甲公司", "fields": {"phone": "13800138000", "email": "a@example.com"}}


def test_blanks_between_quoted_cells_do_not_matter() -> None:
    assert read('"name", "phone"\n"B, Co", "13800138000"\n').rows == [
        {"name": "B, Co", "fields": {"phone": "13800138000"}}
    ]


def test_the_line_of_the_headings_can_be_given() -> None:
    text = "name,phone\nreal name,real phone\nA,13800138000\n"

    reading = read(text, header_row=2, mapping={"real name": "name"})

    assert reading.rows == [{"name": "A", "fields": {"phone": "13800138000"}}]
    with pytest.raises(Unreadable, match="no_header_row") as refused:
        read(text, header_row=9)
    assert refused.value.problem.sentence("en") == "Line 9 contains no headings."


def test_unknown_headings_below_no_title_stay_in_the_first_line() -> None:
    assert read("Kunde,Kanal,Status\nA,电话,客户\n", mapping={"Kunde": "name"}).table.heading_line == 1


# Workbooks


def test_numbers_of_a_workbook_are_read_as_people_see_them() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["客户名称", "手机", "客户编号", "邮编", "成立日期", "折扣", "VIP", "银行账号", "电话"])
        sheet.write_row(1, 0, ["甲公司", 13800138000])
        sheet.write(1, 2, 123, book.add_format({"num_format": "000000"}))
        sheet.write(1, 3, 10010, book.add_format({"num_format": "000000"}))
        sheet.write_datetime(1, 4, date(2020, 1, 15), book.add_format({"num_format": 'yyyy"年"m"月"d"日"'}))
        sheet.write(1, 5, 0.155, book.add_format({"num_format": "0.0%"}))
        sheet.write(1, 6, True)
        sheet.write(1, 7, 6222020200112233445)
        sheet.write(1, 8, 2112345678, book.add_format({"num_format": "000\\-00000000"}))

    reading = read(workbook(write))

    assert reading.rows == [{"id": "000123", "name": "甲公司", "fields": {
        "phone": "13800138000", "邮编": "010010", "成立日期": "2020-01-15", "折扣": "15.5%", "VIP": "true",
        "电话": "021-12345678",
    }}]  # fmt: skip
    assert [each.code for each in reading.warnings] == ["cell_digits_lost"]
    assert "银行账号" in reading.warnings[0].sentence("zh")


@pytest.mark.parametrize(
    ("number", "shape", "seen"),
    [
        (12, "0.00", "12"), (1200, "0.00_ ", "1200"), (12.5, "0.00", "12.5"), (1234567, "#,##0", "1234567"),
        (12, "#,##0.00", "12"), (0.5, "# ?/?", "0.5"), (5, "0", "5"), (5, '0"元"', "5"), (-5, "000", "-5"),
        (123, "000000", "000123"), (123, "[Red]000000;-000000", "000123"), (1234567, "000", "1234567"),
        (13800138000, "000-0000-0000", "138-0013-8000"), (13800138000, "000 0000 0000", "138 0013 8000"),
        (123, '"KH"00000', "KH00123"), (26, 'yy"年"00', "26"), (123, '"C-"0000"号"', "C-0123号"), (12, "##000", "012"),
        (2112345678, '"0"0', "02112345678"), (2112345678, '"0"#', "02112345678"), (8610123, '"+"0', "+8610123"),
        (0.155, "0%", "16%"), (0.155, "0.00%", "15.50%"), (0.15, "#%", "15%"), (0.155, "0.##%", "15.5%"),
        (0.15, "0.0#%", "15.0%"), (0.15, "0.##%", "15%"), (1, '0"%"', "1"), (12.5, "#,##0%", "1250%"),
    ],
)  # fmt: skip
def test_a_number_is_shown_as_in_a_spreadsheet_where_the_format_matters(number: float, shape: str, seen: str) -> None:
    assert text_of(shown(number if isinstance(number, float) else float(number), shape)).removesuffix(".0") == seen


def test_a_calculated_number_has_the_digits_that_a_spreadsheet_shows() -> None:
    (row,) = read(sheet_of(["客户名称", "金额", "比率"], ["甲", 0.1 + 0.2, 1.1])).rows

    assert row["fields"] == {"金额": "0.3", "比率": "1.1"}


def test_a_merged_cell_keeps_its_format_and_its_lost_digits_in_every_line() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet, zeros = book.add_worksheet(), book.add_format({"num_format": "000000"})
        sheet.write_row(0, 0, ["客户名称", "邮编", "账号"])
        sheet.merge_range(1, 1, 2, 1, 10010, zeros)
        sheet.merge_range(1, 2, 2, 2, 6222020200112233445)
        sheet.write_column(1, 0, ["甲", "乙"])

    reading = read(workbook(write))

    assert [row["fields"] for row in reading.rows] == [{"邮编": "010010"}] * 2
    assert [each.code for each in reading.warnings] == ["cell_digits_lost"] * 2


def test_cells_of_fields_that_the_pool_does_not_define_become_text() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["客户名称", "人数", "系数", "VIP", "规模", "外部编号"])
        sheet.write_row(1, 0, ["甲", 5, 0.0000001, True, 5, 7])
        sheet.write(1, 6, timedelta(hours=30), book.add_format({"num_format": "[h]:mm"}))
        sheet.write(0, 6, "时长")

    (row,) = read(workbook(write), definitions=[FieldDefinition("size", ("Size", "规模"), "number")]).rows

    assert row["fields"] == {
        "人数": "5", "系数": "0.0000001", "VIP": "true", "size": 5, "external_id": "7", "时长": "30:00:00",
    }  # fmt: skip


def test_the_first_visible_sheet_is_read_and_named() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        for name in ("隐藏", "客户"):
            book.add_worksheet(name).write_column(0, 0, ["客户名称", f"{name}公司"])
        book.get_worksheet_by_name("客户").activate()
        book.get_worksheet_by_name("客户").set_first_sheet()
        book.get_worksheet_by_name("隐藏").hide()

    reading = read(workbook(write))

    assert reading.table.sheet == "客户" and reading.rows[0]["name"] == "客户公司"
    assert read(workbook(write), sheet="隐藏").rows[0]["name"] == "隐藏公司"
    with pytest.raises(Unreadable, match="no_sheet"):
        read(workbook(write), sheet="没有")


def test_an_empty_first_sheet_is_passed_over() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        book.add_worksheet("空")
        book.add_worksheet("客户").write_column(0, 0, ["客户名称", "甲公司"])

    reading = read(workbook(write))

    assert (reading.table.sheet, reading.table.sheets) == ("客户", ["空", "客户"])
    for sheet in ("空", None):
        with pytest.raises(Unreadable, match="empty_file"):
            read(workbook(lambda book: book.add_worksheet("空") and None), sheet=sheet)


def test_a_cell_that_is_merged_downwards_belongs_to_every_line() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row("B3", ["客户名称", "联系人", "城市"])
        sheet.write_column("C4", ["张三", "李四"])
        sheet.merge_range("B4:B5", "甲公司")
        sheet.merge_range("D4:E5", "上海")

    reading = read(workbook(write))

    assert [(row["name"], row["fields"]) for row in reading.rows] == [
        ("甲公司", {"contact": "张三", "city": "上海"}), ("甲公司", {"contact": "李四", "city": "上海"}),
    ]  # fmt: skip
    assert [each.line for each in reading.lines] == [4, 5]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<html><table><tr><td>name</td></tr></table></html>", "web_page"),
        (b"\xef\xbb\xbf \r\n<!DOCTYPE html><html></html>", "web_page"),
        ("<table><tr><td>name</td></tr></table>".encode("utf-16"), "web_page"),
        (b"<!-- export --><table></table>", "web_page"),
        (b"\n<tr><td>name</td></tr>", "web_page"),
        (b"<body><center>", "web_page"),
        (b"MIME-Version: 1.0\r\nContent-Type: multipart/related", "web_page"),
        (b'<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">', "xml_page"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>', "xml_page"),
        (b"PK\x03\x04 no workbook", "broken_workbook"),
        (b"", "empty_file"),
        (b"\n , ,\n", "empty_file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_a_sentence(content: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(content)

    assert refused.value.problem.code == code


def test_a_workbook_and_a_csv_file_with_the_same_cells_are_read_alike() -> None:
    table = [["客户名称", "手机", "城市"], ["甲", "021-12345678转801", "上海"], ["乙", "-", ""]]

    assert read(sheet_of(*table)).rows == read("\n".join(",".join(line) for line in table)).rows


def test_every_problem_has_an_english_and_a_chinese_sentence() -> None:
    for english, chinese in SENTENCES.values():
        assert english.isascii() and not chinese.isascii() and not english.endswith(".")


# Values that a file lacks


def test_a_formula_without_a_result_is_named() -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["客户名称", "手机", "金额", "区号"])
        sheet.write_row(1, 0, ["甲", "13800138000"])
        sheet.write_formula(1, 2, "=1/0", None, "#DIV/0!")
        sheet.write_formula(1, 3, "=NA()", None, "#N/A")
        sheet.write_row(2, 0, ["乙", "", 5])
        sheet.write_formula(2, 1, '="138"&"00138001"', None, "")  # as programs write it that calculate nothing
        sheet.write_formula(3, 2, "=1+1", None, 2)
        sheet.write_row(3, 0, ["丙", "13800138002"])

    reading = read(workbook(write))

    assert [row["fields"] for row in reading.rows] == [
        {"phone": "13800138000"}, {"phone": "13800138002", "金额": "2"}
    ]  # fmt: skip
    assert reading.problems == [(3, "no_result")]
    assert [(each.code, each.values["heading"]) for each in reading.warnings] == [("cell_without_result", "金额")]


def test_a_workbook_whose_number_formats_cannot_be_read_has_a_warning() -> None:
    with_numbers, without = read(open_document("10010")), read(open_document(None))

    assert [each.code for each in with_numbers.warnings] == ["formats_not_read"]
    assert without.warnings == [] and without.rows[0]["fields"] == {"邮编": "010010"}


ODF = "urn:oasis:names:tc:opendocument:xmlns"
NAMES = "".join(f' xmlns:{name}="{ODF}:{name}:1.0"' for name in ("office", "table", "text", "manifest"))


def open_document(value: str | None) -> bytes:
    """Return an .ods workbook with one customer and the postcode 010010, as a number or, without one, as text."""

    def cell(seen: str, value: str | None = None) -> str:
        of_type = 'office:value-type="string"'
        if value is not None:
            of_type = f'office:value-type="float" office:value="{value}"'
        return f"<table:table-cell {of_type}><text:p>{seen}</text:p></table:table-cell>"

    lines = [cell("客户名称") + cell("邮编"), cell("甲") + cell("010010", value)]
    rows = "".join(f"<table:table-row>{each}</table:table-row>" for each in lines)
    sheet = f'<office:spreadsheet><table:table table:name="T">{rows}</table:table></office:spreadsheet>'
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", f"<manifest:manifest{NAMES}/>")
        archive.writestr("content.xml", f"<office:document-content{NAMES}><office:body>{sheet}</office:body>"
                         "</office:document-content>")  # fmt: skip
    return file.getvalue()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_headings_in_the_middle_of_joined_files_are_no_customer(mark: str) -> None:
    reading = read(f"{mark}客户名称,手机\n甲,13800138000\n{mark}客户名称,手机\n{mark}乙,13800138001\n")

    assert [row["name"] for row in reading.rows] == ["甲", "乙"]
    assert reading.problems == [(3, "headings_again")]


def test_a_number_that_excel_has_shortened_is_kept_in_a_field_and_named() -> None:
    reading = read("客户名称,银行账号\n甲,6.22202E+18\n")

    assert reading.rows[0]["fields"] == {"银行账号": "6.22202E+18"}
    assert [(each.code, each.values["heading"]) for each in reading.warnings] == [("cell_shortened", "银行账号")]
