"""Count customers again where a counter seems to have drifted, until the drift is certain; repair it on request.

A pool in use changes during a count. So a count is valid only if the compared records are the same before and after,
and a difference is drift only if several counts in a row find it. A repair requires the records as they were read and
is not a transition. Nothing here reads more of a customer than its contribution to the counters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from msgspec import Struct

from chalicelib.domain import invariants
from chalicelib.domain.invariants import SUMS, Difference
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute, unchanged
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import PLACE, ROSTER, Key
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ, Table, Update
from chalicelib.model.model import ACTIVITIES, Pool

MIN_SECONDS_LEFT: Final = 1.0  # upper bound for one page
MAX_ROUNDS: Final = 12  # of counting
CONFIRMED: Final = 3  # equal counts in a row that confirm drift
PAUSE_S: Final = 0.25  # between rounds: indexes are eventually consistent
COUNTED: Final = (*invariants.COUNTERS, *SUMS, "own_limit", "version", "day")

Found = Callable[[str, Difference, bool], None]
Counted: TypeAlias = tuple[Item, list[Difference]]
Count = Callable[[str, Key], Counted | None]
Report = Callable[[str, Key, Item, list[Difference]], bool]


class OutOfTime(Exception):
    """The time is used up; another audit continues."""


class Lists(Struct, frozen=True):
    """The lists of one pool. Each yields the stored items of its entries; one that moves meanwhile may come twice.

    A customer that was erased meanwhile is left out. Raises OutOfTime.
    """

    table: Table
    pool: Pool
    seconds_left: Callable[[], float]

    def of(self, index: str, partition: str) -> Iterator[Item]:
        return (item for item in self._stored(index, partition) if not items.is_tombstone(item))

    def erased(self) -> Iterator[Item]:
        return self._stored(ROSTER, keys.erased_roster(self.pool.tenant, self.pool.id))

    def _stored(self, index: str, partition: str) -> Iterator[Item]:
        for page in self.table.pages(partition, index=index, limit=MAX_KEYS_PER_READ):
            if self.seconds_left() < MIN_SECONDS_LEFT:
                raise OutOfTime
            yield from self.table.get(page.keys).values()

    def customers(self) -> Iterator[Item]:
        return self.of(ROSTER, keys.customer_roster(self.pool.tenant, self.pool.id))

    def suppressions(self) -> Iterator[Item]:
        """Yield the items of suppressed contacts, of all pools of the tenant."""
        return self._stored(ROSTER, keys.suppressions(self.pool.tenant))

    def members(self) -> Iterator[Item]:
        return self.of(ROSTER, keys.member_roster(self.pool.tenant, self.pool.id))

    def customers_of(self, user: str) -> Iterator[Item]:
        return self.of(PLACE, keys.place_of_holder(self.pool.tenant, self.pool.id, user))


class Recount(Struct, frozen=True):
    """The recount of one pool. `misplaced` are customers that the lists may miss, so they are always counted.

    `found` receives each drift and whether it was repaired. Each recount returns the ids it could not decide.
    """

    lists: Lists
    misplaced: set[Key]
    found: Found
    repair: bool
    wait: Callable[[float], None]

    def of_members(self, suspects: dict[str, Key]) -> list[str]:
        return self._until_sure(suspects, self._member, self._report_member)

    def of_pool(self) -> list[str]:
        key = keys.pool_counts_key(self.lists.pool.tenant, self.lists.pool.id)
        return self._until_sure({self.lists.pool.id: key}, self._sums, self._report_sums)

    def _until_sure(self, waiting: dict[str, Key], count: Count, report: Report) -> list[str]:
        """Count in rounds until each counter is cleared or reported. Return those that kept changing."""
        waiting, seen = dict(waiting), dict[str, list[list[Any]]]()
        for number in range(MAX_ROUNDS):
            if not waiting:
                break
            self.wait(PAUSE_S if number else 0)
            for name, key in list(waiting.items()):
                counted = count(name, key)
                by = None if counted is None else [(each.kind, _by(each)) for each in counted[1]]
                seen[name] = [*(seen[name] if by in seen.get(name, []) else []), *([] if by is None else [by])]
                sure = not by or len(seen[name]) >= CONFIRMED
                if counted is not None and sure and (not by or report(name, key, *counted)):
                    del waiting[name]
        return list(waiting)

    # Members

    def _member(self, user: str, key: Key) -> Counted | None:
        """Return the member's item and its differences; None if it changed during the count."""
        before = self._now(key)
        misplaced = self.lists.table.get(list(self.misplaced)).values()
        claims = {items.key_of(item): item for item in (*self.lists.customers_of(user), *misplaced)}
        if self._now(key) != before:
            return None
        held: Counter[str] = Counter()
        for item in claims.values():
            holder, counts = invariants.stored_counters(item)
            held.update(counts if holder == user else {})
        if before:
            return before, invariants.check_counters(before, held)
        return before, [Difference("held", held["held"], None)] if held["held"] else []

    def _report_member(self, user: str, key: Key, stored: Item, drift: list[Difference]) -> bool:
        """Repair and report the drift. Return False if the item changed before the repair: count again."""
        right = [Attribute(each.kind).set(each.expected) for each in drift]
        repaired = self.repair and stored != {}
        if (
            repaired
            and self.lists.table.write([Update(key, right, unchanged(stored, COUNTED, did=ACTIVITIES))]) is not None
        ):
            return False
        for each in drift:
            self.found(user, each, repaired)
        return True

    # Sums of the members' counters

    def sums_kept(self) -> tuple[Counter[str], list[Any]]:
        """Return the sums over members and leavers, and the values that change whenever the sums do."""
        left = self._now(keys.pool_counts_key(self.lists.pool.tenant, self.lists.pool.id))
        kept = Counter(_sums_in(left))
        moving: list[Any] = [left]
        for stored in self.lists.members():
            kept.update(_sums_in(stored))
            moving.append([stored["pk"], stored.get("day"), stored.get("did", {}).get("M", {}).get("entered")])
            moving[-1] += [stored.get(name) for name in SUMS]
        return kept, moving

    def _sums(self, pool: str, key: Key) -> Counted | None:
        """Return the pool's own row and the differences of the sums; None if a customer entered or left."""
        kept, moving = self.sums_kept()
        of_misplaced = {
            items.key_of(item): invariants.stored_counters(item)[1]
            for item in self.lists.table.get(list(self.misplaced)).values()
        }
        counted = sum((Counter(counts) for counts in of_misplaced.values()), Counter[str]())
        for item in self.lists.customers():
            counted.update(invariants.stored_counters(item)[1] if items.key_of(item) not in of_misplaced else {})
        if self.sums_kept()[1] != moving:
            return None
        return moving[0], [Difference(name, counted[name], kept[name]) for name in SUMS if counted[name] != kept[name]]

    def _report_sums(self, pool: str, key: Key, left: Item, drift: list[Difference]) -> bool:
        """Repair and report the drift. The repair changes the pool's own row, since no member owns the difference."""
        more = [Attribute(each.kind).add(each.expected - each.found) for each in drift]
        if self.repair and self.lists.table.write([Update(key, more, unchanged(left, (*SUMS, "changes")))]) is not None:
            return False
        for each in drift:
            self.found(pool, each, self.repair)
        return True

    def _now(self, key: Key) -> Item:
        return self.lists.table.get([key]).get(key, {})


def _by(difference: Difference) -> Any:
    """Return the size of the drift, which stays constant while the counter changes."""
    return None if difference.found is None else difference.expected - difference.found


def _sums_in(stored: Item) -> dict[str, int]:
    """Return the sums stored in an item. A malformed counter counts as nothing."""
    sums = {name: items.deserialize_or_none(stored.get(name)) for name in SUMS}
    return {name: count for name, count in sums.items() if isinstance(count, int)}
