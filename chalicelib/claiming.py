"""Claim and release: what members do. Single and batch are the same, a single verb being a batch of one.

The plans here choose a move for each customer; `settling` carries them out. No limit, state or role is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from chalicelib import layout, moves, sweeping
from chalicelib.context import Call
from chalicelib.layout import Item
from chalicelib.moves import Actor, Move
from chalicelib.pools import only_members
from chalicelib.records import IDENTIFIER, Customer, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Quota, broken
from chalicelib.settling import Desk, Outcome, Plan, settle


def claim(call: Call, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    pool = call.pool(pool_id)
    desk = desk_with_room(call, pool)
    return settle(desk, ids, claim_plan(call, pool, desk.actor), atomic=atomic)


def release(
    call: Call,
    pool_id: str,
    ids: Sequence[str],
    *,
    claim_id: str | None = None,
    reason: str | None = None,
    atomic: bool = False,
) -> Outcome:
    desk = call.desk(call.pool(pool_id))

    def plan(customer: str, known: Customer | None) -> Move:
        return moves.release(desk.actor, customer, known, claim_id, reason)

    return settle(desk, ids, plan, atomic=atomic)


def claim_plan(call: Call, pool: Pool, actor: Actor, *, by_id: bool = True) -> Plan:
    """A claim of each customer. With `by_id` false the client named none: one that the actor holds already is refused
    then, since only what this very request takes is its result."""

    def plan(customer: str, known: Customer | None) -> Move | Refusal:
        if pool.status != "open":
            return Refusal("pool_not_open")
        move = moves.claim(actor, customer, known, call.backend.mint())
        return move if by_id else replace(move, kept_by=None)

    return plan


def desk_with_room(call: Call, pool: Pool, *, manager: bool = False) -> Desk:
    """For verbs that use up a limit: a taker's lapsed claims are returned before the limit is said to be reached."""
    return call.desk(pool, manager=manager, make_room=lambda user: sweeping.return_lapsed_of(call, pool, user))


def eligibility(call: Call, pool_id: str, customer_id: str) -> list[Refusal]:
    """Every rule that keeps the caller from claiming that customer now, in order; none if they may, or hold it.

    An answer for people to read, true at its moment: a claim asks again. Raises Refused for who may not read the pool.
    An admin may, and is blocked where they are no member.
    """
    pool = call.pool(pool_id)
    actor = call.actor(pool)
    known = call.backend.copies.read(call.backend.table, actor, [customer_id] if _is_id(customer_id) else [])
    found = call.backend.table.get([actor.member_key])
    customer = known.get(customer_id)
    only_members(call, pool, found)
    if customer is None:
        raise Refused(Refusal("not_found"))
    closed = [] if pool.status == "open" else [Refusal("pool_not_open")]
    if customer.held_by(actor.user, actor.clock(customer)):
        return closed
    asked = moves.claim(actor, customer_id, customer, "").rules
    own = found.get(actor.member_key, {})
    stands = {actor.member_key: own, actor.customer_key(customer_id): layout.customer_item(customer)}
    return [*closed, *broken(asked, stands), *(_limits(call, pool, own) if own else [])]


def _limits(call: Call, pool: Pool, member_item: Item) -> list[Refusal]:
    """The caller's own lapsed claims are not counted: a claim would return them first."""
    actor = call.actor(pool)
    lapsed = sweeping.lapsed_of(call, pool, actor.user)
    kept = layout.plain(member_item["held"]) - len(lapsed)
    room = layout.plain(member_item["room"]) + len(lapsed)
    standing = member_item | {"held": layout.value(kept), "room": layout.value(room)}
    return Quota(actor.member_key, actor.policy, actor.now, 1, home=actor.home).refusals(standing, 0)


def _is_id(text: str) -> bool:
    return IDENTIFIER.fullmatch(text) is not None
