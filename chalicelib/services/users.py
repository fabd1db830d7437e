"""The users of a tenant: what their tokens and admins have stated about them, and what they have in all their pools.

A user's own GET /me and an admin's PUT are the only writes of users here. Nothing of a user is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from chalicelib.domain import rendering, rules
from chalicelib.domain.rules import Rule
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.table import SetAttributes, Throttled
from chalicelib.model import responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import CALLER
from chalicelib.model.model import IDENTIFIER, Identifier
from chalicelib.model.responses import Body
from chalicelib.model.users import Person
from chalicelib.observability import exception_summary
from chalicelib.services.pagination import Cursor
from chalicelib.services.pools import memberships
from chalicelib.transactions.context import RequestContext

MAX_WRITES: Final = 20  # attempts while others change the same user; only a defect uses up all
log = logging.getLogger("customer-pool")


def me(ctx: RequestContext) -> responses.Me:
    """Return the caller and their pools. Store what their token states, where it differs and no admin has set it."""
    person = _introduced(ctx)
    pools = [responses.OwnPool(pool.id, pool.name, pool.status, own.role) for pool, own in memberships(ctx)]
    known = rendering.user(person)
    return responses.Me(
        known.user_id, known.name, known.email, known.department, known.seen, known.version,
        admin=ctx.caller.admin, pools=pools,
    )  # fmt: skip


def _introduced(ctx: RequestContext) -> Person:
    for _ in range(MAX_WRITES):
        known = _stored(ctx, ctx.caller.user)
        after = known.introduced(ctx.caller.profile, ctx.now)
        if after is known or ctx.backend.table.write([_write(known, after)]) is None:
            ctx.backend.user_cache.remember(after, ctx.now)
            return after
    raise Throttled


def _stored(ctx: RequestContext, user: str) -> Person:
    """Return the user as stored now. One that is not stored has version 0. Raises if the record is malformed."""
    key = keys.user_key(ctx.caller.tenant, user)
    stored = ctx.backend.table.get([key]).get(key)
    return Person(ctx.caller.tenant, user) if stored is None else items.user_record(ctx.caller.tenant, stored)


def _write(known: Person, after: Person) -> SetAttributes:
    """Return the write of the changed attributes, on the condition that the user is still as known."""
    changes = items.attribute_changes(items.user_item(known), items.user_item(after))
    return SetAttributes(keys.user_key(known.tenant, known.id), *changes, _unchanged(known).condition)


def _unchanged(known: Person) -> Rule:
    key = keys.user_key(known.tenant, known.id)
    if known.version == 0:
        return Rule("version_conflict", key, rules.pk.does_not_exist())
    return rules.unchanged_since(key, known.version)


def list_users(ctx: RequestContext, limit: int, cursor: str | None) -> responses.UserPage:
    """Return the users of the tenant, ordered by id: those who called GET /me, and those added by an admin."""
    partition = keys.user_key(ctx.caller.tenant, "").pk
    place = Cursor(partition)
    last = place.read(cursor, Identifier)
    ctx.by_admin()
    after = None if last is None else items.build_item(keys.user_key(ctx.caller.tenant, last), {})
    page = ctx.backend.table.page(partition, limit, after=after)
    shown = []
    for key, stored in zip(page.keys, page.items, strict=True):
        try:
            shown.append(rendering.user(items.user_record(ctx.caller.tenant, stored)))
        except items.MALFORMED as error:
            log.error("malformed user %s: %s", key.sk, exception_summary(error))
    return responses.UserPage(shown, None if page.last is None else place.write(page.keys[-1].sk))


def put_user(ctx: RequestContext, user: str, given: Mapping[str, str | None], *, forget: bool) -> Body:
    """Set these members of a user, which tokens no longer change. With `forget`, all others are emptied.

    The stored answer has no personal data: `api.people` adds it to each answer.
    """
    ctx.by_admin()
    if IDENTIFIER.fullmatch(user) is None or user == CALLER:
        raise Refused(Refusal("not_found"))
    for _ in range(MAX_WRITES):
        known = _stored(ctx, user)
        if ctx.if_match is not None and ctx.if_match != known.version:
            raise Refused(Refusal("version_conflict"))
        admin = ctx.caller.user
        after = (known.forgotten(admin) if forget else known).set_to(given, admin)
        without_personal_data = responses.User(user, None, None, None, after.seen, after.version)
        try:
            body = ctx.commit([_write(known, after)], [_unchanged(known)], without_personal_data)
        except Refused as refused:
            if refused.refusal.reason != "version_conflict" or ctx.if_match is not None:
                raise
        else:
            if not ctx.idempotency.replayed:
                ctx.backend.user_cache.remember(after, ctx.now)
            return body
    raise Throttled
