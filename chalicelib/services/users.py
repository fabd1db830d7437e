"""The users of a tenant: what their tokens and admins have stated about them, and what they have in all their pools.

A user's own GET /me and an admin's PUT are the only writes of users here; `leaving` writes their leaves. Nothing of a
user is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from msgspec.structs import asdict

from chalicelib.domain import rendering
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.table import Throttled
from chalicelib.model import pool_responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import CALLER
from chalicelib.model.model import Identifier
from chalicelib.model.responses import Body
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.users import Person
from chalicelib.observability import exception_summary
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import memberships
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import WHOLE
from chalicelib.transactions.user_records import stored_user, user_unchanged, user_write

MAX_WRITES: Final = 20  # attempts while others change the same user; only a defect uses up all
log = logging.getLogger("customer-pool")


def me(ctx: RequestContext) -> pool_responses.Me:
    """Return the caller and their pools. Store what their token states, where it differs and no admin has set it."""
    person = _introduced(ctx)
    pools = [pool_responses.OwnPool(pool.id, pool.name, pool.status, own.role) for pool, own in memberships(ctx)]
    return pool_responses.Me(**asdict(rendering.user(person)), admin=ctx.caller.admin, pools=pools)


def _introduced(ctx: RequestContext) -> Person:
    for _ in range(MAX_WRITES):
        known = stored_user(ctx.backend.table, ctx.caller.tenant, ctx.caller.user)
        after = known.introduced(ctx.caller.profile, ctx.now)
        if after is known or ctx.backend.table.write([user_write(known, after)]) is None:
            ctx.backend.user_cache.remember(after, ctx.now)
            return after
    raise Throttled


def list_users(ctx: RequestContext, limit: int, cursor: str | None) -> pool_responses.UserPage:
    """Return the users of the tenant, ordered by id: those who called GET /me, and those added by an admin."""
    partition = keys.user_key(ctx.caller.tenant, "").pk
    codec = CursorCodec(ctx.backend.secret, partition)
    last = codec.read(cursor, Identifier)
    ctx.by_admin()
    after = None if last is None else items.build_item(keys.user_key(ctx.caller.tenant, last), {})
    page = ctx.backend.table.page(partition, limit, after=after)
    shown = []
    for key, stored in zip(page.keys, page.items, strict=True):
        try:
            shown.append(rendering.user(pool_items.user_record(ctx.caller.tenant, stored)))
        except items.MALFORMED as error:
            log.error("malformed user %s: %s", key.sk, exception_summary(error))
    return pool_responses.UserPage(shown, None if page.last is None else codec.write(page.keys[-1].sk))


def put_user(
    ctx: RequestContext, user: str, given: Mapping[str, str | None], *, forget: bool, returns: bool = False
) -> Body:
    """Set these members of a user, which tokens no longer change. With `forget`, all others are emptied.

    With `returns`, a leave of the user is cancelled. The stored answer has no personal data: `api.people` adds it to
    each answer.
    """
    ctx.by_admin()
    if IDENTIFIER.fullmatch(user) is None or user == CALLER:
        raise Refused(Refusal("not_found"))
    if 0 in ctx.idempotency.answers:
        return _returned(ctx, user)
    for _ in range(MAX_WRITES):
        known = stored_user(ctx.backend.table, ctx.caller.tenant, user)
        if ctx.if_match is not None and ctx.if_match != known.version:
            raise Refused(Refusal("version_conflict"))
        admin = ctx.caller.user
        after = (known.forgotten(admin) if forget else known).set_to(given, admin)
        returning = returns and known.leave is not None
        after = after.returning(ctx.backend.new_id()) if returning else after
        writes, required = [user_write(known, after)], [user_unchanged(known)]
        try:
            body = ctx.commit(writes, required, _without_personal_data(after), 0 if returning else WHOLE)
        except Refused as refused:
            if refused.refusal.reason != "version_conflict" or ctx.if_match is not None:
                raise
        else:
            if not ctx.idempotency.replayed:
                ctx.backend.user_cache.remember(after, ctx.now)
            return _returned(ctx, user) if returning else body
    raise Throttled


def _returned(ctx: RequestContext, user: str) -> Body:
    """Return the answer once the marks of the leave are removed, as far as time allows: the schedule does the rest."""
    from chalicelib.services import leaving, sweeper  # import this module

    person = leaving.continue_leave(ctx, user, sweeper.request_time_left())
    return ctx.finish(_without_personal_data(person))


def _without_personal_data(person: Person) -> pool_responses.User:
    left = person.leave is not None
    return pool_responses.User(person.id, None, None, None, person.seen, left, person.version)
