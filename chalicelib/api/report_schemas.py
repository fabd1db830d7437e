"""What the service answers about itself and many customers at once, as types: statistics, what a sweep or an audit did.

They describe and never build, like those of `shapes`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from chalicelib.api.schemas import Natural, Schema

Day: TypeAlias = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", extra_json_schema={"format": "date"})]

# Statistics


class Activities(Schema):
    """How many customers entered, and how many claims began and ended in which way."""

    entered: Natural
    claimed: Natural
    released: Natural
    expired: Natural
    won: Natural


class DayActivities(Activities):
    day: Day


class MemberActivities(Activities):
    user_id: str


class StateCounts(Schema):
    """How the customers of the pool stand now, private ones left aside."""

    available: int
    claimed: int
    set_aside: int


class Statistics(Schema, rename={"since": "from"}):
    """What happened on those local days of the pool, both included, and how it stands now."""

    since: Day
    to: Day
    totals: Activities
    by_day: list[DayActivities]
    by_member: list[MemberActivities]
    now: StateCounts


# The service


class SweepReport(Schema):
    """What one pass did. `changed` were no longer due when written; `lag_s` is the age of the oldest due claim;
    `unconfirmed` are the pools of which so much was due that somebody has to confirm it."""

    due: Natural
    returned: Natural
    changed: Natural
    failed: Natural
    remaining: Natural
    reminded: Natural
    lag_s: Annotated[float, Meta(ge=0)]
    unconfirmed: list[str]


class Drift(Schema):
    """One difference. `id` is a customer's, a member's or, for the sums, the pool's; `expected` is what the customers,
    or the events, say."""

    pool: str
    kind: Literal[
        "held", "pins", "room", "pooled", "aside", "index", "claim", "events", "replay", "malformed"
    ]  # fmt: skip
    id: str
    expected: Any
    found: Any
    repaired: bool


class AuditReport(Schema):
    """What was looked at and what had drifted: `drift` lists the first hundred of `drifted`. `unsettled` never stood
    still long enough to be sure; `remaining` are the pools that time did not suffice for."""

    customers: Natural
    members: Natural
    drifted: Natural
    repaired: Natural
    drift: list[Drift]
    unsettled: list[str]
    remaining: list[str]
    complete: bool


class Health(Schema):
    status: Literal["ok"]
