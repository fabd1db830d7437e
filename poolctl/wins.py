"""`poolctl win`: win claims, or ask for it. `poolctl approve` and `decline`: answer open requests (managers).

`poolctl list --state win_requested` lists these.
"""

from __future__ import annotations

import click

from poolctl.commands_base import command, ids_argument, parse_customers
from poolctl.exits import CommandFailed, Exit
from poolctl.session import Session
from poolctl.verbs import batch, one_by_one


@command("win")
@ids_argument()
@click.option("--amount")
@click.option("--note")
@click.option("--ends-at", metavar="TIME")
@click.option("--atomic", is_flag=True)
def win(
    session: Session, ids: tuple[str, ...], amount: str | None, note: str | None, ends_at: str | None, atomic: bool
) -> int:
    customers = parse_customers(session, ids)
    given = {"amount": amount, "note": note, "ends_at": ends_at}
    body = {name: value for name, value in given.items() if value is not None}
    if body.keys() <= {"note"}:
        return batch(session, "win", customers, atomic=atomic, **body)
    if len(customers) > 1:
        raise CommandFailed(Exit.USAGE, "amount_of_one")
    return one_by_one(session, "win", customers, body)


@command("approve")
@ids_argument()
@click.option("--atomic", is_flag=True)
def approve(session: Session, ids: tuple[str, ...], atomic: bool) -> int:
    return batch(session, "win/approve", parse_customers(session, ids), atomic=atomic)


@command("decline")
@ids_argument()
@click.option("--reason", required=True)
def decline(session: Session, ids: tuple[str, ...], reason: str) -> int:
    return one_by_one(session, "win/decline", parse_customers(session, ids), {"reason": reason})
