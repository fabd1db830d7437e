"""Plan the transitions of a customer's content: create, update, edit, and undo an import.

Pure, like `transitions`. The holder and the state of a stored customer stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import deadlines, masking, rules, unique_values
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import (
    Actor,
    NoOp,
    QuotaUse,
    Recheck,
    Transition,
    Write,
    contact_rules,
    customer_rules,
    holder_or_manager,
    manager_verb_rules,
    masked_unique_rules,
    pool_accepts,
    with_former_keys,
)
from chalicelib.dynamodb import keys
from chalicelib.model.model import Customer, created, transitioned
from chalicelib.model.text import field_errors
from chalicelib.model.validation import FieldError

_CONTACT_ID: Final = FieldError("contact", "id")
OnDuplicate: TypeAlias = Literal["skip", "update", "reject"]


class Row(Struct, frozen=True):
    """A customer as a client sent it. `generated_id` is set if the client gave no id.

    Without a priority, the customer keeps its own, or gets 0. `holder` is the member whom an import assigns it to.
    """

    id: str
    name: str
    fields: dict[str, Any]
    priority: int | None = None
    generated_id: bool = False
    holder: str | None = None


def create_row(actor: Actor, customer: str, known: Customer | None, row: Row, last: Sequence[Rule] = ()) -> Transition:
    """Create the customer of the row. Refuse one that exists, then one that breaks the `last` rules."""
    return create(actor, row, "created", last=last)


def create_private_row(
    actor: Actor, customer: str, known: Customer | None, row: Row, owner: str, last: Sequence[Rule] = ()
) -> Transition:
    """Create the customer of the row as a private customer of `owner`, a member, under their limit (rule 31)."""
    recipient = rules.recipient(keys.member_key(actor.tenant, actor.pool, owner))
    return create(actor, row, "created", first=recipient, last=last, owner=owner)


def update_row(actor: Actor, known: Customer, row: Row) -> Transition:
    return update(actor, known, **changes(known, row.name, row.fields, row.priority))


def new_customer(actor: Actor, row: Row) -> Customer:
    """Return a new, available customer made from the row."""
    now = actor.now
    return Customer(
        actor.tenant, actor.pool, row.id, row.name, "available", version=1, created_at=now, updated_at=now,
        entered_at=now, waiting_since=now, fields_version=1, priority=row.priority or 0, fields=row.fields,
        contact_keys=actor.contact_keys(row.fields),
        unique_keys=tuple(key for each in actor.unique_keys(row.fields).values() for key in each),
        page_tag=actor.request_marker or None,
    )  # fmt: skip


def changes(known: Customer, name: str | None, fields: dict[str, Any], priority: int | None) -> dict[str, Any]:
    """Return the customer's attributes after the change. Omitted ones stay, a null field is removed."""
    return {
        "name": name or known.name,
        "fields": {field: value for field, value in (known.fields | fields).items() if value is not None},
        "priority": known.priority if priority is None else priority,
    }


def create(
    actor: Actor,
    row: Row,
    event_type: str,
    *,
    unique: bool = True,
    first: Sequence[Rule] = (),
    last: Sequence[Rule] = (),
    owner: str | None = None,
) -> Transition:
    """Create an available customer, or a private one of `owner`.

    With `unique`, refuse one that exists, after the rules of `first` and before those of `last`. Refuse an id that is a
    phone number or an e-mail address: ids are in logs, and stay after an erasure (rule 38).
    """
    key = actor.customer_key(row.id)
    new, use = new_customer(actor, row), None
    taken = [rules.does_not_exist(key)] if unique else []
    allowed = (rules.not_erased(key), *contact_rules(new))
    required = (
        *manager_verb_rules(actor),
        *pool_accepts(actor),
        *allowed,
        *first,
        *taken,
        *last,
        *unique_values.rules_of(new),
    )
    if not row.generated_id and masking.is_contact(row.id, actor.policy.region):
        pool = keys.pool_key(actor.tenant, actor.pool)  # an item that exists
        return Recheck(key, None, (*required, rules.always_fails(pool, "invalid_request", errors=(_CONTACT_ID,))))
    errors = actor.home.definitions.errors_of_new(row.fields, strict=bool(actor.policy.strict_fields))
    if errors:
        pool = keys.pool_key(actor.tenant, actor.pool)
        return Recheck(key, None, (*required, rules.always_fails(pool, "field_invalid", errors=errors)))
    if owner is not None:
        new = replace(new, state="private", holder=owner, **deadlines.owned(actor.policy, actor.now))
        use = QuotaUse(owner, counter="private")
    return Write(key, None, required, after=created(new, event_type, actor.user), quota_use=use)


