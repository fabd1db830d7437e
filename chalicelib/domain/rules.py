"""Define every rule of the pool once: a condition that travels with the write, and the reason of its refusal.

DynamoDB evaluates the condition on write. If it fails, `first_broken` evaluates the same condition on the returned item
to find the broken rule. No function here may return a permission: a check before the write would be a race. A list of
rules is in the order in which they give a refusal (rule 3 of the domain).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

from msgspec import Struct
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Value

from chalicelib.dynamodb.conditions import Attribute, all_of, evaluate
from chalicelib.dynamodb.items import FIRST_OWNER, PREVIOUS_OWNERS, Item, deserialize
from chalicelib.dynamodb.keys import NO_DEADLINE, STORED_NAMES, Key
from chalicelib.dynamodb.pool_items import NAMING
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Pool
from chalicelib.model.policy import Policy
from chalicelib.model.text import is_blank
from chalicelib.model.validation import FieldError

pk, state, status, version = Attribute("pk"), Attribute("state"), Attribute("status"), Attribute("version")
created_at, erased_at = Attribute("created_at"), Attribute("erased_at")
holder, expires_at, entered_at = Attribute("holder"), Attribute("expires_at"), Attribute("entered_at")
set_aside_at, pinned_until = Attribute("set_aside_at"), Attribute("pinned_until")
returns, claim_id = Attribute(STORED_NAMES["returns"]), Attribute(STORED_NAMES["claim_id"])
suppressed_at = Attribute("suppressed_at")
PAST_HOLDERS: Final = STORED_NAMES["past_holders"]
past_holders, claimed_at = Attribute(PAST_HOLDERS), Attribute(STORED_NAMES["claimed_at"])
extensions = Attribute(STORED_NAMES["extensions"])
win_requested_at, win_declined_at = Attribute("win_requested_at"), Attribute("win_declined_at")
held_since, customer = Attribute("held_since"), Attribute("customer")
role, held, room, own_limit = Attribute("role"), Attribute("held"), Attribute("room"), Attribute("own_limit")
own_private_limit, private_count, private_room = (
    Attribute("own_private_limit"),
    Attribute("private"),
    Attribute("private_room"),
)
day, did, pins, pooled = Attribute("day"), Attribute("did"), Attribute("pins"), Attribute("pooled")
aside, changes = Attribute("aside"), Attribute("changes")
uncounted_at = Attribute("uncounted_at")
left_at, leave_id, leave_state = Attribute("left_at"), Attribute("leave_id"), Attribute("leave_state")
takes, rewrites = Attribute("takes"), Attribute("rewrites")
fields_since, fields_changing = Attribute("fields_since"), Attribute("fields_changing")  # of a pool
contact_keys = Attribute("keys")  # of the item with the fields


KEY_TAKEN: Final = "key_taken"  # another customer has got that phone number or e-mail address
VALUE_TAKEN: Final = "value_taken"  # another customer has that value of a unique field
KEY_CHANGED: Final = "key_changed"  # not a refusal of the request: the caller reads the unique keys again
MALFORMED_RECORD: Final = "malformed_record"  # only its own id is refused
TERRITORY_CHANGED: Final = "territory_changed"  # not a refusal of the request: the caller learns it and plans again
BY_MANAGER: Final = "by_manager"  # not a refusal of the request: the caller plans it as a manager's
PLAN_OUTDATED: Final = "throttled"  # not a refusal: the pool, its fields, the leave or the time changed: plan again


class Rule(Struct, frozen=True):
    """A condition on one item, and the reason of the refusal if it fails.

    If the refusal ends at a known time, that time is attribute `ends_with` of the item plus `ends_after` ms. For a
    `limit`, `used` is the attribute that counts. `errors` are errors in the request.
    """

    reason: str
    key: Key
    condition: Condition
    ends_with: tuple[str, ...] = ()
    ends_after: int = 0
    limit: int | None = None
    used: str = ""
    errors: tuple[FieldError, ...] = ()


def broken_rules(rules: Sequence[Rule], returned: Mapping[Key, Item]) -> Iterator[Refusal]:
    """Yield a refusal for each rule that a returned item breaks, in order. Items not returned broke nothing."""
    for rule in rules:
        item = returned.get(rule.key)
        if item is not None and not evaluate(rule.condition, item):
            used = deserialize(item[rule.used]) if rule.used in item else None
            yield Refusal(rule.reason, _end(rule, item), rule.limit, used, rule.errors)


def first_broken(rules: Sequence[Rule], returned: Mapping[Key, Item]) -> Refusal | None:
    """Return the refusal of the first broken rule, or None."""
    return next(broken_rules(rules, returned), None)


def same_rules(some: Sequence[Rule], others: Sequence[Rule]) -> bool:
    """Return whether both require the same of the same items, in the same order. Conditions compare as text."""
    return [_identity(rule) for rule in some] == [_identity(rule) for rule in others]


def _identity(rule: Rule) -> tuple[str, Key, str, tuple[str, ...]]:
    return rule.reason, rule.key, str(rule.condition), rule.ends_with


def _end(rule: Rule, item: Item) -> int | None:
    content: Any = {"M": item}
    for name in rule.ends_with:
        content = content["M"].get(name)
        if content is None:
            return None
    return deserialize(content) + rule.ends_after if rule.ends_with else None


# About a customer


@lru_cache(maxsize=64)
def pool_accepts_customers(key: Key) -> Rule:
    """Require a pool that exists and is not closed."""
    return Rule("pool_not_open", key, pk.exists() & (status != "closed"))


@lru_cache(maxsize=64)
def pool_unchanged(key: Key, read: int) -> Rule:
    """Require that the pool is unchanged since it was read. Otherwise everything is planned again."""
    return Rule(PLAN_OUTDATED, key, version == read)


def does_not_exist(key: Key) -> Rule:
    """Require that no such customer exists."""
    return Rule("duplicate_customer", key, pk.does_not_exist())


def not_erased(key: Key) -> Rule:
    """Require that no customer of that id has been erased: the id is not used again (rule 38)."""
    return Rule("suppressed", key, erased_at.does_not_exist())


def not_suppressed(key: Key) -> Rule:
    """Require a customer that may be contacted (rule 49)."""
    return Rule("suppressed", key, suppressed_at.does_not_exist())


def exists(key: Key) -> Rule:
    return Rule("not_found", key, pk.exists())


def customer_exists(key: Key, reason: str = "not_found") -> Rule:
    """Require a customer that is not erased: a tombstone has no state."""
    return Rule(reason, key, state.exists())


def same_version(known_version: int, known_created_at: int) -> Condition:
    """Require the same customer at this version. A customer created again under the id restarts at version 1."""
    condition: Condition = (version == known_version) & (created_at == known_created_at)
    return condition


def same_rewrites(known: int) -> Condition:
    """Require that nothing has computed the keys in the item of fields again since the customer was read."""
    condition: Condition = rewrites == known if known else rewrites.does_not_exist()
    return condition


def fields_still_change(pool: Key, since: int) -> Rule:
    """Require that the change of the pool's definitions that began at that time is still the last one."""
    return Rule(PLAN_OUTDATED, pool, fields_since == since)


