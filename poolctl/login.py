"""`poolctl login`: store a token for an address after the service has accepted it."""

from __future__ import annotations

import sys

import click

from poolctl import output
from poolctl.client import Client, Refused, Unreachable
from poolctl.commands_base import command
from poolctl.exits import CommandFailed, Exit
from poolctl.local_keys import LocalKeys
from poolctl.messages import message
from poolctl.problems import Unusable
from poolctl.session import Answer, Session, checked_token, claims_of, expiry_of, failure_of, moment, store_login


@command("login")
@click.option("--local", "user", metavar="USER")
@click.option("--roles", default="", metavar="ROLE,...")
@click.option("--tenant", default="", metavar="TENANT")
def login(session: Session, user: str | None, roles: str, tenant: str) -> int:
    if user is None and (roles or tenant):
        raise CommandFailed(Exit.USAGE, "only_local")
    token = _pasted() if user is None else _signed(user, roles, tenant)
    address = session.address
    _check_token(session.client_with(token), address, token)
    path = store_login(address, token)
    claims = claims_of(token)
    expires = expiry_of(claims)
    expiry = expires.isoformat() if expires else None
    if session.json:
        output.as_json({"url": address, "user": claims.get("sub"), "expires_at": expiry, "kept_in": str(path)})
    else:
        at = moment(expiry) or "?"
        output.lines(message("signed_in", user=claims.get("sub", "?"), url=address, at=at, path=path))
    return Exit.DONE


def _pasted() -> str:
    """Read the token. It is never an argument: other users of the machine can read command lines."""
    if sys.stdin.isatty():
        return checked_token(click.prompt(message("paste_token"), hide_input=True, err=True))
    return checked_token(sys.stdin.read())


def _signed(user: str, roles: str, tenant: str) -> str:
    """Sign a token with the key of the service that `make run` starts from this folder."""
    try:
        return LocalKeys().ensure().token(user, [each.strip() for each in roles.split(",") if each.strip()], tenant)
    except Unusable as mistake:
        raise CommandFailed(Exit.USAGE, "local_token", text=mistake) from None


def _check_token(client: Client, address: str, token: str) -> None:
    try:
        _ = Answer.of(client.must("GET", "/v1/pools?limit=1"), address)["items"]
    except (Refused, Unreachable) as refused:
        raise failure_of(refused, address, token) from None
