"""What a request changes in members' items: their counters, and the statistics of the day.

All of it is derived from the moves: where a customer was, where it shall be, and the events between. No verb counts
anything itself, so no counter can disagree with the customers. The day's statistics ride in the member's item, which
the move writes anyway; the first write of a new day files the old day's under a row of their own, in its transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules
from chalicelib.domain.rules import Quota
from chalicelib.domain.transitions import Actor, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute, unchanged
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Table, Update
from chalicelib.model.model import ACTIVITIES, Customer, Event, Pool

ACTIVITY_OF_EVENT: Final = {
    "created": "entered", "imported": "entered", "deposited": "entered", "claimed": "claimed", "released": "released",
    "reclaimed": "released", "expired": "expired", "won": "won",
}  # fmt: skip


def counter_changes(transition: Transition) -> dict[Key, Counter[str]]:
    """By how much each member's counters change, and which of the day's statistics count one more."""
    if transition.removed_by is not None and transition.before is not None:
        return {
            _member(transition.before, transition.removed_by): Counter(pooled=-1)
        }  # it was available: nobody had touched it
    if transition.after is None:
        return {}
    sums: dict[Key, Counter[str]] = defaultdict(Counter)
    for customer, sign in ((transition.before, -1), (transition.after, 1)):
        if customer is not None and customer.state == "claimed" and customer.holder is not None:
            sums[_member(customer, customer.holder)]["held"] += sign
            sums[_member(customer, customer.holder)]["pins"] += sign * (customer.pinned_until is not None)
    since = 0 if transition.before is None else transition.before.version
    for event in transition.after.tail:
        if event.seq > since:
            _count(event, transition.after, sums)
    if aside := _is_set_aside(transition.after) - _is_set_aside(transition.before):
        whose = (
            transition.before.holder
            if transition.before is not None and transition.before.holder
            else transition.after.tail[-1].by
        )
        sums[_member(transition.after, whose)]["aside"] += aside
    return sums


def _is_set_aside(customer: Customer | None) -> int:
    return int(customer is not None and customer.set_aside_at is not None)


def _count(event: Event, customer: Customer, sums: dict[Key, Counter[str]]) -> None:
    """What enters is credited to who brought it in; all else to the holder that the event names."""
    entered = event.from_state in (None, "private") and event.to_state == "available"
    left = event.from_state != "private" and event.to_state == "private"
    whose = _member(customer, event.by if entered or event.holder is None else event.holder)
    if entered or left:
        sums[whose]["pooled"] += 1 if entered else -1
    if (kind := ACTIVITY_OF_EVENT.get(event.type)) is not None:
        sums[whose][kind] += 1


def _member(customer: Customer, user: str) -> Key:
    return keys.member_key(customer.tenant, customer.pool, user)


class Counters:
    """The members' items as one request writes them."""

    def __init__(self, actor: Actor, target_pool: Pool | None = None) -> None:
        self._actor, self._elsewhere = actor, target_pool
        self._seen: dict[Key, Item] = {}

    def learn(self, refusing: Mapping[Key, Item]) -> None:
        """Takes the members among the items that refused; {} is one who is no member any more."""
        self._seen |= {key: item for key, item in refusing.items() if not item or "day" in item}

    def begin_days(self, table: Table) -> None:
        """Files the old days that were seen, apart from any move: an atomic batch may leave no space for that."""
        for key in [key for key in self._seen if self._turns(key)]:
            begin = [rules.day.set(self._today(key)), rules.did.set({})]
            table.write([Update(key, begin, activity_unchanged(self._seen[key])), self._filed(key)])
            del self._seen[key]  # whether it was this process or another that did it

    def keys(self, transition: Transition) -> set[Key]:
        """The items, besides the customer's own, that a move's counters need."""
        sums, rows = self._credited([transition])
        members = {key for key in sums if self._seen.get(key) != {}}
        return members | rows.keys() | {self._row(key) for key in members if self._turns(key)}

    def quota(self, transitions: Iterable[Transition]) -> Quota | None:
        """The limits of the one member who takes customers in this request, if it is about taking."""
        takes = [transition for transition in transitions if transition.recipient is not None]
        if not takes or takes[0].recipient is None:
            return None
        actor = self._actor
        key = keys.member_key(actor.tenant, actor.pool, takes[0].recipient)
        return Quota(key, actor.policy, actor.now, len(takes), takes[0].daily, self._turns(key), actor.home)

    def actions(
        self, transitions: Iterable[Transition], asked: dict[Key, list[Condition]], quota: Quota | None
    ) -> list[Action]:
        """Each member's item once, under the conditions asked of it, whatever the number of customers."""
        sums, credited = self._credited(transitions)
        asked = {key: list(conditions) for key, conditions in asked.items()}
        updates, rows = {}, [_added_to_row(key, counts) for key, counts in credited.items()]
        for key, counts in sums.items():
            changes, conditions = self._change(key, counts)
            if changes and self._seen.get(key) != {}:  # one who is no member any more has no counters
                updates[key] = changes
                asked.setdefault(key, []).extend([rules.pk.exists(), *conditions])
                rows += [self._filed(key)] if self._turns(key) and _activities(counts) else []
        if quota is not None:
            asked.setdefault(quota.key, []).append(quota.condition())
        checks = [Check(key, rules.all_of(conditions)) for key, conditions in asked.items() if key not in updates]
        return [*checks, *(Update(key, change, rules.all_of(asked[key])) for key, change in updates.items()), *rows]

    def _credited(self, transitions: Iterable[Transition]) -> tuple[dict[Key, Counter[str]], dict[Key, Counter[str]]]:
        """What those moves add to members' items and to the pools' rows.

        What an admin brings in counts on the pool's own row, and on the row of their day: they need not be a member.
        Both rows only add up, so it makes no difference whether they are one meanwhile.
        """
        sums: dict[Key, Counter[str]] = defaultdict(Counter)
        rows: dict[Key, Counter[str]] = defaultdict(Counter)
        for transition in transitions:
            for key, counts in counter_changes(transition).items():
                admins = self._actor.admin and keys.id_from_pk(key.pk) == self._actor.user
                for name, count in counts.items():
                    row = self._row_for(key, name) if admins else None
                    (sums[key] if row is None else rows[row])[name] += count
        return sums, {row: counts for row, counts in rows.items() if any(counts.values())}

    def _row_for(self, member: Key, counter: str) -> Key | None:
        """Where that counter of an admin is kept, if it is not in their own item."""
        if counter in ("pooled", "aside"):
            return keys.leavers_key(self._actor.tenant, keys.pool_from_pk(member.pk))
        return keys.day_key(member, self._today(member)) if counter == "entered" else None

    def _change(self, key: Key, counts: Counter[str]) -> tuple[list[Any], list[Condition]]:
        changes = [_added(name, counts[name]) for name in ("held", "pins", "pooled", "aside") if counts[name]]
        changes += [_added("room", -counts["held"])] if counts["held"] else []
        kinds = _activities(counts)
        if not kinds:
            return changes, []
        if self._turns(key):
            start = [rules.day.set(self._today(key)), rules.did.set(kinds)]
            return [*changes, *start], [activity_unchanged(self._seen[key])]
        counted = [_counted(kind, count) for kind, count in kinds.items()]
        return [*changes, *counted], [rules.day == self._day(key)]

    def _today(self, key: Key) -> str:
        """The local day of the pool whose member that is."""
        pool = self._actor.home
        if self._elsewhere is not None and keys.pool_from_pk(key.pk) == self._elsewhere.id:
            pool = self._elsewhere
        return pool.day(self._actor.now)

    def _day(self, key: Key) -> str:
        """The day on which the member's item counts now: today or, where clocks disagree, the later one it has seen."""
        seen = self._seen.get(key)
        return max(self._today(key), str(items.deserialize(seen["day"]))) if seen else self._today(key)

    def _turns(self, key: Key) -> bool:
        """Whether that item was seen to count a day that is over."""
        seen = self._seen.get(key)
        return seen is not None and seen != {} and items.deserialize(seen["day"]) < self._today(key)

    def _row(self, key: Key) -> Key:
        return keys.day_key(key, items.deserialize(self._seen[key]["day"]))

    def _filed(self, key: Key) -> Update:
        """Adds the old day to its row: one may be there if the member was removed that day and came back."""
        return archive_day(self._row(key), items.deserialize(self._seen[key]["did"]))


