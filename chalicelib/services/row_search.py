"""Search a large pool through the search rows of its customers, in the order of their names.

A search reads the rows with the rarest part of the searched text, and checks the rest on the customers themselves. A
row whose part only the name has is decided by the name in the index, which costs nothing.

A manager reads the rows for everybody and the restricted ones. Anybody else reads the rows for everybody, and compares
their own customers one by one: so nothing in an answer depends on a value that they do not see, not even the number of
customers looked at. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct

from chalicelib.domain import search_entries
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import FIRST_PRIVATE_RANK, INDEX_RANGE, NAMES, PLACE
from chalicelib.dynamodb.table import between
from chalicelib.model import bigrams
from chalicelib.model.model import Customer, Pool
from chalicelib.model.normalization import fold_name, truncate_name
from chalicelib.services import totals
from chalicelib.services.customer_lists import CUSTOMERS_PER_READ, MAX_READS_PER_PAGE, Last
from chalicelib.transactions.context import RequestContext

SMALL: Final = CUSTOMERS_PER_READ * MAX_READS_PER_PAGE  # customers that one request can look at without rows
FIRST_ROWS: Final = 50
MORE_ROWS: Final = 400
MAX_PARTS: Final = 3  # whose rows are read to find the rarest
MAX_PARTS_OF_MEMBER: Final = 2  # who also reads their own customers
MAX_OWN: Final = 1_000
_SURELY_WHOLE: Final = 116  # bytes of a folded name in an index that is not cut


class Found(NamedTuple):
    """The customers of a page, where the list continues, and how many rows the request looked at."""

    customers: list[Customer]
    last: Last | None
    looked_at: int


class Search(Struct, frozen=True):
    """A search for a folded text. `fits` returns whether the caller finds a customer.

    `sees_all`: the caller sees every value of every customer. `narrowed`: `fits` refuses customers with the text too.
    """

    text: str
    fits: Callable[[Customer], bool]
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


class _At(NamedTuple):
    """A row's place among the rows of a part: the folded name, then the id."""

    name: str
    id: str


class _Rows(NamedTuple):
    """Rows after a place, by whether a field has the part. All with names before `end` are here; all without an end."""

    rows: dict[_At, bool]
    end: str | None