def still_at_version(key: Key, written: int, known_created_at: int) -> Rule:
    """Require the version that was written: nothing has changed the customer since."""
    return Rule("version_conflict", key, same_version(written, known_created_at))


def matches_if_match(key: Key, known: int) -> Rule:
    """Require the version of the client's If-Match."""
    return Rule("version_conflict", key, version == known)


def free_to_claim(key: Key, policy: Policy, now: int) -> list[Rule]:
    """Require an available customer, or a claimed or private one past its deadline, swept or not (rules 6 and 31).

    A customer whose return would set it aside counts as set aside already (rule 19).
    """
    not_set_aside: Condition = set_aside_at.does_not_exist()
    if policy.max_returns is not None:
        not_set_aside = not_set_aside & ((state == "available") | (returns < policy.max_returns - 1))
    return [not_held(key, now), not_suppressed(key), Rule("set_aside", key, not_set_aside)]


def not_held(key: Key, now: int) -> Rule:
    """Require a customer that nobody holds or owns, or whose deadline has passed."""
    return Rule("already_claimed", key, (state == "available") | (expires_at <= now), ends_with=("expires_at",))


def in_territory(key: Key, condition: Condition) -> Rule:
    """Require a customer in the member's territory, by the condition on its card (rule 37)."""
    return Rule("territory", key, condition)


