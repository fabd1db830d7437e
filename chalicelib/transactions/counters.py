"""Compute how a request changes members' items: their counters and the statistics of the day.

All changes are derived from transitions: the customer before and after, and the new events. No verb may count anything
itself, so counters always agree with the customers. The statistics of the current day are part of the member's item,
which the transition writes anyway. The first write of a new day archives the old day in its own row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.domain import rules
from chalicelib.domain.rules import PinQuota, Quota, Rule
from chalicelib.domain.transitions import Actor, Erase, QuotaUse, Remove, Rewrite, Transition, Write
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import Attribute, Serialized, all_of, unchanged
from chalicelib.dynamodb.items import Item, serialize
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Table, Update
from chalicelib.model import first_follow_ups
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import ACTIVITIES, Count, Customer, Event, Pool, in_cents

ACTIVITY_OF_EVENT: Final = {
    "claimed": "claimed", "assigned": "assigned", "followed_up": "followed_up", "released": "released",
    "reclaimed": "released", "expired": "expired", "won": "won",
}  # fmt: skip


_COUNTERS: Final = ("held", "pins", "private", "pooled", "aside", "leave_moved", "leave_not_transferred")
MAX_UNCOUNTED: Final = 50
_ROOM: Final = {"held": "room", "private": "private_room"}  # what is left of a member's own limit, by counter


def counter_changes(transition: Transition) -> dict[Key, Counter[str]]:
    """Return the changes of each member's counters and of their statistics of the day, and those of a tally."""
    if isinstance(transition, Remove) and transition.before is not None:
        # Only a customer as its import wrote it can be removed: available, or assigned.
        return _changes_of_removal(transition.before, transition.by)
    if isinstance(transition, Erase) and transition.before is not None:
        return _changes_of_removal(transition.before, transition.after.erased_by)
    if not isinstance(transition, Write) or isinstance(transition, Rewrite):
        return {}
    changes, tally = _changes_of_write(transition.before, transition.after), transition.tally
    return changes if tally is None else changes | {tally.key: Counter(tally.counters)}


def _changes_of_removal(before: Customer, by: str) -> dict[Key, Counter[str]]:
    sums: dict[Key, Counter[str]] = defaultdict(Counter)
    _count_held(before, -1, sums)
    sums[_member(before, by)]["pooled"] -= before.state != "private" and before.suppressed_at is None
    sums[_member(before, by)]["aside"] -= _is_set_aside(before)
    return sums


def _count_held(customer: Customer, sign: int, sums: dict[Key, Counter[str]]) -> None:
    """Add a held or private customer to the counters of its holder, or subtract it."""
    if customer.holder is None:
        return
    counts = sums[_member(customer, customer.holder)]
    if customer.state == "claimed":
        counts["held"] += sign
        counts["pins"] += sign * (customer.pinned_until is not None)
    elif customer.state == "private":
        counts["private"] += sign


def _changes_of_write(before: Customer | None, after: Customer) -> dict[Key, Counter[str]]:
    sums: dict[Key, Counter[str]] = defaultdict(Counter)
    if before is not None:
        _count_held(before, -1, sums)
    _count_held(after, 1, sums)
    since = 0 if before is None else before.version
    for event in after.tail:
        if event.seq > since:
            _count(event, after, sums)
    if (elapsed := time_to_first_follow_up(before, after)) is not None:
        sums[_member(after, after.tail[-1].by)][first_follow_ups.counter_of(elapsed)] += 1
    if aside := _is_set_aside(after) - _is_set_aside(before):
        last_holder = None if before is None else before.holder
        sums[_member(after, last_holder or after.tail[-1].by)]["aside"] += aside
    return sums


def _is_set_aside(customer: Customer | None) -> int:
    return int(customer is not None and customer.set_aside_at is not None and customer.suppressed_at is None)


