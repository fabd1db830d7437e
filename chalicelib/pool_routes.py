"""Routes about a pool as a whole: health, pools, policy, members, the sweep, the audit. One short function each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from chalicelib import (
    auditing,
    config,
    managing,
    opening,
    policies,
    pools,
    process,
    reports,
    rounds,
    shapes,
    statistics,
)
from chalicelib.context import Call
from chalicelib.http import HTML, Answer, NoBody, decoded, invalid
from chalicelib.identities import User
from chalicelib.records import Closing, Identifier, Policy, Role
from chalicelib.refusals import Refusal, Refused
from chalicelib.routing import POOL, ROUTES, Name, PageQuery, checked_name, route
from chalicelib.shapes import like

# The service itself


@route("GET", "/v1/health", answers=reports.Health, public=True)
def health() -> Answer:
    """Tell that the service answers."""
    return Answer({"status": "ok"})


@route("GET", "/v1/openapi.json", answers=dict, public=True)
def get_openapi() -> Answer:
    """Show this document."""
    from chalicelib.openapi import document  # at the first request for it: no other one should wait for this

    return Answer(document(tuple(ROUTES)))


@route("GET", "/console", answers=str, media=HTML, public=True)
def get_console() -> Answer:
    """Show the console, a page in which people use all this."""
    from chalicelib import console  # as above

    return Answer(page=console.page(process.mint(), config.sign_in(os.environ)))


# Pools and members


class PoolBody(Struct, frozen=True, forbid_unknown_fields=True):
    id: Identifier
    name: Name
    policy: Annotated[msgspec.Raw, like("Policy")] = field(default_factory=lambda: msgspec.Raw(b"{}"))

    def __post_init__(self) -> None:
        checked_name(self.name)


@route("POST", "/v1/pools", body=PoolBody, answers=shapes.Pool, status=201, admins=True)
def create_pool(call: Call, body: PoolBody, query: NoBody) -> Answer:
    """Create a pool, open and without members."""
    policy = decoded(body.policy, Policy, "policy_invalid", names=True)
    if problems := policy.problems():
        raise Refused(Refusal("policy_invalid", errors=tuple(problems)))
    return Answer(pools.create_pool(call, body.id, body.name, policy), 201)


@route("GET", "/v1/pools", query=PageQuery, answers=shapes.PoolPage)
def list_pools(call: Call, body: NoBody, query: PageQuery) -> Answer:
    """List the pools that the caller belongs to; for an admin, all of the tenant."""
    return Answer(pools.list_pools(call, query.limit, query.cursor))


@route("GET", POOL, answers=shapes.Pool)
def get_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    """Show a pool and its policy."""
    return Answer(pools.get_pool(call, pool))


class PoolPatch(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    policy: Annotated[msgspec.Raw, like("Policy")] = field(default_factory=lambda: msgspec.Raw(b"{}"))
    apply_to: Literal["new", "all"] = "new"
    dry_run: bool = False

    def __post_init__(self) -> None:
        checked_name(self.name)


@route("PATCH", POOL, body=PoolPatch, answers=shapes.ChangedPool)
def change_pool(call: Call, body: PoolPatch, query: NoBody, pool: str) -> Answer:
    """Change the name or rules of a pool, for new claims or all; rules left out stay."""
    policy = decoded(body.policy, dict[str, Any], "policy_invalid")
    to_all = body.apply_to == "all"
    return Answer(policies.change(call, pool, body.name, policy, to_all=to_all, dry_run=body.dry_run))


@route("POST", POOL + "/pause", answers=shapes.Pool, admins=True)
def pause_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    """Stop claims and all clocks of a pool."""
    return Answer(opening.pause(call, pool))


@route("POST", POOL + "/resume", answers=shapes.Pool, admins=True)
def resume_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    """Let a paused pool go on: every deadline moves by exactly the pause."""
    return Answer(opening.resume(call, pool))


class CloseBody(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Closing


@route("POST", POOL + "/close", body=CloseBody, answers=shapes.Pool, admins=True)
def close_pool(call: Call, body: CloseBody, query: NoBody, pool: str) -> Answer:
    """Close a pool and end its claims: back to the pool, or to their holders."""
    return Answer(opening.close(call, pool, body.mode))


@route("POST", POOL + "/open", answers=shapes.Pool, admins=True)
def open_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    """Open a closed pool again."""
    return Answer(opening.open_again(call, pool))


class SpreadBody(Struct, frozen=True, forbid_unknown_fields=True):
    shards: Annotated[int, Meta(ge=1, le=32)]


@route("POST", POOL + "/spread", body=SpreadBody, answers=shapes.SpreadPool, admins=True)
def spread_pool(call: Call, body: SpreadBody, query: NoBody, pool: str) -> Answer:
    """Spread the lists of a pool over so many partitions, for more writes a second."""
    return Answer(opening.spread(call, pool, body.shards))


@route("DELETE", POOL, answers=shapes.DeletedPool, admins=True)
def delete_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    """Delete a pool without customers."""
    return Answer(opening.delete(call, pool))


class MemberBody(Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    holding_limit: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


@route("PUT", POOL + "/members/{user}", body=MemberBody, answers=shapes.Member)
def put_member(call: Call, body: MemberBody, query: NoBody, pool: str, user: str) -> Answer:
    """Make a user a member or manager of the pool, or change their role and limit."""
    return Answer(pools.put_member(call, pool, user, body.role, body.holding_limit))


@route("GET", POOL + "/members", query=PageQuery, answers=shapes.MemberPage)
def list_members(call: Call, body: NoBody, query: PageQuery, pool: str) -> Answer:
    """List the members of a pool with their counters."""
    return Answer(pools.list_members(call, pool, query.limit, query.cursor))


@route("GET", POOL + "/members/{user}", answers=shapes.Member)
def get_member(call: Call, body: NoBody, query: NoBody, pool: str, user: str) -> Answer:
    """Show a member with their counters; `me` is the caller."""
    return Answer(pools.get_member(call, pool, user))


class RemovalQuery(Struct, frozen=True, forbid_unknown_fields=True):
    held: Annotated[managing.Held | None, Meta(description="What becomes of the customers that the member holds.")] = (
        None
    )
    to: Annotated[User | None, Meta(description="Who gets them where `held` is `transfer`, by id or subject.")] = None


@route("DELETE", POOL + "/members/{user}", query=RemovalQuery, answers=shapes.RemovedMember, removes=True)
def remove_member(call: Call, body: NoBody, query: RemovalQuery, pool: str, user: str) -> Answer:
    """Remove a member, who holds nothing or whose customers are released or transferred first."""
    if (query.held == "transfer") != (query.to is not None):
        raise invalid("transfer_only", "to")
    return Answer(managing.remove_member(call, pool, user, query.held, query.to and query.to.id))


class StatsQuery(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    since: Annotated[date | None, Meta(description="The first day, in the time zone of the pool.")] = None
    to: Annotated[date | None, Meta(description="The last day, itself included.")] = None


@route("GET", POOL + "/stats", query=StatsQuery, answers=reports.Statistics)
def get_stats(call: Call, body: NoBody, query: StatsQuery, pool: str) -> Answer:
    """Show what happened by day and by member, and how the pool stands now."""
    return Answer(statistics.of_pool(call, pool, query.since, query.to))


# What an admin asks of one pool, or of all


def _pools_named(call: Call, pool: str | None) -> Iterable[rounds.Listed]:
    """That one, or all of the tenant. Raises Refused for who is no admin."""
    call.by_admin()
    return rounds.pool_named(call, pool) if pool else rounds.pools_of(call.backend, call.caller.tenant)


class SweepBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    dry_run: bool = False
    confirm: bool = False


@route("POST", "/v1/sweep", body=SweepBody, answers=reports.SweepReport, admins=True)
def sweep(call: Call, body: SweepBody, query: NoBody) -> Answer:
    """Return the claims that are past their deadlines to their pools: one pass, now."""
    which, left = _pools_named(call, body.pool), rounds.time_for_a_request()
    report = rounds.run(call.backend, which, call.now, left, dry_run=body.dry_run, confirm=body.confirm)
    return Answer(call.finish(report.body()))


class AuditBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    repair: bool = False


@route("POST", "/v1/audit", body=AuditBody, answers=reports.AuditReport, admins=True)
def audit(call: Call, body: AuditBody, query: NoBody) -> Answer:
    """Recompute counters, lists and events from the customers of one pool or of all; report what drifted, or repair."""
    which, left = _pools_named(call, body.pool), rounds.time_for_a_request()
    report = auditing.run(call.backend.table, which, left, repair=body.repair)
    return Answer(call.finish(report.body()))
