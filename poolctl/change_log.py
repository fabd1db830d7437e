"""`poolctl log`: who changed the rules, fields, status and members of a pool (managers)."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from poolctl import output
from poolctl.commands_base import command
from poolctl.exits import Exit
from poolctl.session import Session, moment

CHANGE: Final = output.Columns(("at", "by", "what", "before", "now"), dropped=("before",))


@command("log")
@click.option("--from", "since", metavar="DAY")
@click.option("--to", metavar="DAY")
def log(session: Session, since: str | None, to: str | None) -> int:
    listed = list(session.walk(f"/v1/pools/{session.pool()}/log", **{"from": since, "to": to}))
    if session.json:
        output.as_json({"items": listed})
    else:
        output.print_table(CHANGE, (_row(each) for each in listed))
    return Exit.DONE


def _row(change: dict[str, Any]) -> list[Any]:
    texts = (None if change[name] is None else _text(change[name]) for name in ("old", "new"))
    return [moment(change["at"]), change["by"], change["what"], *texts]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
