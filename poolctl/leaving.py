"""`poolctl leave`: let a user leave the company, follow the progress, or take the leave back (admins)."""

from __future__ import annotations

import sys
import time
from typing import Any
from urllib.parse import quote

import click

from poolctl import output
from poolctl.commands_base import SECONDS, command
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.session import Session


@command("leave")
@click.argument("user")
@click.option("--held", type=click.Choice(("release", "transfer")))
@click.option("--private", type=click.Choice(("deposit", "transfer")))
@click.option("--to", metavar="USER")
@click.option("--back", is_flag=True)
@click.option("--every", type=SECONDS, default=5.0, metavar="SECONDS")
def leave(
    session: Session, user: str, held: str | None, private: str | None, to: str | None, back: bool, every: float
) -> int:
    """Without answers, follow a leave that was requested before."""
    given = {"held": held, "private": private, "to": to}
    answers = {name: answer for name, answer in given.items() if answer is not None}
    if answers and (back or held is None or private is None):
        raise CommandFailed(Exit.USAGE, "leave_answers")
    path = f"/v1/users/{quote(user, safe='')}"
    if back:
        known, text = session.write("PUT", path, {"left": False}), message("leave_taken_back", user=user)
    else:
        known = _followed(session, f"{path}/leave", answers, every)
        counts = {name: f"{known[name]:,}" for name in ("moved", "not_transferred")}
        text = message("leave_done", user=user, **counts)
    if session.json:
        output.as_json(known)
    else:
        output.lines(text)
    return Exit.DONE


def _followed(session: Session, path: str, answers: dict[str, str], every: float) -> dict[str, Any]:
    """Request the leave, or only read it if there are no answers. Return it once it is done."""
    known: dict[str, Any] = session.write("POST", path, answers) if answers else session.get(path)
    while known["state"] != "done":
        counts = {name: f"{known[name]:,}" for name in ("moved", "remaining")}
        print(message("leave_running", **counts), file=sys.stderr, flush=True)
        time.sleep(every)
        known = session.get(path)
    return known
