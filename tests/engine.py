"""What tests do at the door between the service and its engine: count the requests, or let one of them fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.world import World


@contextmanager
def counted(world: World) -> Iterator[Counter[str]]:
    """The DynamoDB requests made inside, by operation."""
    made: Counter[str] = Counter()

    def count(request: Any, **_: Any) -> None:
        made[operation_of(request)] += 1

    with hooked(world, "before-send.dynamodb", count):
        yield made


def operation_of(request: Any) -> str:
    """What a request on its way to the engine asks for."""
    return str(request.headers["X-Amz-Target"].decode().partition(".")[2])


class Crash(BaseException):
    """The process ends here, as far as the service can tell."""


@contextmanager
def failing(
    world: World,
    call_number: int,
    moment: str = "before-call",
    operation: str = ".TransactWriteItems",
    error: Callable[[], BaseException] = Crash,
) -> Iterator[None]:
    """The engine's n-th call from now does not arrive (`before-call`), or its answer does not (`after-call`)."""
    seen = iter(range(1, 1_000))

    def fail(**_: Any) -> None:
        if next(seen) == call_number:
            raise error()

    with hooked(world, f"{moment}.dynamodb{operation}", fail):
        yield


@contextmanager
def hooked(world: World, event: str, hook: Callable[..., Any]) -> Iterator[None]:
    """Calls `hook` at that event of the client; what it returns is the answer, where the event takes one."""
    events = world.table.connection.client.meta.events
    events.register_first(event, hook)
    try:
        yield
    finally:
        events.unregister(event, hook)