class _Walk:
    """One request's way through the rows. `at` is the last row looked at."""

    def __init__(self, ctx: RequestContext, actor: Actor, search: Search, limit: int, last: Last | None) -> None:
        self.ctx, self.actor, self.search, self.limit = ctx, actor, search, limit
        self.at = None if last is None else _At(str(last.rank), last.id)
        self.start = "" if last is None else str(last.rank)  # names before it are done
        self.found: list[Customer] = []
        self.looked_at = self.reads = 0
        self.restricted = search_entries.restricts(actor.home)
        self.own: dict[_At, Customer] = {}
        self.own_ids: set[str] = set()

    def run(self) -> Found:
        part, first = self._rarest()
        self._read_own()
        for number in range(MAX_READS_PER_PAGE):
            size = FIRST_ROWS if number == 0 else MORE_ROWS
            public = first if number == 0 else self._rows(part, size, restricted=False)
            rows, end = self._merged(part, public, size)
            full = self._look_at(rows)
            if full:
                return self._page(more=end is not None or self.at != rows[-1][0])
            if end is None:
                return self._page(more=False)
            self.start = end
            if self.reads >= MAX_READS_PER_PAGE or (self.found and not self.search.narrowed):
                break
        return self._page(more=True)

    def _page(self, *, more: bool) -> Found:
        last = None if self.at is None or not more else Last(self.at.id, self.at.name, 0)
        return Found(self.found, last, self.looked_at)

    # Reading rows

    def _rarest(self) -> tuple[str, _Rows]:
        """Return the part with the fewest rows, of those with which a search begins, and its first rows."""
        most = MAX_PARTS if self.search.sees_all else MAX_PARTS_OF_MEMBER
        parts = bigrams.rarest_first(self.search.text)[:most]
        jobs = [partial(self._rows, part, FIRST_ROWS, restricted=False) for part in parts]
        read = list(zip(parts, self.ctx.backend.run_jobs(jobs), strict=True))
        ended = [each for each in read if each[1].end is None]
        if ended:
            return min(ended, key=lambda each: len(each[1].rows))
        return max(read, key=lambda each: str(each[1].end))  # as many rows reach furthest where they are rarest

    def _rows(self, part: str, size: int, *, restricted: bool) -> _Rows:
        """Return rows from the start on: at least one after the last row looked at, if there is one.

        Rows with the same name have no order in the index, so a page that ends among them is cut before them.
        """
        home = self.actor.home
        partition = keys.searched_in(home.tenant, home.id, part, restricted=restricted)
        part_of_index = between(NAMES, low=self.start) if self.start else None
        rows: dict[_At, bool] = {}
        pages = self.ctx.backend.table.pages(partition, index=NAMES, between=part_of_index, limit=size)
        for page in pages:
            rows |= {at: in_fields for at, in_fields in map(_row, page.items) if self.at is None or at > self.at}
            end = None if page.last is None else str(page.items[-1][INDEX_RANGE[NAMES]]["S"]) if page.items else ""
            complete = {at: in_fields for at, in_fields in rows.items() if end is None or at.name < end}
            if end is None or complete:
                return _Rows(complete, end)
        return _Rows(rows, None)

    def _merged(self, part: str, public: _Rows, size: int) -> tuple[list[tuple[_At, bool]], str | None]:
        """Return the rows that the caller may look at, by name, and the name from which on some may be missing."""
        sources = [public]
        if self.search.sees_all and self.restricted:
            sources.append(self._rows(part, size, restricted=True))
        elif not self.search.sees_all:
            own = {at: True for at in self.own if self.at is None or at > self.at}
            sources.append(_Rows(own, None))
        ends = [each.end for each in sources if each.end is not None]
        end = min(ends, default=None)
        rows: dict[_At, bool] = {}
        for source in sources:
            for at, in_fields in source.rows.items():
                if end is None or at.name < end:
                    rows[at] = in_fields or rows.get(at, False)
        return sorted(rows.items()), end

    # The caller's own customers

    def _read_own(self) -> None:
        """Read the caller's customers that have rows, or parts, which not everybody may look at."""
        if self.search.sees_all:
            return
        actor, table = self.actor, self.ctx.backend.table
        partition = keys.place_of_holder(actor.tenant, actor.pool, actor.user)
        part = None if search_entries.masks(actor.home) else between(PLACE, low=FIRST_PRIVATE_RANK)
        listed = table.query(partition, index=PLACE, between=part, limit=MAX_OWN)
        own = self._read([keys.id_from_pk(key.pk) for key in listed.keys])
        self.own_ids = set(own)
        fitting = (each for each in own.values() if self.search.fits(each))
        self.own = {_At(truncate_name(fold_name(each.name)), each.id): each for each in fitting}

    def _read(self, ids: Sequence[str]) -> dict[str, Customer]:
        """Return the customers that exist, a moment late at most."""
        if not ids:
            return {}
        cache = self.ctx.backend.customer_cache
        read = cache.read(self.ctx.backend.table, self.actor, ids, malformed=set(), consistent=False)
        return {name: customer for name, customer in read.items() if customer is not None}

    # Looking at customers

    def _look_at(self, rows: list[tuple[_At, bool]]) -> bool:
        """Add the customers of these rows that fit. Return whether the page is full, or enough is read."""
        for batch in self._batches(rows):
            wanted = [at.id for at, in_fields in batch if self._may_fit(at, in_fields=in_fields)]
            known = self._read(wanted)
            self.reads += bool(wanted)
            for at, _ in batch:
                self.at, self.looked_at = at, self.looked_at + 1
                customer = self.own.get(at) or known.get(at.id)
                if customer is not None and (at in self.own or self.search.fits(customer)):
                    self.found.append(customer)
                    if len(self.found) == self.limit:
                        return True
            enough = self.reads >= MAX_READS_PER_PAGE or (self.found and self.reads > 0 and not self.search.narrowed)
            if enough:
                return True
        return False

    def _batches(self, rows: list[tuple[_At, bool]]) -> Iterator[list[tuple[_At, bool]]]:
        """Yield the rows in batches, each with as many customers to read as the page may need."""
        batch: list[tuple[_At, bool]] = []
        room = self._room()
        for at, in_fields in rows:
            batch.append((at, in_fields))
            room -= at in self.own or self._may_fit(at, in_fields=in_fields)
            if room == 0:
                yield batch
                batch, room = [], self._room()
        if batch:
            yield batch

    def _room(self) -> int:
        """Return how many customers to read at once: more than are missing, if many do not fit."""
        missing = self.limit - len(self.found)
        return CUSTOMERS_PER_READ if self.search.narrowed else min(missing, CUSTOMERS_PER_READ)

    def _may_fit(self, at: _At, *, in_fields: bool) -> bool:
        """Return whether the customer of a row has to be read: if only its name has the part, the name decides."""
        if at in self.own or at.id in self.own_ids:
            return False
        cut = len(at.name.encode()) > _SURELY_WHOLE
        return in_fields or cut or self.search.text in at.name.replace(" ", "")


def _row(item: Item) -> tuple[_At, bool]:
    at = _At(str(item[INDEX_RANGE[NAMES]]["S"]), keys.id_from_pk(item["pk"]["S"]))
    return at, keys.is_search_row_of_field(item["sk"]["S"])
