"""The session of one run: the stored tokens of `poolctl login`, and the client that all commands share.

A token is stored for one address and sent nowhere else. It is never printed.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import urlencode

import click

from poolctl.atomic_files import write_atomically
from poolctl.client import Client, Refused, Unreachable
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message

LOCAL_SERVICE = "http://127.0.0.1:8000"
ID_PATTERN = r"[0-9A-Za-z_-]{1,64}"
_TOKEN = re.compile(r"[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+")
_URL = re.compile(r"https?://[^\s/]+(/[^\s?#]*)?")


class Answer(dict[str, Any]):
    """A JSON object from the service.

    Another server may respond with a web page or other members: then creating it, or reading a missing member, raises
    `CommandFailed`.
    """

    address: str

    @classmethod
    def of(cls, body: Any, address: str) -> Self:
        answer = cls(body if isinstance(body, dict) else {})
        answer.address = address
        return answer if isinstance(body, dict) else answer.__missing__("")

    def __missing__(self, name: str) -> NoReturn:
        raise CommandFailed(Exit.UNREACHABLE, "not_our_service", url=self.address, answer=200)


@dataclass
class Session:
    """One run of poolctl. `url` and `pool_id` come from the command line, if given."""

    json: bool
    language: str
    url: str | None = None
    pool_id: str | None = None
    _client: Client | None = None

    @property
    def address(self) -> str:
        if self.url is not None:
            return checked_url(self.url)
        return checked_url(os.environ.get("POOLCTL_URL") or stored_logins()["current"] or LOCAL_SERVICE)

    @property
    def client(self) -> Client:
        """Return the shared client. Raises `CommandFailed` without a token for the address."""
        if self._client is None:
            token = os.environ.get("POOLCTL_TOKEN") or stored_logins()["tokens"].get(self.address)
            if not token:
                raise CommandFailed(Exit.NOT_SIGNED_IN, "not_signed_in", url=self.address)
            self._client = self.client_with(checked_token(token))
        return self._client

    def client_with(self, token: str) -> Client:
        return Client(self.address, token, {"Accept-Language": "zh-CN" if self.language == "zh" else "en"})

    def get(self, path: str, **query: object) -> Any:
        encoded = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        return self._object("GET", f"{path}?{encoded}" if encoded else path)

    def walk(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Yield every item of a list, page by page."""
        cursor = None
        while True:
            page = self.get(path, limit=100, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def write(self, method: str, path: str, body: object, **named: str) -> Any:
        """Send a write with a new Idempotency-Key, so that it can be retried after a lost response."""
        return self._object(method, path, body, **{"idempotency_key": uuid.uuid4().hex, **named})

    def _object(self, method: str, path: str, body: object = None, **named: str) -> Answer:
        return Answer.of(self.client.must(method, path, body, **named), self.address)

    @property
    def chosen_pool(self) -> str | None:
        """Return the pool from `--pool` or POOLCTL_POOL, or None. Raises `CommandFailed` for an invalid id."""
        if self.pool_id is not None:
            return self.pool_id
        chosen = os.environ.get("POOLCTL_POOL") or None
        if chosen is not None and re.fullmatch(ID_PATTERN, chosen) is None:
            raise CommandFailed(Exit.USAGE, "no_id", id=f"POOLCTL_POOL={chosen!a}")
        return chosen

    def pool(self, otherwise: str = "several_pools") -> str:
        """Return the chosen pool, or the caller's only pool. Raises `CommandFailed` for none or several."""
        if (chosen := self.chosen_pool) is not None:
            return chosen
        known = self.pools()
        if not known:
            raise CommandFailed(Exit.REFUSED, "no_pool", url=self.address)
        if len(known) > 1:
            raise CommandFailed(Exit.USAGE, otherwise, code="several_pools", pools=", ".join(known[:20]))
        return known[0]

    def pools(self) -> list[str]:
        """Return the ids of the caller's pools."""
        return [str(each["id"]) for each in self.walk("/v1/pools")]

    def failure(self, fault: Refused | Unreachable) -> CommandFailed:
        """Return the failure of the command after a refused or unanswered request."""
        return failure_of(fault, self.address, "" if self._client is None else self._client.token)


# Settings


def folder() -> Path:
    """Return the user's settings folder for poolctl; create it if needed. Raises OSError."""
    path = Path(click.get_app_dir("poolctl"))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def stored_logins() -> dict[str, Any]:
    """Return the address of the last login and the tokens by address; empty if the file is missing or invalid."""
    try:
        found = json.loads((folder() / "login.json").read_bytes())
        current, tokens = found["current"], dict(found["tokens"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"current": None, "tokens": {}}
    valid = {address: token for address, token in tokens.items() if isinstance(token, str)}
    return {"current": current if isinstance(current, str) else None, "tokens": valid}


def store_login(url: str, token: str) -> Path:
    path = folder() / "login.json"
    known = stored_logins()
    known = {"current": url, "tokens": known["tokens"] | {url: token}}
    write_atomically(path, json.dumps(known, indent=2).encode(), 0o600)
    return path


def local_secret() -> bytes:
    """Return a secret of this user and machine; create it if needed. Raises OSError."""
    path = folder() / "secret"
    if not path.exists():
        write_atomically(path, secrets.token_bytes(32), 0o600)
    return path.read_bytes()


# Input


def checked_url(text: str) -> str:
    url = text.strip().rstrip("/")
    if _URL.fullmatch(url) is None:
        raise CommandFailed(Exit.USAGE, "no_url", url=repr(text))
    return url


def checked_token(text: str) -> str:
    """Return the token without blanks and a `Bearer` prefix. Raises `CommandFailed` for text that is no JWT."""
    token = "".join(text.split()).removeprefix("Bearer")
    if _TOKEN.fullmatch(token) is None:
        raise CommandFailed(Exit.NOT_SIGNED_IN, "no_token")
    return token


def claims_of(token: str) -> dict[str, Any]:
    """Return the unverified claims of a token, for display only."""
    part = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def expiry_of(claims: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def moment(time: str | None) -> str | None:
    """Format `2026-11-30T12:00:00.000Z` as `2026-11-30 20:00 +08:00`, in the time zone of this machine (TZ)."""
    if time is None:
        return None
    try:
        local = datetime.fromisoformat(time).astimezone()
    except (ValueError, OverflowError):  # not a time, or out of range
        return time
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"


def failure_of(fault: Refused | Unreachable, address: str, token: str) -> CommandFailed:
    """Return the failure of the command after a refused or unanswered request."""
    if isinstance(fault, Unreachable):
        return CommandFailed(Exit.UNREACHABLE, "untrusted" if fault.untrusted else "unreachable", url=address)
    reply = fault.reply
    if reply.status == 401:
        return _not_accepted(address, token)
    if not reply.code:
        return CommandFailed(Exit.UNREACHABLE, "not_our_service", url=address, answer=reply.status)
    if reply.status == 429 or reply.status >= 500:
        return CommandFailed(Exit.UNREACHABLE, "service_failing", code=reply.code, detail=reply.detail)
    if reply.status == 404:
        return CommandFailed(Exit.REFUSED, "not_found", code=reply.code, detail=reply.detail)
    return CommandFailed(Exit.REFUSED, "refused", **refusal_of(reply.body))


def _not_accepted(address: str, token: str) -> CommandFailed:
    if os.environ.get("POOLCTL_TOKEN") == token:
        return CommandFailed(Exit.NOT_SIGNED_IN, "environment_refused", code="token_refused", url=address)
    expiry = expiry_of(claims_of(token)) if token else None
    if expiry is not None and expiry < datetime.now(UTC):
        return CommandFailed(Exit.NOT_SIGNED_IN, "session_expired", url=address, at=moment(expiry.isoformat()))
    return CommandFailed(Exit.NOT_SIGNED_IN, "token_refused", url=address)


def refusal_of(problem: dict[str, Any]) -> dict[str, str]:
    """Return code and detail of a problem or a result; the detail includes the limit and the retry time."""
    more = []
    if {"used", "limit"} <= problem.keys():
        more.append(message("used_of", used=problem["used"], limit=problem["limit"]))
    if "retry_at" in problem:
        more.append(message("retry_at", at=moment(problem["retry_at"])))
    return {"code": problem["code"], "detail": " ".join([problem["detail"], *more])}
