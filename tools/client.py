"""Calls to the service over HTTP, with nothing but the standard library. Knows the wire, not the routes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tools.problems import Unusable

TIMEOUT = 35  # seconds; the gateway itself gives up after 29


@dataclass(frozen=True)
class Reply:
    """What came back, whatever the status."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The problem's code, empty if it has none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


@dataclass(frozen=True)
class Client:
    """One user's calls to the service at `base_url`. Raises `Unusable` when nobody answers there."""

    base_url: str
    token: str

    def call(self, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data, headers, method=method)
        # A proxy of the environment is not for the loopback interface.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT) as response:
                return Reply(response.status, _decoded(response.read()))
        except urllib.error.HTTPError as refusal:
            return Reply(refusal.code, _decoded(refusal.read()))
        except OSError:
            raise Unusable(f"no service answers at {self.base_url}: start it with `make run`") from None

    def must(self, method: str, path: str, body: object = None) -> Any:
        """The body of a successful call. Raises `Unusable` with the problem's own words otherwise."""
        reply = self.call(method, path, body)
        if reply.status >= 400:
            detail = reply.body.get("detail", "") if isinstance(reply.body, dict) else ""
            raise Unusable(f"{method} {path} was refused: {reply.status} {reply.code} {detail}".rstrip())
        return reply.body


def _decoded(text: bytes) -> Any:
    """JSON if it is JSON; something else may be listening on that port."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
