"""List the log of the changes of a pool's settings and members (rule 17)."""

from __future__ import annotations

from datetime import date, timedelta

from chalicelib.domain import rendering
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import between
from chalicelib.model import times
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Pool
from chalicelib.model.pool_responses import LogPage
from chalicelib.model.times import DAY
from chalicelib.model.validation import FieldError
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import require_manager, sound
from chalicelib.transactions.change_log import KEPT_DAYS
from chalicelib.transactions.context import RequestContext


def list_entries(
    ctx: RequestContext, pool_id: str, since: date | None, to: date | None, limit: int, cursor: str | None
) -> LogPage:
    """Return a page of the log from the day `since` to the day `to`, both included, oldest first. Managers only."""
    pool = ctx.pool(pool_id)
    partition = keys.log_of(pool.tenant, pool.id)
    codec = CursorCodec(ctx.backend.secret, partition, str(since), str(to))
    last = codec.read(cursor, str)
    require_manager(ctx, pool)
    if since is not None and to is not None and since > to:
        raise Refused(Refusal("invalid_request", errors=(FieldError("days", "from, to", (KEPT_DAYS,)),)))
    low, high = (keys.log_position(moment) for moment in _moments(pool, ctx.now, since, to))
    if last is not None and not low <= last <= high:
        raise Refused(Refusal("invalid_cursor"))
    if low > high:
        return LogPage([], None)
    after = None if last is None else items.build_item(Key(partition, last), {})
    page = ctx.backend.table.page(partition, limit, between=between(None, low, high), after=after)
    stored = ((key.sk, item) for key, item in zip(page.keys, page.items, strict=True))
    entries = sound("log entry", stored, lambda item: rendering.log_entry(pool_items.log_record(item)))
    return LogPage(entries, None if page.last is None else codec.write(page.keys[-1].sk))


def _moments(pool: Pool, now: int, since: date | None, to: date | None) -> tuple[int, int]:
    """Return the first moment of the list and the one after it, within what is kept."""
    zone = times.zone(pool.policy.time_zone or "UTC")
    first, last = now - KEPT_DAYS * DAY, now + 1
    today = date.fromisoformat(times.local_day(now, zone))
    if since is not None and since > today - timedelta(days=KEPT_DAYS):
        first = max(first, times.start_of(min(since, today + timedelta(days=2)).isoformat(), zone))
    if to is not None and to < today:
        last = times.midnight_after(max(to, today - timedelta(days=KEPT_DAYS + 2)).isoformat(), zone)
    return first, last
