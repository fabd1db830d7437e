"""Read a file piece by piece, where nothing is kept between the pieces.

A text is read up to its last whole line; the next piece begins there, and is sent with what the first one has found:
its headings, its encoding and its separator. A workbook is one piece, which is sent again for its further lines.
Contains no rules of customers.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from importing import text_tables
from importing.cells import Line
from importing.encodings import PIECE, Encoding, Source, check, continued, detect, wide
from importing.problems import Unreadable
from importing.tables import WORKBOOKS, Table, open_table, refuse_pages, text_table
from importing.text_tables import Dialect

MOST_COLUMNS: Final = 1_000
MOST_CELLS: Final = 1_000_000  # of a workbook
MOST_UNPACKED: Final = 32 << 20  # bytes
# fmt: off
ENCODINGS: Final = frozenset(codecs.lookup(name).name for name in (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "gb2312", "big5", "big5hkscs", "cp950",
    "shift_jis", "cp932", "euc-jp", "euc-kr", "cp949", "cp437", "cp850", "cp852", "cp866", "cp874", "cp1250", "cp1251",
    "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "latin-1", "iso8859-2", "iso8859-5",
    "iso8859-7", "iso8859-9", "iso8859-15", "koi8-r", "koi8-u", "mac-roman", "tis-620",
))
# fmt: on


def encoding_named(name: str) -> str | None:
    """Return the usual name of an encoding that a piece may have; None for another text."""
    try:
        known = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return known if known in ENCODINGS else None


@dataclass(frozen=True)
class After:
    """What the pieces so far have shown. `line` is the last line that was read, `header_row` that of the headings.

    `encoding` is None while all text was ASCII; it and `separator` are None for a workbook.
    """

    line: int
    header_row: int
    headings: list[str]
    encoding: str | None = None
    separator: str | None = None
    spaced: bool = False


@dataclass(frozen=True)
class Piece:
    """A piece of a file; `more` follows. `encoding`, `header_row` and `sheet` override detection."""

    content: bytes
    more: bool = False
    after: After | None = None
    encoding: str | None = None
    header_row: int | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class _Text:
    """The text in a piece: its whole lines, and how they are read."""

    source: Source
    encoding: Encoding
    dialect: Dialect
    further: str | None  # the encoding of further pieces; None if it is not known yet


class OpenPiece:
    """The table in a piece, whose `lines` can be read once. `_text` is None for a workbook."""

    def __init__(self, piece: Piece, table: Table, text: _Text | None) -> None:
        self.table = table
        self._piece, self._text = piece, text
        self._above = 0 if piece.after is None else piece.after.line
        self._unfinished: int | None = None  # the line of a record that ends in the next piece

    def lines(self) -> Iterator[Line]:
        """Yield the lines below the headings. Raises `Unreadable`.

        A cell with line breaks may end in the next piece, which then begins with the line of that cell.
        """
        try:
            for line in self.table.lines():
                if line.problem is not None and line.problem.code == "open_quote" and self._piece.more:
                    raise Unreadable("open_quote", line.number)  # a cell whose first line is the last of this piece
                if line.number > self._above:
                    yield line
        except Unreadable as error:
            ends_later = error.problem.code == "open_quote" and self._piece.more
            if not ends_later or error.line is None or error.line <= self._above + 1:
                raise
            self._unfinished = error.line

    def rest(self, unread: int | None) -> tuple[int, After] | None:
        """Return the bytes of this piece that were read, and what the next piece needs; None after the last one.

        `unread` is the first line that the caller has not used, if there is one.
        """
        first = self._unfinished if unread is None else unread
        if first is None and not self._piece.more:
            return None
        table, text = self.table, self._text
        if text is None:
            assert first is not None, "a workbook is one piece"
            return 0, After(first - 1, table.heading_line, table.headings)
        lines = text_tables.count(text.source, text.encoding) if first is None else first - 1 - self._above
        size = text_tables.size_of(text.source, text.encoding, lines)
        how = text.further, text.dialect.delimiter, text.dialect.spaced
        return size, After(self._above + lines, table.heading_line, table.headings, *how)


def open_piece(piece: Piece) -> OpenPiece:
    """Open a piece. Raises `Unreadable`."""
    if piece.content.startswith(WORKBOOKS):
        opened = OpenPiece(piece, _workbook(piece), None)
    else:
        refuse_pages(piece.content[:512])
        text = _text(piece)
        opened = OpenPiece(piece, _first(piece, text) if piece.after is None else _further(piece.after, text), text)
    if len(opened.table.headings) > MOST_COLUMNS:
        raise Unreadable("too_many_columns", most=MOST_COLUMNS)
    return opened


def _workbook(piece: Piece) -> Table:
    from importing.workbooks import Limits  # loads a large library

    if piece.more:
        raise Unreadable("large_workbook")
    header_row = piece.header_row if piece.after is None else piece.after.header_row
    limits = Limits(MOST_CELLS, MOST_UNPACKED, only_xlsx=True)
    return open_table(partial(io.BytesIO, piece.content), sheet=piece.sheet, header_row=header_row, limits=limits)


def _text(piece: Piece) -> _Text:
    after = piece.after
    content = _whole_lines(piece) if piece.more else piece.content
    source = partial(io.BytesIO, content)
    if after is not None and after.encoding is not None:
        encoding = continued(source, after.encoding)
    elif piece.encoding is not None:
        encoding = check(source, _unmarked(piece.encoding, content))
    else:
        encoding = detect(source)
    if after is None:
        read_as = text_tables.dialect(source, encoding)
    else:
        read_as = Dialect(after.separator or ",", spaced=after.spaced)
    undecided = piece.encoding is None and encoding.name == "utf-8" and content.isascii()
    return _Text(source, encoding, read_as, None if undecided else _plain(encoding.name, content))


def _whole_lines(piece: Piece) -> bytes:
    """Return the content up to its last line break. Raises `Unreadable`."""
    content, after = piece.content, piece.after
    name = piece.encoding if after is None else after.encoding
    if name is None or name == "utf-16":
        name = wide(content[:PIECE])
    name = name if name in ("utf-16-le", "utf-16-be") else "ascii"
    for sign in "\n\r":
        mark = sign.encode(name)
        at = content.rfind(mark, 0, len(content) - (len(mark) if sign == "\r" else 0))  # "\n" may follow
        while at >= 0 and at % len(mark):
            at = content.rfind(mark, 0, at + len(mark) - 1)
        if at >= 0:
            return content[: at + len(mark)]
    raise Unreadable("long_line", 1 if after is None else after.line + 1, most=f"{len(content):,}")


def _unmarked(name: str, content: bytes) -> str:
    """Return a given encoding, without a byte order mark where the content has none."""
    if name == "utf-8-sig" and not content.startswith(codecs.BOM_UTF8):
        return "utf-8"
    return "utf-16-le" if name == "utf-16" and wide(content[:2]) is None else name


def _plain(name: str, content: bytes) -> str:
    """Return the encoding of further pieces, which have no byte order mark."""
    if name == "utf-16":
        return wide(content[:2]) or "utf-16-le"
    return "utf-8" if name == "utf-8-sig" else name


def _first(piece: Piece, text: _Text) -> Table:
    return text_table(text.source, text.encoding, text.dialect, piece.header_row)


def _further(after: After, text: _Text) -> Table:
    read = partial(text_tables.lines, text.source, text.encoding, text.dialect, after.line)
    warnings = [] if text.encoding.warning is None else [text.encoding.warning]
    delimiter = text.dialect.delimiter
    return Table(after.headings, after.header_row, text.encoding.name, delimiter, None, [], warnings, read)
