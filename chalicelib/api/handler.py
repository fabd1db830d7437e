"""The wrapper around every route: decodes the request, calls the handler and renders the response.

It finds the caller, applies the Idempotency-Key, and renders every outcome as JSON or problem+json in the client's
language. No request may raise an exception past it. It contains no route and no rule.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias

import msgspec
from chalice.app import Request, Response
from msgspec import Struct
from msgspec.structs import asdict

from chalicelib.api import problems, results
from chalicelib.api.auth import caller_from
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.table import Fault, OutcomeUnknown, Patience
from chalicelib.model import responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import decode_user, user_named
from chalicelib.model.model import IDENTIFIER, MARK
from chalicelib.model.responses import Body
from chalicelib.model.validation import FieldError, Value, from_msgspec
from chalicelib.observability import LogRequest, RequestMetrics, exception_summary
from chalicelib.transactions.context import Backend, Caller, RequestContext
from chalicelib.transactions.idempotency import WHOLE, IdempotencyRecord, Result

MAX_BODY_BYTES: Final = 256 * 1024
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
OK: Final = "ok"  # a metric code like those of refusals
REPLAYED: Final = "replayed"
Headers: TypeAlias = dict[str, str | list[str]]
Bodies: TypeAlias = Mapping[int, responses.Customer]  # by position

# Never stored as the response to an Idempotency-Key: no caller, another request, or one to be repeated.
NOT_STORED: Final = frozenset(("unauthenticated", "idempotency_key_reused", "request_in_progress"))

# Requests about one customer, and claim-next: they send few calls to DynamoDB, also where it throttles them.
SHORT: Final = frozenset(("one", "items"))
log = logging.getLogger("customer-pool")


class NoBody(Struct, forbid_unknown_fields=True):
    """The body or query of a route without parameters."""


class HtmlPage(Struct, frozen=True):
    """HTML with its Content-Security-Policy."""

    html: str
    policy: str


Form: TypeAlias = Literal["body", "one", "each", "items"]


class Answer(Struct, frozen=True):
    """The answer of a handler: a `body`, the `results` of customers, the refusals that are `blocking` a claim, or an
    HTML `page`. An `atomic` batch is refused as a whole. `import_id` is that of the import that has the results."""

    body: Body = {}
    status: int = 200
    results: dict[int, Result] | None = None
    atomic: bool = False
    import_id: str | None = None
    blocking: list[Refusal] | None = None
    page: HtmlPage | None = None


class Route(Struct, frozen=True):
    """The declaration of a route.

    `handler(ctx, body, query, **path parameters)` returns an Answer or raises Refused. `body` and `query` are request
    types; `answers` is the type of a response with `status`, `media` its media type. A `public` route needs no token.
    `recalls` is for requests of several steps: the idempotency record is read first. A request of one transaction finds
    it in that transaction.

    `form` is the response form of results: `one` customer, a result for `each` id, or a list of claimed `items`.
    `admins` restricts the route to admins of the tenant. `removes` marks the removal of the member `user`: members who
    removed themselves still get the replayed response.
    """

    method: str
    path: str
    handler: Callable[..., Answer]
    body: type = NoBody
    query: type = NoBody
    answers: type | None = None
    status: int = 200
    media: str = JSON
    public: bool = False
    recalls: bool = True
    form: Form = "body"
    admins: bool = False
    removes: bool = False


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
    log_request(RequestMetrics(f"{route.method} {route.path}", response.status_code, codes, took_ms, request_id))
    return response


def _respond(
    service: Callable[[], Service], route: Route, request: Request, parameters: Mapping[str, str]
) -> tuple[Response, list[str]]:
    """Return the response, and a metric code for each requested item."""
    language = problems.language_of(request.headers.get("accept-language"))
    idempotency: IdempotencyRecord | None = None
    try:
        if route.public:
            return _render(route.handler(), {}, language, route), [OK]
        caller = caller_from(request.context)
        parameters = _with_user_id(parameters)
        body = _body(request, route.body)
        query = _query(request, route.query)
        made = service()
        now = made.clock()
        idempotency = _idempotency_record(request, route, parameters, caller, now)
        ctx = RequestContext(
            made.backend.patient(Patience(short=route.form in SHORT)),
            caller,
            now,
            _if_match(request),
            idempotency,
            made.backend.new_id()[-MARK:],
        )
        answer, found = _with_idempotency(ctx, route, parameters, lambda: route.handler(ctx, body, query, **parameters))
        with _after_the_effect():
            bodies = results.bodies(ctx, answer.results or {}, found)
        return _render(answer, bodies, language, route, idempotency), _codes(answer, route, idempotency)
    except Refused as refused:
        response = problems.problem_response(refused.refusal, language, route.path)
        response.headers |= _replayed(idempotency)
        return response, [_code(refused.refusal, idempotency)]
    except Fault as fault:
        return _fault(fault.reason, language, route, request)
    except Exception as error:
        # A defect or a malformed record. Whether a write was sent is unknown here.
        known = {"request_id": request.context.get("requestId")}
        log.error("unexpected: %s %s: %s", route.method, route.path, exception_summary(error), extra=known)
        return _fault("store_unavailable" if request.method == "GET" else "outcome_unknown", language, route, request)


def _fault(reason: str, language: str, route: Route, request: Request) -> tuple[Response, list[str]]:
    """Return a fault as a response, with the request id that the log contains."""
    refusal = Refusal(reason)
    return problems.problem_response(refusal, language, route.path, request.context.get("requestId")), [refusal.code]


@contextmanager
def _after_the_effect() -> Iterator[None]:
    """Turn a fault after the write into OutcomeUnknown: the client must repeat the request."""
    try:
        yield
    except Fault as fault:
        raise OutcomeUnknown from fault


def _codes(answer: Answer, route: Route, idempotency: IdempotencyRecord | None) -> list[str]:
    """Return the metric codes: one per result of a batch, or `replayed`."""
    if idempotency is not None and idempotency.replayed:
        return [REPLAYED]
    if answer.results is None or route.form != "each":
        return [OK]
    return [OK if each.refusal is None else each.refusal.code for each in answer.results.values()]


def _code(refusal: Refusal, idempotency: IdempotencyRecord | None) -> str:
    return REPLAYED if idempotency is not None and idempotency.replayed else refusal.code


def _with_idempotency(
    ctx: RequestContext, route: Route, parameters: Mapping[str, str], handle: Callable[[], Answer]
) -> tuple[Answer, results.Found]:
    """Return the answer, or the stored one of this Idempotency-Key, with the items read to check access to a replay."""
    idempotency = ctx.idempotency
    if idempotency is None:
        return handle(), {}
    try:
        if route.recalls:
            idempotency.recall(ctx.backend.table)
        answer = _first(route, idempotency) if idempotency.met else None
        if answer is None:
            answer = _answered(ctx, route, idempotency, handle)
    except Refused as refused:
        if idempotency.met and refused.refusal.reason not in NOT_STORED:
            _may_see(ctx, route, parameters, idempotency)
        raise
    return answer, _may_see(ctx, route, parameters, idempotency) if idempotency.met else {}


def _answered(
    ctx: RequestContext, route: Route, idempotency: IdempotencyRecord, handle: Callable[[], Answer]
) -> Answer:
    """Return the handler's answer. A definite refusal is stored as an answer too."""
    try:
        return handle()
    except Refused as refused:
        if refused.refusal.reason in NOT_STORED or idempotency.answers:
            raise
        idempotency.recall(ctx.backend.table)
        answer = _first(route, idempotency)
        if answer is not None:
            return answer
        if idempotency.answers:
            raise
        idempotency.close(ctx.backend.table, {WHOLE: Result("", refusal=refused.refusal)})
        answer = _first(route, idempotency)
        assert answer is not None, "a refusal is raised"
        return answer


