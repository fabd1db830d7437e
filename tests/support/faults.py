"""Faults of one DynamoDB call: the request is lost, its response is lost, it is rejected, it arrives late, or it is
stale.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError, EndpointConnectionError

from tests.support.memory import Memory, Sent, cancelled

READS = ("BatchGetItem", "Query")
WRITE = "TransactWriteItems"
ANY = (*READS, WRITE)


@dataclass(frozen=True)
class Fault:
    """A fault of calls of the operations in `hits`. `before` and `after` surround each call of a request and receive
    its distance from the call that is hit, which is 0. `unseen`: a client notices nothing. `forgotten`: the engine has
    forgotten all tokens. `stale`: an index is late.
    """

    name: str
    hits: tuple[str, ...]
    before: Callable[[Memory, int, str], None] = lambda engine, since, call: None
    after: Callable[[Memory, int, str], None] = lambda engine, since, call: None
    unseen: bool = False
    forgotten: bool = False
    stale: bool = False


def befall(engine: Memory, fault: Fault, at: int) -> None:
    """Apply the fault to the call with that number, counted from 0, from now on."""
    engine.remembers = not fault.forgotten
    number = itertools.count(-at)
    current = [0]

    def before(call: str) -> None:
        current[0] = next(number)
        fault.before(engine, current[0], call)

    engine.before = before
    engine.after = lambda call: fault.after(engine, current[0], call)


def unanswered(call: str) -> Exception:
    return EndpointConnectionError(endpoint_url="engine")


def said(call: str, code: str) -> Exception:
    return ClientError({"Error": {"Code": code, "Message": ""}}, call)


def conflict() -> Exception:
    return cancelled([{}, None], "TransactionConflict")


def _once(error: Callable[[str], Exception]) -> Callable[[Memory, int, str], None]:
    def strike(engine: Memory, since: int, call: str) -> None:
        if since == 0:
            raise error(call)

    return strike


def _for_good(engine: Memory, since: int, call: str) -> None:
    if since >= 0:
        raise unanswered(call)


def _conflicts(times: int) -> Callable[[Memory, int, str], None]:
    def strike(engine: Memory, since: int, call: str) -> None:
        if 0 <= since < times and call == WRITE:
            raise conflict()

    return strike


def _committed_all_the_same(engine: Memory, since: int, call: str) -> None:
    if since == 0:
        engine.deliver(engine.sent)
        raise conflict()


def _only_then(name: str) -> Callable[[Memory, int, str], None]:
    def switch(engine: Memory, since: int, call: str) -> None:
        setattr(engine, name, since == 0)

    return switch


def _from_then(name: str) -> Callable[[Memory, int, str], None]:
    def switch(engine: Memory, since: int, call: str) -> None:
        setattr(engine, name, since >= 0)

    return switch


def _html(call: str) -> Exception:
    """A 500 whose body is a page: botocore makes its status the code."""
    return said(call, "500")


FAULTS = [
    Fault("the request is lost", ANY, before=_once(unanswered)),
    Fault("the answer is lost", ANY, after=_once(unanswered)),
    Fault("the engine is away from then on", ANY, before=_for_good),
    Fault("the engine is away after that", ANY, after=_for_good, before=lambda engine, since, call: (
        _for_good(engine, since - 1, call))),
    Fault("a page says 500", ANY, before=_once(_html)),
    Fault("a page says 500 after the commit", (WRITE,), after=_once(_html)),
    Fault("it is throttled", ANY, before=_once(lambda call: said(call, "ProvisionedThroughputExceededException"))),
    Fault("it meets another transaction", (WRITE,), before=_conflicts(1), unseen=True),
    Fault("it meets others four times", (WRITE,), before=_conflicts(4), unseen=True),
    Fault("it meets others and commits all the same", (WRITE,), before=_committed_all_the_same, unseen=True),
    Fault("it arrives twice", (WRITE,), before=_only_then("twice"), unseen=True),
    Fault("it arrives twice, long after", (WRITE,), before=_only_then("twice"), unseen=True, forgotten=True),
    Fault("it commits and seems to have met others, long after", (WRITE,), before=_committed_all_the_same,
          unseen=True, forgotten=True),
    Fault("some keys are left unread", ("BatchGetItem",), before=_only_then("torn"), unseen=True),
    Fault("only one key is read at a time", ("BatchGetItem",), before=_from_then("torn"), unseen=True),
    Fault("a page is empty and not the last", ("Query",), before=_only_then("blank"), unseen=True),
    Fault("the index is late", ("Query",), before=_only_then("late"), unseen=True, stale=True),
    Fault("all indexes are late from then on", ("Query",), before=_from_then("late"), unseen=True, stale=True),
]  # fmt: skip


class Late:
    """A transaction that is held up on its way: its sender hears nothing, and it arrives when it is let go."""

    def __init__(self, engine: Memory, at: int) -> None:
        self.engine = engine
        self.held: Sent | None = None
        befall(engine, Fault("it is held up", (WRITE,), before=self._hold), at)

    def _hold(self, engine: Memory, since: int, call: str) -> None:
        if since == 0:
            self.held = engine.sent
            raise unanswered(call)

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
