"""Import, edit, read, list and search customers, and read their history.

Nothing here changes the holder of a customer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import content_transitions, import_transitions, masking, rendering
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.items import EVENTS_PER_PAGE, Item
from chalicelib.dynamodb.keys import DUE, ENTERED, NAMES, PLACE, REQUEST, Key
from chalicelib.dynamodb.table import Throttled, begins_with, between
from chalicelib.model import responses
from chalicelib.model.contact_keys import contacts_in, key_of
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Customer, Event, Pool, State
from chalicelib.model.normalization import Kind, fold_name, truncate_name
from chalicelib.model.responses import CustomerPage, CustomersOrNull, EventPage
from chalicelib.model.validation import FieldError
from chalicelib.observability import exception_summary
from chalicelib.services.pagination import Cursor
from chalicelib.services.pools import only_members, require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.customer_cache import MAX_READS, MalformedRecord, ReadSkew, keys_of, log_malformed
from chalicelib.transactions.idempotency import Result
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.unit_of_work import Outcome

log = logging.getLogger("customer-pool")
_NOBODY: Final = ""  # an id that no customer has
_OWN: Final = 100
CUSTOMERS_PER_READ: Final = 49  # with the one after them, fifty customers and their fields: one request
ROUNDS: Final = 10  # reads of names per request


def import_rows(
    ctx: RequestContext, pool_id: str, rows: Sequence[Row | Result], on_duplicate: OnDuplicate, log: ImportLog
) -> Outcome:
    """Add or update one customer per row, never its holder or state. A row that is a Result has already failed.

    The role is read first: otherwise the number of requests would disclose which customers exist.
    """
    pool = ctx.pool(pool_id)
    if not ctx.idempotency.answers:
        require_manager(ctx, pool)
    actor = ctx.actor(pool)
    by_id = {row.id: row for row in reversed(rows) if isinstance(row, Row)}
    planner = partial(
        import_transitions.import_row, actor, rows=by_id, on_duplicate=on_duplicate, new_id=ctx.backend.new_id
    )
    failed = {index: row for index, row in enumerate(rows) if isinstance(row, Result)}
    return ctx.taking_uow(actor, planner, managed=True, log=log).execute([row.id for row in rows], failed=failed)


def edit(
    ctx: RequestContext,
    pool_id: str,
    ids: Sequence[str],
    name: str | None,
    fields: dict[str, Any],
    priority: int | None,
    *,
    atomic: bool = False,
) -> Outcome:
    actor = ctx.actor(ctx.pool(pool_id))
    named = partial(ctx.backend.territories.named, keys.territories_key(actor.tenant, actor.pool))
    planner = partial(content_transitions.edit, actor, name=name, fields=fields, priority=priority, named=named)
    return ctx.uow(actor, planner, managed=True, atomic=atomic).execute(ids)


# Reading


def get(ctx: RequestContext, pool_id: str, customer_id: str) -> responses.Customer:
    pool = ctx.pool(pool_id)
    customer, manager = _read(ctx, pool, customer_id)
    return ctx.shown(pool, customer, manager)


def _read(ctx: RequestContext, pool: Pool, customer_id: str) -> tuple[Customer, bool]:
    """Return the stored customer, and whether the caller is a manager. Raises Refused."""
    actor = ctx.actor(pool)
    wanted = [customer_id] if IDENTIFIER.fullmatch(customer_id) else []
    for _ in range(MAX_READS):
        found = ctx.backend.table.get([actor.member_key, *keys_of(actor, wanted)])
        only_members(ctx, pool, found)
        try:
            customer = ctx.backend.customer_cache.from_items(actor, customer_id, found) if wanted else None
        except ReadSkew:
            continue
        manager = ctx.manages(pool, found)
        if customer is None or (actor.hides(customer) and not manager):
            raise Refused(Refusal("not_found"))
        return customer, manager
    raise Throttled


def get_many(ctx: RequestContext, pool_id: str, ids: Sequence[str]) -> CustomersOrNull:
    """Return the customer of each id, in that order; None for one that the caller cannot read, whatever the reason.

    Three reads of up to a hundred items each at most: the role, the customers and their fields. Their number depends on
    the ids alone, so that it discloses nothing.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    found = ctx.backend.table.get([actor.member_key])
    only_members(ctx, pool, found)
    manager = ctx.manages(pool, found)
    wanted = [each for each in dict.fromkeys(ids) if IDENTIFIER.fullmatch(each)]
    known = ctx.backend.customer_cache.read(ctx.backend.table, actor, wanted, malformed=set())
    shown = {
        customer_id: ctx.shown(pool, customer, manager)
        for customer_id, customer in known.items()
        if customer is not None and (manager or not actor.hides(customer))
    }
    return CustomersOrNull([shown.get(each) for each in ids], None)


