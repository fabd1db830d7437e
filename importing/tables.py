"""Open a CSV file or a workbook as headings and lines, and report how it was read.

A CSV file is streamed, from its beginning on each call of `lines`; a workbook is kept in memory. Headings are found
below title and notice lines. Contains no rules of customers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from importing import headings, text_tables
from importing.cells import Line, is_empty
from importing.encodings import Encoding, Source, check, detect
from importing.problems import Problem, Unreadable, problem
from importing.text_tables import Dialect

if TYPE_CHECKING:
    from importing.workbooks import Limits, Sheet

_SEARCHED: Final = 20  # lines that may contain the headings
_DATA: Final = re.compile(r"[^@\s]+@[^@\s]+\.\w+|[+\d][\d\s()./:-]{4,}")  # no heading looks like an address or a number
WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how .xlsx and .ods begin, and .xls
_PAGE: Final = re.compile(
    rb"\s*(?:<!doctype html|<!--|mime-version:"
    rb"|<(?:html|head|body|meta|title|link|style|script|table|thead|tbody|tr|td|th|div|center|font|p|br|span|h\d)\b)",
    re.IGNORECASE,
)
_XML: Final = re.compile(rb"\s*<(?:\?xml|(?:\w+:)?workbook\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """`encoding` and `delimiter` are None for a workbook, `sheet` for a CSV file. `sheets` are the visible ones. Line
    numbers start at 1."""

    headings: list[str]
    heading_line: int
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    sheets: list[str]
    warnings: list[Problem] = field(repr=False)
    _read: Callable[[], Iterator[Line]] = field(repr=False)

    def lines(self) -> Iterator[Line]:
        """Yield the lines below the headings, except empty ones."""
        return (line for line in self._read() if line.number > self.heading_line and _has_content(line))


def open_table(
    source: Source,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    header_row: int | None = None,
    limits: Limits | None = None,
) -> Table:
    """Open a file; `source` opens it as a binary stream. `encoding` and `header_row` override detection. `limits` are
    those of workbooks.

    Raises `Unreadable`, and the errors of `source`.
    """
    with source() as file:
        start = file.read(512)
    if start.startswith(WORKBOOKS):
        from importing import workbooks  # loads a large library

        found = workbooks.open_sheet(source, sheet, workbooks.Limits() if limits is None else limits)
        return _table(found.lines, header_row, sheet=found)
    refuse_pages(start)
    known = check(source, encoding) if encoding else detect(source)
    return text_table(source, known, text_tables.dialect(source, known), header_row)


def text_table(source: Source, known: Encoding, read_as: Dialect, header_row: int | None = None) -> Table:
    """Return the table in a text. Raises `Unreadable`."""
    return _table(partial(text_tables.lines, source, known, read_as), header_row, encoding=known, dialect=read_as)


def _table(
    read: Callable[[], Iterator[Line]],
    header_row: int | None,
    sheet: Sheet | None = None,
    encoding: Encoding | None = None,
    dialect: Dialect | None = None,
) -> Table:
    line, above = _heading_line(read, header_row)
    cells = [str(cell).lstrip("\ufeff") for cell in line.cells]
    warnings = [encoding.warning] if encoding is not None and encoding.warning is not None else []
    if above:
        warnings.append(problem("title_lines", line=line.number))
    if sheet is not None and sheet.hides_zeros:
        warnings.append(problem("formats_not_read"))
    name, names = (None, []) if sheet is None else (sheet.name, sheet.names)
    delimiter = None if dialect is None else dialect.delimiter
    return Table(cells, line.number, encoding and encoding.name, delimiter, name, names, warnings, read)


def refuse_pages(start: bytes) -> None:
    """Raise `Unreadable` for a file that begins like a web page or XML."""
    text = start.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"")
    if _PAGE.match(text.removeprefix(b"\xff\xfe")):
        raise Unreadable("web_page")
    if _XML.match(text):
        raise Unreadable("web_page" if b"<html" in text.lower() else "xml_page")


# The line of the headings


def _heading_line(read: Callable[[], Iterator[Line]], header_row: int | None) -> tuple[Line, bool]:
    """Return the line of the headings, and whether lines with content are above it."""
    if header_row is not None:
        line = next((line for line in read() if line.number >= header_row), None)
        if line is None or line.number > header_row or not _has_content(line):
            raise Unreadable("no_header_row", row=header_row)
        return line, False
    first = _first_lines(read)
    if not first:
        raise Unreadable("empty_file")
    chosen = _chosen(first)
    if first[chosen].problem is not None:
        raise _unreadable(first[chosen])
    return first[chosen], chosen > 0


def _first_lines(read: Callable[[], Iterator[Line]]) -> list[Line]:
    """Return the first lines with content, up to one that leaves the rest unreadable: `lines` raises that again."""
    first = list[Line]()
    try:
        for line in islice((line for line in read() if _has_content(line)), _SEARCHED):
            first.append(line)  # those before an exception are kept
    except Unreadable:
        if not first:
            raise
    return first


def _unreadable(line: Line) -> Unreadable:
    assert line.problem is not None
    return Unreadable(line.problem.code, line.number, **line.problem.values)


def _chosen(lines: list[Line]) -> int:
    """Return the position of the headings: the first line with two known ones, if those above it have fewer cells, or
    with nothing but three known ones."""
    widths = [sum(not is_empty(cell) for cell in line.cells) for line in lines]
    for at, line in enumerate(lines):
        known = _known_headings(line)
        if known >= 2 and (known == widths[at] > 2 or all(width < widths[at] for width in widths[:at])):
            below = lines[at + 1] if at + 1 < len(lines) else line  # of two lines of headings, the second is exact
            return at + (_known_headings(below) > _known_headings(line))
    # Unknown headings: a title fills one cell of several columns.
    if widths[0] == 1 and max(widths) > 1 and not _known_headings(lines[0]):
        return next(at for at, width in enumerate(widths) if width > 1)
    return 0


def _known_headings(line: Line) -> int:
    """Return how many different fields the cells name; none if a cell is no heading."""
    texts = [str(cell).strip() for cell in line.cells if not is_empty(cell)]
    if any(_DATA.fullmatch(text) for text in texts):
        return 0
    return len({known[0] for text in texts if (known := headings.known(text))})


def _has_content(line: Line) -> bool:
    return (
        line.problem is not None
        or line.without_value != ()
        or any(cell != "" and not is_empty(cell) for cell in line.cells)
    )
