"""Declare verbs: one function for the route about one customer and for the route about a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from chalicelib.api.requests import MAX_BATCH, BatchBody, invalid
from chalicelib.api.routing import CUSTOMER, POOL, Answer, Handler, NoBody, call, route
from chalicelib.model import responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.unit_of_work import Outcome

Verb: TypeAlias = Callable[..., Outcome]


class Batch(Struct, frozen=True):
    """The batch of a verb: its request and response types. A refusal for a reason in `of_all` refuses the whole.

    `path` is that of the verb, unless it is given. A verb that `goes_on` after its results are stored is called by a
    repetition too, and returns the stored results itself.
    """

    summary: str
    body: type = BatchBody
    answers: type = responses.Batch
    of_all: tuple[str, ...] = ()
    path: str | None = None
    goes_on: bool = False


def verb(
    path: str,
    body: type = NoBody,
    *,
    method: str = "POST",
    answers: type = responses.Customer,
    batch: Batch | None = None,
) -> Callable[[Verb], Verb]:
    """Declare a verb about one customer and, with `batch`, about many. Its docstring describes the route about one.

    The decorated function takes, by name, the values that it uses: `ctx`, `pool`, the `ids` of the customers, `body`
    and `atomic`. Without a batch it may take `customer` instead of `ids`.
    """

    def register(act: Verb) -> Verb:
        single = _described(_single(act), act, act.__name__, act.__doc__)
        route(method, CUSTOMER + path, body=body, answers=answers, recalls=False, form="one")(single)
        if batch is not None:
            many = _described(_many(act, batch), act, f"{act.__name__}_batch", batch.summary)
            route("POST", POOL + (batch.path or path), body=batch.body, answers=batch.answers, form="each")(many)
        return act

    return register


def _single(act: Verb) -> Handler:
    def handler(ctx: RequestContext, body: Any, pool: str, customer: str) -> Answer:
        given = {"ctx": ctx, "pool": pool, "ids": [customer], "customer": customer, "body": body, "atomic": False}
        return one_answer(call(act, given))

    return handler


def _many(act: Verb, batch: Batch) -> Handler:
    """Return one result per id: those of an earlier attempt with the same Idempotency-Key, else those of the verb."""

    def handler(ctx: RequestContext, body: BatchBody, pool: str) -> Answer:
        ids = body.customer_ids
        check_batch_size(len(ids))
        given = {"ctx": ctx, "pool": pool, "ids": ids, "body": body, "atomic": body.atomic}
        answered = None if batch.goes_on else ctx.answered(ids)
        return batch_answer(answered or call(act, given), atomic=body.atomic, of_all=batch.of_all)

    return handler


def _described(handler: Handler, act: Verb, name: str, summary: str | None) -> Handler:
    """Return the handler with the name, summary and module that the OpenAPI document shows."""
    handler.__name__, handler.__doc__, handler.__module__ = name, summary, act.__module__
    return handler


# Answers


def check_batch_size(count: int) -> None:
    if count > MAX_BATCH:
        raise Refused(Refusal("batch_too_large", limit=MAX_BATCH, used=count))
    if count == 0:
        raise invalid("none_given")


def one_answer(outcome: Outcome, status: int = 200) -> Answer:
    result = outcome.results[0]
    if result.refusal is not None:
        raise Refused(result.refusal)
    return Answer(status=status, results=outcome.results)


def batch_answer(
    outcome: Outcome, *, atomic: bool = False, of_all: Sequence[str] = (), import_id: str | None = None
) -> Answer:
    """Return the batch response. Raises Refused for a reason in `of_all`, which concerns the whole request."""
    for result in outcome.results.values():
        if result.refusal is not None and result.refusal.reason in of_all:
            raise Refused(result.refusal)
    return Answer(results=outcome.results, atomic=atomic, import_id=import_id)
