"""Claim and release: what members do. Single and batch are the same, a single verb being a batch of one.

The plans here choose a move for each customer; `settling` carries them out. No limit, state or role is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from chalicelib.domain import transitions
from chalicelib.domain.rules import Quota, broken_rules
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Customer, Pool
from chalicelib.services import expiry
from chalicelib.services.pools import only_members
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome, Planner, UnitOfWork, execute


def claim(ctx: RequestContext, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    pool = ctx.pool(pool_id)
    uow = quota_unit_of_work(ctx, pool)
    return execute(uow, ids, claim_planner(ctx, pool, uow.actor), atomic=atomic)


def release(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    *,
    claim_id: str | None = None,
    reason: str | None = None,
    atomic: bool = False,
) -> Outcome:
    uow = ctx.uow(ctx.pool(pool_id))

    def plan(customer: str, known: Customer | None) -> Transition:
        return transitions.release(uow.actor, customer, known, claim_id, reason)

    return execute(uow, ids, plan, atomic=atomic)


def claim_planner(ctx: RequestContext, pool: Pool, actor: Actor, *, by_id: bool = True) -> Planner:
    """A claim of each customer. With `by_id` false the client named none: one that the actor holds already is refused
    then, since only what this very request takes is its result."""

    def plan(customer: str, known: Customer | None) -> Transition | Refusal:
        if pool.status != "open":
            return Refusal("pool_not_open")
        transition = transitions.claim(actor, customer, known, ctx.backend.new_id())
        return transition if by_id else replace(transition, already_held_by=None)

    return plan


def quota_unit_of_work(ctx: RequestContext, pool: Pool, *, manager: bool = False) -> UnitOfWork:
    """For verbs that use up a limit: a taker's lapsed claims are returned before the limit is said to be reached."""
    return ctx.uow(pool, manager=manager, make_room=lambda user: expiry.expire_claims_of(ctx, pool, user))


def eligibility(ctx: RequestContext, pool_id: str, customer_id: str) -> list[Refusal]:
    """Every rule that keeps the caller from claiming that customer now, in order; none if they may, or hold it.

    An answer for people to read, true at its moment: a claim asks again. Raises Refused for who may not read the pool.
    An admin may, and is blocked where they are no member.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    known = ctx.backend.customer_cache.read(ctx.backend.table, actor, [customer_id] if _is_id(customer_id) else [])
    found = ctx.backend.table.get([actor.member_key])
    customer = known.get(customer_id)
    only_members(ctx, pool, found)
    if customer is None:
        raise Refused(Refusal("not_found"))
    closed = [] if pool.status == "open" else [Refusal("pool_not_open")]
    if customer.held_by(actor.user, actor.clock(customer)):
        return closed
    asked = transitions.claim(actor, customer_id, customer, "").rules
    own = found.get(actor.member_key, {})
    stands = {actor.member_key: own, actor.customer_key(customer_id): items.customer_item(customer)}
    return [*closed, *broken_rules(asked, stands), *(_limit_refusals(ctx, pool, own) if own else [])]


def _limit_refusals(ctx: RequestContext, pool: Pool, member_item: Item) -> list[Refusal]:
    """The caller's own lapsed claims are not counted: a claim would return them first."""
    actor = ctx.actor(pool)
    lapsed = expiry.expired_claims_of(ctx, pool, actor.user)
    kept = items.deserialize(member_item["held"]) - len(lapsed)
    room = items.deserialize(member_item["room"]) + len(lapsed)
    standing = member_item | {"held": items.serialize(kept), "room": items.serialize(room)}
    return Quota(actor.member_key, actor.policy, actor.now, 1, home=actor.home).refusals(standing, 0)


def _is_id(text: str) -> bool:
    return IDENTIFIER.fullmatch(text) is not None
