"""`make transcripts`: run every request of docs/api.md, and write each response below it.

The page is the script. A block ```` ```http ```` has a request and its response, which is replaced; between blocks,
`<!-- clock: PT1H -->` moves the clock. The service is the real one, over HTTP, on its own local engine. The clock and
the ids are fixed, so that the page changes only with the service.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from chalicelib.api.handler import Service
from chalicelib.api.routes import ROUTES
from chalicelib.dynamodb.table import Table
from chalicelib.model.contact_keys import KeySecret
from chalicelib.model.errors import CATALOG
from chalicelib.model.times import duration_ms
from chalicelib.transactions.context import Backend
from poolctl.local_keys import LocalKeys
from tools.docs.printing import Beginning, printed, shortened
from tools.local.engines import MiniStack
from tools.local.fixed_clock_service import front
from tools.local.gateway import LocalApi
from tools.local.service import REGION, local_environment
from tools.paths import PROJECT
from tools.problems import Unusable, run_tool

PAGE: Final = PROJECT / "docs" / "api.md"
COMMIT: Final = "3f2a91c0d4e7"  # that the answer of the health check shows
STARTS: Final = 1_795_435_200_000  # 2026-11-23T12:00:00Z
SHOWN: Final = ("ETag", "Retry-After", "Idempotent-Replayed", "Content-Language", "WWW-Authenticate")
ROOT: Final = "root"  # the one admin

STEP: Final = re.compile(
    r"^```http(?P<how>[^\n]*)\n(?P<exchange>.*?)^```$|^<!-- clock: (?P<clock>\w+) -->$", re.MULTILINE | re.DOTALL
)
TABLES: Final = re.compile(r"^<!-- (routes|codes) -->$.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


class Request(NamedTuple):
    """A request as it stands on the page."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Clock:
    now: int = STARTS

    def __call__(self) -> int:
        return self.now


@dataclass
class Stage:
    """The service, on a clock that only the page moves."""

    url: str
    keys: LocalKeys
    clock: Clock
    names: dict[str, str] = field(default_factory=dict)  # of the ids that were minted, as the page calls them

    def answer(self, request: Request) -> tuple[int, dict[str, str], Any]:
        """Status, the headers that are shown, and the body."""
        headers = {name: self._with_token(text) for name, text in request.headers.items()}
        if request.body:
            headers.setdefault("Content-Type", "application/json")
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=35)
        try:
            path, content = self._as_minted(request.path), self._as_minted(request.body)
            padding = b" " * int(headers.get("Content-Length", 0))  # a body too large to be printed
            connection.request(request.method, path, content.encode() or padding or None, headers)
            answer = connection.getresponse()
            body = _read(answer.headers["Content-Type"], self._renamed(answer.read().decode()))
        finally:
            connection.close()
        shown = {name: answer.headers[name] for name in SHOWN if answer.headers.get(name, "en") != "en"}
        return answer.status, shown, body

    def _renamed(self, text: str) -> str:
        """Ids are numbered as they appear: how many others the service mints is its own affair."""
        return re.sub(r"minted\d+", lambda match: self.names.setdefault(match[0], f"id{len(self.names) + 1:06d}"), text)

    def _as_minted(self, text: str) -> str:
        for generated_id, name in self.names.items():
            text = text.replace(name, generated_id)
        return text

    def _with_token(self, header: str) -> str:
        """`$ALICE` is what `make -s token USER=alice` prints."""
        return re.sub(r"\$([A-Z]+)", lambda match: self._token(match[1].lower()), header)

    def _token(self, user: str) -> str:
        return self.keys.token(user, ["admin"] if user == ROOT else None)


def rendered(page: str, endpoint: str) -> str:
    """Return the page with the present response to every request, on that engine."""
    clock, numbers = Clock(), itertools.count(1)
    backend = Backend(
        _new_table(endpoint),
        new_id=lambda: f"minted{next(numbers):06d}",
        sample=lambda among, count: list(among[:count]),
        secret=KeySecret("1", "transcripts"),
    )
    with tempfile.TemporaryDirectory() as folder:
        keys, service = LocalKeys(Path(folder)).ensure(), Service(backend, clock)
        with LocalApi(front(service, keys)) as api:
            stage = Stage(api.url, keys, clock)
            answered = STEP.sub(lambda step: _played(stage, step), page)
    listed = {"routes": _routes(answered), "codes": _codes(answered)}
    return TABLES.sub(lambda table: f"<!-- {table[1]} -->\n\n{listed[table[1]]}\n<!-- end -->", answered)