def _first(route: Route, idempotency: IdempotencyRecord) -> Answer | None:
    """Return the stored answer of an earlier attempt, if complete. Raises Refused if it is a refusal."""
    whole = idempotency.answers.get(WHOLE)
    results = {position: result for position, result in idempotency.answers.items() if position != WHOLE}
    only = whole or (results.get(0) if route.form == "one" else None)
    if only is None:
        return None
    if only.refusal is not None:
        raise Refused(only.refusal)
    if only.body is not None:
        return Answer(only.body, route.status)
    return Answer(status=route.status, results=results)


def _may_see(
    ctx: RequestContext, route: Route, parameters: Mapping[str, str], idempotency: IdempotencyRecord
) -> results.Found:
    """Check access to a replay. Raises Refused, except for an answer that reveals nothing."""
    first = idempotency.answers.get(WHOLE)
    left = route.removes and parameters.get("user") == ctx.caller.user and first is not None and first.refusal is None
    try:
        if route.admins:
            ctx.by_admin()
        elif "pool" in parameters and not left:
            with _after_the_effect():
                return results.still_belongs(ctx, parameters["pool"])
    except Refused as refused:
        if not idempotency.says_nothing(refused.refusal.reason):
            idempotency.replayed = False
            raise
    return {}


# Decoding


