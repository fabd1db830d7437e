"""List customers by content: by filters on fields, by any part of a name, or in another order.

A request looks at a bounded share of a list. A page that found less than its limit by then is short, and its cursor
continues after the last customer looked at. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import UNSET, Struct
from msgspec.structs import replace
from pynamodb.expressions.condition import Condition

from chalicelib.domain import masking, search_entries
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import cards, keys
from chalicelib.dynamodb.conditions import evaluate
from chalicelib.dynamodb.keys import LISTING, NAMES, PLACE
from chalicelib.dynamodb.sharded_query import Entry
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.field_filters import FieldFilter, InvalidFilter, TextSearch, parse, searchable
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import Kind, fold_name, truncate_name
from chalicelib.model.responses import CustomerPage
from chalicelib.model.validation import FieldError
from chalicelib.services import customer_lists, customers, row_search
from chalicelib.services.customer_lists import (
    CUSTOMERS_PER_READ,
    HELD_BY_NOBODY,
    MAX_READS_PER_PAGE,
    NOBODY,
    PROJECTIONS_PER_READ,
    Filter,
    Last,
    last_position,
    position,
)
from chalicelib.services.pagination import CursorCodec
from chalicelib.services.pools import only_members, require_manager, require_ready
from chalicelib.transactions.context import RequestContext

MAX_SORTED: Final = 1_000
# The projections that the queries of a request with a filter look at, at most: five megabytes together. DynamoDB ends
# each query at one, and none is larger than a kilobyte.
LOOKS: Final = (80, 480, 2_000, 3_500, 3_500, 3_500)

# The orders of each list, the default first. Those of a holder's customers are computed here, the others by an index.
_OF_HOLDER: Final = ("expires_at", "name", "last_follow_up_at", "-entered_pool_at")
_ORDERS: Final[dict[str | None, tuple[str, ...]]] = {
    "available": ("rank", "name"),
    "claimed": ("expires_at", "name"),
    "private": ("expires_at", "name"),
    "set_aside": ("set_aside_at",),
    "suppressed": ("suppressed_at",),
    "win_requested": ("win_requested_at",),
    None: ("-entered_pool_at", "name"),
}
_VALUES: Final[dict[str, Callable[[Customer], int | str]]] = {
    "expires_at": lambda each: keys.NO_DEADLINE if each.expires_at is None else each.expires_at,
    "name": lambda each: truncate_name(fold_name(each.name)),
    "last_follow_up_at": lambda each: each.last_follow_up_at or 0,
    "-entered_pool_at": lambda each: -each.entered_at,
    "win_requested_at": lambda each: each.win_requested_at or 0,
}


class Wish(Struct, frozen=True):
    """The parameters of a list beyond state, holder and prefix of the name, as the client wrote them."""

    filters: tuple[str, ...] = ()
    text: str | None = None
    order: str | None = None


class _Search(Struct, frozen=True):
    """A checked wish, for one caller."""

    actor: Actor
    manager: bool
    wanted: Filter
    filters: tuple[FieldFilter, ...]
    text: TextSearch | None
    order: str
    where: Condition | None  # that a card fits all filters

    def fits(self, customer: Customer) -> bool:
        """Return whether the caller may find the customer, which has its fields if a text is searched."""
        return self.selects(customer) and (self.text is None or self._contains_text(self.text, customer))

    def projection_fits(self, customer: Customer) -> bool | None:
        """Return whether the caller may find the customer of a projection. None if only its fields show that."""
        if not self.selects(customer):
            return False
        return self.text is None or self._shows_text(self.text, customer)

    def selects(self, customer: Customer) -> bool:
        """Return whether the caller may find the customer, whatever text is searched."""
        actor = self.actor
        if not self.manager and actor.hides(customer):
            return False
        return self.wanted.fits(customer, actor.clock(customer)) and self._is_selected(customer)

    def _is_selected(self, customer: Customer) -> bool:
        """Return whether the card fits all filters, by values that the caller sees in full."""
        if self.where is None:
            return True
        if not evaluate(self.where, {"card": {"M": customer.card}}):
            return False
        definitions = self.actor.home.definitions
        shown = cards.shown(customer.card, definitions)
        return self.manager or all(
            self._sees(customer, key, shown.get(key))
            and (cards.in_full(customer.card, key, definitions) or self._sees_everything(customer))
            for key in (each.field.key for each in self.filters)
        )

    def _sees_everything(self, customer: Customer) -> bool:
        return masking.of(self.actor.home) is None or self._owns(customer)

    def is_named(self, customer: Customer) -> bool:
        """Return whether the place of the customer in the order of names reveals nothing to the caller."""
        return self._sees(customer, "name", customer.name)

    def _contains_text(self, text: TextSearch, customer: Customer) -> bool:
        def sees(key: str, value: Any) -> bool:
            return self._sees(customer, key, value)

        return text.fits(customer.name, customer.fields, self.actor.home.definitions, sees)

    def _shows_text(self, text: TextSearch, customer: Customer) -> bool | None:
        """Return whether the name or the card has the text; None if only a value that the card lacks may have it."""
        if text.is_in_name(customer.name) and self.is_named(customer):
            return True
        definitions = self.actor.home.definitions
        fields = [each for each in definitions.by_key.values() if each.search and not self._masks(customer, each.key)]
        written = {each.key: cards.whole_text(customer.card, each, definitions) for each in fields}
        for each in fields:
            value = written[each.key]
            if value is not None and text.is_in(each, value) and self._sees(customer, each.key, value):
                return True
        shown = cards.shown(customer.card, definitions)
        unsure = any(
            written[each.key] is None and self._sees(customer, each.key, shown.get(each.key)) for each in fields
        )
        return None if unsure else False

    def _masks(self, customer: Customer, key: str) -> bool:
        """Return whether every value of the field is masked for the caller."""
        mask = masking.of(self.actor.home)
        return mask is not None and fold_name(key) in mask.fields and not (self.manager or self._owns(customer))

    def _owns(self, customer: Customer) -> bool:
        return customer.belongs_to(self.actor.user, self.actor.clock(customer))

    def _sees(self, customer: Customer, key: str, value: Any) -> bool:
        return self.manager or customer_lists.in_full(self.actor, customer, key, value)


def list_customers(
    ctx: RequestContext, pool_id: str, wanted: Filter, wish: Wish, limit: int, cursor: str | None
) -> CustomerPage:
    """Return a page of the customers that fit. Without a wish, or in the default order, it is read from an index."""
    by_index = Wish(order=_orders(wanted, wish)[0])
    if wanted.state == "win_requested":
        by_index = Wish()  # the requests of one holder are read from their claims, which are by deadline
    if wish in (Wish(), by_index):
        return customer_lists.list_customers(ctx, pool_id, wanted, limit, cursor)
    search = _checked(ctx, ctx.pool(pool_id), wanted, wish)
    codec = CursorCodec(
        ctx.backend.secret, keys.customer_roster(ctx.caller.tenant, pool_id), *map(str, (wanted, wish, search.order))
    )
    if search.wanted.state in HELD_BY_NOBODY and search.wanted.holder is not None:
        return CustomerPage([], None)
    if search.wanted.holder is not None:
        return _sorted(ctx, search, codec, limit, cursor)
    text = search.text
    if text is not None and search.wanted.name is None and row_search.serves(ctx, search.actor.home, text.text):
        return _by_rows(ctx, search, text.text, codec, limit, cursor)
    return _scanned(ctx, search, codec, limit, cursor)


def find(ctx: RequestContext, pool_id: str, kind: Kind, text: str, wanted: Filter, wish: Wish) -> CustomerPage:
    """Return a list with the customer that has this phone number or e-mail address, if it fits the wish."""
    if wish == Wish():
        return customers.find(ctx, pool_id, kind, text, wanted)
    search = _checked(ctx, ctx.pool(pool_id), wanted, wish)
    return customers.find(ctx, pool_id, kind, text, wanted, search.fits)


# The check of a wish


def _checked(ctx: RequestContext, pool: Pool, wanted: Filter, wish: Wish) -> _Search:
    """Return the search. Raises Refused for a filter or an order that the list does not have, or not for the caller."""
    actor = ctx.actor(pool)
    found = ctx.backend.table.get([actor.member_key])
    only_members(ctx, pool, found)
    order = _order(wanted, wish)
    filters = _filters(pool, wish.filters)
    mask = masking.of(pool)
    compared = [*(each.field.key for each in filters), *(["name"] if wish.order == "name" or wanted.name else [])]
    if mask is not None and any(fold_name(key) in mask.fields for key in compared):
        require_manager(ctx, pool, found)  # otherwise a few requests would find out a masked value (rule 24)
    searched = () if wish.text is None else (key for key, each in pool.definitions.by_key.items() if each.search)
    require_ready(pool, (*(each.field.key for each in filters), *searched))
    text = None if wish.text is None else TextSearch(searchable(wish.text))
    listed, manager = customer_lists.for_caller(ctx, pool, wanted, found)
    return _Search(actor, bool(manager), listed, filters, text, order, cards.matching(filters, pool.definitions))


def _orders(wanted: Filter, wish: Wish) -> tuple[str, ...]:
    """Return the orders of the list, the default first."""
    if wish.text is not None or wanted.name is not None:
        return ("name",)
    return _OF_HOLDER if wanted.holder is not None else _ORDERS[wanted.state]


def _order(wanted: Filter, wish: Wish) -> str:
    orders = _orders(wanted, wish)
    if wish.order is not None and wish.order not in orders:
        raise Refused(Refusal("invalid_request", errors=(FieldError("no_order", "sort", (", ".join(orders),)),)))
    return wish.order or orders[0]


def _filters(pool: Pool, texts: Sequence[str]) -> tuple[FieldFilter, ...]:
    try:
        return tuple(parse(text, pool.definitions) for text in texts)
    except InvalidFilter as invalid:
        raise Refused(Refusal("invalid_request", errors=(invalid.error,))) from invalid


# A holder's customers, sorted here


class _Place(Struct, frozen=True, array_like=True, order=True):
    """The place of a customer in a sorted list."""

    value: int | str
    id: str


def _sorted(ctx: RequestContext, search: _Search, codec: CursorCodec, limit: int, cursor: str | None) -> CustomerPage:
    """Return a page of a holder's customers: of the first MAX_SORTED by deadline."""
    last = codec.read(cursor, _Place)
    if last is not None and isinstance(last.value, str) != (search.order == "name"):
        raise Refused(Refusal("invalid_cursor"))
    pool = search.actor.home
    _, (partition,), part = customer_lists.list_of(pool, replace(search.wanted, name=None))
    look = customer_lists.look(ctx, search.actor, PLACE, [partition], part, None, search.where, MAX_SORTED)
    value = _VALUES[search.order]
    fitting = _fitting(ctx, search, PLACE, look.entries)
    found = {_Place(value(each), each.id): each for each in fitting if each is not None}
    after = [at for at in sorted(found) if last is None or at > last]
    page = after[:limit]
    return CustomerPage(
        [ctx.list_item(pool, found[at], search.manager) for at in page],
        codec.write(page[-1], hidden=True) if len(after) > limit else None,
    )


