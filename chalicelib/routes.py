"""The routes of the contract, one short function each: what it takes, what it asks for, what it answers.

The list `ROUTES` is the whole HTTP surface: `app.py` serves it, and the tests walk it. No rule lives here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from chalicelib import claiming, customers, managing, policies, pools, sweeping
from chalicelib.context import Call
from chalicelib.customers import Filter, OnDuplicate, Row
from chalicelib.http import Answer, NoBody, Route, decoded
from chalicelib.journal import WHOLE, Result
from chalicelib.records import Identifier, Policy, Role, State
from chalicelib.refusals import Refusal, Refused
from chalicelib.settling import Outcome

ROUTES: Final[list[Route]] = []

LARGEST_BATCH: Final = 100
LARGEST_FIELDS: Final = 4_096  # bytes of JSON: an answer to 100 customers must fit through the gateway
SWEEP_SECONDS: Final = 20.0  # the gateway gives up after 29

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=500)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Priority = Annotated[int, Meta(ge=-1000, le=1000)]
Fields = dict[Annotated[str, Meta(min_length=1, max_length=64)], str | int | float | bool | None]

POOL: Final = "/v1/pools/{pool}"
CUSTOMER: Final = POOL + "/customers/{customer}"


def route(method: str, path: str, **takes: Any) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    def registered(handler: Callable[..., Answer]) -> Callable[..., Answer]:
        ROUTES.append(Route(method, path, handler, **takes))
        return handler

    return registered


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Limit = 20
    cursor: str | None = None


# Health


@route("GET", "/v1/health", public=True)
def health() -> Answer:
    return Answer({"status": "ok"})


# Pools and members


class PoolBody(Struct, frozen=True, forbid_unknown_fields=True):
    id: Identifier
    name: Name
    policy: msgspec.Raw = msgspec.Raw(b"{}")


@route("POST", "/v1/pools", body=PoolBody)
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


# Customers


class CustomerBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    id: Identifier | None = None
    fields: Fields = {}
    priority: Priority = 0

    def row(self, mint: Callable[[], str]) -> Row:
        return Row(self.id or mint(), self.name, _kept(self.fields), self.priority)


def _kept(fields: Fields) -> Fields:
    """Raises Refused where they are too many to be kept."""
    size = len(msgspec.json.encode(fields))
    if size > LARGEST_FIELDS:
        raise Refused(Refusal("invalid_request", errors=(f"fields: {size} bytes, at most {LARGEST_FIELDS}",)))
    return fields


@route("POST", POOL + "/customers", body=CustomerBody)
def create_customer(call: Call, body: CustomerBody, query: NoBody, pool: str) -> Answer:
    return _single(customers.create(call, pool, body.row(call.backend.mint)), status=201)


class ImportBody(Struct, frozen=True, forbid_unknown_fields=True):
    rows: list[msgspec.Raw]
    key: str = "id"
    on_duplicate: OnDuplicate = "reject"


@route("POST", POOL + "/import", body=ImportBody)
def import_customers(call: Call, body: ImportBody, query: NoBody, pool: str) -> Answer:
    _checked_size(len(body.rows))
    if body.key != "id":
        raise Refused(Refusal("invalid_request", errors=("key: only id is supported",)))
    rows = [_row(call, raw) for raw in body.rows]
    return _batch(customers.import_rows(call, pool, rows, body.on_duplicate))


def _row(call: Call, raw: msgspec.Raw) -> Row | Result:
    """The row, or why it is none: one bad row fails alone."""
    try:
        body: CustomerBody = decoded(raw, CustomerBody)
        return body.row(call.backend.mint)
    except Refused as refused:
        content = msgspec.json.decode(raw)
        given = content.get("id") if isinstance(content, dict) else None
        return Result(given if isinstance(given, str) else "", refusal=refused.refusal)


class CustomersQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    state: State | None = None
    holder: Identifier | None = None


@route("GET", POOL + "/customers", query=CustomersQuery)
def list_customers(call: Call, body: NoBody, query: CustomersQuery, pool: str) -> Answer:
    holder = call.caller.user if query.holder == "me" else query.holder
    wanted = Filter(query.state, holder)
    return Answer(customers.list_customers(call, pool, wanted, query.limit, query.cursor))


@route("GET", CUSTOMER)
def get_customer(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    return Answer(customers.get(call, pool, customer))


class CustomerPatch(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    fields: Fields = {}
    priority: Priority | None = None


@route("PATCH", CUSTOMER, body=CustomerPatch)
def edit_customer(call: Call, body: CustomerPatch, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(customers.edit(call, pool, customer, body.name, body.fields, body.priority, _kept))


@route("GET", CUSTOMER + "/eligibility")
def get_eligibility(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    return Answer(blocking=claiming.eligibility(call, pool, customer))


@route("GET", CUSTOMER + "/history", query=PageQuery)
def get_history(call: Call, body: NoBody, query: PageQuery, pool: str, customer: str) -> Answer:
    return Answer(customers.history(call, pool, customer, query.limit, query.cursor))


# Claim and release


@route("POST", CUSTOMER + "/claim")
def claim(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(claiming.claim(call, pool, [customer]))


class ReleaseBody(Struct, frozen=True, forbid_unknown_fields=True):
    claim_id: Identifier | None = None
    reason: Text | None = None


@route("POST", CUSTOMER + "/release", body=ReleaseBody)
def release(call: Call, body: ReleaseBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(claiming.release(call, pool, [customer], claim_id=body.claim_id, reason=body.reason))


class BatchBody(Struct, frozen=True, forbid_unknown_fields=True):
    customer_ids: list[str]
    atomic: bool = False


@route("POST", POOL + "/claim", body=BatchBody)
def claim_batch(call: Call, body: BatchBody, query: NoBody, pool: str) -> Answer:
    return _batch(claiming.claim(call, pool, _checked(body), atomic=body.atomic), atomic=body.atomic)


class ReleaseBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    reason: Text | None = None


@route("POST", POOL + "/release", body=ReleaseBatchBody)
def release_batch(call: Call, body: ReleaseBatchBody, query: NoBody, pool: str) -> Answer:
    ids = _checked(body)
    return _batch(claiming.release(call, pool, ids, reason=body.reason, atomic=body.atomic), atomic=body.atomic)


class ClaimNextBody(Struct, frozen=True, forbid_unknown_fields=True):
    count: Limit = 1


@route("POST", POOL + "/claim-next", body=ClaimNextBody)
def claim_next(call: Call, body: ClaimNextBody, query: NoBody, pool: str) -> Answer:
    return Answer({"items": claiming.claim_next(call, pool, body.count)})


# A manager's verbs


class AssignBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: Identifier


@route("POST", CUSTOMER + "/assign", body=AssignBody)
def assign(call: Call, body: AssignBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.assign(call, pool, [customer], body.to))


class AssignBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    to: Identifier


@route("POST", POOL + "/assign", body=AssignBatchBody)
def assign_batch(call: Call, body: AssignBatchBody, query: NoBody, pool: str) -> Answer:
    ids = _checked(body)
    return _batch(managing.assign(call, pool, ids, body.to, atomic=body.atomic), atomic=body.atomic)


class TransferBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: Identifier
    claim_id: Identifier | None = None


@route("POST", CUSTOMER + "/transfer", body=TransferBody)
def transfer(call: Call, body: TransferBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.transfer(call, pool, [customer], body.to, claim_id=body.claim_id))


@route("POST", POOL + "/transfer", body=AssignBatchBody)
def transfer_batch(call: Call, body: AssignBatchBody, query: NoBody, pool: str) -> Answer:
    ids = _checked(body)
    return _batch(managing.transfer(call, pool, ids, body.to, atomic=body.atomic), atomic=body.atomic)


class ConvertBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: Identifier | None = None


@route("POST", CUSTOMER + "/convert", body=ConvertBody)
def convert(call: Call, body: ConvertBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.convert(call, pool, [customer], body.to))


class ConvertBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    to: Identifier | None = None


@route("POST", POOL + "/convert", body=ConvertBatchBody)
def convert_batch(call: Call, body: ConvertBatchBody, query: NoBody, pool: str) -> Answer:
    ids = _checked(body)
    return _batch(managing.convert(call, pool, ids, body.to, atomic=body.atomic), atomic=body.atomic)


# A holder's verbs


class ExtendBody(Struct, frozen=True, forbid_unknown_fields=True):
    by: str | None = None
    claim_id: Identifier | None = None


@route("POST", CUSTOMER + "/extend", body=ExtendBody)
def extend(call: Call, body: ExtendBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.extend(call, pool, [customer], body.by, claim_id=body.claim_id))


class ExtendBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    by: str | None = None


@route("POST", POOL + "/extend", body=ExtendBatchBody)
def extend_batch(call: Call, body: ExtendBatchBody, query: NoBody, pool: str) -> Answer:
    ids = _checked(body)
    return _batch(managing.extend(call, pool, ids, body.by, atomic=body.atomic), atomic=body.atomic)


class FollowUpBody(Struct, frozen=True, forbid_unknown_fields=True):
    note: Text | None = None
    outcome: Text | None = None


@route("POST", CUSTOMER + "/follow-up", body=FollowUpBody)
def follow_up(call: Call, body: FollowUpBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.follow_up(call, pool, customer, body.note, body.outcome))


@route("POST", CUSTOMER + "/win")
def win(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.win(call, pool, customer))


@route("POST", CUSTOMER + "/deposit")
def deposit(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    return _single(managing.deposit(call, pool, [customer]))


@route("POST", POOL + "/deposit", body=BatchBody)
def deposit_batch(call: Call, body: BatchBody, query: NoBody, pool: str) -> Answer:
    return _batch(managing.deposit(call, pool, _checked(body), atomic=body.atomic), atomic=body.atomic)


# Sweep


class SweepBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None
    dry_run: bool = False
    confirm: bool = False


@route("POST", "/v1/sweep", body=SweepBody)
def sweep(call: Call, body: SweepBody, query: NoBody) -> Answer:
    if not call.caller.admin:
        raise Refused(Refusal("not_admin"))
    swept = iter([call.pool(body.pool)]) if body.pool else sweeping.pools_of(call.backend, call.caller.tenant)
    stop_at = time.monotonic() + SWEEP_SECONDS
    report = sweeping.sweep(call.backend, swept, call.now, lambda: stop_at - time.monotonic(), dry_run=body.dry_run)
    if call.journal is None:
        return Answer(report.body())
    return Answer(call.journal.close(call.backend.table, {WHOLE: Result("", report.body())})[WHOLE].body or {})


# How a settled request is answered


def _checked(body: BatchBody) -> list[str]:
    _checked_size(len(body.customer_ids))
    return body.customer_ids


def _checked_size(count: int) -> None:
    if count > LARGEST_BATCH:
        raise Refused(Refusal("batch_too_large", limit=LARGEST_BATCH, used=count))
    if count == 0:
        raise Refused(Refusal("invalid_request", errors=("expected at least one",)))


def _single(outcome: Outcome, status: int = 200) -> Answer:
    result = outcome.results[0]
    if result.refusal is not None:
        raise Refused(result.refusal)
    return Answer(result.body or {}, status)


def _batch(outcome: Outcome, *, atomic: bool = False) -> Answer:
    return Answer(results=outcome.results, atomic=atomic)


def by_path() -> Mapping[str, list[Route]]:
    """The routes grouped by path, as the gateway needs them."""
    grouped: dict[str, list[Route]] = {}
    for each in ROUTES:
        grouped.setdefault(each.path, []).append(each)
    return grouped
