"""`poolctl imports`: list the imports of a pool in the last 30 days, or undo one of them."""

from __future__ import annotations

from typing import Final

import click

from poolctl import import_undo, output
from poolctl.commands_base import ID, command
from poolctl.exits import Exit
from poolctl.session import Session, moment

IMPORT: Final = output.Columns(
    ("id", "at", "by", "file", "rows", "created", "updated", "refused", "undone_at"), dropped=("by", "rows", "updated")
)


@command("imports")
@click.option("--undo", "import_id", type=ID, metavar="ID")
def imports(session: Session, import_id: str | None) -> int:
    pool = session.pool()
    if import_id is not None:
        return import_undo.undo_by_id(session, pool, import_id)
    listed = list(session.walk(f"/v1/pools/{pool}/imports"))
    if session.json:
        output.as_json({"items": listed})
    else:
        shown = ({**each, "at": moment(each["at"]), "undone_at": moment(each["undone_at"])} for each in listed)
        output.print_table(IMPORT, ([each[name] for name in IMPORT.names] for each in shown))
    return Exit.DONE