def time_to_first_follow_up(before: Customer | None, after: Customer) -> int | None:
    """Return how long the claim had lasted, in milliseconds, if its holder has recorded the first follow-up."""
    if before is None or after.state != "claimed" or before.claim_id != after.claim_id:
        return None
    if before.last_follow_up_at is not None or after.last_follow_up_at is None or after.claimed_at is None:
        return None
    return after.last_follow_up_at - after.claimed_at


def activities(event: Event) -> list[str]:
    """Return what the event counts as in the statistics. A private customer that expires enters the pool too.

    A claim that a suppression ends counts as released. One that is suppressed does not enter.
    """
    entered = event.from_state in (None, "private") and event.to_state == "available" and event.type != "suppressed"
    kind = ACTIVITY_OF_EVENT.get(event.type)
    if event.type == "suppressed" and event.from_state == "claimed":
        kind = "released"
    return (["entered"] if entered else []) + ([] if kind is None else [kind])


def _count(event: Event, customer: Customer, sums: dict[Key, Counter[str]]) -> None:
    """Credit an entry and a follow-up to the actor of the event, and everything else to the holder in the event.

    The service is no member: an entry by expiry is credited to the owner, whose item changes anyway. The pool does not
    count suppressed customers.
    """
    if event.type == "unsuppressed" or (event.type == "suppressed" and event.from_state != "private"):
        sums[_member(customer, event.by)]["pooled"] += 1 if event.type == "unsuppressed" else -1
    kinds = activities(event)
    entered = "entered" in kinds
    left = event.from_state in ("available", "claimed") and event.to_state == "private"
    by_actor = (entered or event.type == "followed_up") and event.by != SYSTEM
    whose = _member(customer, event.by if by_actor or event.holder is None else event.holder)
    if entered or left:
        sums[whose]["pooled"] += 1 if entered else -1
    for kind in kinds:
        sums[whose][kind] += 1
    if event.type == "won" and customer.amount is not None:
        sums[whose]["won_cents"] += in_cents(customer.amount)


def _member(customer: Customer, user: str) -> Key:
    return keys.member_key(customer.tenant, customer.pool, user)


class _Counted(msgspec.Struct):
    """The counters and limits as a member's item must hold them."""

    day: str
    did: dict[str, Count]
    held: Count = 0
    pins: Count = 0
    private: Count = 0
    pooled: int = 0
    aside: int = 0
    room: int = 0
    private_room: int = 0
    own_limit: Count | None = None
    own_private_limit: Count | None = None


def is_counted(member_item: Item) -> bool:
    """Return whether the counters and limits of the member can be read."""
    names = member_item.keys() & set(_Counted.__struct_fields__)
    try:
        msgspec.convert({name: items.deserialize(member_item[name]) for name in names}, _Counted)
    except items.MALFORMED:
        return False
    return True


def _quota_uses(transitions: Iterable[Transition]) -> Counter[QuotaUse]:
    return Counter(each.quota_use for each in transitions if isinstance(each, Write) and each.quota_use is not None)


