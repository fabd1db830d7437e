"""Import by phone number or e-mail address: finds which customer each row is about, and adds or updates it.

Who said a phone number last stands in its guard. A guard is a hint, as a copy is: the customer it names may say
something else by now, and then the row is about a new one. That one enters under the condition that the guard is
still as it was seen, so two imports at once make one customer: the other finds the key taken, and looks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from chalicelib import layout, moves, rules
from chalicelib.contact_keys import Kind, key_in
from chalicelib.context import Call
from chalicelib.customers import OnDuplicate, Row, newcomer, update
from chalicelib.journal import Result, known_answers
from chalicelib.layout import Item
from chalicelib.moves import Actor, Move
from chalicelib.pools import only_managers
from chalicelib.records import Customer
from chalicelib.refusals import Refusal
from chalicelib.settling import Desk, Outcome, attempt, closed
from chalicelib.table import Throttled
from chalicelib.undo_log import UndoLog
from chalicelib.validation import FieldError

ROUNDS: Final = 50  # each is lost to somebody who took a key meanwhile; only a defect could use them up


class Keyed(Struct, frozen=True):
    """A row, and the normalised key that says which customer it is about."""

    row: Row
    contact: str


class Aim(Struct, frozen=True):
    """A row with what stands under its key: the guard, and the customer that says it. A guard alone is stale."""

    row: Row
    contact: str
    guard: Item | None
    customer: Customer | None

    @property
    def id(self) -> str:
        return self.row.id if self.customer is None else self.customer.id


def import_by_key(
    call: Call, pool_id: str, kind: Kind, rows: Sequence[Row | Result], on_duplicate: OnDuplicate, log: UndoLog
) -> Outcome:
    """One result a row, with the id of its customer. The id of a row is used only where the customer is new."""
    pool = call.pool(pool_id)
    desk = call.desk(pool, manager=True, log=log)
    keyed, failed = _keyed(kind, rows)
    if not keyed:
        only_managers(call, pool)
    outcome = Outcome(failed | known_answers(desk.journal))
    for _ in range(ROUNDS):
        pending = {at: each for at, each in keyed.items() if at not in outcome.results}
        if not pending:
            return closed(desk, outcome)
        results = _attempted(desk, kind, pending, on_duplicate)
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
    return Result("" if row.minted else row.id, refusal=refusal)


def _attempted(desk: Desk, kind: Kind, pending: Mapping[int, Keyed], on_duplicate: OnDuplicate) -> dict[int, Result]:
    """Looks each row's customer up, and settles all. Where a key was taken meanwhile, that is the refusal."""
    aims = _aims(desk, kind, pending)
    known = {aim.customer.id: aim.customer for aim in aims.values() if aim.customer is not None}
    others = {at for at, aim in aims.items() if aim.customer is None and aim.id in known}
    by_id = {aim.id: aim for at, aim in reversed(aims.items()) if at not in others}

    def plan(customer_id: str, current: Customer | None) -> Move | Refusal:
        return _move(desk.actor, kind, by_id[customer_id], current, on_duplicate)

    ids = {at: aim.id for at, aim in aims.items() if at not in others}
    failed = {at: _failed(aims[at].row, Refusal("duplicate_customer")) for at in others}
    return failed | attempt(desk, ids, plan, known=known).results


def _aims(desk: Desk, kind: Kind, pending: Mapping[int, Keyed]) -> dict[int, Aim]:
    """What is there now: a read of the guards and, where there are any, one of each 50 customers that they name."""
    actor = desk.actor
    keys = {at: layout.guard_key(actor.tenant, actor.pool, kind, each.contact) for at, each in pending.items()}
    guards = desk.table.get(list(keys.values()))
    named = {at: layout.guarded(guards[key]) for at, key in keys.items() if key in guards}
    customers = desk.copies.read(desk.table, actor, list(dict.fromkeys(named.values())))
    aims = {}
    for at, each in pending.items():
        customer = customers.get(named.get(at, ""))
        says = customer is not None and key_in(kind, customer.fields) == each.contact
        aims[at] = Aim(each.row, each.contact, guards.get(keys[at]), customer if says else None)
    return aims


def _move(actor: Actor, kind: Kind, aim: Aim, current: Customer | None, on_duplicate: OnDuplicate) -> Move | Refusal:
    if aim.customer is None:
        guard = layout.guard_key(actor.tenant, actor.pool, kind, aim.contact)
        first = [rules.not_taken(guard, aim.guard)]
        return moves.create(actor, newcomer(actor, aim.row), "imported", first=first)
    if current is None or key_in(kind, current.fields) != aim.contact:
        return Refusal(rules.KEY_TAKEN)
    if on_duplicate == "reject":
        return moves.reject(actor, current)
    return moves.keep(actor, current) if on_duplicate == "skip" else update(actor, aim.row, current)
