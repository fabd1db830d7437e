"""Routes for pools, policies, members, statistics, the sweep, the audit and the service. One short function each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from chalicelib import __version__, config, services
from chalicelib.api.requests import FieldName, Name, PageQuery, checked_name, checked_visible, decode, invalid
from chalicelib.api.routing import ANY_MEDIA, HTML, POOL, ROUTES, Answer, route
from chalicelib.model import field_definitions, pool_responses, reports
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.field_definitions import Field
from chalicelib.model.identities import User
from chalicelib.model.model import Closing, Identifier, Role
from chalicelib.model.policy import Count, Policy
from chalicelib.model.responses import same_schema_as
from chalicelib.model.selections import MemberOrder
from chalicelib.model.territories import territory_of
from chalicelib.model.text import LONGEST_FIELD_NAME
from chalicelib.model.users import Disposal, HeldAnswer, PrivateAnswer
from chalicelib.transactions.context import RequestContext

if TYPE_CHECKING:
    from chalicelib.services import sweeper

# The service itself


@route("GET", "/v1/health", answers=reports.Health, public=True)
def health() -> Answer:
    """Return ok if the service is running, with its version and the deployed commit."""
    return Answer(reports.Health("ok", __version__, config.read(os.environ).commit))


@route("GET", "/v1/openapi.json", answers=dict, public=True)
def get_openapi() -> Answer:
    """Return this document."""
    from chalicelib.api.openapi import document  # imported on first use: keeps cold starts short

    return Answer(document(tuple(ROUTES)))


@route("GET", "/console", answers=str, media=HTML, public=True)
def get_console(path: str) -> Answer:
    """Return the console, the web page for people."""
    from chalicelib.api import console  # as above

    return Answer(file=console.page(config.sign_in(os.environ), path))


@route("GET", "/console/{file}", answers=str, media=ANY_MEDIA, public=True)
def get_console_file(file: str) -> Answer:
    """Return the script, the style or the texts of the console. Their names change with their content."""
    from chalicelib.api import console  # as above

    return Answer(file=console.asset(file))


# Pools and members


FieldList = Annotated[
    msgspec.Raw,
    Meta(extra_json_schema={"type": "array", "maxItems": 50, "items": {"$ref": "#/components/schemas/Field"}}),
]


class PoolBody(Struct, frozen=True, forbid_unknown_fields=True):
    id: Identifier
    name: Name
    policy: Annotated[msgspec.Raw, same_schema_as("Policy")] = field(default_factory=lambda: msgspec.Raw(b"{}"))
    fields: FieldList = field(default_factory=lambda: msgspec.Raw(b"[]"))

    def __post_init__(self) -> None:
        checked_name(self.name)


@route("POST", "/v1/pools", body=PoolBody, answers=pool_responses.Pool, status=201, admins=True)
def create_pool(ctx: RequestContext, body: PoolBody) -> Answer:
    """Create an open pool without members."""
    policy = decode(body.policy, Policy, "policy_invalid", names=True)
    if problems := policy.problems():
        raise Refused(Refusal("policy_invalid", errors=tuple(problems)))
    return Answer(services.pools.create_pool(ctx, body.id, body.name, policy, _definitions(body.fields)), 201)


def _definitions(raw: msgspec.Raw) -> tuple[Field, ...]:
    """Return definitions of fields. Raises Refused."""
    fields: tuple[Field, ...] = decode(raw, tuple[Field, ...], "field_invalid", names=True, within="fields")
    if problems := field_definitions.problems(fields):
        raise Refused(Refusal("field_invalid", errors=tuple(problems)))
    return fields


@route("GET", "/v1/pools", query=PageQuery, answers=pool_responses.PoolPage)
def list_pools(ctx: RequestContext, query: PageQuery) -> Answer:
    """List the caller's pools; for an admin, all pools of the tenant."""
    return Answer(services.pools.list_pools(ctx, query.limit, query.cursor))


@route("GET", POOL, answers=pool_responses.Pool)
def get_pool(ctx: RequestContext, pool: str) -> Answer:
    """Return a pool and its policy."""
    return Answer(services.pools.get_pool(ctx, pool))


