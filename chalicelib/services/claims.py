"""Claim and release customers, one or many: a single verb is a batch of one.

The transition of a customer is planned in `domain`, and the unit of work executes it. Do not check limits, states or
roles here: they are conditions of the transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from chalicelib.domain import transitions
from chalicelib.domain.rules import Quota, broken_rules
from chalicelib.dynamodb import items, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Pool
from chalicelib.model.text import IDENTIFIER
from chalicelib.services.pools import only_members
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.expired_claims import expired_claims_of
from chalicelib.transactions.unit_of_work import Outcome


def claim(ctx: RequestContext, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    """Claim customers up to the caller's limits. Return one result per id, in input order."""
    actor = ctx.actor(ctx.pool(pool_id))
    territory = partial(ctx.backend.territories.territory_of, actor.member_key)
    planner = partial(transitions.claim, actor, new_id=ctx.backend.new_id, territory=territory)
    return ctx.taking_uow(actor, planner, atomic=atomic).execute(ids)


def release(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    *,
    claim_id: str | None = None,
    reason: str | None = None,
    atomic: bool = False,
) -> Outcome:
    """Release customers to the pool. Return one result per id, in input order."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(transitions.release, actor, claim_id=claim_id, reason=reason)
    return ctx.uow(actor, planner, atomic=atomic).execute(ids)


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
    if customer is None or (actor.hides(customer) and not ctx.manages(pool, found)):
        raise Refused(Refusal("not_found"))
    closed = [] if pool.status == "open" else [Refusal("pool_not_open")]
    if customer.held_by(actor.user, actor.clock(customer)):
        return closed
    own = found.get(actor.member_key, {})
    required = transitions.claiming_rules(actor, customer_id, customer, pool_items.territory_record(own))
    stands = {actor.member_key: own, actor.customer_key(customer_id): items.customer_item(customer)}
    return [*closed, *broken_rules(required, stands), *(_limit_refusals(ctx, pool, own) if own else [])]


def _limit_refusals(ctx: RequestContext, pool: Pool, member_item: Item) -> list[Refusal]:
    """Return the limits that are reached, without the caller's expired claims: a claim returns these first."""
    actor = ctx.actor(pool)
    expired = expired_claims_of(ctx.backend.table, pool, actor.user, ctx.now)
    kept = items.deserialize(member_item["held"]) - len(expired)
    room = items.deserialize(member_item["room"]) + len(expired)
    swept = member_item | {"held": items.serialize(kept), "room": items.serialize(room)}
    return Quota(actor.member_key, actor.policy, actor.now, 1, home=actor.home).refusals(swept, 0)


def _is_id(text: str) -> bool:
    return IDENTIFIER.fullmatch(text) is not None
