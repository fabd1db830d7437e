"""Report the activity in a pool by day and by member, and its current counts.

Read members and their archived days, never customers. The transactions themselves keep these counters (`counters`), so
the sums are exact. Days are in the pool's time zone. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.table import between
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import ACTIVITIES, Member, Pool
from chalicelib.model.reports import Activities, DayActivities, MemberActivities, Statistics
from chalicelib.model.validation import FieldError
from chalicelib.services.pools import require_manager
from chalicelib.services.totals import count_by_state, members_of
from chalicelib.transactions.context import RequestContext

MAX_DAYS: Final = 92
DEFAULT_DAYS: Final = 30


def of_pool(ctx: RequestContext, pool_id: str, first: date | None, last: date | None) -> Statistics:
    """Return the statistics from `first` to `last`, both included; by default the last 30 days. Raises Refused."""
    pool = ctx.pool(pool_id)
    require_manager(ctx, pool)
    to = last or date.fromisoformat(pool.day(ctx.now))
    since = first or date.fromordinal(max(to.toordinal() - DEFAULT_DAYS + 1, 1))
    if not timedelta(0) <= to - since < timedelta(days=MAX_DAYS):
        raise Refused(Refusal("invalid_request", errors=(FieldError("days", "from, to", (MAX_DAYS,)),)))
    members = list(members_of(ctx.backend.table, pool, malformed=[]))
    days = (since.isoformat(), to.isoformat())
    by_day: dict[str, Counter[str]] = defaultdict(Counter)
    by_member: dict[str, Counter[str]] = defaultdict(Counter)
    for day, user, did in _days(ctx, pool, members, *days):
        by_day[day].update(did)
        by_member[user].update(did)
    return Statistics(
        since=days[0],
        to=days[1],
        totals=Activities(**_kinds(sum(by_day.values(), Counter()))),
        by_day=[DayActivities(day, **_kinds(did)) for day, did in sorted(by_day.items())],
        by_member=[MemberActivities(user, **_kinds(did)) for user, did in sorted(by_member.items())],
        now=count_by_state(ctx.backend.table, pool, members, lenient=True),
    )


def _days(
    ctx: RequestContext, pool: Pool, members: list[Member], since: str, to: str
) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yield day, user and activity: archived days from their items, the latest day from the member items."""
    rows = keys.days_of(pool.tenant, pool.id)
    for page in ctx.backend.table.pages(rows, between=between(None, since, keys.end_of_day(to))):
        for key, stored in zip(page.keys, page.items, strict=True):
            day, _, user = key.sk.partition("#")
            counts = {kind: items.deserialize_or_none(stored.get(kind)) for kind in ACTIVITIES}
            yield day, user, {kind: count for kind, count in counts.items() if isinstance(count, int) and count > 0}
    for member in members:
        if since <= member.day <= to:
            yield member.day, member.user, member.did


def _kinds(did: Counter[str]) -> dict[str, int]:
    return {kind: did[kind] for kind in ACTIVITIES}
