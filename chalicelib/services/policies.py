"""Change a pool's policy, for new claims or for all, and count the affected claims.

A change requires the version that the manager saw. Applying it to all claims recomputes each deadline from stored
attributes only, so a repeated request completes an interrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from chalicelib.domain import deadlines, rendering, system_transitions
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import keys, sharded_query
from chalicelib.dynamodb.keys import DUE
from chalicelib.dynamodb.table import Action, Check
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.field_definitions import Field
from chalicelib.model.model import Customer, Pool
from chalicelib.model.policy import Policy
from chalicelib.model.responses import Body, Schema
from chalicelib.model.validation import FieldError, from_msgspec
from chalicelib.services import field_forecast, totals
from chalicelib.services.pools import require_manager, updated_pool
from chalicelib.transactions import change_log
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.unit_of_work import UnitOfWork

PAGE: Final = 100
NAMED_CUSTOMERS: Final = 100
NAMED_HOLDERS: Final = 1_000
_RECOMPUTED: Final = ("expires_at", "clock_ends", "remind_at", "pinned_until")


class Change(NamedTuple):
    """A manager's changes of a pool. Rules left out of `policy` stay; without a name or fields, those stay."""

    name: str | None
    policy: dict[str, Any]
    fields: tuple[Field, ...] | None = None


def change(ctx: RequestContext, pool_id: str, wished: Change, *, to_all: bool, dry_run: bool) -> Body:
    """Return the changed pool; with `to_all` or `dry_run` also `affected`, the number of claims that change.

    Raises Refused, also if the client sends no version.
    """
    pool = ctx.pool_now(pool_id)
    if ctx.if_match is None:
        raise _invalid_change(ctx, pool, "version_conflict", [FieldError("no_version")])
    # The client's version is the condition: the write is refused if the pool has another.
    seen = replace(pool, version=ctx.if_match)
    fields = pool.fields if wished.fields is None else wished.fields
    twins = pool.twins if fields == pool.fields else {}
    wanted = replace(seen, name=wished.name or pool.name, fields=fields, twins=twins)
    wanted = wanted.ruled_by(_merged(ctx, pool, wished.policy), ctx.now)
    if dry_run:
        _may_change(ctx, pool)
        return ctx.finish(_tried(ctx, pool, wanted, with_fields=wished.fields is not None))
    changed, write, same = updated_pool(seen, wanted, ctx.now)
    entries = change_log.of_pool(ctx, pool, changed)
    by_manager = _by_manager(ctx.actor(pool), [write, *entries], same)
    if not to_all:
        shown = rendering.with_fields_problem(rendering.pool(changed, totals.of_pool(ctx, pool)), changed)
        body = ctx.commit(*by_manager, shown)
        ctx.forget(pool_id)
        return body
    if 0 not in ctx.idempotency.answers:
        ctx.commit(*by_manager, Schema(), position=0)
        ctx.forget(pool_id)
    current = ctx.pool_now(pool_id)
    affected = _apply(ctx, current)
    body = rendering.changed_pool(current, totals.of_pool(ctx, current), affected)
    return ctx.finish(rendering.with_fields_problem(body, current))


def _merged(ctx: RequestContext, pool: Pool, given: dict[str, Any]) -> Policy:
    try:
        merged = msgspec.convert(msgspec.to_builtins(pool.policy) | given, Policy)
    except msgspec.ValidationError as error:
        raise _invalid_change(ctx, pool, "policy_invalid", [from_msgspec(error, Policy, names=True)]) from error
    if problems := merged.problems():
        raise _invalid_change(ctx, pool, "policy_invalid", problems)
    return merged


def _invalid_change(ctx: RequestContext, pool: Pool, reason: str, errors: list[FieldError]) -> Refused:
    """Return the refusal of an invalid change. Raises Refused if the caller may not change the pool at all."""
    require_manager(ctx, pool)
    return Refused(Refusal(reason, errors=tuple(errors)))


def _by_manager(caller: Actor, writes: Sequence[Action], same: Rule) -> tuple[list[Action], list[Rule]]:
    """Return the writes with checks that the caller manages the pool, and all its rules in order."""
    manages = caller.manager_rules()
    checks = [Check(rule.key, rule.condition) for rule in manages]
    return [*checks, *writes], [*caller.member_rules(), *manages, same]


def _may_change(ctx: RequestContext, pool: Pool) -> None:
    require_manager(ctx, pool)
    if ctx.if_match != pool.version:
        raise Refused(Refusal("version_conflict"))


def _tried(ctx: RequestContext, before: Pool, pool: Pool, *, with_fields: bool) -> Body:
    """Return the pool with the claims that the policy would change: their number, the first, and their holders.

    With fields also what their change would mean for the customers.
    """
    affected, customers, holders = 0, list[str](), set[str]()
    for page in _affected(ctx, pool):
        affected += len(page)
        customers += [each.id for each in page[: NAMED_CUSTOMERS - len(customers)]]
        holders |= {each.holder for each in page if each.holder is not None}
    counts = totals.of_pool(ctx, pool)
    body = rendering.tried_pool(pool, counts, affected, customers, sorted(holders)[:NAMED_HOLDERS])
    if not with_fields:
        return body
    return replace(body, fields_forecast=field_forecast.forecast(ctx, before, pool))


def _affected(ctx: RequestContext, pool: Pool) -> Iterator[list[Customer]]:
    """Yield the customers whose deadline the policy changes, page by page. Those past their deadline never change."""
    actor = ctx.actor(pool)
    lists = [*sharded_query.partitions_of(keys.due_in, pool), keys.private_in(pool.tenant, pool.id)]
    for page in sharded_query.pages(ctx.backend.table, lists, index=DUE, limit=PAGE):
        ids = [keys.id_from_pk(key.pk) for key in page.keys]
        known = CustomerCache(whole=False).read(ctx.backend.table, actor, ids, malformed=set()).values()
        yield [each for each in known if each is not None and _changes(actor, each)]


def _changes(actor: Actor, customer: Customer) -> bool:
    moment = actor.clock(customer)
    if customer.holder is None or customer.expired(moment):
        return False
    recomputed = deadlines.recomputed(customer, actor.policy, moment)
    return any(recomputed[name] != getattr(customer, name) for name in _RECOMPUTED)


def _apply(ctx: RequestContext, pool: Pool) -> int:
    """Recompute the deadlines and return how many changed. List first: a new deadline moves a claim in the index."""
    actor = ctx.actor(pool)
    planner = partial(system_transitions.planned, _recompute, actor)
    uow = UnitOfWork(ctx.backend.table, CustomerCache(whole=False), replace(actor, if_match=None), planner)
    pages = [[each.id for each in page] for page in _affected(ctx, pool)]
    return sum(len(uow.execute(ids).changed) for ids in pages)


def _recompute(actor: Actor, known: Customer) -> Transition | Refusal:
    """Return the transition to the new deadline; none if another attempt of this request has made it."""
    if not _changes(actor, known):
        return system_transitions.NOT_APPLICABLE
    return system_transitions.recompute_deadline(actor, known)
