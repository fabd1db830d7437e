"""`poolctl me`: the caller and their pools. `poolctl users`: list the users of the tenant, or change one (admins)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import click

from poolctl import output
from poolctl.commands_base import command
from poolctl.exits import CommandFailed, Exit
from poolctl.session import Session

USER: Final = output.Columns(("user_id", "name", "email", "department"), dropped=("department", "email"))
OWN_POOL: Final = output.Columns(("id", "name", "role", "status"), dropped=("status",))


@command("me")
def me(session: Session) -> int:
    known = session.get("/v1/me")
    if session.json:
        output.as_json(known)
    else:
        _print_users([known])
        if known["pools"]:
            output.print_table(OWN_POOL, ([each[name] for name in OWN_POOL.names] for each in known["pools"]))
    return Exit.DONE


@command("users")
@click.argument("user", required=False, metavar="[USER]")
@click.option("--name")
@click.option("--email")
@click.option("--department")
@click.option("--forget", is_flag=True)
def users(
    session: Session, user: str | None, name: str | None, email: str | None, department: str | None, forget: bool
) -> int:
    given = {"name": name, "email": email, "department": department, "forget": forget or None}
    changes = {member: value for member, value in given.items() if value is not None}
    if (user is None) != (not changes):
        raise CommandFailed(Exit.USAGE, "user_and_changes")
    if user is not None:
        listed = [session.write("PUT", f"/v1/users/{quote(user, safe='')}", changes)]
    else:
        listed = list(session.walk("/v1/users"))
    if session.json:
        output.as_json(listed[0] if user is not None else {"items": listed})
    else:
        _print_users(listed)
    return Exit.DONE


def _print_users(listed: list[dict[str, Any]]) -> None:
    output.print_table(USER, ([each[name] for name in USER.names] for each in listed))
