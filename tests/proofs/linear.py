"""A linearizability checker: the search of Wing and Gong.

A history records when each request was sent, when it was answered, and its result. It is linearizable if each request
can be given a moment between the two such that, one after the other, each has the result the rules give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf

State = tuple[tuple[str, str], ...]  # who holds what, sorted: (customer, holder)
UNKNOWN = "?"


@dataclass(frozen=True)
class Op:
    """One request. `result` is `ok`, a code, the state that was read, or UNKNOWN; a request with an unknown result may
    take effect at any later time, or never.
    """

    start: float
    end: float
    who: str
    verb: str
    customer: str
    result: str
    to: str = ""

    @property
    def latest(self) -> float:
        return inf if self.result == UNKNOWN else self.end


Step = Callable[[State, Op], Iterable[State]]


def in_order(history: Sequence[Op], step: Step, state: State = ()) -> bool:
    """Return True if the history is linearizable from that state. `step` returns the states a request may lead to with
    its recorded result, or none if that result is impossible.
    """
    ops = sorted(history, key=lambda op: op.start)
    certain = sum(1 << at for at, op in enumerate(ops) if op.result != UNKNOWN)
    tried: set[tuple[int, State]] = set()

    def goes_on(done: int, state: State) -> bool:
        if done & certain == certain:
            return True
        if (done, state) in tried:
            return False
        tried.add((done, state))
        left = [(at, op) for at, op in enumerate(ops) if not done >> at & 1]
        first_answer = min(op.latest for _, op in left)
        return any(
            goes_on(done | 1 << at, after) for at, op in left if op.start <= first_answer for after in step(state, op)
        )

    return goes_on(0, state)


def pool_of(limit: int) -> Step:
    """The rules of a pool in which each member may hold so many, and mona manages."""

    def step(state: State, op: Op) -> Iterable[State]:
        if op.result == UNKNOWN:
            return [after for result, after in outcomes(state, op, limit) if result == "ok"]
        return [after for result, after in outcomes(state, op, limit) if result == op.result]

    return step


def outcomes(state: State, op: Op, limit: int) -> list[tuple[str, State]]:
    """Return the result of that request in that state, and the next state."""
    held = dict(state)
    holder = held.get(op.customer)
    if op.verb == "look":
        return [(str(holder), state)]
    if op.verb == "count":
        return [(str(number_of(held, op.who)), state)]
    recipient = op.who if op.verb == "claim" else op.to
    full = number_of(held, recipient) >= limit
    if op.verb == "claim":
        if holder == op.who:
            return [("ok", state)]
        return [("already_claimed", state)] if holder else [taken(held, op.customer, recipient, full)]
    if holder is None:
        return [("not_claimed", state)]
    if op.verb == "release":
        return [("ok", stated(held, op.customer, None))] if op.who in (holder, "mona") else [("not_holder", state)]
    assert op.verb == "transfer"
    return [("ok", state)] if holder == op.to else [taken(held, op.customer, recipient, full)]


def number_of(held: dict[str, str], user: str) -> int:
    return sum(holder == user for holder in held.values())


def taken(held: dict[str, str], customer: str, recipient: str, full: bool) -> tuple[str, State]:
    return ("holding_limit", stated(held)) if full else ("ok", stated(held, customer, recipient))


def stated(held: dict[str, str], customer: str = "", holder: str | None = None) -> State:
    """The state, with that customer held by that member now or by nobody."""
    after = {each: user for each, user in held.items() if each != customer}
    return tuple(sorted((after | ({customer: holder} if holder else {})).items()))
