"""Between the gateway's request and a handler: who asks, what they say, and how the answer or the refusal is told.

One wrapper stands around every route. It decodes the raw body, finds the caller, keeps the Idempotency-Key, and turns
every outcome into JSON or problem+json, in the client's language; nothing that a client sends may pass it as an
exception. It knows no route and no rule.
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

from chalicelib.api import problems, rendering
from chalicelib.api.auth import caller_from
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.table import Fault, OutcomeUnknown, Patience
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import decode_user, user_named
from chalicelib.model.model import IDENTIFIER, MARK
from chalicelib.model.validation import FieldError, Value, from_msgspec
from chalicelib.observability import LogRequest, RequestMetrics, exception_summary
from chalicelib.transactions.context import Backend, Caller, RequestContext
from chalicelib.transactions.idempotency import WHOLE, IdempotencyRecord, Result

MAX_BODY_BYTES: Final = 256 * 1024
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
OK: Final = "ok"  # what is counted beside the codes of refusals
REPLAYED: Final = "replayed"
Headers: TypeAlias = dict[str, str | list[str]]
Bodies: TypeAlias = Mapping[int, dict[str, Any]]  # of customers, by position

# What is no answer to the request: nobody asked, something else was asked, or it has to be asked again.
NOT_STORED: Final = frozenset(("unauthenticated", "idempotency_key_reused", "request_in_progress"))

# Requests about one customer, and claim-next: they send few calls to DynamoDB, also where it throttles them.
SHORT: Final = frozenset(("one", "items"))
log = logging.getLogger("customer-pool")


class NoBody(Struct, forbid_unknown_fields=True):
    """For a route that takes nothing."""


class HtmlPage(Struct, frozen=True):
    """For a person: HTML, and the Content-Security-Policy that it is under."""

    html: str
    policy: str


Form: TypeAlias = Literal["body", "one", "each", "items"]


class Answer(Struct, frozen=True):
    """What a handler found: a body, the `results` of customers (an `atomic` batch is refused as a whole) with what the
    body says beside them, what is `blocking` a claim, or a `page`."""

    body: dict[str, Any] = {}
    status: int = 200
    results: dict[int, Result] | None = None
    atomic: bool = False
    blocking: list[Refusal] | None = None
    page: HtmlPage | None = None


class Route(Struct, frozen=True):
    """One row of the contract: what it takes, and the function that does it.

    `handler(call, body, query, **path parameters)` returns an Answer or raises Refused. `query` is the type of the
    query string, `answers` that of the body that comes with `status`, `media` its media type, `public` that no token is
    needed. `recalls` is for requests that take several steps: what an earlier attempt with the same Idempotency-Key has
    done is read first. One that is a single transaction meets it there.

    `form` is how results are answered: `one` customer, the result of `each` id, or the `items` that were taken.
    `admins` says that only an admin of the tenant may do this; `removes` that it removes the member `user`: who has
    removed themself has that answer again.
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
    """What the wrapper needs of the process: the backend and the clock, in epoch milliseconds."""

    backend: Backend
    clock: Callable[[], int]


def respond(
    service: Callable[[], Service],
    route: Route,
    request: Request,
    parameters: Mapping[str, str],
    tell: LogRequest = lambda outcome: None,
) -> Response:
    """The response to one request, whose outcome is told. Never raises."""
    started = time.perf_counter()
    request_id = request.context.get("requestId")
    response, codes = _respond(service, route, request, parameters)
    if request_id is not None:
        response.headers["X-Request-Id"] = request_id
    took_ms = round((time.perf_counter() - started) * 1000)
    tell(RequestMetrics(f"{route.method} {route.path}", response.status_code, codes, took_ms, request_id))
    return response


def _respond(
    service: Callable[[], Service], route: Route, request: Request, parameters: Mapping[str, str]
) -> tuple[Response, list[str]]:
    """The response, and the code of each thing that was asked for."""
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
            bodies = rendering.bodies(ctx, answer.results or {}, found)
        return _render(answer, bodies, language, route, idempotency), _codes(answer, route, idempotency)
    except Refused as refused:
        response = problems.problem_response(refused.refusal, language, route.path)
        response.headers |= _replayed(idempotency)
        return response, [_code(refused.refusal, idempotency)]
    except Fault as fault:
        return _fault(fault.reason, language, route, request)
    except Exception as error:
        # A defect, or a record that reads as none. What was attempted is not known here, and the client must not guess.
        known = {"request_id": request.context.get("requestId")}
        log.error("unexpected: %s %s: %s", route.method, route.path, exception_summary(error), extra=known)
        return _fault("store_unavailable" if request.method == "GET" else "outcome_unknown", language, route, request)


def _fault(reason: str, language: str, route: Route, request: Request) -> tuple[Response, list[str]]:
    """No answer: it happened to this very request, which the log knows by its id."""
    refusal = Refusal(reason)
    return problems.problem_response(refusal, language, route.path, request.context.get("requestId")), [refusal.code]


@contextmanager
def _after_the_effect() -> Iterator[None]:
    """A read that fails here does not mean that nothing was changed: the client has to repeat the request."""
    try:
        yield
    except Fault as fault:
        raise OutcomeUnknown from fault


