"""Forecast a change of field definitions: which stored values no longer fit, and which customers would be twins.

A dry run looks at the first customers of the pool only, by id, and returns how far it looked. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import MALFORMED
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ
from chalicelib.model.model import Pool
from chalicelib.model.pool_responses import FieldsForecast
from chalicelib.services.field_job import MAX_NAMED
from chalicelib.services.sweeper import request_time_left
from chalicelib.transactions.context import RequestContext

MAX_CUSTOMERS: Final = 10_000
MIN_SECONDS_LEFT: Final = 1.0  # upper bound for one page


def forecast(ctx: RequestContext, before: Pool, after: Pool, *, most: int = MAX_CUSTOMERS) -> FieldsForecast:
    """Return what the change means for the first customers of the pool."""
    return _Forecast(ctx, before, after).run(most)


class _Forecast:
    def __init__(self, ctx: RequestContext, before: Pool, after: Pool) -> None:
        self.ctx, self.pool, self.actor = ctx, after, ctx.actor(after)
        old, new = before.definitions.by_key, after.definitions.by_key
        self.changed = [key for key in new if old.get(key) != new[key]]
        self.unique = [key for key in after.definitions.unique if key not in before.definitions.unique]
        self.unfit: Counter[str] = Counter()
        self.owners: dict[str, str] = {}  # by key of a unique value
        self.twins: dict[str, list[str]] = {}

    def run(self, most: int) -> FieldsForecast:
        seconds_left, looked_at, more = request_time_left(), 0, True
        pages = self._pages()
        while more and looked_at < most and seconds_left() > MIN_SECONDS_LEFT:
            page = next(pages, None)
            more = page is not None
            for customer, fields in (page or {}).items():
                looked_at += 1
                self._look_at(customer, fields)
        more = more and next(pages, None) is not None
        return FieldsForecast(looked_at, not more, dict(self.unfit), self.twins)

    def _pages(self) -> Iterator[dict[str, Mapping[str, Any]]]:
        """Yield the fields of the customers, by id. Those of a malformed customer are left out."""
        table, roster = self.ctx.backend.table, keys.customer_roster(self.pool.tenant, self.pool.id)
        for page in table.pages(roster, index=ROSTER, limit=MAX_KEYS_PER_READ):
            if page.keys:
                found = table.get([Key(key.pk, "F") for key in page.keys], consistent=False)
                yield {keys.id_from_pk(key.pk): _fields(found.get(Key(key.pk, "F"))) for key in page.keys}

    def _look_at(self, customer: str, fields: Mapping[str, Any]) -> None:
        definitions = self.pool.definitions
        for key in self.changed:
            if key in fields and definitions.errors_of_change({}, {key: fields[key]}, strict=False):
                self.unfit[key] += 1
        if not self.unique:
            return
        for key, own_keys in self.actor.unique_keys(fields).items():
            others = {self.owners.setdefault(each, customer) for each in own_keys} - {customer}
            if key in self.unique and others:
                named = self.twins.setdefault(key, [])
                new = [each for each in (*sorted(others), customer) if each not in named]
                named += new[: MAX_NAMED - len(named)]


def _fields(stored: items.Item | None) -> Mapping[str, Any]:
    try:
        return {} if stored is None else items.fields_record(stored).fields
    except MALFORMED:
        return {}