def _body(request: Request, kind: type) -> Any:
    raw = request.raw_body or b""
    raw = raw.encode() if isinstance(raw, str) else raw
    if len(raw) > MAX_BODY_BYTES:
        raise Refused(Refusal("payload_too_large", limit=MAX_BODY_BYTES, used=len(raw)))
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and media != JSON:
        raise invalid("content_type")
    return decode(raw or b"{}", kind, names=True)


def decode(raw: bytes | msgspec.Raw, kind: Any, reason: str = "invalid_request", *, names: bool = False) -> Any:
    """Decode JSON as a type. Raises Refused: `malformed` for invalid JSON, `reason` for another type.

    An unknown member is named only with `names`: idempotency records must not store personal data.
    """
    try:
        try:
            return msgspec.json.decode(raw, type=kind, dec_hook=decode_user)
        except msgspec.ValidationError as error:
            # Decoding stops at the first wrong type; what comes after it may not be JSON at all.
            msgspec.json.decode(raw)
            raise Refused(Refusal(reason, errors=(from_msgspec(error, kind, names),))) from error
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Refused(Refusal("malformed")) from error


def _query(request: Request, kind: type) -> Any:
    params = request.query_params
    lists = {} if params is None else {name: params.getlist(name) for name in params}
    for name, texts in lists.items():
        if len(texts) > 1:
            raise invalid("repeated", name)
    given = {name: texts[0] for name, texts in lists.items()}
    try:
        query: Any = msgspec.convert(given, kind, strict=False, dec_hook=decode_user)
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused(Refusal("invalid_request", errors=(from_msgspec(error, kind, names=True),))) from error
    for field in msgspec.structs.fields(kind):
        name, value = field.encode_name, getattr(query, field.name)
        if name in given and value is None:  # msgspec takes the text "null" for it
            raise invalid("null_parameter", name)
        if name in given and type(value) is int and given[name] != str(value):  # and 1e1 for a number
            raise invalid("not_digits", name)
    return query


def invalid(kind: str, path: str = "", *values: Value) -> Refused:
    """Return the refusal of an invalid request with one validation error."""
    return Refused(Refusal("invalid_request", errors=(FieldError(kind, path, values),)))


