"""Import by phone number or e-mail address: find the customer of each row, and add or update it.

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

from chalicelib.domain import content_transitions, rules
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer
from chalicelib.model.normalization import Kind
from chalicelib.model.validation import FieldError
from chalicelib.observability import exception_summary
from chalicelib.services.pools import require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import Result
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.unit_of_work import Outcome, without_malformed

log = logging.getLogger("customer-pool")
MAX_ROUNDS: Final = 50  # a round fails when another writer takes a key meanwhile; only a defect uses up all


class Keyed(Struct, frozen=True):
    """A row and the contact keys that identify its customer: of all its phone numbers, or of its addresses."""

    row: Row
    contact_keys: list[str]


class Target(Struct, frozen=True):
    """A row, its unique keys and the customer with one of these contacts, `contact_key`.

    `unique_keys` are the items as read, None for a free one. An item without such a customer is stale.
    """

    row: Row
    unique_keys: dict[Key, Item | None]
    contact_key: str = ""
    customer: Customer | None = None

    @property
    def id(self) -> str:
        return self.row.id if self.customer is None else self.customer.id


def import_by_key(
    ctx: RequestContext,
    pool_id: str,
    kind: Kind,
    rows: Sequence[Row | Result],
    on_duplicate: OnDuplicate,
    log: ImportLog,
) -> Outcome:
    """Return one result per row, with the id of its customer. The id of a row is used only for a new customer."""
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    keyed, failed = _keyed(actor, kind, rows)
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


def _keyed(actor: Actor, kind: Kind, rows: Sequence[Row | Result]) -> tuple[dict[int, Keyed], dict[int, Result]]:
    """Return rows with their contact keys, and failures (contact missing or repeated), by position."""
    keyed: dict[int, Keyed] = {}
    failed: dict[int, Result] = {}
    earlier: set[str] = set()
    for at, row in enumerate(rows):
        if isinstance(row, Result):
            failed[at] = row
            continue
        found = actor.keys_of_kind(kind, row.fields)
        if not found:
            failed[at] = _failed(row, Refusal("invalid_request", errors=(FieldError(kind, f"fields.{kind}"),)))
        elif not earlier.isdisjoint(found):
            failed[at] = _failed(row, Refusal("duplicate_in_request"))
        else:
            keyed[at] = Keyed(row, found)
            earlier.update(found)
    return keyed, failed


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
    targets, failed = _targets(ctx, actor, pending)
    known = {target.customer.id: target.customer for target in targets.values() if target.customer is not None}
    others = {at for at, target in targets.items() if target.customer is None and target.id in known}
    by_id = {target.id: target for at, target in reversed(targets.items()) if at not in others}
    planner = partial(_transition, actor, targets=by_id, on_duplicate=on_duplicate)
    uow = ctx.uow(actor, planner, managed=True, log=log)
    ids = {at: target.id for at, target in targets.items() if at not in others}
    failed |= {at: _failed(targets[at].row, Refusal("duplicate_customer")) for at in others}
    return failed | uow.attempt(ids, known=known).results


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
    customers = customer_cache.read(table, actor, list(dict.fromkeys(named.values())), malformed)
    targets, failed = dict[int, Target](), dict[int, Result]()
    for at, each in pending.items():
        if any(key in damaged or named.get(key) in malformed for key in each.contact_keys):
            failed[at] = _failed(each.row, Refusal(rules.MALFORMED_RECORD))
            continue
        read = {wanted_keys[key]: unique_keys.get(wanted_keys[key]) for key in each.contact_keys}
        owners = {key: customers.get(named.get(key, "")) for key in each.contact_keys}
        matches = ((key, owner) for key, owner in owners.items() if owner is not None and key in owner.contact_keys)
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


def _transition(
    actor: Actor,
    customer: str,
    current: Customer | None,
    targets: Mapping[str, Target],
    on_duplicate: OnDuplicate,
) -> Transition | Refusal:
    target = targets[customer]
    if target.customer is None:
        first = [rules.not_taken(unique_key, item) for unique_key, item in target.unique_keys.items()]
        return content_transitions.create(actor, target.row, "imported", first=first)
    if current is None or target.contact_key not in current.contact_keys:
        return Refusal(rules.KEY_TAKEN)
    if on_duplicate == "reject":
        return content_transitions.reject_existing(actor, current)
    if on_duplicate == "skip":
        return content_transitions.keep_existing(actor, current)
    return content_transitions.update_row(actor, current, target.row)
