"""What an import leaves behind so that it can be undone: whom it made or changed, and what they said before.

Each transaction of an import also puts one record, named by its first row, so no two of them write the same. The
engine drops the records in time. Nothing is undone here, and nobody's word but the engine's is taken for what stands.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from chalicelib.domain.transitions import Transition
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import deserialize, serialize
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put, Table
from chalicelib.model.model import IDENTIFIER
from chalicelib.transactions.idempotency import IdempotencyRecord

RETENTION_SECONDS: Final = 30 * 24 * 3600
IMPORTED_ATTRIBUTES: Final = ("name", "fields", "priority")  # all that an import says of a customer


class ImportedRow(Struct, frozen=True, array_like=True):
    """One customer that an import wrote: the row's place in it, the version that it made, and of what it changed the
    content before. That is None where the customer is new."""

    at: int
    id: str
    version: int
    created_at: int
    before: dict[str, Any] | None


class ImportLog(Struct, frozen=True):
    """The records of one import. `minted` is its name, unless an Idempotency-Key names it."""

    tenant: str
    pool: str
    now: int
    generated_id: str
    idempotency: IdempotencyRecord | None

    @property
    def import_id(self) -> str:
        """The same for all repetitions under a key; certain once the first of its transactions is written."""
        return self.generated_id if self.idempotency is None else self.idempotency.name

    def keys(self, transition: Transition) -> set[Key]:
        """The one item more that a transaction needs if it holds that move."""
        return set() if transition.after is None else {keys.import_key(self.tenant, self.pool, self.generated_id, "")}

    def part(self, transitions: Mapping[int, Transition]) -> list[Put]:
        """The record of those moves, by row; none where they change nothing."""
        written = [
            _imported_row(at, transition) for at, transition in transitions.items() if transition.after is not None
        ]
        if not written:
            return []
        key = keys.import_key(self.tenant, self.pool, self.import_id, f"{written[0].at:03d}-{written[0].version}")
        content = {
            "pk": serialize(key.pk), "sk": serialize(key.sk),
            "rows": {"B": zlib.compress(msgspec.json.encode(written))},
            "ttl": serialize(self.now // 1000 + RETENTION_SECONDS),
        }  # fmt: skip
        return [Put(key, content)]


def _imported_row(at: int, transition: Transition) -> ImportedRow:
    """What stays as it was is not kept: with whole fields, as many rows as a transaction holds would not fit."""
    after, before = transition.after, None
    assert after is not None
    if transition.before is not None:
        said = {name: getattr(transition.before, name) for name in IMPORTED_ATTRIBUTES}
        before = {name: then for name, then in said.items() if then != getattr(after, name)}
    return ImportedRow(at, after.id, after.version, after.created_at, before)


def read(table: Table, tenant: str, pool: str, import_id: str, now: int) -> dict[int, ImportedRow]:
    """All that an import wrote, by row; nothing where there is no such import, or only too long ago."""
    if IDENTIFIER.fullmatch(import_id) is None:
        return {}
    latest: dict[str, ImportedRow] = {}
    for page in table.pages(keys.import_key(tenant, pool, import_id, "").pk):
        for stored in page.items:
            if deserialize(stored["ttl"]) > now // 1000:
                for each in msgspec.json.decode(zlib.decompress(stored["rows"]["B"]), type=list[ImportedRow]):
                    latest[each.id] = max(each, latest.get(each.id, each), key=lambda written: written.version)
    return {each.at: each for each in sorted(latest.values(), key=lambda written: written.at)}