def past_embargo(key: Key, policy: Policy, now: int, entry: str = "entered_at") -> list[Rule]:
    """Require that the embargo since the time in the attribute `entry` is over."""
    embargo = policy.length("embargo")
    if embargo is None:
        return []
    return [Rule("embargoed", key, Attribute(entry) <= now - embargo, ends_with=(entry,), ends_after=embargo)]


def cooled_down(key: Key, policy: Policy, user: str, now: int) -> list[Rule]:
    """Require that this user's cooldown is over. It starts at the deadline of an expired claim that is still stored."""
    cooldown = policy.length("cooldown")
    if cooldown is None:
        return []
    left_at = past_holders[user]
    long_ago = (holder == user) | left_at.does_not_exist() | (left_at <= now - cooldown)
    expired_long_ago = (holder != user) | expires_at.does_not_exist() | (expires_at <= now - cooldown)
    return [
        Rule("cooldown", key, expired_long_ago, ends_with=("expires_at",), ends_after=cooldown),
        Rule("cooldown", key, long_ago, ends_with=(PAST_HOLDERS, user), ends_after=cooldown),
    ]


def hold_used_up(key: Key, left_at: tuple[str, ...], window: int) -> Rule:
    """Refuse a user whose hold is used up, until `window` after the time of leaving that this attribute holds."""
    return Rule("cooldown", key, pk.does_not_exist(), ends_with=left_at, ends_after=window)


def claimed(key: Key) -> Rule:
    return Rule("not_claimed", key, state == "claimed")


def held_by(key: Key, user: str) -> Rule:
    return Rule("not_holder", key, holder == user)


def same_claim(key: Key, known: str | None) -> list[Rule]:
    """Require the claim that the client names, so that it cannot change a newer one (rule 11)."""
    return [] if known is None else [Rule("claim_changed", key, claim_id == known)]


def win_not_requested_before(key: Key) -> Rule:
    """Require a claim whose win was never requested, open or declined (rule 29)."""
    never = win_requested_at.does_not_exist() & win_declined_at.does_not_exist()
    return Rule("win_requested", key, never)


def no_open_win_request(key: Key) -> Rule:
    return Rule("win_requested", key, win_requested_at.does_not_exist())


def win_requested(key: Key) -> Rule:
    return Rule("win_not_requested", key, win_requested_at.exists())


def not_private(key: Key, now: int) -> Rule:
    """Require that nobody owns the customer, or that the deadline of a private one has passed."""
    return Rule("already_claimed", key, (state != "private") | (expires_at <= now), ends_with=("expires_at",))


def owned_by(key: Key, user: str) -> Rule:
    """Require the private customer of this user. Otherwise the cached customer is stale."""
    return Rule("not_found", key, (state == "private") & (holder == user))


def claimed_or_private(key: Key) -> Rule:
    """Require a claimed or a private customer."""
    return Rule("not_claimed", key, state != "available")


def unpinned(key: Key, now: int) -> Rule:
    """Require that no pin is active: a pin overrides the deadline."""
    pin_over = pinned_until.does_not_exist() | (pinned_until <= now)
    return Rule("pinned", key, pin_over, ends_with=("pinned_until",))


def private(key: Key) -> list[Rule]:
    return [Rule("not_private", key, state != "claimed"), Rule("already_available", key, state == "private")]


