"""The verbs beyond claim and release: assign, transfer, extend, follow-up, win, convert, deposit; single and batch.

As in `claiming`, a plan chooses the move and `settling` carries it out; what may be done is said by the move's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalicelib import lifecycle
from chalicelib.claiming import desk_with_room
from chalicelib.context import Call
from chalicelib.moves import Actor, Move
from chalicelib.records import Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.settling import Outcome, settle
from chalicelib.times import duration_ms

Make = Callable[[Actor, str, Customer | None], Move]


def assign(call: Call, pool_id: str, ids: Sequence[str], to: str, *, atomic: bool = False) -> Outcome:
    mint = call.backend.mint
    return _give(
        call, pool_id, ids, lambda actor, each, known: lifecycle.assign(actor, each, known, to, mint()), atomic
    )


def transfer(
    call: Call, pool_id: str, ids: Sequence[str], to: str, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    mint = call.backend.mint
    return _give(
        call,
        pool_id,
        ids,
        lambda actor, each, known: lifecycle.transfer(actor, each, known, to, mint(), claim_id),
        atomic,
    )


def _give(call: Call, pool_id: str, ids: Sequence[str], make: Make, atomic: bool) -> Outcome:
    """A claim begins, so the pool must be open."""
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool, manager=True)

    def plan(customer: str, known: Customer | None) -> Move | Refusal:
        return make(desk.actor, customer, known) if pool.status == "open" else Refusal("pool_not_open")

    return settle(desk, ids, plan, atomic=atomic)


def extend(
    call: Call, pool_id: str, ids: Sequence[str], by: str | None, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    """By the given duration or, without one, by the policy's."""
    pool = call.pool(pool_id)
    length = _extension(pool, by)
    return _move(
        call, pool, ids, lambda actor, each, known: lifecycle.extend(actor, each, known, length, claim_id), atomic
    )


def _extension(pool: Pool, by: str | None) -> int:
    asked = by or pool.policy.extension
    if asked is None:
        raise Refused(Refusal("invalid_request", errors=("by: the policy gives no extension of its own",)))
    try:
        return duration_ms(asked)
    except ValueError as error:
        raise Refused(Refusal("invalid_request", errors=(f"by: {error}",))) from error


def follow_up(call: Call, pool_id: str, customer: str, note: str | None, outcome: str | None) -> Outcome:
    said = ": ".join(part for part in (outcome, note) if part) or None
    return _move(
        call, call.pool(pool_id), [customer], lambda actor, each, known: lifecycle.follow_up(actor, each, known, said)
    )


def win(call: Call, pool_id: str, customer: str) -> Outcome:
    return _move(call, call.pool(pool_id), [customer], lifecycle.win)


def convert(call: Call, pool_id: str, ids: Sequence[str], to: str | None, *, atomic: bool = False) -> Outcome:
    pool = call.pool(pool_id)
    return _move(
        call, pool, ids, lambda actor, each, known: lifecycle.convert(actor, each, known, to), atomic, manager=True
    )


def deposit(call: Call, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    return _move(call, call.pool(pool_id), ids, lifecycle.deposit, atomic)


def _move(
    call: Call, pool: Pool, ids: Sequence[str], make: Make, atomic: bool = False, *, manager: bool = False
) -> Outcome:
    desk = call.desk(pool, manager=manager)
    return settle(desk, ids, lambda customer, known: make(desk.actor, customer, known), atomic=atomic)
