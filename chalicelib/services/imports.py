"""Import by phone number or e-mail address: find the customer of each row, and add or update it.

A unique-key item names the last customer with that contact. It is only a hint: the customer may have another contact
by now, and then the row creates a new one. A new customer is written under the condition that the unique-key item has
not changed. Of two concurrent imports one creates the customer; the other finds the key taken and reads again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from chalicelib.domain import content_transitions, rules
from chalicelib.domain.content_transitions import OnDuplicate, Row, new_customer
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer
from chalicelib.model.normalization import Kind, key_in
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
    """A row and the normalized contact that identifies its customer."""

    row: Row
    contact: str


class Target(Struct, frozen=True):
    """A row, its unique-key item and the customer with that contact. An item without such a customer is stale."""

    row: Row
    contact: str
    unique_key: Item | None
    customer: Customer | None

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
    keyed, failed = _keyed(kind, rows)
    if not keyed:
        require_manager(ctx, pool)
    outcome = Outcome(failed | ctx.idempotency.answers)
    for _ in range(MAX_ROUNDS):
        pending = {at: each for at, each in keyed.items() if at not in outcome.results}
        if not pending:
            outcome.results |= ctx.idempotency.close(ctx.backend.table, without_malformed(outcome.results))
            return outcome
        results = _attempt(ctx, ctx.actor(pool), kind, pending, on_duplicate, log)
        outcome.results |= {at: result for at, result in results.items() if not result.refused_as(rules.KEY_TAKEN)}
    raise Throttled


def _keyed(kind: Kind, rows: Sequence[Row | Result]) -> tuple[dict[int, Keyed], dict[int, Result]]:
    """Return rows with their contacts, and failures (contact missing or repeated), by position."""
    keyed: dict[int, Keyed] = {}
    failed: dict[int, Result] = {}
    earlier: set[str] = set()
    for at, row in enumerate(rows):
        if isinstance(row, Result):
            failed[at] = row
            continue
        contact = key_in(kind, row.fields)
        if contact is None:
            failed[at] = _failed(row, Refusal("invalid_request", errors=(FieldError(kind, f"fields.{kind}"),)))
        elif contact in earlier:
            failed[at] = _failed(row, Refusal("duplicate_in_request"))
        else:
            keyed[at] = Keyed(row, contact)
            earlier.add(contact)
    return keyed, failed


def _failed(row: Row, refusal: Refusal) -> Result:
    return Result("" if row.generated_id else row.id, refusal=refusal)


def _attempt(
    ctx: RequestContext,
    actor: Actor,
    kind: Kind,
    pending: Mapping[int, Keyed],
    on_duplicate: OnDuplicate,
    log: ImportLog,
) -> dict[int, Result]:
    """Look up the customer of each row and write all. A key taken meanwhile is refused as KEY_TAKEN."""
    targets, failed = _targets(ctx, actor, kind, pending)
    known = {target.customer.id: target.customer for target in targets.values() if target.customer is not None}
    others = {at for at, target in targets.items() if target.customer is None and target.id in known}
    by_id = {target.id: target for at, target in reversed(targets.items()) if at not in others}
    planner = partial(_transition, actor, targets=by_id, kind=kind, on_duplicate=on_duplicate)
    uow = ctx.uow(actor, planner, managed=True, log=log)
    ids = {at: target.id for at, target in targets.items() if at not in others}
    failed |= {at: _failed(targets[at].row, Refusal("duplicate_customer")) for at in others}
    return failed | uow.attempt(ids, known=known).results


def _targets(
    ctx: RequestContext, actor: Actor, kind: Kind, pending: Mapping[int, Keyed]
) -> tuple[dict[int, Target], dict[int, Result]]:
    """Return the target of each row: one read of the unique keys, and one per 50 customers that they name.

    A row whose customer or unique key is malformed has a failure instead. The first read includes the caller's role:
    without it, the number of requests would disclose whether a customer has the phone number.
    """
    table, customer_cache = ctx.backend.table, ctx.backend.customer_cache
    wanted_keys = {at: keys.unique_key(actor.tenant, actor.pool, kind, each.contact) for at, each in pending.items()}
    unique_keys = table.get([actor.member_key, *wanted_keys.values()])
    require_manager(ctx, actor.home, unique_keys)
    named, damaged = _owners({at: unique_keys[key] for at, key in wanted_keys.items() if key in unique_keys})
    malformed: set[str] = set()
    customers = customer_cache.read(table, actor, list(dict.fromkeys(named.values())), malformed)
    targets, failed = dict[int, Target](), dict[int, Result]()
    for at, each in pending.items():
        if at in damaged or named.get(at) in malformed:
            failed[at] = _failed(each.row, Refusal(rules.MALFORMED_RECORD))
            continue
        customer = customers.get(named.get(at, ""))
        matches = customer is not None and key_in(kind, customer.fields) == each.contact
        targets[at] = Target(each.row, each.contact, unique_keys.get(wanted_keys[at]), customer if matches else None)
    return targets, failed


def _owners(unique_keys: Mapping[int, Item]) -> tuple[dict[int, str], set[int]]:
    """Return the customer ids in the unique-key items, and the positions of malformed items."""
    named, damaged = dict[int, str](), set[int]()
    for at, item in unique_keys.items():
        try:
            named[at] = items.unique_key_owner(item)
        except items.MALFORMED as error:
            log.error("malformed unique key: %s", exception_summary(error))
            damaged.add(at)
    return named, damaged


def _transition(
    actor: Actor,
    customer: str,
    current: Customer | None,
    targets: Mapping[str, Target],
    kind: Kind,
    on_duplicate: OnDuplicate,
) -> Transition | Refusal:
    target = targets[customer]
    if target.customer is None:
        unique_key = keys.unique_key(actor.tenant, actor.pool, kind, target.contact)
        first = [rules.not_taken(unique_key, target.unique_key)]
        return content_transitions.create(actor, new_customer(actor, target.row), "imported", first=first)
    if current is None or key_in(kind, current.fields) != target.contact:
        return Refusal(rules.KEY_TAKEN)
    if on_duplicate == "reject":
        return content_transitions.reject_existing(actor, current)
    if on_duplicate == "skip":
        return content_transitions.keep_existing(actor, current)
    return content_transitions.update_row(actor, current, target.row)
