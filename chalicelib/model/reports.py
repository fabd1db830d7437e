"""The types of the response bodies of statistics, sweeps and audits."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from chalicelib.model.pool_responses import Totals
from chalicelib.model.responses import Naming, Natural, Schema
from chalicelib.model.times import DURATION_PATTERN

Day: TypeAlias = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", extra_json_schema={"format": "date"})]
Amount: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]{2}$")]
Elapsed: TypeAlias = Annotated[str, Meta(pattern=DURATION_PATTERN, extra_json_schema={"format": "duration"})]


def amount_of(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


# Statistics


class FirstFollowUps(Schema):
    """How many claims had their first follow-up by the holder, and the time from the claim within which half and nine
    tenths of them had it: rounded up to a minute within an hour, 5 minutes within 8 hours, 15 minutes within a day, an
    hour within a week and else a day. Null without any."""

    count: Natural
    p50: Elapsed | None
    p90: Elapsed | None


class Activities(Schema, kw_only=True):
    """How many customers entered, how many claims began and ended in which way, how many follow-ups were recorded, and
    the sum of the amounts won. Follow-ups count for their author, everything else for the holder."""

    entered: Natural
    claimed: Natural
    assigned: Natural
    followed_up: Natural
    released: Natural
    expired: Natural
    won: Natural
    amount: Amount
    time_to_first_follow_up: FirstFollowUps


class DayActivities(Activities):
    day: Day


class MemberActivities(Activities):
    """The activities of a member, and what they hold and own now."""

    user_id: str
    held: Natural
    private: Natural


class ValueCounts(Schema):
    """The customers that have entered the pool in the period, latest entry, and have this value of the field; null for
    none. Their present states, without suppressed ones, and how many of them are won for which amount. One with several
    values counts for each."""

    value: str | None
    entered: Natural
    available: Natural
    claimed: Natural
    private: Natural
    set_aside: Natural
    won: Natural
    amount: Amount


class StatisticsNow(Totals):
    """The current customers by state, and the pinned ones. `no_contact`: held customers without a contact for three
    days. `expiring`: customers whose deadline is within a day. If `cut`, only the thousand claims and private customers
    with the nearest deadlines were looked at for these two."""

    pinned: Natural
    no_contact: Natural
    expiring: Natural
    cut: bool


class Statistics(Naming, kw_only=True, rename={"since": "from"}):
    """Activities on the local days from `from` to `to`, both included, and the current counts. For a member who is no
    manager they are the member's own; `available` and `set_aside` are those of the pool. If `values_cut`, `by_value`
    counts only the thousand customers that entered last, or has only its first thousand values."""

    since: Day
    to: Day
    totals: Activities
    by_day: list[DayActivities] | UnsetType = UNSET
    by_member: list[MemberActivities] | UnsetType = UNSET
    by_value: list[ValueCounts] | UnsetType = UNSET
    values_cut: bool | UnsetType = UNSET
    now: StatisticsNow


# The service


class SweepReport(Schema):
    """The result of one sweep. `changed` customers were no longer due when written; `lag_s` is how long the oldest due
    one had been expired; `unconfirmed` lists the pools with so many due customers that an admin must confirm."""

    due: Natural
    returned: Natural
    changed: Natural
    failed: Natural
    remaining: Natural
    reminded: Natural
    lag_s: Annotated[float, Meta(ge=0)]
    unconfirmed: list[str]


DriftKind: TypeAlias = Literal[
    "held", "pins", "room", "private", "private_room", "pooled", "aside", "index", "claim", "events", "replay",
    "suppression", "check", "malformed", "search", "card", "keys", "unique",
]  # fmt: skip


class Drift(Schema):
    """One difference. `id` is that of a customer, a member or, for sums, the pool; `expected` is computed from the
    customers or the events."""

    pool: str
    kind: DriftKind
    id: str
    expected: Any
    found: Any
    repaired: bool


class AuditReport(Schema):
    """The result of an audit. `drift` lists the first hundred of `drifted`. `unsettled` lists the members and
    pools that kept changing during the audit; `remaining` lists the pools that the audit had no time for."""

    customers: Natural
    members: Natural
    drifted: Natural
    repaired: Natural
    drift: list[Drift]
    unsettled: list[str]
    remaining: list[str]
    complete: bool


class Health(Schema):
    """The version of the running service and the commit that was deployed, `unknown` where it was not packaged."""

    status: Literal["ok"]
    version: str
    commit: str
