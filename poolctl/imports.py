"""`poolctl import`: import a CSV file or a workbook into a pool, up to 100 rows per request.

The whole file is read before anything is sent. An unreadable file is refused; an invalid line affects that line alone.
A repeated import sends the same requests with the same Idempotency-Keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from poolctl import errors_file, import_undo, output
from poolctl.client import Refused, Unreachable
from poolctl.columns import Mistake, Row, row_of, targets
from poolctl.commands_base import BATCH, command, dry_run_option
from poolctl.exits import CommandFailed, Exit
from poolctl.import_journal import ImportJournal
from poolctl.interrupts import Interruptible
from poolctl.messages import message
from poolctl.progress import progress
from poolctl.session import Session, claims_of
from poolctl.spreadsheets import Spreadsheet, open_spreadsheet

LARGEST_REQUEST = 200_000  # bytes of rows; the service takes 256 KB
SHOWN = 10  # mistakes, or rows, of a dry run


class _Encoding(click.ParamType[str]):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError:
            self.fail(message("unknown_encoding", encoding=value), param, ctx)
        return str(value)


ENCODING = _Encoding()


@dataclass(frozen=True)
class Plan:
    """The interpretation of a file: its columns, and the attribute that identifies its customers."""

    file: Spreadsheet
    columns: list[str | None]
    key: str

    def rows(self) -> Iterator[tuple[int, Row | Mistake]]:
        """Yield each line with its number. A row without an id gets one from file digest and line number, so that a
        repeated import creates no second customer."""
        for line, cells in self.file.lines():
            row = row_of(self.columns, cells, self.key)
            if not isinstance(row, Mistake) and self.key == "id":
                row = {"id": f"{self.file.digest[:20]}-{line}"} | row
            elif not isinstance(row, Mistake):
                row.pop("id", None)
            yield line, row

    def chunks(self) -> Iterator[list[tuple[int, Row]]]:
        """Yield the rows of each request."""
        chunk, size = list[tuple[int, Row]](), 0
        for line, row in self.rows():
            if isinstance(row, Mistake):
                continue
            length = len(json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass"))
            if len(chunk) == BATCH or (chunk and size + length > LARGEST_REQUEST):
                yield chunk
                chunk, size = [], 0
            chunk.append((line, row))
            size += length
        if chunk:
            yield chunk


@dataclass
class Survey:
    """The result of reading the whole file."""

    rows: int = 0
    mistakes: dict[int, Mistake] = field(default_factory=dict)
    first: list[Row] = field(default_factory=list)


@command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", type=click.Choice(("id", "phone", "email")))
@click.option("--on-duplicate", type=click.Choice(("skip", "update", "reject")), default="reject")
@click.option("--map", "mapping", multiple=True, metavar="HEADING=FIELD")
@click.option("--sheet")
@click.option("--encoding", type=ENCODING)
@click.option("--again", is_flag=True)
@click.option("--undo", is_flag=True)
@dry_run_option
def import_file(session: Session, file: Path, again: bool, undo: bool, dry_run: bool, **options: Any) -> int:
    if again and undo:
        raise CommandFailed(Exit.USAGE, "again_or_undo")
    opened = open_spreadsheet(file, options["sheet"], options["encoding"])
    plan = planned(opened, options["key"], _pairs(options["mapping"]))
    found = survey(plan)
    if dry_run and not undo:
        return _report_dry_run(session, plan, found)
    pool = session.pool()
    claims = claims_of(session.client.token)
    caller = [session.address, claims.get("tenant"), claims.get("sub")]
    read_as = [plan.file.digest, plan.file.encoding, options["sheet"], plan.columns]
    identity = [*caller, pool, *read_as, plan.key, options["on_duplicate"]]
    with ImportJournal.of(identity, again=again) as journal:
        if undo:
            return import_undo.undo(session, journal, pool, dry_run=dry_run)
        before = len(journal.chunks)
        sent = _send(session, plan, found, journal, f"/v1/pools/{pool}/import", options["on_duplicate"])
        return _report(session, plan, found, journal, resumed=before > 0, idle=not sent)


def _pairs(mapping: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.rpartition("=") for each in mapping]
    if wrong := [text for (heading, _, target), text in zip(pairs, mapping, strict=True) if not heading or not target]:
        raise CommandFailed(Exit.USAGE, "no_mapping", value=wrong[0])
    return {heading: target for heading, _, target in pairs}


def planned(file: Spreadsheet, key: str | None, given: Mapping[str, str]) -> Plan:
    """Return the plan of a file. The default key is the first of id, phone and email that the file contains."""
    columns = targets(file.headings, given)
    best = next((each for each in ("id", "phone", "email") if each in columns), "id")
    if key in ("phone", "email") and key not in columns:
        raise CommandFailed(Exit.FILE, "no_key_column", key=key)
    return Plan(file, columns, key or best)


def survey(plan: Plan) -> Survey:
    found = Survey()
    for line, row in plan.rows():
        if isinstance(row, Mistake):
            found.mistakes[line] = row
        else:
            found.rows += 1
            found.first += [row] if len(found.first) < SHOWN else []
    return found


# Sending


def _send(session: Session, plan: Plan, found: Survey, journal: ImportJournal, path: str, on_duplicate: str) -> int:
    """Send the requests that have no result in the journal yet. Return how many were sent."""
    before = len(journal.chunks)
    try:
        with progress(found.rows) as advance, Interruptible() as interruptible:
            for number, chunk in enumerate(plan.chunks()):
                if number not in journal.chunks:
                    if interruptible.requested:
                        raise KeyboardInterrupt
                    body = {"rows": [row for _, row in chunk], "key": plan.key, "on_duplicate": on_duplicate}
                    answer = session.write("POST", path, body, idempotency_key=journal.key(number))
                    journal.write(number, _result(chunk, answer))
                advance(len(chunk))
    except (Refused, Unreachable) as fault:
        why = session.failure(fault)
        raise (_cut(why, journal, found) if journal.chunks else why) from None
    except KeyboardInterrupt:
        raise _cut(CommandFailed(Exit.STOPPED, "stopped"), journal, found) from None
    return len(journal.chunks) - before


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
    failed = journal.failed | dict(found.mistakes)
    errors_path = errors_file.write(plan.file, failed) if failed else None
    if session.json:
        output.as_json({
            "rows": found.rows + len(found.mistakes), "ok": journal.ok, "failed": len(failed), "key": plan.key,
            "errors_file": None if errors_path is None else str(errors_path), "resumed": resumed,
            "already_done": resumed and idle, "import_ids": journal.import_ids,
        })  # fmt: skip
    else:
        if idle and resumed:
            output.lines(message("imported_before"))
        output.lines(message("imported", ok=f"{journal.ok:,}", rows=f"{found.rows + len(found.mistakes):,}"))
        if errors_path is not None:
            output.lines(message("correct_errors_file", failed=f"{len(failed):,}", file=errors_path))
    return Exit.REFUSED if failed else Exit.DONE


def _report_dry_run(session: Session, plan: Plan, found: Survey) -> int:
    columns = dict(zip(plan.file.headings, plan.columns, strict=True))
    if session.json:
        mistakes = [{"line": line, **each._asdict()} for line, each in found.mistakes.items()]
        counts = {"rows": found.rows, "failed": len(mistakes), "key": plan.key, "encoding": plan.file.encoding}
        output.as_json({**counts, "columns": columns, "mistakes": mistakes, "first": found.first})
    else:
        _print_dry_run(plan, found, columns)
    return Exit.REFUSED if found.mistakes else Exit.DONE


def _print_dry_run(plan: Plan, found: Survey, columns: Mapping[str, str | None]) -> None:
    mapping = ((heading, target or message("left_out")) for heading, target in columns.items())
    output.print_table(output.Columns(("heading", "imported_as")), mapping)
    first = ((json.dumps(row, ensure_ascii=False),) for row in found.first[:3])
    output.print_table(output.Columns(("first",)), first)
    for line, mistake in list(found.mistakes.items())[:SHOWN]:
        output.lines(message("at_line", line=line, text=mistake.text))
    output.lines(message("read_as", encoding=plan.file.encoding or message("workbook")))
    output.lines(message("import_dry_run", rows=f"{found.rows:,}", failed=f"{len(found.mistakes):,}", key=plan.key))