class Counters:
    """The members' items that one request writes.

    `expired` holds, by member, a rule for each private customer past its deadline that a pool which is not open has not
    returned. It does not count against the private limit (rule 31), so a transaction that needs its room has the rule
    as a condition.
    """

    def __init__(self, actor: Actor, target_pool: Pool | None = None) -> None:
        self._actor, self._target_pool = actor, target_pool
        self._seen: dict[Key, Item] = {}
        self.expired: dict[Key, list[Rule]] = {}
        self._uncounted: dict[Key, int] = {}  # how many of `expired` the transactions need
        self._evaluated: Counter[QuotaUse] = Counter()
        self._changes: dict[int, tuple[Transition, dict[Key, Counter[str]]]] = {}

    def learn(self, failed_items: Mapping[Key, Item]) -> set[Key]:
        """Store the member items among the failed items; {} means that the member was removed.

        Return the keys of malformed members, whose counters cannot be read.
        """
        members = {key: item for key, item in failed_items.items() if not item or keys.is_member(key)}
        malformed = {key for key, item in members.items() if item and not is_counted(item)}
        self._seen |= {key: item for key, item in members.items() if key not in malformed}
        return malformed

    def begin_days(self, table: Table) -> None:
        """Archive old days in transactions of their own: an atomic batch may leave no space for that."""
        for key in [key for key in self._seen if self._day_is_over(key)]:
            begin = [rules.day.set(self._today(key)), rules.did.set({})]
            table.write([Update(key, begin, activity_unchanged(self._seen[key])), self._archive_old_day(key)])
            del self._seen[key]  # this process or another one has done it

    def keys(self, transition: Transition) -> set[Key]:
        """Return the keys of the items that hold the counters of a transition."""
        sums, rows = self._credited([transition])
        use = transition.quota_use if isinstance(transition, Write) else None
        if use is not None and use.counter == "pins":
            # Renewing an ended pin changes no counter, but its limit is checked.
            sums.setdefault(self._member_key(use), Counter())
        members = {key for key in sums if self._seen.get(key) != {}}
        required = {rule.key for rule in self.uncounted([transition])}
        return members | rows.keys() | {self._row(key) for key in members if self._day_is_over(key)} | required

    def quotas(self, transitions: Iterable[Transition]) -> list[Quota | PinQuota]:
        """Return the limits of each member who takes customers or pins in this request."""
        return [self._quota(use, count + self._evaluated[use]) for use, count in _quota_uses(transitions).items()]

    def uncount(self, quota: Quota, missing: int) -> bool:
        """Leave as many of the member's expired private customers out of the count as are missing. Return whether any.

        There is a maximum, so that a transaction has room for the customers that the member takes.
        """
        wanted = min(quota.uncounted + missing, len(self.expired[quota.key]), MAX_UNCOUNTED)
        self._uncounted[quota.key] = wanted
        return wanted > quota.uncounted

    def count_again(self, failed_items: Mapping[Key, Item]) -> bool:
        """Count the customers again that are not expired private customers any more. Return whether there are any."""
        changed = False
        for key, required in self.expired.items():
            valid = [rule for rule in required if rules.first_broken([rule], failed_items) is None]
            changed = changed or len(valid) < len(required)
            self.expired[key], self._uncounted[key] = valid, min(self._uncounted.get(key, 0), len(valid))
        return changed

    def uncounted(self, transitions: Iterable[Transition]) -> list[Rule]:
        """Return the rules for the customers that the limits of these transitions do not count."""
        if not self.expired:
            return []
        owners = {self._member_key(use) for use in _quota_uses(transitions) if use.counter == "private"}
        return [rule for key in owners for rule in self.expired.get(key, [])[: self._uncounted.get(key, 0)]]

    def count_evaluated(self, transitions: Iterable[Transition]) -> None:
        """Count these uses, which are not written, for the limits of further ones: all of a failed atomic batch."""
        self._evaluated = _quota_uses(transitions)

    def _quota(self, use: QuotaUse, count: int) -> Quota | PinQuota:
        actor, key = self._actor, self._member_key(use)
        if use.counter == "pins":
            return PinQuota(key, actor.policy.pin_limit or 0, count)
        private = use.counter == "private"
        uncounted = self._uncounted.get(key, 0) if private else 0
        return Quota(
            key, actor.policy, actor.now, count, use.daily, self._day_is_over(key), actor.home, private, uncounted
        )

    def _member_key(self, use: QuotaUse) -> Key:
        return keys.member_key(self._actor.tenant, self._actor.pool, use.recipient)

    def actions(
        self,
        transitions: Iterable[Transition],
        required: dict[Key, list[Condition]],
        quotas: Iterable[Quota | PinQuota],
    ) -> list[Action]:
        """Return one action per member item, with all its conditions, for any number of customers."""
        sums, credited = self._credited(transitions)
        required = {key: list(conditions) for key, conditions in required.items()}
        updates = dict[Key, list[Any]]()
        rows = [_added_to_row(key, counts) for key, counts in credited.items()]
        for key, counts in sums.items():
            changes, conditions = self._change(key, counts)
            if changes and self._seen.get(key) != {}:  # one who is no member any more has no counters
                updates[key] = changes
                required.setdefault(key, []).extend([rules.pk.exists(), *conditions])
                rows += [self._archive_old_day(key)] if self._day_is_over(key) and _activities(counts) else []
        for quota in quotas:
            required.setdefault(quota.key, []).append(quota.condition())
            if isinstance(quota, Quota) and quota.uncounted:
                change, condition = self._uncounting(quota.key)
                updates.setdefault(quota.key, []).append(change)
                required[quota.key] += [rules.pk.exists(), condition]
        checks = [Check(key, all_of(conditions)) for key, conditions in required.items() if key not in updates]
        return [*checks, *(Update(key, change, all_of(required[key])) for key, change in updates.items()), *rows]

    def _changes_of(self, transition: Transition) -> dict[Key, Counter[str]]:
        """Return the changes of a transition. A transaction needs them twice: to be counted, and to be written."""
        known, changes = self._changes.get(id(transition), (None, {}))
        if known is not transition:
            changes = counter_changes(transition)
            self._changes[id(transition)] = (transition, changes)
        return changes

    def _credited(self, transitions: Iterable[Transition]) -> tuple[dict[Key, Counter[str]], dict[Key, Counter[str]]]:
        """Return the changes of members' items and of rows.

        Customers that an admin creates count in the pool's own row and in the row of the day, and an admin's follow-ups
        in the latter, since an admin need not be a member. Both rows are sums, so it makes no difference if the admin
        becomes a member.
        """
        sums: dict[Key, Counter[str]] = defaultdict(Counter)
        rows: dict[Key, Counter[str]] = defaultdict(Counter)
        for transition in transitions:
            for key, counts in self._changes_of(transition).items():
                admins = self._actor.admin and keys.id_from_pk(key.pk) == self._actor.user
                for name, count in counts.items():
                    row = self._row_for(key, name) if admins else None
                    (sums[key] if row is None else rows[row])[name] += count
        return sums, {row: counts for row, counts in rows.items() if any(counts.values())}

    def _row_for(self, member: Key, counter: str) -> Key | None:
        """Return the row that holds this counter of an admin, or None for their member item."""
        if counter in ("pooled", "aside"):
            return keys.pool_counts_key(self._actor.tenant, keys.pool_from_pk(member.pk))
        of_actor = counter in ("entered", "followed_up") or first_follow_ups.minutes_of(counter) is not None
        return keys.day_key(member, self._today(member)) if of_actor else None

    def _change(self, key: Key, counts: Counter[str]) -> tuple[list[Any], list[Condition]]:
        changes = [_added(name, counts[name]) for name in _COUNTERS if counts[name]]
        changes += [_added(_ROOM[name], -counts[name]) for name in _ROOM if counts[name]]
        kinds = _activities(counts)
        if not kinds:
            return changes, []
        if self._day_is_over(key):
            start = [rules.day.set(self._today(key)), rules.did.set(kinds)]
            return [*changes, *start], [activity_unchanged(self._seen[key])]
        counted = [_counted(kind, count) for kind, count in kinds.items()]
        return [*changes, *counted], [rules.day == self._day(key)]

    def _uncounting(self, key: Key) -> tuple[Any, Condition]:
        """Store the latest time at which a limit of the member was computed without expired customers."""
        stored = self._seen.get(key, {}).get("uncounted_at")
        latest = self._actor.now if stored is None else max(self._actor.now, items.deserialize(stored))
        condition = rules.uncounted_at.does_not_exist() | (rules.uncounted_at <= latest)
        return rules.uncounted_at.set(latest), condition

    def _today(self, key: Key) -> str:
        """Return today in the time zone of the member's pool."""
        pool = self._actor.home
        if self._target_pool is not None and keys.pool_from_pk(key.pk) == self._target_pool.id:
            pool = self._target_pool
        return pool.day(self._actor.now)

    def _day(self, key: Key) -> str:
        """Return the day that the member's item counts: today, or a later stored day if clocks differ."""
        seen = self._seen.get(key)
        return max(self._today(key), str(items.deserialize(seen["day"]))) if seen else self._today(key)

    def _day_is_over(self, key: Key) -> bool:
        """Return whether the stored item counts a day that is over."""
        seen = self._seen.get(key)
        return seen is not None and seen != {} and items.deserialize(seen["day"]) < self._today(key)

    def _row(self, key: Key) -> Key:
        return keys.day_key(key, items.deserialize(self._seen[key]["day"]))

    def _archive_old_day(self, key: Key) -> Update:
        """Add the old day to its row, which exists if the member was removed and added again on that day."""
        return archive_day(self._row(key), items.deserialize(self._seen[key]["did"]))


