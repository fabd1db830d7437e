"""`poolctl import`: import a CSV file or a workbook into a pool, up to 100 rows per request.

The whole file is read before anything is sent. An unreadable file is refused; an invalid line affects that line alone.
A repeated import sends the same requests with the same Idempotency-Keys. A dry run asks the service about each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from importing.forecasts import FileForecast
from importing.rows import Row
from poolctl import import_undo
from poolctl.client import Refused, Unreachable
from poolctl.commands_base import command, dry_run_option
from poolctl.exits import CommandFailed, Exit
from poolctl.import_journal import ImportJournal
from poolctl.import_plan import Plan, Survey, read
from poolctl.import_report import report, report_dry_run
from poolctl.interrupts import Interruptible
from poolctl.messages import message
from poolctl.progress import progress
from poolctl.session import Session, claims_of


class _Encoding(click.ParamType[str]):
    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            "".encode(value)
        except LookupError:
            self.fail(message("unknown_encoding", encoding=value), param, ctx)
        return str(value)


ENCODING = _Encoding()


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
    plan, found = read(session, file, options)
    if dry_run and not undo:
        return report_dry_run(session, plan, found, _forecast(session, plan, found, options["on_duplicate"]))
    with ImportJournal.of(_identity(session, plan, options), again=again) as journal:
        if undo:
            return import_undo.undo(session, journal, plan.pool, dry_run=dry_run)
        before = len(journal.chunks)
        sent = _send(session, plan, found, journal, options["on_duplicate"])
        return report(session, plan, found, journal, resumed=before > 0, idle=not sent)


def _identity(session: Session, plan: Plan, options: Mapping[str, Any]) -> list[Any]:
    """Return all on which the requests of an import depend."""
    claims = claims_of(session.client.token)
    caller = [session.address, claims.get("tenant"), claims.get("sub")]
    columns = [plan.columns.columns, sorted(plan.columns.types.items()), plan.columns.unique]
    read_as = [plan.digest, plan.table.encoding, plan.table.sheet, plan.table.heading_line, *columns]
    return [*caller, plan.pool, *read_as, plan.key, plan.region, options["on_duplicate"]]


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
