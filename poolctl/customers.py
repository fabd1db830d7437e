"""`poolctl list`: the customers of a pool, filtered, searched and sorted. `poolctl create`: add one (managers)."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from poolctl import output
from poolctl.commands_base import ID, command
from poolctl.exits import CommandFailed, Exit
from poolctl.session import Session

STATES = ("available", "claimed", "private", "set_aside", "win_requested", "suppressed")


@command("list")
@click.option("--state", type=click.Choice(STATES))
@click.option("--holder", metavar="USER")
@click.option("--filter", multiple=True, metavar="FIELD:VALUES")
@click.option("--search", "q", metavar="TEXT")
@click.option("--phone")
@click.option("--email")
@click.option("--sort", metavar="ORDER")
@click.option("--limit", type=click.IntRange(1), default=100, metavar="N")
def list_customers(session: Session, limit: int, **query: Any) -> int:
    """`query` has the parameters of the service's list."""
    given = {name: value or None for name, value in query.items()}
    listed = session.walk(f"/v1/pools/{session.pool()}/customers", **given)
    output.print_customers(session, list(islice(listed, limit)))
    return Exit.DONE


@command("create")
@click.argument("name")
@click.option("--id", "customer", type=ID)
@click.option("--field", "fields", multiple=True, metavar="FIELD=VALUE")
@click.option("--priority", type=int)
@click.option("--private-of", metavar="USER")
@click.option("--allow", is_flag=True)
def create(
    session: Session,
    name: str,
    customer: str | None,
    fields: tuple[str, ...],
    priority: int | None,
    private_of: str | None,
    allow: bool,
) -> int:
    given = {"id": customer, "priority": priority, "private_of": private_of, "on_duplicate": "allow" if allow else None}
    body: dict[str, Any] = {"name": name} | {member: value for member, value in given.items() if value is not None}
    if fields:
        body["fields"] = dict(_field(each) for each in fields)
    created = session.write("POST", f"/v1/pools/{session.pool()}/customers", body)
    output.print_customers(session, [created])
    return Exit.DONE


def _field(text: str) -> tuple[str, str]:
    """Parse `city=Beijing`. The value is text: the service reads it by the type of the field."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandFailed(Exit.USAGE, "no_field", value=text)
    return name, value