def extendable(key: Key, policy: Policy, by: int, earliest_start: int | None) -> list[Rule]:
    """Require a deadline, and the limits on the number and length of extensions.

    `earliest_start` is the earliest start of the hold that keeps the claim within the policy's `max_hold`.
    """
    conditions = [
        Rule("no_deadline", key, expires_at.exists()),
        Rule("extension_limit", key, expires_at < NO_DEADLINE - by),
    ]
    if policy.max_extensions is not None:
        most = policy.max_extensions
        conditions.append(Rule("extension_limit", key, extensions < most, limit=most, used=STORED_NAMES["extensions"]))
    if earliest_start is not None:
        began = (held_since >= earliest_start) | (held_since.does_not_exist() & (claimed_at >= earliest_start))
        conditions.append(Rule("extension_limit", key, began))
    return conditions


def not_expired(key: Key, now: int) -> Rule:
    return Rule("expired", key, expires_at.does_not_exist() | (expires_at > now))


def due(key: Key, now: int) -> Rule:
    """Require that the deadline has passed: the exact opposite of `not_expired`."""
    return Rule("claim_changed", key, (state != "available") & (expires_at <= now))


def expired_private(key: Key, owner: str, now: int) -> Rule:
    """Require a private customer of the owner past its deadline: it does not count against their limit (rule 31)."""
    return Rule("claim_changed", key, (state == "private") & (holder == owner) & (expires_at <= now))


# About a phone number or an e-mail address


@lru_cache(maxsize=1024)
def not_of_a_suppressed_customer(suppression_key: Key) -> Rule:
    """Require that no suppressed customer of the tenant has the contact (rule 49)."""
    return Rule("suppressed", suppression_key, pk.does_not_exist())


def erased_and(key: Key, since: int | None) -> Rule:
    """Require an erased customer that is suppressed since this time, or not at all."""
    same = suppressed_at.does_not_exist() if since is None else suppressed_at == since
    return Rule(KEY_CHANGED, key, erased_at.exists() & same)


def not_taken(unique_key: Key, stale: Item | None, reason: str = KEY_TAKEN) -> Rule:
    """Require that no customer has got the unique key since it was read: it was free, or `stale`."""
    free: Condition = pk.does_not_exist()
    if stale is not None:
        free = free | written_as(stale)
    return Rule(reason, unique_key, free)


def not_of_another(unique_key: Key, owner: str, known_created_at: int) -> Rule:
    """Require that no other customer of the pool has the value of a unique field (rule 35)."""
    own = (customer == owner) & (created_at == known_created_at)
    return Rule(VALUE_TAKEN, unique_key, pk.does_not_exist() | own)


def without_contact(fields_key: Key, contact_key: str) -> Rule:
    """Require that the customer with these fields does not have the contact. Keys differ in every part of the text."""
    return Rule(KEY_TAKEN, fields_key, ~contact_keys.contains(contact_key))


def still_written(unique_key: Key, item: Item) -> Rule:
    """Require that the unique-key item is unchanged since it was read."""
    return Rule(KEY_CHANGED, unique_key, written_as(item))


def written_as(unique_key: Item) -> Condition:
    as_then: Condition = (customer == deserialize(unique_key["customer"])) & same_version(
        deserialize(unique_key["version"]), deserialize(unique_key["created_at"])
    )
    return as_then


def take_unique_key(owner: Item, overtaken: Sequence[str] = ()) -> list[Any]:
    """Return the changes that give a unique key to this owner. The item keeps the owners before: an undo needs them.

    `overtaken` are the customers that take the key in the same transaction before this one, the latest first. DynamoDB
    reads each operand from the item as it was before.
    """
    changes = [Attribute(name).set(Value(owner[name])) for name in ("customer", "created_at", "version")]
    stored = (Attribute(name) | "" for name in ("customer", *PREVIOUS_OWNERS))
    for name, former in zip(PREVIOUS_OWNERS, (*overtaken, *stored), strict=False):
        changes.append(Attribute(name).set(former))
    first = overtaken[-1] if overtaken else Value(owner["customer"])
    return [*changes, Attribute(FIRST_OWNER).set(Attribute(FIRST_OWNER) | first)]


# About a member


# Cached, so that the transitions of one request share a rule object and a transaction checks it once.


@lru_cache(maxsize=1024)
def member(key: Key, reason: str = "not_a_member") -> Rule:
    return Rule(reason, key, pk.exists())


