"""List the customers of a pool by state and holder, from the index that projects what lists show.

A projection may be a moment late, and has the fields of lists and filters only: `partial` in the answer. Where an index
projects keys only, the customers of a page are read, without their fields. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, sqrt
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import masking
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DUE, ENTERED, INDEX_RANGE, LISTING, NAMES, PLACE, RANK_LIMIT, REQUEST, Key
from chalicelib.dynamodb.projections import projected_record
from chalicelib.dynamodb.sharded_query import Entry
from chalicelib.dynamodb.table import begins_with, between
from chalicelib.model import responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.model.responses import CustomerPage
from chalicelib.model.selections import Listed
from chalicelib.model.text import IDENTIFIER
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import only_members, require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.customer_cache import log_malformed

T = TypeVar("T")
NOBODY: Final = ""  # an id that no customer has
CUSTOMERS_PER_READ: Final = 49  # with the one after them, fifty customers and their fields: one request
PROJECTIONS_PER_READ: Final = 99  # with the one after them, a hundred customers without their fields: one request
MAX_READS_PER_PAGE: Final = 10  # then a page may stay short

HELD_BY_NOBODY: Final = ("available", "set_aside", "suppressed")


class Filter(Struct, frozen=True):
    """Select customers by state, holder and prefix of the folded name, all optional and combined.

    With `expired_by`, private customers of the holder are listed only if their deadline has passed by that time.
    """

    state: Listed | None = None
    holder: str | None = None
    name: str | None = None
    expired_by: int | None = None

    def fits(self, customer: Customer, now: int) -> bool:
        named = self.name is None or fold_name(customer.name).startswith(self.name)
        return named and self._has_state(customer, now) and self.holder in (None, customer.holder)

    def _has_state(self, customer: Customer, now: int) -> bool:
        if self.state == "win_requested":
            return customer.win_requested_at is not None and not customer.expired(now)
        return self.state in (None, _listed_as(customer))


def _listed_as(customer: Customer) -> Listed:
    if customer.suppressed_at is not None:
        return "suppressed"
    return customer.state if customer.set_aside_at is None else "set_aside"


class Access(NamedTuple):
    """The list that the caller reads, and whether they manage the pool: None if that was not read."""

    wanted: Filter
    manager: bool | None


def for_caller(ctx: RequestContext, pool: Pool, wanted: Filter, found: dict[Key, Item] | None = None) -> Access:
    """Return the filter without what only managers list: requests for a win, and private customers, of others.

    Reads the role only where it matters and is not in `found`. Raises Refused for requests of a holder who is not the
    caller (rule 29).
    """
    of_another = wanted.holder not in (None, ctx.caller.user)
    hides_private = not ctx.caller.admin and pool.policy.private_visible_to != "pool"
    may_be_private = wanted.state == "private" or (wanted.state is None and of_another)
    if wanted.state != "win_requested" and not (hides_private and may_be_private):
        return Access(wanted, None if found is None else ctx.manages(pool, found))
    found = ctx.backend.table.get([ctx.actor(pool).member_key]) if found is None else found
    only_members(ctx, pool, found)
    manager = ctx.manages(pool, found)
    if manager:
        return Access(wanted, manager)
    if wanted.state == "win_requested" and of_another:
        raise Refused(Refusal("not_manager"))
    own = replace(wanted, expired_by=ctx.now) if of_another else replace(wanted, holder=ctx.caller.user)
    return Access(own, manager)


def list_customers(ctx: RequestContext, pool_id: str, wanted: Filter, limit: int, cursor: str | None) -> CustomerPage:
    """Return a page of customers in two requests at once, for the index and for the caller's role, in any pool.

    A third one reads the customers where the index projects keys only. With a name, the page is taken from the index
    of names, and customers of other states or holders are left out of it. Where customers are hidden from the caller,
    more is read, until the page is full or after MAX_READS_PER_PAGE.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    wanted, manager = for_caller(ctx, pool, wanted)
    index, partitions, part = list_of(pool, wanted)
    codec = CursorCodec(actor.secret, partitions[0], str(wanted.state), str(wanted.holder), str(wanted.name))
    last = last_position(codec, cursor, index, wanted)
    # Elsewhere private customers have no deadline, so the index has them last.
    merged = index == PLACE and wanted.state is None and pool.policy.private_ttl is not None
    if wanted.state in HELD_BY_NOBODY and wanted.holder is not None:
        only_members(ctx, pool)
        return CustomerPage([], None)
    if wanted.name is not None and not _sees_all_names(ctx, pool):
        return _found_by_name(ctx, pool, wanted, limit, last, codec)
    by_index = partial(entries, ctx, actor, index, partitions, part)
    read = partial(_by_deadline, ctx, actor, wanted) if merged else by_index
    listed: list[Entry] = []
    shown: dict[str, responses.Customer] = {}
    for _ in range(MAX_READS_PER_PAGE):
        room = limit - len(shown)
        listed, manager = with_role(ctx, pool, partial(read, last, room + 1), manager)
        found = [each for each in projections_of(ctx, actor, index, listed[:room]) if each is not None]
        fitting = [each for each in found if wanted.fits(each, actor.clock(each))]
        seen = {each.id: ctx.list_item(pool, each, manager) for each in fitting if manager or not actor.hides(each)}
        shown |= seen
        more = len(listed) > room
        # A short page would reveal how many customers are hidden from the caller.
        if not more or len(seen) == len(fitting) or len(shown) == limit:
            break
        last = position(listed[room - 1])
    end = position(listed[room - 1]) if more else None
    return CustomerPage(list(shown.values()), None if end is None else codec.write(end, hidden=end.id not in shown))


