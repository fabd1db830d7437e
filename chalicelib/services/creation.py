"""Create a customer. Refuse one whose phone number or e-mail address another customer of the pool has (rule 23).

A unique-key item names the last customer with the contact. It is only a hint: that customer may have another contact by
now. So a new customer is written under two conditions for each of its contacts: the item is as it was read, and the
customer that it names does not have the contact. When an item has changed, all are read again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from chalicelib.domain import content_transitions, rules
from chalicelib.domain.content_transitions import Row
from chalicelib.domain.rules import Rule
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.selections import WhenDuplicate
from chalicelib.services.pools import require_manager
from chalicelib.services.unique_keys import owner_of
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome, UnitOfWork

log = logging.getLogger("customer-pool")
MAX_ROUNDS: Final = 50  # a round fails when another writer takes a key meanwhile; only a defect uses up all


def create(
    ctx: RequestContext, pool_id: str, row: Row, owner: str | None = None, on_duplicate: WhenDuplicate = "reject"
) -> Outcome:
    """Create an available customer or, for an `owner`, a private one."""
    actor = ctx.actor(ctx.pool(pool_id))
    checked = on_duplicate == "reject" and not ctx.idempotency.answers
    contact_keys = actor.contact_keys(row.fields) if checked else ()
    if not contact_keys:
        return _uow(ctx, actor, row, owner).execute([row.id])
    for _ in range(MAX_ROUNDS):
        uow = _uow(ctx, actor, row, owner, _contacts_free(ctx, actor, contact_keys))
        outcome = uow.attempt({0: row.id}, known={row.id: None})
        if not outcome.results[0].refused_as(rules.KEY_CHANGED):
            return uow.finish(outcome)
    raise Throttled


def _uow(
    ctx: RequestContext, actor: Actor, row: Row, owner: str | None, contacts_free: Sequence[Rule] = ()
) -> UnitOfWork:
    if owner is None:
        planner = partial(content_transitions.create_row, actor, row=row, last=contacts_free)
        return ctx.uow(actor, planner, managed=True)
    private = partial(content_transitions.create_private_row, actor, row=row, owner=owner, last=contacts_free)
    return ctx.taking_uow(actor, private, managed=True)


def _contacts_free(ctx: RequestContext, actor: Actor, contact_keys: Sequence[str]) -> list[Rule]:
    """Return the rules that no customer has one of these contacts. Raises Refused.

    The read includes the caller's role: otherwise the answer would disclose whether a customer has the phone number.
    """
    unique_keys = {each: keys.unique_key(actor.tenant, actor.pool, each) for each in contact_keys}
    stored = ctx.backend.table.get([actor.member_key, *unique_keys.values()])
    require_manager(ctx, actor.home, stored)
    named = {each: _sound_owner(stored[key]) for each, key in unique_keys.items() if key in stored}
    unchanged = [rules.not_taken(key, stored.get(key), rules.KEY_CHANGED) for key in unique_keys.values()]
    fields_of = partial(keys.fields_key, actor.tenant, actor.pool)
    return [*unchanged, *(rules.without_contact(fields_of(owner), each) for each, owner in named.items())]


def _sound_owner(unique_key: Item) -> str:
    """Return the customer that the item names. Raises Refused if it is malformed."""
    owner = owner_of(unique_key)
    if owner is None:
        raise Refused(Refusal(rules.MALFORMED_RECORD))
    return owner
