"""Changing a pool's policy: for new claims only or for all, and how many claims that would concern.

A change is bound to the version that the manager saw. Applying it to all claims works out each deadline again from the
stored facts alone, so repeating the request finishes what was cut short.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from chalicelib.domain import deadlines, system_transitions
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import keys, sharded_query
from chalicelib.dynamodb.keys import DUE
from chalicelib.dynamodb.table import Check, Put
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Policy, Pool
from chalicelib.model.validation import FieldError, from_msgspec
from chalicelib.services.pools import require_manager, updated_pool
from chalicelib.transactions import serializers
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.unit_of_work import UnitOfWork, execute

PAGE: Final = 100


def change(
    ctx: RequestContext, pool_id: str, name: str | None, policy: dict[str, Any], *, to_all: bool, dry_run: bool
) -> dict[str, Any]:
    """The pool as changed; with `to_all` or `dry_run` also `affected`, the number of claims whose deadline changes.

    Rules left out of `policy` stay as they are. Raises Refused, also where the client names no version.
    """
    pool = ctx.pool_now(pool_id)
    if ctx.if_match is None:
        raise _wrong(ctx, pool, "version_conflict", [FieldError("no_version")])
    # What the client saw decides: if that is not how the pool stands, the write is refused.
    seen = replace(pool, version=ctx.if_match)
    wanted = replace(seen, name=name or pool.name).ruled_by(_merged(ctx, pool, policy), ctx.now)
    if dry_run:
        _may_change(ctx, pool)
        return ctx.finish(serializers.pool(wanted) | {"affected": sum(len(page) for page in _affected(ctx, wanted))})
    changed, write, same = updated_pool(seen, wanted, ctx.now)
    by_manager = _by_manager(ctx.actor(pool), write, same)
    if not to_all:
        body = ctx.commit(*by_manager, serializers.pool(changed))
        ctx.forget(pool_id)
        return body
    if ctx.idempotency is None or 0 not in ctx.idempotency.answers:
        ctx.commit(*by_manager, serializers.pool(changed), position=0)
        ctx.forget(pool_id)
    now_ruling = ctx.pool_now(pool_id)
    return ctx.finish(serializers.pool(now_ruling) | {"affected": _apply(ctx, now_ruling)})


def _merged(ctx: RequestContext, pool: Pool, given: dict[str, Any]) -> Policy:
    try:
        merged = msgspec.convert(msgspec.to_builtins(pool.policy) | given, Policy)
    except msgspec.ValidationError as error:
        raise _wrong(ctx, pool, "policy_invalid", [from_msgspec(error, Policy, names=True)]) from error
    if problems := merged.problems():
        raise _wrong(ctx, pool, "policy_invalid", problems)
    return merged


def _wrong(ctx: RequestContext, pool: Pool, reason: str, errors: list[FieldError]) -> Refused:
    """What is wrong with a change, for those who may change the pool. Raises Refused for all others."""
    require_manager(ctx, pool)
    return Refused(Refusal(reason, errors=tuple(errors)))


def _by_manager(caller: Actor, write: Put, same: Rule) -> tuple[list[Check | Put], list[Rule]]:
    """That write, provided that the caller manages the pool; and what it asks, in order."""
    manages = caller.manager_rules()
    checks = [Check(rule.key, rule.condition) for rule in manages]
    return [*checks, write], [*caller.member_rules(), *manages, same]


def _may_change(ctx: RequestContext, pool: Pool) -> None:
    require_manager(ctx, pool)
    if ctx.if_match != pool.version:
        raise Refused(Refusal("version_conflict"))


def _affected(ctx: RequestContext, pool: Pool) -> Iterator[list[str]]:
    """The ids of the claims whose deadline the policy changes, page by page. A lapsed one is past changing."""
    actor = ctx.actor(pool)
    for page in sharded_query.pages(
        ctx.backend.table, sharded_query.partitions_of(keys.due_in, pool), index=DUE, limit=PAGE
    ):
        ids = [keys.id_from_pk(key.pk) for key in page.keys]
        known = CustomerCache(whole=False).read(ctx.backend.table, actor, ids).values()
        yield [each.id for each in known if each is not None and _changes(actor, each)]


def _changes(actor: Actor, customer: Customer) -> bool:
    moment = actor.clock(customer)
    if customer.state != "claimed" or customer.lapsed(moment):
        return False
    anew = deadlines.recomputed(customer, actor.policy, moment)
    return any(anew[name] != getattr(customer, name) for name in ("expires_at", "clock_ends", "remind_at"))


def _apply(ctx: RequestContext, pool: Pool) -> int:
    """Each page is found before it is changed: a claim with a new deadline moves on in the index."""
    actor = ctx.actor(pool)
    uow = UnitOfWork(ctx.backend.table, CustomerCache(whole=False), replace(actor, if_match=None))
    done = 0
    for ids in list(_affected(ctx, pool)):
        outcome = execute(uow, ids, lambda each, known: _clocked(actor, known))
        done += len(outcome.changed)
    return done


def _clocked(actor: Actor, known: Customer | None) -> Transition | Refusal:
    """One that has its new deadline by now, through another attempt of this request, gets no second one."""
    if known is None or not _changes(actor, known):
        return system_transitions.NOT_APPLICABLE
    return system_transitions.recompute_deadline(actor, known)
