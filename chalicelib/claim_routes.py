"""Routes of the verbs: what members, managers and holders do with customers. One short function each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from chalicelib import claiming, managing, picking, shapes
from chalicelib.context import Call
from chalicelib.http import Answer, NoBody
from chalicelib.identities import User
from chalicelib.records import Duration, Identifier
from chalicelib.routing import CUSTOMER, POOL, BatchBody, Limit, Text, batch, route, single
from chalicelib.times import epoch_ms

# Claim and release


@route("POST", CUSTOMER + "/claim", answers=shapes.Customer, recalls=False, form="one")
def claim(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Claim a customer; one that the caller holds already stays as it is."""
    return single(claiming.claim(call, pool, [customer]))


class ReleaseBody(Struct, frozen=True, forbid_unknown_fields=True):
    claim_id: Identifier | None = None
    reason: Text | None = None


@route("POST", CUSTOMER + "/release", body=ReleaseBody, answers=shapes.Customer, recalls=False, form="one")
def release(call: Call, body: ReleaseBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Give a customer back to the pool: one's own, or as a manager anybody's."""
    return single(claiming.release(call, pool, [customer], claim_id=body.claim_id, reason=body.reason))


@route("POST", POOL + "/claim", body=BatchBody, answers=shapes.Batch, form="each")
def claim_batch(call: Call, body: BatchBody, query: NoBody, pool: str) -> Answer:
    """Claim several customers, as far as the caller's limits go."""
    return batch(call, body, lambda ids: claiming.claim(call, pool, ids, atomic=body.atomic))


class ReleaseBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    reason: Text | None = None


@route("POST", POOL + "/release", body=ReleaseBatchBody, answers=shapes.Batch, form="each")
def release_batch(call: Call, body: ReleaseBatchBody, query: NoBody, pool: str) -> Answer:
    """Give several customers back to the pool."""
    return batch(
        call,
        body,
        lambda ids: claiming.release(call, pool, ids, reason=body.reason, atomic=body.atomic),
        of_all=("reason_required",),
    )


class ClaimNextBody(Struct, frozen=True, forbid_unknown_fields=True):
    count: Limit = 1


@route("POST", POOL + "/claim-next", body=ClaimNextBody, answers=shapes.TakenCustomers, form="items")
def claim_next(call: Call, body: ClaimNextBody, query: NoBody, pool: str) -> Answer:
    """Claim the best available customers: highest priority first, then longest waiting."""
    return Answer(results=picking.claim_next(call, pool, body.count).results)


# A manager's verbs


class AssignBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User


@route("POST", CUSTOMER + "/assign", body=AssignBody, answers=shapes.Customer, recalls=False, form="one")
def assign(call: Call, body: AssignBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Give an available customer to a member."""
    return single(managing.assign(call, pool, [customer], body.to.id))


class AssignBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    to: User


@route("POST", POOL + "/assign", body=AssignBatchBody, answers=shapes.Batch, form="each")
def assign_batch(call: Call, body: AssignBatchBody, query: NoBody, pool: str) -> Answer:
    """Give several available customers to a member."""
    return batch(call, body, lambda ids: managing.assign(call, pool, ids, body.to.id, atomic=body.atomic))


class TransferBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User
    claim_id: Identifier | None = None


@route("POST", CUSTOMER + "/transfer", body=TransferBody, answers=shapes.Customer, recalls=False, form="one")
def transfer(call: Call, body: TransferBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Give a claimed customer to another member, with a claim and a deadline of their own."""
    return single(managing.transfer(call, pool, [customer], body.to.id, claim_id=body.claim_id))


@route("POST", POOL + "/transfer", body=AssignBatchBody, answers=shapes.Batch, form="each")
def transfer_batch(call: Call, body: AssignBatchBody, query: NoBody, pool: str) -> Answer:
    """Give several claimed customers to another member."""
    return batch(call, body, lambda ids: managing.transfer(call, pool, ids, body.to.id, atomic=body.atomic))


class ConvertBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User | None = None


@route("POST", CUSTOMER + "/convert", body=ConvertBody, answers=shapes.Customer, recalls=False, form="one")
def convert(call: Call, body: ConvertBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Take a customer out of the pool, as the private customer of its holder or a named member."""
    return single(managing.convert(call, pool, [customer], body.to and body.to.id))


class ConvertBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    to: User | None = None


@route("POST", POOL + "/convert", body=ConvertBatchBody, answers=shapes.Batch, form="each")
def convert_batch(call: Call, body: ConvertBatchBody, query: NoBody, pool: str) -> Answer:
    """Take several customers out of the pool."""
    return batch(call, body, lambda ids: managing.convert(call, pool, ids, body.to and body.to.id, atomic=body.atomic))


# A holder's verbs


class ExtendBody(Struct, frozen=True, forbid_unknown_fields=True):
    by: Duration | None = None
    claim_id: Identifier | None = None


@route("POST", CUSTOMER + "/extend", body=ExtendBody, answers=shapes.ExtendedCustomer, recalls=False, form="one")
def extend(call: Call, body: ExtendBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Move the deadline of a claim later, counted from where it is now."""
    return single(managing.extend(call, pool, [customer], body.by, claim_id=body.claim_id))


class ExtendBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    by: Duration | None = None


@route("POST", POOL + "/extend", body=ExtendBatchBody, answers=shapes.ExtendedBatch, form="each")
def extend_batch(call: Call, body: ExtendBatchBody, query: NoBody, pool: str) -> Answer:
    """Move the deadlines of several claims later."""
    return batch(
        call,
        body,
        lambda ids: managing.extend(call, pool, ids, body.by, atomic=body.atomic),
        of_all=("invalid_request",),
    )


class FollowUpBody(Struct, frozen=True, forbid_unknown_fields=True):
    note: Annotated[str, Meta(max_length=2000)] | None = None
    outcome: Annotated[str, Meta(max_length=64)] | None = None


@route("POST", CUSTOMER + "/follow-up", body=FollowUpBody, answers=shapes.Customer, recalls=False, form="one")
def follow_up(call: Call, body: FollowUpBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Record a contact with a customer, as its holder, its owner or a manager."""
    return single(managing.follow_up(call, pool, customer, body.note, body.outcome))


@route("POST", CUSTOMER + "/win", answers=shapes.Customer, recalls=False, form="one")
def win(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Close a claim with its goal reached: the customer becomes its holder's private customer."""
    return single(managing.win(call, pool, customer))


class DepositBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None


@route("POST", CUSTOMER + "/deposit", body=DepositBody, answers=shapes.Customer, recalls=False, form="one")
def deposit(call: Call, body: DepositBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Put a private customer into the pool, or into another one, available to all."""
    return single(managing.deposit(call, pool, [customer], body.pool))


class DepositBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None


@route("POST", POOL + "/deposit", body=DepositBatchBody, answers=shapes.Batch, form="each")
def deposit_batch(call: Call, body: DepositBatchBody, query: NoBody, pool: str) -> Answer:
    """Put several private customers into the pool, or into another one."""
    return batch(call, body, lambda ids: managing.deposit(call, pool, ids, body.pool, atomic=body.atomic))


class PinBody(Struct, frozen=True, forbid_unknown_fields=True):
    until: Annotated[datetime, Meta(tz=True)]


@route("POST", CUSTOMER + "/pin", body=PinBody, answers=shapes.Customer, recalls=False, form="one")
def pin(call: Call, body: PinBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Keep a claim from expiring until a given moment."""
    return single(managing.pin(call, pool, customer, epoch_ms(body.until)))


@route("POST", CUSTOMER + "/unpin", answers=shapes.Customer, recalls=False, form="one")
def unpin(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """End a pin: the clock rules again."""
    return single(managing.unpin(call, pool, customer))


@route("POST", CUSTOMER + "/restore", answers=shapes.Customer, recalls=False, form="one")
def restore(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Let a customer that was set aside be claimed again."""
    return single(managing.restore(call, pool, customer))
