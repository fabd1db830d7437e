"""Import, edit and read customers, find one by a contact, and read their history.

Nothing here changes the holder of a customer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta

from chalicelib.domain import content_transitions, import_transitions, masking, rendering
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import EVENTS_PER_PAGE, Item
from chalicelib.dynamodb.keys import PLACE
from chalicelib.dynamodb.table import Throttled, between
from chalicelib.model import responses
from chalicelib.model.contact_keys import contacts_in, key_of
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer, Event, Pool
from chalicelib.model.normalization import Kind
from chalicelib.model.responses import CustomerPage, CustomersOrNull, EventPage
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.validation import FieldError
from chalicelib.observability import exception_summary
from chalicelib.services.customer_lists import NOBODY, Filter, for_caller, in_full, read_projections, with_role
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import only_members, require_manager
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.customer_cache import MAX_READS, ReadSkew, keys_of
from chalicelib.transactions.idempotency import Result
from chalicelib.transactions.import_log import ImportLog
from chalicelib.transactions.unit_of_work import Outcome

log = logging.getLogger("customer-pool")
_OWN: Final = 100


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
    shown = {name: ctx.shown(pool, customer, manager) for name, customer in _visible(actor, known, manager).items()}
    return CustomersOrNull([shown.get(each) for each in ids], None)


def list_items(ctx: RequestContext, pool_id: str, ids: Sequence[str]) -> CustomersOrNull:
    """Return the customers of `get_many` as lists show them: eventually consistent, without other fields.

    The role and the customers are read at once, half a read unit for a customer. The console polls its list this way.
    """
    pool = ctx.pool(pool_id)
    actor = ctx.actor(pool)
    wanted = [each for each in dict.fromkeys(ids) if IDENTIFIER.fullmatch(each)]
    known, manager = with_role(ctx, pool, partial(read_projections, ctx, actor, wanted), None)
    shown = {name: ctx.list_item(pool, customer, manager) for name, customer in _visible(actor, known, manager).items()}
    return CustomersOrNull([shown.get(each) for each in ids], None)


def _visible(actor: Actor, known: dict[str, Customer | None], manager: bool) -> dict[str, Customer]:
    """Return the customers that exist and that the caller may read."""
    return {
        customer_id: customer
        for customer_id, customer in known.items()
        if customer is not None and (manager or not actor.hides(customer))
    }


def _shows(actor: Actor, customer: Customer, kind: Kind) -> bool:
    """Return whether an actor who is not a manager sees the customer, and all its contacts of the kind in full."""
    names = [name for name, each in actor.home.definitions.kinds.items() if each == kind]
    shown = [in_full(actor, customer, name, customer.fields.get(name)) for name in names]
    return not actor.hides(customer) and all(shown)


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
    wanted = for_caller(ctx, pool, wanted).wanted
    contact = _contact(kind, text, pool)
    contact_key = key_of(kind, contact, actor.secret)
    unique_key = keys.unique_key(actor.tenant, actor.pool, contact_key)
    found = ctx.backend.table.get([actor.member_key, unique_key])
    only_members(ctx, pool, found)
    manager = ctx.manages(pool, found)
    secret = not manager and masking.hides(pool, kind, contact)
    named = _owner(found.get(unique_key)) or ([] if manager else [NOBODY])
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


def history(ctx: RequestContext, pool_id: str, customer_id: str, limit: int, cursor: str | None) -> EventPage:
    """Return the customer's events, oldest first: older ones from event pages, recent ones from the customer item."""
    pool = ctx.pool(pool_id)
    customer, manager = _read(ctx, pool, customer_id)
    theirs = customer.belongs_to(ctx.caller.user, ctx.actor(pool).clock(customer))
    reads_all = manager or theirs or pool.policy.notes_readers == "pool"
    codec = CursorCodec(
        ctx.backend.secret, keys.customer_key(customer.tenant, customer.pool, customer.id).pk, "history"
    )
    start = (codec.read(cursor, Annotated[int, Meta(ge=1, le=10**9)]) or 0) + 1  # type: ignore[arg-type]
    events = [event for event in _events_from(ctx, customer, start, limit) if event.seq >= start][:limit]
    more = bool(events) and events[-1].seq < customer.version
    return EventPage(
        [rendering.event(event, ctx.caller.user, reads_all) for event in events],
        codec.write(events[-1].seq) if more else None,
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
