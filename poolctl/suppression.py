"""`poolctl suppress` and `unsuppress`: customers that are not to be contacted (managers).

`poolctl list --state suppressed` lists them.
"""

from __future__ import annotations

import click

from poolctl.commands_base import command, ids_argument, parse_customers
from poolctl.session import Session
from poolctl.verbs import one_by_one


@command("suppress")
@ids_argument()
@click.option("--force", is_flag=True)
def suppress(session: Session, ids: tuple[str, ...], force: bool) -> int:
    return one_by_one(session, "suppress", parse_customers(session, ids), {"force": True} if force else {})


@command("unsuppress")
@ids_argument()
def unsuppress(session: Session, ids: tuple[str, ...]) -> int:
    return one_by_one(session, "unsuppress", parse_customers(session, ids), {})
