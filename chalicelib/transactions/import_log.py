"""Store what is needed to undo an import: the customers that it created or changed, and their content before.

Each transaction of an import also puts one record, named by its first row, so no two transactions put the same record.
It names customers and versions only. The content that the import overwrote is personal, so it is an item in the
customer's own partition (I12); the next import that changes the customer replaces it. DynamoDB deletes both by TTL.
This module must not undo anything.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from chalicelib.domain import rules
from chalicelib.domain.transitions import Transition, Write
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import MALFORMED, Item, deserialize, serialize, serialize_attributes
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Put, SetAttributes, Table
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Count, Customer, Identifier, Version
from chalicelib.model.text import Fields
from chalicelib.observability import exception_summary
from chalicelib.transactions.idempotency import IdempotencyRecord

log = logging.getLogger("customer-pool")
RETENTION_SECONDS: Final = 30 * 24 * 3600
IMPORTED_ATTRIBUTES: Final = ("name", "fields", "priority")  # all attributes that an import sets


class ImportedRow(Struct, frozen=True, array_like=True):
    """One customer that an import wrote: the index of its row, and the version written.

    `before` is the changed content before, read from the customer's partition. None if it is not stored, empty if it is
    malformed.
    """

    at: Count
    id: Identifier
    version: Version
    created_at: Count
    is_new: bool
    before: dict[str, Any] | None = None


class ImportLog(Struct, frozen=True):
    """The records of one import. `generated_id` is its id, unless an Idempotency-Key determines it."""

    tenant: str
    pool: str
    now: int
    generated_id: str
    idempotency: IdempotencyRecord

    @property
    def import_id(self) -> str:
        """The same id for all repetitions under a key; final once the first transaction is written."""
        return self.idempotency.name or self.generated_id

    def keys(self, transition: Transition) -> set[Key]:
        """Return the keys of the extra items that a transaction with this transition needs."""
        if not _changes_content(transition):
            return set()
        record = keys.import_key(self.tenant, self.pool, self.generated_id, "")
        return {record} if transition.before is None else {record, keys.overwritten_key(transition.key)}

    def part(self, transitions: Mapping[int, Transition]) -> list[Action]:
        """Return the record of the transitions and the overwritten content, or nothing if they change nothing."""
        written = {
            index: each for index, each in transitions.items() if isinstance(each, Write) and _changes_content(each)
        }
        if not written:
            return []
        rows = [_imported_row(index, transition) for index, transition in written.items()]
        key = keys.import_key(self.tenant, self.pool, self.import_id, f"{rows[0].at:03d}-{rows[0].version}")
        content = {
            "pk": serialize(key.pk), "sk": serialize(key.sk),
            "rows": {"B": zlib.compress(msgspec.json.encode(rows))},
            "ttl": serialize(self._ends),
        }  # fmt: skip
        changed = [each for each in written.values() if each.before is not None]
        return [Put(key, content), *(self._overwritten(each.key, each.before, each.after) for each in changed)]

    @property
    def _ends(self) -> int:
        return self.now // 1000 + RETENTION_SECONDS

    def _overwritten(self, customer: Key, before: Customer | None, after: Customer) -> SetAttributes:
        """Write the changed content only: it costs write units."""
        content = {name: getattr(before, name) for name in IMPORTED_ATTRIBUTES}
        changed = {name: then for name, then in content.items() if then != getattr(after, name)}
        written = {"import": self.import_id, "before": msgspec.json.encode(changed).decode(), "ttl": self._ends}
        return SetAttributes(keys.overwritten_key(customer), serialize_attributes(written))


def _changes_content(transition: Transition) -> bool:
    """Return whether the transition creates a customer or changes its content. An undo leaves an assignment alone."""
    if not isinstance(transition, Write):
        return False
    before = transition.before
    return before is None or any(
        getattr(before, name) != getattr(transition.after, name) for name in IMPORTED_ATTRIBUTES
    )


def _imported_row(index: int, transition: Write) -> ImportedRow:
    after = transition.after
    return ImportedRow(index, after.id, after.version, after.created_at, transition.before is None)


def read(table: Table, tenant: str, pool: str, import_id: str, now: int) -> dict[int, ImportedRow]:
    """Return the rows that an import wrote, by index; empty if the import is unknown or expired.

    Raises Refused if a record is malformed: nobody knows what it named, and an undo must be complete.
    """
    if IDENTIFIER.fullmatch(import_id) is None:
        return {}
    latest: dict[str, ImportedRow] = {}
    for page in table.pages(keys.import_key(tenant, pool, import_id, "").pk):
        for each in (each for stored in page.items for each in _rows(stored, now)):
            latest[each.id] = max(each, latest.get(each.id, each), key=lambda written: written.version)
    rows = _with_content(table, tenant, pool, import_id, latest.values())
    return {each.at: each for each in sorted(rows, key=lambda written: written.at)}


def _rows(record: Item, now: int) -> list[ImportedRow]:
    try:
        if deserialize(record["ttl"]) <= now // 1000:
            return []
        return msgspec.json.decode(zlib.decompress(record["rows"]["B"]), type=list[ImportedRow])
    except (*MALFORMED, zlib.error) as error:
        log.error("malformed record of an import: %s", exception_summary(error))
        raise Refused(Refusal(rules.MALFORMED_RECORD)) from error


def _with_content(
    table: Table, tenant: str, pool: str, import_id: str, rows: Iterable[ImportedRow]
) -> list[ImportedRow]:
    """Return the rows with the content that this import overwrote and that is still stored."""
    changed = [each.id for each in rows if not each.is_new]
    wanted = {customer: keys.overwritten_key(keys.customer_key(tenant, pool, customer)) for customer in changed}
    stored = table.get(list(wanted.values()))
    content = {customer: _content(stored.get(key, {}), import_id) for customer, key in wanted.items()}
    return [replace(each, before=content.get(each.id)) for each in rows]


class _Content(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The stored content: each of IMPORTED_ATTRIBUTES that the import changed."""

    name: str | UnsetType = UNSET
    fields: Fields | UnsetType = UNSET
    priority: int | UnsetType = UNSET


def _content(item: Item, import_id: str) -> dict[str, Any] | None:
    try:
        if not item or deserialize(item["import"]) != import_id:
            return None
        content = msgspec.json.decode(item["before"]["S"], type=_Content)
    except MALFORMED as error:
        log.error("malformed content before an import: %s", exception_summary(error))
        return {}
    return {name: then for name, then in msgspec.structs.asdict(content).items() if then is not UNSET}