# Hardly any two claims change a counter by another number.


@lru_cache(maxsize=256)
def _added(counter: str, count: int) -> Any:
    return Attribute(counter).add(count)


@lru_cache(maxsize=256)
def _counted(kind: str, count: int) -> Any:
    """To what was done today; an absent count is none."""
    return rules.did[kind].set((rules.did[kind] | 0) + count)


def archive_day(row: Key, did: Mapping[str, int]) -> Update:
    """Adds to a row what was done on its day."""
    return Update(row, [Attribute(kind).add(did.get(kind, 0)) for kind in ACTIVITIES])


def day_filed(row: Item | None) -> dict[str, int]:
    """What is filed in the row of a day."""
    counts = {kind: items.deserialize(row[kind]) for kind in ACTIVITIES if kind in row} if row else {}
    return {kind: count for kind, count in counts.items() if count}


def take_day(key: Key, row: Item | None) -> Action:
    """Takes out of the row of a day what was read in it, provided that it still says that; where none was read, that
    there is none. So a day is counted in one place, the row or the item of the member who was put back."""
    if row is None:
        return Check(key, rules.pk.does_not_exist())
    taken = [Attribute(kind).add(-count) for kind, count in day_filed(row).items()]
    same = unchanged(row, ACTIVITIES)
    return Update(key, taken, same) if taken else Check(key, same)


def brought_in(row: Key, pooled: int, aside: int) -> Update:
    """Adds to the pool's own row: what those who left, and admins, have brought in.

    `changes` only grows: an audit that reads the row twice sees from it that nothing came and went in between.
    """
    return Update(row, [rules.pooled.add(pooled), rules.aside.add(aside), rules.changes.add(1)])


def _added_to_row(row: Key, counts: Counter[str]) -> Update:
    if "entered" in counts:
        return Update(row, [_added("entered", counts["entered"])])
    return brought_in(row, counts["pooled"], counts["aside"])


def activity_unchanged(member_item: Item) -> Condition:
    """That the member has done nothing since that item was seen."""
    return unchanged(member_item, ("day", "pooled", "aside"), did=ACTIVITIES)


def _activities(counts: Counter[str]) -> dict[str, int]:
    return {kind: counts[kind] for kind in ACTIVITIES if counts[kind]}
