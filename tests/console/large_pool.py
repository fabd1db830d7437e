"""A pool of any size for the console, on an engine in memory: filled at once, as imports would have filled it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from chalicelib.dynamodb import cards, items, keys, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Table
from chalicelib.model.model import Customer, Pool, created
from chalicelib.services import search_rows
from chalicelib.transactions import counters
from tests.support.sorted_memory import SortedMemory

CITIES = ("上海", "北京", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "苏州")
MONTH_MS = 30 * 24 * 3600 * 1000


def fill(engine: SortedMemory, table: Table, tenant: str, customers: int, now: int) -> None:
    """Store customers c000000, c000001 and so on in the pool `p`. One in ten is in each of the cities."""
    key = keys.pool_key(tenant, "p")
    pool = pool_items.pool_record(tenant, table.get([key])[key])
    engine.add(item for number in range(customers) for item in _items(_customer(pool, number, now), pool))
    assert table.write([counters.brought_in(keys.pool_counts_key(tenant, "p"), customers, 0)]) is None


def _customer(pool: Pool, number: int, now: int) -> Customer:
    entered = now - MONTH_MS + number
    fields: dict[str, Any] = {"phone": f"+86 138 {number:08d}", "city": CITIES[number % len(CITIES)]}
    known = Customer(
        pool.tenant, pool.id, f"c{number:06d}", f"{CITIES[number % 7]}科技{number:06d}", "available", 1,
        entered, entered, entered, entered, 1, fields=fields, card=cards.card_of(fields, pool),
    )  # fmt: skip
    return created(known, "imported", "mona")


def _items(customer: Customer, pool: Pool) -> Iterator[Item]:
    key = keys.customer_key(customer.tenant, customer.pool, customer.id)
    rows = search_rows.wanted_rows(customer, pool)
    yield items.customer_item(customer)
    yield items.fields_item(customer)
    yield from search_rows.row_items(key, rows).values()
    yield search_rows.row_list_item(keys.search_row_list_key(key), replace(rows, complete=True, revision=1))
