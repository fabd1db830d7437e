"""List what the caller holds or owns, over all pools that they are a member of.

By deadline, the page is read from the index `place`: one query per pool. The other orders compare the customers
themselves, at most MAX_SORTED of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import FIRST_PRIVATE_RANK, NO_DEADLINE, PLACE
from chalicelib.dynamodb.table import between
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Customer, Member, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.model.responses import CustomerPage
from chalicelib.services.pagination import Cursor
from chalicelib.services.pools import memberships
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.customer_cache import MalformedRecord, ReadSkew, customer_of, keys_of, log_malformed

MAX_SORTED: Final = 1_000
MAX_THREADS: Final = 16
_HIGHEST: Final = 10**18 - 1  # of a rank

Owned: TypeAlias = Literal["claimed", "private"]
Order: TypeAlias = Literal["expires_at", "name", "last_follow_up_at", "-entered_pool_at"]

# The ranks of a holder's customers in the index `place`: first claims, then private customers.
_RANKS: Final[dict[Owned | None, tuple[int, int]]] = {
    "claimed": (0, NO_DEADLINE), "private": (FIRST_PRIVATE_RANK, _HIGHEST), None: (0, _HIGHEST)
}  # fmt: skip
_COMPARED: Final[dict[Order, Callable[[Customer], int | str]]] = {
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


def list_customers(
    ctx: RequestContext, state: Owned | None, order: Order, limit: int, cursor: str | None
) -> CustomerPage:
    owner = keys.user_key(ctx.caller.tenant, ctx.caller.user)
    place = Cursor(ctx.backend.secret, owner.pk, owner.sk, str(state), order)
    last = _checked(place.read(cursor, Position), state, order)
    pools = {pool.id: _Own(pool, member) for pool, member in memberships(ctx)}
    if order == "expires_at":
        listed = _by_deadline(ctx, list(pools), state, last, limit + 1)
    else:
        compared = sorted(_compared(ctx, pools, state, _COMPARED[order]))
        listed = [at for at in compared if last is None or at > last][: limit + 1]
    shown = [
        ctx.shown(own.pool, customer, ctx.caller.admin or own.member.role == "manager")
        for own, customer in _read(ctx, pools, listed[:limit])
        if customer.holder == ctx.caller.user and state in (None, customer.state)
    ]
    return CustomerPage(shown, place.write(listed[limit - 1]) if len(listed) > limit else None)


def _checked(last: Position | None, state: Owned | None, order: Order) -> Position | None:
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
) -> list[Position]:
    """Return the next positions, with one query per pool."""
    jobs = [partial(_ranked, ctx, pool, _options(ctx, pool, state, last), limit) for pool in pools]
    found: list[Position] = []
    for start in range(0, len(jobs), MAX_THREADS):
        for positions in ctx.backend.run_jobs(jobs[start : start + MAX_THREADS]):
            found += positions
    # Within a pool, entries of equal rank stay in the order of the index, in which the next page continues.
    return sorted(found, key=lambda at: (at.rank, at.pool))[:limit]


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


def _ranked(ctx: RequestContext, pool: str, options: dict[str, Any] | None, limit: int) -> list[Position]:
    if options is None:
        return []
    partition = keys.place_of_holder(ctx.caller.tenant, pool, ctx.caller.user)
    page = ctx.backend.table.query(partition, index=PLACE, limit=limit, **options)
    return [Position(items.sort_value(item["rank"]), pool, keys.id_from_pk(item["pk"]["S"])) for item in page.items]


# By what the customers contain


def _compared(
    ctx: RequestContext,
    pools: Mapping[str, _Own],
    state: Owned | None,
    value: Callable[[Customer], int | str],
) -> list[Position]:
    """Return the positions of the first MAX_SORTED customers by deadline, with their value in the order."""
    listed = _by_deadline(ctx, list(pools), state, None, MAX_SORTED)
    actors = {pool: ctx.actor(own.pool) for pool, own in pools.items()}
    found = ctx.backend.table.get([actors[at.pool].customer_key(at.id) for at in listed])
    compared = []
    for at in listed:
        stored = found.get(actors[at.pool].customer_key(at.id))
        if stored is None or items.is_tombstone(stored):
            continue
        try:
            compared.append(Position(value(customer_of(actors[at.pool], stored)), at.pool, at.id))
        except MalformedRecord as error:
            log_malformed(at.id, error)
    return compared


# The customers of a page


def _read(ctx: RequestContext, pools: Mapping[str, _Own], listed: Sequence[Position]) -> list[tuple[_Own, Customer]]:
    """Return the customers as they are now, with their pools. One read per fifty customers."""
    actors = {pool: ctx.actor(own.pool) for pool, own in pools.items()}
    found = ctx.backend.table.get([key for at in listed for key in keys_of(actors[at.pool], [at.id])])
    customers = [(pools[at.pool], _customer(ctx, actors[at.pool], at.id, found)) for at in listed]
    return [(own, customer) for own, customer in customers if customer is not None]


def _customer(
    ctx: RequestContext, actor: Actor, customer_id: str, found: Mapping[keys.Key, items.Item]
) -> Customer | None:
    """Return the customer among the items, None if it is malformed. One that changed during the read is read again."""
    cache = ctx.backend.customer_cache
    try:
        return cache.from_items(actor, customer_id, found)
    except ReadSkew:
        return cache.read(ctx.backend.table, actor, [customer_id], malformed=set()).get(customer_id)
    except MalformedRecord as error:
        log_malformed(customer_id, error)
        return None
