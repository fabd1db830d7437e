"""Read a CSV file or a workbook as headings and lines, in any supported encoding. Contains no rules of customers.

A CSV file is streamed, from its beginning on each call of `lines`; a workbook is kept in memory. An unreadable file
raises `CommandFailed` with the position of the error.
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

from poolctl.exits import CommandFailed, Exit
from poolctl.formula_guard import unguarded

Cell: TypeAlias = str | int | float | bool
Line: TypeAlias = tuple[int, list[Cell]]  # line number and cells
PIECE: Final = 1 << 16
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how .xlsx and .ods begin, and .xls
_MARKS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Spreadsheet:
    """`encoding` is None for a workbook; `digest` is the SHA-256 of the file."""

    path: Path
    headings: list[str]
    encoding: str | None
    digest: str
    _read: Callable[[], Iterator[Line]]

    def lines(self) -> Iterator[Line]:
        """Yield all lines except the headings and empty lines."""
        lines = (line for line in self._read() if any(cell != "" for cell in line[1]))
        next(lines, None)
        return lines


def open_spreadsheet(path: Path, sheet: str | None = None, encoding: str | None = None) -> Spreadsheet:
    """Open a file. `encoding` overrides detection. Raises `CommandFailed` and OSError."""
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
        file.seek(0)
        workbook = file.read(4) in _WORKBOOKS
    encoding = None if workbook else encoding or encoding_of(path)
    read = _workbook(path, sheet) if encoding is None else _csv(path, encoding)
    first = next((cells for _, cells in read() if any(cell != "" for cell in cells)), None)
    if first is None:
        raise CommandFailed(Exit.FILE, "empty_file", file=path)
    return Spreadsheet(path, [str(cell) for cell in first], encoding, digest, read)


# Text


def encoding_of(path: Path) -> str:
    """Detect UTF-8, UTF-16 or GB18030 by the first bytes or by decoding. Raises `CommandFailed` for other encodings."""
    with path.open("rb") as file:
        start = file.read(PIECE)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    zeros = (start[0::2].count(0), start[1::2].count(0))
    if any(zeros):  # in UTF-16 every Latin letter, comma and digit has a zero byte; other text has none
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    for name in ("utf-8", "gb18030"):
        if _reads_as(path, name):
            return name
    raise CommandFailed(Exit.FILE, "no_encoding", file=path)


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
                raise _read_error(path, begins, error) from None

    return read


def _first_line(path: Path, read: Callable[[], str]) -> str:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise _read_error(path, 1, error) from None


def _delimiter(first: str) -> str:
    """Return the most frequent delimiter. Excel writes tabs into UTF-16 and semicolons in much of Europe."""
    outside = "".join(first.split('"')[0::2])
    return max(",;\t", key=outside.count)


def _read_error(path: Path, line: int, error: Exception) -> CommandFailed:
    reason = str(error)
    if isinstance(error, UnicodeDecodeError):
        return CommandFailed(Exit.FILE, "not_that_encoding", file=path, encoding=error.encoding)
    if "end of data" in reason or "field limit" in reason:
        return CommandFailed(Exit.FILE, "open_quote", file=path, line=line)
    if "expected after" in reason:
        return CommandFailed(Exit.FILE, "stray_quote", file=path, line=line)
    return CommandFailed(Exit.FILE, "broken_line", file=path, line=line, why=reason)


# Workbooks


def _workbook(path: Path, sheet: str | None) -> Callable[[], Iterator[Line]]:
    try:
        with CalamineWorkbook.from_path(path) as book:
            found = book.get_sheet_by_index(0) if sheet is None else book.get_sheet_by_name(sheet)
    except WorksheetNotFound:
        raise CommandFailed(Exit.FILE, "no_sheet", file=path, sheet=sheet) from None
    except (CalamineError, ValueError) as error:
        raise CommandFailed(Exit.FILE, "broken_workbook", file=path, why=str(error).partition("\n")[0]) from None

    def read() -> Iterator[Line]:
        for number, cells in enumerate(found.iter_rows(), 1):
            yield number, [_cell(cell) for cell in cells]

    return read


def _cell(cell: Any) -> Cell:
    """Return a whole float as an integer, since Excel stores only floats, and dates and times in ISO format."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return int(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, bool | int | float):
        return cell
    return unguarded(str(cell).strip())
