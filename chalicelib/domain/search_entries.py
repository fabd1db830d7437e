"""The entries of a customer in the index of searches: the parts of its name and of its searched fields.

Pure. An entry that everybody in the pool may find is apart from one that only managers, or the holder or owner, may
find (rules 24 and 36). So a member's search reads nothing that depends on hidden values.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from chalicelib.domain import masking
from chalicelib.model import bigrams
from chalicelib.model.field_filters import searchable, searched_texts
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import fold_name


class Entry(NamedTuple):
    """One part of the customer's texts.

    `in_fields`: a field has it; otherwise only the name. `restricted`: not everybody in the pool may find it.
    """

    part: str
    in_fields: bool
    restricted: bool


def of(customer: Customer, pool: Pool) -> frozenset[Entry]:
    """Return the entries of a customer. One whose name not everybody sees has restricted ones only."""
    restricted = not is_named_for_all(customer, pool)
    found: dict[bool, dict[str, bool]] = {True: {}, False: {}}
    for part in bigrams.parts(searchable(customer.name)):
        found[restricted][part] = False
    for key, value, text in _texts(customer, pool):
        hidden = restricted or not _all_see(pool, key, value)
        found[hidden] |= dict.fromkeys(bigrams.parts(text), True)
    public, hidden_parts = found[False], found[True]
    return frozenset(
        [Entry(part, in_fields, restricted=False) for part, in_fields in public.items()]
        + [
            Entry(part, in_fields, restricted=True)
            for part, in_fields in hidden_parts.items()
            if part not in public or (in_fields and not public[part])
        ]
    )


def _texts(customer: Customer, pool: Pool) -> Iterator[tuple[str, Any, str]]:
    """Yield the key, the value and a text of each searched field."""
    for key, field in pool.definitions.by_key.items():
        if field.search:
            value = customer.fields.get(key)
            yield from ((key, value, text) for text in searched_texts(field, value))


def is_named_for_all(customer: Customer, pool: Pool) -> bool:
    """Return whether everybody in the pool may find the customer by its name."""
    return not _is_private(customer, pool) and _all_see(pool, "name", customer.name)


def _is_private(customer: Customer, pool: Pool) -> bool:
    return customer.state == "private" and pool.policy.private_visible_to != "pool"


def _all_see(pool: Pool, key: str, value: Any) -> bool:
    mask = masking.of(pool)
    return mask is None or bool(mask.field(key, value) == value)


def restricts(pool: Pool) -> bool:
    """Return whether some customers of the pool may have restricted entries."""
    return pool.policy.private_visible_to != "pool" or masks(pool)


def masks(pool: Pool) -> bool:
    """Return whether the pool may mask a text that is searched."""
    mask = masking.of(pool)
    if mask is None:
        return False
    searched = (key for key, field in pool.definitions.by_key.items() if field.search)
    return mask.contacts or not mask.fields.isdisjoint({"name", *map(fold_name, searched)})


def rules_of(pool: Pool) -> str:
    """Return a digest of the settings of a pool on which the entries depend, for comparison."""
    policy = pool.policy
    fields = [[each.key, each.type, each.search, each.unique, each.masked] for each in pool.fields]
    masked = sorted(policy.masked_fields or ())
    settings = msgspec.json.encode([masked, policy.region, policy.private_visible_to or "", fields])
    return blake2b(settings, digest_size=9).hexdigest()
