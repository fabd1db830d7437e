"""Routes about a pool as a whole: health, pools, policy, members, the sweep, the audit. One short function each."""

from __future__ import annotations

import time
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from chalicelib import auditing, managing, opening, policies, pools, rounds, statistics
from chalicelib.context import Call
from chalicelib.http import Answer, NoBody, decoded
from chalicelib.records import Closing, Identifier, Policy, Role
from chalicelib.refusals import Refusal, Refused
from chalicelib.routing import POOL, Name, PageQuery, route

SWEEP_SECONDS: Final = 20.0  # the gateway gives up after 29; an audit may take as long

# Health


@route("GET", "/v1/health", public=True)
def health() -> Answer:
    return Answer({"status": "ok"})


# Pools and members


class PoolBody(Struct, frozen=True, forbid_unknown_fields=True):
    id: Identifier
    name: Name
    policy: msgspec.Raw = msgspec.Raw(b"{}")


@route("POST", "/v1/pools", body=PoolBody, status=201)
def create_pool(call: Call, body: PoolBody, query: NoBody) -> Answer:
    policy = decoded(body.policy, Policy, "policy_invalid")
    if problems := policy.problems():
        raise Refused(Refusal("policy_invalid", errors=tuple(problems)))
    return Answer(pools.create_pool(call, body.id, body.name, policy), 201)


@route("GET", "/v1/pools", query=PageQuery)
def list_pools(call: Call, body: NoBody, query: PageQuery) -> Answer:
    return Answer(pools.list_pools(call, query.limit, query.cursor))


@route("GET", POOL)
def get_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    return Answer(pools.get_pool(call, pool))


class PoolPatch(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    policy: dict[str, Any] | None = None
    apply_to: Literal["new", "all"] = "new"
    dry_run: bool = False


@route("PATCH", POOL, body=PoolPatch)
def change_pool(call: Call, body: PoolPatch, query: NoBody, pool: str) -> Answer:
    to_all = body.apply_to == "all"
    return Answer(policies.change(call, pool, body.name, body.policy, to_all=to_all, dry_run=body.dry_run))


@route("POST", POOL + "/pause")
def pause_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    return Answer(opening.pause(call, pool))


@route("POST", POOL + "/resume")
def resume_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    return Answer(opening.resume(call, pool))


class CloseBody(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Closing


@route("POST", POOL + "/close", body=CloseBody)
def close_pool(call: Call, body: CloseBody, query: NoBody, pool: str) -> Answer:
    return Answer(opening.close(call, pool, body.mode))


@route("POST", POOL + "/open")
def open_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    return Answer(opening.open_again(call, pool))


@route("DELETE", POOL)
def delete_pool(call: Call, body: NoBody, query: NoBody, pool: str) -> Answer:
    return Answer(opening.delete(call, pool))


class MemberBody(Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    holding_limit: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


@route("PUT", POOL + "/members/{user}", body=MemberBody)
def put_member(call: Call, body: MemberBody, query: NoBody, pool: str, user: str) -> Answer:
    return Answer(pools.put_member(call, pool, user, body.role, body.holding_limit))


@route("GET", POOL + "/members", query=PageQuery)
def list_members(call: Call, body: NoBody, query: PageQuery, pool: str) -> Answer:
    return Answer(pools.list_members(call, pool, query.limit, query.cursor))


@route("GET", POOL + "/members/{user}")
def get_member(call: Call, body: NoBody, query: NoBody, pool: str, user: str) -> Answer:
    return Answer(pools.get_member(call, pool, user))


class RemovalQuery(Struct, frozen=True, forbid_unknown_fields=True):
    held: managing.Held | None = None
    to: Identifier | None = None


@route("DELETE", POOL + "/members/{user}", query=RemovalQuery)
def remove_member(call: Call, body: NoBody, query: RemovalQuery, pool: str, user: str) -> Answer:
    if (query.held == "transfer") != (query.to is not None):
        raise Refused(Refusal("invalid_request", errors=("to: goes with held=transfer",)))
    return Answer(managing.remove_member(call, pool, user, query.held, query.to))


class StatsQuery(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    since: date | None = None
    to: date | None = None


@route("GET", POOL + "/stats", query=StatsQuery)
def get_stats(call: Call, body: NoBody, query: StatsQuery, pool: str) -> Answer:
    return Answer(statistics.of_pool(call, pool, query.since, query.to))


# Sweep


class SweepBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    dry_run: bool = False
    confirm: bool = False


@route("POST", "/v1/sweep", body=SweepBody)
def sweep(call: Call, body: SweepBody, query: NoBody) -> Answer:
    if not call.caller.admin:
        raise Refused(Refusal("not_admin"))
    swept = [call.pool_now(body.pool)] if body.pool else rounds.pools_of(call.backend, call.caller.tenant)
    stop_at = time.monotonic() + SWEEP_SECONDS
    report = rounds.run(
        call.backend,
        swept,
        call.now,
        lambda: stop_at - time.monotonic(),
        dry_run=body.dry_run,
        confirm=body.confirm,
    )
    return Answer(call.finish(report.body()))


# Audit


class AuditBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    repair: bool = False


@route("POST", "/v1/audit", body=AuditBody)
def audit(call: Call, body: AuditBody, query: NoBody) -> Answer:
    """Recomputes counters, lists and event chains from the customers of one pool, or of all."""
    if not call.caller.admin:
        raise Refused(Refusal("not_admin"))
    audited = [call.pool_now(body.pool)] if body.pool else rounds.pools_of(call.backend, call.caller.tenant)
    stop_at = time.monotonic() + SWEEP_SECONDS
    report = auditing.run(call.backend.table, audited, lambda: stop_at - time.monotonic(), repair=body.repair)
    return Answer(call.finish(report.body()))
