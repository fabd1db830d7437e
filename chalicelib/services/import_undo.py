"""Undo an import: restore the customers that it changed and remove the customers that it created.

Each step undoes one request of the import, the latest first, so that it takes a bounded number of calls. The import log
records what the request wrote. Each customer is written under the condition that it is still at the version that the
import wrote, so any later change, such as a claim, wins. Each step has its own idempotency record: it takes effect
once, however often it is requested, by any manager, and after any crash.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import content_transitions, rules, transitions
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor, GivenUp, Recheck, Remove, Transition, Write
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Check, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.services import unique_keys
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import require_manager
from chalicelib.transactions import import_log
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import IdempotencyRecord, Result
from chalicelib.transactions.import_log import RETENTION_SECONDS, ImportedRow, Logged
from chalicelib.transactions.unit_of_work import Outcome

Rows: TypeAlias = Mapping[str, ImportedRow]  # by id of the customer
UNDO_REASON: Final = "import undone"  # of the event
MAX_ROUNDS: Final = 50  # a round fails when another customer takes a unique key meanwhile; only a defect uses up all
_NEXT: Final = -2  # the position of the next cursor among the results of a step
RESULTS_PER_PART: Final = 50  # a part of an idempotency record is an item of limited size


class Undoing(NamedTuple):
    """The results of one step, and the cursor of the next one, if there is one."""

    outcome: Outcome
    next_cursor: str | None


def undo(ctx: RequestContext, pool_id: str, import_id: str, cursor: str | None) -> Undoing:
    """Undo the latest request of the import, or the one at the cursor. Return one result per customer that it wrote.

    Raises Refused, identically for all who do not manage.
    """
    pool = ctx.pool(pool_id)
    answered = dict(ctx.idempotency.answers)
    if not answered:
        require_manager(ctx, pool)
    codec = CursorCodec(ctx.backend.secret, keys.import_key(pool.tenant, pool.id, import_id).pk)
    start = codec.read(cursor, str) or ""
    if cursor is not None and not import_log.is_place(start):
        raise Refused(Refusal("invalid_cursor"))
    if _NEXT not in answered:
        answered = _undo_step(ctx, pool, import_id, start, codec)
    next_cursor = msgspec.to_builtins(answered.pop(_NEXT).body or {})["next_cursor"]
    return Undoing(Outcome(answered), next_cursor)


def _undo_step(ctx: RequestContext, pool: Pool, import_id: str, start: str, codec: CursorCodec) -> dict[int, Result]:
    """Undo one request of the import. Return its results, and the next cursor as one of them."""
    logged = import_log.read(ctx.backend.table, pool.tenant, pool.id, import_id, ctx.now, start)
    if logged is None:
        raise Refused(Refusal("not_found"))
    answered = dict(ctx.idempotency.answers)
    left = {at: each for at, each in logged.rows.items() if at not in answered}
    undoing = replace(ctx, idempotency=_undo_record(ctx, pool, logged.request))
    # Restore first: a restored customer then owns its unique keys before a new one with the same keys is removed.
    results = _undo_all(undoing, pool, logged, {at: each for at, each in left.items() if not each.is_new})
    results |= _undo_all(undoing, pool, logged, {at: each for at, each in left.items() if each.is_new})
    # A value of a unique field is free only after the removal of the new customer that has it.
    waited = [at for at, each in results.items() if each.refused_as(rules.VALUE_TAKEN)]
    results |= _undo_all(undoing, pool, logged, {at: left[at] for at in waited})
    if logged.earlier is None:
        _mark_undone(ctx, pool, import_id)
    next_cursor = None if logged.earlier is None else codec.write(logged.earlier)
    return _store_results(ctx, answered | results | {_NEXT: Result("", body={"next_cursor": next_cursor})})


def _mark_undone(ctx: RequestContext, pool: Pool, import_id: str) -> None:
    """Store the time of the undo, if the caller still manages the pool."""
    required = ctx.actor(pool).manager_rules()
    checks = [Check(each.key, each.condition) for each in required]
    failed_items = ctx.backend.table.write([import_log.undone(pool.tenant, pool.id, import_id, ctx.now), *checks])
    if failed_items is not None and (refusal := rules.first_broken(required, failed_items)) is not None:
        raise Refused(refusal)


def _undo_record(ctx: RequestContext, pool: Pool, request: str) -> IdempotencyRecord:
    """Load the results of earlier undos of this request by anyone. These customers are not undone a second time."""
    wanted_keys = partial(keys.undone_key, pool.tenant, pool.id, request)
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


def _undo_all(ctx: RequestContext, pool: Pool, logged: Logged, written: Mapping[int, ImportedRow]) -> dict[int, Result]:
    """Restore or remove the customers, with the unique keys that they still own. Keys of other customers stay."""
    actor, results = ctx.actor(pool), dict[int, Result]()
    for _ in range(MAX_ROUNDS):
        pending = {at: each for at, each in written.items() if at not in results}
        if not pending:
            return results
        rows, malformed = {each.id: each for each in pending.values()}, set[str]()
        known = _customers(ctx, actor, rows, malformed)
        changed = _unique_keys(ctx, actor, logged, rows, known)
        uow = ctx.uow(actor, partial(_transition, actor, written=rows, unique_keys=changed), managed=True)
        refused = {at: _malformed(each.id) for at, each in pending.items() if each.id in malformed}
        attempted = uow.attempt({at: each.id for at, each in pending.items() if at not in refused}, known=known)
        results |= refused
        results |= {at: each for at, each in attempted.results.items() if not each.refused_as(rules.KEY_CHANGED)}
    raise Throttled


def _customers(ctx: RequestContext, actor: Actor, rows: Rows, malformed: set[str]) -> dict[str, Customer | None]:
    """Return the customers, from the cache if the cached one is as the import wrote it."""
    cache = ctx.backend.customer_cache
    cached = {name: each for name, each in cache.peek(actor, list(rows)).items() if _as_written(each, rows[name])}
    return {**cached, **cache.read(ctx.backend.table, actor, [each for each in rows if each not in cached], malformed)}


def _malformed(customer: str) -> Result:
    return Result(customer, refusal=Refusal(rules.MALFORMED_RECORD))


def _transition(
    actor: Actor,
    customer: str,
    known: Customer | None,
    written: Rows,
    unique_keys: _UniqueKeys,
) -> Transition:
    imported, key = written[customer], actor.customer_key(customer)
    untouched = rules.still_at_version(key, imported.version, imported.created_at)
    required = (*transitions.manager_verb_rules(actor), rules.customer_exists(key), untouched)
    if known is None or not _as_written(known, imported):
        return Recheck(key, known, required)
    lost = unique_keys.given_up.get(customer, ())
    owned = (*required, *(rule for each in lost for rule in each.rules))
    if imported.is_new:
        return Remove(key, known, owned, by=actor.user, given_up=lost)
    if not imported.before:
        reason = "version_conflict" if imported.before is None else rules.MALFORMED_RECORD
        return Recheck(key, known, (*required, rules.always_fails(key, reason)))
    owned = (*owned, *unique_keys.got_back.get(customer, ()))
    restored = content_transitions.updated(actor, known, owned, imported.before, UNDO_REASON)
    return replace(restored, given_up=lost) if isinstance(restored, Write) else restored


def _as_written(known: Customer, written: ImportedRow) -> bool:
    return (known.version, known.created_at) == (written.version, written.created_at)


# Unique keys


class _UniqueKeys(Struct, frozen=True):
    """By customer: the keys that it took with the import and still owns, and the rules of those that it gets back."""

    given_up: Mapping[str, tuple[GivenUp, ...]]
    got_back: Mapping[str, tuple[Rule, ...]]


def _unique_keys(
    ctx: RequestContext, actor: Actor, logged: Logged, rows: Rows, known: Mapping[str, Customer | None]
) -> _UniqueKeys:
    untouched = {each.id: each for each in known.values() if each is not None and _as_written(each, rows[each.id])}
    left = {name: _left(actor, customer, rows[name]) for name, customer in untouched.items()}
    had = {name: items.unique_key_items(customer) for name, customer in untouched.items()}
    keeps = {name: items.unique_key_items(customer) if customer else {} for name, customer in left.items()}
    gained = {name: keeps[name].keys() - had[name].keys() for name in left}
    regained = {key for each in gained.values() for key in each}
    lost = {name: had[name].keys() - keeps[name].keys() - regained for name in left}
    stored = ctx.backend.table.get([*regained, *(key for each in lost.values() for key in each)])

    def owns(name: str, key: Key, item: Item) -> bool:
        """Return whether the unique-key item is as the customer wrote it. Such an item never returns to a customer."""
        return item | had[name][key] == item

    given_up = unique_keys.given_up(ctx, actor, lost, stored, owns, left)
    free = _not_taken_since(ctx, actor, logged.at, regained, stored)
    return _UniqueKeys(
        given_up, {name: tuple(rule for key in sorted(gained[name]) for rule in free[key]) for name in left}
    )


def _not_taken_since(
    ctx: RequestContext, actor: Actor, imported_at: int, gained: Collection[Key], stored: Mapping[Key, Item]
) -> dict[Key, list[Rule]]:
    """Return rules by key: no other customer has taken it since the import. One that had it before may share it."""
    owners = {
        key: owner for key in gained if key in stored and (owner := unique_keys.owner_of(stored[key])) is not None
    }
    named = sorted(set(owners.values()))
    read = ctx.backend.customer_cache.read(ctx.backend.table, actor, named, malformed=set()) if named else {}
    free = dict[Key, list[Rule]]()
    for key in gained:
        had_by = read.get(owners.get(key, ""))
        if had_by is not None and _took_since(had_by, key, stored[key], imported_at):
            free[key] = [rules.always_fails(key, rules.KEY_TAKEN)]
        else:
            malformed = key in stored and key not in owners
            free[key] = [] if malformed else [rules.not_taken(key, stored.get(key), rules.KEY_CHANGED)]
    return free


def _took_since(owner: Customer, key: Key, unique_key: Item, imported_at: int) -> bool:
    """Return whether the owner of the unique key has it, and took it after the import, but not by an undo."""
    if key not in items.unique_key_items(owner):
        return False
    took = next((event for event in owner.tail if event.seq == items.deserialize(unique_key["version"])), None)
    by_event = took is not None and took.at > imported_at and took.reason != UNDO_REASON
    return owner.created_at > imported_at or by_event


def _left(actor: Actor, known: Customer, written: ImportedRow) -> Customer | None:
    """Return the customer with the unique keys that it has after the undo; None if it is removed."""
    if written.is_new:
        return None
    fields = (written.before or {}).get("fields")
    return known if fields is None else replace(known, contact_keys=actor.contact_keys(fields))
