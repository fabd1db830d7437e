"""Plan what a change of a pool's field definitions means for its stored customers (rule 35).

Pure, like `transitions`. The card, the keys of contacts and those of unique values follow from the fields and the
definitions. A rewrite computes them again: no event, and the version stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import unique_values
from chalicelib.domain.rules import Rule
from chalicelib.domain.system_transitions import NOT_APPLICABLE
from chalicelib.domain.transitions import Actor, Rewrite, Transition, with_former_keys
from chalicelib.dynamodb import cards
from chalicelib.model.errors import Refusal
from chalicelib.model.field_definitions import Field
from chalicelib.model.model import Customer, Pool


def changing(before: Pool, after: Pool) -> frozenset[str]:
    """Return the fields of which stored customers carry something that the change of the pool makes wrong.

    Beside `type`, `list`, `filter`, `search` and `unique`, this is what the values are compared by: the place and
    length in the card, the time zone of dates and the region of phone numbers.
    """
    old, new = before.definitions.by_key, after.definitions.by_key
    retyped = {key for key in old.keys() & new.keys() if old[key].type != new[key].type}
    return frozenset(
        retyped | {key for key in old.keys() | new.keys() if _derived(before, key) != _derived(after, key)}
    )


def _derived(pool: Pool, key: str) -> tuple[Any, ...]:
    """Return the settings of a field on which the values derived from it depend."""
    field, kind = pool.definitions.by_key.get(key), pool.definitions.kinds.get(key)
    region = pool.policy.region if kind == "phone" else None
    if field is None:
        return (), kind, region, False, False
    return _in_card(pool, field), kind, region, field.search, field.unique


def _in_card(pool: Pool, field: Field) -> tuple[Any, ...]:
    if not (field.list or field.filter):
        return ()
    time_zone = (pool.policy.time_zone or "UTC") if field.type == "date" else None
    return cards.layout(field, pool.definitions), field.list, field.filter, time_zone


def rewrite(
    actor: Actor, customer: str, known: Customer | None, *, still: Rule, left_out: Mapping[str, Collection[str]]
) -> Transition | Refusal:
    """Compute again what is derived from the fields, if it differs.

    `still` requires that the pool's definitions have not changed again. `left_out` names, by customer, fields whose
    value another customer has: they get no key.
    """
    if known is None:
        return NOT_APPLICABLE
    after = rewritten(actor, known, left_out.get(customer, ()))
    if after == known:
        return NOT_APPLICABLE
    required = (still, *unique_values.rules_of(after, known))
    return Rewrite(actor.customer_key(customer), known, required, after=after)


def rewritten(actor: Actor, known: Customer, left_out: Collection[str] = ()) -> Customer:
    """Return the customer with the values that the pool's definitions derive from its fields."""
    unique = actor.unique_keys(known.fields)
    unique_keys = tuple(key for name, own_keys in unique.items() if name not in left_out for key in own_keys)
    after = replace(
        known, card=cards.card_of(known.fields, actor.home), contact_keys=actor.contact_keys(known.fields),
        unique_keys=unique_keys,
    )  # fmt: skip
    if (after.contact_keys, unique_keys) == (known.contact_keys, known.unique_keys):
        return after
    return with_former_keys(replace(after, rewrites=known.rewrites + 1), known)
