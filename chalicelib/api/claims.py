"""Routes for claims: claim, release, assign, transfer and other actions on customers. One short function each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from chalicelib import services
from chalicelib.api.requests import BatchBody, FieldName, Limit, Text, invalid
from chalicelib.api.routing import POOL, Answer, route
from chalicelib.api.verbs import Batch, verb
from chalicelib.domain.claim_transitions import WinDetails
from chalicelib.model import responses, times
from chalicelib.model.identities import User
from chalicelib.model.model import Identifier
from chalicelib.model.policy import Duration
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome

Ids: TypeAlias = Sequence[str]
Note: TypeAlias = Annotated[str, Meta(max_length=2000)]
ContactOutcome: TypeAlias = Annotated[str, Meta(max_length=64)]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
AMOUNT_PATTERN: Final = r"^(?=[0-9.]{1,16}\Z)(?=(?:\.?[0-9]){1,15}\Z)[0-9]+(?:\.[0-9]{1,2})?\Z"


def _milliseconds(moment: datetime, member: str) -> int:
    """Return epoch milliseconds. Raises Refused outside of 1970 to 9999: an offset may lead out of all years."""
    ms = times.epoch_ms(moment)
    if not 0 <= ms <= times.LAST:
        raise invalid("out_of_range", member)
    return ms


# Claim and release


@verb("/claim", batch=Batch("Claim several customers, up to the caller's limits."))
def claim(ctx: RequestContext, pool: str, ids: Ids, atomic: bool) -> Outcome:
    """Claim a customer. If the caller already holds it, nothing changes."""
    return services.claims.claim(ctx, pool, ids, atomic=atomic)


class ReleaseBody(Struct, frozen=True, forbid_unknown_fields=True):
    claim_id: Identifier | None = None
    reason: Text | None = None


class ReleaseBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    reason: Text | None = None


@verb(
    "/release",
    ReleaseBody,
    batch=Batch("Release several customers to the pool.", ReleaseBatchBody, of_all=("reason_required",)),
)
def release(ctx: RequestContext, pool: str, ids: Ids, body: ReleaseBody | ReleaseBatchBody, atomic: bool) -> Outcome:
    """Release a customer to the pool, as its holder or a manager."""
    return services.claims.release(ctx, pool, ids, claim_id=body.claim_id, reason=body.reason, atomic=atomic)


FilterValues = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)]


class ClaimNextBody(Struct, frozen=True, forbid_unknown_fields=True):
    count: Limit = 1
    filter: Annotated[dict[FieldName, FilterValues], Meta(max_length=8)] = {}
    cursor: str | None = None


@route("POST", POOL + "/claim-next", body=ClaimNextBody, answers=responses.ClaimedCustomers, form="items")
def claim_next(ctx: RequestContext, body: ClaimNextBody, pool: str) -> Answer:
    """Claim the best available customers, maybe of certain fields: highest priority first, then longest waiting."""
    wanted = services.claim_next.Wanted(body.count, body.filter, body.cursor)
    outcome, next_cursor = services.claim_next.claim_next(ctx, pool, wanted)
    return Answer(results=outcome.results, next_cursor=next_cursor)


# Actions of managers


class AssignBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User


class AssignBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    to: User


@verb("/assign", AssignBody, batch=Batch("Assign several available customers to a member.", AssignBatchBody))
def assign(ctx: RequestContext, pool: str, ids: Ids, body: AssignBody | AssignBatchBody, atomic: bool) -> Outcome:
    """Assign an available customer to a member."""
    return services.claim_admin.assign(ctx, pool, ids, body.to.id, atomic=atomic)


class TransferBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User
    claim_id: Identifier | None = None


@verb("/transfer", TransferBody, batch=Batch("Transfer several claimed customers to another member.", AssignBatchBody))
def transfer(ctx: RequestContext, pool: str, ids: Ids, body: TransferBody | AssignBatchBody, atomic: bool) -> Outcome:
    """Transfer a claimed customer to another member, with a new claim and deadline."""
    return services.claim_admin.transfer(ctx, pool, ids, body.to.id, claim_id=body.claim_id, atomic=atomic)


class ConvertBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: User | None = None


class ConvertBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    to: User | None = None


@verb("/convert", ConvertBody, batch=Batch("Convert several customers to private customers.", ConvertBatchBody))
def convert(ctx: RequestContext, pool: str, ids: Ids, body: ConvertBody | ConvertBatchBody, atomic: bool) -> Outcome:
    """Convert a customer to a private customer of its holder or of a named member."""
    return services.claim_admin.convert(ctx, pool, ids, body.to and body.to.id, atomic=atomic)


# Actions of holders


class ExtendBody(Struct, frozen=True, forbid_unknown_fields=True):
    by: Duration | None = None
    claim_id: Identifier | None = None


class ExtendBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    by: Duration | None = None


@verb(
    "/extend",
    ExtendBody,
    answers=responses.ExtendedCustomer,
    batch=Batch(
        "Extend several claims, each from its current deadline.",
        ExtendBatchBody,
        responses.ExtendedBatch,
        of_all=("invalid_request",),
    ),
)
def extend(ctx: RequestContext, pool: str, ids: Ids, body: ExtendBody | ExtendBatchBody, atomic: bool) -> Outcome:
    """Extend a claim, counted from its current deadline."""
    return services.claim_admin.extend(ctx, pool, ids, body.by, claim_id=body.claim_id, atomic=atomic)


class FollowUpBody(Struct, frozen=True, forbid_unknown_fields=True):
    note: Note | None = None
    outcome: ContactOutcome | None = None


class FollowUpBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    note: Note | None = None
    outcome: ContactOutcome | None = None


@verb(
    "/follow-up",
    FollowUpBody,
    batch=Batch("Record a contact with several customers. No clock restarts.", FollowUpBatchBody),
)
def follow_up(
    ctx: RequestContext, pool: str, ids: Ids, body: FollowUpBody | FollowUpBatchBody, atomic: bool
) -> Outcome:
    """Record a contact with a customer, as its holder, its owner or a manager."""
    single = isinstance(body, FollowUpBody)
    return services.claim_admin.follow_up(ctx, pool, ids, body.note, body.outcome, single=single, atomic=atomic)


class WinBody(Struct, frozen=True, forbid_unknown_fields=True):
    amount: Annotated[str, Meta(pattern=AMOUNT_PATTERN, max_length=16)] | None = None
    note: Note | None = None
    ends_at: Moment | None = None


class WinBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    note: Note | None = None


@verb("/win", WinBody, batch=Batch("Win several claims, or request it.", WinBatchBody))
def win(ctx: RequestContext, pool: str, ids: Ids, body: WinBody | WinBatchBody, atomic: bool) -> Outcome:
    """Close a claim as won, so that its holder owns the customer; or request it, where a manager has to approve."""
    details = WinDetails(note=body.note)
    if isinstance(body, WinBody):
        ends_at = None if body.ends_at is None else _milliseconds(body.ends_at, "ends_at")
        details = WinDetails(body.amount, body.note, ends_at)
    return services.claim_admin.win(ctx, pool, ids, details, atomic=atomic)


@verb("/win/approve", batch=Batch("Approve several requested wins."))
def approve_win(ctx: RequestContext, pool: str, ids: Ids, atomic: bool) -> Outcome:
    """Approve a requested win: the customer becomes its holder's private customer."""
    return services.claim_admin.approve_win(ctx, pool, ids, atomic=atomic)