@lru_cache(maxsize=1024)
def stays(key: Key) -> Rule:
    """Require a member who has not left the company: nothing gives a customer to one who has (rule 33)."""
    return Rule("user_left", key, left_at.does_not_exist())


@lru_cache(maxsize=1024)
def clock_not_behind(key: Key, now: int) -> Rule:
    """Require that no limit of the member was computed at a later time, without customers expired by then (rule 31).

    The clocks of two processes differ, and such a customer must not get a later deadline afterward.
    """
    return Rule(PLAN_OUTDATED, key, uncounted_at.does_not_exist() | (uncounted_at <= now))


@lru_cache(maxsize=1024)
def same_territory(key: Key, known: str | None) -> Rule:
    """Require that the member's territory is the one that the claim was planned with; None for none."""
    return Rule(TERRITORY_CHANGED, key, takes.does_not_exist() if known is None else takes == known)


def naming(field: str) -> Attribute:
    """Return the counter of the territories of a pool that name the field."""
    return Attribute([f"{NAMING}{field}"])


def named_as_planned(key: Key, fields: Iterable[str], named: Iterable[str]) -> Rule:
    """Require that of these fields, territories name the `named` ones and no others."""
    conditions = []
    for field in sorted(fields):
        count = naming(field)
        conditions.append(count > 0 if field in named else count.does_not_exist() | (count <= 0))
    return Rule(TERRITORY_CHANGED, key, all_of(conditions))


def recipient(key: Key) -> list[Rule]:
    """Require a member who may get a customer from somebody else."""
    return [member(key, "taker_not_a_member"), stays(key)]


@lru_cache(maxsize=1024)
def manager(key: Key, reason: str = "not_manager") -> Rule:
    return Rule(reason, key, role == "manager")


@lru_cache(maxsize=1024)
def no_manager(key: Key) -> Rule:
    """Require a member who is not a manager: a manager's win needs no approval."""
    return Rule(BY_MANAGER, key, role != "manager")


def always_fails(key: Key, reason: str, limit: int | None = None, errors: tuple[FieldError, ...] = ()) -> Rule:
    """A rule that always fails, about an item that exists; reported only if all earlier rules pass."""
    return Rule(reason, key, pk.does_not_exist(), limit=limit, errors=errors)


def reason_given(key: Key, policy: Policy, reason: str | None) -> list[Rule]:
    """Require a reason for a release, if the policy requires one (rule 9). Comes after the membership rules."""
    return [always_fails(key, "reason_required")] if policy.reason_required and is_blank(reason or "") else []


# About a user


def user_stays(user_key: Key) -> Rule:
    """Require a user who has not left the company, also one who is not stored."""
    return Rule("user_left", user_key, leave_id.does_not_exist())


def leave_unchanged(user_key: Key, request: str, state: str) -> Rule:
    """Require that the leave is still that of this request, and in this state. Otherwise it is read again."""
    return Rule(PLAN_OUTDATED, user_key, (leave_id == request) & (leave_state == state))


# Cached, since nearly all claims of a pool have the same limits and take one customer.


@lru_cache(maxsize=256)
def _fits_day(most_before: int, starts_day: bool) -> Condition:
    """Require that at most `most_before` claims were made today."""
    today = did["claimed"]
    if most_before < 0:
        return pk.does_not_exist()
    if starts_day:
        return pk.exists()
    fits: Condition = (~(today < 0) & (today <= most_before)) | today.does_not_exist()
    return fits


@lru_cache(maxsize=256)
def _fits_holding(limit: int | None, count: int, private: bool) -> Condition:
    """Require space for `count` more customers under the pool's `limit`, or under the member's own one."""
    kept, left, own_most = (private_count, private_room, own_private_limit) if private else (held, room, own_limit)
    own: Condition = own_most.exists() & (left >= count)
    pools: Condition = own_most.does_not_exist()
    if limit is not None:
        pools = pools & (kept <= limit - count)
    fits: Condition = ~(kept < 0) & (own | pools)  # a negative counter is malformed
    return fits


