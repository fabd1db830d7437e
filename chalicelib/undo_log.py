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

from chalicelib import layout
from chalicelib.journal import Journal
from chalicelib.layout import Key, plain, value
from chalicelib.moves import Move
from chalicelib.records import IDENTIFIER
from chalicelib.table import Put, Table

KEPT_SECONDS: Final = 30 * 24 * 3600
SAID: Final = ("name", "fields", "priority")  # all that an import says of a customer


class Written(Struct, frozen=True, array_like=True):
    """One customer that an import wrote: the row's place in it, the version that it made, and of what it changed the
    content before. That is None where the customer is new."""

    at: int
    id: str
    version: int
    created_at: int
    before: dict[str, Any] | None


class UndoLog(Struct, frozen=True):
    """The records of one import. `minted` is its name, unless an Idempotency-Key names it."""

    tenant: str
    pool: str
    now: int
    minted: str
    journal: Journal | None

    @property
    def import_id(self) -> str:
        """The same for all repetitions under a key; certain once the first of its transactions is written."""
        return self.minted if self.journal is None else self.journal.name

    def keys(self, move: Move) -> set[Key]:
        """The one item more that a transaction needs if it holds that move."""
        return set() if move.after is None else {layout.import_key(self.tenant, self.pool, self.minted, "")}

    def part(self, moves: Mapping[int, Move]) -> list[Put]:
        """The record of those moves, by row; none where they change nothing."""
        written = [_written(at, move) for at, move in moves.items() if move.after is not None]
        if not written:
            return []
        key = layout.import_key(self.tenant, self.pool, self.import_id, f"{written[0].at:03d}-{written[0].version}")
        content = {
            "pk": value(key.pk), "sk": value(key.sk), "rows": {"B": zlib.compress(msgspec.json.encode(written))},
            "ttl": value(self.now // 1000 + KEPT_SECONDS),
        }  # fmt: skip
        return [Put(key, content)]


def _written(at: int, move: Move) -> Written:
    """What stays as it was is not kept: with whole fields, as many rows as a transaction holds would not fit."""
    after, before = move.after, None
    assert after is not None
    if move.before is not None:
        said = {name: getattr(move.before, name) for name in SAID}
        before = {name: then for name, then in said.items() if then != getattr(after, name)}
    return Written(at, after.id, after.version, after.created_at, before)


def read(table: Table, tenant: str, pool: str, import_id: str, now: int) -> dict[int, Written]:
    """All that an import wrote, by row; nothing where there is no such import, or only too long ago."""
    if IDENTIFIER.fullmatch(import_id) is None:
        return {}
    latest: dict[str, Written] = {}
    for page in table.pages(layout.import_key(tenant, pool, import_id, "").pk):
        for stored in page.items:
            if plain(stored["ttl"]) > now // 1000:
                for each in msgspec.json.decode(zlib.decompress(stored["rows"]["B"]), type=list[Written]):
                    latest[each.id] = max(each, latest.get(each.id, each), key=lambda written: written.version)
    return {each.at: each for each in sorted(latest.values(), key=lambda written: written.at)}