def _codes(answer: Answer, route: Route, idempotency: IdempotencyRecord | None) -> list[str]:
    """Each result of a batch by its code; what is only told again, as that."""
    if idempotency is not None and idempotency.replayed:
        return [REPLAYED]
    if answer.results is None or route.form != "each":
        return [OK]
    return [OK if each.refusal is None else each.refusal.code for each in answer.results.values()]


def _code(refusal: Refusal, idempotency: IdempotencyRecord | None) -> str:
    return REPLAYED if idempotency is not None and idempotency.replayed else refusal.code


def _with_idempotency(
    ctx: RequestContext, route: Route, parameters: Mapping[str, str], handle: Callable[[], Answer]
) -> tuple[Answer, rendering.Found]:
    """The answer, or the one that this Idempotency-Key had first, and what was read to see whether the caller may have
    that one again."""
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
    """The handler's answer. A definite refusal is an answer too, and is kept."""
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
    """What an earlier attempt has answered, if its end is known here. Raises Refused if that is a refusal."""
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
) -> rendering.Found:
    """Raises Refused where the caller may no longer have an earlier answer. One that says nothing comes again."""
    first = idempotency.answers.get(WHOLE)
    left = route.removes and parameters.get("user") == ctx.caller.user and first is not None and first.refusal is None
    try:
        if route.admins:
            ctx.by_admin()
        elif "pool" in parameters and not left:
            with _after_the_effect():
                return rendering.still_belongs(ctx, parameters["pool"])
    except Refused as refused:
        if not idempotency.says_nothing(refused.refusal.reason):
            idempotency.replayed = False
            raise
    return {}


# What the request says


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
    """That JSON as that type. Raises Refused: `malformed` where it is no JSON, `reason` where it is another type.

    An unknown member is only named with `names`: an Idempotency-Key must not keep what may be about a person.
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
    said = {} if params is None else {name: params.getlist(name) for name in params}
    for name, texts in said.items():
        if len(texts) > 1:
            raise invalid("repeated", name)
    given = {name: texts[0] for name, texts in said.items()}
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
    """The request is not valid, for that one reason (`validation`)."""
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
    """The journal of this request's Idempotency-Key; its scope is tenant, user and the very resource."""
    given = request.headers.get("idempotency-key")
    if given is None or route.method == "GET":
        return None
    if IDENTIFIER.fullmatch(given) is None:
        raise invalid("identifier", "Idempotency-Key")
    if not all(IDENTIFIER.fullmatch(part) for part in parameters.values()):
        raise Refused(Refusal("not_found"))
    resource = f"{route.method} {route.path.format(**parameters)}"
    queried = None if request.query_params is None else dict(request.query_params)
    said = [_canonical_json(request.raw_body or b"{}"), request.headers.get("if-match"), queried]
    fingerprint = blake2b(msgspec.json.encode(said, order="sorted"), digest_size=16).hexdigest()
    return IdempotencyRecord(
        lambda part: keys.idempotency_record_key(caller.tenant, caller.user, resource, given, part), fingerprint, now
    )


def _canonical_json(raw: bytes | str) -> Any:
    """The body without the accidents of its spelling; one that is no JSON, as it is."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return repr(raw)


# What is answered


def _render(
    answer: Answer, bodies: Bodies, language: str, route: Route, idempotency: IdempotencyRecord | None = None
) -> Response:
    if answer.page is not None:
        return _html_response(answer.page)
    body, status, kind = answer.body, answer.status, JSON
    if route.form == "one":
        body = bodies[0]
    if route.form == "items":
        body = {"items": [bodies[position] for position in sorted(bodies)]}
    version = body.get("version")
    if answer.blocking is not None:
        body = {
            "eligible": not answer.blocking,
            "blocking": [problems.refusal_body(each, language) for each in answer.blocking],
        }
    if route.form == "each" and answer.results is not None:
        body = _results(answer.results, bodies, language) | answer.body
        first = next((each.refusal for _, each in sorted(answer.results.items()) if each.refusal), None)
        if answer.atomic and first is not None:
            kind, status = problems.MEDIA, 409
            body = problems.problem(first, language, route.path) | {"status": status} | body
    headers: Headers = {"Content-Type": kind, "Cache-Control": "no-store", **_replayed(idempotency)}
    if isinstance(version, int):
        headers["ETag"] = f'"{version}"'
    if route.form == "each" or answer.blocking is not None:
        headers["Content-Language"] = problems.content_language(language)
    return Response(msgspec.json.encode(body).decode(), headers, status)


def _html_response(page: HtmlPage) -> Response:
    headers: Headers = {
        "Content-Type": HTML,
        "Content-Security-Policy": page.policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(page.html, headers)


def _results(results: Mapping[int, Result], bodies: Bodies, language: str) -> dict[str, Any]:
    """One entry per input, in input order, and how many went well."""
    entries = [_entry(result, bodies.get(position), language) for position, result in sorted(results.items())]
    ok = sum(entry["ok"] for entry in entries)
    return {"results": entries, "summary": {"ok": ok, "failed": len(entries) - ok}}


def _entry(result: Result, body: dict[str, Any] | None, language: str) -> dict[str, Any]:
    if result.refusal is not None:
        return {"id": result.id, "ok": False, **problems.refusal_body(result.refusal, language)}
    return {"id": result.id, "ok": True, "customer": body}


def _replayed(idempotency: IdempotencyRecord | None) -> Headers:
    return {"Idempotent-Replayed": "true"} if idempotency is not None and idempotency.replayed else {}
