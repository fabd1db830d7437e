"""Every rule of the pool, each written once: a condition that travels with the write, and the reason it names.

The engine evaluates the condition when it writes. If it refuses, the item that it returns is put through the same
condition (`first_broken`) to say which rule it was. So no function here returns a permission: none could be checked
first and relied on later. A list of rules is in the order in which they name a refusal (rule 3 of the domain).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, reduce
from operator import and_
from typing import Any

from msgspec import Struct
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path

from chalicelib.conditions import holds
from chalicelib.layout import FOREVER, Item, Key, plain
from chalicelib.records import Policy
from chalicelib.refusals import Refusal
from chalicelib.times import DAY

pk, state, version = Path("pk"), Path("state"), Path("version")
holder, claim_id, expires_at, entered_at = (
    Path("holder"),
    Path("claim_id"),
    Path("expires_at"),
    Path("entered_at"),
)
past_holders, claimed_at, extensions = Path("past_holders"), Path("claimed_at"), Path("extensions")
customer = Path("customer")
role, held, room, own_limit, days = Path("role"), Path("held"), Path("room"), Path("own_limit"), Path("days")


class Rule(Struct, frozen=True):
    """A condition on one item and the reason it gives when it is broken.

    Where the refusal ends at a known time, that time is attribute `ends_with` of the item plus `ends_after` ms.
    """

    reason: str
    key: Key
    condition: Condition
    ends_with: tuple[str, ...] = ()
    ends_after: int = 0


def all_of(conditions: Sequence[Condition]) -> Condition:
    return reduce(and_, conditions)


def broken(rules: Sequence[Rule], returned: Mapping[Key, Item]) -> Iterator[Refusal]:
    """The refusals named by the rules that returned items break, in order. Items not returned broke nothing."""
    for rule in rules:
        item = returned.get(rule.key)
        if item is not None and not holds(rule.condition, item):
            yield Refusal(rule.reason, retry_at=_end(rule, item))


def first_broken(rules: Sequence[Rule], returned: Mapping[Key, Item]) -> Refusal | None:
    """The refusal that is told: the first."""
    return next(broken(rules, returned), None)


def _end(rule: Rule, item: Item) -> int | None:
    content: Any = {"M": item}
    for name in rule.ends_with:
        content = content["M"].get(name)
        if content is None:
            return None
    return plain(content) + rule.ends_after if rule.ends_with else None


# About a customer


def exists(key: Key) -> Rule:
    return Rule("not_found", key, pk.exists())


def unchanged_since(key: Key, known: int) -> Rule:
    """The client said If-Match."""
    return Rule("version_conflict", key, version == known)


def free_to_claim(key: Key, now: int) -> Rule:
    """Available, or claimed past its deadline: a lapsed claim is free for everybody, swept or not (rule 6)."""
    lapsed = (state == "claimed") & (expires_at <= now)
    return Rule("already_claimed", key, (state == "available") | lapsed, ends_with=("expires_at",))


def past_embargo(key: Key, policy: Policy, now: int) -> list[Rule]:
    embargo = policy.length("embargo")
    if embargo is None:
        return []
    return [Rule("embargoed", key, entered_at <= now - embargo, ends_with=("entered_at",), ends_after=embargo)]


def cooled_down(key: Key, policy: Policy, user: str, now: int) -> list[Rule]:
    """Every past holder waits, not only the last one; one whose own claim lapsed left at its deadline."""
    cooldown = policy.length("cooldown")
    if cooldown is None:
        return []
    left_at = past_holders[user]
    long_ago = left_at.does_not_exist() | (left_at <= now - cooldown)
    lapsed_long_ago = (holder != user) | (expires_at <= now - cooldown)
    return [
        Rule("cooldown", key, lapsed_long_ago, ends_with=("expires_at",), ends_after=cooldown),
        Rule("cooldown", key, long_ago, ends_with=("past_holders", user), ends_after=cooldown),
    ]


def claimed(key: Key) -> Rule:
    return Rule("not_claimed", key, state == "claimed")


def held_by(key: Key, user: str) -> Rule:
    return Rule("not_holder", key, holder == user)


def same_claim(key: Key, known: str | None) -> list[Rule]:
    """A client that names the claim it knew cannot touch a newer one (rule 11)."""
    return [] if known is None else [Rule("claim_changed", key, claim_id == known)]


def in_the_pool(key: Key) -> Rule:
    return Rule("not_claimed", key, state != "private")


def private(key: Key) -> list[Rule]:
    return [Rule("already_claimed", key, state != "claimed"), Rule("duplicate_customer", key, state == "private")]


def extendable(key: Key, policy: Policy, by: int, deadline: int | None) -> list[Rule]:
    """How often and for how long a claim may be extended; one without a deadline has nothing to extend."""
    found = [
        Rule("extension_not_allowed", key, expires_at.exists()),
        Rule("extension_limit", key, expires_at < FOREVER - by),
    ]
    if policy.max_extensions is not None:
        found.append(Rule("extension_limit", key, extensions < policy.max_extensions))
    longest = policy.length("max_hold")
    if longest is not None and deadline is not None:
        found.append(Rule("extension_limit", key, claimed_at >= deadline - longest))
    return found


def not_expired(key: Key, now: int) -> Rule:
    return Rule("expired", key, expires_at.does_not_exist() | (expires_at > now))


def due(key: Key, now: int) -> Rule:
    """What the sweep returns: exactly the claims that `not_expired` has given up."""
    return Rule("claim_changed", key, (state == "claimed") & (expires_at <= now))


# About a phone number or an e-mail address


def not_taken(guard: Key, stale: Item | None) -> Rule:
    """Nobody has said it since it was looked up: then it was unheard of, or said by one that says it no more."""
    unheard: Condition = pk.does_not_exist()
    if stale is not None:
        unheard = unheard | (customer == plain(stale["customer"])) & (version == plain(stale["version"]))
    return Rule("key_taken", guard, unheard)


# About a member


# The moves of one request share these: the same rule, so asked once in a transaction.


@lru_cache(maxsize=1024)
def member(key: Key, reason: str = "not_a_member") -> Rule:
    return Rule(reason, key, pk.exists())


@lru_cache(maxsize=1024)
def manager(key: Key, reason: str = "not_manager") -> Rule:
    return Rule(reason, key, role == "manager")


class Quota(Struct, frozen=True):
    """The two limits on the `count` customers that one member takes in one transaction (rules 4 and 5).

    An assignment takes too, but is not `daily`: it does not count as a claim of the day.

    A condition has no arithmetic: what must be left is worked out here, and `room` is kept by the counter's updates
    where the limit is the member's own.
    """

    key: Key
    policy: Policy
    now: int
    count: int
    daily: bool = True

    def condition(self) -> Condition:
        return self._daily() & self._holding() if self._counts_today() else self._holding()

    def _counts_today(self) -> bool:
        return self.daily and self.policy.daily_claim_limit is not None

    def actions(self) -> list[Any]:
        """Counts the claims on today's counter; counters of the last days, a long weekend, are dropped on the way."""
        if not self.daily:
            return []
        today = days[self.policy.day(self.now)]
        passed = {self.policy.day(self.now - back * DAY) for back in (1, 2, 3)} - {self.policy.day(self.now)}
        return [today.set((today | 0) + self.count), *(days[day].remove() for day in sorted(passed))]

    def _daily(self) -> Condition:
        left = (self.policy.daily_claim_limit or 0) - self.count
        today = days[self.policy.day(self.now)]
        fits: Condition = (today <= left) | today.does_not_exist() if left >= 0 else today < 0
        return fits

    def _holding(self) -> Condition:
        own: Condition = own_limit.exists() & (room >= self.count)
        pools: Condition = own_limit.does_not_exist()
        if self.policy.holding_limit is not None:
            pools = pools & (held <= self.policy.holding_limit - self.count)
        fits: Condition = own | pools
        return fits

    def left(self, member_item: Item) -> tuple[int | None, int | None]:
        """How many claims that member may still make today, and how many they have room for; None where unlimited."""
        used, kept = self._used(member_item)
        limit = _limit(self.policy, member_item)
        today = max((self.policy.daily_claim_limit or 0) - used, 0) if self._counts_today() else None
        return today, None if limit is None else max(limit - kept, 0)

    def refusals(self, member_item: Item, granted: int) -> list[Refusal]:
        """Why that member may not take one more after `granted` others, in the order of the rules; none if they may."""
        today, headroom = self.left(member_item)
        used, kept = self._used(member_item)
        found = []
        if today is not None and granted >= today:
            ends = self.policy.day_ends(self.now)
            found.append(Refusal("daily_limit", ends, self.policy.daily_claim_limit, used + granted))
        if headroom is not None and granted >= headroom:
            found.append(Refusal("holding_limit", limit=_limit(self.policy, member_item), used=kept + granted))
        return found

    def _used(self, member_item: Item) -> tuple[int, int]:
        today = member_item["days"]["M"].get(self.policy.day(self.now))
        return (0 if today is None else plain(today)), plain(member_item["held"])


def _limit(policy: Policy, member_item: Item) -> int | None:
    own = member_item.get("own_limit")
    return policy.holding_limit if own is None else plain(own)