def with_role(ctx: RequestContext, pool: Pool, read: Callable[[], T], manager: bool | None) -> tuple[T, bool]:
    """Return what `read` returns, and whether the caller manages the pool, which is read at the same time if unknown.

    Raises Refused if the caller is no member.
    """
    if manager is not None:
        return read(), manager
    role = partial(ctx.backend.table.get, [ctx.actor(pool).member_key])
    jobs: Sequence[Callable[[], Any]] = [read, role]
    listed, found = ctx.backend.run_jobs(jobs)
    only_members(ctx, pool, found)
    return listed, ctx.manages(pool, found)


def _by_deadline(ctx: RequestContext, actor: Actor, wanted: Filter, last: Last | None, limit: int) -> list[Entry]:
    """Return `limit` entries of a holder's list at most, claims and private customers together.

    Each kind has a part of the holder's list, sorted by deadline. At equal deadlines, claims come first.
    """
    partition = keys.place_of_holder(actor.tenant, actor.pool, wanted.holder or "")
    highest = keys.NO_DEADLINE if wanted.expired_by is None else wanted.expired_by
    found: list[Entry] = []
    for base, top in ((0, keys.NO_DEADLINE), (keys.FIRST_PRIVATE_RANK, keys.FIRST_PRIVATE_RANK + highest)):
        low, after = base, None
        if last is not None and isinstance(last.rank, int):
            deadline, of_claim = _deadline(last.rank)
            if of_claim == (base == 0):
                after = items.index_position(PLACE, partition, actor.customer_key(last.id), last.rank)
            else:
                low = base + deadline + (0 if of_claim else 1)
        if low <= top:
            part = between(PLACE, low, top)
            page = ctx.backend.table.query(partition, index=PLACE, after=after, between=part, limit=limit)
            found += [Entry(items.sort_value(item["rank"]), 0, item) for item in page.items]
    return sorted(found, key=_deadline_of)[:limit]


def _deadline_of(entry: Entry) -> tuple[int, bool]:
    deadline, of_claim = _deadline(entry.rank)
    return deadline, not of_claim


def _deadline(rank: int) -> tuple[int, bool]:
    """Return the deadline in the rank of a holder's customer, and whether it is that of a claim."""
    of_claim = rank <= keys.NO_DEADLINE
    return (rank if of_claim else rank - keys.FIRST_PRIVATE_RANK), of_claim


def _sees_all_names(ctx: RequestContext, pool: Pool) -> bool:
    """Return whether the caller sees every customer, with its name in full. Raises Refused if they see no name.

    It refuses before any lookup, so that the response time does not depend on a name.
    """
    mask = masking.of(pool)
    if mask is None and (ctx.caller.admin or pool.policy.private_visible_to == "pool"):
        return True
    found = ctx.backend.table.get([ctx.actor(pool).member_key])
    only_members(ctx, pool, found)
    if mask is not None and "name" in mask.fields:
        require_manager(ctx, pool, found)
    return ctx.manages(pool, found) or (pool.policy.private_visible_to == "pool" and not (mask and mask.contacts))


