"""Search a large pool through the search rows of its customers, in the order of their names.

A search reads the rows with the rarest part of the searched text, and checks the rest on the customers themselves. A
row whose part only the name has is decided by the name in the index, which costs nothing. Customers are read without
their fields, which are read only where neither name nor card decides.

A manager reads the rows for everybody and the restricted ones. Anybody else reads the rows for everybody, and their own
customers from the list of what they hold: so nothing in an answer depends on a value that they do not see, not even the
number of customers looked at. Nothing here writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Annotated, Final, NamedTuple, Protocol

from msgspec import Meta, Struct
from pynamodb.expressions.condition import Condition

from chalicelib.domain import search_entries
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import FIRST_PRIVATE_RANK, INDEX_RANGE, NAMES, PLACE
from chalicelib.dynamodb.table import Table, between
from chalicelib.model import bigrams
from chalicelib.model.field_filters import searchable
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.model.text import IDENTIFIER
from chalicelib.services import customer_lists, totals
from chalicelib.services.customer_lists import CUSTOMERS_PER_READ, MAX_READS_PER_PAGE, PROJECTIONS_PER_READ
from chalicelib.transactions.context import RequestContext

SMALL: Final = CUSTOMERS_PER_READ * MAX_READS_PER_PAGE  # customers that one request can look at without rows
FIRST_ROWS: Final = 40  # about four kilobytes
MORE_ROWS: Final = 400
MAX_PARTS: Final = 3  # whose rows are read to find the rarest
MAX_PARTS_OF_MEMBER: Final = 2  # who also reads their own customers
MAX_OWN: Final = 1_000
MAX_REQUESTS: Final = 5  # beside that for the member: then a page that is not narrowed may be short
_SURELY_WHOLE: Final = 116  # bytes of a folded name in an index that is not cut


class Source(IntEnum):
    """Where a row is from. Rows with equal names are in this order."""

    PUBLIC = 0
    RESTRICTED = 1
    OWN = 2


class Last(Struct, frozen=True, array_like=True):
    """The row at which a page ended, and the number of the part whose rows are read."""

    part: Annotated[int, Meta(ge=0)]
    name: str
    source: Source
    id: str
    in_fields: bool

    def is_possible(self, text: str) -> bool:
        """Return whether a search for the text may end there: DynamoDB fails on an impossible position."""
        named = self.name != "" and self.name == truncate_name(self.name)
        return named and self.part < len(bigrams.parts(text)) and IDENTIFIER.fullmatch(self.id) is not None


class Found(NamedTuple):
    """The customers of a page, where the list continues, and how many rows the request looked at."""

    customers: list[Customer]
    last: Last | None
    looked_at: int


class Fits(Protocol):
    """The check of a customer for the caller, by `services.customer_search`."""

    def fits(self, customer: Customer) -> bool: ...

    def projection_fits(self, customer: Customer) -> bool | None: ...

    def selects(self, customer: Customer) -> bool: ...

    def is_named(self, customer: Customer) -> bool: ...


class Search(Struct, frozen=True):
    """A search for a folded text. `check` decides about a customer for the caller.

    `sees_all`: the caller sees every value of every customer. `narrowed`: customers with the text may not fit.
    """

    text: str
    check: Fits
    sees_all: bool
    narrowed: bool


def serves(ctx: RequestContext, pool: Pool, text: str) -> bool:
    """Return whether the search for a folded text goes through rows."""
    if pool.unindexed_since is not None or not bigrams.parts(text):
        return False
    counted = totals.of_pool(ctx, pool)
    return counted.available + counted.claimed + counted.private + counted.set_aside > SMALL


def find(ctx: RequestContext, actor: Actor, search: Search, limit: int, last: Last | None) -> Found:
    """Return the next customers with the text, by name."""
    return _Walk(ctx, actor, search, limit, last).run()


class _Row(NamedTuple):
    """A row of a part. `in_fields`: a field has the part, maybe beside the name."""

    name: str
    source: Source
    id: str
    in_fields: bool


class _Rows:
    """The rows of one partition after a place, read as they are needed."""

    def __init__(self, table: Table, partition: str, source: Source, low: str | None, after: Item | None) -> None:
        self.table, self.partition, self.source, self.after = table, partition, source, after
        self.part: Condition | None = None if low is None else between(NAMES, low=low)
        self.waiting: deque[_Row] = deque()
        self.reads, self.ended = 0, False

    def read(self) -> None:
        size = MORE_ROWS if self.reads else FIRST_ROWS
        page = self.table.query(self.partition, index=NAMES, between=self.part, after=self.after, limit=size)
        self.waiting.extend(_row(item, self.source) for item in page.items)
        self.after, self.ended, self.reads = page.last, page.last is None, self.reads + 1


class _Walk:
    """One request's way through the rows of all sources. `at` is the last row looked at."""

    def __init__(self, ctx: RequestContext, actor: Actor, search: Search, limit: int, last: Last | None) -> None:
        self.ctx, self.actor, self.search, self.limit = ctx, actor, search, limit
        self.parts = bigrams.rarest_first(search.text)
        self.part = 0 if last is None else last.part
        self.at = None if last is None else _Row(last.name, last.source, last.id, last.in_fields)
        self.found: list[Customer] = []
        self.looked_at = self.customers_read = self.reads = self.requests = 0
        self.sources: list[_Rows] = []
        self.rows_left = False  # of the last batch
        self.own: dict[str, Customer] = {}
        self.own_rows: deque[_Row] = deque()

    def run(self) -> Found:
        self._open()
        while batch := self._next_batch():
            if self._look_at(batch) or self._has_read_enough():
                break
        return self._page()

    def _has_read_enough(self) -> bool:
        many = self.reads >= MAX_READS_PER_PAGE or self.customers_read >= SMALL
        return many or self._may_be_short(self.requests)

    def _may_be_short(self, requests: int) -> bool:
        """Return whether a page with what was found may end after that many requests."""
        return bool(self.found) and not self.search.narrowed and requests >= MAX_REQUESTS

    def _page(self) -> Found:
        more = self.rows_left or bool(self.own_rows) or any(each.waiting or not each.ended for each in self.sources)
        last = None if self.at is None or not more else Last(self.part, *self.at)
        return Found(self.found, last, self.looked_at)

    # Reading rows

    def _open(self) -> None:
        """Choose the part whose rows are read: of the first page, that with the fewest of those tried."""
        if self.at is None:
            most = MAX_PARTS if self.search.sees_all else MAX_PARTS_OF_MEMBER
            tried = [self._rows(part, Source.PUBLIC) for part in self.parts[:most]]
            self.ctx.backend.run_jobs([each.read for each in tried])
            self.requests = len(tried)
            self.sources = [_rarest(tried)]
            self.part = tried.index(self.sources[0])
        else:
            self.sources = [self._rows(self.parts[self.part], Source.PUBLIC)]
        if self.search.sees_all and search_entries.restricts(self.actor.home):
            self.sources.append(self._rows(self.parts[self.part], Source.RESTRICTED))
        if not self.search.sees_all:
            self._read_own()

    def _rows(self, part: str, source: Source) -> _Rows:
        home, restricted = self.actor.home, source == Source.RESTRICTED
        partition = keys.searched_in(home.tenant, home.id, part, restricted=restricted)
        low: str | None = None
        after: Item | None = None
        if self.at is not None and self.at.source == source:
            row = keys.search_row_key(self.actor.customer_key(self.at.id), part, in_fields=self.at.in_fields)
            after = items.index_position(NAMES, partition, row, self.at.name)
        elif self.at is not None:
            low = self.at.name if source > self.at.source else f"{self.at.name}\0"
        return _Rows(self.ctx.backend.table, partition, source, low, after)

    def _next_batch(self) -> list[_Row]:
        """Return the next rows, with as many customers to read as the page may need."""
        batch: list[_Row] = []
        room = self._room()
        most = room
        while room > 0 and (row := self._next_row(first=room == most)) is not None:
            batch.append(row)
            room -= self._has_to_be_read(row)
        return batch

    def _next_row(self, *, first: bool) -> _Row | None:
        """Return the next row by name; None at the end, or if rows were read enough.

        More are read only for the `first` customer of a batch: the others are looked at before.
        """
        waiting = [self.own_rows] if self.own_rows else []
        for each in self.sources:
            while not each.waiting and not each.ended:
                if not first or each.reads >= MAX_READS_PER_PAGE or self._may_be_short(self.requests + 1):
                    return None
                each.read()
                self.requests += 1
            if each.waiting:
                waiting.append(each.waiting)
        by_name = min(waiting, key=lambda rows: rows[0][:2], default=None)
        return None if by_name is None else by_name.popleft()

    def _room(self) -> int:
        """Return how many customers to read at once: as many as are missing, or more if not all fit."""
        missing = self.limit - len(self.found)
        if self.customers_read == 0:
            return min(missing + missing // 2 if self.search.narrowed else missing, PROJECTIONS_PER_READ)
        return min(customer_lists.likely(missing, self.customers_read, len(self.found)), PROJECTIONS_PER_READ)

    def _has_to_be_read(self, row: _Row) -> bool:
        """Return whether the customer of a row has to be read: if only its name has the part, the name decides."""
        if row.id in self.own:
            return False
        cut = len(row.name.encode()) > _SURELY_WHOLE
        return row.in_fields or cut or self._is_named(row)

    def _is_named(self, row: _Row) -> bool:
        return self.search.text in row.name.replace(" ", "")

    # The caller's own customers

    def _read_own(self) -> None:
        """Read the caller's customers that have rows, or parts, which not everybody may look at."""
        actor, table = self.actor, self.ctx.backend.table
        partition = keys.place_of_holder(actor.tenant, actor.pool, actor.user)
        part = None if search_entries.masks(actor.home) else between(PLACE, low=FIRST_PRIVATE_RANK)
        listed = table.query(partition, index=PLACE, between=part, limit=MAX_OWN).items
        self.requests += 1
        read = (customer_lists.projection_or_none(actor.tenant, actor.pool, each) for each in listed)
        self.own = {each.id: each for each in read if each is not None}
        fitting = (each for each in self.own.values() if self.search.check.projection_fits(each) is not False)
        rows = [_Row(truncate_name(fold_name(each.name)), Source.OWN, each.id, True) for each in fitting]
        self.own_rows.extend(sorted(row for row in rows if self.at is None or row[:3] > self.at[:3]))

    # Looking at customers

    def _look_at(self, batch: list[_Row]) -> bool:
        """Add the customers of these rows that fit. Return whether the page is full."""
        fitting = self._fitting(batch)
        for number, row in enumerate(batch, 1):
            self.at, self.looked_at = row, self.looked_at + 1
            if (customer := fitting.get(row)) is not None:
                self.found.append(customer)
                if len(self.found) == self.limit:
                    self.rows_left = number < len(batch)
                    return True
        return False

    def _fitting(self, batch: Iterable[_Row]) -> dict[_Row, Customer]:
        """Return the customers that fit, by row. Each customer fits by one of its rows."""
        ids = dict.fromkeys(row.id for row in batch if self._has_to_be_read(row))
        known = self._read(list(ids))
        verdicts = {row: self._verdict(row, known[row.id]) for row in batch if row.id in known}
        unsure = list(dict.fromkeys(row.id for row, fits in verdicts.items() if fits is None))
        self._count(unsure)
        whole = customer_lists.read_whole(self.ctx, self.actor, unsure)
        fitting = {row for row, fits in verdicts.items() if fits}
        fitting |= {row for row, fits in verdicts.items() if fits is None and self._fits_whole(whole.get(row.id))}
        return {row: known[row.id] for row in fitting}

    def _read(self, ids: Sequence[str]) -> dict[str, Customer]:
        """Return the caller's customers, and the projections of others that exist."""
        if not ids:
            return self.own
        self._count(ids)
        read = customer_lists.read_projections(self.ctx, self.actor, ids)
        return self.own | {name: customer for name, customer in read.items() if customer is not None}

    def _count(self, ids: Sequence[str]) -> None:
        self.customers_read += len(ids)
        self.reads, self.requests = self.reads + bool(ids), self.requests + bool(ids)

    def _fits_whole(self, customer: Customer | None) -> bool:
        return customer is not None and self.search.check.fits(customer) and self.search.check.is_named(customer)

    def _verdict(self, row: _Row, customer: Customer) -> bool | None:
        """Return whether the caller finds the customer by this row; None if its fields have to be read."""
        check, is_own = self.search.check, row.id in self.own
        if is_own != (row.source == Source.OWN) or not check.is_named(customer):
            return False
        named = self.search.text in searchable(customer.name)
        if not row.in_fields:
            return named and check.selects(customer)
        if row.source == Source.RESTRICTED and named and search_entries.is_named_for_all(customer, self.actor.home):
            return False  # found by the row of its name
        return check.projection_fits(customer)


def _rarest(tried: Sequence[_Rows]) -> _Rows:
    """Return the rows of the rarest part: as many rows reach furthest where they are rarest."""
    ended = [each for each in tried if each.ended]
    if ended:
        return min(ended, key=lambda each: len(each.waiting))
    return max(tried, key=lambda each: each.waiting[-1].name if each.waiting else "")


def _row(item: Item, source: Source) -> _Row:
    name, in_fields = str(item[INDEX_RANGE[NAMES]]["S"]), keys.is_search_row_of_field(item["sk"]["S"])
    return _Row(name, source, keys.id_from_pk(item["pk"]["S"]), in_fields)
