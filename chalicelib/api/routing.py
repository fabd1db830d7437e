"""Shared parts of routes: registration, common request types, and responses of single and batch requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from chalicelib.api.handler import Answer, Route, invalid
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import LONGEST_FIELD_NAME, NAME_PATTERN, is_blank, is_field_name
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome

ROUTES: Final[list[Route]] = []

MAX_BATCH: Final = 100

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=NAME_PATTERN)]
Search = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=500)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Priority = Annotated[int, Meta(ge=-1000, le=1000)]
FieldName = Annotated[str, Meta(min_length=1, max_length=LONGEST_FIELD_NAME, pattern=NAME_PATTERN)]
Fields = dict[FieldName, str | int | float | bool | None]
Batched: Final = Meta(
    extra_json_schema={"minItems": 1, "maxItems": MAX_BATCH}
)  # `check_batch_size` refuses with a code of its own

POOL: Final = "/v1/pools/{pool}"
CUSTOMER: Final = POOL + "/customers/{customer}"


def route(method: str, path: str, **takes: Any) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    def register(handler: Callable[..., Answer]) -> Callable[..., Answer]:
        ROUTES.append(Route(method, path, handler, **takes))
        return handler

    return register


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[Limit, Meta(description="The maximum number of items in a page.")] = 20
    cursor: Annotated[str | None, Meta(description="The `next_cursor` of the previous page.")] = None


class BatchBody(Struct, frozen=True, forbid_unknown_fields=True):
    customer_ids: Annotated[list[str], Batched]
    atomic: bool = False


# Checks that types of a body cannot express


def checked_name(name: str | None) -> None:
    """Raise ValueError for a name without a visible character. In `__post_init__`, it makes the body invalid."""
    if name is not None and is_blank(name):
        raise ValueError("Expected `str` with a visible character - at `$.name`")


def checked_field_names(fields: Fields) -> None:
    """Raise ValueError for a field whose name has no visible character."""
    if not all(map(is_field_name, fields)):
        raise ValueError("Expected `str` with a visible character - at `key` in `$.fields`")


# Responses


def check_batch_size(count: int) -> None:
    if count > MAX_BATCH:
        raise Refused(Refusal("batch_too_large", limit=MAX_BATCH, used=count))
    if count == 0:
        raise invalid("none_given")


def single(outcome: Outcome, status: int = 200) -> Answer:
    result = outcome.results[0]
    if result.refusal is not None:
        raise Refused(result.refusal)
    return Answer(status=status, results=outcome.results)


def batch(
    ctx: RequestContext, body: BatchBody, execute: Callable[[Sequence[str]], Outcome], *, of_all: Sequence[str] = ()
) -> Answer:
    """Return one result per id: those of an earlier attempt with the same Idempotency-Key, else those of `execute`."""
    check_batch_size(len(body.customer_ids))
    outcome = ctx.answered(body.customer_ids) or execute(body.customer_ids)
    return batch_answer(outcome, atomic=body.atomic, of_all=of_all)


def batch_answer(
    outcome: Outcome, *, atomic: bool = False, of_all: Sequence[str] = (), import_id: str | None = None
) -> Answer:
    """Return the batch response. Raises Refused for a reason in `of_all`, which concerns the whole request."""
    for result in outcome.results.values():
        if result.refusal is not None and result.refusal.reason in of_all:
            raise Refused(result.refusal)
    return Answer(results=outcome.results, atomic=atomic, import_id=import_id)
