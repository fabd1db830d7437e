"""Compare the suppressions of a tenant with the suppressed customers of one pool, and report or repair drift.

A customer names its contacts, and the item of each contact names the customer. Both may change during an audit. So a
comparison is valid only if the customer is the same before and after; then a difference is drift. Nothing here reads a
name or a field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from pynamodb.expressions.operand import Value

from chalicelib.domain import rules, suppression
from chalicelib.domain.invariants import Difference
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute, unchanged
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import Action, Check, Delete, Update
from chalicelib.model.model import Pool
from chalicelib.services.recount import MAX_ROUNDS, Found, Lists

AT_ONCE: Final = 25  # customers: with their fields, fifty items
Digests = frozenset[Key]


class SuppressionAudit(Struct, frozen=True):
    """The audit of one pool. `found` receives each drift, and whether it was repaired."""

    lists: Lists
    found: Found
    repair: bool
    naming: dict[str, set[Key]] = {}  # the listed items that name each customer

    @property
    def pool(self) -> Pool:
        return self.lists.pool

    def run(self, suppressed: Iterable[str]) -> list[str]:
        """Compare these customers, and those that an item names. Return the ids that kept changing."""
        waiting = dict.fromkeys(suppressed)
        for stored in self.lists.suppressions():
            self._count(stored)
            for each in self._named(stored):
                self.naming.setdefault(each, set()).add(items.key_of(stored))
        waiting |= dict.fromkeys(self.naming)
        for _ in range(MAX_ROUNDS):
            ids = list(waiting)
            for start in range(0, len(ids), AT_ONCE):
                for each in self._settled(ids[start : start + AT_ONCE]):
                    del waiting[each]
        return list(waiting)

    def _named(self, stored: Item) -> Iterator[str]:
        """Yield the customers of this pool that the item of a contact names."""
        prefix = keys.suppression_source(self.pool.id, "")
        return (each.removeprefix(prefix) for each in keys.named_in_suppression(stored) if each.startswith(prefix))

    def _count(self, stored: Item) -> None:
        """Compare the count of an item with the customers that it names. The first of them decides which pool does."""
        named = sorted(keys.named_in_suppression(stored))
        count = items.deserialize_or_none(stored.get("count"))
        if count == len(named) or (named and not named[0].startswith(keys.suppression_source(self.pool.id, ""))):
            return
        repaired = self.repair and self.lists.table.write([_named_as(items.key_of(stored), stored, set(named))]) is None
        self.found(self.pool.id, Difference("suppression", len(named), count), repaired)

    def _settled(self, ids: list[str]) -> list[str]:
        """Compare these customers. Return those that are in order or reported, a malformed one as such."""
        before, expected = self._read(ids), dict[str, Digests | None]()
        for each in ids:
            with suppress(*MALFORMED):
                expected[each] = self._expected(each, before)
        wanted = {
            each: contacts | self.naming.get(each, set()) for each, contacts in expected.items() if contacts is not None
        }
        contacts = self.lists.table.get([key for each in wanted.values() for key in each])
        after = self._read(ids)
        same = [each for each in wanted if all(before.get(key) == after.get(key) for key in self._keys(each))]
        malformed = [each for each in ids if each not in expected]
        return malformed + [
            each for each in same if self._compared(each, expected[each] or frozenset(), wanted[each], contacts)
        ]

    def _keys(self, customer: str) -> tuple[Key, Key]:
        tenant, pool = self.pool.tenant, self.pool.id
        return keys.customer_key(tenant, pool, customer), keys.fields_key(tenant, pool, customer)

    def _read(self, ids: list[str]) -> dict[Key, Item]:
        return self.lists.table.get([key for each in ids for key in self._keys(each)])

    def _expected(self, customer: str, stored: dict[Key, Item]) -> Digests | None:
        """Return the items that must name the customer; None if it was read during a change."""
        own_key, fields_key = self._keys(customer)
        own, fields = stored.get(own_key), stored.get(fields_key)
        if own is None:
            return frozenset()
        if items.is_tombstone(own):
            return frozenset(each.key for each in suppression.of_tombstone(items.tombstone_record(own)))
        known = items.customer_record(self.pool.tenant, self.pool.id, own)
        if known.suppressed_at is None:
            return frozenset()
        written = None if fields is None else items.fields_record(fields)
        if written is None or written.version != known.fields_version:
            return None
        whole = replace(known, contact_keys=written.contact_keys)
        return frozenset(each.key for each in suppression.of_customer(whole))

    def _compared(self, customer: str, expected: Digests, wanted: Digests, contacts: dict[Key, Item]) -> bool:
        """Report the difference, if there is one. Return False if the repair was too late: compare again."""
        source = keys.suppression_source(self.pool.id, customer)
        found = {key for key in wanted if source in contacts.get(key, {})}
        if found == expected:
            return True
        if self.repair and not self._repaired(customer, source, expected ^ found, contacts):
            return False
        shown = [sorted(key.pk.rpartition("SUPPRESSED#")[2] for key in each) for each in (expected, found)]
        self.found(customer, Difference("suppression", *shown), self.repair)
        return True

    def _repaired(self, customer: str, source: str, wrong: Iterable[Key], contacts: dict[Key, Item]) -> bool:
        """Name the customer, or not, in each wrong item, if customer and items are unchanged."""
        own_key, _ = self._keys(customer)
        stored = self.lists.table.get([own_key]).get(own_key)
        same = rules.pk.does_not_exist() if stored is None else unchanged(stored, ("version", "suppressed_at"))
        actions: list[Action] = [Check(own_key, same)]
        for key in wrong:
            item = contacts.get(key, {})
            actions.append(_named_as(key, item, keys.named_in_suppression(item) ^ {source}))
        return self.lists.table.write(actions) is None


def _named_as(key: Key, stored: Item, names: set[str]) -> Update | Delete:
    """Return the write of the item of a contact that names exactly these customers; nobody needs no item."""
    before = keys.named_in_suppression(stored)
    same = unchanged(stored, sorted((*before, "count"))) if stored else rules.pk.does_not_exist()
    if not names:
        return Delete(key, same)
    partition = key.pk.partition("SUPPRESSED")[0] + "SUPPRESSED"
    changes = [Attribute([each]).set(Value(items.serialize(1))) for each in sorted(names - before)]
    changes += [Attribute([each]).remove() for each in sorted(before - names)]
    changes += [Attribute("count").set(len(names)), Attribute(ROSTER).set(partition)]
    return Update(key, changes, same)
