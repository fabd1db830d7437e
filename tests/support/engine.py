"""Hooks at the client of the service for DynamoDB: count the requests, or let one of them fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.memory import Memory
from tests.support.world import World


@contextmanager
def counted(world: World) -> Iterator[Counter[str]]:
    """The DynamoDB requests made inside, by operation."""
    made: Counter[str] = Counter()

    def count(request: Any, **_: Any) -> None:
        made[operation_of(request)] += 1

    engine = world.table.connection
    if isinstance(engine, Memory):
        with _told(engine, "before", lambda call: made.update([call])):
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
def hooked(world: World, event: str, hook: Callable[..., Any]) -> Iterator[None]:
    """Calls `hook` at that event of the client; what it returns is the answer, where the event takes one."""
    engine = world.table.connection
    moment, _, operation = event.partition("-call.dynamodb")
    if isinstance(engine, Memory) and moment in ("before", "after"):
        with _told(engine, moment, lambda call: hook() if operation in ("", f".{call}") else None):
            yield
        return
    events = world.table.connection.client.meta.events
    events.register_first(event, hook)
    try:
        yield
    finally:
        events.unregister(event, hook)


@contextmanager
def _told(engine: Memory, moment: str, hear: Callable[[str], Any]) -> Iterator[None]:
    """Call `hear` before or after each call of the in-memory engine."""
    earlier = getattr(engine, moment)
    setattr(engine, moment, hear)
    try:
        yield
    finally:
        setattr(engine, moment, earlier)
