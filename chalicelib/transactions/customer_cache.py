"""Copies of customers that this process has seen lately: what lets a warm claim do without a read.

A copy is a hint. Every move made from one is bound to its version, so a stale copy costs one more transaction and can
never be acted upon. Nothing may be answered from here without the engine having confirmed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Final

import msgspec
from msgspec.structs import replace

from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Table, Throttled
from chalicelib.model.model import Customer

MAX_CUSTOMERS: Final = 2_000
MAX_AGE_MS: Final = 60_000
MAX_READS: Final = 8


class MalformedRecord(Exception):
    """An item of the table does not read as the record that it should be."""


class ReadSkew(Exception):
    """The customer and its fields were read on two sides of a change."""


class CustomerCache:
    """With `whole` false, customers are read and known without their fields: enough to move them, not to show them."""

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self._kept: dict[Key, tuple[int, Customer]] = {}
        self._lock = Lock()

    def remember(self, customer: Customer, now: int) -> None:
        key = keys.customer_key(customer.tenant, customer.pool, customer.id)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (now, customer)
            if len(self._kept) > MAX_CUSTOMERS:
                del self._kept[next(iter(self._kept))]

    def forget(self, key: Key) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def get_many(self, table: Table, actor: Actor, ids: Sequence[str]) -> dict[str, Customer | None]:
        """A copy of each: one seen lately, or else one read now. None for a customer that does not exist."""
        seen = self.seen(actor, ids)
        return seen | self.read(table, actor, [customer_id for customer_id in ids if customer_id not in seen])

    def seen(self, actor: Actor, ids: Sequence[str]) -> dict[str, Customer]:
        """The copies there are, of those seen lately."""
        found = {}
        for customer_id in ids:
            seen_at, customer = self._kept.get(actor.customer_key(customer_id), (0, None))
            if customer is not None and actor.now - seen_at < MAX_AGE_MS:
                found[customer_id] = customer
        return found

    def read(self, table: Table, actor: Actor, ids: Sequence[str]) -> dict[str, Customer | None]:
        """Each as it is now. One request per 50 customers, since the fields are an item of their own."""
        read: dict[str, Customer | None] = {}
        for _ in range(MAX_READS):
            missing = [customer_id for customer_id in ids if customer_id not in read]
            if not missing:
                return read
            items = table.get(keys_of(actor, missing, whole=self.whole))
            for customer_id in missing:
                with suppress(ReadSkew):
                    read[customer_id] = self.from_items(actor, customer_id, items)
        raise Throttled

    def from_items(self, actor: Actor, customer_id: str, found_items: Mapping[Key, Item]) -> Customer | None:
        """The customer among items that were read together, remembered. Raises TornRead."""
        stored = found_items.get(actor.customer_key(customer_id))
        if stored is None:
            return None
        customer = customer_of(actor, stored)
        if not self.whole:
            return self._noted(actor, customer)
        written = found_items.get(keys.fields_key(actor.tenant, actor.pool, customer_id))
        fields_version, fields = (0, {}) if written is None else items.fields_record(written)
        if fields_version != customer.fields_version:
            raise ReadSkew(customer_id)
        return self._noted(actor, replace(customer, fields=fields))

    def from_item(self, table: Table, actor: Actor, stored: Item, known: Customer | None) -> Customer:
        """The customer that the engine returned without its fields; they are read again only if they have changed."""
        customer = customer_of(actor, stored)
        if not self.whole:
            return self._noted(actor, customer)
        if known is not None and _same_fields(known, customer):
            return self._noted(actor, replace(customer, fields=known.fields))
        return self.read(table, actor, [customer.id])[customer.id] or customer

    def _noted(self, actor: Actor, customer: Customer) -> Customer:
        self.remember(customer, actor.now)
        return customer


def _same_fields(known: Customer, stored: Customer) -> bool:
    """Whether the copy's fields are those of the stored customer, and not of one that had its id before."""
    return (known.fields_version, known.created_at) == (stored.fields_version, stored.created_at)


def keys_of(actor: Actor, ids: Iterable[str], *, whole: bool = True) -> list[Key]:
    """The keys of those customers and, for whole ones, of their fields."""
    wanted_keys = []
    for customer_id in ids:
        key = actor.customer_key(customer_id)
        wanted_keys += [key, keys.fields_key(actor.tenant, actor.pool, customer_id)] if whole else [key]
    return wanted_keys


def customer_of(actor: Actor, stored: Item) -> Customer:
    """The customer in that item, without its fields. Raises MalformedRecord."""
    try:
        return items.customer_record(actor.tenant, actor.pool, stored)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise MalformedRecord(f"customer item {keys.id_from_pk(stored['pk']['S'])!r}") from error