def _read(media: str, content: str) -> Any:
    """Return the parsed JSON, or the first line of an HTML page."""
    return msgspec.json.decode(content) if "json" in media else Beginning(content.partition("\n")[0])


def _new_table(endpoint: str) -> Table:
    table = Table(
        f"transcripts-{uuid.uuid4().hex}",
        new_id=lambda: uuid.uuid4().hex,
        jitter=random.random,
        endpoint=endpoint,
        region=REGION,
    )
    table.create(expiry=False)  # of the real clock
    return table


def _played(stage: Stage, step: re.Match[str]) -> str:
    if step["clock"]:
        stage.clock.now += duration_ms(step["clock"])
        return step[0]
    request = request_in(step["exchange"])
    status, headers, body = stage.answer(request)
    also = step["how"].split()
    shown = printed(body if "whole" in also else shortened(body, also))
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {text}" for name, text in headers.items())]
    question = step["exchange"].partition("\nHTTP/1.1")[0].rstrip("\n")
    return f"```http{step['how']}\n{question}\n\n" + "\n".join([*lines, "", shown]) + "\n```"


def request_in(exchange: str) -> Request:
    """The request of a block. Raises Unusable where there is none."""
    head, _, body = exchange.partition("\nHTTP/1.1")[0].strip("\n").partition("\n\n")
    first, *headers = head.splitlines()
    method, _, path = first.partition(" ")
    if not re.fullmatch(r"[A-Z]+", method) or not path.startswith("/"):
        raise Unusable(f"docs/api.md: {first!r} is no request")
    return Request(method, path, dict(line.split(": ", 1) for line in headers), body)


# The tables


def _routes(page: str) -> str:
    """The routes, by the section that first shows a success of each."""
    shown: dict[str, list[str]] = {}
    sections: dict[int, str] = {}
    for section, exchange in exchanges(page):
        request = request_in(exchange)
        if "\nHTTP/1.1 2" in exchange:
            sections.setdefault(route_of(request.method, request.path), section)
    for at, route in enumerate(ROUTES):
        shown.setdefault(sections.get(at, ""), []).append(f"`{route.method} {route.path}`")
    rows = [f"| {_linked(section, section) if section else ''} | {'<br>'.join(shown[section])} |" for section in shown]
    return "\n".join(["| section | routes |", "|---|---|", *rows, ""])


def _codes(page: str) -> str:
    """The codes of refusals by status, each with the section that first shows it."""
    shown: dict[str, str] = {}
    for section, exchange in exchanges(page):
        for code in re.findall(r'"code": "(\w+)"', exchange.partition("\nHTTP/1.1")[2]):
            shown.setdefault(code, section)
    listed: dict[int, dict[str, None]] = {}
    for reason, meaning in CATALOG.items():
        code = meaning.code or reason
        listed.setdefault(meaning.status, {})[_linked(f"`{code}`", shown.get(code))] = None
    rows = [f"| {status} | {', '.join(listed[status])} |" for status in sorted(listed)]
    return "\n".join(["| status | codes |", "|---|---|", *rows, ""])


def _linked(words: str, section: str | None) -> str:
    return words if section is None else f"[{words}](#{section.lower().replace(' ', '-')})"


def exchanges(page: str) -> Iterator[tuple[str, str]]:
    """The heading above it and the text of each exchange of the page."""
    section = ""
    for part in re.finditer(r"^## (?P<heading>[^\n]+)$|" + STEP.pattern, page, re.MULTILINE | re.DOTALL):
        section = part["heading"] or section
        if part["exchange"]:
            yield section, part["exchange"]


def route_of(method: str, path: str) -> int:
    """Which of the routes that is, by its place; -1 for none."""
    for at, route in enumerate(ROUTES):
        pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
        if route.method == method and re.fullmatch(pattern, path.partition("?")[0]):
            return at
    return -1


def main() -> int:
    with MiniStack() as engine:
        os.environ.update(local_environment(engine.endpoint, LocalKeys()) | {"COMMIT": COMMIT})
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), engine.endpoint), encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_tool(main)
