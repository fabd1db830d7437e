"""Import by phone number, e-mail address or external id: find the customer of each row, and add or update it.

A unique-key item names the last customer with that contact. It is only a hint: the customer may have another contact
by now, and then the row creates a new one. A new customer is written under the condition that the unique-key items of
its row have not changed. Of two concurrent imports one creates the customer; the other finds the key taken and reads
again. A row with several numbers is about the customer of the first one that belongs to any.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from chalicelib.domain import import_transitions, rules
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.domain.import_transitions import Target
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.contact_keys import KEY_KINDS
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.model.responses import RowOutcome
from chalicelib.model.selections import ImportKey
from chalicelib.model.validation import FieldError
from chalicelib.observability import exception_summary
from chalicelib.services.pools import require_manager, require_ready
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import Result
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.unit_of_work import Outcome, without_malformed

log = logging.getLogger("customer-pool")
_BY_ROW: Final = ("id", "auto")  # a row needs no other key
MAX_ROUNDS: Final = 50  # a round fails when another writer takes a key meanwhile; only a defect uses up all


class Forecast(Struct, frozen=True):
    """The result that a row would have: its outcome, or the refusal. `id` is empty for a new customer without one.

    `keys` are equal where two rows may be about one customer. `holder` is the member who would get the customer.
    """

    id: str
    outcome: RowOutcome | None = None
    holder: str | None = None
    refusal: Refusal | None = None
    keys: tuple[str, ...] = ()


class Forecasts(Struct, frozen=True):
    """The forecast of each row, and how many customers each named holder may still get; None without a limit."""

    rows: list[Forecast]
    room: dict[str, int | None]


class Keyed(Struct, frozen=True):
    """A row and the keys that identify its customer: all its phone numbers, or all its addresses, or its external id.

    Without any, the id of the row does, if it has one.
    """

    row: Row
    contact_keys: list[str]


def import_by_key(
    ctx: RequestContext,
    pool_id: str,
    key: ImportKey,
    rows: Sequence[Row | Result],
    on_duplicate: OnDuplicate,
    log: ImportLog,
) -> Outcome:
    """Return one result per row, with the id of its customer. The id of a row is used only for a new customer.

    With the key `auto`, a row is about the customer with its first kind of key or, without any, with its id. A row
    without either is a new customer.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    if not ctx.idempotency.answers:
        checked_key(ctx, pool, key)
    keyed, failed = keyed_rows(actor, key, rows)
    if not keyed:
        require_manager(ctx, pool)
    outcome = Outcome(failed | ctx.idempotency.answers)
    for _ in range(MAX_ROUNDS):
        pending = {at: each for at, each in keyed.items() if at not in outcome.results}
        if not pending:
            outcome.results |= ctx.idempotency.close(ctx.backend.table, without_malformed(outcome.results))
            return outcome
        results = _attempt(ctx, actor, pending, on_duplicate, log)
        outcome.results |= {at: result for at, result in results.items() if not result.refused_as(rules.KEY_TAKEN)}
    raise Throttled


def keyed_rows(
    actor: Actor, key: ImportKey, rows: Sequence[Row | Result]
) -> tuple[dict[int, Keyed], dict[int, Result]]:
    """Return rows with their contact keys, and failures (key missing or repeated), by position."""
    keyed: dict[int, Keyed] = {}
    failed: dict[int, Result] = {}
    earlier: set[str] = set()
    for at, row in enumerate(rows):
        if isinstance(row, Result):
            failed[at] = row
            continue
        found = _identifying_keys(actor, key, row)
        if key not in _BY_ROW and not found:
            kind = key if key in KEY_KINDS else "missing"
            failed[at] = _failed(row, Refusal("invalid_request", errors=(FieldError(kind, f"fields.{key}"),)))
        elif not earlier.isdisjoint(found):
            failed[at] = _failed(row, Refusal("duplicate_in_request"))
        else:
            keyed[at] = Keyed(row, found)
            earlier.update(found if key != "auto" else all_keys(actor, row))
    return keyed, failed


def _identifying_keys(actor: Actor, key: ImportKey, row: Row) -> list[str]:
    if key == "id":
        return []
    unique = actor.unique_keys(row.fields)
    kind = next((each for each in KEY_KINDS if each == key), None)
    if kind is not None:
        return actor.keys_of_kind(kind, row.fields) or list(unique.get(key, ()))
    if key != "auto":
        return list(unique.get(key, ()))
    found = (actor.keys_of_kind(kind, row.fields) for kind in KEY_KINDS)
    return next(filter(None, (*found, *map(list, unique.values()))), [])


def all_keys(actor: Actor, row: Row) -> list[str]:
    """Return the keys of the contacts and of the unique values of a row."""
    unique = actor.unique_keys(row.fields).values()
    return [*actor.contact_keys(row.fields), *(key for each in unique for key in each)]


