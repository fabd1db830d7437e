"""Files to import as bytes, read with the package `importing`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import xlsxwriter

from importing.columns import Columns, FieldDefinition, columns_of
from importing.problems import Problem
from importing.rows import Failed, Key, Read, RowReader
from importing.tables import Table, open_table


class Reading(NamedTuple):
    """The result of reading a file."""

    table: Table
    columns: Columns
    reader: RowReader
    lines: list[Read | Failed]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [each.row for each in self.lines if isinstance(each, Read)]

    @property
    def keys(self) -> list[tuple[str | None, str]]:
        return [(each.kind, each.key) for each in self.lines if isinstance(each, Read)]

    @property
    def problems(self) -> list[tuple[int, str]]:
        return [(each.line, each.problem.code) for each in self.lines if isinstance(each, Failed)]

    @property
    def warnings(self) -> list[Problem]:
        cells = [warning for each in self.lines if isinstance(each, Read) for warning in each.warnings]
        return [*self.table.warnings, *cells]


def read(
    content: bytes | str,
    key: Key = "auto",
    mapping: dict[str, str | None] | None = None,
    definitions: Sequence[FieldDefinition] = (),
    **how: Any,
) -> Reading:
    data = content.encode() if isinstance(content, str) else content
    table = open_table(lambda: io.BytesIO(data), **how)
    columns = columns_of(table.headings, mapping or {}, definitions)
    reader = RowReader(columns, key)
    return Reading(table, columns, reader, [reader.read(line) for line in table.lines()])


def workbook(write: Callable[[xlsxwriter.Workbook], None]) -> bytes:
    """Return a workbook that `write` fills."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    write(book)
    book.close()
    return file.getvalue()


def sheet_of(*rows: Sequence[Any]) -> bytes:
    def write(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)

    return workbook(write)
