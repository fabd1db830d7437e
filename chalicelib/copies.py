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

from chalicelib import layout
from chalicelib.layout import Item, Key
from chalicelib.moves import Actor
from chalicelib.records import Customer
from chalicelib.table import Table, Throttled

KEPT: Final = 2_000
KEPT_MS: Final = 60_000
TORN_READS: Final = 8


class MalformedRecord(Exception):
    """An item of the table does not read as the record that it should be."""


class TornRead(Exception):
    """The customer and its fields were read on two sides of a change."""


class Copies:
    """With `whole` false, customers are read and known without their fields: enough to move them, not to show them."""

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self._kept: dict[Key, tuple[int, Customer]] = {}
        self._lock = Lock()

    def remember(self, customer: Customer, now: int) -> None:
        key = layout.customer_key(customer.tenant, customer.pool, customer.id)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (now, customer)
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]

    def forget(self, key: Key) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def look_up(self, table: Table, actor: Actor, ids: Sequence[str]) -> dict[str, Customer | None]:
        """A copy of each: one seen lately, or else one read now. None for a customer that does not exist."""
        seen = self.seen(actor, ids)
        return seen | self.read(table, actor, [customer_id for customer_id in ids if customer_id not in seen])

    def seen(self, actor: Actor, ids: Sequence[str]) -> dict[str, Customer]:
        """The copies there are, of those seen lately."""
        found = {}
        for customer_id in ids:
            seen_at, customer = self._kept.get(actor.customer_key(customer_id), (0, None))
            if customer is not None and actor.now - seen_at < KEPT_MS:
                found[customer_id] = customer
        return found

    def read(self, table: Table, actor: Actor, ids: Sequence[str]) -> dict[str, Customer | None]:
        """Each as it is now. One request per 50 customers, since the fields are an item of their own."""
        read: dict[str, Customer | None] = {}
        for _ in range(TORN_READS):
            missing = [customer_id for customer_id in ids if customer_id not in read]
            if not missing:
                return read
            items = table.get(keys_of(actor, missing, whole=self.whole))
            for customer_id in missing:
                with suppress(TornRead):
                    read[customer_id] = self.from_items(actor, customer_id, items)
        raise Throttled

    def from_items(self, actor: Actor, customer_id: str, items: Mapping[Key, Item]) -> Customer | None:
        """The customer among items that were read together, remembered. Raises TornRead."""
        stored = items.get(actor.customer_key(customer_id))
        if stored is None:
            return None
        customer = record(actor, stored)
        if not self.whole:
            return self._noted(actor, customer)
        written = items.get(layout.fields_key(actor.tenant, actor.pool, customer_id))
        fields_version, fields = (0, {}) if written is None else layout.fields_record(written)
        if fields_version != customer.fields_version:
            raise TornRead(customer_id)
        return self._noted(actor, replace(customer, fields=fields))

    def from_item(self, table: Table, actor: Actor, stored: Item, known: Customer | None) -> Customer:
        """The customer that the engine returned without its fields; they are read again only if they have changed."""
        customer = record(actor, stored)
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
    keys = []
    for customer_id in ids:
        key = actor.customer_key(customer_id)
        keys += [key, layout.fields_key(actor.tenant, actor.pool, customer_id)] if whole else [key]
    return keys


def record(actor: Actor, stored: Item) -> Customer:
    """The customer in that item, without its fields. Raises MalformedRecord."""
    try:
        return layout.customer_record(actor.tenant, actor.pool, stored)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise MalformedRecord(f"customer item {layout.id_in(stored['pk']['S'])!r}") from error
