"""Plan the erasure of a customer: it becomes a tombstone, without anything personal (rule 38).

Pure, like `transitions`. An erasure works in a pool of any status.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain import rules
from chalicelib.domain.transitions import Actor, Erase, GivenUp, Recheck, Transition, customer_rules, manager_verb_rules
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer, erased

KEYS_CHANGED = Refusal(rules.KEY_CHANGED)


def erase(
    actor: Actor,
    customer: str,
    known: Customer | None,
    *,
    reason: str,
    force: bool,
    suppress: bool,
    given_up: Mapping[str, tuple[GivenUp, ...]],
    read: Mapping[str, Customer | None],
) -> Transition | Refusal:
    """Erase a customer. `given_up` are its unique keys, as the customer in `read` has them.

    A customer that somebody holds or owns is erased with `force` only. With `suppress`, nobody else of the tenant gets
    its contacts, until an `unsuppress` of the id.
    """
    key = actor.customer_key(customer)
    required = (
        *manager_verb_rules(actor),
        *customer_rules(actor, key),
        *([] if force else [rules.not_held(key, actor.clock(known))]),
    )
    if known is None:
        return Recheck(key, None, required)
    if not _same_keys(known, read.get(customer)):
        return KEYS_CHANGED
    lost = given_up.get(customer, ())
    after = erased(known, actor.user, actor.now, reason, actor.request_marker, suppress=suppress)
    owned = (*required, *(rule for each in lost for rule in each.rules))
    return Erase(key, known, owned, after=after, given_up=lost)


def _same_keys(known: Customer, read: Customer | None) -> bool:
    if read is None:
        return False
    of_known, of_read = ((each.created_at, each.fields_version, each.rewrites) for each in (known, read))
    return of_known == of_read
