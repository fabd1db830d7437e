"""The result of a benchmark: a value, its baseline and the bound that it has to keep.

A benchmark is a function that takes a `Target` and yields rows; `__main__` lists all of them. The bound limits the
ratio to the baseline, or the value itself if there is no baseline. A time has no bound of its own, only one relative to
a baseline from the same alternating run.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from chalicelib.api.routing import Route
from chalicelib.dynamodb.table import Table
from tests.support.world import World
from tools.local.service import REGION


class Row(NamedTuple):
    """One value. `at_least` makes the bound a lower bound. Without a bound the value is only printed."""

    name: str
    value: float
    baseline: float | None = None
    bound: float | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.baseline is None else self.value / self.baseline if self.baseline else float("inf")

    @property
    def kept(self) -> bool:
        """Return whether the bound holds."""
        if self.bound is None:
            return True
        bounded = self.value if self.ratio is None else self.ratio
        return bounded >= self.bound if self.at_least else bounded <= self.bound

    def body(self) -> dict[str, Any]:
        """Return the row as an object of results.json."""
        return {**self._asdict(), "ratio": self.ratio, "kept": self.kept}


class Unchecked(World):
    """A world that does not validate responses against the OpenAPI document, which would dominate the measurement."""

    def check(self, route: Route, content: bytes, reply: dict[str, Any]) -> None:
        pass


class Target(NamedTuple):
    """An empty DynamoDB to measure with. `full` selects the sizes that take many minutes."""

    endpoint: str
    full: bool

    def table(self) -> Table:
        """Return a new, empty table."""
        table = Table(
            f"bench-{uuid.uuid4().hex}",
            new_id=lambda: uuid.uuid4().hex,
            jitter=random.Random(3).random,
            endpoint=self.endpoint,
            region=REGION,
        )
        table.create(expiry=False)
        return table

    def world(self) -> World:
        """Return a service on a new table; requests are API Gateway events."""
        return Unchecked(self.table())


Benchmark: TypeAlias = Callable[[Target], Iterable[Row]]
