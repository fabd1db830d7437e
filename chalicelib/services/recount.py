"""Counts customers again where a counter seems to have drifted, until it is sure; and puts it right if it shall.

A pool in use does not stand still while it is counted. So a count stands only if what it is compared with is the same
before and after, and a difference is drift only if several counts in a row find it. A repair is bound to what was read
and makes no transition. Nothing here looks at more of a customer than how it counts.
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
from chalicelib.dynamodb.keys import NO_DEADLINE, PLACE, ROSTER, Key
from chalicelib.dynamodb.table import MAX_KEYS_PER_READ, Table, Update, between
from chalicelib.model.model import ACTIVITIES, Pool

MIN_SECONDS_LEFT: Final = 1.0  # what a page may take at worst
MAX_ROUNDS: Final = 12  # of counting again
CONFIRMED: Final = 3  # as many in a row that find the same
PAUSE_S: Final = 0.25  # between two of them: an index is a moment late
COUNTED: Final = (*invariants.COUNTERS, *SUMS, "own_limit", "version", "day")

Found = Callable[[str, Difference, bool], None]
Counted: TypeAlias = tuple[Item, list[Difference]]
Count = Callable[[str, Key], Counted | None]
Judged = Callable[[str, Key, Item, list[Difference]], bool]


class OutOfTime(Exception):
    """The rest is for another audit."""


class Lists(Struct, frozen=True):
    """The lists of one pool. Each gives the items that it leads to, as they are now; an item may come twice where it
    moves meanwhile. Raises OutOfTime."""

    table: Table
    pool: Pool
    seconds_left: Callable[[], float]

    def of(self, index: str, partition: str, **asked: Any) -> Iterator[Item]:
        for page in self.table.pages(partition, index=index, limit=MAX_KEYS_PER_READ, **asked):
            if self.seconds_left() < MIN_SECONDS_LEFT:
                raise OutOfTime
            yield from self.table.get(page.keys).values()

    def customers(self) -> Iterator[Item]:
        return self.of(ROSTER, keys.customer_roster(self.pool.tenant, self.pool.id))

    def members(self) -> Iterator[Item]:
        return self.of(ROSTER, keys.member_roster(self.pool.tenant, self.pool.id))

    def claims_of(self, user: str) -> Iterator[Item]:
        place = keys.place_of_holder(self.pool.tenant, self.pool.id, user)
        return self.of(PLACE, place, between=between(PLACE, high=NO_DEADLINE))


class Recount(Struct, frozen=True):
    """Of one pool. `astray` are customers to which the lists may not lead, so that they are looked at in any case;
    `found` takes what has drifted, and whether it was put right. Each count answers with what it could not settle."""

    lists: Lists
    astray: set[Key]
    found: Found
    repair: bool
    wait: Callable[[float], None]

    def of_members(self, suspects: dict[str, Key]) -> list[str]:
        return self._until_sure(suspects, self._member, self._judged_member)

    def of_pool(self) -> list[str]:
        key = keys.leavers_key(self.lists.pool.tenant, self.lists.pool.id)
        return self._until_sure({self.lists.pool.id: key}, self._sums, self._judged_sums)

    def _until_sure(self, waiting: dict[str, Key], count: Count, judged: Judged) -> list[str]:
        """Counts in rounds until each is cleared or judged, and gives those that never stood still."""
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
                if counted is not None and sure and (not by or judged(name, key, *counted)):
                    del waiting[name]
        return list(waiting)

    # Members

    def _member(self, user: str, key: Key) -> Counted | None:
        """The member's item and what is wrong with it; None where it moved while their customers were counted."""
        before = self._now(key)
        astray = self.lists.table.get(list(self.astray)).values()
        claims = {key_of(item): item for item in (*self.lists.claims_of(user), *astray)}
        if self._now(key) != before:
            return None
        held: Counter[str] = Counter()
        for item in claims.values():
            holder, counts = invariants.stored_counters(item)
            held.update(counts if holder == user else {})
        if before:
            return before, invariants.check_counters(before, held["held"], held["pins"])
        return before, [Difference("held", held["held"], None)] if held["held"] else []

    def _judged_member(self, user: str, key: Key, stored: Item, drift: list[Difference]) -> bool:
        """It is drift. False where the repair came too late, so that there is something new to count."""
        right = [Attribute(each.kind).set(each.expected) for each in drift]
        mended = self.repair and stored != {}
        if (
            mended
            and self.lists.table.write([Update(key, right, unchanged(stored, COUNTED, did=ACTIVITIES))]) is not None
        ):
            return False
        for each in drift:
            self.found(user, each, mended)
        return True

    # What the members' counters make together

    def sums_kept(self) -> tuple[Counter[str], list[Any]]:
        """How many customers the pool has by its members and those who left; and what moves whenever that does."""
        left = self._now(keys.leavers_key(self.lists.pool.tenant, self.lists.pool.id))
        kept = Counter(_sums_in(left))
        moving: list[Any] = [left]
        for stored in self.lists.members():
            kept.update(_sums_in(stored))
            moving.append([stored["pk"], stored.get("day"), stored.get("did", {}).get("M", {}).get("entered")])
            moving[-1] += [stored.get(name) for name in SUMS]
        return kept, moving

    def _sums(self, pool: str, key: Key) -> Counted | None:
        """The pool's own row, and what is wrong with the sums; None where a customer entered or left."""
        kept, moving = self.sums_kept()
        items = {
            key_of(item): invariants.stored_counters(item)[1]
            for item in self.lists.table.get(list(self.astray)).values()
        }
        counted = sum((Counter(counts) for counts in items.values()), Counter[str]())
        for item in self.lists.customers():
            counted.update(invariants.stored_counters(item)[1] if key_of(item) not in items else {})
        if self.sums_kept()[1] != moving:
            return None
        return moving[0], [Difference(name, counted[name], kept[name]) for name in SUMS if counted[name] != kept[name]]

    def _judged_sums(self, pool: str, key: Key, left: Item, drift: list[Difference]) -> bool:
        """It is drift. The difference goes to the pool's own row, since it is nobody's in particular."""
        more = [Attribute(each.kind).add(each.expected - each.found) for each in drift]
        if self.repair and self.lists.table.write([Update(key, more, unchanged(left, (*SUMS, "changes")))]) is not None:
            return False
        for each in drift:
            self.found(pool, each, self.repair)
        return True

    def _now(self, key: Key) -> Item:
        return self.lists.table.get([key]).get(key, {})


def key_of(stored: Item) -> Key:
    return Key(stored["pk"]["S"], stored["sk"]["S"])


def _by(difference: Difference) -> Any:
    """How far off it is: what stays, when a drifted counter goes on counting."""
    return None if difference.found is None else difference.expected - difference.found


def _sums_in(stored: Item) -> dict[str, int]:
    """A malformed counter counts nothing."""
    sums = {name: items.deserialize(stored[name]) for name in SUMS if name in stored}
    return {name: count for name, count in sums.items() if isinstance(count, int)}
