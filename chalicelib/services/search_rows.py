"""Keep the search rows of customers: one item for each part of a name or of a searched field, in the customer's own
partition, listed in the index `names` by part and name.

The table's stream names the customers whose content may have changed. Their rows are computed from the customer as it
is now, so a record that comes late, twice or in another order changes nothing. A list of a customer's rows, an item of
its own, makes the difference known without a query. Every transaction requires that this list is as it was read and
that the customer is still there, so a stale writer is refused and an erased customer gets no row.

After a change of a pool's fields or masks, the schedule computes the rows of all its customers again. Until it has,
that pool is searched without rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import search_entries
from chalicelib.domain.search_entries import Entry
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.conditions import Attribute
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import NAMES, ROSTER, STORED_NAMES, Key
from chalicelib.dynamodb.table import MAX_ACTIONS, Action, Check, Delete, Fault, SetAttributes, Table, Throttled, Update
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.observability import exception_summary

log = logging.getLogger("customer-pool")
CUSTOMERS_PER_READ: Final = 33  # each with its fields and the list of its rows: one request
MAX_ROUNDS: Final = 8  # attempts while others write the same customer
ROWS_PER_WRITE: Final = MAX_ACTIONS - 2  # beside the customer and the list of its rows
STALE_MS: Final = 60_000  # longer than an invocation that may still work with the earlier settings
MIN_SECONDS_LEFT: Final = 3.0  # upper bound for one page of customers

state, erased_at, created_at, revision, pk = map(Attribute, ("state", "erased_at", "created_at", "revision", "pk"))


class Rows(Struct, frozen=True):
    """The list of a customer's rows, as stored.

    `entries` are all rows that may exist; they exist as listed, under `name`, if the list is `complete`. They were
    computed from the customer that was created at `created_at`, at that `version`, by the pool's `rules`. `revision`
    counts the writes of the list.
    """

    entries: frozenset[Entry] = frozenset()
    name: str = ""
    created_at: int = 0
    version: int = 0
    rules: str = ""
    complete: bool = False
    revision: int = 0


class Failures(Struct, frozen=True):
    """The counts of a batch of stream records, and the partial batch response for Lambda."""

    numbers: Mapping[str, float]
    response: dict[str, Any]


# From the stream


def index_records(table: Table, records: Sequence[Mapping[str, Any]]) -> Failures:
    """Bring the rows of the customers in these records up to date. From the first failed record on they are retried."""
    changed: dict[Key, str] = {}
    for record in records:
        key = _changed_customer(record)
        if key is not None:
            changed.setdefault(key, str(record["dynamodb"]["SequenceNumber"]))
    done = 0
    try:
        for keys_read in _batches(list(changed)):
            refresh(table, keys_read)
            done += len(keys_read)
    except Fault as fault:
        log.warning("search rows are left for a retry: %s", exception_summary(fault))
    failed = list(changed.values())[done:]
    numbers = {"indexed": done, "unindexed": len(failed)}
    return Failures(numbers, {"batchItemFailures": [{"itemIdentifier": number} for number in failed[:1]]})


def _changed_customer(record: Mapping[str, Any]) -> Key | None:
    """Return the customer of a record, unless its rows are the same before and after. Claims write no rows."""
    try:
        change = record["dynamodb"]
        after, before = change.get("NewImage") or {}, change.get("OldImage") or {}
        image = after or before
        if "tail" not in image or image["sk"]["S"] != "-":
            return None
        return None if _content(before) == _content(after) else Key(image["pk"]["S"], image["sk"]["S"])
    except (LookupError, TypeError, AttributeError) as error:
        log.error("malformed record: %s", exception_summary(error))
        return None


def _content(image: Item) -> list[Any]:
    """Return what of a customer item its rows depend on."""
    named = [image.get(name) for name in ("name", "created_at", STORED_NAMES["fields_version"])]
    return [bool(image), "erased_at" in image, image.get("state") == {"S": "private"}, *named]


# Of some customers


def refresh(table: Table, customers: Sequence[Key], pool: Pool | None = None) -> None:
    """Write the rows of these customers as they are now, of one pool if it is given. Raises Fault.

    A malformed customer is logged and keeps its rows.
    """
    pools: dict[Key, Pool | None] = {} if pool is None else {keys.pool_key(pool.tenant, pool.id): pool}
    for batch in _batches(customers):
        found = table.get([each for key in batch for each in _items_of(key)])
        for key in batch:
            try:
                _refresh(table, pools, key, found)
            except MALFORMED as error:
                log.error("malformed customer %s: %s", keys.id_from_pk(key.pk), exception_summary(error))


def _refresh(table: Table, pools: dict[Key, Pool | None], key: Key, found: Mapping[Key, Item]) -> None:
    for _ in range(MAX_ROUNDS):
        rows = rows_record(found.get(keys.search_row_list_key(key)))
        customer, alive = _customer(key, found)
        if customer is None and alive:
            done = False  # the customer and its fields were read before and after a change
        elif customer is None:
            done = all(table.write(actions) is None for actions in _removal(key, rows))
        else:
            pool = _pool(table, pools, customer)
            done = pool is None or all(table.write(actions) is None for actions in _changes(customer, pool, rows))
        if done:
            return
        found = table.get(_items_of(key))
    raise Throttled


def _items_of(key: Key) -> list[Key]:
    return [key, Key(key.pk, "F"), keys.search_row_list_key(key)]


def _customer(key: Key, found: Mapping[Key, Item]) -> tuple[Customer | None, bool]:
    """Return the customer with its fields, and whether it exists: only its fields may be of another version."""
    stored = found.get(key)
    if stored is None or items.is_tombstone(stored):
        return None, False
    customer = items.customer_record(keys.tenant_from_pk(key.pk), keys.pool_from_pk(key.pk), stored)
    written = found.get(Key(key.pk, "F"))
    read = None if written is None else items.fields_record(written)
    if (0 if read is None else read.version) != customer.fields_version:
        return None, True
    return (customer if read is None else replace(customer, fields=read.fields)), True


def _pool(table: Table, pools: dict[Key, Pool | None], customer: Customer) -> Pool | None:
    """Return the pool as stored now, read once for all customers. None if it is deleted."""
    key = keys.pool_key(customer.tenant, customer.pool)
    if key not in pools:
        stored = table.get([key]).get(key)
        pools[key] = None if stored is None else pool_items.pool_record(customer.tenant, stored)
    return pools[key]


def _changes(customer: Customer, pool: Pool, rows: Rows) -> Iterator[list[Action]]:
    """Yield the transactions that make the rows those of the customer. None if they are, or of a later version."""
    key = keys.customer_key(customer.tenant, customer.pool, customer.id)
    wanted = wanted_rows(customer, pool)
    overtaken = rows.created_at == customer.created_at and rows.version > customer.version
    if overtaken or _current(rows, wanted):
        return
    old = row_items(key, rows)
    new = row_items(key, wanted)
    puts = [_set(each, item) for each, item in new.items() if not rows.complete or old.get(each) != item]
    deletes: list[Action] = [Delete(each) for each in old if each not in new]
    present = Check(key, state.exists() & (created_at == customer.created_at))
    writes: list[Action] = [*puts, *deletes]
    both = replace(wanted, entries=rows.entries | wanted.entries, complete=False)
    yield from _in_steps(key, rows, writes, present, both, replace(wanted, complete=True))


def _same(rows: Rows, wanted: Rows) -> bool:
    return (rows.entries, rows.name, rows.rules) == (wanted.entries, wanted.name, wanted.rules)


def wanted_rows(customer: Customer, pool: Pool) -> Rows:
    """Return the rows that the customer should have. One without a folded name has none: no list by name has it."""
    name = truncate_name(fold_name(customer.name))
    entries = search_entries.of(customer, pool) if name else frozenset()
    return Rows(entries, name, customer.created_at, customer.version, search_entries.rules_of(pool))


def _removal(key: Key, rows: Rows) -> Iterator[list[Action]]:
    """Yield the transactions that delete the rows of a customer that is gone."""
    if rows.revision == 0:
        return
    gone = Check(key, pk.does_not_exist() | erased_at.exists())
    deletes: list[Action] = [Delete(each) for each in row_items(key, rows)]
    yield from _in_steps(key, rows, deletes, gone, replace(rows, complete=False), None)


def _in_steps(
    key: Key, rows: Rows, writes: Sequence[Action], required: Check, between: Rows, last: Rows | None
) -> Iterator[list[Action]]:
    """Yield transactions of at most MAX_ACTIONS. The list is `between` until the last one writes or deletes it."""
    at = rows.revision
    starts = range(0, max(len(writes), 1), ROWS_PER_WRITE)
    for start in starts:
        part = list(writes[start : start + ROWS_PER_WRITE])
        listed = last if start == starts[-1] else between
        yield [required, _listed(keys.search_row_list_key(key), at, listed), *part]
        at += 1


def _listed(key: Key, at: int, rows: Rows | None) -> Action:
    """Return the write of the list, which requires that it has been written `at` times."""
    same = pk.does_not_exist() if at == 0 else revision == at
    if rows is None:
        return Delete(key, same)
    return _set(key, row_list_item(key, replace(rows, revision=at + 1)), same)


def _set(key: Key, item: Item, condition: Condition | None = None) -> SetAttributes:
    """Return the write of an item that may exist. Attributes that this version does not know stay."""
    content = items.content_of(item)
    return SetAttributes(key, content, condition=condition)


# For the audit


class Compared(Struct, frozen=True):
    """How many customers have a list of rows, and the numbers of wanted and listed rows of those that differ."""

    listed: int
    differing: dict[Key, tuple[int, int]]


def compare(table: Table, pool: Pool, customers: Sequence[Key]) -> Compared:
    """Compare the rows of these customers of the pool with the customers. Malformed and changing ones are left out."""
    listed, differing = 0, dict[Key, tuple[int, int]]()
    for batch in _batches(customers):
        found = table.get([each for key in batch for each in _items_of(key)])
        for key in batch:
            try:
                customer, _ = _customer(key, found)
                rows = rows_record(found.get(keys.search_row_list_key(key)))
            except MALFORMED:
                continue
            listed += rows.revision > 0
            wanted = None if customer is None else wanted_rows(customer, pool)
            if wanted is not None and not _current(rows, wanted):
                differing[key] = len(wanted.entries), len(rows.entries)
    return Compared(listed, differing)


def _current(rows: Rows, wanted: Rows) -> bool:
    return rows.complete and rows.created_at == wanted.created_at and _same(rows, wanted)


# Items


def row_items(key: Key, rows: Rows) -> dict[Key, Item]:
    """Return the items of the rows of a customer."""
    tenant, pool = keys.tenant_from_pk(key.pk), keys.pool_from_pk(key.pk)
    found = {}
    for entry in rows.entries:
        row = keys.search_row_key(key, entry.part, in_fields=entry.in_fields)
        partition = keys.searched_in(tenant, pool, entry.part, restricted=entry.restricted)
        found[row] = items.build_item(row, {NAMES: partition, keys.INDEX_RANGE[NAMES]: rows.name})
    return found


_LISTED: Final = ("entries", "listed", "created_at", "version", "rules", "complete", "revision")


def row_list_item(key: Key, rows: Rows) -> Item:
    listed = [f"{'r' if each.restricted else 'a'}{'f' if each.in_fields else 'n'}{each.part}" for each in rows.entries]
    attributes = {
        "entries": msgspec.json.encode(sorted(listed)).decode(), "listed": rows.name, "created_at": rows.created_at,
        "version": rows.version, "rules": rows.rules, "complete": int(rows.complete), "revision": rows.revision,
    }  # fmt: skip
    return items.build_item(key, attributes)


def rows_record(stored: Item | None) -> Rows:
    """Return the list of a customer's rows; an empty one if none was written. Raises one of MALFORMED."""
    if stored is None:
        return Rows()
    read = {name: items.deserialize(stored[name]) for name in _LISTED}
    listed = msgspec.json.decode(read["entries"], type=list[str])
    entries = frozenset(Entry(each[2:], each[1] == "f", each[0] == "r") for each in listed)
    return Rows(
        entries, read["listed"], read["created_at"], read["version"], read["rules"], bool(read["complete"]),
        read["revision"],
    )  # fmt: skip