# Cached, since nearly all claims change a counter by the same number.


@lru_cache(maxsize=256)
def _added(counter: str, count: int) -> Any:
    return Attribute(counter).add(count)


@lru_cache(maxsize=256)
def _counted(kind: str, count: int) -> Any:
    """Add to the count of today; an absent count is 0."""
    return rules.did[kind].set((rules.did[kind] | 0) + Serialized(serialize(count)))


def archive_day(row: Key, did: Mapping[str, int]) -> Update:
    """Add the activities of a day to its row, with those that only a later version of the service knows (I11)."""
    return Update(row, [Attribute(kind).add(did.get(kind, 0)) for kind in dict.fromkeys((*ACTIVITIES, *did))])


def archived_counts(row: Item | None) -> dict[str, int]:
    """Return the counts in the row of a day: each of its numbers. Raises one of MALFORMED."""
    kinds = [kind for kind, tagged in (row or {}).items() if kind in ACTIVITIES or "N" in tagged]
    counts = msgspec.convert({kind: items.deserialize((row or {})[kind]) for kind in kinds}, dict[str, Count])
    return {kind: count for kind, count in counts.items() if count}


def take_day(key: Key, row: Item | None) -> Action:
    """Subtract the counts read from the row of a day, if it is unchanged. Require no row if none was read.

    So a day is counted in one place: in the row, or in the item of the member who was added again.
    """
    if row is None:
        return Check(key, rules.pk.does_not_exist())
    counts = archived_counts(row)
    taken = [Attribute(kind).add(-count) for kind, count in counts.items()]
    same = unchanged(row, dict.fromkeys((*ACTIVITIES, *counts)))
    return Update(key, taken, same) if taken else Check(key, same)


def brought_in(row: Key, pooled: int, aside: int) -> Update:
    """Add to the pool's own row, which counts the customers that removed members and admins have created.

    `changes` only grows, so an audit that reads the row twice detects a change in between.
    """
    return Update(row, [rules.pooled.add(pooled), rules.aside.add(aside), rules.changes.add(1)])


def _added_to_row(row: Key, counts: Counter[str]) -> Update:
    if kinds := _activities(counts):
        return Update(row, [_added(kind, count) for kind, count in kinds.items()])
    return brought_in(row, counts["pooled"], counts["aside"])


def activity_unchanged(member_item: Item) -> Condition:
    """Require that the member has done nothing since the item was read, of any kind."""
    return unchanged(member_item, ("day", "pooled", "aside", "did"))


def _activities(counts: Counter[str]) -> dict[str, int]:
    """Return the counts for statistics: all but the counters of present customers."""
    return {kind: count for kind, count in counts.items() if count and kind not in _COUNTERS}