class DeclineBody(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Text | None = None  # required: without it the answer is `reason_required`


@verb("/win/decline", DeclineBody)
def decline_win(ctx: RequestContext, pool: str, customer: str, body: DeclineBody) -> Outcome:
    """Decline a requested win. The claim continues for at least 24 hours."""
    return services.claim_admin.decline_win(ctx, pool, customer, body.reason)


class DepositBody(Struct, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None


class DepositBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    pool: Identifier | None = None


@verb(
    "/deposit",
    DepositBody,
    batch=Batch("Return several private customers to this pool or another one.", DepositBatchBody),
)
def deposit(ctx: RequestContext, pool: str, ids: Ids, body: DepositBody | DepositBatchBody, atomic: bool) -> Outcome:
    """Return a private customer to this pool or another one, available to all."""
    return services.claim_admin.deposit(ctx, pool, ids, body.pool, atomic=atomic)


class PinBody(Struct, frozen=True, forbid_unknown_fields=True):
    until: Moment


class PinBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    until: Moment


@verb("/pin", PinBody, batch=Batch("Keep several claims from expiring until a given moment.", PinBatchBody))
def pin(ctx: RequestContext, pool: str, ids: Ids, body: PinBody | PinBatchBody, atomic: bool) -> Outcome:
    """Keep a claim from expiring until a given moment."""
    return services.claim_admin.pin(ctx, pool, ids, _milliseconds(body.until, "until"), atomic=atomic)


@verb("/unpin", batch=Batch("End the pins of several claims."))
def unpin(ctx: RequestContext, pool: str, ids: Ids, atomic: bool) -> Outcome:
    """End a pin: the claim can expire again."""
    return services.claim_admin.unpin(ctx, pool, ids, atomic=atomic)


@verb("/restore")
def restore(ctx: RequestContext, pool: str, customer: str) -> Outcome:
    """Make a customer that was set aside available again."""
    return services.claim_admin.restore(ctx, pool, customer)
