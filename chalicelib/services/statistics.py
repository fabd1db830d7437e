"""Report the activity in a pool by day and by member, and what it contains now.

The activity is read from members and their archived days, never from customers. The transactions themselves keep these
counters (`counters`), so the sums are exact. Days are in the pool's time zone. Managers see the whole pool, members
their own numbers. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Table, between
from chalicelib.model import first_follow_ups, times
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import ACTIVITIES, Member, Pool
from chalicelib.model.reports import Activities, DayActivities, FirstFollowUps, MemberActivities, Statistics, amount_of
from chalicelib.model.validation import FieldError
from chalicelib.services import statistics_by_value, statistics_now
from chalicelib.services.totals import members_of
from chalicelib.transactions.context import RequestContext

MAX_DAYS: Final = 92
DEFAULT_DAYS: Final = 30


class _Count(NamedTuple):
    day: str
    user: str
    did: Mapping[str, int]


def of_pool(ctx: RequestContext, pool_id: str, first: date | None, last: date | None, by: str | None) -> Statistics:
    """Return the statistics from `first` to `last`, both included; by default the last 30 days. Raises Refused.

    `by` is `day`, `member` or the key of a field with `filter`; None stands for the first two. A member who is no
    manager sees their own, beside the customers that are free for everybody.
    """
    pool = ctx.pool(pool_id)
    own = _own(ctx, pool)
    since, to = _span(ctx, pool, first, last)
    field = None if by in (None, "day", "member") else statistics_by_value.field_of(pool, by)
    if own is None:
        members = list(members_of(ctx.backend.table, pool, malformed=[]))
        archived, now = _archived(ctx.backend.table, pool, since, to), statistics_now.of_pool(ctx, pool, members)
    else:
        members = [own]
        archived, now = _archived_of(ctx.backend.table, own, since, to), statistics_now.of_member(ctx, pool, own)
    counts = [*archived, *_counted_now(members, since, to)]
    by_day = _summed((each.day, each.did) for each in counts)
    by_member = _summed([*((each.user, each.did) for each in counts), *((member.user, {}) for member in members)])
    known = {member.user: member for member in members}
    values = None if field is None else statistics_by_value.count(ctx, pool, field, since, to, own)
    return Statistics(
        since=since,
        to=to,
        totals=Activities(**_kinds(sum(by_day.values(), Counter()))),
        by_day=UNSET if by not in (None, "day") else [
            DayActivities(day, **_kinds(did)) for day, did in sorted(by_day.items())
        ],
        by_member=UNSET if by not in (None, "member") else [
            _of_member(user, did, known.get(user)) for user, did in sorted(by_member.items())
        ],
        by_value=UNSET if values is None else values[0],
        values_cut=UNSET if values is None else values[1],
        now=now,
    )  # fmt: skip


def _own(ctx: RequestContext, pool: Pool) -> Member | None:
    """Return the caller's record, or None for a manager, who sees everybody. Raises Refused for others."""
    actor = ctx.actor(pool)
    found = ctx.backend.table.get([actor.member_key])
    refusal = ctx.unmet(pool, actor.member_rules(), found)
    if refusal is not None:
        raise Refused(refusal)
    if ctx.manages(pool, found):
        return None
    return pool_items.member_record(pool.tenant, pool.id, found[actor.member_key])


def _span(ctx: RequestContext, pool: Pool, first: date | None, last: date | None) -> tuple[str, str]:
    to = last or date.fromisoformat(pool.day(ctx.now))
    since = first or date.fromordinal(max(to.toordinal() - DEFAULT_DAYS + 1, 1))
    if not timedelta(0) <= to - since < timedelta(days=MAX_DAYS):
        raise Refused(Refusal("invalid_request", errors=(FieldError("days", "from, to", (MAX_DAYS,)),)))
    return since.isoformat(), to.isoformat()


# Activity


def _archived(table: Table, pool: Pool, since: str, to: str) -> Iterator[_Count]:
    """Yield what everybody did on archived days."""
    rows = keys.days_of(pool.tenant, pool.id)
    for page in table.pages(rows, between=between(None, since, keys.end_of_day(to))):
        for key, stored in zip(page.keys, page.items, strict=True):
            day, _, user = key.sk.partition("#")
            yield _Count(day, user, _did(stored))


def _archived_of(table: Table, member: Member, since: str, to: str) -> Iterator[_Count]:
    """Yield what a member did on archived days."""
    key = keys.member_key(member.tenant, member.pool, member.user)
    days = range(date.fromisoformat(since).toordinal(), date.fromisoformat(to).toordinal() + 1)
    rows = {keys.day_key(key, day): day for day in (date.fromordinal(each).isoformat() for each in days)}
    for row, stored in table.get(list(rows)).items():
        yield _Count(rows[row], member.user, _did(stored))


def _counted_now(members: Iterable[Member], since: str, to: str) -> Iterator[_Count]:
    """Yield the latest day of each member, which is in their item."""
    for member in members:
        if since <= member.day <= to:
            yield _Count(member.day, member.user, member.did)


def _did(row: Item) -> dict[str, int]:
    kinds = (kind for kind in row if kind in ACTIVITIES or first_follow_ups.minutes_of(kind) is not None)
    counts = {kind: items.deserialize_or_none(row[kind]) for kind in kinds}
    return {kind: count for kind, count in counts.items() if isinstance(count, int) and count >= 0}


def _summed(counts: Iterable[tuple[str, Mapping[str, int]]]) -> dict[str, Counter[str]]:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for name, did in counts:
        sums[name].update(did)
    return sums


def _kinds(did: Counter[str]) -> dict[str, Any]:
    counted = {kind: did[kind] for kind in ACTIVITIES if kind != "won_cents"}
    return counted | {"amount": amount_of(did["won_cents"]), "time_to_first_follow_up": _first_follow_ups(did)}


def _first_follow_ups(did: Counter[str]) -> FirstFollowUps:
    counts = first_follow_ups.counts_by_minutes(did)
    p50, p90 = (first_follow_ups.percentile(counts, percent) for percent in (50, 90))
    return FirstFollowUps(sum(counts.values()), *(None if p is None else times.duration_text(p) for p in (p50, p90)))


def _of_member(user: str, did: Counter[str], member: Member | None) -> MemberActivities:
    """Return a row of a member, or of one who has left."""
    held, private = (0, 0) if member is None else (member.held, member.private)
    return MemberActivities(user, held, private, **_kinds(did))
