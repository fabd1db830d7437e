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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import urlencode

import click

from poolctl.atomic_files import write_whole
from poolctl.client import Client, NotDone, Unreachable
from poolctl.exits import Ended, Exit
from poolctl.words import say

LOCAL_SERVICE = "http://127.0.0.1:8000"
ID_PATTERN = r"[0-9A-Za-z_-]{1,64}"
_TOKEN = re.compile(r"[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+")
_URL = re.compile(r"https?://[^\s/]+(/[^\s?#]*)?")


class Answer(dict[str, Any]):
    """The object that the service answers with. Some other server may answer with a web page or another object: then
    making it, or reading a member, raises `Ended`."""

    address: str

    @classmethod
    def of(cls, body: Any, address: str) -> Self:
        answer = cls(body if isinstance(body, dict) else {})
        answer.address = address
        return answer if isinstance(body, dict) else answer.__missing__("")

    def __missing__(self, name: str) -> NoReturn:
        raise Ended(Exit.UNREACHABLE, "not_our_service", url=self.address, answer=200)


@dataclass
class Session:
    """One run of poolctl. `url` and `pool_id` are those of the command line, if it names them."""

    json: bool
    language: str
    url: str | None = None
    pool_id: str | None = None
    _client: Client | None = None

    @property
    def address(self) -> str:
        if self.url is not None:
            return checked_url(self.url)
        return checked_url(os.environ.get("POOLCTL_URL") or kept()["current"] or LOCAL_SERVICE)

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
        return self._object("GET", f"{path}?{asked}" if asked else path)

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
        return self._object(method, path, body, **{"idempotency_key": uuid.uuid4().hex, **named})

    def _object(self, method: str, path: str, body: object = None, **named: str) -> Answer:
        return Answer.of(self.client.must(method, path, body, **named), self.address)

    @property
    def chosen_pool(self) -> str | None:
        """The pool of `--pool`, or else of the environment. Raises `Ended` for a name that is not an id."""
        if self.pool_id is not None:
            return self.pool_id
        chosen = os.environ.get("POOLCTL_POOL") or None
        if chosen is not None and re.fullmatch(ID_PATTERN, chosen) is None:
            raise Ended(Exit.USAGE, "no_id", id=f"POOLCTL_POOL={chosen!a}")
        return chosen

    def pool(self, otherwise: str = "say_which_pool") -> str:
        """The chosen pool, or the only one of the caller. Raises `Ended` where there is none, or several."""
        if (chosen := self.chosen_pool) is not None:
            return chosen
        known = self.pools()
        if not known:
            raise Ended(Exit.REFUSED, "no_pool", url=self.address)
        if len(known) > 1:
            raise Ended(Exit.USAGE, otherwise, code="say_which_pool", pools=", ".join(known[:20]))
        return known[0]

    def pools(self) -> list[str]:
        """The ids of the caller's pools."""
        return [str(each["id"]) for each in self.walk("/v1/pools")]

    def ended(self, fault: NotDone | Unreachable) -> Ended:
        """How a command ends that the service has refused, or not answered."""
        return ended(fault, self.address, "" if self._client is None else self._client.token)


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
        raise Ended(Exit.USAGE, "no_url", url=repr(said))
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


def expiry_of(claims: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def moment(time: str | None) -> str | None:
    """`2026-11-30T12:00:00.000Z` as `2026-11-30 20:00 +08:00`, in the zone of this machine (TZ)."""
    if time is None:
        return None
    try:
        local = datetime.fromisoformat(time).astimezone()
    except (ValueError, OverflowError):  # not a time, or one at the end of the calendar
        return time
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"


def ended(fault: NotDone | Unreachable, address: str, token: str) -> Ended:
    """How a command ends that the service has refused, or not answered."""
    if isinstance(fault, Unreachable):
        return Ended(Exit.UNREACHABLE, "untrusted" if fault.untrusted else "unreachable", url=address)
    reply = fault.reply
    if reply.status == 401:
        return _not_accepted(address, token)
    if not reply.code:
        return Ended(Exit.UNREACHABLE, "not_our_service", url=address, answer=reply.status)
    if reply.status == 429 or reply.status >= 500:
        return Ended(Exit.UNREACHABLE, "service_failing", code=reply.code, detail=reply.detail)
    if reply.status == 404:
        return Ended(Exit.REFUSED, "not_found", code=reply.code, detail=reply.detail)
    return Ended(Exit.REFUSED, "refused", **refusal_of(reply.body))


def _not_accepted(address: str, token: str) -> Ended:
    if os.environ.get("POOLCTL_TOKEN") == token:
        return Ended(Exit.NOT_SIGNED_IN, "environment_refused", code="token_refused", url=address)
    expiry = expiry_of(claims_of(token)) if token else None
    if expiry is not None and expiry < datetime.now(UTC):
        return Ended(Exit.NOT_SIGNED_IN, "session_expired", url=address, at=moment(expiry.isoformat()))
    return Ended(Exit.NOT_SIGNED_IN, "token_refused", url=address)


def refusal_of(said: dict[str, Any]) -> dict[str, str]:
    """Code and detail of a problem or of a result, with the numbers and the moment that go with them."""
    more = [say("used_of", used=said["used"], limit=said["limit"])] if {"used", "limit"} <= said.keys() else []
    more += [say("again_at", at=moment(said["retry_at"]))] if "retry_at" in said else []
    return {"code": said["code"], "detail": " ".join([said["detail"], *more])}
