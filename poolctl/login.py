"""`poolctl login`: keeps a token for an address, once the service has taken it."""

from __future__ import annotations

import sys

import click

from poolctl import output
from poolctl.client import Client, NotDone, Unreachable
from poolctl.commands_base import command
from poolctl.exits import Ended, Exit
from poolctl.session import Answer, Session, checked_token, claims_of, ended, expiry_of, keep, moment
from poolctl.words import say
from tools.local.keys import LocalKeys
from tools.problems import Unusable


@command("login")
@click.option("--local", "user", metavar="USER")
@click.option("--roles", default="", metavar="ROLE,...")
@click.option("--tenant", default="", metavar="TENANT")
def login(session: Session, user: str | None, roles: str, tenant: str) -> int:
    if user is None and (roles or tenant):
        raise Ended(Exit.USAGE, "only_local")
    token = _pasted() if user is None else _signed(user, roles, tenant)
    address = session.address
    _try_out(session.client_with(token), address, token)
    path = keep(address, token)
    said = claims_of(token)
    expires = expiry_of(said)
    expiry = expires.isoformat() if expires else None
    if session.json:
        output.as_json({"url": address, "user": said.get("sub"), "expires_at": expiry, "kept_in": str(path)})
    else:
        at = moment(expiry) or "?"
        output.lines(say("signed_in", user=said.get("sub", "?"), url=address, at=at, path=path))
    return Exit.DONE


def _pasted() -> str:
    """Never a part of the command line, which other users of the machine may read."""
    if sys.stdin.isatty():
        return checked_token(click.prompt(say("paste_token"), hide_input=True, err=True))
    return checked_token(sys.stdin.read())


def _signed(user: str, roles: str, tenant: str) -> str:
    """By the key of the service that `make run` starts from this folder."""
    try:
        return LocalKeys().ensure().token(user, [each.strip() for each in roles.split(",") if each.strip()], tenant)
    except Unusable as mistake:
        raise Ended(Exit.USAGE, "as_told", told=mistake) from None


def _try_out(client: Client, address: str, token: str) -> None:
    try:
        _ = Answer.of(client.must("GET", "/v1/pools?limit=1"), address)["items"]
    except (NotDone, Unreachable) as refused:
        raise ended(refused, address, token) from None
