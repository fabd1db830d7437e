"""Hooks into the DynamoDB client of the service: count requests, fail one of them, or run something before them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.memory import Memory
from tests.support.world import World


@contextmanager
def counted(world: World) -> Iterator[Counter[str]]:
    """Count the DynamoDB requests made inside, by operation."""
    made: Counter[str] = Counter()

    def count(request: Any, **_: Any) -> None:
        made[operation_of(request)] += 1

    engine = world.table.connection
    if isinstance(engine, Memory):
        with _hooked_memory(engine, "before", lambda call: made.update([call])):
            yield made
    else:
        with hooked(world, "before-send.dynamodb", count):
            yield made


def operation_of(request: Any) -> str:
    """Return the operation of a request to DynamoDB."""
    return str(request.headers["X-Amz-Target"].decode().partition(".")[2])


class Crash(BaseException):
    """Simulate the end of the process, as far as the service can see."""


@contextmanager
def failing(
    world: World,
    call_number: int,
    moment: str = "before-call",
    operation: str = ".TransactWriteItems",
    error: Callable[[], BaseException] = Crash,
) -> Iterator[None]:
    """Lose the n-th call from now (`before-call`) or its response (`after-call`)."""
    seen = iter(range(1, 1_000))

    def fail(**_: Any) -> None:
        if next(seen) == call_number:
            raise error()

    with hooked(world, f"{moment}.dynamodb{operation}", fail):
        yield


@contextmanager
def interrupted(world: World, operation: str, *jobs: Callable[[], Any]) -> Iterator[None]:
    """Run each job just before one of the next calls of that operation, as a concurrent request would."""
    waiting = iter(jobs)

    def run_next(**_: Any) -> None:
        for job in itertools.islice(waiting, 1):
            job()

    with hooked(world, f"before-call.dynamodb.{operation}", run_next):
        yield


@contextmanager
def hooked(world: World, event: str, hook: Callable[..., Any]) -> Iterator[None]:
    """Call `hook` at that event of the client. Events that allow it use its result as the response."""
    engine = world.table.connection
    moment, _, operation = event.partition("-call.dynamodb")
    if isinstance(engine, Memory) and moment in ("before", "after"):
        with _hooked_memory(engine, moment, lambda call: hook() if operation in ("", f".{call}") else None):
            yield
        return
    events = world.table.connection.client.meta.events
    events.register_first(event, hook)
    try:
        yield
    finally:
        events.unregister(event, hook)


@contextmanager
def _hooked_memory(engine: Memory, moment: str, hook: Callable[[str], Any]) -> Iterator[None]:
    """Call `hook` before or after each call of the in-memory engine."""
    earlier = getattr(engine, moment)
    setattr(engine, moment, hook)
    try:
        yield
    finally:
        setattr(engine, moment, earlier)
