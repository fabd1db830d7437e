"""`poolctl login`: keeps a token for an address, once the service has taken it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from tools.client import Client, NotDone
from tools.keys import LocalKeys
from tools.poolctl import showing
from tools.poolctl.asking import command
from tools.poolctl.exits import Ended, Exit
from tools.poolctl.session import Session, checked_token, claims_of, ended, keep
from tools.poolctl.words import say
from tools.problems import Unusable


@command("login")
@click.option("--local", "user", metavar="USER")
@click.option("--roles", default="")
@click.option("--tenant", default="")
def login(session: Session, user: str | None, roles: str, tenant: str) -> int:
    token = _pasted() if user is None else _signed(user, roles, tenant)
    address = session.address
    _try_out(session.client_with(token), address)
    path = keep(address, token)
    said = claims_of(token)
    if session.json:
        showing.as_json({"url": address, "user": said.get("sub"), "expires_at": _expiry(said), "kept_in": str(path)})
    else:
        at = showing.moment(_expiry(said)) or "?"
        showing.lines(say("signed_in", user=said.get("sub", "?"), url=address, at=at, path=path))
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


def _try_out(client: Client, address: str) -> None:
    try:
        client.must("GET", "/v1/pools?limit=1")
    except NotDone as refused:
        raise ended(refused, address) from None


def _expiry(claims: dict[str, Any]) -> str | None:
    try:
        return datetime.fromtimestamp(claims["exp"], UTC).isoformat()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
