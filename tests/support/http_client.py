"""A client of the service over real HTTP that checks every response against the OpenAPI document."""

from __future__ import annotations

import json
from collections import Counter
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.support.conformance import assert_conforms
from tests.support.world import Reply, find


class HttpClient:
    """One open connection. Counts requests and refusals; a 5xx of the service fails the test at once."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=35)
        self.requests = 0
        self.refusals: Counter[str] = Counter()

    def send(self, token: str, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply:
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        self._connection.request(method, path, content, sent)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        self.requests += 1
        assert answer.status < 500 and answer.status != 429, f"{method} {path}: {answer.status} {text}"
        reply = Reply(answer.status, dict(answer.headers), text)
        route, _ = find(method, path.partition("?")[0])
        names_in_any_case: Any = answer.headers
        assert_conforms(route, content, reply.status, names_in_any_case, text)
        self._count(reply)
        return reply

    def _count(self, reply: Reply) -> None:
        if reply.status >= 400:
            self.refusals[reply.code] += 1
        for result in reply.json.get("results", ()) if reply.status == 200 else ():
            self.refusals.update([] if result["ok"] else [result["code"]])
