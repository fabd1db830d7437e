"""Import by phone number or e-mail address: finds which customer each row is about, and adds or updates it.

Who said a phone number last stands in its guard. A guard is a hint, as a copy is: the customer it names may say
something else by now, and then the row is about a new one. That one enters under the condition that the guard is
still as it was seen, so two imports at once make one customer: the other finds the key taken, and looks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from chalicelib.domain import rules, transitions
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer
from chalicelib.model.normalization import Kind, key_in
from chalicelib.model.validation import FieldError
from chalicelib.services.customers import OnDuplicate, Row, new_customer, update
from chalicelib.services.pools import require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import Result, known_answers
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.unit_of_work import Outcome, UnitOfWork, attempt, finished

MAX_ROUNDS: Final = 50  # each is lost to somebody who took a key meanwhile; only a defect could use them up


class Keyed(Struct, frozen=True):
    """A row, and the normalised key that says which customer it is about."""

    row: Row
    contact: str


class Target(Struct, frozen=True):
    """A row with what stands under its key: the guard, and the customer that says it. A guard alone is stale."""

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
    """One result a row, with the id of its customer. The id of a row is used only where the customer is new."""
    pool = ctx.pool(pool_id)
    uow = ctx.uow(pool, manager=True, log=log)
    keyed, failed = _keyed(kind, rows)
    if not keyed:
        require_manager(ctx, pool)
    outcome = Outcome(failed | known_answers(uow.idempotency))
    for _ in range(MAX_ROUNDS):
        pending = {at: each for at, each in keyed.items() if at not in outcome.results}
        if not pending:
            return finished(uow, outcome)
        results = _attempted(uow, kind, pending, on_duplicate)
        outcome.results |= {at: result for at, result in results.items() if not result.refused_as(rules.KEY_TAKEN)}
    raise Throttled


def _keyed(kind: Kind, rows: Sequence[Row | Result]) -> tuple[dict[int, Keyed], dict[int, Result]]:
    """The rows by position with their keys, and those that fail: they say none, or one said earlier in the request."""
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


def _attempted(
    uow: UnitOfWork, kind: Kind, pending: Mapping[int, Keyed], on_duplicate: OnDuplicate
) -> dict[int, Result]:
    """Looks each row's customer up, and settles all. Where a key was taken meanwhile, that is the refusal."""
    aims = _aims(uow, kind, pending)
    known = {aim.customer.id: aim.customer for aim in aims.values() if aim.customer is not None}
    others = {at for at, aim in aims.items() if aim.customer is None and aim.id in known}
    by_id = {aim.id: aim for at, aim in reversed(aims.items()) if at not in others}

    def plan(customer_id: str, current: Customer | None) -> Transition | Refusal:
        return _move(uow.actor, kind, by_id[customer_id], current, on_duplicate)

    ids = {at: aim.id for at, aim in aims.items() if at not in others}
    failed = {at: _failed(aims[at].row, Refusal("duplicate_customer")) for at in others}
    return failed | attempt(uow, ids, plan, known=known).results


def _aims(uow: UnitOfWork, kind: Kind, pending: Mapping[int, Keyed]) -> dict[int, Target]:
    """What is there now: a read of the guards and, where there are any, one of each 50 customers that they name."""
    actor = uow.actor
    wanted_keys = {at: keys.unique_key(actor.tenant, actor.pool, kind, each.contact) for at, each in pending.items()}
    unique_keys = uow.table.get(list(wanted_keys.values()))
    named = {at: items.unique_key_owner(unique_keys[key]) for at, key in wanted_keys.items() if key in unique_keys}
    customers = uow.customer_cache.read(uow.table, actor, list(dict.fromkeys(named.values())))
    aims = {}
    for at, each in pending.items():
        customer = customers.get(named.get(at, ""))
        says = customer is not None and key_in(kind, customer.fields) == each.contact
        aims[at] = Target(each.row, each.contact, unique_keys.get(wanted_keys[at]), customer if says else None)
    return aims


def _move(
    actor: Actor, kind: Kind, aim: Target, current: Customer | None, on_duplicate: OnDuplicate
) -> Transition | Refusal:
    if aim.customer is None:
        unique_key = keys.unique_key(actor.tenant, actor.pool, kind, aim.contact)
        first = [rules.not_taken(unique_key, aim.unique_key)]
        return transitions.create(actor, new_customer(actor, aim.row), "imported", first=first)
    if current is None or key_in(kind, current.fields) != aim.contact:
        return Refusal(rules.KEY_TAKEN)
    if on_duplicate == "reject":
        return transitions.reject_existing(actor, current)
    return transitions.keep_existing(actor, current) if on_duplicate == "skip" else update(actor, aim.row, current)