def _found_by_name(
    ctx: RequestContext, pool: Pool, wanted: Filter, limit: int, last: Last | None, codec: CursorCodec
) -> CustomerPage:
    """Return the page for a member who does not see every customer with its full name. The others are skipped.

    A cursor never points at a skipped customer. If very many follow one another, the list ends before them.
    """
    actor, (index, partitions, part) = ctx.actor(pool), list_of(pool, wanted)
    seen: list[tuple[Last, Customer]] = []
    last_shown: Last | None = None
    for _ in range(MAX_READS_PER_PAGE):
        listed = entries(ctx, actor, index, partitions, part, last, PROJECTIONS_PER_READ + 1)
        # Always one read at least: the number of requests must not disclose whether a name begins like this.
        known = projections_of(ctx, actor, index, listed) if listed else read_projections(ctx, actor, [NOBODY]).values()
        for entry, customer in zip(listed, known, strict=False):
            if customer is None or actor.hides(customer):
                continue
            if in_full(actor, customer, "name", customer.name):
                last_shown = position(entry)
                seen += [(last_shown, customer)] if wanted.fits(customer, actor.clock(customer)) else []
        more = len(listed) > PROJECTIONS_PER_READ
        if len(seen) > limit or not more:
            break
        last = position(listed[-1])
    end = seen[limit - 1][0] if len(seen) > limit else last_shown if more else None
    return CustomerPage(
        [ctx.list_item(pool, each, manager=False) for _, each in seen[:limit]],
        None if end is None else codec.write(end),
    )


def in_full(actor: Actor, customer: Customer, field: str, value: Any) -> bool:
    """Return whether an actor who is not a manager sees this value of the customer unmasked."""
    mask = masking.of(actor.home)
    theirs = customer.belongs_to(actor.user, actor.clock(customer))
    return mask is None or theirs or mask.field(field, value) == value


# Entries of an index, and their projections


class Last(Struct, frozen=True, array_like=True):
    """The last customer of a page, with its sort value and its shard of the list."""

    id: str
    rank: int | str
    shard: Annotated[int, Meta(ge=0, lt=32)]


def last_position(codec: CursorCodec, cursor: str | None, index: str, wanted: Filter) -> Last | None:
    """Return where the list continues. Raises Refused for an impossible position, on which DynamoDB fails."""
    last = codec.read(cursor, Last)
    if last is None:
        return None
    rank = last.rank
    if index == NAMES:
        ranked = (
            isinstance(rank, str) and rank == truncate_name(rank) and rank.startswith(truncate_name(wanted.name or ""))
        )
    else:
        ranked = isinstance(rank, int) and abs(rank) < RANK_LIMIT
    if not ranked or IDENTIFIER.fullmatch(last.id) is None:
        raise Refused(Refusal("invalid_cursor"))
    return last


def position(entry: Entry) -> Last:
    return Last(keys.id_from_pk(entry.item["pk"]["S"]), entry.rank, entry.shard)


def entries(
    ctx: RequestContext,
    actor: Actor,
    index: str,
    partitions: list[str],
    part: Condition | None,
    last: Last | None,
    limit: int,
) -> list[Entry]:
    """Return the next `limit` entries of a list at most, with one query per partition."""
    key = None if last is None else actor.customer_key(last.id)
    if len(partitions) > 1:
        after = None
        if last is not None and key is not None and isinstance(last.rank, int):
            after = key, last.rank, min(last.shard, len(partitions) - 1)
        return sharded_query.page(ctx.backend.table, partitions, index, limit, after, ctx.backend.run_jobs)
    start = items.index_position(index, partitions[0], key, None if last is None else last.rank)
    got = ctx.backend.table.query(partitions[0], index=index, after=start, between=part, limit=limit)
    return [Entry(items.sort_value(item[INDEX_RANGE[index]]), 0, item) for item in got.items]


class Look(NamedTuple):
    """The customers found in a part of a list, and where it continues: after `end`, None if it has ended."""

    entries: list[Entry]
    looked_at: int
    end: Last | None


