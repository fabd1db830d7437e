"""The types of the response bodies about pools, members and users. Like `responses`, those about customers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from chalicelib.model.field_definitions import Field
from chalicelib.model.model import Role
from chalicelib.model.policy import Bypass, Policy
from chalicelib.model.responses import Naming, Natural, People, Schema, Time, Version

PolicyInForce: TypeAlias = Annotated[
    Policy,
    Meta(
        extra_json_schema={
            "required": list(Policy.__struct_fields__),
            "properties": {
                "win": {"enum": ["approval", "holder", "manager"]},
                **{name: {"type": "array", "items": {"type": "string"}} for name in ("masked_fields", "reminders")},
                **{name: {"type": "string"} for name in ("notes_visible_to", "phone_region", "win_review")},
            },
        }
    ),
]


# Pools


class Totals(Schema):
    """The numbers of customers of a pool by state. Those that are set aside are not among the available ones."""

    available: int
    claimed: int
    private: int
    set_aside: int


class FieldsProblem(Schema):
    """Why a field could not become unique: customers with equal values of it, the first hundred for each field."""

    twins: dict[str, list[str]]


class Pool(Schema):
    """A pool with every rule of its policy. A rule that is null is off. `fields` defines the fields of its customers:
    the standard set if nobody has defined any. While `fields_ready` is false, a change of them is in progress. Managers
    see in `fields_problem` why it failed. `warnings` names rules that leave a way around another one open. `totals` may
    be half a minute old."""

    id: str
    name: str
    status: Literal["open", "paused", "closed"]
    policy: PolicyInForce
    fields: list[Field]
    fields_ready: bool
    warnings: list[Bypass]
    totals: Totals
    version: Version
    created_at: Time
    updated_at: Time
    fields_problem: FieldsProblem | UnsetType = UNSET


class ReshardedPool(Pool, kw_only=True):
    """A pool with its number of shards. While `spreading`, its lists are being moved to that number."""

    shards: Annotated[int, Meta(ge=1, le=32)]
    spreading: bool


class DeletedPool(Schema):
    """A deleted pool."""

    id: str


class FieldsForecast(Schema):
    """The effects of a change of fields on the customers that a dry run read: all, if it is `complete`. `unfit` counts
    values that no longer fit, by field. `twins` names the first hundred customers with equal values of a field that
    would become unique."""

    looked_at: Natural
    complete: bool
    unfit: dict[str, Natural]
    twins: dict[str, list[str]]


class ChangedPool(Pool):
    """A pool after a change. `affected` is how many claims and private customers get another deadline or pin; in a dry
    run, would get one. A dry run names the first hundred of these customers, and their holders, at most a thousand; if
    it has fields, there is a `fields_forecast`."""

    affected: Natural | UnsetType = UNSET
    affected_customers: list[str] | UnsetType = UNSET
    affected_holders: list[str] | UnsetType = UNSET
    people: People | UnsetType = UNSET
    fields_forecast: FieldsForecast | UnsetType = UNSET


class PoolPage(Schema):
    items: list[Pool]
    next_cursor: str | None


class LogEntry(Schema):
    """A change of `name`, `status`, `policy` or `fields` of a pool, or of `member:<user>`. `old` and `new` contain only
    what differs; `old` is null for a new member, `new` for a removed one."""

    at: Time
    by: str
    what: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class LogPage(Naming):
    items: list[LogEntry]
    next_cursor: str | None


# Members and users


class Member(Schema):
    """A member with their effective limits. Null means no limit; `resets_at` is when the count of the day resets. With
    `takes`, the member may only take customers with one of these values of a field. A
    member that is not `seen` has never called GET /me: their id may be mistyped."""

    pool_id: str
    user_id: str
    name: str | None
    role: Role
    holding_limit: Natural | None
    held: Natural
    headroom: Natural | None
    private_limit: Natural | None
    private: Natural
    pins: Natural
    daily_claim_limit: Natural | None
    claimed_today: Natural
    resets_at: Time
    takes: dict[str, list[str]] | None
    seen: bool
    version: Version
    people: People | UnsetType = UNSET


class RemovedMember(Naming):
    """A member who was removed from a pool."""

    pool_id: str
    user_id: str


class MemberPage(Naming):
    items: list[Member]
    next_cursor: str | None


class User(Schema):
    """A user of the tenant. One that is not `seen` has never called GET /me; one that has `left` gets no customer."""

    user_id: str
    name: str | None
    email: str | None
    department: str | None
    seen: bool
    left: bool
    version: Version


class OwnPool(Schema):
    """A pool that the caller is a member of."""

    id: str
    name: str
    status: Literal["open", "paused", "closed"]
    role: Role


class Me(User):
    """The caller, as stored. `admin` is the role in the token."""

    admin: bool
    pools: list[OwnPool]


class UserPage(Schema):
    items: list[User]
    next_cursor: str | None


class LeaveProgress(Naming):
    """How far a leave is. `moved` counts the customers that were disposed of, `not_transferred` those of them that the
    recipient could not get: they were released or deposited. `remaining` are still the user's."""

    user_id: str
    state: Literal["running", "done"]
    moved: Natural
    remaining: Natural
    not_transferred: Natural
