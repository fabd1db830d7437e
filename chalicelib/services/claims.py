"""Claim and release customers, one or many: a single verb is a batch of one.

The planners here choose a transition for each customer, and the unit of work executes it. Do not check limits, states
or roles here: they are conditions of the transition.
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
    """Return a planner that claims each customer.

    With `by_id` false (claim-next), a customer that the actor already holds is refused: only customers that this
    request takes are its results.
    """

    def plan(customer: str, known: Customer | None) -> Transition | Refusal:
        if pool.status != "open":
            return Refusal("pool_not_open")
        transition = transitions.claim(actor, customer, known, ctx.backend.new_id())
        return transition if by_id else replace(transition, already_held_by=None)

    return plan


def quota_unit_of_work(ctx: RequestContext, pool: Pool, *, manager: bool = False) -> UnitOfWork:
    """Return a unit of work that returns the recipient's expired claims before it refuses because of a limit."""
    return ctx.uow(pool, manager=manager, make_room=lambda user: expiry.expire_claims_of(ctx, pool, user))


def eligibility(ctx: RequestContext, pool_id: str, customer_id: str) -> list[Refusal]:
    """Return every rule that keeps the caller from claiming the customer now, in order; none if they may, or hold it.

    The result is informational: a claim checks all rules again. Raises Refused if the caller may not read the pool. An
    admin may read it, but needs a membership to claim.
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
    required = transitions.claim(actor, customer_id, customer, "").rules
    own = found.get(actor.member_key, {})
    stands = {actor.member_key: own, actor.customer_key(customer_id): items.customer_item(customer)}
    return [*closed, *broken_rules(required, stands), *(_limit_refusals(ctx, pool, own) if own else [])]


def _limit_refusals(ctx: RequestContext, pool: Pool, member_item: Item) -> list[Refusal]:
    """Return the limits that are reached, without the caller's expired claims: a claim returns these first."""
    actor = ctx.actor(pool)
    expired = expiry.expired_claims_of(ctx, pool, actor.user)
    kept = items.deserialize(member_item["held"]) - len(expired)
    room = items.deserialize(member_item["room"]) + len(expired)
    standing = member_item | {"held": items.serialize(kept), "room": items.serialize(room)}
    return Quota(actor.member_key, actor.policy, actor.now, 1, home=actor.home).refusals(standing, 0)


def _is_id(text: str) -> bool:
    return IDENTIFIER.fullmatch(text) is not None