def update(actor: Actor, known: Customer, **changes: Any) -> Transition:
    """Change the content of a customer; its state and its holder stay (rule 23)."""
    key = actor.customer_key(known.id)
    return updated(actor, known, (*manager_verb_rules(actor), rules.customer_exists(key)), changes)


def updated(
    actor: Actor, known: Customer, required: tuple[Rule, ...], changes: dict[str, Any], reason: str | None = None
) -> Transition:
    """Apply the changes under these rules, if they change anything. Refuse too many fields after all rules."""
    key = actor.customer_key(known.id)
    if all(getattr(known, name) == changed for name, changed in changes.items()):
        return NoOp(key, known, required)
    changed = changed_keys(known, changes)
    after = transitioned(known, "updated", actor.user, actor.now, reason, changed=changed, **changes)
    if after.fields == known.fields:
        return Write(key, known, required, after=after)
    if errors := field_errors(after.fields):
        return Recheck(key, known, (*required, rules.always_fails(key, "invalid_request", errors=errors)))
    strict = bool(actor.policy.strict_fields)
    if errors := actor.home.definitions.errors_of_change(known.fields, after.fields, strict=strict):
        return Recheck(key, known, (*required, rules.always_fails(key, "field_invalid", errors=errors)))
    written = replace(
        after, fields_version=after.version, contact_keys=actor.contact_keys(after.fields),
        unique_keys=_unique_keys(actor, known, after.fields),
    )  # fmt: skip
    required = (*required, *contact_rules(written, known), *unique_values.rules_of(written, known))
    return Write(key, known, required, after=with_former_keys(written, known))


def _unique_keys(actor: Actor, known: Customer, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the unique values after a change of fields.

    A value that is not changed has a key only if it had one: the field may have become unique since it was written.
    """
    return tuple(
        key
        for name, own_keys in actor.unique_keys(fields).items()
        for key in own_keys
        if key in known.unique_keys or fields.get(name) != known.fields.get(name)
    )


def changed_keys(known: Customer, changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the changes change: `name`, `priority` and the keys of fields (rule 48)."""
    fields = changes.get("fields", known.fields)
    changed = [key for key in ("name", "priority") if changes.get(key, getattr(known, key)) != getattr(known, key)]
    edited = [key for key in known.fields.keys() | fields.keys() if known.fields.get(key) != fields.get(key)]
    return (*changed, *sorted(edited))


def keep_existing(actor: Actor, known: Customer) -> NoOp:
    """Change nothing, but require a manager: only managers may see the customer."""
    key = actor.customer_key(known.id)
    return NoOp(key, known, (*manager_verb_rules(actor), rules.customer_exists(key)))


def reject_existing(actor: Actor, known: Customer, row: Row) -> Recheck:
    """Refuse a customer that exists. The manager rules come first, so only managers learn that it exists.

    As for a new customer, a contact that is not to be contacted is the first reason.
    """
    key = actor.customer_key(known.id)
    required = (*manager_verb_rules(actor), *contact_rules(new_customer(actor, row)), rules.does_not_exist(key))
    return Recheck(key, known, required)


def edit(
    actor: Actor,
    customer: str,
    known: Customer | None,
    name: str | None,
    fields: dict[str, Any],
    priority: int | None,
    named: Callable[[], frozenset[str]] = frozenset[str],
) -> Transition:
    """Edit a customer, as its holder or a manager. A manager may edit it after their own claim has expired.

    Only a manager changes the priority, a field that a territory names (rule 48), or one that is unique and masked.
    `named` returns the fields of territories, as they are remembered at the time of planning.
    """
    key, moment = actor.customer_key(customer), actor.clock(known)
    required = customer_rules(actor, key, known)
    if known is not None and known.holder == actor.user and known.expired(moment):
        required += actor.manager_rules("expired")
    else:
        required += holder_or_manager(actor, key, known)
        if known is None or known.holder == actor.user:
            required.append(rules.not_expired(key, moment))
    if known is None:
        return Recheck(key, None, tuple(required))
    if priority not in (None, known.priority):
        required += actor.manager_rules()
    wanted = changes(known, name, fields, priority)
    if known.holder == actor.user and not actor.admin:
        changed = changed_keys(known, wanted)
        required += [*_territory_rules(actor, changed, named()), *masked_unique_rules(actor, changed)]
    return updated(actor, known, tuple(required), wanted)


def _territory_rules(actor: Actor, changed: Sequence[str], named: frozenset[str]) -> list[Rule]:
    """Require a manager for a change of fields that territories name, and that they still name just the `named` ones.

    Only `filter` fields can be named.
    """
    definitions = actor.home.definitions.by_key
    fields = {key for key in changed if key in definitions and definitions[key].filter}
    if not fields:
        return []
    as_planned = rules.named_as_planned(keys.territories_key(actor.tenant, actor.pool), fields, named)
    return [as_planned, *(actor.manager_rules() if fields & named else [])]
