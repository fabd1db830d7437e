"""Plan the transition of an imported row: add or update its customer, and assign an available one to a member.

Pure, like `transitions`. A row never changes the holder or the state of a customer that somebody has (rule 23).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import content_transitions, rules
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import (
    POOL_NOT_OPEN,
    Actor,
    NoOp,
    QuotaUse,
    Transition,
    Write,
    hold_rules,
    with_new_claim,
    without_expired,
)
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer


class Target(Struct, frozen=True):
    """A row, its unique keys and the customer with one of its contacts, `contact_key`; without keys, by its id.

    `unique_keys` are the items as read, None for a free one. An item without such a customer is stale.
    """

    row: Row
    unique_keys: dict[Key, Item | None] = {}
    contact_key: str = ""
    customer: Customer | None = None

    @property
    def id(self) -> str:
        return self.row.id if self.customer is None else self.customer.id


def import_row(
    actor: Actor,
    customer: str,
    known: Customer | None,
    rows: Mapping[str, Row],
    on_duplicate: OnDuplicate,
    new_id: Callable[[], str],
) -> Transition | Refusal:
    """Add the customer of the row, or update it, by its id."""
    return _by_id(actor, known, rows[customer], on_duplicate, new_id)


def import_target(
    actor: Actor,
    customer: str,
    known: Customer | None,
    targets: Mapping[str, Target],
    on_duplicate: OnDuplicate,
    new_id: Callable[[], str],
) -> Transition | Refusal:
    """Add the customer of the row, or update the one with its contact. Refuse a contact that changed meanwhile."""
    target = targets[customer]
    row = target.row
    if not target.unique_keys and not row.generated_id:
        return _by_id(actor, known, row, on_duplicate, new_id)
    if target.customer is None:
        first = [rules.not_taken(unique_key, item) for unique_key, item in target.unique_keys.items()]
        added = content_transitions.create(actor, row, "imported", first=first)
        return _assigned(actor, added, row, new_id)
    if known is None or not known.has_key(target.contact_key):
        return Refusal(rules.KEY_TAKEN)
    if on_duplicate == "reject":
        return content_transitions.reject_existing(actor, known, row)
    return _existing(actor, known, row, on_duplicate, new_id)


def _by_id(
    actor: Actor, known: Customer | None, row: Row, on_duplicate: OnDuplicate, new_id: Callable[[], str]
) -> Transition | Refusal:
    if known is None or on_duplicate == "reject":
        unique = on_duplicate == "reject"
        added = content_transitions.create(actor, row, "imported", unique=unique)
        return _assigned(actor, added, row, new_id)
    return _existing(actor, known, row, on_duplicate, new_id)


def _existing(
    actor: Actor, known: Customer, row: Row, on_duplicate: OnDuplicate, new_id: Callable[[], str]
) -> Transition | Refusal:
    if on_duplicate == "skip":
        return content_transitions.keep_existing(actor, known)
    return _assigned(actor, content_transitions.update_row(actor, known, row), row, new_id)


def _assigned(actor: Actor, planned: Transition, row: Row, new_id: Callable[[], str]) -> Transition | Refusal:
    """Assign the customer to the holder that the row names, too, if it is available. Limits apply."""
    if row.holder is None or not isinstance(planned, Write | NoOp):
        return planned
    start = planned.after if isinstance(planned, Write) else planned.before
    if start is None or not (_is_free(actor, start) or start.suppressed_at is not None):
        return planned
    if actor.home.status != "open":
        return POOL_NOT_OPEN
    required = (*planned.rules, *_recipient_rules(actor, planned, row.holder))
    after = with_new_claim(without_expired(actor, start), "assigned", actor, row.holder, new_id())
    if isinstance(planned, Write):
        if start.fields_version == start.version:  # the fields are written too, at the version of the assignment
            after = replace(after, fields_version=after.version)
        return replace(planned, rules=required, after=after, quota_use=QuotaUse(row.holder))
    return Write(planned.key, planned.before, required, after=after, quota_use=QuotaUse(row.holder))


def _is_free(actor: Actor, customer: Customer) -> bool:
    """Return whether nobody has the customer. One set aside, or about to be, waits for a manager."""
    free = without_expired(actor, customer)
    return free.state == "available" and free.set_aside_at is None


def _recipient_rules(actor: Actor, planned: Transition, to: str) -> list[Rule]:
    recipient = rules.recipient(keys.member_key(actor.tenant, actor.pool, to))
    if planned.before is None:
        return recipient
    free = rules.free_to_claim(planned.key, actor.policy, actor.clock(planned.before))
    return [*recipient, *free, *hold_rules(actor, planned.key, planned.before, to)]
