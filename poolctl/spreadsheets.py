"""Reading a CSV file or a workbook as headings and lines, in whatever encoding it was saved. Knows no customers.

A file is read from its beginning as often as it is asked for, a piece at a time; only a workbook is kept in memory.
Whatever is wrong with it ends the command with one line that says where.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final, TypeAlias

from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

from poolctl.exits import Ended, Exit
from poolctl.formula_guard import unguarded

Cell: TypeAlias = str | int | float | bool
Line: TypeAlias = tuple[int, list[Cell]]  # its number in the file, and its cells
PIECE: Final = 1 << 16
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how .xlsx and .ods begin, and .xls
_MARKS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Spreadsheet:
    """`encoding` is None for a workbook; `digest` is that of the file's bytes."""

    path: Path
    headings: list[str]
    encoding: str | None
    digest: str
    _read: Callable[[], Iterator[Line]]

    def lines(self) -> Iterator[Line]:
        """All but the headings, and those without anything in them."""
        lines = (line for line in self._read() if any(cell != "" for cell in line[1]))
        next(lines, None)
        return lines


def opened(path: Path, sheet: str | None = None, encoding: str | None = None) -> Spreadsheet:
    """`encoding` is that of a text whose own nobody could guess. Raises `Ended` and OSError."""
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
        file.seek(0)
        workbook = file.read(4) in _WORKBOOKS
    encoding = None if workbook else encoding or encoding_of(path)
    read = _workbook(path, sheet) if encoding is None else _csv(path, encoding)
    first = next((cells for _, cells in read() if any(cell != "" for cell in cells)), None)
    if first is None:
        raise Ended(Exit.FILE, "empty_file", file=path)
    return Spreadsheet(path, [str(cell) for cell in first], encoding, digest, read)


# Text


def encoding_of(path: Path) -> str:
    """UTF-8, UTF-16 or GB18030, by its first bytes or by trying. Raises `Ended` for what is none of them."""
    with path.open("rb") as file:
        start = file.read(PIECE)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    zeros = (start[0::2].count(0), start[1::2].count(0))
    if any(zeros):  # half of each Latin letter, comma and digit in UTF-16 is a zero; no other text has any
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    for name in ("utf-8", "gb18030"):
        if _reads_as(path, name):
            return name
    raise Ended(Exit.FILE, "no_encoding", file=path)


def _reads_as(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _csv(path: Path, encoding: str) -> Callable[[], Iterator[Line]]:
    with path.open(encoding=encoding, newline="") as file:
        delimiter = _delimiter(_first_line(path, file.readline))

    def read() -> Iterator[Line]:
        begins = 1
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                for cells in reader:
                    yield begins, [unguarded(cell.strip()) for cell in cells]
                    begins = reader.line_num + 1
            except (csv.Error, UnicodeDecodeError) as error:
                raise _broken(path, begins, error) from None

    return read


def _first_line(path: Path, read: Callable[[], str]) -> str:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise _broken(path, 1, error) from None


def _delimiter(first: str) -> str:
    """The sign that parts most headings; Excel writes tabs into UTF-16, and semicolons in much of Europe."""
    outside = "".join(first.split('"')[0::2])
    return max(",;\t", key=outside.count)


def _broken(path: Path, line: int, error: Exception) -> Ended:
    said = str(error)
    if isinstance(error, UnicodeDecodeError):
        return Ended(Exit.FILE, "not_that_encoding", file=path, encoding=error.encoding)
    if "end of data" in said or "field limit" in said:
        return Ended(Exit.FILE, "open_quote", file=path, line=line)
    if "expected after" in said:
        return Ended(Exit.FILE, "stray_quote", file=path, line=line)
    return Ended(Exit.FILE, "broken_line", file=path, line=line, why=said)


# Workbooks


def _workbook(path: Path, sheet: str | None) -> Callable[[], Iterator[Line]]:
    try:
        with CalamineWorkbook.from_path(path) as book:
            found = book.get_sheet_by_index(0) if sheet is None else book.get_sheet_by_name(sheet)
    except WorksheetNotFound:
        raise Ended(Exit.FILE, "no_sheet", file=path, sheet=sheet) from None
    except (CalamineError, ValueError) as error:
        raise Ended(Exit.FILE, "broken_workbook", file=path, why=str(error).partition("\n")[0]) from None

    def read() -> Iterator[Line]:
        for number, cells in enumerate(found.iter_rows(), 1):
            yield number, [_said(cell) for cell in cells]

    return read


def _said(cell: Any) -> Cell:
    """A number that is whole is shown as such: Excel has no others. A day is a day, in the one form that all read."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return int(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, bool | int | float):
        return cell
    return unguarded(str(cell).strip())
