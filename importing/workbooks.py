"""Read the lines of a workbook (.xlsx, .xls, .ods) as people see them. The sheet is kept in memory.

The first visible sheet that is not empty is read, or the named one. A cell that is merged downwards has its value in
every line. A number with more than 15 digits has lost some, and a formula may have no result: their positions are
reported. Only .xlsx files are scanned for number formats and formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from importing import number_formats
from importing.cells import Cell, Line
from importing.encodings import Source
from importing.problems import Unreadable

MOST_DIGITS: Final = 1e15  # a spreadsheet keeps 15 digits of a number


@dataclass(frozen=True)
class Sheet:
    name: str
    names: list[str]  # of all visible sheets
    _sheet: CalamineSheet
    _scan: number_formats.Scan | None  # None for another kind of workbook than .xlsx

    @property
    def hides_zeros(self) -> bool:
        """Whether numbers may have leading zeros or percent signs that only their formats show."""
        return self._scan is None and any(isinstance(value, float) for row in self._sheet.iter_rows() for value in row)

    def lines(self) -> Iterator[Line]:
        left = (self._sheet.start or (0, 0))[1]
        merged = dict(_merged_downwards(self._sheet, left))
        above, lost_above = list[Cell](), set[int]()  # the line above, where a merged cell has its value
        unsure = frozenset[number_formats.Position]() if self._scan is None else self._scan.unsure
        for row, values in enumerate(self._sheet.iter_rows()):
            lost = {column for column, value in enumerate(values) if _lost_digits(value)}
            cells = [self._cell(value, (row, column + left)) for column, value in enumerate(values)]
            for column in merged.get(row, ()):
                if column < len(above):
                    cells[column] = above[column]
                    lost |= lost_above & {column}
            above, lost_above = cells, lost
            empty = [column for column, cell in enumerate(cells) if cell == "" and (row, column + left) in unsure]
            yield Line(row + 1, cells, lost=tuple(sorted(lost)), without_value=tuple(empty))

    def _cell(self, value: Any, position: number_formats.Position) -> Cell:
        """Return a number as people see it, and dates and times in ISO format."""
        if isinstance(value, float):
            return self._number(value, position)
        if isinstance(value, datetime):
            return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
        if isinstance(value, timedelta):
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        if isinstance(value, date | time):
            return value.isoformat()
        return value if isinstance(value, bool | int) else str(value)

    def _number(self, value: float, position: number_formats.Position) -> str | int | float:
        """Return a whole float as an integer, since Excel stores only floats, and others with the digits that it shows:
        0.1 + 0.2 as 0.3."""
        code = None if self._scan is None else self._scan.formats.get(position)
        seen = value if code is None else number_formats.shown(value, code)
        if isinstance(seen, str) or _lost_digits(value):
            return seen
        return int(value) if value.is_integer() else float(f"{value:.15g}")


def _lost_digits(value: Any) -> bool:
    return isinstance(value, float) and abs(value) >= MOST_DIGITS


def _merged_downwards(sheet: CalamineSheet, left: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the rows below the first of a merged range, each with the first columns of its ranges."""
    columns = dict[int, list[int]]()
    for (top, first), (bottom, _) in sheet.merged_cell_ranges or ():
        for row in range(top + 1, bottom + 1):
            columns.setdefault(row, []).append(first - left)
    yield from columns.items()


class Limits(NamedTuple):
    """How large a workbook may be: the cells that a sheet spans and, if `only_xlsx`, the bytes of all unpacked parts.

    The workbook reader aborts the process where it cannot reserve memory for all cells.
    """

    cells: int = 30_000_000
    unpacked: int = 0
    only_xlsx: bool = False


def open_sheet(source: Source, name: str | None, limits: Limits) -> Sheet:
    """Open a sheet. Raises `Unreadable`."""
    if limits.only_xlsx:
        unpacked = number_formats.unpacked_size(source)
        if unpacked is None:
            raise Unreadable("other_workbook")
        if unpacked > limits.unpacked:
            raise Unreadable("large_workbook")
    try:
        with source() as file, CalamineWorkbook.from_filelike(file) as book:
            names = [each.name for each in book.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
            for chosen in _chosen(book, name):
                scan = _scanned(source, chosen, limits)
                sheet = book.get_sheet_by_name(chosen)
                if sheet.start is not None:  # an empty sheet contains nothing to import: the next one may
                    break
    except PasswordError:
        raise Unreadable("password") from None
    except (CalamineError, ValueError, OSError) as error:
        raise Unreadable("broken_workbook", why=str(error).partition("\n")[0]) from None
    return Sheet(chosen, names, sheet, scan)


def _scanned(source: Source, name: str, limits: Limits) -> number_formats.Scan | None:
    """Return the scan of a sheet. Raises `Unreadable` for one that is too large."""
    scan = number_formats.scan(source, name)
    if scan is None and limits.only_xlsx:
        raise Unreadable("other_workbook")
    if scan is not None and scan.cells > limits.cells:
        raise Unreadable("large_workbook")
    return scan


def _chosen(book: CalamineWorkbook, name: str | None) -> list[str]:
    """Return the given sheet, or else the visible ones."""
    if name is not None:
        if name not in book.sheet_names:
            raise Unreadable("no_sheet", sheet=name, sheets=", ".join(book.sheet_names)[:500])
        return [name]
    visible = [
        each.name
        for each in book.sheets_metadata
        if each.visible == SheetVisibleEnum.Visible and each.typ == SheetTypeEnum.WorkSheet
    ]
    if not visible:
        raise Unreadable("no_visible_sheet")
    return visible
