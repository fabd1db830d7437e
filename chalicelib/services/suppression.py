"""Suppress customers that are not to be contacted, and end the suppression, also of an erased customer (rule 49).

The transitions are planned in `domain.suppression`. Nothing here reads the suppressed contacts: the unit of work writes
them together with the customer.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from chalicelib.domain import rules, suppression
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.model import Tombstone
from chalicelib.model.text import IDENTIFIER
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome, UnitOfWork

MAX_ROUNDS: Final = 10  # a tombstone changes once, when its suppression ends


def suppress(ctx: RequestContext, pool_id: str, customer: str, *, force: bool) -> Outcome:
    """Suppress a customer. One that somebody holds or owns is reclaimed, with `force` only."""
    actor = ctx.actor(ctx.pool(pool_id))
    return ctx.uow(actor, partial(suppression.suppress, actor, force=force), managed=True).execute([customer])


def unsuppress(ctx: RequestContext, pool_id: str, customer: str) -> Outcome:
    """End the suppression of a customer or, if it is erased, of its id."""
    actor = ctx.actor(ctx.pool(pool_id))
    uow = ctx.uow(actor, partial(suppression.unsuppress, actor), managed=True)
    outcome = uow.attempt({0: customer})
    if not outcome.results[0].refused_as("not_found"):
        return uow.finish(outcome)
    return _of_erased(ctx, actor, customer) or uow.finish(outcome)


def _of_erased(ctx: RequestContext, actor: Actor, customer: str) -> Outcome | None:
    """End the suppression of an erased customer. Return None if no such customer has been erased."""
    for _ in range(MAX_ROUNDS):
        tombstone = _tombstone(ctx, actor, customer)
        if tombstone is None:
            return None
        uow: UnitOfWork = ctx.uow(actor, partial(suppression.unsuppress_erased, actor, tombstone=tombstone))
        outcome = uow.attempt({0: customer}, known={customer: None})
        if not outcome.results[0].refused_as(rules.KEY_CHANGED):
            return uow.finish(outcome)
    raise Throttled


def _tombstone(ctx: RequestContext, actor: Actor, customer: str) -> Tombstone | None:
    key = actor.customer_key(customer)
    stored = ctx.backend.table.get([key]).get(key) if IDENTIFIER.fullmatch(customer) else None
    return items.tombstone_record(stored) if stored is not None and items.is_tombstone(stored) else None
