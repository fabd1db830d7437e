"""Undo one import: restore the customers that it changed and remove the customers that it created.

The import log records what the import wrote. Each customer is written under the condition that it is still at the
version that the import wrote, so any later change, such as a claim, wins. The undo has its own idempotency record: it
takes effect once, however often it is requested, by any manager, and after any crash.
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
MAX_ROUNDS: Final = 50  # a round fails when another customer takes a unique key meanwhile; only a defect uses up all
RESULTS_PER_PART: Final = 50  # a part of an idempotency record is an item of limited size

UniqueKeys = dict[Key, Item]


def undo(ctx: RequestContext, pool_id: str, import_id: str) -> Outcome:
    """Return one result per customer that the import wrote. Raises Refused, identically for all who do not manage."""
    pool = ctx.pool(pool_id)
    answered = known_answers(ctx.idempotency)
    if not answered:
        require_manager(ctx, pool)
    written = import_log.read(ctx.backend.table, pool.tenant, pool.id, import_id, ctx.now)
    if not written:
        raise Refused(Refusal("not_found"))
    left = {at: each for at, each in written.items() if at not in answered}
    uow = replace(ctx.uow(pool, manager=True), idempotency=_undo_record(ctx, pool, import_id))
    # Restore first: a restored customer then owns its unique keys before a new one with the same keys is removed.
    results = _restore_all(uow, {at: each for at, each in left.items() if each.before is not None})
    results |= _remove_all(uow, {at: each for at, each in left.items() if each.before is None})
    return Outcome(_store_results(ctx, answered | results))


def _undo_record(ctx: RequestContext, pool: Pool, import_id: str) -> IdempotencyRecord:
    """Load the results of earlier undos of this import by anyone. These customers are not undone a second time."""
    wanted_keys = partial(keys.undone_key, pool.tenant, pool.id, import_id)
    idempotency = IdempotencyRecord(wanted_keys, "", ctx.now, RETENTION_SECONDS)
    idempotency.recall(ctx.backend.table)
    return idempotency


def _store_results(ctx: RequestContext, results: dict[int, Result]) -> dict[int, Result]:
    """Store the results under the Idempotency-Key, if there is one, and return the results to send."""
    if ctx.idempotency is None:
        return results
    given = list(results.items())
    kept: dict[int, Result] = {}
    for start in range(0, len(given), RESULTS_PER_PART):
        kept |= ctx.idempotency.close(ctx.backend.table, dict(given[start : start + RESULTS_PER_PART]))
    return kept


def _restore_all(uow: UnitOfWork, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    by_id = {each.id: each for each in written.values()}

    def plan(customer_id: str, known: Customer | None) -> Transition:
        return _restore(uow.actor, by_id[customer_id], known)

    return attempt(uow, {at: each.id for at, each in written.items()}, plan).results


def _restore(actor: Actor, written: ImportedRow, known: Customer | None) -> Transition:
    required = _conditions(actor, written)
    if known is None or not _as_written(known, written):
        return Transition(actor.customer_key(written.id), known, None, required)
    return transitions.updated(actor, known, required, written.before or {}, UNDO_REASON)


def _conditions(actor: Actor, written: ImportedRow) -> tuple[Rule, ...]:
    key = actor.customer_key(written.id)
    untouched = rules.not_modified_since(key, written.version, written.created_at)
    return (*transitions.manager_rules(actor), rules.exists(key), untouched)


def _as_written(known: Customer, written: ImportedRow) -> bool:
    return (known.version, known.created_at) == (written.version, written.created_at)


def _remove_all(uow: UnitOfWork, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    """Remove the customers and the unique keys that they still own. Keys of other customers stay."""
    by_id = {each.id: each for each in written.values()}
    unique_keys: dict[str, UniqueKeys] = {}
    foreign: set[Key] = set()

    def plan(customer_id: str, known: Customer | None) -> Transition:
        unique_keys[customer_id] = {} if known is None else items.unique_key_items(known)
        own = {key: item for key, item in unique_keys[customer_id].items() if key not in foreign}
        return _remove(uow.actor, by_id[customer_id], known, own)

    results: dict[int, Result] = {}
    for _ in range(MAX_ROUNDS):
        pending = {at: each.id for at, each in written.items() if at not in results}
        settled = attempt(uow, pending, plan).results
        results |= {at: result for at, result in settled.items() if not result.refused_as(rules.KEY_TAKEN)}
        if len(results) == len(written):
            return results
        foreign |= _foreign_keys(uow, [unique_keys[settled[at].id] for at in pending if at not in results])
    raise Throttled


def _foreign_keys(uow: UnitOfWork, believed: list[UniqueKeys]) -> set[Key]:
    """Return the unique keys that are no longer as these customers wrote them; such a key never returns to them."""
    stored = uow.table.get([key for unique_keys in believed for key in unique_keys])
    return {key for unique_keys in believed for key, item in unique_keys.items() if stored.get(key) != item}


def _remove(actor: Actor, written: ImportedRow, known: Customer | None, own: UniqueKeys) -> Transition:
    key, required = actor.customer_key(written.id), _conditions(actor, written)
    if known is None or not _as_written(known, written):
        return Transition(key, known, None, required)
    own_keys = tuple(rules.still_written(unique_key, item) for unique_key, item in own.items())
    return Transition(key, known, None, (*required, *own_keys), removed_by=actor.user, unique_key_rules=own_keys)
