"""`poolctl import --undo` and `poolctl imports --undo`: undo an import, request by request, the last one first.

The service undoes each request once, except for customers changed since, so an interrupted undo can be repeated.
Afterwards the journal starts a new attempt, and the same file can be imported again.
"""

from __future__ import annotations

from typing import Any

from poolctl import output
from poolctl.client import Refused
from poolctl.exits import CommandFailed, Exit
from poolctl.import_journal import ImportJournal
from poolctl.interrupts import Interruptible
from poolctl.messages import message
from poolctl.progress import progress
from poolctl.session import Session, refusal_of

SHOWN = 10  # customers that could not be undone


def undo(session: Session, journal: ImportJournal, pool: str, *, dry_run: bool) -> int:
    if not journal.chunks:
        raise CommandFailed(Exit.REFUSED, "never_imported", pool=pool)
    if dry_run:
        return _report_dry_run(session, journal)
    results = list[dict[str, Any]]()
    for import_id in reversed(journal.import_ids):
        try:
            results += _undone(session, pool, import_id, len(journal.chunks))
        except Refused as refused:
            if refused.reply.code != "not_found":  # an import that has changed nothing
                raise
    journal.begin()
    return _report(session, results)


def undo_by_id(session: Session, pool: str, import_id: str) -> int:
    return _report(session, _undone(session, pool, import_id, None))


def _undone(session: Session, pool: str, import_id: str, steps: int | None) -> list[dict[str, Any]]:
    """Undo an import, request by request. Return the result of each customer. Raises Refused for an unknown import."""
    results, cursor = list[dict[str, Any]](), None
    with progress(steps) as advance, Interruptible() as interruptible:
        while True:
            if interruptible.requested:
                raise KeyboardInterrupt
            answer = session.write("POST", f"/v1/pools/{pool}/imports/{import_id}/undo", {"cursor": cursor})
            results += answer["results"]
            cursor = answer["next_cursor"]
            advance(1)
            if cursor is None:
                return results


def _report(session: Session, results: list[dict[str, Any]]) -> int:
    stayed = [each for each in results if not each["ok"]]
    counts = {"undone": len(results) - len(stayed), "stayed": len(stayed)}
    if session.json:
        output.as_json({**counts, "results": stayed})
    else:
        output.lines(message("undone", **{name: f"{count:,}" for name, count in counts.items()}))
        shown = [(each["id"], refusal_of(each)["detail"]) for each in stayed[:SHOWN]]
        if shown:
            output.print_table(output.Columns(("id", "reason")), shown)
        if len(stayed) > SHOWN:
            output.lines(message("and_more", count=f"{len(stayed) - SHOWN:,}"))
    return Exit.REFUSED if stayed else Exit.DONE


def _report_dry_run(session: Session, journal: ImportJournal) -> int:
    if session.json:
        output.as_json({"rows": journal.ok, "import_ids": journal.import_ids})
    else:
        output.lines(message("undo_dry_run", rows=f"{journal.ok:,}"))
    return Exit.DONE