Listed: TypeAlias = State | Literal["set_aside", "win_requested", "suppressed"]


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


def for_caller(ctx: RequestContext, pool: Pool, wanted: Filter) -> Filter:
    """Return the filter without what only managers list: requests for a win, and private customers, of others.

    Reads the role only where it matters. Raises Refused for requests of a holder who is not the caller (rule 29).
    """
    of_another = wanted.holder not in (None, ctx.caller.user)
    hides_private = not ctx.caller.admin and pool.policy.private_visible_to != "pool"
    may_be_private = wanted.state == "private" or (wanted.state is None and of_another)
    if wanted.state != "win_requested" and not (hides_private and may_be_private):
        return wanted
    found = ctx.backend.table.get([ctx.actor(pool).member_key])
    only_members(ctx, pool, found)
    if ctx.manages(pool, found):
        return wanted
    if wanted.state == "win_requested" and of_another:
        raise Refused(Refusal("not_manager"))
    return replace(wanted, expired_by=ctx.now) if of_another else replace(wanted, holder=ctx.caller.user)


def list_customers(ctx: RequestContext, pool_id: str, wanted: Filter, limit: int, cursor: str | None) -> CustomerPage:
    """Return a page of customers in two reads, one of an index and one of the customers, at any size of the pool.

    With a name, the page is taken from the index of names, and customers of other states or holders are left out of it.
    Where customers are hidden from the caller, more is read, until the page is full.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    wanted = for_caller(ctx, pool, wanted)
    index, partitions, part = list_of(pool, wanted)
    place = Cursor(actor.secret, partitions[0], str(wanted.state), str(wanted.holder), str(wanted.name))
    last = last_position(place, cursor, index, wanted)
    # Elsewhere private customers have no deadline, so the index has them last.
    merged = index == PLACE and wanted.state is None and pool.policy.private_ttl is not None
    if wanted.state in HELD_BY_NOBODY and wanted.holder is not None:
        only_members(ctx, pool)
        return CustomerPage([], None)
    if wanted.name is not None and not _sees_all_names(ctx, pool):
        return _found_by_name(ctx, pool, wanted, limit, last, place)
    by_index = partial(positions, ctx, actor, index, partitions, part)
    read = partial(_by_deadline, ctx, actor, wanted) if merged else by_index
    listed: list[Last] = []
    shown: dict[str, responses.Customer] = {}
    for _ in range(ROUNDS):
        room = limit - len(shown)
        listed = read(last, room)
        ids = [each.id for each in listed[:room]]
        found = ctx.backend.table.get([actor.member_key, *keys_of(actor, ids)])
        only_members(ctx, pool, found)
        manager = ctx.manages(pool, found)
        fitting = [each for each in _among(ctx, actor, ids, found) if wanted.fits(each, actor.clock(each))]
        seen = {each.id: ctx.shown(pool, each, manager) for each in fitting if manager or not actor.hides(each)}
        shown |= seen
        more = len(listed) > room
        # A short page would reveal how many customers are hidden from the caller.
        if not more or len(seen) == len(fitting) or len(shown) == limit:
            break
        last = listed[room - 1]
    end = listed[room - 1] if more else None
    return CustomerPage(list(shown.values()), None if end is None else place.write(end, hidden=end.id not in shown))


def _by_deadline(ctx: RequestContext, actor: Actor, wanted: Filter, last: Last | None, limit: int) -> list[Last]:
    """Return the positions of a holder's page, claims and private customers together, and one more if there are more.

    Each kind has a part of the holder's list, sorted by deadline. At equal deadlines, claims come first.
    """
    partition = keys.place_of_holder(actor.tenant, actor.pool, wanted.holder or "")
    highest = keys.NO_DEADLINE if wanted.expired_by is None else wanted.expired_by
    found: list[Last] = []
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
            page = ctx.backend.table.query(partition, index=PLACE, after=after, between=part, limit=limit + 1)
            found += [Last(keys.id_from_pk(item["pk"]["S"]), items.sort_value(item["rank"]), 0) for item in page.items]
    return sorted(found, key=_deadline_of)[: limit + 1]


def _deadline_of(at: Last) -> tuple[int, bool]:
    deadline, of_claim = _deadline(at.rank if isinstance(at.rank, int) else keys.NO_DEADLINE)
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
    ctx: RequestContext, pool: Pool, wanted: Filter, limit: int, last: Last | None, place: Cursor
) -> CustomerPage:
    """Return the page for a member who does not see every customer with its full name. The others are skipped.

    A cursor never points at a skipped customer. If very many follow one another, the list ends before them.
    """
    actor, (index, partitions, part) = ctx.actor(pool), list_of(pool, wanted)
    seen: list[tuple[Last, Customer]] = []
    standing: Last | None = None
    for _ in range(ROUNDS):
        listed = positions(ctx, actor, index, partitions, part, last, CUSTOMERS_PER_READ)
        # Always one read at least: the number of requests must not disclose whether a name begins like this.
        ids = [each.id for each in listed] or [_NOBODY]
        known = ctx.backend.customer_cache.read(ctx.backend.table, actor, ids, malformed=set())
        for at in listed:
            customer = known.get(at.id)
            if customer is None or actor.hides(customer):
                continue
            if in_full(actor, customer, "name", customer.name):
                standing = at
                seen += [(at, customer)] if wanted.fits(customer, actor.clock(customer)) else []
        more = len(listed) > CUSTOMERS_PER_READ
        if len(seen) > limit or not more:
            break
        last = listed[-1]
    end = seen[limit - 1][0] if len(seen) > limit else standing if more else None
    return CustomerPage(
        [ctx.shown(pool, each, manager=False) for _, each in seen[:limit]],
        None if end is None else place.write(end),
    )


def _shows(actor: Actor, customer: Customer, kind: Kind) -> bool:
    """Return whether an actor who is not a manager sees the customer, and all its contacts of the kind in full."""
    names = [name for name, each in actor.home.definitions.kinds.items() if each == kind]
    shown = [in_full(actor, customer, name, customer.fields.get(name)) for name in names]
    return not actor.hides(customer) and all(shown)


def in_full(actor: Actor, customer: Customer, field: str, value: Any) -> bool:
    """Return whether an actor who is not a manager sees this value of the customer unmasked."""
    mask = masking.of(actor.home)
    theirs = customer.belongs_to(actor.user, actor.clock(customer))
    return mask is None or theirs or mask.field(field, value) == value


class Last(Struct, frozen=True, array_like=True):
    """The last customer of a page, with its sort value and its shard of the list."""

    id: str
    rank: int | str
    shard: Annotated[int, Meta(ge=0, lt=32)]


def last_position(place: Cursor, cursor: str | None, index: str, wanted: Filter) -> Last | None:
    """Return where the list continues. Raises Refused for an impossible position, on which DynamoDB fails."""
    last = place.read(cursor, Last)
    if last is None:
        return None
    rank = last.rank
    if index == NAMES:
        ranked = (
            isinstance(rank, str) and rank == truncate_name(rank) and rank.startswith(truncate_name(wanted.name or ""))
        )
    else:
        ranked = isinstance(rank, int) and abs(rank) < 10**18
    if not ranked or IDENTIFIER.fullmatch(last.id) is None:
        raise Refused(Refusal("invalid_cursor"))
    return last


def positions(
    ctx: RequestContext,
    actor: Actor,
    index: str,
    partitions: list[str],
    part: Condition | None,
    last: Last | None,
    limit: int,
) -> list[Last]:
    """Return the positions of a page, and one more if there are more, with one query per partition of the list."""
    key = None if last is None else actor.customer_key(last.id)
    if len(partitions) > 1:
        after = None
        if last is not None and key is not None and isinstance(last.rank, int):
            after = key, last.rank, min(last.shard, len(partitions) - 1)
        found = sharded_query.page(ctx.backend.table, partitions, index, limit + 1, after, ctx.backend.run_jobs)
        return [Last(keys.id_from_pk(each.item["pk"]["S"]), each.rank, each.shard) for each in found]
    start = items.index_position(index, partitions[0], key, None if last is None else last.rank)
    got = ctx.backend.table.query(partitions[0], index=index, after=start, between=part, limit=limit + 1)
    ranked = keys.INDEX_RANGE[index]
    return [Last(keys.id_from_pk(item["pk"]["S"]), items.sort_value(item[ranked]), 0) for item in got.items]


def find(
    ctx: RequestContext,
    pool_id: str,
    kind: Kind,
    text: str,
    wanted: Filter,
    fits: Callable[[Customer], bool] = lambda customer: True,
) -> CustomerPage:
    """Return a list with the customer that has this phone number or e-mail address and `fits`, in two reads.

    If the policy masks the value, a member finds only customers they hold. Whether a customer that they do not see has
    the value changes neither the answer nor the reads before it; otherwise a few attempts would complete a masked
    number.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    wanted = for_caller(ctx, pool, wanted)
    contact = _contact(kind, text, pool)
    contact_key = key_of(kind, contact, actor.secret)
    unique_key = keys.unique_key(actor.tenant, actor.pool, contact_key)
    found = ctx.backend.table.get([actor.member_key, unique_key])
    only_members(ctx, pool, found)
    manager = ctx.manages(pool, found)
    secret = not manager and masking.hides(pool, kind, contact)
    named = _owner(found.get(unique_key)) or ([] if manager else [_NOBODY])
    matches = [each for each in _with_contact(ctx, actor, named, contact_key, wanted) if fits(each)]
    if secret:
        own = _with_contact(ctx, actor, _own(ctx, actor), contact_key, wanted) if not _theirs(actor, matches) else []
        matches = _theirs(actor, matches) or [each for each in _theirs(actor, own) if fits(each)]
        if not matches:
            raise Refused(Refusal("not_manager"))
    elif not manager:
        matches = [each for each in matches if _shows(actor, each, kind)]
    return CustomerPage([ctx.shown(pool, each, manager) for each in matches], None)


