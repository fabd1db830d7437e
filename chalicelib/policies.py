"""Changing a pool's policy: for new claims only or for all, and how many claims that would concern.

A change is bound to the version that the manager saw. Applying it to all claims works out each deadline again from the
stored facts alone, so repeating the request finishes what was cut short.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from chalicelib import deadlines, layout, places, shards, upkeep, views
from chalicelib.context import Call
from chalicelib.copies import Copies
from chalicelib.moves import Actor, Move
from chalicelib.places import DUE
from chalicelib.pools import only_managers, rewritten
from chalicelib.records import Customer, Policy, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.rules import Rule
from chalicelib.settling import Desk, settle
from chalicelib.table import Check, Put
from chalicelib.validation import FieldError, from_msgspec

PAGE: Final = 100


def change(
    call: Call, pool_id: str, name: str | None, policy: dict[str, Any], *, to_all: bool, dry_run: bool
) -> dict[str, Any]:
    """The pool as changed; with `to_all` or `dry_run` also `affected`, the number of claims whose deadline changes.

    Rules left out of `policy` stay as they are. Raises Refused, also where the client names no version.
    """
    pool = call.pool_now(pool_id)
    if call.if_match is None:
        raise _wrong(call, pool, "version_conflict", [FieldError("no_version")])
    # What the client saw decides: if that is not how the pool stands, the write is refused.
    seen = replace(pool, version=call.if_match)
    wanted = replace(seen, name=name or pool.name).ruled_by(_merged(call, pool, policy), call.now)
    if dry_run:
        _may_change(call, pool)
        return call.finish(views.pool(wanted) | {"affected": sum(len(page) for page in _affected(call, wanted))})
    changed, write, same = rewritten(seen, wanted, call.now)
    by_manager = _by_manager(call.actor(pool), write, same)
    if not to_all:
        body = call.commit(*by_manager, views.pool(changed))
        call.forget(pool_id)
        return body
    if call.journal is None or 0 not in call.journal.answers:
        call.commit(*by_manager, views.pool(changed), position=0)
        call.forget(pool_id)
    now_ruling = call.pool_now(pool_id)
    return call.finish(views.pool(now_ruling) | {"affected": _apply(call, now_ruling)})


def _merged(call: Call, pool: Pool, given: dict[str, Any]) -> Policy:
    try:
        merged = msgspec.convert(msgspec.to_builtins(pool.policy) | given, Policy)
    except msgspec.ValidationError as error:
        raise _wrong(call, pool, "policy_invalid", [from_msgspec(error, Policy, names=True)]) from error
    if problems := merged.problems():
        raise _wrong(call, pool, "policy_invalid", problems)
    return merged


def _wrong(call: Call, pool: Pool, reason: str, errors: list[FieldError]) -> Refused:
    """What is wrong with a change, for those who may change the pool. Raises Refused for all others."""
    only_managers(call, pool)
    return Refused(Refusal(reason, errors=tuple(errors)))


def _by_manager(caller: Actor, write: Put, same: Rule) -> tuple[list[Check | Put], list[Rule]]:
    """That write, provided that the caller manages the pool; and what it asks, in order."""
    manages = caller.manager_rules()
    checks = [Check(rule.key, rule.condition) for rule in manages]
    return [*checks, write], [*caller.member_rules(), *manages, same]


def _may_change(call: Call, pool: Pool) -> None:
    only_managers(call, pool)
    if call.if_match != pool.version:
        raise Refused(Refusal("version_conflict"))


def _affected(call: Call, pool: Pool) -> Iterator[list[str]]:
    """The ids of the claims whose deadline the policy changes, page by page. A lapsed one is past changing."""
    actor = call.actor(pool)
    for page in shards.pages(call.backend.table, shards.of(places.due_in, pool), index=DUE, limit=PAGE):
        ids = [layout.id_in(key.pk) for key in page.keys]
        known = Copies(whole=False).read(call.backend.table, actor, ids).values()
        yield [each.id for each in known if each is not None and _changes(actor, each)]


def _changes(actor: Actor, customer: Customer) -> bool:
    moment = actor.clock(customer)
    if customer.state != "claimed" or customer.lapsed(moment):
        return False
    anew = deadlines.anew(customer, actor.policy, moment)
    return any(anew[name] != getattr(customer, name) for name in ("expires_at", "clock_ends", "remind_at"))


def _apply(call: Call, pool: Pool) -> int:
    """Each page is found before it is changed: a claim with a new deadline moves on in the index."""
    actor = call.actor(pool)
    desk = Desk(call.backend.table, Copies(whole=False), replace(actor, if_match=None))
    done = 0
    for ids in list(_affected(call, pool)):
        outcome = settle(desk, ids, lambda each, known: _clocked(actor, known))
        done += len(outcome.changed)
    return done


def _clocked(actor: Actor, known: Customer | None) -> Move | Refusal:
    """One that has its new deadline by now, through another attempt of this request, gets no second one."""
    if known is None or not _changes(actor, known):
        return upkeep.NOT_CONCERNED
    return upkeep.clock_anew(actor, known)
