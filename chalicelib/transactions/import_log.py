"""Store the imports of a pool: what each did, for a list, and what is needed to undo it.

An import is one request or, for a file, many. Each transaction of a request counts its rows in the import, and puts one
record, named by its first row, so no two transactions put the same record. It names customers and versions only. The
content that the import overwrote is personal, so it is an item in the customer's own partition (I12); the next import
that changes the customer replaces it. Once a request has all results, its rows are counted. DynamoDB deletes everything
by TTL. This module must not undo anything.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace
from pynamodb.expressions.operand import Value

from chalicelib.domain import rules
from chalicelib.domain.transitions import Transition, Write
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute
from chalicelib.dynamodb.items import MALFORMED, Item, build_item, deserialize, serialize, serialize_attributes
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, Key
from chalicelib.dynamodb.table import Action, Put, SetAttributes, Table, Update, between
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Count, Customer, Identifier, Version
from chalicelib.model.text import IDENTIFIER, Fields
from chalicelib.observability import exception_summary
from chalicelib.transactions.idempotency import IdempotencyRecord, Result

log = logging.getLogger("customer-pool")
RETENTION_SECONDS: Final = 30 * 24 * 3600
IMPORTED_ATTRIBUTES: Final = ("name", "fields", "priority")  # all attributes that an import sets
_PARTS_PER_READ: Final = 25
_PLACE: Final = re.compile(r"[0-9]{15}#[0-9A-Za-z_-]{1,64}")


class Source(Struct, frozen=True):
    """The id of an import, and the name of its file; all its requests have them."""

    id: Identifier
    file: str | None = None


class Import(Struct, frozen=True):
    """An import as it is listed. `rows` and `refused` count the requests that have ended."""

    id: str
    at: Count
    by: str
    file: str | None = None
    rows: Count = 0
    created: Count = 0
    updated: Count = 0
    refused: Count = 0
    undone_at: Count | None = None


def import_record(stored: Item) -> Import:
    """Return the stored import. Raises one of MALFORMED."""
    return msgspec.convert({"id": keys.id_from_pk(stored["pk"]["S"])} | items.deserialize_item(stored), Import)


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
    """The records of one request of an import. `generated_id` is its id, unless an Idempotency-Key determines it."""

    tenant: str
    pool: str
    by: str
    now: int
    generated_id: str
    idempotency: IdempotencyRecord
    source: Source | None = None

    @property
    def request(self) -> str:
        """The same id for all repetitions under a key; final once the first transaction is written."""
        return self.idempotency.name or self.generated_id

    @property
    def import_id(self) -> str:
        """The id that the client gives, or that of this only request."""
        return self.request if self.source is None else self.source.id

    @property
    def _key(self) -> Key:
        return keys.import_key(self.tenant, self.pool, self.import_id)

    def keys(self, transition: Transition) -> set[Key]:
        """Return the keys of the extra items that a transaction with this transition needs."""
        if not _changes_content(transition):
            return set()
        written = {self._key, keys.import_log_key(self._key, "", "")}
        return written if transition.before is None else {*written, keys.overwritten_key(transition.key)}

    def part(self, transitions: Mapping[int, Transition]) -> list[Action]:
        """Return the record of the transitions, their counts and the overwritten content.

        Nothing if they change nothing. An import that continues after its undo is no longer undone.
        """
        written = {
            index: each for index, each in transitions.items() if isinstance(each, Write) and _changes_content(each)
        }
        if not written:
            return []
        rows = [_imported_row(index, transition) for index, transition in written.items()]
        place = keys.place_in_import(self.request, self.now)
        key = keys.import_log_key(self._key, place, f"{rows[0].at:03d}-{rows[0].version}")
        content = {
            "pk": serialize(key.pk), "sk": serialize(key.sk),
            "rows": {"B": zlib.compress(msgspec.json.encode(rows))},
            "ttl": serialize(self._ends),
        }  # fmt: skip
        changed = [each for each in written.values() if each.before is not None]
        counts = {"created": len(rows) - len(changed), "updated": len(changed)}
        counting = self._counting(counts, Attribute("undone_at").remove())
        return [
            Put(key, content),
            counting,
            *(self._overwritten(each.key, each.before, each.after) for each in changed),
        ]

    def request_counts(self, results: Iterable[Result]) -> list[Action]:
        """Return the actions that count the rows of a request that has all results. They fail if it is counted."""
        refused = [each.refusal is not None for each in results]
        key = keys.counted_key(self._key, self.request)
        marker = Put(key, build_item(key, {"ttl": self._ends}), rules.pk.does_not_exist())
        return [marker, self._counting({"rows": len(refused), "refused": sum(refused)})]

    def _counting(self, counts: Mapping[str, int], *others: Any) -> Update:
        """Add to the counts of the import, which the first write creates."""
        first = {"at": self.now, "by": self.by, "file": None if self.source is None else self.source.file}
        first |= {DUE: keys.imports_in(self.tenant, self.pool), INDEX_RANGE[DUE]: -self.now}
        kept = [Attribute(name).set(Attribute(name) | value) for name, value in first.items() if value is not None]
        added = [Attribute(name).add(count) for name, count in counts.items()]
        return Update(self._key, [*kept, Attribute("ttl").set(Value(serialize(self._ends))), *added, *others])

    @property
    def _ends(self) -> int:
        return self.now // 1000 + RETENTION_SECONDS

    def _overwritten(self, customer: Key, before: Customer | None, after: Customer) -> SetAttributes:
        """Write the changed content only: it costs write units."""
        content = {name: getattr(before, name) for name in IMPORTED_ATTRIBUTES}
        changed = {name: then for name, then in content.items() if then != getattr(after, name)}
        written = {"import": self.request, "before": msgspec.json.encode(changed).decode(), "ttl": self._ends}
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


def undone(tenant: str, pool: str, import_id: str, now: int) -> Update:
    """Return the write of the time at which an import was first undone."""
    undone_at = Attribute("undone_at")
    return Update(keys.import_key(tenant, pool, import_id), [undone_at.set(undone_at | now)], rules.pk.exists())


class Logged(Struct, frozen=True):
    """The rows that one request of an import wrote `at` a time, by index, and the place of the one before, if any."""

    request: str
    at: int
    rows: dict[int, ImportedRow]
    earlier: str | None


def is_place(text: str) -> bool:
    """Return whether a client's text can be the place of a request."""
    return _PLACE.fullmatch(text) is not None


