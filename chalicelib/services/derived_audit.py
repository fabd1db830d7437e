"""Compare what is derived from the fields of a pool's customers with them, and report or repair drift.

A customer stores its card, the keys of its contacts and those of its unique values; each unique value also has an item
that names the customer. While a change of the definitions is in progress, nothing is compared. No value is reported,
only keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from chalicelib.domain import field_rewrites, rules, unique_values
from chalicelib.domain.invariants import Difference
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import Action, Check, Delete, Put
from chalicelib.model.model import Customer
from chalicelib.services.recount import MIN_SECONDS_LEFT, Found, Lists, OutOfTime
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.unit_of_work import PlanOutdated, UnitOfWork

AT_ONCE: Final = 50  # customers: with their fields, one read
NO_ITEM: Final = "no item"
MALFORMED_ITEM: Final = "malformed"


class DerivedAudit(Struct, frozen=True):
    """The audit of one pool, with a system `actor` of it. `found` receives each drift, and whether it was repaired."""

    lists: Lists
    actor: Actor
    found: Found
    repair: bool

    def run(self) -> None:
        if self.actor.home.fields_since is not None:
            return
        roster = keys.customer_roster(self.actor.tenant, self.actor.pool)
        reported = set[Key]()
        for page in self.lists.table.pages(roster, index=ROSTER, limit=AT_ONCE):
            if self.lists.seconds_left() < MIN_SECONDS_LEFT:
                raise OutOfTime
            known = self._read([keys.id_from_pk(key.pk) for key in page.keys])
            for each in known:
                self._compare_derived(each)
            reported |= self._compare_owners(known)
        values = keys.unique_values_in(self.actor.tenant, self.actor.pool)
        for page in self.lists.table.pages(values, index=ROSTER, limit=AT_ONCE):
            if self.lists.seconds_left() < MIN_SECONDS_LEFT:
                raise OutOfTime
            self._compare_items([key for key in page.keys if key not in reported])

    def _read(self, ids: Sequence[str], malformed: set[str] | None = None) -> list[Customer]:
        """Return those of the customers that exist, as they are now. Malformed ones are left out."""
        left_out = set[str]() if malformed is None else malformed
        read = CustomerCache().read(self.lists.table, self.actor, ids, malformed=left_out)
        return [each for each in read.values() if each is not None]

    # What a customer stores

    def _compare_derived(self, known: Customer) -> None:
        correct = field_rewrites.rewritten(self.actor, known)
        if correct == known or self._definitions_changed():
            return
        repaired = self.repair and self._rewritten(known)
        if correct.card != known.card:
            self.found(known.id, Difference("card", "the card of its fields", "another"), repaired)
        expected, stored = (sorted((*each.contact_keys, *each.unique_keys)) for each in (correct, known))
        if expected != stored:
            self.found(known.id, Difference("keys", expected, stored), repaired)

    def _definitions_changed(self) -> bool:
        """Return whether the pool has changed during the audit: then the customer may agree with its present
        definitions."""
        key = keys.pool_key(self.actor.tenant, self.actor.pool)
        return bool(self.lists.table.get([key]).get(key, {}).get("version") != {"N": str(self.actor.home.version)})

    def _rewritten(self, known: Customer) -> bool:
        pool = self.actor.home
        same = rules.pool_unchanged(keys.pool_key(pool.tenant, pool.id), pool.version)
        planner = partial(field_rewrites.rewrite, self.actor, still=same, left_out={})
        uow = UnitOfWork(self.lists.table, CustomerCache(), self.actor, planner)
        try:
            return not uow.execute([known.id]).refused
        except PlanOutdated:
            return False

    # The items of unique values

    def _compare_owners(self, customers: Iterable[Customer]) -> set[Key]:
        """Compare the item of each value of these customers. Return the keys of those that are wrong."""
        wanted = {keys.unique_key(each.tenant, each.pool, key): each for each in customers for key in each.unique_keys}
        stored = self.lists.table.get(list(wanted))
        wrong = [key for key, each in wanted.items() if _owner(stored.get(key)) != (each.id, each.created_at)]
        now = {each.id: each for each in self._read(list(dict.fromkeys(wanted[key].id for key in wrong)))}
        for key in wrong:
            customer = wanted[key]
            if _version(now.get(customer.id)) == _version(customer):
                found, _ = _owner(stored.get(key)) or (NO_ITEM, 0)
                repaired = self.repair and self._taken(key, customer, stored)
                self.found(customer.id, Difference("unique", customer.id, found), repaired)
        return set(wrong)

    def _taken(self, key: Key, customer: Customer, stored: Mapping[Key, Item]) -> bool:
        """Write the item for the customer, unless it names another one that has the value."""
        item = stored.get(key)
        owner = _owner(item)
        if item is not None and owner is None:
            return False
        own_key = keys.customer_key(customer.tenant, customer.pool, customer.id)
        others = [] if owner is None else self._read([owner[0]])
        if any(keys.unique_key(each.tenant, each.pool, own) == key for each in others for own in each.unique_keys):
            return False
        same = rules.same_version(customer.version, customer.created_at) & rules.same_rewrites(customer.rewrites)
        free = rules.pk.does_not_exist() if item is None else rules.written_as(item)
        actions: list[Action] = [Check(own_key, same), Put(key, unique_values.item_of(key, customer), free)]
        return self.lists.table.write(actions) is None

    def _compare_items(self, item_keys: Sequence[Key]) -> None:
        """Find the items whose customer does not have the value, or is gone. What changes meanwhile is no drift."""
        first = self._without_owner(item_keys)
        for key, (item, customer) in self._without_owner(list(first)).items():
            if item == first[key][0]:
                owner, _ = _owner(item) or (MALFORMED_ITEM, 0)
                repaired = self.repair and self._deleted(key, item, customer)
                self.found(owner, Difference("unique", NO_ITEM, owner), repaired)

    def _without_owner(self, item_keys: Sequence[Key]) -> dict[Key, tuple[Item, Customer | None]]:
        """Return these items and the customers that they name, if those do not have the values."""
        stored, malformed = self.lists.table.get(item_keys), set[str]()
        owners = {key: _owner(item) for key, item in stored.items()}
        ids = dict.fromkeys(owner[0] for owner in owners.values() if owner is not None)
        known = {each.id: each for each in self._read(list(ids), malformed)}
        found = {}
        for key, owner in owners.items():
            customer = None if owner is None else known.get(owner[0])
            unknown = owner is not None and owner[0] in malformed
            if not unknown and not self._has(customer, key):
                found[key] = stored[key], customer
        return found

    def _has(self, customer: Customer | None, key: Key) -> bool:
        """Return whether the customer has the value: by its fields, even if its keys have drifted."""
        if customer is None:
            return False
        return unique_values.has(customer, key) or unique_values.has(
            field_rewrites.rewritten(self.actor, customer), key
        )

    def _deleted(self, key: Key, item: Item, customer: Customer | None) -> bool:
        """Delete the item, unless it or the customer that it names has changed."""
        owner = _owner(item)
        if owner is None:
            return False
        own_key = keys.customer_key(self.actor.tenant, self.actor.pool, owner[0])
        same = rules.pk.does_not_exist() | rules.erased_at.exists()
        if customer is not None:
            same = rules.same_version(customer.version, customer.created_at) & rules.same_rewrites(customer.rewrites)
        return self.lists.table.write([Check(own_key, same), Delete(key, rules.written_as(item))]) is None


def _owner(item: Item | None) -> tuple[str, int] | None:
    """Return the id and the creation time of the customer that the item names; None for none, or a malformed item."""
    try:
        return None if item is None else (items.unique_key_owner(item), items.deserialize(item["created_at"]))
    except MALFORMED:
        return None


def _version(customer: Customer | None) -> tuple[int, int, int] | None:
    return None if customer is None else (customer.created_at, customer.version, customer.rewrites)
