"""`poolctl import`: import a CSV file or a workbook into a pool, up to 100 rows per request.

The whole file is read before anything is sent. An unreadable file is refused; an invalid line affects that line alone.
A repeated import sends the same requests with the same Idempotency-Keys. A dry run asks the service about each request.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, NamedTuple

import click

from importing.columns import Columns, FieldDefinition, columns_of
from importing.forecasts import FileForecast
from importing.headings import HOLDER
from importing.phones import DEFAULT_REGION
from importing.problems import Problem, Unreadable, problem
from importing.rows import Failed, Key, Read, Row, RowReader, content_id
from importing.tables import Table, open_table
from poolctl import errors_file, import_undo, output
from poolctl.client import Refused, Unreachable
from poolctl.commands_base import BATCH, command, dry_run_option
from poolctl.exits import CommandFailed, Exit
from poolctl.import_journal import ImportJournal
from poolctl.interrupts import Interruptible
from poolctl.messages import language, message
from poolctl.progress import progress
from poolctl.session import Session, claims_of, local_secret

LARGEST_REQUEST = 200_000  # bytes of rows; the service takes 256 KB
SHOWN = 10  # mistakes, warnings or rows that are printed
KEPT = 1_000  # warnings


class _Encoding(click.ParamType[str]):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError:
            self.fail(message("unknown_encoding", encoding=value), param, ctx)
        return str(value)


ENCODING = _Encoding()


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


@command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", default="auto", metavar="KEY")
@click.option("--on-duplicate", type=click.Choice(("skip", "update", "reject")), default="reject")
@click.option("--map", "mapping", multiple=True, metavar="HEADING=FIELD")
@click.option("--assign-owners", is_flag=True)
@click.option("--sheet")
@click.option("--encoding", type=ENCODING)
@click.option("--header-row", type=click.IntRange(min=1), metavar="LINE")
@click.option("--region")
@click.option("--again", is_flag=True)
@click.option("--undo", is_flag=True)
@dry_run_option
def import_file(session: Session, file: Path, again: bool, undo: bool, dry_run: bool, **options: Any) -> int:
    if again and undo:
        raise CommandFailed(Exit.USAGE, "again_or_undo")
    plan, found = _read(session, file, options)
    if dry_run and not undo:
        return _report_dry_run(session, plan, found, _forecast(session, plan, found, options["on_duplicate"]))
    with ImportJournal.of(_identity(session, plan, options), again=again) as journal:
        if undo:
            return import_undo.undo(session, journal, plan.pool, dry_run=dry_run)
        before = len(journal.chunks)
        sent = _send(session, plan, found, journal, options["on_duplicate"])
        return _report(session, plan, found, journal, resumed=before > 0, idle=not sent)


def _identity(session: Session, plan: Plan, options: Mapping[str, Any]) -> list[Any]:
    """Return all on which the requests of an import depend."""
    claims = claims_of(session.client.token)
    caller = [session.address, claims.get("tenant"), claims.get("sub")]
    columns = [plan.columns.columns, sorted(plan.columns.types.items()), plan.columns.unique]
    read_as = [plan.digest, plan.table.encoding, plan.table.sheet, plan.table.heading_line, *columns]
    return [*caller, plan.pool, *read_as, plan.key, plan.region, options["on_duplicate"]]


def _read(session: Session, file: Path, options: Mapping[str, Any]) -> tuple[Plan, Survey]:
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
    """Return the number of the column that names whom a customer belongs to. Raises `CommandFailed` without one."""
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


# Sending


def _send(session: Session, plan: Plan, found: Survey, journal: ImportJournal, on_duplicate: str) -> int:
    """Send the requests that have no result in the journal yet. Return how many were sent."""
    before, path = len(journal.chunks), f"/v1/pools/{plan.pool}/import"
    common = {"on_duplicate": on_duplicate, "import": _source(plan, journal)}
    try:
        with progress(found.rows) as advance, Interruptible() as interruptible:
            for number, chunk in enumerate(plan.chunks()):
                if number not in journal.chunks:
                    if interruptible.requested:
                        raise KeyboardInterrupt
                    body = {"rows": chunk.sent, "key": chunk.key, **common}
                    answer = session.write("POST", path, body, idempotency_key=journal.key(number))
                    journal.write(number, _result(chunk.rows, answer))
                advance(len(chunk.rows))
    except (Refused, Unreachable) as fault:
        why = session.failure(fault)
        raise (_cut(why, journal, found) if journal.chunks else why) from None
    except KeyboardInterrupt:
        raise _cut(CommandFailed(Exit.STOPPED, "stopped"), journal, found) from None
    return len(journal.chunks) - before


def _source(plan: Plan, journal: ImportJournal) -> dict[str, str]:
    """Return the import that all requests of a file are a part of, with the name of the file as the service takes it:
    without phone numbers and addresses."""
    from chalicelib.domain.masking import in_text  # large: only an import needs it

    name = "".join(sign for sign in in_text(plan.path.name, plan.region) if sign.isprintable())[:200].strip()
    return {"id": journal.import_id} | ({"file": name} if name else {})


def _forecast(session: Session, plan: Plan, found: Survey, on_duplicate: str) -> FileForecast:
    """Return what the import would do now: the dry runs of all requests, added up."""
    total, path = FileForecast(), f"/v1/pools/{plan.pool}/import"
    common = {"on_duplicate": on_duplicate, "dry_run": True}
    with progress(found.rows) as advance:
        for chunk in plan.chunks():
            answer = session.write("POST", path, {"rows": chunk.sent, "key": chunk.key, **common})
            total.add(chunk.lines, answer["results"], answer["room"])
            advance(len(chunk.rows))
    return total


def _cut(why: CommandFailed, journal: ImportJournal, found: Survey) -> CommandFailed:
    """Return the same failure, extended by the progress so far."""
    done, total = f"{journal.rows:,}", f"{found.rows:,}"
    return CommandFailed(why.status, "import_interrupted", code=why.code, why=why, done=done, total=total)


def _result(chunk: list[tuple[int, Row]], answer: dict[str, Any]) -> dict[str, Any]:
    failed = [
        (line, result["code"], result["detail"])
        for (line, _), result in zip(chunk, answer["results"], strict=True)
        if not result["ok"]
    ]
    return {"ok": len(chunk) - len(failed), "failed": failed, "import_id": answer["import_id"]}


# Reporting


def _report(session: Session, plan: Plan, found: Survey, journal: ImportJournal, *, resumed: bool, idle: bool) -> int:
    failed = journal.failed | found.failed
    errors_path = errors_file.write(plan.path, plan.table, plan.columns, failed) if failed else None
    if session.json:
        output.as_json({
            "rows": found.rows + len(found.mistakes), "ok": journal.ok, "failed": len(failed),
            "errors_file": None if errors_path is None else str(errors_path), "resumed": resumed,
            "already_done": resumed and idle, "import_ids": journal.import_ids, **_how(plan, found),
        })  # fmt: skip
    else:
        if idle and resumed:
            output.lines(message("imported_before"))
        _print_how(plan, found)
        output.lines(message("imported", ok=f"{journal.ok:,}", rows=f"{found.rows + len(found.mistakes):,}"))
        if errors_path is not None:
            output.lines(message("correct_errors_file", failed=f"{len(failed):,}", file=errors_path))
    return Exit.REFUSED if failed else Exit.DONE


def _how(plan: Plan, found: Survey) -> dict[str, Any]:
    """Return how the file was read, for programs."""
    table = plan.table
    warnings = [
        {"line": line, "code": each.code, "text": each.sentence(language(), options=True)}
        for line, each in found.warnings
    ]  # fmt: skip
    return {
        "encoding": table.encoding, "separator": table.delimiter, "sheet": table.sheet,
        "heading_line": table.heading_line, "left_out": plan.columns.left_out, "key": plan.key,
        "owners": _offered(plan),
        "keys": dict(found.keys), "warnings": warnings,
    }  # fmt: skip


def _print_how(plan: Plan, found: Survey) -> None:
    table = plan.table
    if table.sheet is not None:
        output.lines(message("read_sheet", sheet=table.sheet, line=table.heading_line))
    else:
        separator = message("tab") if table.delimiter == "\t" else table.delimiter
        output.lines(message("read_as", encoding=table.encoding, separator=separator, line=table.heading_line))
    if plan.columns.left_out:
        output.lines(message("columns_left_out", columns=", ".join(plan.columns.left_out)))
    if offered := _offered(plan):
        output.lines(message("owners_offered", columns=", ".join(offered)))
    for line, each in found.warnings[:SHOWN]:
        text = each.sentence(language(), options=True)
        output.lines(text if line is None else message("at_line", line=line, text=text))
    if len(found.warnings) > SHOWN:
        output.lines(message("and_more", count=f"{len(found.warnings) - SHOWN:,}"))
    if found.keys["none"]:
        output.lines(message("new_without_key", count=f"{found.keys['none']:,}"))


def _offered(plan: Plan) -> list[str]:
    """Return the headings of columns that seem to name whom a customer belongs to, if no column assigns customers."""
    return [] if HOLDER in plan.columns else [each.heading for each in plan.columns.columns if each.kind == HOLDER]


def _report_dry_run(session: Session, plan: Plan, found: Survey, total: FileForecast) -> int:
    columns = plan.columns.described()
    refused = found.failed | {line: _refusal(each) for line, each in total.refused.items()}
    failed = dict(sorted(refused.items()))
    if session.json:
        mistakes = [{"line": line, "code": code, "text": text} for line, (code, text) in failed.items()]
        outcomes = {name: total.outcomes[name] for name in ("created", "updated", "unchanged")}
        counts = {"rows": total.ok, "failed": len(failed), **outcomes, "room": total.room, **_how(plan, found)}
        output.as_json({**counts, "columns": columns, "mistakes": mistakes, "first": found.first})
    else:
        _print_dry_run(plan, found, columns, failed)
        counted = {name: f"{total.outcomes[name]:,}" for name in ("created", "updated", "unchanged")}
        output.lines(message("import_dry_run", rows=f"{total.ok:,}", failed=f"{len(failed):,}", **counted))
    return Exit.REFUSED if failed else Exit.DONE


def _refusal(refused: Mapping[str, Any] | Problem) -> tuple[str, str]:
    """Return code and sentence of a row that the import would refuse."""
    if isinstance(refused, Problem):
        return refused.code, refused.sentence(language())
    return str(refused["code"]), str(refused["detail"])


def _print_dry_run(
    plan: Plan, found: Survey, columns: Mapping[str, str | None], failed: Mapping[int, tuple[str, str]]
) -> None:
    mapping = ((heading, target or message("left_out")) for heading, target in columns.items())
    output.print_table(output.Columns(("heading", "imported_as")), mapping)
    first = ((json.dumps(row, ensure_ascii=False),) for row in found.first[:3])
    output.print_table(output.Columns(("first",)), first)
    for line, (_, text) in list(failed.items())[:SHOWN]:
        output.lines(message("at_line", line=line, text=text))
    if len(failed) > SHOWN:
        output.lines(message("and_more", count=f"{len(failed) - SHOWN:,}"))
    _print_how(plan, found)
