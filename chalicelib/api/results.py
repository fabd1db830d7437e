"""Render answers as responses, with the customers as they are now.

A result contains facts as of the first response. Name and fields are added as they are now, masked for the caller as of
now: a first response has them in memory, a replay reads them. Nothing here decides or writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from chalice.app import Response
from msgspec import UNSET
from msgspec.structs import asdict

from chalicelib.api import problems
from chalicelib.api.replays import Found, still_belongs
from chalicelib.api.routing import JSON, Answer, File, Route
from chalicelib.domain import rendering
from chalicelib.domain.rendering import Personal
from chalicelib.dynamodb import keys
from chalicelib.model import responses
from chalicelib.model.errors import Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.model.responses import Body, Facts
from chalicelib.model.times import rfc3339
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import NO_KEY, IdempotencyRecord, Result

if TYPE_CHECKING:
    from chalicelib.services.imports import Forecast, Forecasts

Headers: TypeAlias = dict[str, str | list[str]]
Bodies: TypeAlias = Mapping[int, responses.Customer]  # by position

# Customers


def bodies(ctx: RequestContext, results: Mapping[int, Result], found: Found) -> dict[int, responses.Customer]:
    """Return the customer bodies by index. At most two reads for each hundred customers that are not in memory."""
    return _Renderer(ctx, found).bodies(results)


class _Renderer:
    """One response. Reads each pool and role once, and only if needed."""

    def __init__(self, ctx: RequestContext, found: Found) -> None:
        self.ctx, self.found = ctx, found
        self.pools: dict[str, Pool | None] = {}
        self.roles: dict[str, bool] = {}

    def bodies(self, results: Mapping[int, Result]) -> dict[int, responses.Customer]:
        with_facts = {index: (each, each.facts) for index, each in results.items() if each.facts is not None}
        read = self._read([facts for each, facts in with_facts.values() if each.seen is None])
        shown = {}
        for index, (each, facts) in with_facts.items():
            customer = each.seen or read.get((facts.pool_id, facts.id))
            same = customer is not None and rfc3339(customer.created_at) == facts.created_at
            own = self._personal(customer, each.managed) if customer is not None and same else Personal()
            shown[index] = rendering.with_personal(facts, own)
        return shown

    def _read(self, wanted: list[Facts]) -> dict[tuple[str, str], Customer | None]:
        """Read the customers. Those deleted, malformed, or in a pool hidden from the caller, are None or left out."""
        ids: dict[str, list[str]] = {}
        for facts in wanted:
            ids.setdefault(facts.pool_id, []).append(facts.id)
        read: dict[tuple[str, str], Customer | None] = {}
        for pool_id, those in ids.items():
            pool = self._visible_pool(pool_id)
            if pool is not None:
                customer_cache, table = self.ctx.backend.customer_cache, self.ctx.backend.table
                unique, actor = list(dict.fromkeys(those)), self.ctx.actor(pool)
                now = customer_cache.read(table, actor, unique, malformed=set())
                read |= {(pool_id, each): customer for each, customer in now.items()}
        return read

    def _visible_pool(self, pool_id: str) -> Pool | None:
        """Return the pool, or None where the caller is not a member of it by now. Membership in the pool of the path
        does not suffice for a customer that was moved into another one."""
        if keys.pool_key(self.ctx.caller.tenant, pool_id) not in self.found:
            try:
                self.found = {**self.found, **still_belongs(self.ctx, pool_id)}
            except Refused:
                return None
        return self._pool(pool_id)

    def _personal(self, customer: Customer, managed: bool) -> Personal:
        pool = self._pool(customer.pool)
        if pool is None:
            return Personal()
        actor = self.ctx.actor(pool)
        if actor.hides(customer) and not (managed or self._manages(pool)):
            return Personal()
        clock = actor.clock(customer)
        return rendering.personal(customer, pool, clock, actor.user, lambda: managed or self._manages(pool))

    def _pool(self, pool_id: str) -> Pool | None:
        if pool_id not in self.pools:
            try:
                self.pools[pool_id] = self.ctx.pool_already_read(pool_id) or self.ctx.pool(pool_id)
            except Refused:
                self.pools[pool_id] = None
        return self.pools[pool_id]

    def _manages(self, pool: Pool) -> bool:
        if pool.id not in self.roles:
            read = keys.pool_key(pool.tenant, pool.id) in self.found
            self.roles[pool.id] = self.ctx.manages(pool, self.found if read else None)
        return self.roles[pool.id]


# Responses


def render(
    answer: Answer, body: Body, language: str, route: Route, idempotency: IdempotencyRecord = NO_KEY
) -> Response:
    if answer.file is not None:
        return _file_response(answer.file)
    headers: Headers = {"Content-Type": JSON, "Cache-Control": "no-store", **replayed(idempotency)}
    status = answer.status
    if route.continues and _member(body, "state") == "running":
        status = 202
    if isinstance(body, responses.RefusedBatch):
        headers["Content-Type"], status = problems.MEDIA, body.status
    elif not route.public and (version := _member(body, "version")) is not None:
        headers["ETag"] = f'"{version}"'
    if route.form == "each" or answer.blocking is not None or answer.localized is not None:
        headers["Content-Language"] = problems.content_language(language)
    return Response(msgspec.json.encode(body).decode(), headers, status)


def body_of(answer: Answer, bodies: Bodies, language: str, route: Route) -> Body:
    """Return the body of the answer, without the names of users."""
    if route.form == "one" and answer.results is not None:
        return bodies[0] if answer.results[0].body is None else answer.results[0].body
    if route.form == "items":
        next_cursor = UNSET if answer.next_cursor is None else answer.next_cursor
        return responses.ClaimedCustomers([bodies[position] for position in sorted(bodies)], next_cursor)
    if answer.blocking is not None:
        blocking = [problems.refusal_body(each, language) for each in answer.blocking]
        return responses.Eligibility(not blocking, blocking)
    if answer.forecasts is not None:
        return _forecasts(answer.forecasts, language)
    if route.form == "each" and answer.results is not None:
        return _batch(answer, answer.results, bodies, language, route)
    return answer.body if answer.localized is None else answer.localized(language)


def _member(body: Body, name: str) -> Any:
    return body.get(name) if isinstance(body, dict) else getattr(body, name, None)


def _file_response(file: File) -> Response:
    headers: Headers = {
        "Content-Type": file.media,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        **file.headers,
    }
    return Response(file.text, headers)


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
        return responses.Import(entries, summary, import_id=answer.import_id)
    if answer.undoing is not None:
        return responses.Undoing(entries, summary, answer.undoing.next_cursor)
    return responses.Batch(entries, summary)


def _forecasts(forecasts: Forecasts, language: str) -> responses.Import:
    entries = [_forecast(each, language) for each in forecasts.rows]
    failed = sum(each.refusal is not None for each in forecasts.rows)
    return responses.Import(entries, responses.Summary(len(entries) - failed, failed), room=forecasts.room)


def _forecast(row: Forecast, language: str) -> responses.Schema:
    if row.refusal is not None:
        body = problems.refusal_body(row.refusal, language)
        return responses.RefusedRow(row.id, False, list(row.keys), **asdict(body))
    return responses.RowForecast(row.id, True, row.outcome or "unchanged", row.holder, list(row.keys))


def _entry(result: Result, body: responses.Customer | None, language: str) -> responses.Schema:
    if result.refusal is not None:
        return responses.BatchFailure(result.id, False, **asdict(problems.refusal_body(result.refusal, language)))
    if result.body is not None:
        return responses.EraseSuccess(**msgspec.to_builtins(result.body), ok=True)
    return responses.Undone(result.id, True, None) if body is None else responses.BatchSuccess(result.id, True, body)


def replayed(idempotency: IdempotencyRecord) -> Headers:
    return {"Idempotent-Replayed": "true"} if idempotency.replayed else {}