# A text in a large pool


def _by_rows(
    ctx: RequestContext, search: _Search, text: str, codec: CursorCodec, limit: int, cursor: str | None
) -> CustomerPage:
    """Return a page of the customers with a text, through the search rows. Its cursors name no customer in clear."""
    last = codec.read(cursor, row_search.Last)
    if last is not None and not last.is_possible(text):
        raise Refused(Refusal("invalid_cursor"))
    sees_all = search.manager or not search_entries.restricts(search.actor.home)
    narrowed = bool(search.filters) or search.wanted.state is not None
    found = row_search.find(ctx, search.actor, row_search.Search(text, search, sees_all, narrowed), limit, last)
    shown = [ctx.list_item(search.actor.home, each, search.manager) for each in found.customers]
    if found.last is None:
        return CustomerPage(shown, None)
    short = UNSET if len(shown) == limit else found.looked_at
    return CustomerPage(shown, codec.write(found.last, hidden=True), looked_at=short)


# Other lists, in the order of an index


class _Walk(Struct):
    """One request's way down a list: what it has found, and how many entries it looked at.

    It continues after `last`, which is None at the end of the list. Customers of `narrow` lists are read in large
    batches, since many of them may not fit; of others only as many as are missing.
    """

    search: _Search
    index: str
    limit: int
    last: Last | None
    found: list[tuple[Last, Customer]] = []
    looked_at: int = 0
    looks: int = 0
    reads: int = 0

    @property
    def missing(self) -> int:
        return self.limit - len(self.found)

    def size(self) -> int:
        """Return how many entries to look at next; 0 if the request has looked at its share."""
        if self.search.where is None:
            return self._per_read() if self.looks < MAX_READS_PER_PAGE else 0
        return filtered_size(self.looks, self.looked_at, len(self.found), self.missing)

    def batches(self, entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
        while entries and self.missing > 0 and self.reads < MAX_READS_PER_PAGE:
            size = self._per_read() if self._is_narrow() else self.missing
            if self.index in LISTING and self.search.text is None:
                size = len(entries)
            yield entries[:size]
            entries = entries[size:]

    def _is_narrow(self) -> bool:
        return self.search.text is not None or (self.index == NAMES and self.search.wanted.state is not None)

    def _per_read(self) -> int:
        return PROJECTIONS_PER_READ if self.search.text is None else CUSTOMERS_PER_READ

    def take(self, batch: Sequence[Entry], fitting: Sequence[Customer | None]) -> None:
        self.reads += 1
        self.found += [(position(entry), each) for entry, each in zip(batch, fitting, strict=True) if each is not None]


def filtered_size(looks: int, looked_at: int, found: int, missing: int) -> int:
    """Return how many projections a request looks at next for a page of a filter; 0 after five megabytes."""
    if looks >= len(LOOKS):
        return 0
    if looks == 0:
        return max(LOOKS[0], missing)
    return min(LOOKS[looks], max(LOOKS[0], customer_lists.likely(missing, looked_at, found)))


def _scanned(ctx: RequestContext, search: _Search, codec: CursorCodec, limit: int, cursor: str | None) -> CustomerPage:
    """Return a page of a list in the order of its index, after looking at a bounded share of it."""
    actor, prefix = search.actor, search.wanted.name or ""
    listed = replace(search.wanted, name=prefix if search.order == "name" else None)
    index, partitions, part = customer_lists.list_of(actor.home, listed)
    walk = _Walk(search, index, limit, last_position(codec, cursor, index, search.wanted))
    while size := walk.size():
        look = customer_lists.look(ctx, actor, index, partitions, part, walk.last, search.where, size)
        walk.looks, walk.looked_at = walk.looks + 1, walk.looked_at + look.looked_at
        left = len(look.entries)
        for batch in walk.batches(look.entries):
            walk.take(batch, _fitting(ctx, search, index, batch))
            walk.last, left = position(batch[-1]), left - len(batch)
        walk.last = walk.last if left else look.end
        if walk.last is None or walk.missing <= 0 or walk.reads >= MAX_READS_PER_PAGE:
            break
    if walk.reads == 0 and not search.manager and (index not in LISTING or search.text is not None):
        # Always one read at least: the number of requests must not disclose whether a hidden value fits.
        customer_lists.read_projections(ctx, actor, [NOBODY])
    shown = [ctx.list_item(actor.home, each, search.manager) for _, each in walk.found[:limit]]
    if walk.missing < 0 or (walk.missing == 0 and walk.last is not None):
        return CustomerPage(shown, codec.write(walk.found[limit - 1][0], hidden=True))
    # Among names that the caller may not see, the number of those with a prefix must stay unknown.
    if walk.last is not None and (search.manager or not search.wanted.name):
        return CustomerPage(shown, codec.write(walk.last, hidden=True), looked_at=walk.looked_at)
    return CustomerPage(shown, None)


def _fitting(ctx: RequestContext, search: _Search, index: str, batch: Sequence[Entry]) -> list[Customer | None]:
    """Return the customer of each entry, None if it does not fit. Fields are read only where the projection is unsure.

    By name, only those fit whose place in that order reveals nothing.
    """
    projections = customer_lists.projections_of(ctx, search.actor, index, batch)
    verdicts = [False if each is None else search.projection_fits(each) for each in projections]
    asked = zip(projections, verdicts, strict=True)
    whole = customer_lists.read_whole(
        ctx, search.actor, [each.id for each, fits in asked if each is not None and fits is None]
    )
    found: list[Customer | None] = []
    for each, verdict in zip(projections, verdicts, strict=True):
        fits = verdict if each is None or verdict is not None else search.fits(whole.get(each.id) or each)
        named = search.order != "name" or each is None or search.is_named(each)
        found.append(each if fits and named else None)
    return found