class Quota(Struct, frozen=True):
    """The limits on the `count` customers that one member takes in one transaction (rules 4, 5 and 31).

    A claim counts for the daily and the holding limit, an assignment for the holding limit only: it is not `daily`. A
    `private` customer counts for the private limit only. `starts_day` is True if this transaction starts
    the member's day. `home` is the pool that defines the day, which it may keep when its time zone changes.

    The counter includes `uncounted` customers that do not count: the transaction requires `expired_private` of each.

    A condition has no arithmetic. So the remaining number is computed here, and for a member's own limit the updates of
    the counters maintain `room`.
    """

    key: Key
    policy: Policy
    now: int
    count: int
    daily: bool = True
    starts_day: bool = False
    home: Pool | None = None
    private: bool = False
    uncounted: int = 0

    @property
    def counter(self) -> str:
        return "private" if self.private else "held"

    def condition(self) -> Condition:
        holding = _fits_holding(self._pools_limit, self.count - self.uncounted, self.private)
        if not self._counts_today():
            return holding
        return all_of([_fits_day((self.policy.daily_claim_limit or 0) - self.count, self.starts_day), holding])

    def _counts_today(self) -> bool:
        return self.daily and not self.private and self.policy.daily_claim_limit is not None

    @property
    def _pools_limit(self) -> int | None:
        return self.policy.private_limit if self.private else self.policy.holding_limit

    def _limit(self, member_item: Item) -> int | None:
        own = member_item.get("own_private_limit" if self.private else "own_limit")
        return self._pools_limit if own is None else deserialize(own)

    def left(self, member_item: Item) -> tuple[int | None, int | None]:
        """Return the remaining claims of today and the remaining headroom; None means unlimited."""
        used, kept = self._used(member_item)
        limit = self._limit(member_item)
        today = max((self.policy.daily_claim_limit or 0) - used, 0) if self._counts_today() else None
        return today, None if limit is None else max(limit - kept, 0)

    def missing(self, member_item: Item) -> int:
        """Return how many of the customers have no room."""
        limit = self._limit(member_item)
        return 0 if limit is None else max(self._used(member_item)[1] + self.count - limit, 0)

    def refusals(self, member_item: Item, granted: int) -> list[Refusal]:
        """Return the refusals of one more customer after `granted` others, in the order of the rules."""
        today, headroom = self.left(member_item)
        used, kept = self._used(member_item)
        refusals = []
        if today is not None and granted >= today:
            ends = (self.home or self.policy).day_ends(self.now, deserialize(member_item["day"]))
            refusals.append(Refusal("daily_limit", ends, self.policy.daily_claim_limit, used + granted))
        if headroom is not None and granted >= headroom:
            reason = "private_limit" if self.private else "holding_limit"
            refusals.append(Refusal(reason, limit=self._limit(member_item), used=kept + granted))
        return refusals

    def _used(self, member_item: Item) -> tuple[int, int]:
        today = (self.home or self.policy).day(self.now)
        used = deserialize(member_item["did"]).get("claimed", 0) if deserialize(member_item["day"]) >= today else 0
        return used, deserialize(member_item[self.counter]) - self.uncounted


class PinQuota(Struct, frozen=True):
    """The limit on the pins of a member, who pins `count` of their own claims in one transaction (rule 16)."""

    counter: ClassVar[str] = "pins"

    key: Key
    limit: int
    count: int

    def condition(self) -> Condition:
        fits: Condition = ~(pins < 0) & (pins <= self.limit - self.count)
        return fits

    def left(self, member_item: Item) -> tuple[int | None, int | None]:
        """Return, like `Quota`, what is left for today and for all time: no day limits pins."""
        return None, max(self.limit - deserialize(member_item["pins"]), 0)

    def refusals(self, member_item: Item, granted: int) -> list[Refusal]:
        """Return the refusals of one more pin after `granted` others."""
        used = deserialize(member_item["pins"]) + granted
        return [Refusal("pin_limit", limit=self.limit, used=used)] if used >= self.limit else []