def _batches(customers: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (customers[start : start + CUSTOMERS_PER_READ] for start in range(0, len(customers), CUSTOMERS_PER_READ))


# Of all customers of a pool


def continue_indexing(
    table: Table, pool: Pool, now: int, seconds_left: Callable[[], float], *, per_page: int = CUSTOMERS_PER_READ
) -> bool:
    """Compute the rows of the pool again while there is time. After the last customer, searches use them.

    Return whether they do.
    """
    since = pool.unindexed_since
    if since is None or now < since + STALE_MS:
        return since is None
    note = keys.indexing_key(pool.tenant, pool.id)
    roster = keys.customer_roster(pool.tenant, pool.id)
    after = _progress(table.get([note]).get(note), since)
    while True:
        start = items.index_position(ROSTER, roster, None if after is None else Key(after, "-"))
        page = table.query(roster, index=ROSTER, after=start, limit=per_page)
        refresh(table, page.keys, pool)
        if page.last is None:
            break
        after = page.keys[-1].pk if page.keys else after
        if seconds_left() < MIN_SECONDS_LEFT:
            table.write([_set(note, items.build_item(note, {"since": since, "after": after}))])
            return False
    key = keys.pool_key(pool.tenant, pool.id)
    indexed = Update(key, [Attribute("unindexed_since").remove()], Attribute("unindexed_since") == since)
    # If the condition fails, the settings have changed again and the next round starts anew.
    failed_items = table.write([indexed, Delete(note)])
    return failed_items is None or "unindexed_since" not in failed_items[key]  # another round was faster


def _progress(note: Item | None, since: int) -> str | None:
    if note is None or items.deserialize(note["since"]) != since:
        return None
    return str(items.deserialize(note["after"])) if "after" in note else None