class PoolPatch(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    policy: Annotated[msgspec.Raw, same_schema_as("Policy")] = field(default_factory=lambda: msgspec.Raw(b"{}"))
    fields: FieldList | UnsetType = UNSET
    apply_to: Literal["new", "all"] = "new"
    dry_run: bool = False

    def __post_init__(self) -> None:
        checked_name(self.name)


@route("PATCH", POOL, body=PoolPatch, answers=pool_responses.ChangedPool)
def change_pool(ctx: RequestContext, body: PoolPatch, pool: str) -> Answer:
    """Change the name, rules or fields of a pool, for new claims or all claims. Rules left out stay."""
    policy = decode(body.policy, dict[str, Any], "policy_invalid")
    fields = None if body.fields is UNSET else _definitions(body.fields)
    change = services.policies.Change(body.name, policy, fields)
    return Answer(services.policies.change(ctx, pool, change, to_all=body.apply_to == "all", dry_run=body.dry_run))


@route("POST", POOL + "/pause", answers=pool_responses.Pool, admins=True)
def pause_pool(ctx: RequestContext, pool: str) -> Answer:
    """Pause a pool: nobody can claim, and no deadline passes."""
    return Answer(services.pool_lifecycle.pause(ctx, pool))


@route("POST", POOL + "/resume", answers=pool_responses.Pool, admins=True)
def resume_pool(ctx: RequestContext, pool: str) -> Answer:
    """Resume a paused pool. Every deadline moves by the length of the pause."""
    return Answer(services.pool_lifecycle.resume(ctx, pool))


class CloseBody(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Closing


@route("POST", POOL + "/close", body=CloseBody, answers=pool_responses.Pool, admins=True)
def close_pool(ctx: RequestContext, body: CloseBody, pool: str) -> Answer:
    """Close a pool and end its claims: release the customers, or convert them to private customers of their holders."""
    return Answer(services.pool_lifecycle.close(ctx, pool, body.mode))


@route("POST", POOL + "/open", answers=pool_responses.Pool, admins=True)
def open_pool(ctx: RequestContext, pool: str) -> Answer:
    """Reopen a closed pool."""
    return Answer(services.pool_lifecycle.reopen(ctx, pool))


class SpreadBody(Struct, frozen=True, forbid_unknown_fields=True):
    shards: Annotated[int, Meta(ge=1, le=32)]


@route("POST", POOL + "/spread", body=SpreadBody, answers=pool_responses.ReshardedPool, admins=True)
def spread_pool(ctx: RequestContext, body: SpreadBody, pool: str) -> Answer:
    """Set the number of partitions for a pool's lists, for more writes a second."""
    return Answer(services.pool_lifecycle.spread(ctx, pool, body.shards))


@route("DELETE", POOL, answers=pool_responses.DeletedPool, admins=True)
def delete_pool(ctx: RequestContext, pool: str) -> Answer:
    """Delete a pool without customers."""
    return Answer(services.pool_lifecycle.delete(ctx, pool))


TerritoryValues = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(min_length=1, max_length=100)
]
Territory = Annotated[dict[FieldName, TerritoryValues], Meta(min_length=1, max_length=1)]


def checked_territory(territory: Territory | UnsetType | None) -> None:
    """Raise ValueError for a value without a visible character."""
    for each in [value for values in (territory or {}).values() for value in values]:
        checked_visible(each, "takes")


class MemberBody(Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    holding_limit: Count | None = None
    private_limit: Count | None = None
    takes: Territory | None = None

    def __post_init__(self) -> None:
        checked_territory(self.takes)


@route("PUT", POOL + "/members/{user}", body=MemberBody, answers=pool_responses.Member)
def put_member(ctx: RequestContext, body: MemberBody, pool: str, user: str) -> Answer:
    """Make a user a member or manager of the pool, or change their role, limits and territory."""
    settings = services.pools.MemberSettings(
        body.role, body.holding_limit, body.private_limit, territory_of(body.takes)
    )
    return Answer(services.pools.put_member(ctx, pool, user, settings))


class MemberPatch(Struct, frozen=True, forbid_unknown_fields=True):
    role: Role | UnsetType = UNSET
    holding_limit: Count | UnsetType | None = UNSET
    private_limit: Count | UnsetType | None = UNSET
    takes: Territory | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        checked_territory(self.takes)


@route("PATCH", POOL + "/members/{user}", body=MemberPatch, answers=pool_responses.Member)
def change_member(ctx: RequestContext, body: MemberPatch, pool: str, user: str) -> Answer:
    """Change what the body names of a member's role, limits and territory. Null removes a limit or the territory."""
    takes = UNSET if body.takes is UNSET else territory_of(body.takes)
    settings = services.pools.MemberSettings(body.role, body.holding_limit, body.private_limit, takes)
    return Answer(services.pools.put_member(ctx, pool, user, settings, adds=False))


class MemberQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    sort: Annotated[
        MemberOrder | None,
        Meta(description="The order of the list, for a pool with at most a thousand members; by default by id."),
    ] = None


@route("GET", POOL + "/members", query=MemberQuery, answers=pool_responses.MemberPage)
def list_members(ctx: RequestContext, query: MemberQuery, pool: str) -> Answer:
    """List the members of a pool with their counters."""
    return Answer(services.member_list.list_members(ctx, pool, query.sort, query.limit, query.cursor))


@route("GET", POOL + "/members/{user}", answers=pool_responses.Member)
def get_member(ctx: RequestContext, pool: str, user: str) -> Answer:
    """Return a member with their counters; `me` is the caller."""
    return Answer(services.pools.get_member(ctx, pool, user))


class RemovalQuery(Struct, frozen=True, forbid_unknown_fields=True):
    held: Annotated[HeldAnswer | None, Meta(description="How to dispose of the customers that the member holds.")] = (
        None
    )
    private: Annotated[
        PrivateAnswer | None, Meta(description="How to dispose of the private customers of the member.")
    ] = None
    to: Annotated[User | None, Meta(description="The recipient of a transfer, by id or subject.")] = None


@route("DELETE", POOL + "/members/{user}", query=RemovalQuery, answers=pool_responses.RemovedMember, removes=True)
def remove_member(ctx: RequestContext, query: RemovalQuery, pool: str, user: str) -> Answer:
    """Remove a member, after their customers are released, deposited or transferred."""
    if ("transfer" in (query.held, query.private)) != (query.to is not None):
        raise invalid("transfer_only", "to")
    if query.to is not None and query.to.id == user:
        raise invalid("other_user", "to")
    disposal = Disposal(query.held, query.private, query.to and query.to.id)
    return Answer(services.member_removal.remove_member(ctx, pool, user, disposal))


class StatsQuery(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    since: Annotated[date | None, Meta(description="The first day, in the time zone of the pool.")] = None
    to: Annotated[date | None, Meta(description="The last day, itself included.")] = None
    by: Annotated[
        Annotated[str, Meta(min_length=1, max_length=LONGEST_FIELD_NAME)] | None,
        Meta(
            description="Only the breakdown by `day`, by `member`, or by the values of a field with `filter`; by "
            "default the first two."
        ),
    ] = None


@route("GET", POOL + "/stats", query=StatsQuery, answers=reports.Statistics)
def get_stats(ctx: RequestContext, query: StatsQuery, pool: str) -> Answer:
    """Return counts of activities by day, by member or by a field, and current counts. Members see their own."""
    return Answer(services.statistics.of_pool(ctx, pool, query.since, query.to, query.by))


class LogQuery(PageQuery, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    since: Annotated[date | None, Meta(description="The first day, in the time zone of the pool.")] = None
    to: Annotated[date | None, Meta(description="The last day, itself included.")] = None


@route("GET", POOL + "/log", query=LogQuery, answers=pool_responses.LogPage)
def list_log(ctx: RequestContext, query: LogQuery, pool: str) -> Answer:
    """List the changes of a pool's rules, fields, status and members in the last 400 days, oldest first."""
    return Answer(services.change_log.list_entries(ctx, pool, query.since, query.to, query.limit, query.cursor))


# Maintenance by admins, of one pool or all


def _selected_pools(ctx: RequestContext, pool: str | None) -> Iterable[sweeper.Listed]:
    """Return that pool, or all pools of the tenant. Raises Refused if the caller is not an admin."""
    ctx.by_admin()
    return services.sweeper.pool_named(ctx, pool) if pool else services.sweeper.pools_of(ctx.backend, ctx.caller.tenant)


class SweepBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    dry_run: bool = False
    confirm: bool = False


@route("POST", "/v1/sweep", body=SweepBody, answers=reports.SweepReport, admins=True)
def sweep(ctx: RequestContext, body: SweepBody) -> Answer:
    """Run one sweep now: return expired claims to their pools and send reminders."""
    which, left = _selected_pools(ctx, body.pool), services.sweeper.request_time_left()
    report = services.sweeper.sweep_pools(ctx.backend, which, ctx.now, left, dry_run=body.dry_run, confirm=body.confirm)
    return Answer(ctx.finish(report.body()))


class AuditBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    repair: bool = False


@route("POST", "/v1/audit", body=AuditBody, answers=reports.AuditReport, admins=True)
def audit(ctx: RequestContext, body: AuditBody) -> Answer:
    """Recompute counters, lists and events from the customers of one pool or all. Report drift, or repair it."""
    which, left = _selected_pools(ctx, body.pool), services.sweeper.request_time_left()
    backend = ctx.backend
    report = services.audit.run(backend.table, which, left, secret=backend.secret, now=ctx.now, repair=body.repair)
    return Answer(ctx.finish(report))
