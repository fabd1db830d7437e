"""Apply the Idempotency-Key to a handler, and check access to a replayed response.

A definite refusal is stored as a response too. A caller who may not see the pool by now does not get the replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec

from chalicelib import services
from chalicelib.api.routing import Answer, NoBody, Route
from chalicelib.domain import rules
from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Fault, OutcomeUnknown
from chalicelib.model.errors import Refusal, Refused
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import NEXT_CURSOR, NO_KEY, WHOLE, IdempotencyRecord, Result

# Never stored as the response to an Idempotency-Key: no caller, another request, or one to be repeated.
NOT_STORED: Final = frozenset(
    ("unauthenticated", "idempotency_key_reused", "request_in_progress", rules.MALFORMED_RECORD)
)


Found = Mapping[Key, Item]  # items already read for this response


def still_belongs(ctx: RequestContext, pool_id: str) -> Found:
    """Read the pool and the caller's membership. Raises Refused if the caller may not see the pool.

    An admin of the tenant may see a replay even if the pool has been deleted.
    """
    tenant = ctx.caller.tenant
    key = keys.pool_key(tenant, pool_id)
    found = ctx.backend.table.get([key, keys.member_key(tenant, pool_id, ctx.caller.user)])
    if key not in found:
        if ctx.caller.admin:
            return found
        raise Refused(Refusal("not_found"))
    pool = ctx.keep(pool_items.pool_record(tenant, found[key]))
    refusal = ctx.unmet(pool, ctx.actor(pool).member_rules(), found)
    if refusal is not None:
        raise Refused(refusal)
    return found


@contextmanager
def after_the_effect() -> Iterator[None]:
    """Turn a fault after the write into OutcomeUnknown: the client must repeat the request."""
    try:
        yield
    except Fault as fault:
        raise OutcomeUnknown from fault


def with_idempotency(
    ctx: RequestContext, route: Route, parameters: Mapping[str, str], handle: Callable[[], Answer]
) -> tuple[Answer, Found]:
    """Return the answer, or the stored one of this Idempotency-Key, with the items read to check access to a replay."""
    idempotency = ctx.idempotency
    if idempotency is NO_KEY:
        return handle(), {}
    try:
        if route.recalls:
            idempotency.load(ctx.backend.table)
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
        idempotency.load(ctx.backend.table)
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
    if route.form == "items":
        stopped = only.body.get(NEXT_CURSOR) if isinstance(only.body, dict) else None
        return Answer(status=route.status, results=results, next_cursor=stopped)
    if only.body is not None and route.row is not NoBody:  # of a dry run: an import stores the results of its rows
        return Answer(forecasts=msgspec.convert(only.body, services.imports.Forecasts))
    if only.body is not None:
        return Answer(only.body, route.status)
    return Answer(status=route.status, results=results)


def _may_see(ctx: RequestContext, route: Route, parameters: Mapping[str, str], idempotency: IdempotencyRecord) -> Found:
    """Check access to a replay. Raises Refused, except for an answer that reveals nothing."""
    first = idempotency.answers.get(WHOLE)
    left = route.removes and parameters.get("user") == ctx.caller.user and first is not None and first.refusal is None
    try:
        if route.admins:
            ctx.by_admin()
        elif "pool" in parameters and not left:
            with after_the_effect():
                return still_belongs(ctx, parameters["pool"])
    except Refused as refused:
        if not idempotency.discloses_nothing(refused.refusal.reason):
            idempotency.replayed = False
            raise
    return {}