def _contact(kind: Kind, text: str, pool: Pool) -> str:
    """Return the normalized contact to search for. Raises Refused."""
    contacts = contacts_in(kind, text, pool.policy.region)
    if not contacts:
        raise Refused(Refusal("invalid_request", errors=(FieldError(kind, kind),)))
    return contacts[0]


def _owner(unique_key: Item | None) -> list[str]:
    """Return the customer in a unique-key item, if there is one. A malformed item is logged and left out."""
    try:
        return [] if unique_key is None else [items.unique_key_owner(unique_key)]
    except items.MALFORMED as error:
        log.error("malformed unique key: %s", exception_summary(error))
        return []


def _with_contact(
    ctx: RequestContext, actor: Actor, ids: Sequence[str], contact_key: str, wanted: Filter
) -> list[Customer]:
    """Return the customers with this contact now that pass the filter."""
    read = ctx.backend.customer_cache.read(ctx.backend.table, actor, ids, malformed=set()).values()
    having = [each for each in read if each and contact_key in each.contact_keys]
    return [each for each in having if wanted.fits(each, actor.clock(each))]


def _theirs(actor: Actor, customers: Sequence[Customer]) -> list[Customer]:
    return [each for each in customers if each.belongs_to(actor.user, actor.clock(each))]


def _own(ctx: RequestContext, actor: Actor) -> list[str]:
    """Return the caller's first _OWN customers: another customer may have taken the unique key since."""
    partition = keys.place_of_holder(actor.tenant, actor.pool, actor.user)
    return [keys.id_from_pk(key.pk) for key in ctx.backend.table.query(partition, index=PLACE, limit=_OWN).keys]


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


