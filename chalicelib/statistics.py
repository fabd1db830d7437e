"""What happened in a pool, by day and by member, and how it stands now. Reads members and their days, never customers.

Whatever is counted here was counted by the transactions that did it (`counters`), so the sums are exact. Days are
those of the pool's time zone. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from chalicelib import layout
from chalicelib.context import Call
from chalicelib.pools import members_of, only_managers, standing
from chalicelib.records import KINDS, Member, Pool
from chalicelib.refusals import Refusal, Refused
from chalicelib.table import between
from chalicelib.validation import FieldError

LONGEST_DAYS: Final = 92
USUAL_DAYS: Final = 30


def of_pool(call: Call, pool_id: str, first: date | None, last: date | None) -> dict[str, Any]:
    """Both days are included; without them, the last thirty. Raises Refused."""
    pool = call.pool(pool_id)
    only_managers(call, pool)
    to = last or date.fromisoformat(pool.day(call.now))
    since = first or date.fromordinal(max(to.toordinal() - USUAL_DAYS + 1, 1))
    if not timedelta(0) <= to - since < timedelta(days=LONGEST_DAYS):
        raise Refused(Refusal("invalid_request", errors=(FieldError("days", "from, to", (LONGEST_DAYS,)),)))
    members = list(members_of(call.backend.table, pool))
    days = (since.isoformat(), to.isoformat())
    by_day: dict[str, Counter[str]] = defaultdict(Counter)
    by_member: dict[str, Counter[str]] = defaultdict(Counter)
    for day, user, did in _days(call, pool, members, *days):
        by_day[day].update(did)
        by_member[user].update(did)
    return {
        "from": days[0],
        "to": days[1],
        "totals": _kinds(sum(by_day.values(), Counter())),
        "by_day": [{"day": day, **_kinds(did)} for day, did in sorted(by_day.items())],
        "by_member": [{"user_id": user, **_kinds(did)} for user, did in sorted(by_member.items())],
        "now": standing(call.backend.table, pool, members),
    }


def _days(
    call: Call, pool: Pool, members: list[Member], since: str, to: str
) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Day, user and what they did: the days that are over from their rows, the latest from the members themselves."""
    rows = layout.days_of(pool.tenant, pool.id)
    for page in call.backend.table.pages(rows, between=between(None, since, layout.end_of_day(to))):
        for key, stored in zip(page.keys, page.items, strict=True):
            day, _, user = key.sk.partition("#")
            yield day, user, {kind: layout.plain(stored[kind]) for kind in KINDS if kind in stored}
    for member in members:
        if since <= member.day <= to:
            yield member.day, member.user, member.did


def _kinds(did: Counter[str]) -> dict[str, int]:
    return {kind: did[kind] for kind in KINDS}
