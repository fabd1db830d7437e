"""List the members of a pool with their counters.

By id, a page is read from the roster. The other orders compare the members, of pools with at most MAX_SORTED of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from chalicelib.domain import rendering
from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.model import pool_responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Member, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.model.pool_responses import MemberPage
from chalicelib.model.selections import MemberOrder
from chalicelib.model.users import Person
from chalicelib.model.validation import FieldError
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import require_manager, roster_page, sound
from chalicelib.transactions.context import RequestContext

MAX_SORTED: Final = 1_000


class Position(Struct, frozen=True, array_like=True, order=True):
    """A member in a sorted list: the value in the order, and the id."""

    rank: int | str
    user: str


def list_members(
    ctx: RequestContext, pool_id: str, order: MemberOrder | None, limit: int, cursor: str | None
) -> MemberPage:
    """Return a page of the members, by user id or in that order. Only managers may."""
    pool = ctx.pool(pool_id)
    roster = keys.member_roster(pool.tenant, pool.id)
    if order is not None:
        return _sorted_page(ctx, pool, order, limit, cursor)
    found, next_cursor = roster_page(ctx, pool, roster, keys.member_key, limit, cursor)
    return MemberPage(_bodies(ctx, pool, _members(pool, found)), next_cursor)


def _members(pool: Pool, found: Sequence[tuple[str, Item]]) -> list[Member]:
    return sound("member", found, lambda stored: pool_items.member_record(pool.tenant, pool.id, stored))


def _bodies(ctx: RequestContext, pool: Pool, members: Iterable[Member]) -> list[pool_responses.Member]:
    found = [(member.user, member) for member in members]
    return sound("member", found, lambda member: rendering.member(member, pool, ctx.now))


# Sorted lists


def _sorted_page(ctx: RequestContext, pool: Pool, order: MemberOrder, limit: int, cursor: str | None) -> MemberPage:
    codec = CursorCodec(ctx.backend.secret, keys.member_roster(pool.tenant, pool.id), order)
    last = codec.read(cursor, Position)
    if last is not None and isinstance(last.rank, str) != (order == "name"):
        raise Refused(Refusal("invalid_cursor"))
    members = {member.user: member for member in _all_members(ctx, pool)}
    positions = sorted(_positions(ctx, members, order))
    listed = [at for at in positions if last is None or at > last][: limit + 1]
    bodies = _bodies(ctx, pool, [members[at.user] for at in listed[:limit]])
    return MemberPage(bodies, codec.write(listed[limit - 1]) if len(listed) > limit else None)


def _all_members(ctx: RequestContext, pool: Pool) -> list[Member]:
    """Return all members as stored now. Raises Refused for a caller who is no manager, or if there are too many."""
    table, caller = ctx.backend.table, ctx.actor(pool).member_key
    listed: list[Key] = []
    for page in table.pages(keys.member_roster(pool.tenant, pool.id), index=ROSTER):
        listed += page.keys
        if len(listed) > MAX_SORTED:
            require_manager(ctx, pool)
            raise Refused(Refusal("invalid_request", errors=(FieldError("too_many_members", "sort", (MAX_SORTED,)),)))
    found = table.get(list(dict.fromkeys([caller, *listed])))
    require_manager(ctx, pool, found)
    return _members(pool, [(keys.id_from_pk(key.pk), found[key]) for key in listed if key in found])


def _positions(ctx: RequestContext, members: Mapping[str, Member], order: MemberOrder) -> list[Position]:
    if order == "name":
        people = _people(ctx, list(members))
        return [Position(truncate_name(fold_name(people[user].name or user)), user) for user in members]
    sign = 1 if order == "held" else -1
    return [Position(sign * member.held, user) for user, member in members.items()]


def _people(ctx: RequestContext, users: Sequence[str]) -> dict[str, Person]:
    """Return the users, as this process read them within the last minute or reads them now."""
    cache, tenant = ctx.backend.user_cache, ctx.caller.tenant
    known = cache.peek(tenant, users, ctx.now)
    return known | cache.read(ctx.backend.table, tenant, [user for user in users if user not in known], ctx.now)
