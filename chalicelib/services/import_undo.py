"""Undo one import: restore the customers that it changed and remove the customers that it created.

The import log records what the import wrote. Each customer is written under the condition that it is still at the
version that the import wrote, so any later change, such as a claim, wins. The undo has its own idempotency record: it
takes effect once, however often it is requested, by any manager, and after any crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import content_transitions, rules, transitions
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor, Recheck, Remove, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Table, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.services.pools import require_manager
from chalicelib.transactions import import_log
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import IdempotencyRecord, Result
from chalicelib.transactions.import_log import RETENTION_SECONDS, ImportedRow
from chalicelib.transactions.unit_of_work import Outcome

UNDO_REASON: Final = "import undone"  # of the event
MAX_ROUNDS: Final = 50  # a round fails when another customer takes a unique key meanwhile; only a defect uses up all
RESULTS_PER_PART: Final = 50  # a part of an idempotency record is an item of limited size

UniqueKeys = dict[Key, Item]


def undo(ctx: RequestContext, pool_id: str, import_id: str) -> Outcome:
    """Return one result per customer that the import wrote. Raises Refused, identically for all who do not manage."""
    pool = ctx.pool(pool_id)
    answered = dict(ctx.idempotency.answers)
    if not answered:
        require_manager(ctx, pool)
    written = import_log.read(ctx.backend.table, pool.tenant, pool.id, import_id, ctx.now)
    if not written:
        raise Refused(Refusal("not_found"))
    left = {at: each for at, each in written.items() if at not in answered}
    undoing = replace(ctx, idempotency=_undo_record(ctx, pool, import_id))
    # Restore first: a restored customer then owns its unique keys before a new one with the same keys is removed.
    results = _restore_all(undoing, pool, {at: each for at, each in left.items() if not each.is_new})
    results |= _remove_all(undoing, pool, {at: each for at, each in left.items() if each.is_new})
    return Outcome(_store_results(ctx, answered | results))


def _undo_record(ctx: RequestContext, pool: Pool, import_id: str) -> IdempotencyRecord:
    """Load the results of earlier undos of this import by anyone. These customers are not undone a second time."""
    wanted_keys = partial(keys.undone_key, pool.tenant, pool.id, import_id)
    idempotency = IdempotencyRecord(wanted_keys, "", ctx.now, RETENTION_SECONDS)
    idempotency.load(ctx.backend.table)
    return idempotency


def _store_results(ctx: RequestContext, results: dict[int, Result]) -> dict[int, Result]:
    """Store the results under the Idempotency-Key, if there is one, and return the results to send."""
    given = list(results.items())
    kept: dict[int, Result] = {}
    for start in range(0, len(given), RESULTS_PER_PART):
        kept |= ctx.idempotency.close(ctx.backend.table, dict(given[start : start + RESULTS_PER_PART]))
    return kept


def _restore_all(ctx: RequestContext, pool: Pool, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    actor = ctx.actor(pool)
    planner = partial(_restore, actor, written={each.id: each for each in written.values()})
    return ctx.uow(actor, planner, managed=True).attempt({at: each.id for at, each in written.items()}).results


def _restore(actor: Actor, customer: str, known: Customer | None, written: Mapping[str, ImportedRow]) -> Transition:
    imported = written[customer]
    required = _conditions(actor, imported)
    if known is None or not _as_written(known, imported):
        return Recheck(actor.customer_key(customer), known, required)
    if imported.before is None:
        key = actor.customer_key(customer)
        return Recheck(key, known, (*required, rules.always_fails(key, "version_conflict")))
    return content_transitions.updated(actor, known, required, imported.before, UNDO_REASON)


def _conditions(actor: Actor, written: ImportedRow) -> tuple[Rule, ...]:
    key = actor.customer_key(written.id)
    untouched = rules.not_modified_since(key, written.version, written.created_at)
    return (*transitions.manager_rules(actor), rules.exists(key), untouched)


def _as_written(known: Customer, written: ImportedRow) -> bool:
    return (known.version, known.created_at) == (written.version, written.created_at)


def _remove_all(ctx: RequestContext, pool: Pool, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    """Remove the customers and the unique keys that they still own. Keys of other customers stay."""
    actor, removal = ctx.actor(pool), _Removal({each.id: each for each in written.values()}, {}, set())
    uow = ctx.uow(actor, partial(_remove, actor, removal=removal), managed=True)
    results: dict[int, Result] = {}
    for _ in range(MAX_ROUNDS):
        pending = {at: each.id for at, each in written.items() if at not in results}
        attempted = uow.attempt(pending).results
        results |= {at: result for at, result in attempted.items() if not result.refused_as(rules.KEY_TAKEN)}
        if len(results) == len(written):
            return results
        refused = [removal.unique_keys[attempted[at].id] for at in pending if at not in results]
        removal.foreign.update(_foreign_keys(uow.table, refused))
    raise Throttled


class _Removal(Struct):
    """The rows to remove, the unique keys that each customer wrote, and those that belong to others by now."""

    written: Mapping[str, ImportedRow]
    unique_keys: dict[str, UniqueKeys]
    foreign: set[Key]


def _foreign_keys(table: Table, believed: list[UniqueKeys]) -> set[Key]:
    """Return the unique keys that are no longer as these customers wrote them; such a key never returns to them."""
    stored = table.get([key for unique_keys in believed for key in unique_keys])
    return {key for unique_keys in believed for key, item in unique_keys.items() if stored.get(key) != item}


def _remove(actor: Actor, customer: str, known: Customer | None, removal: _Removal) -> Transition:
    imported, key = removal.written[customer], actor.customer_key(customer)
    removal.unique_keys[customer] = {} if known is None else items.unique_key_items(known)
    required = _conditions(actor, imported)
    if known is None or not _as_written(known, imported):
        return Recheck(key, known, required)
    own = {each: item for each, item in removal.unique_keys[customer].items() if each not in removal.foreign}
    own_keys = tuple(rules.still_written(unique_key, item) for unique_key, item in own.items())
    return Remove(key, known, (*required, *own_keys), by=actor.user, unique_key_rules=own_keys)
