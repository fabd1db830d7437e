"""Recompute counters and derived attributes from the customers, and report or repair drift (rule 26).

The audit reads a pool page by page and keeps only sums per member in memory. An item that contradicts itself or its
events is drift at once; a counter that differs from the pages is decided by `recount`. Drift in facts that no other
record holds is reported, never repaired. A repair is not a transition: it writes no event and raises no version.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

from msgspec.structs import replace

from chalicelib.domain import invariants
from chalicelib.domain.invariants import COUNTERS, SUMS, Difference
from chalicelib.domain.transitions import Actor
from chalicelib.dynamodb import items, keys, pool_items, sharded_query
from chalicelib.dynamodb.conditions import unchanged
from chalicelib.dynamodb.items import MALFORMED, Item
from chalicelib.dynamodb.keys import DUE, INDEX_ATTRIBUTES, PLACE, ROSTER, Key
from chalicelib.dynamodb.pool_items import MalformedPool
from chalicelib.dynamodb.table import MalformedWrite, SetAttributes, Table, between
from chalicelib.model.contact_keys import KeySecret
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import Customer, Event, Pool, Tombstone
from chalicelib.model.reports import AuditReport, Drift, DriftKind
from chalicelib.observability import exception_summary
from chalicelib.services import row_search, search_rows
from chalicelib.services.derived_audit import DerivedAudit
from chalicelib.services.recount import MIN_SECONDS_LEFT, Lists, OutOfTime, Recount
from chalicelib.services.suppression_audit import SuppressionAudit

log = logging.getLogger("customer-pool")
MAX_LISTED: Final = 100
STREAM_S: Final = 5.0  # within which a change of a name is in the search rows
A_RECORD: Final = "a record that reads as one"
_INDEX_ATTRIBUTES: Final = INDEX_ATTRIBUTES - {"pk"}


def run(
    table: Table,
    pools: Iterable[Pool | MalformedPool],
    seconds_left: Callable[[], float],
    *,
    secret: KeySecret,
    now: int,
    repair: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> AuditReport:
    """Audit the pools one after the other while there is time. Return the totals."""
    report = AuditReport(0, 0, 0, 0, drift=[], unsettled=[], remaining=[], complete=True)
    for pool in pools:
        if isinstance(pool, MalformedPool):
            _add(report, Drift(pool.id, "malformed", pool.id, A_RECORD, "none", False))
            continue
        try:
            actor = Actor(pool, SYSTEM, now, secret=secret)
            _Audit(Lists(table, pool, seconds_left), actor, report, repair, wait).run()
        except OutOfTime:
            report.remaining.append(pool.id)
        except (*MALFORMED, MalformedWrite) as error:
            log.error("malformed record in pool %s: %s", pool.id, exception_summary(error))
            _add(report, Drift(pool.id, "malformed", pool.id, A_RECORD, type(error).__name__, False))
    report.complete = not report.remaining and not report.unsettled
    return report


def _add(report: AuditReport, drift: Drift) -> None:
    report.drifted += 1
    report.repaired += drift.repaired
    if len(report.drift) < MAX_LISTED:
        report.drift.append(drift)


class _Audit:
    """The audit of one pool. `misplaced` are the customers in a wrong index partition, or in none."""

    def __init__(
        self, lists: Lists, actor: Actor, report: AuditReport, repair: bool, wait: Callable[[float], None]
    ) -> None:
        self.lists, self.table, self.pool, self.wait = lists, lists.table, lists.pool, wait
        self.report, self.actor, self.now, self.repair = report, actor, actor.now, repair
        self.misplaced: set[Key] = set()
        self.held: dict[str, Counter[str]] = {}
        self.sums: Counter[str] = Counter()
        self.suppressed: set[str] = set()
        self.recount = Recount(lists, self.misplaced, self._found, repair, wait)

    def run(self) -> None:
        self._check()
        audited = 0
        for stored in self.lists.customers():
            self._customer(stored)
            audited += 1
        for stored in self._not_on_roster():
            self._customer(stored)
        for stored in self.lists.erased():
            self._erased(stored)
        DerivedAudit(self.lists, self.actor, self._found, self.repair).run()
        if audited > row_search.SMALL and self.pool.unindexed_since is None:
            self._search_rows()
        unsettled = self.recount.of_members(self._suspects())
        unsettled += SuppressionAudit(self.lists, self._found, self.repair).run(self.suppressed)
        self.report.unsettled += [f"{self.pool.id}/{each}" for each in unsettled]
        if self.recount.sums_kept()[0] != self.sums:
            self.report.unsettled += self.recount.of_pool()

    def _check(self) -> None:
        """Audit the pool's next check: it must not be later than the first deadline or reminder."""
        from chalicelib.services import late_checks  # only an audit and the schedule need it

        key = keys.pool_key(self.pool.tenant, self.pool.id)
        found = late_checks.difference(self.table, key, self.now)
        if found is not None:
            stored, drift = found
            repaired = self.repair and self.table.write([late_checks.moved_to_now(key, stored, self.now)]) is None
            self._found(self.pool.id, drift, repaired)

    def _not_on_roster(self) -> Iterator[Item]:
        """Yield customers that a list by state contains and the roster does not."""
        tenant, pool = self.pool.tenant, self.pool.id
        by_state = (
            *((PLACE, each) for each in sharded_query.partitions_of(keys.place_available, self.pool)),
            *((DUE, each) for each in sharded_query.partitions_of(keys.due_in, self.pool)),
            (PLACE, keys.place_set_aside(tenant, pool)), (PLACE, keys.place_suppressed(tenant, pool)),
            (DUE, keys.private_in(tenant, pool)),
        )  # fmt: skip
        for index, partition in by_state:
            for stored in self.lists.of(index, partition):
                listed = stored.get(ROSTER) == items.serialize(keys.customer_roster(tenant, pool))
                if not listed and items.key_of(stored) not in self.misplaced:
                    yield stored

    # Search rows

    def _search_rows(self) -> None:
        """Compare the search rows of a large pool with its customers, and again after the stream had time.

        A pool in which no customer has any is one whose stream nobody reads: there is nothing to compare.
        """
        roster, listed, late = keys.customer_roster(self.pool.tenant, self.pool.id), 0, list[Key]()
        for page in self.table.pages(roster, index=ROSTER, limit=search_rows.CUSTOMERS_PER_READ):
            if self.lists.seconds_left() < MIN_SECONDS_LEFT:
                raise OutOfTime
            compared = search_rows.compare(self.table, self.pool, page.keys)
            listed, late = listed + compared.listed, [*late, *compared.differing]
        if not listed or not late:
            return
        self.wait(STREAM_S)
        for key, (wanted, found) in search_rows.compare(self.table, self.pool, late).differing.items():
            if self.repair:
                search_rows.refresh(self.table, [key])
            difference = Difference("search", f"{wanted} search rows", f"{found}, or others")
            self._found(keys.id_from_pk(key.pk), difference, self.repair)

    # Customers

    def _customer(self, stored: Item) -> None:
        """Audit one customer. A malformed one does not stop the others."""
        at = keys.id_from_pk(stored["pk"]["S"])
        self.report.customers += 1
        try:
            self._count(stored)
            customer = items.customer_record(self.pool.tenant, self.pool.id, stored)
            found = [*invariants.check_claim(customer), *invariants.check_events(customer, self._events(customer))]
        except MALFORMED as error:
            self._malformed(at, error)
            return
        for difference in found:
            self._found(at, difference)
        listed = customer if self.pool.spread_from is not None else replace(customer, shards=self.pool.shards)
        for difference in invariants.check_indexes(stored, listed):
            self.misplaced.add(items.key_of(stored))
            self._found(at, difference, self.repair and self._rewrite_index_keys(stored, listed))

    def _erased(self, stored: Item) -> None:
        """Audit the events of an erased customer. It counts for nothing."""
        at = keys.id_from_pk(stored["pk"]["S"])
        self._note_suppressed(stored)
        try:
            tombstone = items.tombstone_record(stored)
            found = invariants.check_erased(tombstone, self._events(tombstone))
        except MALFORMED as error:
            self._malformed(at, error)
            return
        for difference in found:
            self._found(at, difference)

    def _count(self, stored: Item) -> None:
        self._note_suppressed(stored)
        holder, counts = invariants.stored_counters(stored)
        self.sums.update({name: counts[name] for name in SUMS})
        if holder is not None:
            self.held.setdefault(holder, Counter()).update(counts)

    def _note_suppressed(self, stored: Item) -> None:
        if "suppressed_at" in stored:
            self.suppressed.add(keys.id_from_pk(stored["pk"]["S"]))

    def _rewrite_index_keys(self, stored: Item, customer: Customer) -> bool:
        """Write the same version with correct index keys. Return False if the customer changed meanwhile."""
        same = unchanged(stored, ["version"])
        try:
            changed = SetAttributes(items.key_of(stored), *_index_changes(stored, customer), same)
            return self.table.write([changed]) is None
        except MalformedWrite:
            return False

    def _events(self, customer: Customer | Tombstone) -> list[Event]:
        """Return all events. Read the pages after the customer, so that events moved to a page are not missed."""
        tail = list(customer.tail)
        first = tail[0].seq if tail else customer.version + 1
        homes = {customer.pool, *customer.homes} if first > 1 else set()
        return [event for pool in homes for event in self._paged(customer, pool) if event.seq < first] + tail

    def _paged(self, customer: Customer | Tombstone, pool: str) -> Iterator[Event]:
        low, high = (keys.event_page_key(customer, pool, seq) for seq in (0, customer.version))
        for page in self.table.pages(low.pk, between=between(None, low.sk, high.sk)):
            for stored in page.items:
                yield from items.event_page_record(stored)

    # Members

    def _suspects(self) -> dict[str, Key]:
        """Return members whose counters differ from the audited customers, and holders who are not members."""
        waiting, suspects = dict(self.held), {}
        for stored in self.lists.members():
            key = items.key_of(stored)
            user = keys.id_from_pk(key.pk)
            self.report.members += 1
            counted = waiting.pop(user, Counter())
            if self._readable(user, stored) and invariants.check_counters(stored, counted):
                suspects[user] = key
        return suspects | {user: keys.member_key(self.pool.tenant, self.pool.id, user) for user in waiting}

    def _readable(self, user: str, stored: Item) -> bool:
        try:
            counts = items.deserialize_item(stored)
            pool_items.member_record(self.pool.tenant, self.pool.id, stored)
            return all(isinstance(counts.get(name), int | None) for name in COUNTERS)
        except MALFORMED as error:
            self._malformed(user, error)
            return False

    def _malformed(self, at: str, error: Exception) -> None:
        self._found(at, Difference("malformed", A_RECORD, type(error).__name__))

    def _found(self, at: str, difference: Difference, repaired: bool = False) -> None:
        kind = cast(DriftKind, difference.kind)
        _add(self.report, Drift(self.pool.id, kind, at, difference.expected, difference.found, repaired))


def _index_changes(stored: Item, customer: Customer) -> tuple[Item, tuple[str, ...]]:
    """Return the index attributes to write and to remove, so that they agree with the customer."""
    correct = items.customer_item(customer)
    now, then = ({name: item[name] for name in _INDEX_ATTRIBUTES & item.keys()} for item in (stored, correct))
    return items.attribute_changes(now, then)
