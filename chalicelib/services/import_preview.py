"""Read a piece of a file with the package `importing`, and return its rows as an import takes them.

Nothing is written, and nothing is kept between two pieces: an answer has all that the next request needs. The dry run
of an import compares the rows with stored customers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from chalicelib.domain.transitions import Actor
from chalicelib.model import responses, validation
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Pool
from chalicelib.services.pools import require_manager
from chalicelib.transactions.context import RequestContext
from importing import columns
from importing.cells import Cell, Line, is_empty
from importing.columns import Columns, FieldDefinition
from importing.headings import HOLDER
from importing.pieces import After, OpenPiece, Piece, open_piece
from importing.problems import Problem, Unreadable, problem
from importing.rows import Failed, KindAndKey, Read, Row, RowReader, content_id
from importing.values import exact, guarded

MOST_BYTES: Final = 1_500_000  # of rows and cells in an answer; Lambda takes 6 MB
Check: TypeAlias = Callable[[Row], Refusal | None]
Mapped: TypeAlias = Mapping[str, str | None]  # the target of a heading; None leaves its column out


def preview(ctx: RequestContext, pool_id: str, piece: Piece, mapping: Mapped, check: Check) -> Preview:
    """Return the preview of a piece. `check` is that of the rows of an import. Raises Refused unless the caller
    manages the pool."""
    pool = ctx.pool(pool_id)
    require_manager(ctx, pool)
    found = Preview()
    try:
        opened = open_piece(piece)
        found.show(opened, _columns(found, opened, mapping, pool))
        found.read(opened, RowsOf(ctx.actor(pool), found.columns, check))
    except Unreadable as error:
        found.refuse(error)
    return found


def _columns(found: Preview, opened: OpenPiece, mapping: Mapped, pool: Pool) -> Columns:
    """Return the columns of the headings; without the given mapping, if that is not possible."""
    definitions = [
        FieldDefinition(each.key, (each.label.en, each.label.zh), each.type, each.unique)
        for each in pool.definitions.by_key.values()
    ]  # fmt: skip
    headings = opened.table.headings
    try:
        return columns.mapped(headings, mapping, definitions)
    except Unreadable as error:
        found.refuse(error)
        return columns.mapped(headings, {}, definitions)


class RowsOf:
    """Turns the lines of a piece into rows, or into the reason why a line cannot be imported."""

    def __init__(self, actor: Actor, found: Columns, check: Check) -> None:
        self._actor, self._check = actor, check
        self.reader = RowReader(found, region=actor.policy.region)

    def read(self, line: Line) -> Read | Problem | Refusal:
        """Return the row. One that nothing identifies has a new id, and as its key that id without a number."""
        read = self.reader.read(line)
        if isinstance(read, Failed):
            return read.problem
        row = read.row
        if (refusal := self._check(row) or self._unfit(row)) is not None:
            return refusal
        if read.kind is not None or "id" in row:
            return read
        new_id = self._new_id(row)
        return read._replace(row={"id": self.reader.numbered(new_id)} | row, key=new_id)

    def _unfit(self, row: Row) -> Refusal | None:
        """Return the refusal of values that the definitions of the pool do not allow."""
        strict = bool(self._actor.policy.strict_fields)
        errors = self._actor.home.definitions.errors_of_change({}, row["fields"], strict=strict)
        return Refusal("field_invalid", errors=errors) if errors else None

    def _new_id(self, row: Row) -> str:
        """Return the id that equal rows share. Only a keyed digest hides a phone number or address that is no key."""
        new_id = content_id(row)
        hidden = self.reader.has_contact(row["fields"])
        return f"r{self._actor.secret.digest(new_id).rpartition('.')[2][:30]}" if hidden else new_id


@dataclass
class Preview:
    """The content of a piece, as values; `body` is the answer in a language."""

    columns: Columns = field(default_factory=lambda: Columns((), exact=False))
    _shown: dict[str, Any] = field(default_factory=dict)
    _samples: dict[int, Cell] = field(default_factory=dict)
    _rows: list[msgspec.Raw] = field(default_factory=list)
    _lines: list[responses.PreviewLine] = field(default_factory=list)
    _problems: list[tuple[int | None, Problem | Refusal]] = field(default_factory=list)
    _warnings: list[tuple[int | None, Problem]] = field(default_factory=list)
    _keys: Counter[str] = field(default_factory=Counter)
    _size: int = 0
    _rest: tuple[int, After] | None = None
    _refused: bool = False

    def refuse(self, error: Unreadable) -> None:
        """Refuse the file: no row of this piece is to be imported."""
        self._refused, self._rows, self._rest = True, [], None
        self._lines = [responses.PreviewLine(each.line, None, each.cells, [], [], None) for each in self._lines]
        self._problems.insert(0, (error.line, error.problem))

    def show(self, opened: OpenPiece, found: Columns) -> None:
        table, self.columns = opened.table, found
        self._shown = {
            "encoding": table.encoding, "separator": table.delimiter, "sheet": table.sheet, "sheets": table.sheets,
            "header_row": table.heading_line,
        }  # fmt: skip
        self._warnings += [(None, each) for each in table.warnings]
        if not found.named:
            self.refuse(columns.no_name_column(table.headings))

    def read(self, opened: OpenPiece, rows: RowsOf) -> None:
        """Read the lines, until the answer is large enough. Raises Unreadable."""
        unread = None
        for line in opened.lines():
            if self._size > MOST_BYTES:
                unread = line.number
                break
            self._read_line(line, rows)
        if rows.reader.unnamed:
            names = ", ".join(sorted(rows.reader.unnamed))
            self._warnings.append((None, problem("unnamed_columns", fields=names)))
        if not self._refused:
            self._rest = opened.rest(unread)

    def _read_line(self, line: Line, rows: RowsOf) -> None:
        for index, cell in enumerate(line.cells[: len(self.columns.columns)]):
            if index not in self._samples and line.problem is None and not is_empty(cell):
                self._samples[index] = cell
        cells = [guarded(exact(cell)) for cell in line.cells]
        self._size += sum(len(str(cell).encode(errors="replace")) + 3 for cell in cells) + 40
        place, keys, new_id = None, (list[str](), list[str]()), None
        if not self._refused:
            read = rows.read(line)
            place = self._add(line, read)
            if isinstance(read, Read):
                keys = _named(read.own_keys), _named(read.other_keys)
                new_id = read.key if read.kind is None else None
                self._size += sum(len(key.encode()) + 3 for each in keys for key in each)
        self._lines.append(responses.PreviewLine(line.number, place, [_text(cell) for cell in cells], *keys, new_id))

    def _add(self, line: Line, read: Read | Problem | Refusal) -> int | None:
        """Add the row of a line. Return its position, or None for a line with a problem."""
        if isinstance(read, Problem | Refusal):
            self._problems.append((line.number, read))
            return None
        raw = msgspec.json.encode(read.row)
        self._size += len(raw)
        self._keys[read.kind or "none"] += 1
        self._warnings += [(line.number, each) for each in read.warnings]
        self._rows.append(msgspec.Raw(raw))
        return len(self._rows) - 1

    def body(self, language: str) -> responses.ImportPreview:
        shown = {"encoding": None, "separator": None, "sheet": None, "sheets": [], "header_row": None} | self._shown
        return responses.ImportPreview(
            columns=self._columns(),
            mapping=_mapping(self.columns),
            rows=self._rows,
            lines=self._lines,
            key="id" if self.columns.exact else "auto",
            problems=[_problem(line, each, language) for line, each in self._problems],
            warnings=[_problem(line, each, language) for line, each in self._warnings],
            keys=dict(self._keys),
            left_out=self.columns.left_out,
            refused=self._refused,
            next=None if self._rest is None else _next(*self._rest),
            **shown,
        )

    def _columns(self) -> list[responses.PreviewColumn]:
        return [
            responses.PreviewColumn(
                each.heading, each.target, _text(self._samples.get(index)), HOLDER in (each.kind, each.target)
            )
            for index, each in enumerate(self.columns.columns)
        ]


def _mapping(found: Columns) -> dict[str, str | None]:
    """Return the target of each column, by its heading or, where that is not the only one, by its number."""
    names = Counter(each.heading for each in found.columns)
    return {
        each.heading if each.heading and names[each.heading] == 1 else f"#{number}": each.target
        for number, each in enumerate(found.columns, 1)
    }


def _named(keys: Sequence[KindAndKey]) -> list[str]:
    return [f"{kind}:{_text(key)}" for kind, key in keys]


def _text(cell: Any) -> Any:
    """Return a cell as text of UTF-8: undecodable bytes become question marks."""
    return cell.encode(errors="replace").decode() if isinstance(cell, str) else cell


def _problem(line: int | None, found: Problem | Refusal, language: str) -> responses.PreviewProblem:
    if isinstance(found, Problem):
        return responses.PreviewProblem(line, found.code, _text(found.sentence(language)))
    texts: Sequence[str] = [validation.sentence(each, language) for each in found.errors]
    return responses.PreviewProblem(line, found.code, ("；" if language == "zh" else "; ").join(texts))


def _next(offset: int, after: After) -> responses.PreviewNext:
    return responses.PreviewNext(offset, responses.PreviewAfter(
        after.line, after.header_row, [_text(each) for each in after.headings], after.encoding, after.separator,
        after.spaced,
    ))  # fmt: skip
