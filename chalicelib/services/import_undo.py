"""Undoes one import, for the customers that nobody has touched since: what was changed says again what it said
before, what was new leaves the pool.

What an import did is known from its log, and says nothing of what stands now: each customer is written under the
condition that it is still at the very version which the import made. So a claim a moment earlier wins. An undoing
keeps a journal of its own: it has one effect, however often, by whomever and after whatever crash it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from chalicelib.domain import rules, transitions
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.services.pools import require_manager
from chalicelib.transactions import import_log
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import IdempotencyRecord, Result, known_answers
from chalicelib.transactions.import_log import RETENTION_SECONDS, ImportedRow
from chalicelib.transactions.unit_of_work import Outcome, UnitOfWork, attempt

UNDO_REASON: Final = "import undone"  # of the event
MAX_ROUNDS: Final = 50  # each is lost to somebody who said the same number meanwhile; only a defect could use them up
RESULTS_PER_PART: Final = 50  # of a journal, whose parts are items of limited size

Guards = dict[Key, Item]


def undo(ctx: RequestContext, pool_id: str, import_id: str) -> Outcome:
    """One result for each customer that the import wrote. Raises Refused, the same to whoever is no manager."""
    pool = ctx.pool(pool_id)
    answered = known_answers(ctx.idempotency)
    if not answered:
        require_manager(ctx, pool)
    written = import_log.read(ctx.backend.table, pool.tenant, pool.id, import_id, ctx.now)
    if not written:
        raise Refused(Refusal("not_found"))
    left = {at: each for at, each in written.items() if at not in answered}
    uow = replace(ctx.uow(pool, manager=True), idempotency=_own_journal(ctx, pool, import_id))
    # What says a number again first: then its guard is no longer that of a new customer which says it too.
    results = _restored(uow, {at: each for at, each in left.items() if each.before is not None})
    results |= _removed(uow, {at: each for at, each in left.items() if each.before is None})
    return Outcome(_kept(ctx, answered | results))


def _own_journal(ctx: RequestContext, pool: Pool, import_id: str) -> IdempotencyRecord:
    """What was undone before, by whomever: nothing of it is undone again, whatever has come in its place."""
    wanted_keys = partial(keys.undone_key, pool.tenant, pool.id, import_id)
    idempotency = IdempotencyRecord(wanted_keys, "", ctx.now, RETENTION_SECONDS)
    idempotency.recall(ctx.backend.table)
    return idempotency


def _kept(ctx: RequestContext, results: dict[int, Result]) -> dict[int, Result]:
    """The results as they are answered, under the Idempotency-Key too."""
    if ctx.idempotency is None:
        return results
    given = list(results.items())
    kept: dict[int, Result] = {}
    for start in range(0, len(given), RESULTS_PER_PART):
        kept |= ctx.idempotency.close(ctx.backend.table, dict(given[start : start + RESULTS_PER_PART]))
    return kept


def _restored(uow: UnitOfWork, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    by_id = {each.id: each for each in written.values()}

    def plan(customer_id: str, known: Customer | None) -> Transition:
        return _restore(uow.actor, by_id[customer_id], known)

    return attempt(uow, {at: each.id for at, each in written.items()}, plan).results


def _restore(actor: Actor, written: ImportedRow, known: Customer | None) -> Transition:
    asked = _asked(actor, written)
    if known is None or not _as_written(known, written):
        return Transition(actor.customer_key(written.id), known, None, asked)
    return transitions.updated(actor, known, asked, written.before or {}, UNDO_REASON)


def _asked(actor: Actor, written: ImportedRow) -> tuple[Rule, ...]:
    key = actor.customer_key(written.id)
    untouched = rules.not_modified_since(key, written.version, written.created_at)
    return (*transitions.manager_rules(actor), rules.exists(key), untouched)


def _as_written(known: Customer, written: ImportedRow) -> bool:
    return (known.version, known.created_at) == (written.version, written.created_at)


def _removed(uow: UnitOfWork, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    """Customers leave, each with the guards that are still its own: no other's are touched."""
    by_id = {each.id: each for each in written.values()}
    unique_keys: dict[str, Guards] = {}
    others: set[Key] = set()

    def plan(customer_id: str, known: Customer | None) -> Transition:
        unique_keys[customer_id] = {} if known is None else items.unique_key_items(known)
        own = {key: item for key, item in unique_keys[customer_id].items() if key not in others}
        return _remove(uow.actor, by_id[customer_id], known, own)

    results: dict[int, Result] = {}
    for _ in range(MAX_ROUNDS):
        pending = {at: each.id for at, each in written.items() if at not in results}
        settled = attempt(uow, pending, plan).results
        results |= {at: result for at, result in settled.items() if not result.refused_as(rules.KEY_TAKEN)}
        if len(results) == len(written):
            return results
        others |= _others(uow, [unique_keys[settled[at].id] for at in pending if at not in results])
    raise Throttled


def _others(uow: UnitOfWork, believed: list[Guards]) -> set[Key]:
    """The guards that are not as those customers wrote them. Such a one is never theirs again: they do not change."""
    stored = uow.table.get([key for unique_keys in believed for key in unique_keys])
    return {key for unique_keys in believed for key, item in unique_keys.items() if stored.get(key) != item}


def _remove(actor: Actor, written: ImportedRow, known: Customer | None, own: Guards) -> Transition:
    key, asked = actor.customer_key(written.id), _asked(actor, written)
    if known is None or not _as_written(known, written):
        return Transition(key, known, None, asked)
    forgets = tuple(rules.still_written(unique_key, item) for unique_key, item in own.items())
    return Transition(key, known, None, (*asked, *forgets), removed_by=actor.user, forgets=forgets)