def look(
    ctx: RequestContext,
    actor: Actor,
    index: str,
    partitions: list[str],
    part: Condition | None,
    last: Last | None,
    where: Condition | None,
    size: int,
) -> Look:
    """Look at about `size` entries of a list, and return those that meet `where`."""
    after = None
    if last is not None:
        after = actor.customer_key(last.id), last.rank, min(last.shard, len(partitions) - 1)
    jobs = ctx.backend.run_jobs
    found = sharded_query.look(ctx.backend.table, partitions, index, size, after, jobs, where, part)
    end = None
    if found.end is not None:
        key, rank, shard = found.end
        end = Last(keys.id_from_pk(key.pk), rank, shard)
    return Look(found.entries, found.looked_at, end)


def projections_of(ctx: RequestContext, actor: Actor, index: str, listed: Sequence[Entry]) -> list[Customer | None]:
    """Return the projection of each entry, a customer without its fields. None for one that is malformed or gone.

    For an index that projects keys only, the customers are read, a hundred in a request.
    """
    if index in LISTING:
        return [projection_or_none(actor.tenant, actor.pool, entry.item) for entry in listed]
    ids = [position(entry).id for entry in listed]
    known = read_projections(ctx, actor, ids)
    return [known[each] for each in ids]


def read_projections(ctx: RequestContext, actor: Actor, ids: Sequence[str]) -> dict[str, Customer | None]:
    """Read customers without their fields, a moment late at most. None for one that is malformed or gone."""
    found = ctx.backend.table.get([actor.customer_key(each) for each in ids], consistent=False)
    stored = {each: found.get(actor.customer_key(each)) for each in ids}
    return {
        each: None if item is None else projection_or_none(actor.tenant, actor.pool, item)
        for each, item in stored.items()
    }


def read_whole(ctx: RequestContext, actor: Actor, ids: Sequence[str]) -> dict[str, Customer]:
    """Read customers with their fields, a moment late at most. Malformed ones are left out."""
    if not ids:
        return {}
    cache = ctx.backend.customer_cache
    read = cache.read(ctx.backend.table, actor, ids, malformed=set(), consistent=False)
    return {name: customer for name, customer in read.items() if customer is not None}


def likely(missing: int, looked_at: int, found: int) -> int:
    """Return how many customers probably have the missing ones, by the share that has fitted so far, with room for bad
    luck."""
    return ceil((missing + 1.5 * sqrt(missing) + 1) * looked_at / max(found, 0.5))


def projection_or_none(tenant: str, pool: str, stored: Item) -> Customer | None:
    """Return the projection of an item. None for an erased customer, and for a malformed one, which is logged."""
    if items.is_tombstone(stored):
        return None
    try:
        return projected_record(tenant, pool, stored)
    except items.MALFORMED as error:
        log_malformed(keys.id_from_pk(stored["pk"]["S"]), error)
        return None


def list_of(pool: Pool, wanted: Filter) -> tuple[str, list[str], Condition | None]:
    """Return the index, the partitions and the key condition that best select the wanted customers."""
    if wanted.name is not None:
        prefix = begins_with(NAMES, truncate_name(wanted.name)) if wanted.name else None
        return NAMES, [keys.names_in(pool.tenant, pool.id)], prefix
    if wanted.holder is not None:
        return PLACE, [keys.place_of_holder(pool.tenant, pool.id, wanted.holder)], _part_of_holder(wanted)
    if wanted.state is None:
        return ENTERED, [keys.customer_roster(pool.tenant, pool.id)], None
    lists: dict[Listed, tuple[str, list[str]]] = {
        "available": (PLACE, sharded_query.partitions_of(keys.place_available, pool)),
        "set_aside": (PLACE, [keys.place_set_aside(pool.tenant, pool.id)]),
        "suppressed": (PLACE, [keys.place_suppressed(pool.tenant, pool.id)]),
        "claimed": (DUE, sharded_query.partitions_of(keys.due_in, pool)),
        "private": (DUE, [keys.private_in(pool.tenant, pool.id)]),
        "win_requested": (REQUEST, [keys.requests_in(pool.tenant, pool.id)]),
    }
    return *lists[wanted.state], None


def _part_of_holder(wanted: Filter) -> Condition | None:
    """Return the key condition for the part of a holder's list that the filter selects: claims, private customers."""
    if wanted.state in ("claimed", "win_requested"):
        return between(PLACE, high=keys.NO_DEADLINE)
    low = keys.FIRST_PRIVATE_RANK if wanted.state == "private" else None
    high = None if wanted.expired_by is None else keys.FIRST_PRIVATE_RANK + wanted.expired_by
    return None if low is None and high is None else between(PLACE, low, high)
