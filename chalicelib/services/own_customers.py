"""List what the caller holds or owns, over all pools that they are a member of.

The projections are read from the index `place`: one query per pool. Orders other than by deadline compare the first
MAX_SORTED of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import Struct

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import FIRST_PRIVATE_RANK, NO_DEADLINE, PLACE
from chalicelib.dynamodb.table import between
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Member, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.model.responses import CustomerPage
from chalicelib.model.selections import Owned, OwnOrder
from chalicelib.model.text import IDENTIFIER
from chalicelib.services.customer_lists import projection_or_none
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import memberships
from chalicelib.transactions.context import RequestContext

MAX_SORTED: Final = 1_000
MAX_THREADS: Final = 16
_HIGHEST: Final = 10**18 - 1  # of a rank


# The ranks of a holder's customers in the index `place`: first claims, then private customers.
_RANKS: Final[dict[Owned | None, tuple[int, int]]] = {
    "claimed": (0, NO_DEADLINE), "private": (FIRST_PRIVATE_RANK, _HIGHEST), None: (0, _HIGHEST)
}  # fmt: skip
_COMPARED: Final[dict[OwnOrder, Callable[[Customer], int | str]]] = {
    "name": lambda customer: truncate_name(fold_name(customer.name)),
    "last_follow_up_at": lambda customer: customer.last_follow_up_at or 0,
    "-entered_pool_at": lambda customer: -customer.entered_at,
}


class Position(Struct, frozen=True, array_like=True, order=True):
    """A customer in the list: its value in the order, its pool and its id."""

    rank: int | str
    pool: str
    id: str


class _Own(NamedTuple):
    pool: Pool
    member: Member


class _Listed(NamedTuple):
    """A customer's position and its projection; None if it is malformed."""

    at: Position
    customer: Customer | None


def list_customers(
    ctx: RequestContext, state: Owned | None, order: OwnOrder, limit: int, cursor: str | None
) -> CustomerPage:
    owner = keys.user_key(ctx.caller.tenant, ctx.caller.user)
    codec = CursorCodec(ctx.backend.secret, owner.pk, owner.sk, str(state), order)
    last = _checked(codec.read(cursor, Position), state, order)
    pools = {pool.id: _Own(pool, member) for pool, member in memberships(ctx)}
    if order == "expires_at":
        listed = _by_deadline(ctx, list(pools), state, last, limit + 1)
    else:
        compared = _compared(_by_deadline(ctx, list(pools), state, None, MAX_SORTED), _COMPARED[order])
        listed = [each for each in compared if last is None or each.at > last][: limit + 1]
    shown = []
    for at, customer in listed[:limit]:
        if customer is not None:
            own = pools[at.pool]
            shown.append(ctx.list_item(own.pool, customer, ctx.caller.admin or own.member.role == "manager"))
    return CustomerPage(shown, codec.write(listed[limit - 1].at) if len(listed) > limit else None)


def _checked(last: Position | None, state: Owned | None, order: OwnOrder) -> Position | None:
    """Return where the list continues. Raises Refused for a position on which DynamoDB would fail."""
    if last is None:
        return None
    lowest, highest = _RANKS[state]
    ranked = isinstance(last.rank, str) == (order == "name")
    if order == "expires_at" and isinstance(last.rank, int):
        ranked = ranked and lowest <= last.rank <= highest
    if not ranked or not all(map(IDENTIFIER.fullmatch, (last.pool, last.id))):
        raise Refused(Refusal("invalid_cursor"))
    return last


# By deadline


def _by_deadline(
    ctx: RequestContext, pools: Sequence[str], state: Owned | None, last: Position | None, limit: int
) -> list[_Listed]:
    """Return the next customers, with one query per pool."""
    jobs = [partial(_ranked, ctx, pool, _options(ctx, pool, state, last), limit) for pool in pools]
    found: list[_Listed] = []
    for start in range(0, len(jobs), MAX_THREADS):
        for listed in ctx.backend.run_jobs(jobs[start : start + MAX_THREADS]):
            found += listed
    # Within a pool, entries of equal rank stay in the order of the index, in which the next page continues.
    return sorted(found, key=lambda each: (each.at.rank, each.at.pool))[:limit]


def _options(ctx: RequestContext, pool: str, state: Owned | None, last: Position | None) -> dict[str, Any] | None:
    """Return the options of the query that continues the list in this pool. None if it has ended there."""
    low, high = _RANKS[state]
    if last is None or not isinstance(last.rank, int):
        return {"between": between(PLACE, low, high)}
    if pool == last.pool:
        key = keys.customer_key(ctx.caller.tenant, pool, last.id)
        partition = keys.place_of_holder(ctx.caller.tenant, pool, ctx.caller.user)
        after = items.index_position(PLACE, partition, key, last.rank)
        return {"between": between(PLACE, low, high), "after": after}
    low = last.rank + 1 if pool < last.pool else last.rank
    return {"between": between(PLACE, low, high)} if low <= high else None


def _ranked(ctx: RequestContext, pool: str, options: dict[str, Any] | None, limit: int) -> list[_Listed]:
    if options is None:
        return []
    tenant = ctx.caller.tenant
    partition = keys.place_of_holder(tenant, pool, ctx.caller.user)
    page = ctx.backend.table.query(partition, index=PLACE, limit=limit, **options)
    return [
        _Listed(
            Position(items.sort_value(item["rank"]), pool, keys.id_from_pk(key.pk)),
            projection_or_none(tenant, pool, item),
        )
        for key, item in zip(page.keys, page.items, strict=True)
    ]


# By what the projections contain


def _compared(listed: Sequence[_Listed], value: Callable[[Customer], int | str]) -> list[_Listed]:
    """Return the customers by their value in the order."""
    read = [(each.at, each.customer) for each in listed if each.customer is not None]
    by_value = (_Listed(Position(value(each), at.pool, at.id), each) for at, each in read)
    return sorted(by_value, key=lambda each: each.at)
