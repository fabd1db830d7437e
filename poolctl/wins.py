"""`poolctl win`: win claims, or ask for it. `poolctl approve` and `decline`: answer open requests (managers).

`poolctl list --state win_requested` lists these.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from poolctl import output
from poolctl.client import Refused
from poolctl.commands_base import command, ids_argument, parse_customers
from poolctl.exits import CommandFailed, Exit
from poolctl.session import Session, refusal_of
from poolctl.verbs import batch


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
    return _each(session, "win", customers, body)


@command("approve")
@ids_argument()
@click.option("--atomic", is_flag=True)
def approve(session: Session, ids: tuple[str, ...], atomic: bool) -> int:
    return batch(session, "win/approve", parse_customers(session, ids), atomic=atomic)


@command("decline")
@ids_argument()
@click.option("--reason", required=True)
def decline(session: Session, ids: tuple[str, ...], reason: str) -> int:
    return _each(session, "win/decline", parse_customers(session, ids), {"reason": reason})


def _each(session: Session, verb: str, customers: list[tuple[str, str]], body: dict[str, str]) -> int:
    """Send one request per customer. Print the results, also those before a request that fails, and return the code."""
    results: list[dict[str, Any]] = []
    try:
        for pool, customer in customers:
            results.append({"pool_id": pool, "id": customer, **_result(session, verb, pool, customer, body)})
    except BaseException:
        if results:
            output.print_results(session, results)
        raise
    return Exit.DONE if output.print_results(session, results) else Exit.REFUSED


def _result(session: Session, verb: str, pool: str, customer: str, body: dict[str, str]) -> dict[str, Any]:
    """Return the result of one customer. A request that is wrong for all of them is raised."""
    try:
        done = session.write("POST", f"/v1/pools/{pool}/customers/{quote(customer, safe='')}/{verb}", body)
    except Refused as refused:
        if refused.reply.status not in (403, 404, 409):
            raise
        return {"ok": False, **refusal_of(refused.reply.body)}
    return {"ok": True, "customer": done}
