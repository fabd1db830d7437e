"""`poolctl import --undo`: takes back what an import of the file has done, request by request, the last one first.

The service undoes each request once, for whom nobody has touched since; so this may be stopped and begun again. When
all is through, the journal knows nothing of the file any more, and the same file may be imported anew.
"""

from __future__ import annotations

from typing import Any

from poolctl import output
from poolctl.client import NotDone
from poolctl.exits import Ended, Exit
from poolctl.import_journal import ImportJournal
from poolctl.interrupts import Interruptible
from poolctl.progress import progress
from poolctl.session import Session, refusal_of
from poolctl.words import say

SHOWN = 10  # of those who stay


def undo(session: Session, journal: ImportJournal, pool: str, *, dry_run: bool) -> int:
    if not journal.chunks:
        raise Ended(Exit.REFUSED, "never_imported", pool=pool)
    if dry_run:
        return _tell_dry_run(session, journal)
    results = _undone(session, journal, pool)
    journal.begin()
    return _tell(session, results)


def _undone(session: Session, journal: ImportJournal, pool: str) -> list[dict[str, Any]]:
    results = list[dict[str, Any]]()
    with progress(len(journal.chunks)) as advance, Interruptible() as interruptible:
        for import_id in reversed(journal.import_ids):
            if interruptible.asked:
                raise KeyboardInterrupt
            results += _of_request(session, f"/v1/pools/{pool}/imports/{import_id}/undo")
            advance(1)
    return results


def _of_request(session: Session, path: str) -> list[dict[str, Any]]:
    """What came of each customer; of none where that request had changed nothing."""
    try:
        answer: dict[str, Any] = session.write("POST", path, {})
    except NotDone as refused:
        if refused.reply.code == "not_found":
            return []
        raise
    return list(answer["results"])


def _tell(session: Session, results: list[dict[str, Any]]) -> int:
    stayed = [each for each in results if not each["ok"]]
    counts = {"undone": len(results) - len(stayed), "stayed": len(stayed)}
    if session.json:
        output.as_json({**counts, "results": stayed})
    else:
        output.lines(say("undone", **{name: f"{count:,}" for name, count in counts.items()}))
        told = [(each["id"], refusal_of(each)["detail"]) for each in stayed[:SHOWN]]
        if told:
            output.print_table(output.Columns(("id", "reason")), told)
        if len(stayed) > SHOWN:
            output.lines(say("and_more", count=f"{len(stayed) - SHOWN:,}"))
    return Exit.REFUSED if stayed else Exit.DONE


def _tell_dry_run(session: Session, journal: ImportJournal) -> int:
    if session.json:
        output.as_json({"rows": journal.ok, "import_ids": journal.import_ids})
    else:
        output.lines(say("would_undo", rows=f"{journal.ok:,}"))
    return Exit.DONE
