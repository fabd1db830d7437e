"""Who asks which service: the tokens kept from `poolctl login`, and the client that the commands share.

A token is kept for the address that it was given for and sent nowhere else. It is never shown.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from tools.client import Client, NotDone, Unreachable
from tools.drafts import write_whole
from tools.poolctl.exits import Ended, Exit
from tools.poolctl.words import say

LOCAL_SERVICE = "http://127.0.0.1:8000"
_TOKEN = re.compile(r"[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+")
_URL = re.compile(r"https?://[^\s/]+(/[^\s?#]*)?")


@dataclass
class Session:
    """One run of poolctl. `url` is what the command line says, if it does."""

    json: bool
    language: str
    url: str | None = None
    _client: Client | None = None

    @property
    def address(self) -> str:
        return checked_url(self.url or os.environ.get("POOLCTL_URL") or kept()["current"] or LOCAL_SERVICE)

    @property
    def client(self) -> Client:
        """Raises `Ended` where there is no token for that address."""
        if self._client is None:
            token = os.environ.get("POOLCTL_TOKEN") or kept()["tokens"].get(self.address)
            if not token:
                raise Ended(Exit.NOT_SIGNED_IN, "not_signed_in", url=self.address)
            self._client = self.client_with(checked_token(token))
        return self._client

    def client_with(self, token: str) -> Client:
        return Client(self.address, token, {"Accept-Language": "zh-CN" if self.language == "zh" else "en"})

    def get(self, path: str, **query: object) -> Any:
        asked = urlencode({name: said for name, said in query.items() if said is not None})
        return self.client.must("GET", f"{path}?{asked}" if asked else path)

    def walk(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Every item of a list."""
        cursor = None
        while True:
            page = self.get(path, limit=100, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def write(self, method: str, path: str, body: object, **named: str) -> Any:
        """A write with a key of its own, so that it may be sent again where no answer came."""
        return self.client.must(method, path, body, **{"idempotency_key": uuid.uuid4().hex, **named})

    def pool(self, given: str | None) -> str:
        """The pool that is named, or the only one that the caller belongs to."""
        if given:
            return given
        known = [each["id"] for each in self.walk("/v1/pools")]
        if len(known) != 1:
            raise Ended(Exit.USAGE, "say_which_pool", pools=", ".join(known[:20]) or say("none"))
        return str(known[0])


# What is kept


def folder() -> Path:
    """Where this user's programs keep their settings. Raises OSError."""
    path = Path(click.get_app_dir("poolctl"))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def kept() -> dict[str, Any]:
    """The address last signed in at and the tokens by address; none of them where nothing is kept, or nothing sound."""
    try:
        found = json.loads((folder() / "login.json").read_bytes())
        return {"current": str(found["current"]), "tokens": dict(found["tokens"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"current": None, "tokens": {}}


def keep(url: str, token: str) -> Path:
    path = folder() / "login.json"
    known = kept()
    known = {"current": url, "tokens": known["tokens"] | {url: token}}
    write_whole(path, json.dumps(known, indent=2).encode(), 0o600)
    return path


# What a person gives


def checked_url(said: str) -> str:
    url = said.strip().rstrip("/")
    if _URL.fullmatch(url) is None:
        raise Ended(Exit.USAGE, "no_url", url=said)
    return url


def checked_token(said: str) -> str:
    """The token alone, of what was pasted."""
    token = "".join(said.split()).removeprefix("Bearer")
    if _TOKEN.fullmatch(token) is None:
        raise Ended(Exit.NOT_SIGNED_IN, "no_token")
    return token


def claims_of(token: str) -> dict[str, Any]:
    """What the token says of itself, for showing only: nobody has verified it here."""
    part = token.split(".")[1]
    try:
        said = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def ended(fault: NotDone | Unreachable, address: str) -> Ended:
    """How a command ends that the service has refused, or not answered."""
    if isinstance(fault, Unreachable):
        return Ended(Exit.UNREACHABLE, "unreachable", url=address)
    reply = fault.reply
    if reply.status == 401:
        return Ended(Exit.NOT_SIGNED_IN, "token_refused", url=address)
    if not reply.code:
        return Ended(Exit.UNREACHABLE, "not_our_service", url=address, answer=reply.status)
    if reply.status == 429 or reply.status >= 500:
        return Ended(Exit.UNREACHABLE, "service_failing", code=reply.code, detail=reply.detail)
    if reply.status == 404:
        return Ended(Exit.REFUSED, "not_found", code=reply.code, detail=reply.detail)
    return Ended(Exit.REFUSED, "refused", **refusal_of(reply.body))


def refusal_of(said: dict[str, Any]) -> dict[str, str]:
    """Code and detail of a problem or of a result, with the numbers and the moment that go with them."""
    more = [f"{said['used']}/{said['limit']}"] if {"used", "limit"} <= said.keys() else []
    more += [say("again_at", at=said["retry_at"])] if "retry_at" in said else []
    return {"code": said["code"], "detail": " ".join([said["detail"], *more])}