def _with_user_id(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """The path parameters, with the id of a user whom the path names by subject.

    Text that names no user stays as it is: no id is like it, so the route answers `not_found`.
    """
    if "user" not in parameters:
        return parameters
    try:
        return {**parameters, "user": user_named(parameters["user"])}
    except ValueError:
        return parameters


_IF_MATCH = re.compile(r'(?:W/)?"?([1-9][0-9]{0,15})"?', re.ASCII)


def _if_match(request: Request) -> int | None:
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    match = _IF_MATCH.fullmatch(text.strip())
    if match is None:
        raise Refused(Refusal("version_conflict"))
    return int(match[1])


def _idempotency_record(
    request: Request, route: Route, parameters: Mapping[str, str], caller: Caller, now: int
) -> IdempotencyRecord | None:
    """Return the record of this request's Idempotency-Key; its scope is tenant, user and resource."""
    given = request.headers.get("idempotency-key")
    if given is None or route.method == "GET":
        return None
    if IDENTIFIER.fullmatch(given) is None:
        raise invalid("identifier", "Idempotency-Key")
    if not all(IDENTIFIER.fullmatch(part) for part in parameters.values()):
        raise Refused(Refusal("not_found"))
    resource = f"{route.method} {route.path.format(**parameters)}"
    queried = None if request.query_params is None else dict(request.query_params)
    compared = [_canonical_json(request.raw_body or b"{}"), request.headers.get("if-match"), queried]
    fingerprint = blake2b(msgspec.json.encode(compared, order="sorted"), digest_size=16).hexdigest()
    return IdempotencyRecord(
        lambda part: keys.idempotency_record_key(caller.tenant, caller.user, resource, given, part), fingerprint, now
    )


def _canonical_json(raw: bytes | str) -> Any:
    """Return the decoded body, so that spelling does not matter; invalid JSON as it is."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return repr(raw)


# Rendering


def _render(
    answer: Answer, bodies: Bodies, language: str, route: Route, idempotency: IdempotencyRecord | None = None
) -> Response:
    if answer.page is not None:
        return _html_response(answer.page)
    body = _answer_body(answer, bodies, language, route)
    headers: Headers = {"Content-Type": JSON, "Cache-Control": "no-store", **_replayed(idempotency)}
    status = answer.status
    if isinstance(body, responses.RefusedBatch):
        headers["Content-Type"], status = problems.MEDIA, body.status
    elif (version := _version(body)) is not None:
        headers["ETag"] = f'"{version}"'
    if route.form == "each" or answer.blocking is not None:
        headers["Content-Language"] = problems.content_language(language)
    return Response(msgspec.json.encode(body).decode(), headers, status)


def _answer_body(answer: Answer, bodies: Bodies, language: str, route: Route) -> Body:
    if route.form == "one":
        return bodies[0]
    if route.form == "items":
        return responses.ClaimedCustomers([bodies[position] for position in sorted(bodies)])
    if answer.blocking is not None:
        blocking = [problems.refusal_body(each, language) for each in answer.blocking]
        return responses.Eligibility(not blocking, blocking)
    if route.form == "each" and answer.results is not None:
        return _batch(answer, answer.results, bodies, language, route)
    return answer.body


def _version(body: Body) -> int | None:
    return body.get("version") if isinstance(body, dict) else getattr(body, "version", None)


def _html_response(page: HtmlPage) -> Response:
    headers: Headers = {
        "Content-Type": HTML,
        "Content-Security-Policy": page.policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(page.html, headers)


def _batch(answer: Answer, results: Mapping[int, Result], bodies: Bodies, language: str, route: Route) -> Body:
    """Return one entry per input, in input order, and the summary. A refused atomic batch is a problem too."""
    entries = [_entry(result, bodies.get(position), language) for position, result in sorted(results.items())]
    refusals = [result.refusal for _, result in sorted(results.items()) if result.refusal is not None]
    summary = responses.Summary(ok=len(entries) - len(refusals), failed=len(refusals))
    if answer.atomic and refusals:
        problem = problems.problem(refusals[0], language, route.path)
        problem.status = 409
        return responses.RefusedBatch(**asdict(problem), results=entries, summary=summary)
    if answer.import_id is not None:
        return responses.Import(entries, summary, answer.import_id)
    return responses.Batch(entries, summary)


def _entry(result: Result, body: responses.Customer | None, language: str) -> responses.Schema:
    if result.refusal is not None:
        return responses.BatchFailure(result.id, False, **asdict(problems.refusal_body(result.refusal, language)))
    return responses.Undone(result.id, True, None) if body is None else responses.BatchSuccess(result.id, True, body)


def _replayed(idempotency: IdempotencyRecord | None) -> Headers:
    return {"Idempotent-Replayed": "true"} if idempotency is not None and idempotency.replayed else {}
