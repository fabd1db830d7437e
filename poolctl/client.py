"""An HTTP client of the service with persistent connections. Contains no routes. Threads may share a client.

A GET, and any request with an Idempotency-Key, is retried after a lost response and after 429, 502, 503 and 504. Every
other request is sent once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from poolctl.problems import Unusable

TIMEOUT = urllib3.Timeout(connect=5, read=35)  # seconds; the gateway itself gives up after 29
# A refused connection is not retried: it is reported at once.
RETRIES = urllib3.Retry(
    total=4, connect=0, read=2, redirect=False, allowed_methods=None, status_forcelist=(429, 502, 503, 504),
    raise_on_status=False, backoff_factor=0.2, backoff_jitter=0.2,
)  # fmt: skip


class Unreachable(Unusable):
    """No response from the address. `untrusted`: its certificate was not accepted."""

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        super().__init__(text)
        self.untrusted = untrusted


class Refused(Unusable):
    """The service refused the request; `reply` is its response."""

    def __init__(self, method: str, path: str, reply: Reply) -> None:
        super().__init__(f"{method} {path} was refused: {reply.status} {reply.code} {reply.detail}".rstrip())
        self.reply = reply


@dataclass(frozen=True)
class Reply:
    """A response of any status."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """Return the code of the problem, or an empty string."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def detail(self) -> str:
        """Return the detail of the problem, or an empty string."""
        return str(self.body.get("detail", "")) if isinstance(self.body, dict) else ""


@dataclass(frozen=True)
class Client:
    """Send one user's requests to the service at `base_url`, each with `headers`.

    Raises `Unreachable` without a response. Ignores the proxies of the environment, which do not serve the loopback
    interface.
    """

    base_url: str
    token: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    connections: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=8, timeout=TIMEOUT), repr=False, compare=False
    )

    def call(self, method: str, path: str, body: object = None, **named: str) -> Reply:
        """Send a request. `named` are headers by their Python names: `idempotency_key="…"`."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **self.headers}
        sent |= {name.replace("_", "-"): text for name, text in named.items()}
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
        repeatable = method == "GET" or "idempotency_key" in named
        try:
            answer = self.connections.request(
                method, self.base_url + path, body=data, headers=sent,
                retries=RETRIES if repeatable else False, redirect=False,
            )  # fmt: skip
        except HTTPError as error:
            untrusted = isinstance(getattr(error, "reason", error), SSLError)
            text = f"No response from {self.base_url}: start the service with `make run`."
            raise Unreachable(text, untrusted=untrusted) from None
        return Reply(answer.status, _decoded(answer.data))

    def must(self, method: str, path: str, body: object = None, **named: str) -> Any:
        """Return the body of a successful response. Raises `Refused` otherwise."""
        reply = self.call(method, path, body, **named)
        if reply.status >= 300:
            raise Refused(method, path, reply)
        return reply.body


def _decoded(text: bytes) -> Any:
    """Return the parsed JSON, or None: another program may listen on the port."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
