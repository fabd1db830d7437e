"""Assign, transfer, extend, follow up, win, pin, restore, convert and deposit customers.

As in `claims`, the transition is planned in `domain`, and the unit of work executes it. The rules of the transition
decide whether it is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from chalicelib.domain import claim_transitions, rules
from chalicelib.domain.claim_transitions import WinDetails
from chalicelib.dynamodb import keys
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Pool
from chalicelib.model.text import is_blank
from chalicelib.model.times import DAY, duration_ms
from chalicelib.model.validation import FieldError
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome

LONGEST_CONTRACT_MS: Final = (5 * 365 + 2) * DAY  # five years, with their leap days


def assign(ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str, *, atomic: bool = False) -> Outcome:
    """Assign available customers to a member."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.assign, actor, to=to, new_id=ctx.backend.new_id)
    return ctx.taking_uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def transfer(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str, *, claim_id: str | None = None, atomic: bool = False
) -> Outcome:
    """Transfer claimed customers to another member."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.transfer, actor, to=to, new_id=ctx.backend.new_id, claim_id=claim_id)
    return ctx.taking_uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def extend(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    by: str | None,
    *,
    claim_id: str | None = None,
    atomic: bool = False,
) -> Outcome:
    """Extend claims by the given duration or, without one, by the policy's."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.extend, actor, by=_extension(actor.home, by), claim_id=claim_id)
    return ctx.uow(actor, planner, atomic=atomic).execute(ids)


def _extension(pool: Pool, by: str | None) -> int | None:
    try:
        return pool.policy.length("extension") if by is None else duration_ms(by)
    except ValueError as error:
        raise Refused(Refusal("invalid_request", errors=(FieldError(str(error), "by"),))) from error


def follow_up(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    note: str | None,
    outcome: str | None,
    *,
    single: bool = True,
    atomic: bool = False,
) -> Outcome:
    """Record contacts. A blank note counts as none, and so does a blank outcome. Raises Refused without both."""
    actor = ctx.actor(ctx.pool(pool_id))
    note, outcome = (None if text is None or is_blank(text) else text for text in (note, outcome))
    if note is None and outcome is None:
        raise Refused(Refusal("invalid_request", errors=(FieldError("nothing_written", "note, outcome"),)))
    planner = partial(claim_transitions.follow_up, actor, note=note, outcome=outcome, single=single)
    return ctx.uow(actor, planner, atomic=atomic).execute(ids)


def win(ctx: RequestContext, pool_id: str, ids: Sequence[str], details: WinDetails, *, atomic: bool = False) -> Outcome:
    """Win claims, or request it (rule 29). A manager wins their own claims at once, in a second transaction."""
    actor = ctx.actor(ctx.pool(pool_id))
    if details.ends_at is not None and details.ends_at > ctx.now + LONGEST_CONTRACT_MS:
        raise Refused(Refusal("invalid_request", errors=(FieldError("too_late", "ends_at", (5,)),)))
    planner = partial(claim_transitions.win, actor, details=details)
    outcome = ctx.taking_uow(actor, planner, atomic=atomic).attempt(dict(enumerate(ids)))
    managed = [index for index, result in outcome.results.items() if result.refused_as(rules.BY_MANAGER)]
    again = dict(enumerate(ids)) if atomic and managed else {index: ids[index] for index in managed}
    for index in again:
        del outcome.results[index]
    uow = ctx.taking_uow(actor, partial(planner, as_manager=True), atomic=atomic)
    return uow.finish(uow.attempt(again, outcome=outcome))


def approve_win(ctx: RequestContext, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    """Approve requested wins."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.approve_win, actor)
    return ctx.taking_uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def decline_win(ctx: RequestContext, pool_id: str, customer: str, reason: str | None) -> Outcome:
    """Decline a requested win."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.decline_win, actor, reason=reason)
    return ctx.uow(actor, planner, managed=True).execute([customer])


def pin(ctx: RequestContext, pool_id: str, ids: Sequence[str], until: int, *, atomic: bool = False) -> Outcome:
    """Pin claims. If the pin limit is reached, the caller's pins that have ended are removed first."""
    actor = ctx.actor(ctx.pool(pool_id))
    if not ctx.now < until <= keys.NO_DEADLINE:
        raise Refused(Refusal("invalid_request", errors=(FieldError("future", "until"),)))
    return ctx.pinning_uow(actor, partial(claim_transitions.pin, actor, until=until), atomic=atomic).execute(ids)


def unpin(ctx: RequestContext, pool_id: str, ids: Sequence[str], *, atomic: bool = False) -> Outcome:
    """End the pins of claims."""
    actor = ctx.actor(ctx.pool(pool_id))
    return ctx.uow(actor, partial(claim_transitions.unpin, actor), atomic=atomic).execute(ids)


def restore(ctx: RequestContext, pool_id: str, customer: str) -> Outcome:
    actor = ctx.actor(ctx.pool(pool_id))
    return ctx.uow(actor, partial(claim_transitions.restore, actor), managed=True).execute([customer])


def convert(ctx: RequestContext, pool_id: str, ids: Sequence[str], to: str | None, *, atomic: bool = False) -> Outcome:
    """Make customers private: to their holders, or to the named member."""
    actor = ctx.actor(ctx.pool(pool_id))
    planner = partial(claim_transitions.convert, actor, to=to)
    return ctx.taking_uow(actor, planner, managed=True, atomic=atomic).execute(ids)


def deposit(
    ctx: RequestContext, pool_id: str, ids: Sequence[str], into: str | None, *, atomic: bool = False
) -> Outcome:
    """Deposit customers into the same pool or, with `into`, into another pool of the tenant."""
    pool, target = ctx.pool(pool_id), ctx.pool(into or pool_id)
    actor, there = ctx.actor(pool), replace(ctx.actor(target), if_match=None)
    planner = partial(claim_transitions.deposit, actor, into=there)
    target_pool = target if target.id != pool.id else None
    return ctx.uow(actor, planner, target_pool=target_pool, atomic=atomic).execute(ids)
