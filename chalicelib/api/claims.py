"""Routes for claims: claim, release, assign, transfer and other actions on customers. One short function each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from chalicelib.api.handler import Answer, NoBody
from chalicelib.api.routing import CUSTOMER, POOL, BatchBody, Limit, Text, batch, route, single
from chalicelib.model import responses
from chalicelib.model.identities import User
from chalicelib.model.model import Duration, Identifier
from chalicelib.model.times import epoch_ms
from chalicelib.services import claim_admin, claims
from chalicelib.services import claim_next as claim_next_service
from chalicelib.transactions.context import RequestContext

# Claim and release


@route("POST", CUSTOMER + "/claim", answers=responses.Customer, recalls=False, form="one")
def claim(ctx: RequestContext, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Claim a customer. If the caller already holds it, nothing changes."""
    return single(claims.claim(ctx, pool, [customer]))


class ReleaseBody(Struct, frozen=True, forbid_unknown_fields=True):
    claim_id: Identifier | None = None
    reason: Text | None = None


@route("POST", CUSTOMER + "/release", body=ReleaseBody, answers=responses.Customer, recalls=False, form="one")
def release(ctx: RequestContext, body: ReleaseBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Release a customer to the pool, as its holder or a manager."""
    return single(claims.release(ctx, pool, [customer], claim_id=body.claim_id, reason=body.reason))


@route("POST", POOL + "/claim", body=BatchBody, answers=responses.Batch, form="each")
def claim_batch(ctx: RequestContext, body: BatchBody, query: NoBody, pool: str) -> Answer:
    """Claim several customers, up to the caller's limits."""
    return batch(ctx, body, lambda ids: claims.claim(ctx, pool, ids, atomic=body.atomic))


class ReleaseBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    reason: Text | None = None


@route("POST", POOL + "/release", body=ReleaseBatchBody, answers=responses.Batch, form="each")
def release_batch(ctx: RequestContext, body: ReleaseBatchBody, query: NoBody, pool: str) -> Answer:
    """Release several customers to the pool."""
    return batch(
        ctx,
        body,
        lambda ids: claims.release(ctx, pool, ids, reason=body.reason, atomic=body.atomic),
        of_all=("reason_required",),
    )


class ClaimNextBody(Struct, frozen=True, forbid_unknown_fields=True):
    count: Limit = 1


@route("POST", POOL + "/claim-next", body=ClaimNextBody, answers=responses.ClaimedCustomers, form="items")
def claim_next(ctx: RequestContext, body: ClaimNextBody, query: NoBody, pool: str) -> Answer:
    """Claim the best available customers: highest priority first, then longest waiting."""
    return Answer(results=claim_next_service.claim_next(ctx, pool, body.count).results)


# Actions of managers


class AssignBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User


@route("POST", CUSTOMER + "/assign", body=AssignBody, answers=responses.Customer, recalls=False, form="one")
def assign(ctx: RequestContext, body: AssignBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Assign an available customer to a member."""
    return single(claim_admin.assign(ctx, pool, [customer], body.to.id))


class AssignBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    to: User


@route("POST", POOL + "/assign", body=AssignBatchBody, answers=responses.Batch, form="each")
def assign_batch(ctx: RequestContext, body: AssignBatchBody, query: NoBody, pool: str) -> Answer:
    """Assign several available customers to a member."""
    return batch(ctx, body, lambda ids: claim_admin.assign(ctx, pool, ids, body.to.id, atomic=body.atomic))


class TransferBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User
    claim_id: Identifier | None = None


@route("POST", CUSTOMER + "/transfer", body=TransferBody, answers=responses.Customer, recalls=False, form="one")
def transfer(ctx: RequestContext, body: TransferBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Transfer a claimed customer to another member, with a new claim and deadline."""
    return single(claim_admin.transfer(ctx, pool, [customer], body.to.id, claim_id=body.claim_id))


@route("POST", POOL + "/transfer", body=AssignBatchBody, answers=responses.Batch, form="each")
def transfer_batch(ctx: RequestContext, body: AssignBatchBody, query: NoBody, pool: str) -> Answer:
    """Transfer several claimed customers to another member."""
    return batch(ctx, body, lambda ids: claim_admin.transfer(ctx, pool, ids, body.to.id, atomic=body.atomic))


class ConvertBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User | None = None


@route("POST", CUSTOMER + "/convert", body=ConvertBody, answers=responses.Customer, recalls=False, form="one")
def convert(ctx: RequestContext, body: ConvertBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Convert a customer to a private customer of its holder or of a named member."""
    return single(claim_admin.convert(ctx, pool, [customer], body.to and body.to.id))


class ConvertBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    to: User | None = None


@route("POST", POOL + "/convert", body=ConvertBatchBody, answers=responses.Batch, form="each")
def convert_batch(ctx: RequestContext, body: ConvertBatchBody, query: NoBody, pool: str) -> Answer:
    """Convert several customers to private customers."""
    return batch(ctx, body, lambda ids: claim_admin.convert(ctx, pool, ids, body.to and body.to.id, atomic=body.atomic))


# Actions of holders


class ExtendBody(Struct, frozen=True, forbid_unknown_fields=True):
    by: Duration | None = None
    claim_id: Identifier | None = None


@route("POST", CUSTOMER + "/extend", body=ExtendBody, answers=responses.ExtendedCustomer, recalls=False, form="one")
def extend(ctx: RequestContext, body: ExtendBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Extend a claim, counted from its current deadline."""
    return single(claim_admin.extend(ctx, pool, [customer], body.by, claim_id=body.claim_id))


class ExtendBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    by: Duration | None = None


@route("POST", POOL + "/extend", body=ExtendBatchBody, answers=responses.ExtendedBatch, form="each")
def extend_batch(ctx: RequestContext, body: ExtendBatchBody, query: NoBody, pool: str) -> Answer:
    """Extend several claims, each from its current deadline."""
    return batch(
        ctx,
        body,
        lambda ids: claim_admin.extend(ctx, pool, ids, body.by, atomic=body.atomic),
        of_all=("invalid_request",),
    )


class FollowUpBody(Struct, frozen=True, forbid_unknown_fields=True):
    note: Annotated[str, Meta(max_length=2000)] | None = None
    outcome: Annotated[str, Meta(max_length=64)] | None = None


@route("POST", CUSTOMER + "/follow-up", body=FollowUpBody, answers=responses.Customer, recalls=False, form="one")
def follow_up(ctx: RequestContext, body: FollowUpBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Record a contact with a customer, as its holder, its owner or a manager."""
    return single(claim_admin.follow_up(ctx, pool, customer, body.note, body.outcome))


@route("POST", CUSTOMER + "/win", answers=responses.Customer, recalls=False, form="one")
def win(ctx: RequestContext, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Close a claim as won: the customer becomes its holder's private customer."""
    return single(claim_admin.win(ctx, pool, customer))


class DepositBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None


@route("POST", CUSTOMER + "/deposit", body=DepositBody, answers=responses.Customer, recalls=False, form="one")
def deposit(ctx: RequestContext, body: DepositBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Return a private customer to this pool or another one, available to all."""
    return single(claim_admin.deposit(ctx, pool, [customer], body.pool))


class DepositBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None


@route("POST", POOL + "/deposit", body=DepositBatchBody, answers=responses.Batch, form="each")
def deposit_batch(ctx: RequestContext, body: DepositBatchBody, query: NoBody, pool: str) -> Answer:
    """Return several private customers to this pool or another one."""
    return batch(ctx, body, lambda ids: claim_admin.deposit(ctx, pool, ids, body.pool, atomic=body.atomic))


class PinBody(Struct, frozen=True, forbid_unknown_fields=True):
    until: Annotated[datetime, Meta(tz=True)]


@route("POST", CUSTOMER + "/pin", body=PinBody, answers=responses.Customer, recalls=False, form="one")
def pin(ctx: RequestContext, body: PinBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Keep a claim from expiring until a given moment."""
    return single(claim_admin.pin(ctx, pool, customer, epoch_ms(body.until)))


@route("POST", CUSTOMER + "/unpin", answers=responses.Customer, recalls=False, form="one")
def unpin(ctx: RequestContext, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """End a pin: the claim can expire again."""
    return single(claim_admin.unpin(ctx, pool, customer))


@route("POST", CUSTOMER + "/restore", answers=responses.Customer, recalls=False, form="one")
def restore(ctx: RequestContext, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Make a customer that was set aside available again."""
    return single(claim_admin.restore(ctx, pool, customer))