def checked_key(ctx: RequestContext, pool: Pool, key: ImportKey) -> None:
    """Require a key by which the pool's customers can be found, all of them. Raises Refused."""
    keys_of_pool = (*_BY_ROW, *KEY_KINDS, *pool.definitions.unique)
    if key not in keys_of_pool:
        error = FieldError("not_one_of", "key", (", ".join(dict.fromkeys(keys_of_pool)),))
        raise Refused(Refusal("invalid_request", errors=(error,)))
    by_value = [each for each in pool.definitions.unique if key in (each, "auto") and each in pool.fields_changing]
    if by_value:
        require_manager(ctx, pool)
        require_ready(pool, by_value)


def _failed(row: Row, refusal: Refusal) -> Result:
    return Result("" if row.generated_id else row.id, refusal=refusal)


def _attempt(
    ctx: RequestContext,
    actor: Actor,
    pending: Mapping[int, Keyed],
    on_duplicate: OnDuplicate,
    log: ImportLog,
) -> dict[int, Result]:
    """Look up the customer of each row and write all. A key taken meanwhile is refused as KEY_TAKEN."""
    found = lookup(ctx, actor, pending)
    planner = partial(
        import_transitions.import_target,
        actor,
        targets=found.targets,
        on_duplicate=on_duplicate,
        new_id=ctx.backend.new_id,
    )
    uow = ctx.taking_uow(actor, planner, managed=True, log=log)
    return found.failed | uow.attempt(found.ids, known=found.known).results


class Found(Struct, frozen=True):
    """The customer of each row: ids and failures by position, targets and stored customers by id."""

    ids: dict[int, str]
    targets: dict[str, Target]
    known: dict[str, Customer]
    failed: dict[int, Result]


def lookup(ctx: RequestContext, actor: Actor, pending: Mapping[int, Keyed]) -> Found:
    """Find the customer of each row. A new customer whose id belongs to the customer of another row is a duplicate."""
    targets, failed = _targets(ctx, actor, pending)
    known = {target.customer.id: target.customer for target in targets.values() if target.customer is not None}
    others = {at for at, target in targets.items() if target.customer is None and target.id in known}
    failed |= {at: _failed(targets[at].row, Refusal("duplicate_customer")) for at in others}
    by_id = {target.id: target for at, target in reversed(targets.items()) if at not in others}
    return Found({at: each.id for at, each in targets.items() if at not in others}, by_id, known, failed)


def _targets(
    ctx: RequestContext, actor: Actor, pending: Mapping[int, Keyed]
) -> tuple[dict[int, Target], dict[int, Result]]:
    """Return the target of each row: one read of the unique keys, and one per 50 customers that they name.

    A row whose customer or unique key is malformed has a failure instead. The first read includes the caller's role:
    without it, the number of requests would disclose whether a customer has the phone number.
    """
    table, customer_cache = ctx.backend.table, ctx.backend.customer_cache
    wanted_keys = {
        contact_key: keys.unique_key(actor.tenant, actor.pool, contact_key)
        for each in pending.values()
        for contact_key in each.contact_keys
    }
    unique_keys = table.get([actor.member_key, *wanted_keys.values()])
    require_manager(ctx, actor.home, unique_keys)
    named, damaged = _owners({each: unique_keys[key] for each, key in wanted_keys.items() if key in unique_keys})
    malformed: set[str] = set()
    given = [each.row.id for each in pending.values() if not each.contact_keys and not each.row.generated_id]
    customers = customer_cache.read(table, actor, list(dict.fromkeys([*named.values(), *given])), malformed)
    targets, failed = dict[int, Target](), dict[int, Result]()
    for at, each in pending.items():
        if each.row.id in malformed or any(key in damaged or named.get(key) in malformed for key in each.contact_keys):
            failed[at] = _failed(each.row, Refusal(rules.MALFORMED_RECORD))
            continue
        if not each.contact_keys:
            targets[at] = Target(each.row, customer=customers.get(each.row.id))
            continue
        read = {wanted_keys[key]: unique_keys.get(wanted_keys[key]) for key in each.contact_keys}
        owners = {key: customers.get(named.get(key, "")) for key in each.contact_keys}
        matches = ((key, owner) for key, owner in owners.items() if owner is not None and owner.has_key(key))
        targets[at] = Target(each.row, read, *next(matches, ()))
    return targets, failed


def _owners(unique_keys: Mapping[str, Item]) -> tuple[dict[str, str], set[str]]:
    """Return the customer ids in the unique-key items, and the contact keys of malformed items."""
    named, damaged = dict[str, str](), set[str]()
    for contact_key, item in unique_keys.items():
        try:
            named[contact_key] = items.unique_key_owner(item)
        except items.MALFORMED as error:
            log.error("malformed unique key: %s", exception_summary(error))
            damaged.add(contact_key)
    return named, damaged
