"""Faults of one DynamoDB call: the request is lost, its response is lost, it is rejected, it arrives late, or it is
stale.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from botocore.exceptions import ClientError, EndpointConnectionError

from tests.support.memory import Memory, Sent, cancelled

READS = ("BatchGetItem", "Query")
WRITE = "TransactWriteItems"
ANY = (*READS, WRITE)


@dataclass(frozen=True)
class Fault:
    """A fault of calls of the operations in `hits`. `before` and `after` surround each call of a request and receive
    its distance from the call that is hit, which is 0. `unseen`: the client gets the normal response. `forgotten`: the
    engine has forgotten all tokens. `stale`: an index is late.
    """

    name: str
    hits: tuple[str, ...]
    before: Callable[[Memory, int, str], None] = lambda engine, since, call: None
    after: Callable[[Memory, int, str], None] = lambda engine, since, call: None
    unseen: bool = False
    forgotten: bool = False
    stale: bool = False


def inject(engine: Memory, fault: Fault, at: int) -> None:
    """Apply the fault to the call with that number, counted from 0, from now on."""
    engine.remembers = not fault.forgotten
    number = itertools.count(-at)
    current = [0]

    def before(call: str) -> None:
        current[0] = next(number)
        fault.before(engine, current[0], call)

    engine.before = before
    engine.after = lambda call: fault.after(engine, current[0], call)


def connection_error(call: str) -> Exception:
    return EndpointConnectionError(endpoint_url="engine")


def client_error(call: str, code: str) -> Exception:
    return ClientError({"Error": {"Code": code, "Message": ""}}, call)


def conflict() -> Exception:
    return cancelled([{}, None], "TransactionConflict")


def _once(error: Callable[[str], Exception]) -> Callable[[Memory, int, str], None]:
    def fault(engine: Memory, since: int, call: str) -> None:
        if since == 0:
            raise error(call)

    return fault


def _from_then_on_lost(engine: Memory, since: int, call: str) -> None:
    if since >= 0:
        raise connection_error(call)


def _conflicts(times: int) -> Callable[[Memory, int, str], None]:
    def fault(engine: Memory, since: int, call: str) -> None:
        if 0 <= since < times and call == WRITE:
            raise conflict()

    return fault


def _committed_then_conflict(engine: Memory, since: int, call: str) -> None:
    if since == 0:
        engine.deliver(engine.sent)
        raise conflict()


def _only_at_that_call(name: str) -> Callable[[Memory, int, str], None]:
    def switch(engine: Memory, since: int, call: str) -> None:
        setattr(engine, name, since == 0)

    return switch


def _from_that_call_on(name: str) -> Callable[[Memory, int, str], None]:
    def switch(engine: Memory, since: int, call: str) -> None:
        setattr(engine, name, since >= 0)

    return switch


def _throttled(call: str) -> Exception:
    return client_error(call, "ProvisionedThroughputExceededException")


def _html(call: str) -> Exception:
    """A 500 with an HTML body: botocore makes the status the error code."""
    return client_error(call, "500")


FAULTS = [
    Fault("the request is lost", ANY, before=_once(connection_error)),
    Fault("the answer is lost", ANY, after=_once(connection_error)),
    Fault("the engine is unreachable from then on", ANY, before=_from_then_on_lost),
    Fault("the engine is unreachable after that", ANY, after=_from_then_on_lost, before=lambda engine, since, call: (
        _from_then_on_lost(engine, since - 1, call))),
    Fault("a page with status 500", ANY, before=_once(_html)),
    Fault("a page with status 500 after the commit", (WRITE,), after=_once(_html)),
    Fault("it is throttled", ANY, before=_once(_throttled)),
    Fault("it meets another transaction", (WRITE,), before=_conflicts(1), unseen=True),
    Fault("it meets others four times", (WRITE,), before=_conflicts(4), unseen=True),
    Fault("it meets others and commits all the same", (WRITE,), before=_committed_then_conflict, unseen=True),
    Fault("it arrives twice", (WRITE,), before=_only_at_that_call("twice"), unseen=True),
    Fault("it arrives twice, long after", (WRITE,), before=_only_at_that_call("twice"), unseen=True, forgotten=True),
    Fault("it commits and seems to have met others, long after", (WRITE,), before=_committed_then_conflict,
          unseen=True, forgotten=True),
    Fault("some keys are left unread", ("BatchGetItem",), before=_only_at_that_call("torn"), unseen=True),
    Fault("only one key is read at a time", ("BatchGetItem",), before=_from_that_call_on("torn"), unseen=True),
    Fault("a page is empty and not the last", ("Query",), before=_only_at_that_call("blank"), unseen=True),
    Fault("the index is late", ("Query",), before=_only_at_that_call("late"), unseen=True, stale=True),
    Fault("all indexes are late from then on", ("Query",), before=_from_that_call_on("late"), unseen=True, stale=True),
]  # fmt: skip


class Late:
    """A delayed transaction: its sender gets no response, and it arrives when the test releases it."""

    def __init__(self, engine: Memory, at: int) -> None:
        self.engine = engine
        self.held: Sent | None = None
        inject(engine, Fault("it is held up", (WRITE,), before=self._hold), at)

    def _hold(self, engine: Memory, since: int, call: str) -> None:
        if since == 0:
            self.held = engine.sent
            raise connection_error(call)

    def arrive_at(self, number: int) -> None:
        """Just before the call of that number, counted from 0, from now on."""
        calls = itertools.count()

        def before(call: str) -> None:
            if next(calls) == number:
                self.arrive()

        self.engine.before, self.engine.after = before, lambda call: None

    def arrive(self) -> None:
        held, self.held = self.held, None
        if held is not None:
            self.engine.deliver(held)


# Patterns of throttled calls

THROTTLED, CONFLICT = "throttled", "conflict"
Pattern = dict[int, str]  # the fault of each call that has one, by its number from 0


def patterns(
    calls_under: Callable[[Pattern], list[str]], most: int, pattern: Pattern | None = None
) -> Iterator[Pattern]:
    """Yield every pattern of up to `most` throttled calls and conflicts that a request can meet.

    `calls_under` sends the request under a pattern, and returns the calls that the request made.
    """
    pattern = pattern or {}
    calls = calls_under(pattern)
    yield pattern
    for at in range(max(pattern, default=-1) + 1, len(calls) if len(pattern) < most else 0):
        for fault in (THROTTLED, CONFLICT) if calls[at] == WRITE else (THROTTLED,):
            yield from patterns(calls_under, most, pattern | {at: fault})


def inject_pattern(engine: Memory, pattern: Pattern) -> list[str]:
    """Apply the pattern to the calls from now on. Return the list to which each call is added."""
    calls: list[str] = []

    def before(call: str) -> None:
        calls.append(call)
        fault = pattern.get(len(calls) - 1)
        if fault is not None:
            raise conflict() if fault == CONFLICT else _throttled(call)

    engine.before = before
    return calls


def first_throttled(pattern: Pattern) -> int | None:
    """Return the number of the first throttled call, counted from 1; None if no call is throttled."""
    return min((at + 1 for at, fault in pattern.items() if fault == THROTTLED), default=None)
