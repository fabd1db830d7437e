"""What routes are made of: the list they are on, the types that several take, the answers to what was settled."""

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
Batched: Final = Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_BATCH})  # `checked_size` has its own code

POOL: Final = "/v1/pools/{pool}"
CUSTOMER: Final = POOL + "/customers/{customer}"


def route(method: str, path: str, **takes: Any) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    def registered(handler: Callable[..., Answer]) -> Callable[..., Answer]:
        ROUTES.append(Route(method, path, handler, **takes))
        return handler

    return registered


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[Limit, Meta(description="The most items of a page.")] = 20
    cursor: Annotated[str | None, Meta(description="The `next_cursor` of the page before.")] = None


class BatchBody(Struct, frozen=True, forbid_unknown_fields=True):
    customer_ids: Annotated[list[str], Batched]
    atomic: bool = False


# What the types of a body cannot express


def checked_name(name: str | None) -> None:
    """Raise ValueError for a name without a visible character. In `__post_init__`, it makes the body invalid."""
    if name is not None and is_blank(name):
        raise ValueError("Expected `str` with a visible character - at `$.name`")


def checked_field_names(fields: Fields) -> None:
    """Raise ValueError for a field whose name has no visible character."""
    if not all(map(is_field_name, fields)):
        raise ValueError("Expected `str` with a visible character - at `key` in `$.fields`")


# How a settled request is answered


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
    ctx: RequestContext, body: BatchBody, settled: Callable[[Sequence[str]], Outcome], *, of_all: Sequence[str] = ()
) -> Answer:
    """One result for each id of the body: those of an earlier attempt or, where there was none, as they are settled."""
    check_batch_size(len(body.customer_ids))
    outcome = ctx.answered(body.customer_ids) or settled(body.customer_ids)
    return batch_answer(outcome, atomic=body.atomic, of_all=of_all)


def batch_answer(
    outcome: Outcome, *, atomic: bool = False, of_all: Sequence[str] = (), extra: dict[str, Any] | None = None
) -> Answer:
    """Raises Refused where something was refused for a reason that is about the request as a whole."""
    for result in outcome.results.values():
        if result.refusal is not None and result.refusal.reason in of_all:
            raise Refused(result.refusal)
    return Answer(extra or {}, results=outcome.results, atomic=atomic)
