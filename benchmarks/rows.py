"""What a benchmark says: a figure beside what it is measured against, and the bound that the two may not break.

A benchmark is a function that takes a `Place` to measure in and yields rows; `__main__` lists them all. A bound is on
the ratio where there is a floor, else on the figure. Times are never bound by themselves, only against a floor that
was measured in the same alternating run.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from chalice.app import Request

from chalicelib.api.handler import respond
from chalicelib.dynamodb.table import Table
from chalicelib.transactions.context import Caller
from tests.support.world import Reply, World, find, gateway_event
from tools.local.service import REGION


class Row(NamedTuple):
    """`floor` is what the value is compared with; `at_least` turns the bound round; without a bound it is only told."""

    name: str
    value: float
    floor: float | None = None
    bound: float | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.floor is None else self.value / self.floor if self.floor else float("inf")

    @property
    def kept(self) -> bool:
        """Whether the bound holds."""
        if self.bound is None:
            return True
        bounded = self.value if self.ratio is None else self.ratio
        return bounded >= self.bound if self.at_least else bounded <= self.bound

    def body(self) -> dict[str, Any]:
        """As it stands in results.json."""
        return {**self._asdict(), "ratio": self.ratio, "kept": self.kept}


class Unchecked(World):
    """Answers are not held against the published document: that would be most of what is measured."""

    def request(
        self, caller: Caller | None, method: str, path: str, body: Any, raw: bytes | None, headers: dict[str, str]
    ) -> Reply:
        route, parameters = find(method, path.partition("?")[0])
        content = b"" if body is None else json.dumps(body).encode()
        event = gateway_event(route, parameters, caller, path, content, headers)
        reply = respond(lambda: self.service, route, Request(event), parameters).to_dict()
        return Reply(reply["statusCode"], reply["headers"], reply["body"])


class Place(NamedTuple):
    """Where to measure: an engine that keeps nothing. `full` asks for the sizes that take many minutes."""

    endpoint: str
    full: bool

    def table(self) -> Table:
        """A new, empty one."""
        made = Table(
            f"bench-{uuid.uuid4().hex}",
            new_id=lambda: uuid.uuid4().hex,
            jitter=random.Random(3).random,
            endpoint=self.endpoint,
            region=REGION,
        )
        made.create(expiry=False)
        return made

    def world(self) -> World:
        """A service on a new table, spoken to through the gateway's events."""
        return Unchecked(self.table())


Benchmark: TypeAlias = Callable[[Place], Iterable[Row]]
