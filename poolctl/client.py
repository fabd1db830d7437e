"""Calls to the service over HTTP, on connections that stay open. Knows the wire, not the routes.

What may be sent twice is sent again where no answer came, or one that asks for patience: a GET, and whatever has an
Idempotency-Key. Everything else is sent once. Threads may share a client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from tools.problems import Unusable

TIMEOUT = urllib3.Timeout(connect=5, read=35)  # seconds; the gateway itself gives up after 29
# How often, and after which answers. A service that does not listen at all is told at once.
PATIENCE = urllib3.Retry(
    total=4, connect=0, read=2, redirect=False, allowed_methods=None, status_forcelist=(429, 502, 503, 504),
    raise_on_status=False, backoff_factor=0.2, backoff_jitter=0.2,
)  # fmt: skip


class Unreachable(Unusable):
    """Nobody answers at that address; `untrusted`, because its certificate is not accepted."""

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        super().__init__(text)
        self.untrusted = untrusted


class NotDone(Unusable):
    """The service has answered, and refused. Its words are the text, its answer is `reply`."""

    def __init__(self, method: str, path: str, reply: Reply) -> None:
        super().__init__(f"{method} {path} was refused: {reply.status} {reply.code} {reply.detail}".rstrip())
        self.reply = reply


@dataclass(frozen=True)
class Reply:
    """What came back, whatever the status."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The problem's code, empty if it has none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def detail(self) -> str:
        """What the problem says to people, empty if it says nothing."""
        return str(self.body.get("detail", "")) if isinstance(self.body, dict) else ""


@dataclass(frozen=True)
class Client:
    """One user's calls to the service at `base_url`; `headers` go with each of them.

    Raises `Unreachable` when nobody answers there. No proxy of the environment is asked: it is not for the loopback
    interface.
    """

    base_url: str
    token: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    connections: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=8, timeout=TIMEOUT), repr=False, compare=False
    )

    def call(self, method: str, path: str, body: object = None, **named: str) -> Reply:
        """`named` are headers by their names in Python: `idempotency_key="…"`."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **self.headers}
        sent |= {name.replace("_", "-"): text for name, text in named.items()}
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
        repeatable = method == "GET" or "idempotency_key" in named
        try:
            answer = self.connections.request(
                method, self.base_url + path, body=data, headers=sent,
                retries=PATIENCE if repeatable else False, redirect=False,
            )  # fmt: skip
        except HTTPError as error:
            untrusted = isinstance(getattr(error, "reason", error), SSLError)
            text = f"No response from {self.base_url}: start the service with `make run`."
            raise Unreachable(text, untrusted=untrusted) from None
        return Reply(answer.status, _decoded(answer.data))

    def must(self, method: str, path: str, body: object = None, **named: str) -> Any:
        """The body of a successful call. Raises `NotDone` with the problem's own words otherwise."""
        reply = self.call(method, path, body, **named)
        if reply.status >= 300:
            raise NotDone(method, path, reply)
        return reply.body


def _decoded(text: bytes) -> Any:
    """JSON if it is JSON; something else may be listening on that port."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
