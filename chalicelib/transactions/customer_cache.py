"""Cache customers that this process has read or written recently, so that a warm claim needs no read.

A cached customer is a hint. Every transition planned from it is bound to its version, so a stale one costs an extra
transaction and is never written. No answer may come from this cache unless DynamoDB has confirmed it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Final, TypeVar

from msgspec.structs import replace

from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item, StoredFields
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Table, Throttled
from chalicelib.model.model import Customer
from chalicelib.observability import exception_summary

T = TypeVar("T")
log = logging.getLogger("customer-pool")
MAX_CUSTOMERS: Final = 2_000
MAX_AGE_MS: Final = 60_000
MAX_READS: Final = 8
NO_FIELDS: Final = StoredFields(0, {}, (), (), {})


class MalformedRecord(ValueError):
    """An item of the table cannot be decoded as its record. One of `items.MALFORMED`, like the exceptions it wraps."""


class ReadSkew(Exception):
    """The customer and its fields were read before and after a change."""


class CustomerCache:
    """Without `whole`, customers are read without their fields: enough for a transition, not for a response."""

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

    def get_many(
        self, table: Table, actor: Actor, ids: Sequence[str], malformed: set[str] | None = None
    ) -> dict[str, Customer | None]:
        """Return each customer, from the cache or by `read`. None for one that does not exist.

        A customer that only managers see is read each time, as an unknown id is: the duration must not disclose it.
        """
        cached = {name: customer for name, customer in self.peek(actor, ids).items() if not actor.hides(customer)}
        return cached | self.read(table, actor, [each for each in ids if each not in cached], malformed)

    def peek(self, actor: Actor, ids: Sequence[str]) -> dict[str, Customer]:
        """Return the customers that are cached and not too old."""
        found = {}
        for customer_id in ids:
            seen_at, customer = self._kept.get(actor.customer_key(customer_id), (0, None))
            if customer is not None and actor.now - seen_at < MAX_AGE_MS:
                found[customer_id] = customer
        return found

    def read(
        self,
        table: Table,
        actor: Actor,
        ids: Sequence[str],
        malformed: set[str] | None = None,
        *,
        consistent: bool = True,
    ) -> dict[str, Customer | None]:
        """Read each customer. One request per 50 customers, since the fields are a separate item.

        Without `consistent`, it costs half as much and may be a moment late: enough for a list.

        Raises MalformedRecord, unless a set collects the ids of malformed customers: these are logged and left out. So
        is one that never fits its fields: a change takes much less time than MAX_READS reads.
        """
        read: dict[str, Customer | None] = {}
        missing = list(ids)
        for attempt in range(MAX_READS):
            if not missing:
                break
            wanted = keys_of(actor, missing, whole=self.whole)
            found, torn = table.get(wanted, consistent=consistent or attempt > 0), list[str]()
            for customer_id in missing:
                try:
                    read[customer_id] = self.from_items(actor, customer_id, found)
                except ReadSkew:
                    torn.append(customer_id)
                except MalformedRecord as error:
                    if malformed is None:
                        raise
                    log_malformed(customer_id, error)
                    malformed.add(customer_id)
            missing = torn
        for customer_id in missing:
            if malformed is None:
                raise Throttled
            log_malformed(customer_id, ReadSkew(customer_id))
            malformed.add(customer_id)
        return read

    def from_items(self, actor: Actor, customer_id: str, found_items: Mapping[Key, Item]) -> Customer | None:
        """Cache and return the customer from items that were read together. Raises ReadSkew."""
        stored = found_items.get(actor.customer_key(customer_id))
        if stored is None or items.is_tombstone(stored):
            return None
        customer = customer_of(actor, stored)
        if not self.whole:
            return self._cached(actor, customer)
        written = found_items.get(keys.fields_key(actor.tenant, actor.pool, customer_id))
        read = NO_FIELDS if written is None else _decode(items.fields_record, written)
        if (read.version, read.rewrites) != (customer.fields_version, customer.rewrites):
            raise ReadSkew(customer_id)
        whole = replace(
            customer, fields=read.fields, contact_keys=read.contact_keys, former_keys=read.former_keys,
            unknown_of_fields=read.unknown, unique_keys=read.unique_keys,
        )  # fmt: skip
        return self._cached(actor, whole)

    def from_item(self, table: Table, actor: Actor, stored: Item, known: Customer | None) -> Customer:
        """Return the customer of an item without fields. The fields are read only if they have changed."""
        customer = customer_of(actor, stored)
        if not self.whole:
            return self._cached(actor, customer)
        if known is not None and _same_fields(known, customer):
            return self._cached(actor, customer.with_fields_of(known))
        return self.read(table, actor, [customer.id])[customer.id] or customer

    def _cached(self, actor: Actor, customer: Customer) -> Customer:
        self.remember(customer, actor.now)
        return customer


def _same_fields(known: Customer, stored: Customer) -> bool:
    """Return whether the cached fields belong to the stored customer, not to an earlier one with its id."""
    of_known, of_stored = ((each.fields_version, each.rewrites, each.created_at) for each in (known, stored))
    return of_known == of_stored


def keys_of(actor: Actor, ids: Iterable[str], *, whole: bool = True) -> list[Key]:
    """Return the keys of the customers and, with `whole`, of their fields."""
    wanted_keys = []
    for customer_id in ids:
        key = actor.customer_key(customer_id)
        wanted_keys += [key, keys.fields_key(actor.tenant, actor.pool, customer_id)] if whole else [key]
    return wanted_keys


def customer_of(actor: Actor, stored: Item) -> Customer:
    """Decode the customer of an item, without its fields. Raises MalformedRecord."""
    return _decode(partial(items.customer_record, actor.tenant, actor.pool), stored)


def log_malformed(customer_id: str, error: Exception) -> None:
    log.error("malformed customer %s: %s", customer_id, exception_summary(error))


def _decode(record: Callable[[Item], T], stored: Item) -> T:
    try:
        return record(stored)
    except items.MALFORMED as error:
        raise MalformedRecord(f"customer item {keys.id_from_pk(stored['pk']['S'])!r}") from error
