"""How `poolctl import` reads a file: its columns, the rows of each request, and what is wrong with which line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, NamedTuple

from importing.columns import Columns, FieldDefinition, columns_of
from importing.headings import HOLDER
from importing.phones import DEFAULT_REGION
from importing.problems import Problem, Unreadable, problem
from importing.rows import Failed, Key, Read, Row, RowReader, content_id
from importing.tables import Table, open_table
from poolctl.commands_base import BATCH
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import language
from poolctl.session import Session, local_secret

LARGEST_REQUEST = 200_000  # bytes of rows; the service takes 256 KB
SHOWN = 10  # mistakes, warnings or rows that are printed
KEPT = 1_000  # warnings


class Chunk(NamedTuple):
    """The rows of one request, with their lines, and the key by which the service finds their customers."""

    rows: list[tuple[int, Row]]
    key: Key

    @property
    def sent(self) -> list[Row]:
        return [row for _, row in self.rows]

    @property
    def lines(self) -> list[int]:
        return [line for line, _ in self.rows]


@dataclass(frozen=True)
class Plan:
    """The interpretation of a file: its columns, and what identifies its customers."""

    path: Path
    table: Table
    digest: str  # SHA-256 of the file
    pool: str
    columns: Columns
    key: Key
    region: str

    @cached_property
    def _secret(self) -> bytes:
        return local_secret()

    def reader(self) -> RowReader:
        return RowReader(self.columns, self.key, self.region)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows of each request, in the order of the file."""
        reader, rows, size, key = self.reader(), list[tuple[int, Row]](), 0, self.key
        for line in self.table.lines():
            read = reader.read(line)
            if isinstance(read, Failed):
                continue
            row = self._sent(reader, read)
            length = len(json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass"))
            full = len(rows) == BATCH or size + length > LARGEST_REQUEST
            if rows and (full or key != self._key_of(read)):
                yield Chunk(rows, key)
                rows, size = [], 0
            key = self._key_of(read)
            rows.append((read.line, row))
            size += length
        if rows:
            yield Chunk(rows, key)

    def _key_of(self, read: Read) -> Key:
        """Return the key of a request with this row. A name identifies a customer by an id that is derived from it, a
        row of an export of this service by the id of its customer."""
        exported = self.key == "auto" and self.columns.exact and read.kind == "id"
        return "id" if self.key == "name" or exported else self.key

    def _sent(self, reader: RowReader, read: Read) -> Row:
        """Return the row of a request. One that nothing identifies gets an id that a repeated import derives again.

        Only a keyed digest hides a phone number or an address that is no key.
        """
        if read.kind == "id" or (self.key == "auto" and "id" in read.row):
            return read.row
        row = {name: value for name, value in read.row.items() if name != "id"}
        if read.kind == "name":
            return {"id": f"n{blake2b(read.key.encode(), digest_size=15).hexdigest()}"} | row
        if read.kind is not None:
            return row
        new_id = content_id(row)
        if reader.has_contact(row["fields"]):
            new_id = f"r{blake2b(new_id.encode(), key=self._secret, digest_size=15).hexdigest()}"
        return {"id": reader.numbered(new_id)} | row


@dataclass
class Survey:
    """The result of reading the whole file. `keys` counts the rows by what identifies them."""

    rows: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    mistakes: dict[int, Problem] = field(default_factory=dict)
    warnings: list[tuple[int | None, Problem]] = field(default_factory=list)
    first: list[Row] = field(default_factory=list)

    @property
    def failed(self) -> dict[int, tuple[str, str]]:
        """Return code and sentence of each mistake by line."""
        return {line: (each.code, each.sentence(language(), options=True)) for line, each in self.mistakes.items()}


def read(session: Session, file: Path, options: Mapping[str, Any]) -> tuple[Plan, Survey]:
    """Read the whole file. Raises `CommandFailed`, and OSError."""
    given = _pairs(options["mapping"])
    try:
        table = open_table(lambda: file.open("rb"), **_reading(options))
        plan = _planned(file, table, given, options, session.get(f"/v1/pools/{session.pool()}"))
        return plan, survey(plan)
    except Unreadable as error:
        why = error.problem.text(language(), options=True)
        status = Exit.USAGE if error.problem.code == "no_column" else Exit.FILE
        if error.line is None:
            raise CommandFailed(status, "unreadable", file=file, why=why, code=error.problem.code) from None
        where = {"file": file, "line": error.line}
        raise CommandFailed(status, "unreadable_line", **where, why=why, code=error.problem.code) from None


def _reading(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("sheet", "encoding", "header_row")}


def _pairs(mapping: tuple[str, ...]) -> dict[str, str | None]:
    pairs = [each.rpartition("=") for each in mapping]
    if wrong := [text for (heading, _, target), text in zip(pairs, mapping, strict=True) if not heading or not target]:
        raise CommandFailed(Exit.USAGE, "no_mapping", value=wrong[0])
    return {heading: target for heading, _, target in pairs}


def definitions_of(pool: Mapping[str, Any]) -> list[FieldDefinition]:
    """Return the fields that the pool defines."""
    return [
        FieldDefinition(each["key"], tuple(each["label"].values()), each["type"], each["unique"])
        for each in pool.get("fields") or ()
    ]


def _planned(
    file: Path, table: Table, given: Mapping[str, str | None], options: Mapping[str, Any], pool: Mapping[str, Any]
) -> Plan:
    """Return the plan of a file. Raises `Unreadable`, `CommandFailed`, and OSError."""
    with file.open("rb") as binary:
        digest = file_digest(binary, "sha256").hexdigest()
    definitions = definitions_of(pool)
    key = next((each.key for each in definitions if options["key"] in each.labels), options["key"])
    columns = columns_of(table.headings, given, definitions)
    if options["assign_owners"]:
        columns = columns_of(table.headings, {**given, _owners(columns): HOLDER}, definitions)
    if key not in ("auto", "id", "name") and key not in columns:
        raise Unreadable("no_key_column", key=key)
    region = options["region"] or pool["policy"].get("phone_region") or DEFAULT_REGION
    return Plan(file, table, digest, pool["id"], columns, key, region)


def _owners(columns: Columns) -> str:
    """Return the number of the first column that contains owners. Raises `CommandFailed` if there is none."""
    numbers = [number for number, column in enumerate(columns.columns, 1) if column.kind == HOLDER]
    if not numbers:
        raise CommandFailed(Exit.USAGE, "no_owners")
    return f"#{numbers[0]}"


def survey(plan: Plan) -> Survey:
    reader, found = plan.reader(), Survey(warnings=[(None, each) for each in plan.table.warnings])
    for line in plan.table.lines():
        read = reader.read(line)
        if isinstance(read, Failed):
            found.mistakes[read.line] = read.problem
            continue
        found.rows += 1
        found.keys[read.kind or "none"] += 1
        found.first += [read.row] if len(found.first) < SHOWN else []
        if read.warnings and len(found.warnings) < KEPT:
            found.warnings += [(read.line, each) for each in read.warnings]
    if reader.unnamed:
        found.warnings.append((None, problem("unnamed_columns", fields=", ".join(sorted(reader.unnamed)))))
    return found