def read(table: Table, tenant: str, pool: str, import_id: str, now: int, place: str = "") -> Logged | None:
    """Return what the request at `place`, or the latest one, wrote. None if the import is unknown or expired.

    Raises Refused if a record is malformed: nobody knows what it named, and an undo must be complete.
    """
    if IDENTIFIER.fullmatch(import_id) is None:
        return None
    latest: dict[str, ImportedRow] = {}
    found, earlier = "", None
    for key, rows in _parts(table, keys.import_key(tenant, pool, import_id), place, now):
        at = keys.place_from_sk(key.sk)
        if found and at != found:
            earlier = at
            break
        found = at
        for each in rows:
            latest[each.id] = max(each, latest.get(each.id, each), key=lambda written: written.version)
    if not found:
        return None
    request = found.partition("#")[2]
    written = _with_content(table, tenant, pool, request, latest.values())
    return Logged(
        request,
        keys.time_from_place(found),
        {each.at: each for each in sorted(written, key=lambda written: written.at)},
        earlier,
    )


def _parts(table: Table, an_import: Key, place: str, now: int) -> Iterator[tuple[Key, list[ImportedRow]]]:
    """Yield the parts of the log from a place on, without those that have expired."""
    part = between(None, *keys.import_log_from(place))
    for page in table.pages(an_import.pk, between=part, limit=_PARTS_PER_READ):
        for key, stored in zip(page.keys, page.items, strict=True):
            if rows := _rows(stored, now):
                yield key, rows


def _rows(record: Item, now: int) -> list[ImportedRow]:
    try:
        if deserialize(record["ttl"]) <= now // 1000:
            return []
        return msgspec.json.decode(zlib.decompress(record["rows"]["B"]), type=list[ImportedRow])
    except (*MALFORMED, zlib.error) as error:
        log.error("malformed record of an import: %s", exception_summary(error))
        raise Refused(Refusal(rules.MALFORMED_RECORD)) from error


def _with_content(table: Table, tenant: str, pool: str, request: str, rows: Iterable[ImportedRow]) -> list[ImportedRow]:
    """Return the rows with the content that this request overwrote and that is still stored."""
    changed = [each.id for each in rows if not each.is_new]
    wanted = {customer: keys.overwritten_key(keys.customer_key(tenant, pool, customer)) for customer in changed}
    stored = table.get(list(wanted.values()))
    content = {customer: _content(stored.get(key, {}), request) for customer, key in wanted.items()}
    return [replace(each, before=content.get(each.id)) for each in rows]


class _Content(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The stored content: each of IMPORTED_ATTRIBUTES that the import changed."""

    name: str | UnsetType = UNSET
    fields: Fields | UnsetType = UNSET
    priority: int | UnsetType = UNSET


def _content(item: Item, request: str) -> dict[str, Any] | None:
    try:
        if not item or deserialize(item["import"]) != request:
            return None
        content = msgspec.json.decode(item["before"]["S"], type=_Content)
    except MALFORMED as error:
        log.error("malformed content before an import: %s", exception_summary(error))
        return {}
    return {name: then for name, then in msgspec.structs.asdict(content).items() if then is not UNSET}
