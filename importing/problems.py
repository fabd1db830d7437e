"""What is wrong with a file, a line or a cell: a code for programs, and a sentence in English and Chinese."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

# English and Chinese. `{...}` are the values of the problem.
SENTENCES: Final[dict[str, tuple[str, str]]] = {
    # the whole file
    "empty_file": ("the file is empty", "文件为空"),
    "no_encoding": (
        "the encoding is not UTF-8, UTF-16 or GB18030. Save it as CSV UTF-8 or XLSX, or name its encoding",
        "编码不是 UTF-8、UTF-16 或 GB18030。请另存为 CSV UTF-8 或 XLSX，或指定其编码",
    ),
    "not_that_encoding": ("the file is not encoded in {encoding}", "文件的编码不是 {encoding}"),
    "open_quote": ("a quotation mark is opened and never closed", "引号没有闭合"),
    "stray_quote_in_lines": (
        "a quotation mark opens here, and a later line has text behind the closing one. Which lines belong together is "
        "unclear",
        "引号从此行开始，后面某行的右引号之后还有内容，无法判断哪些行属于同一条记录",
    ),
    "broken_workbook": ("the file cannot be read as a workbook: {why}", "无法作为工作簿读取：{why}"),
    "password": ("the workbook has a password. Save it without one", "工作簿设有密码，请另存为无密码的文件"),
    "web_page": (
        "the file is named like a workbook but contains a web page (HTML). Open it in Excel and save it as XLSX",
        "文件扩展名是工作簿，内容却是网页（HTML）。请用 Excel 打开后另存为 XLSX",
    ),
    "xml_page": (
        "the file is named like a workbook but contains XML. Open it in Excel and save it as XLSX",
        "文件扩展名是工作簿，内容却是 XML。请用 Excel 打开后另存为 XLSX",
    ),
    "other_workbook": (
        "this is a workbook of another kind. Save it as XLSX or CSV UTF-8",
        "这是其他格式的工作簿，请另存为 XLSX 或 CSV UTF-8",
    ),
    "large_workbook": (
        "the workbook is too large to be read here. Save it as CSV UTF-8", "工作簿过大，请另存为 CSV UTF-8"
    ),
    "long_line": ("the line does not end within {most} bytes", "该行超过 {most} 字节仍未结束"),
    "too_many_columns": ("there are more than {most} columns", "超过 {most} 列"),
    "no_sheet": (
        "there is no sheet named {sheet}. The sheets are: {sheets}", "没有工作表 {sheet}。现有工作表：{sheets}"
    ),
    "no_visible_sheet": ("every sheet of the workbook is hidden", "工作簿中的工作表均已隐藏"),
    "no_header_row": ("line {row} contains no headings", "第 {row} 行没有列名"),
    "no_column": (
        "no column is named {column}. The columns are: {headings}", "没有名为 {column} 的列。现有列：{headings}"
    ),
    "no_name_column": (
        "no column contains the name. Choose one, or rename it to `name`. The columns are: {headings}",
        "没有客户名称列。请指定一列，或将其列名改为“客户名称”。现有列：{headings}",
    ),
    "no_key_column": ("no column contains the {key}", "没有 {key} 列"),
    "column_twice": ("two columns map to {column}. Rename one of them", "有两列都对应 {column}，请修改其中一列的列名"),
    # one line
    "stray_quote": ("text follows the closing quotation mark of a cell", "单元格的右引号之后还有内容"),
    "undecodable": ("the line contains bytes that are not {encoding}", "该行含有不属于 {encoding} 的字节"),
    "nul": ("the line contains a NUL character", "该行含有 NUL 字符"),
    "cell_too_long": ("a cell has more than {most} characters", "有单元格超过 {most} 个字符"),
    "too_many_cells": ("there are more cells than the {count} headings", "单元格数量超过 {count} 个列名"),
    "digits_lost": (
        "{cell}: Excel shortened this number and its last digits are lost. Format the column as text and enter it "
        "again",
        "{cell}：该号码已被 Excel 缩写，末尾数字丢失。请将该列设为文本格式后重新填写",
    ),
    "no_result": (
        "the formula of {heading} has no result. Open the file in Excel, correct it and save it",
        "“{heading}”的公式没有结果，请用 Excel 打开文件，更正后保存",
    ),
    "headings_again": ("the line repeats the headings", "该行重复了列名"),
    "no_name": ("the name is missing", "缺少客户名称"),
    "name_too_long": ("the name has more than {most} characters", "客户名称超过 {most} 个字符"),
    "no_phone": ("{value} is not a phone number", "{value} 不是电话号码"),
    "no_email": ("{value} is not an e-mail address", "{value} 不是邮箱地址"),
    "no_id": (
        "not a valid id: {value}. Expected 1 to 64 letters, digits, - or _",
        "客户编号无效：{value}。应为 1 到 64 个字母、数字、- 或 _",
    ),
    "no_key": ("the {key} is missing", "缺少 {key}"),
    "priority_range": (
        "the priority {value} is not between {least} and {most}", "优先级 {value} 不在 {least} 到 {most} 之间"
    ),
    "fields_too_large": (
        "the fields have {size} bytes, but at most {most} are allowed", "字段共 {size} 字节，最多 {most} 字节"
    ),
    "holding_limit": ("the holding limit of {holder} is reached", "{holder} 的持有客户数已达上限"),
    "duplicate_in_file": ("duplicate: an earlier line has the same {key}", "重复：前面的行已有相同的 {key}"),
    # one cell, or a part of the file: the rest is imported
    "cell_digits_lost": (
        "{heading} is left out: a spreadsheet keeps 15 digits of a number, and this one has more. Enter it as text",
        "未导入“{heading}”：电子表格的数字只保留 15 位，该数字已失真，请以文本格式填写",
    ),
    "cell_without_result": (
        "{heading} is left out: its formula has no result. Open the file in Excel, correct it and save it",
        "未导入“{heading}”：公式没有结果，请用 Excel 打开文件，更正后保存",
    ),
    "cell_shortened": (
        "{heading} contains {value}: Excel shortened this number, and its last digits may be lost",
        "“{heading}”的内容是 {value}：该数字已被 Excel 缩写，末尾数字可能丢失",
    ),
    "formats_not_read": (
        "leading zeros and percent signs that only the format of a number shows are not read from this workbook. If it "
        "has some, save it as XLSX",
        "此类工作簿中仅由数字格式显示的前导零和百分号不会读取。如有，请另存为 XLSX",
    ),
    "other_encoding": (
        "{outside} of {signs} characters are rare in Chinese text, for example in {example}: is it another encoding? "
        "Then name it",
        "{signs} 个字符中有 {outside} 个在中文里很少见，例如 {example}：是否为其他编码？如是，请指定",
    ),
    "unnamed_columns": (
        "columns with values have no heading. They are imported as {fields}", "有数据的列没有列名，已导入为 {fields}"
    ),
    "title_lines": (
        "the headings are in line {line}; the lines above it are not imported", "列名在第 {line} 行，其上方的行未导入"
    ),
}  # fmt: skip


# The option of the command line that helps. Its sentences end with it.
OPTIONS: Final = {
    "no_encoding": "--encoding",
    "other_encoding": "--encoding",
    "not_that_encoding": "--encoding",
    "no_name_column": "--map HEADING=name",
    "no_header_row": "--header-row",
    "title_lines": "--header-row",
}


class Problem(NamedTuple):
    """A code of `SENTENCES` and the values of its sentence."""

    code: str
    values: dict[str, Any]

    def text(self, language: str, *, options: bool = False) -> str:
        """Return the problem in `en` or `zh`, to follow a colon. With `options`, it names that of the command line."""
        text = SENTENCES[self.code][language == "zh"].format(**self.values)
        if not options or self.code not in OPTIONS:
            return text
        return f"{text}（{OPTIONS[self.code]}）" if language == "zh" else f"{text} ({OPTIONS[self.code]})"

    def sentence(self, language: str, *, options: bool = False) -> str:
        text = self.text(language, options=options)
        return f"{text}。" if language == "zh" else f"{text[:1].upper()}{text[1:]}."


def problem(code: str, **values: Any) -> Problem:
    return Problem(code, values)


class Unreadable(Exception):
    """The whole file is refused. `line` is the number of the line with the problem, if there is one."""

    def __init__(self, code: str, line: int | None = None, **values: Any) -> None:
        super().__init__(code)
        self.problem, self.line = Problem(code, values), line
