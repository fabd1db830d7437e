"""List the imports of a pool, and count the rows of their requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

from chalicelib.domain import masking, rules
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, NO_DEADLINE
from chalicelib.dynamodb.table import Check, between
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Identifier
from chalicelib.model.responses import ImportPage, ListedImport
from chalicelib.model.times import rfc3339
from chalicelib.model.validation import FieldError
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import require_manager, sound
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import Result
from chalicelib.transactions.import_log import RETENTION_SECONDS, ImportLog, Source, import_record

RETENTION_MS: Final = RETENTION_SECONDS * 1000


class Position(Struct, frozen=True, array_like=True):
    """An import in the list: its time and its id."""

    at: Annotated[int, Meta(ge=0, le=NO_DEADLINE)]
    id: Identifier


def list_imports(ctx: RequestContext, pool_id: str, limit: int, cursor: str | None) -> ImportPage:
    """Return the imports into this pool within 30 days, the latest first. Only managers may."""
    pool = ctx.pool(pool_id)
    require_manager(ctx, pool)
    partition = keys.imports_in(pool.tenant, pool.id)
    codec, oldest = CursorCodec(ctx.backend.secret, partition), max(ctx.now - RETENTION_MS, pool.created_at)
    last = codec.read(cursor, Position)
    if last is not None and last.at < oldest:
        return ImportPage([], None)
    after = None if last is None else keys.import_key(pool.tenant, pool.id, last.id)
    position = items.index_position(DUE, partition, after, None if last is None else -last.at)
    page = ctx.backend.table.page(partition, limit, index=DUE, after=position, between=between(DUE, high=-oldest))
    found = [(keys.id_from_pk(key.pk), stored) for key, stored in zip(page.keys, page.items, strict=True)]
    next_cursor = None
    if page.last is not None:
        name, stored = found[-1]
        next_cursor = codec.write(Position(-items.sort_value(stored[INDEX_RANGE[DUE]]), name))
    return ImportPage(sound("import", found, _listed), next_cursor)


def _listed(stored: Item) -> ListedImport:
    each = import_record(stored)
    undone_at = None if each.undone_at is None else rfc3339(each.undone_at)
    return ListedImport(
        each.id, rfc3339(each.at), each.by, each.file, each.rows, each.created, each.updated, each.refused, undone_at
    )


def check_source(ctx: RequestContext, pool_id: str, source: Source) -> None:
    """Raise Refused for an id or a name of a file that contains a phone number or an e-mail address (I12)."""
    region = ctx.pool(pool_id).policy.region
    errors = [FieldError("contact", "import.id")] if masking.is_contact(source.id, region) else []
    errors += [FieldError("contact", "import.file")] if masking.has_contact(source.file or "", region) else []
    if errors:
        raise Refused(Refusal("invalid_request", errors=tuple(errors)))


def count_request(ctx: RequestContext, log: ImportLog, results: Iterable[Result]) -> None:
    """Count the rows of a request that has all results, once, if the caller still manages the pool."""
    member = keys.member_key(log.tenant, log.pool, log.by)
    checks = [] if ctx.caller.admin else [Check(member, rules.manager(member).condition)]
    ctx.backend.table.write([*log.request_counts(results), *checks])
