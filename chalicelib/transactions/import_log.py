"""Store what is needed to undo an import: the customers it created or changed, and their content before.

Each transaction of an import also puts one record, named by its first row, so no two transactions put the same record.
DynamoDB deletes the records by TTL. This module must not undo anything.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from chalicelib.domain.transitions import Transition, Write
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import deserialize, serialize
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put, Table
from chalicelib.model.model import IDENTIFIER
from chalicelib.transactions.idempotency import IdempotencyRecord

RETENTION_SECONDS: Final = 30 * 24 * 3600
IMPORTED_ATTRIBUTES: Final = ("name", "fields", "priority")  # all attributes that an import sets


class ImportedRow(Struct, frozen=True, array_like=True):
    """One customer that an import wrote: the index of its row, the version written, and the changed content before.

    `before` is None if the customer is new.
    """

    at: int
    id: str
    version: int
    created_at: int
    before: dict[str, Any] | None


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
        """Return the key of the extra item that a transaction with this transition needs."""
        return (
            {keys.import_key(self.tenant, self.pool, self.generated_id, "")} if isinstance(transition, Write) else set()
        )

    def part(self, transitions: Mapping[int, Transition]) -> list[Put]:
        """Return the record of the transitions, or nothing if they change nothing."""
        written = [_imported_row(at, each) for at, each in transitions.items() if isinstance(each, Write)]
        if not written:
            return []
        key = keys.import_key(self.tenant, self.pool, self.import_id, f"{written[0].at:03d}-{written[0].version}")
        content = {
            "pk": serialize(key.pk), "sk": serialize(key.sk),
            "rows": {"B": zlib.compress(msgspec.json.encode(written))},
            "ttl": serialize(self.now // 1000 + RETENTION_SECONDS),
        }  # fmt: skip
        return [Put(key, content)]


def _imported_row(at: int, transition: Write) -> ImportedRow:
    """Store only the changed content: the whole fields of all rows of a transaction would not fit."""
    after, before = transition.after, None
    if transition.before is not None:
        content = {name: getattr(transition.before, name) for name in IMPORTED_ATTRIBUTES}
        before = {name: then for name, then in content.items() if then != getattr(after, name)}
    return ImportedRow(at, after.id, after.version, after.created_at, before)


def read(table: Table, tenant: str, pool: str, import_id: str, now: int) -> dict[int, ImportedRow]:
    """Return the rows that an import wrote, by index; empty if the import is unknown or expired."""
    if IDENTIFIER.fullmatch(import_id) is None:
        return {}
    latest: dict[str, ImportedRow] = {}
    for page in table.pages(keys.import_key(tenant, pool, import_id, "").pk):
        for stored in page.items:
            if deserialize(stored["ttl"]) > now // 1000:
                for each in msgspec.json.decode(zlib.decompress(stored["rows"]["B"]), type=list[ImportedRow]):
                    latest[each.id] = max(each, latest.get(each.id, each), key=lambda written: written.version)
    return {each.at: each for each in sorted(latest.values(), key=lambda written: written.at)}
