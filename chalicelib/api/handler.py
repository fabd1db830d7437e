"""The wrapper around every route: decodes the request, calls the handler and renders the response.

It finds the caller, applies the Idempotency-Key, and renders every outcome as JSON or problem+json in the client's
language. No request may raise an exception past it. It contains no route and no rule.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from chalice.app import Request, Response
from msgspec import Struct

from chalicelib.api import people, problems, results
from chalicelib.api.auth import caller_from
from chalicelib.api.replays import Found, after_the_effect, with_idempotency
from chalicelib.api.requests import body_of, idempotency_record, if_match_of, query_of, with_user_id
from chalicelib.api.routing import Answer, Route
from chalicelib.dynamodb.table import Fault, OutcomeUnknown, Patience, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import MARK
from chalicelib.model.responses import Body
from chalicelib.observability import LogRequest, RequestMetrics, exception_summary
from chalicelib.transactions.context import Backend, Caller, RequestContext
from chalicelib.transactions.idempotency import NO_KEY, IdempotencyRecord

OK: Final = "ok"  # a metric code like those of refusals
REPLAYED: Final = "replayed"

log = logging.getLogger("customer-pool")


class Service(Struct, frozen=True):
    """The dependencies of the wrapper: the backend, and a clock in epoch milliseconds."""

    backend: Backend
    clock: Callable[[], int]


def respond(
    service: Callable[[], Service],
    route: Route,
    request: Request,
    parameters: Mapping[str, str],
    log_request: LogRequest = lambda outcome: None,
) -> Response:
    """Return the response to one request and log its metrics. Never raises."""
    started = time.perf_counter()
    request_id = request.context.get("requestId")
    response, codes = _respond(service, route, request, parameters)
    if request_id is not None:
        response.headers["X-Request-Id"] = request_id
    took_ms = round((time.perf_counter() - started) * 1000)
    caller = request.context.get("authorizer") or {}
    outcome = RequestMetrics(
        f"{route.method} {route.path}", response.status_code, codes, took_ms, request_id,
        caller.get("tenant"), caller.get("user"), parameters.get("pool"),
    )  # fmt: skip
    log_request(outcome)
    return response


def _respond(
    service: Callable[[], Service], route: Route, request: Request, parameters: Mapping[str, str]
) -> tuple[Response, list[str]]:
    """Return the response, and a metric code for each requested item."""
    language = problems.language_of(request.headers.get("accept-language"))
    idempotency: IdempotencyRecord = NO_KEY
    # A request about one customer sends at most four calls once it is throttled. Claim-next often needs more.
    patience = Patience(strict=route.form == "one", short=route.form == "items")
    try:
        if route.public:
            answer = route.call(path=request.context.get("path", ""), **parameters)
            return results.render(answer, answer.body, language, route), [OK]
        caller, parameters = caller_from(request.context), with_user_id(parameters)
        body, query = body_of(request, route.body), query_of(request, route.query)
        ctx = _context(service(), route, request, parameters, caller, patience)
        idempotency = ctx.idempotency
        handle = partial(route.call, ctx=ctx, body=body, query=query, **parameters)
        answer, found = with_idempotency(ctx, route, parameters, handle)
        complete = _complete_body(ctx, route, answer, found, language)
        return results.render(answer, complete, language, route, idempotency), _codes(answer, route, idempotency)
    except Refused as refused:
        response = problems.problem_response(refused.refusal, language, route.path)
        response.headers |= results.replayed(idempotency)
        return response, [_code(refused.refusal, idempotency)]
    except Throttled as fault:
        _log(logging.WARNING, "throttled", route, request, fault)
        # After a first transaction the client must not read that nothing was changed.
        return _fault((OutcomeUnknown if patience.committed else Throttled).reason, language, route, request)
    except Fault as fault:
        _log(logging.ERROR, fault.reason, route, request, fault)
        return _fault(fault.reason, language, route, request)
    except Exception as error:
        # A defect or a malformed record. Whether a write was sent is unknown here.
        _log(logging.ERROR, "unexpected", route, request, error)
        return _fault("store_unavailable" if request.method == "GET" else "outcome_unknown", language, route, request)


def _log(level: int, what: str, route: Route, request: Request, error: Exception) -> None:
    known = {"request_id": request.context.get("requestId")}
    log.log(level, "%s: %s %s: %s", what, route.method, route.path, exception_summary(error), extra=known)


def _complete_body(ctx: RequestContext, route: Route, answer: Answer, found: Found, language: str) -> Body:
    """Return the body with the personal data that the caller may see now. May read, after the effect of a write."""
    if route.method == "GET":
        body = results.body_of(answer, {}, language, route)
        people.add_people(ctx, route, body)
        return body
    with after_the_effect():
        bodies = results.bodies(ctx, answer.results or {}, found)
        body = results.body_of(answer, bodies, language, route)
        people.add_people(ctx, route, body)
    return body


def _context(
    service: Service,
    route: Route,
    request: Request,
    parameters: Mapping[str, str],
    caller: Caller,
    patience: Patience,
) -> RequestContext:
    now = service.clock()
    idempotency = idempotency_record(request, route, parameters, caller, now)
    backend = service.backend.patient(patience)
    if_match = if_match_of(request) if route.versioned else None
    return RequestContext(backend, caller, now, if_match, idempotency, backend.new_id()[-MARK:])


def _fault(reason: str, language: str, route: Route, request: Request) -> tuple[Response, list[str]]:
    """Return a fault as a response, with the request id that the log contains."""
    refusal = Refusal(reason)
    return problems.problem_response(refusal, language, route.path, request.context.get("requestId")), [refusal.code]


def _codes(answer: Answer, route: Route, idempotency: IdempotencyRecord) -> list[str]:
    """Return the metric codes: one per result of a batch, or `replayed`."""
    if idempotency.replayed:
        return [REPLAYED]
    if answer.results is None or route.form != "each":
        return [OK]
    return [OK if each.refusal is None else each.refusal.code for each in answer.results.values()]


def _code(refusal: Refusal, idempotency: IdempotencyRecord) -> str:
    return REPLAYED if idempotency.replayed else refusal.code
