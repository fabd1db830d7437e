"""Routes for erasing and suppressing customers. One short function each; only these requests load the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from chalicelib import services
from chalicelib.api.requests import BatchBody, PageQuery, checked_visible
from chalicelib.api.routing import POOL, Answer, route
from chalicelib.api.verbs import Batch, verb
from chalicelib.model import responses
from chalicelib.model.text import NAME_PATTERN
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome

# Stays after the erasure, so it must not contain anything personal.
Reason: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern=NAME_PATTERN)]


class EraseBody(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Reason
    force: bool = False
    suppress: bool = False

    def __post_init__(self) -> None:
        checked_visible(self.reason, "reason")


class EraseBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason
    force: bool = False
    suppress: bool = False

    def __post_init__(self) -> None:
        checked_visible(self.reason, "reason")


@verb(
    "/erase",
    EraseBody,
    answers=responses.ErasedCustomer,
    batch=Batch("Erase several customers.", EraseBatchBody, responses.ErasedBatch, goes_on=True),
)
def erase(
    ctx: RequestContext, pool: str, ids: Sequence[str], body: EraseBody | EraseBatchBody, atomic: bool
) -> Outcome:
    """Erase a customer: nothing personal stays, and its id is not used again. One that is held needs `force`."""
    left = services.sweeper.request_time_left()
    return services.erasure.erase(
        ctx, pool, ids, body.reason, left, force=body.force, suppress=body.suppress, atomic=atomic
    )


@route("GET", POOL + "/erased", query=PageQuery, answers=responses.ErasurePage)
def list_erased(ctx: RequestContext, query: PageQuery, pool: str) -> Answer:
    """List the erased customers of a pool, ordered by id, with the time, user and reason of each erasure."""
    return Answer(services.erasure.list_erased(ctx, pool, query.limit, query.cursor))


class SuppressBody(Struct, frozen=True, forbid_unknown_fields=True):
    force: bool = False


@verb("/suppress", SuppressBody)
def suppress(ctx: RequestContext, pool: str, customer: str, body: SuppressBody) -> Outcome:
    """Suppress a customer: nobody claims it, and no customer gets its contacts. One that is held needs `force`."""
    return services.suppression.suppress(ctx, pool, customer, force=body.force)


@verb("/unsuppress", answers=responses.Unsuppressed)
def unsuppress(ctx: RequestContext, pool: str, customer: str) -> Outcome:
    """End the suppression of a customer, or of one that is erased: it stays erased."""
    return services.suppression.unsuppress(ctx, pool, customer)
