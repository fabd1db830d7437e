"""Bring the customers of a pool in line with changed definitions of its fields, in rounds of the schedule.

A minute after the change, every process writes by the new definitions, so one pass over the customers is enough. Each
customer is written under its own version, on the condition that the definitions have not changed again: a round may be
killed at any point or overlap with another one. A round stores how far it got; another change starts the pass again.

A field that becomes unique binds what is written from then on. If two stored customers have one value of it, the field
is turned off at the end, and the customers are named. Nothing here creates an event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import field_rewrites, rules
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import ROSTER, Key
from chalicelib.dynamodb.table import Check, Delete, Put, Throttled, Update
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import Customer, Pool
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from chalicelib.services.pools import updated_pool
from chalicelib.services.search_rows import STALE_MS
from chalicelib.transactions import change_log
from chalicelib.transactions.context import Backend
from chalicelib.transactions.customer_cache import CustomerCache
from chalicelib.transactions.unit_of_work import UnitOfWork

CUSTOMERS_PER_PAGE: Final = 50  # with their fields: one read
MAX_NAMED: Final = 100  # customers with equal values, for each field
MAX_ROUNDS: Final = 8  # attempts at customers whose values others take and release meanwhile


class Progress(Struct):
    """How far a pass is: the last customer of it, and the customers with equal values so far, by field."""

    after: str | None = None
    twins: dict[str, list[str]] = {}


def continue_job(
    backend: Backend, pool: Pool, now: int, seconds_left: Callable[[], float], *, per_page: int = CUSTOMERS_PER_PAGE
) -> None:
    """Continue the pass while there is time. After the last customer the fields are ready."""
    if pool.fields_since is not None and now >= pool.fields_since + STALE_MS:
        _Job(backend, pool, pool.fields_since, now).run(seconds_left, per_page)


class _Job:
    """One round of the pass. `left_out` names, by customer, the fields whose value another customer has."""

    def __init__(self, backend: Backend, pool: Pool, since: int, now: int) -> None:
        self.table, self.pool, self.since, self.now = backend.table, pool, since, now
        self.actor = Actor(pool, SYSTEM, now, secret=backend.secret)
        self.note = keys.field_job_key(pool.tenant, pool.id)
        self.still = rules.fields_still_change(keys.pool_key(pool.tenant, pool.id), since)
        self.left_out: dict[str, set[str]] = {}
        self.twins: dict[str, list[str]] = {}

    def run(self, seconds_left: Callable[[], float], per_page: int) -> None:
        roster = keys.customer_roster(self.pool.tenant, self.pool.id)
        stored = self.table.get([self.note]).get(self.note)
        progress = _progress(stored, self.since)
        after, self.twins = progress.after, progress.twins
        while True:
            start = items.index_position(ROSTER, roster, None if after is None else Key(after, "-"))
            page = self.table.query(roster, index=ROSTER, after=start, limit=per_page)
            self._rewrite([keys.id_from_pk(key.pk) for key in page.keys])
            if self._is_full():
                self._look_at_twins_again()
            if page.last is None or self._is_full():
                break
            after = page.keys[-1].pk if page.keys else after
            if not self._save(Progress(after, self.twins)) or seconds_left() < MIN_SECONDS_LEFT:
                return
        self._finish()

    # Customers

    def _rewrite(self, ids: Sequence[str]) -> None:
        """Write what differs of these customers. Raises PlanOutdated if the definitions have changed again."""
        planner = partial(field_rewrites.rewrite, self.actor, still=self.still, left_out=self.left_out)
        for _ in range(MAX_ROUNDS):
            cache = CustomerCache()
            results = UnitOfWork(self.table, cache, self.actor, planner).execute(ids).results.values()
            ids = [each.id for each in results if each.refused_as(rules.VALUE_TAKEN)]
            if not ids:
                return
            for customer in cache.read(self.table, self.actor, ids, set()).values():
                if customer is not None:
                    self._leave_out(customer)
        raise Throttled

    def _leave_out(self, customer: Customer) -> None:
        """Note the fields of which another customer has the value."""
        by_field = self.actor.unique_keys(customer.fields)
        wanted = {
            name: [keys.unique_key(self.pool.tenant, self.pool.id, each) for each in own_keys]
            for name, own_keys in by_field.items()
        }
        stored = self.table.get([key for each in wanted.values() for key in each])
        for name, own_keys in wanted.items():
            owners = {_owner(stored[key]) for key in own_keys if key in stored} - {customer.id}
            if owners:
                self.left_out.setdefault(customer.id, set()).add(name)
                named = self.twins.setdefault(name, [])
                named += [each for each in (*sorted(owners), customer.id) if each and each not in named]

    def _is_full(self) -> bool:
        return any(len(each) >= MAX_NAMED for each in self.twins.values())

    # The end

    def _finish(self) -> None:
        """Declare the fields ready. If a field has equal values, turn it off instead: another pass follows."""
        self._look_at_twins_again()
        if not self.twins:
            done = [rules.fields_since.remove(), rules.fields_changing.remove()]
            # If the condition fails, the definitions have changed again and the next round starts a new pass.
            self.table.write([Update(self.still.key, done, self.still.condition), Delete(self.note)])
            return
        fields = tuple(replace(each, unique=each.unique and each.key not in self.twins) for each in self.pool.fields)
        named = {key: tuple(each[:MAX_NAMED]) for key, each in self.twins.items()}
        changed, write, _ = updated_pool(self.pool, replace(self.pool, fields=fields, twins=named), self.now)
        entries = change_log.by_service(self.pool, changed, self.now)
        self.table.write([write, *entries, Delete(self.note)])  # the next round tries again if the pool has changed

    def _look_at_twins_again(self) -> None:
        """Try the named customers again: some may have another value by now."""
        named, self.twins = self.twins, {}
        self.left_out.clear()
        ids = list(dict.fromkeys(each for ids in named.values() for each in ids))
        for start in range(0, len(ids), CUSTOMERS_PER_PAGE):
            self._rewrite(ids[start : start + CUSTOMERS_PER_PAGE])

    def _save(self, progress: Progress) -> bool:
        """Store how far the pass is. Return False if the definitions have changed again, or the pool is gone."""
        content = {"since": self.since, "progress": msgspec.json.encode(progress).decode()}
        put = Put(self.note, items.build_item(self.note, content))
        return self.table.write([put, Check(self.still.key, self.still.condition)]) is None


def _progress(note: Item | None, since: int) -> Progress:
    if note is None or items.deserialize(note["since"]) != since:
        return Progress()
    return msgspec.json.decode(note["progress"]["S"], type=Progress)


def _owner(unique_value: Item) -> str:
    """Return the customer that a unique-value item names; an empty text if it is malformed."""
    try:
        return items.unique_key_owner(unique_value)
    except MALFORMED:
        return ""