def _among(ctx: RequestContext, actor: Actor, ids: Sequence[str], found: dict[Key, Item]) -> list[Customer]:
    """Return the customers among the items found, without malformed ones. One that changed meanwhile is read again."""
    customers: dict[str, Customer | None] = {}
    for customer_id in ids:
        try:
            customers[customer_id] = ctx.backend.customer_cache.from_items(actor, customer_id, found)
        except ReadSkew:
            customers |= ctx.backend.customer_cache.read(ctx.backend.table, actor, [customer_id], malformed=set())
        except MalformedRecord as error:
            log_malformed(customer_id, error)
    return [customer for customer in customers.values() if customer is not None]


def history(ctx: RequestContext, pool_id: str, customer_id: str, limit: int, cursor: str | None) -> EventPage:
    """Return the customer's events, oldest first: older ones from event pages, recent ones from the customer item."""
    pool = ctx.pool(pool_id)
    customer, manager = _read(ctx, pool, customer_id)
    theirs = customer.belongs_to(ctx.caller.user, ctx.actor(pool).clock(customer))
    reads_all = manager or theirs or pool.policy.notes_readers == "pool"
    place = Cursor(ctx.backend.secret, keys.customer_key(customer.tenant, customer.pool, customer.id).pk, "history")
    start = (place.read(cursor, Annotated[int, Meta(ge=1, le=10**9)]) or 0) + 1  # type: ignore[arg-type]
    events = [event for event in _events_from(ctx, customer, start, limit) if event.seq >= start][:limit]
    more = bool(events) and events[-1].seq < customer.version
    return EventPage(
        [rendering.event(event, ctx.caller.user, reads_all) for event in events],
        place.write(events[-1].seq) if more else None,
    )


def _events_from(ctx: RequestContext, customer: Customer, start: int, limit: int) -> list[Event]:
    if customer.tail and start >= customer.tail[0].seq:
        return list(customer.tail)

    # A page is named by its first event, so the one that holds `start` may be named up to a page earlier.
    span = (max(start - EVENTS_PER_PAGE, 0), start + limit)
    homes = {pool for pool, ended in customer.homes.items() if ended > start} | {customer.pool}
    paged = [event for pool in homes for event in _paged(ctx, customer, pool, *span)]
    paged.sort(key=lambda event: event.seq)
    # Events may have moved to a page after the customer was read.
    return paged + [event for event in customer.tail if not paged or event.seq > paged[-1].seq]


def _paged(ctx: RequestContext, customer: Customer, pool: str, first: int, last: int) -> list[Event]:
    """Return the events in the event pages of `pool` from version `first` to `last`."""
    low, high = (keys.event_page_key(customer, pool, seq) for seq in (first, last))
    stored = ctx.backend.table.query(low.pk, between=between(None, low.sk, high.sk))
    return [event for item in stored.items for event in items.event_page_record(item)]
