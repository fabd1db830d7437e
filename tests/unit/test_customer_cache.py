"""The lifetime, size and refresh of the customer cache, without a real engine."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Table, Throttled
from chalicelib.model.model import Customer
from chalicelib.transactions.customer_cache import (
    MAX_AGE_MS,
    MAX_CUSTOMERS,
    CustomerCache,
    MalformedRecord,
    ReadSkew,
    keys_of,
)
from tests.support.memory import Memory, memory_table
from tests.support.transition_samples import AVAILABLE, CLAIMED, actor
from tests.support.world import START

KEY = keys.customer_key("main", "p", "c1")
FIELDS = Key(KEY.pk, "F")


def engine(*customers: Customer) -> tuple[Table, Memory, list[str]]:
    """Return a table with those customers and the list of its requests from now on."""
    memory, rule_names = Memory(), list[str]()
    memory.before = rule_names.append
    memory.load(dict(item for each in customers for item in both(each)))
    return memory_table(memory), memory, rule_names


def both(customer: Customer) -> list[tuple[Key, Item]]:
    key = keys.customer_key(customer.tenant, customer.pool, customer.id)
    found_items = {key: items.customer_item(customer), Key(key.pk, "F"): items.fields_item(customer)}
    return [(at, item | {"pk": {"S": at.pk}, "sk": {"S": at.sk}}) for at, item in found_items.items()]


def later(ms: int) -> Any:
    return replace(actor(), now=START + ms)


def test_a_cached_customer_expires_after_exactly_a_minute() -> None:
    table, _, rule_names = engine(AVAILABLE)
    customer_cache = CustomerCache()

    first = customer_cache.get_many(table, actor(), ["c1"])
    customer_cache.get_many(table, later(MAX_AGE_MS - 1), ["c1"])
    warm = len(rule_names)
    customer_cache.get_many(table, later(MAX_AGE_MS), ["c1"])

    assert (first, warm, len(rule_names)) == ({"c1": AVAILABLE}, 1, 2)


def test_only_uncached_customers_are_read_and_a_missing_one_is_none() -> None:
    other = replace(AVAILABLE, id="c2")
    table, memory, _ = engine(AVAILABLE, other)
    customer_cache = CustomerCache()
    customer_cache.remember(AVAILABLE, START)
    memory.items = {key: item for key, item in memory.items.items() if key.pk != KEY.pk}

    assert customer_cache.get_many(table, actor(), ["c1", "c2", "c3"]) == {"c1": AVAILABLE, "c2": other, "c3": None}
    customer_cache.forget(KEY)
    customer_cache.forget(KEY)
    assert customer_cache.get_many(table, actor(), ["c1"]) == {"c1": None}


def test_a_full_cache_evicts_the_oldest_customer() -> None:
    table, _, rule_names = engine()
    customer_cache = CustomerCache()
    many = [replace(AVAILABLE, id=f"n{number}") for number in range(MAX_CUSTOMERS)]
    for each in many:
        customer_cache.remember(each, START)
    customer_cache.remember(many[0], START)
    customer_cache.remember(replace(AVAILABLE, id="one more"), START)

    kept = customer_cache.get_many(table, actor(), ["n0", "n1", "n2", "one more"])

    assert [each for each, copy in kept.items() if copy is None] == ["n1"]
    assert rule_names == ["BatchGetItem"]


def test_a_customer_is_read_with_its_fields_in_one_request() -> None:
    table, _, rule_names = engine(AVAILABLE)

    whole, moved_only = (
        CustomerCache().read(table, actor(), ["c1"]),
        CustomerCache(whole=False).read(table, actor(), ["c1"]),
    )

    assert (whole["c1"], moved_only["c1"]) == (AVAILABLE, replace(AVAILABLE, fields={}))
    assert rule_names == ["BatchGetItem"] * 2
    assert (keys_of(actor(), ["c1"]), keys_of(actor(), ["c1"], whole=False)) == ([KEY, FIELDS], [KEY])


def test_a_customer_with_fields_of_another_version_is_read_again() -> None:
    table, memory, rule_names = engine(AVAILABLE)
    changed = replace(AVAILABLE, version=4, fields_version=4, fields={})
    memory.items |= dict(both(changed)[:1])

    def settle_down(call: str) -> None:
        if len(rule_names) == 2:
            memory.load(dict(both(changed)))

    memory.after = settle_down
    with pytest.raises(ReadSkew):
        CustomerCache().from_items(actor(), "c1", memory.items)
    assert CustomerCache().read(table, actor(), ["c1"]) == {"c1": changed}
    assert len(rule_names) == 3


def test_endless_read_skew_raises_throttled() -> None:
    table, memory, rule_names = engine(AVAILABLE)
    memory.items |= dict(both(replace(AVAILABLE, version=4, fields_version=4))[:1])

    with pytest.raises(Throttled):
        CustomerCache().read(table, actor(), ["c1"])

    assert len(rule_names) == 8


def test_absent_fields_have_no_version() -> None:
    bare = replace(AVAILABLE, fields_version=0, fields={})
    items = dict(both(bare)[:1])

    assert CustomerCache().from_items(actor(), "c1", items) == bare
    with pytest.raises(ReadSkew):
        CustomerCache().from_items(actor(), "c1", dict(both(AVAILABLE)[:1]))


def test_a_returned_item_refreshes_the_cache_and_only_changed_fields_are_read() -> None:
    claimed = replace(CLAIMED, version=5)
    edited = replace(claimed, fields_version=5, fields={"city": "Xining"})
    recreated = replace(claimed, created_at=START)

    for stored, known, reads in (
        (claimed, AVAILABLE, 0),
        (edited, AVAILABLE, 1),
        (recreated, AVAILABLE, 1),
        (claimed, None, 1),
    ):
        table, memory, rule_names = engine(stored)
        customer_cache = CustomerCache()
        assert customer_cache.from_item(table, actor(), memory.items[KEY], known) == stored
        assert len(rule_names) == reads
        assert customer_cache.get_many(table, actor(), ["c1"]) == {"c1": stored} and len(rule_names) == reads, (
            "it is remembered"
        )


def test_a_returned_item_is_cached_without_reading_unneeded_fields() -> None:
    table, memory, rule_names = engine(CLAIMED)

    known = CustomerCache(whole=False).from_item(table, actor(), memory.items[KEY], None)

    assert (known, rule_names) == (replace(CLAIMED, fields={}), [])


def test_customers_are_read_without_fields_when_fields_are_not_needed() -> None:
    table, memory, rule_names = engine(CLAIMED)
    memory.torn = True  # each item would be a request of its own

    known = CustomerCache(whole=False).read(table, actor(), ["c1"])

    assert (known, rule_names) == ({"c1": replace(CLAIMED, fields={})}, ["BatchGetItem"])


def test_a_customer_deleted_before_its_fields_are_read_is_returned_as_it_failed() -> None:
    table, memory, _ = engine(CLAIMED)
    stored = memory.items[KEY]
    memory.load({})

    assert CustomerCache().from_item(table, actor(), stored, None) == replace(CLAIMED, fields={})


def test_an_item_that_is_no_customer_is_named_by_its_id_alone() -> None:
    _, memory, _ = engine(AVAILABLE)
    broken = {name: value for name, value in memory.items[KEY].items() if name != "state"}

    with pytest.raises(MalformedRecord, match=r"^customer item 'c1'$"):
        CustomerCache().from_items(actor(), "c1", {KEY: broken})
