"""`poolctl import`: a CSV file or a workbook into a pool, a hundred rows a request.

The file is read through before anything is sent: what cannot be read is refused as a whole, what is wrong in a line is
that line's alone. Requests are the same, with the same Idempotency-Keys, however often the import is begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from poolctl import errors_file, import_undo, output
from poolctl.client import NotDone, Unreachable
from poolctl.columns import Mistake, Row, row_of, targets
from poolctl.commands_base import BATCH, command, dry_run_option
from poolctl.exits import Ended, Exit
from poolctl.import_journal import ImportJournal
from poolctl.interrupts import Interruptible
from poolctl.progress import progress
from poolctl.session import Session, claims_of
from poolctl.spreadsheets import Spreadsheet, opened
from poolctl.words import say

LARGEST_REQUEST = 200_000  # bytes of rows; the service takes 256 KB
SHOWN = 10  # mistakes, or rows, of a dry run


class _Encoding(click.ParamType[str]):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError:
            self.fail(say("unknown_encoding", encoding=value), param, ctx)
        return str(value)


ENCODING = _Encoding()


@dataclass(frozen=True)
class Plan:
    """What a file means: its columns, and the key that tells its customers apart."""

    file: Spreadsheet
    columns: list[str | None]
    key: str

    def rows(self) -> Iterator[tuple[int, Row | Mistake]]:
        """Each line with its number. A row without an id gets one of the file and the line: twice is not two."""
        for line, cells in self.file.lines():
            row = row_of(self.columns, cells, self.key)
            if not isinstance(row, Mistake) and self.key == "id":
                row = {"id": f"{self.file.digest[:20]}-{line}"} | row
            elif not isinstance(row, Mistake):
                row.pop("id", None)
            yield line, row

    def chunks(self) -> Iterator[list[tuple[int, Row]]]:
        """The rows as they are sent together."""
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
    """What a look through the whole file found."""

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
def import_file(session: Session, file: Path, again: bool, undo: bool, dry_run: bool, **how: Any) -> int:
    if again and undo:
        raise Ended(Exit.USAGE, "again_or_undo")
    plan = planned(opened(file, how["sheet"], how["encoding"]), how["key"], _pairs(how["mapping"]))
    found = survey(plan)
    if dry_run and not undo:
        return _tell_dry_run(session, plan, found)
    into = session.pool()
    claims = claims_of(session.client.token)
    who = [session.address, claims.get("tenant"), claims.get("sub")]
    read_as = [plan.file.digest, plan.file.encoding, how["sheet"], plan.columns]
    identity = [*who, into, *read_as, plan.key, how["on_duplicate"]]
    with ImportJournal.of(identity, again=again) as journal:
        if undo:
            return import_undo.undo(session, journal, into, dry_run=dry_run)
        before = len(journal.chunks)
        sent = _send(session, plan, found, journal, f"/v1/pools/{into}/import", how["on_duplicate"])
        return _tell(session, plan, found, journal, resumed=before > 0, idle=not sent)


def _pairs(mapping: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.rpartition("=") for each in mapping]
    if wrong := [said for (heading, _, target), said in zip(pairs, mapping, strict=True) if not heading or not target]:
        raise Ended(Exit.USAGE, "no_mapping", said=wrong[0])
    return {heading: target for heading, _, target in pairs}


def planned(file: Spreadsheet, key: str | None, given: Mapping[str, str]) -> Plan:
    """Without a key that is asked for, customers are told apart by the first of these that the file says."""
    columns = targets(file.headings, given)
    best = next((each for each in ("id", "phone", "email") if each in columns), "id")
    if key in ("phone", "email") and key not in columns:
        raise Ended(Exit.FILE, "no_key_column", key=key)
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
    """Sends what was not sent yet; how many requests that were. The journal knows how far it came, however it ends."""
    before = len(journal.chunks)
    try:
        with progress(found.rows) as advance, Interruptible() as interruptible:
            for number, chunk in enumerate(plan.chunks()):
                if number not in journal.chunks:
                    if interruptible.asked:
                        raise KeyboardInterrupt
                    body = {"rows": [row for _, row in chunk], "key": plan.key, "on_duplicate": on_duplicate}
                    answer = session.write("POST", path, body, idempotency_key=journal.key(number))
                    journal.write(number, _done(chunk, answer))
                advance(len(chunk))
    except (NotDone, Unreachable) as fault:
        why = session.ended(fault)
        raise (_cut(why, journal, found) if journal.chunks else why) from None
    except KeyboardInterrupt:
        raise _cut(Ended(Exit.STOPPED, "stopped"), journal, found) from None
    return len(journal.chunks) - before


def _cut(why: Ended, journal: ImportJournal, found: Survey) -> Ended:
    """The same end, with how far it came."""
    done, total = f"{journal.rows:,}", f"{found.rows:,}"
    return Ended(why.status, "import_cut", code=why.code, why=why, done=done, total=total)


def _done(chunk: list[tuple[int, Row]], answer: dict[str, Any]) -> dict[str, Any]:
    failed = [
        (line, result["code"], result["detail"])
        for (line, _), result in zip(chunk, answer["results"], strict=True)
        if not result["ok"]
    ]
    return {"ok": len(chunk) - len(failed), "failed": failed, "import_id": answer["import_id"]}


# Telling


def _tell(session: Session, plan: Plan, found: Survey, journal: ImportJournal, *, resumed: bool, idle: bool) -> int:
    failed = journal.failed | dict(found.mistakes)
    mended = errors_file.write(plan.file, failed) if failed else None
    if session.json:
        output.as_json({
            "rows": found.rows + len(found.mistakes), "ok": journal.ok, "failed": len(failed), "key": plan.key,
            "errors_file": None if mended is None else str(mended), "resumed": resumed,
            "already_done": resumed and idle, "import_ids": journal.import_ids,
        })  # fmt: skip
    else:
        if idle and resumed:
            output.lines(say("imported_before"))
        output.lines(say("imported", ok=f"{journal.ok:,}", rows=f"{found.rows + len(found.mistakes):,}"))
        if mended is not None:
            output.lines(say("mend", failed=f"{len(failed):,}", file=mended))
    return Exit.REFUSED if failed else Exit.DONE


def _tell_dry_run(session: Session, plan: Plan, found: Survey) -> int:
    columns = dict(zip(plan.file.headings, plan.columns, strict=True))
    if session.json:
        mistakes = [{"line": line, **each._asdict()} for line, each in found.mistakes.items()]
        counts = {"rows": found.rows, "failed": len(mistakes), "key": plan.key, "encoding": plan.file.encoding}
        output.as_json({**counts, "columns": columns, "mistakes": mistakes, "first": found.first})
    else:
        says = ((heading, target or say("left_out")) for heading, target in columns.items())
        output.print_table(output.Columns(("heading", "says")), says)
        output.print_table(
            output.Columns(("first",)), ((json.dumps(row, ensure_ascii=False),) for row in found.first[:3])
        )
        for line, mistake in list(found.mistakes.items())[:SHOWN]:
            output.lines(say("at_line", line=line, text=mistake.text))
        output.lines(say("read_as", encoding=plan.file.encoding or say("workbook")))
        output.lines(say("would_import", rows=f"{found.rows:,}", failed=f"{len(found.mistakes):,}", key=plan.key))
    return Exit.REFUSED if found.mistakes else Exit.DONE
