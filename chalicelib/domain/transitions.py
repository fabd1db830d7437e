"""Plan a transition of one customer: from the cached customer to the new one, with the rules it needs.

Pure: the current time and new ids are arguments; nothing is read or written here. Of the
refusals, only the status of the pool is decided here: it is cached. All other rules travel with the transition, and
DynamoDB evaluates them on write. A transition is bound to the version it was planned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import deadlines, masking, rules
from chalicelib.domain.rules import Rule
from chalicelib.dynamodb import cards, items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model import contact_keys, unique_values
from chalicelib.model.contact_keys import KeyKind, KeySecret
from chalicelib.model.errors import Refusal
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import Customer, Pool, Tombstone, transitioned
from chalicelib.model.policy import Policy
from chalicelib.model.territories import Territory

PAST_HOLDERS_KEPT = 3  # without a cooldown
POOL_NOT_OPEN = Refusal("pool_not_open")


class Actor(Struct, frozen=True):
    """The user who acts, in which pool, and when.

    `if_match` is the version that a client requires. `request_marker` identifies the request in the events it writes.
    `admin` is True for an admin of the tenant, from the verified token. `secret` is for the keys of contacts. Only this
    class decides which conditions a role needs, for every verb and every read.
    """

    home: Pool
    user: str
    now: int
    if_match: int | None = None
    request_marker: str = ""
    admin: bool = False
    secret: KeySecret = KeySecret()

    @property
    def tenant(self) -> str:
        return self.home.tenant

    @property
    def pool(self) -> str:
        return self.home.id

    @property
    def policy(self) -> Policy:
        return self.home.policy

    @property
    def member_key(self) -> Key:
        return keys.member_key(self.tenant, self.pool, self.user)

    def member_rules(self) -> list[Rule]:
        """Require a member of the pool. An admin needs no membership: the token is enough."""
        return [] if self.admin else [rules.member(self.member_key)]

    def manager_rules(self, reason: str = "not_manager") -> list[Rule]:
        """Require a manager of the pool. An admin manages every pool of the tenant (rule 47)."""
        return [] if self.admin else [rules.manager(self.member_key, reason)]

    def customer_key(self, customer: str) -> Key:
        return keys.customer_key(self.tenant, self.pool, customer)

    def contact_keys(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the keys of the contacts in a customer's fields, under the present policy."""
        return contact_keys.contact_keys(fields, self.home.definitions.kinds, self.policy.region, self.secret)

    def unique_keys(self, fields: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Return the keys of the values of unique fields, by field, under the present definitions."""
        return unique_values.unique_keys(fields, self.home.definitions, self.policy.region, self.secret)

    def keys_of_kind(self, kind: KeyKind, fields: Mapping[str, Any]) -> list[str]:
        """Return the keys of the phone numbers, of the e-mail addresses or of the external id in these fields."""
        return contact_keys.keys_of_kind(kind, fields, self.home.definitions.kinds, self.policy.region, self.secret)

    def clock(self, known: Customer | None) -> int:
        """Return the time to compare the deadline with.

        A pause stops it until the claim has been shifted. The deadlines of private customers go on (rule 31).
        """
        if known is not None and known.state == "private":
            return self.now
        shifted = known is not None and known.pauses == self.home.pauses
        return self.now if shifted else self.home.clock(self.now)

    def hides(self, known: Customer) -> bool:
        """Return whether only managers see the customer: it is private to another user (rule 36).

        Past its deadline anybody may claim it, so everybody sees it.
        """
        if self.admin or self.policy.private_visible_to == "pool" or known.state != "private":
            return False
        return known.holder != self.user and not known.expired(self.clock(known))


class Transition(Struct, frozen=True):
    """The change of one customer: one of the classes below.

    before: the cached customer that it was planned from.
    rules: the conditions, in the order in which they give a refusal.
    managed: only a manager can have made it, so the result is not masked.
    """

    key: Key
    before: Customer | None
    rules: tuple[Rule, ...]
    managed: bool = False

    @property
    def result(self) -> Customer | None:
        """Return the customer that the result shows after the commit, if any."""
        return None


class Recheck(Transition, frozen=True):
    """Evaluate the rules only. If all pass, the cached customer is stale, and the transition is planned again."""


class NoOp(Transition, frozen=True):
    """Evaluate the rules only. If all pass, nothing is left to do."""

    @property
    def result(self) -> Customer | None:
        return self.before


class QuotaUse(Struct, frozen=True):
    """A unit of a member's limits: a customer, a private customer or a pin, by its counter.

    Only a claim is `daily`: it uses the daily limit too.
    """

    recipient: str
    daily: bool = False
    counter: Literal["held", "pins", "private"] = "held"


class GivenUp(Struct, frozen=True):
    """A unique key that a customer loses. `next_owner` gets it, and without one its item is deleted.

    `rule` requires that the owner is the same, and `owner_rule` that the next owner still exists.
    """

    rule: Rule
    next_owner: Item | None
    owner_rule: Rule | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (self.rule,) if self.owner_rule is None else (self.rule, self.owner_rule)


class Tally(Struct, frozen=True):
    """Counters of an item outside the pool: a transition adds 1 to each."""

    key: Key
    counters: tuple[str, ...]


class Write(Transition, frozen=True, kw_only=True):
    """Write the customer `after`, which is new if `before` is None.

    already_held_by: if this user holds the customer, the transition is done already.
    note: additional attributes of the result.
    given_up: unique keys that the customer loses; their rules are among `rules`.
    tally: where the transition is counted beside the members' counters; its rules are among `rules`.
    """

    after: Customer
    quota_use: QuotaUse | None = None
    already_held_by: str | None = None
    note: dict[str, Any] = {}
    given_up: tuple[GivenUp, ...] = ()
    tally: Tally | None = None

    @property
    def result(self) -> Customer | None:
        return self.after


class Rewrite(Write, frozen=True, kw_only=True):
    """Write again what is derived from the fields of a customer. It has no event, and the version stays."""


class Relocate(Write, frozen=True, kw_only=True):
    """Move the customer to another key, in another pool."""

    target_key: Key


class Remove(Transition, frozen=True, kw_only=True):
    """Delete the customer. It loses the unique keys in `given_up`, whose rules are among `rules`."""

    by: str
    given_up: tuple[GivenUp, ...] = ()


class Erase(Transition, frozen=True, kw_only=True):
    """Replace the customer by a tombstone. It loses the unique keys in `given_up`, whose rules are among `rules`."""

    after: Tombstone
    given_up: tuple[GivenUp, ...] = ()


class Unsuppress(Transition, frozen=True, kw_only=True):
    """Give up the digests of an erased customer, which stays erased. `erased` is its tombstone before."""

    erased: Tombstone

    @property
    def after(self) -> Tombstone:
        return replace(self.erased, suppressed_at=None, digests=())


def pool_rules(actor: Actor) -> list[Rule]:
    """Require that a paused or closed pool is unchanged since it was read.

    The item of an open pool is never checked: it would be a hot item that every claim contends for. So its status and
    policy may be some seconds old.
    """
    pool = actor.home
    return [] if pool.status == "open" else [rules.pool_unchanged(keys.pool_key(pool.tenant, pool.id), pool.version)]


def pool_accepts(actor: Actor) -> list[Rule]:
    """Require that the pool exists and is not closed, so that an empty pool that closes stays empty."""
    return [rules.pool_accepts_customers(keys.pool_key(actor.tenant, actor.pool))]


def customer_rules(actor: Actor, key: Key, known: Customer | None = None, *, counted: bool = False) -> list[Rule]:
    """Return the first rules of every verb: the actor is a member and sees the customer, which matches If-Match.

    A verb that requires a manager before these rules need not give the `known` customer. A `counted` verb gives the
    actor customers and counts them, so an admin must be a member for it too.
    """
    belongs = [rules.member(actor.member_key), rules.stays(actor.member_key)] if counted else actor.member_rules()
    first = [*pool_rules(actor), *belongs, *_visibility(actor, key, known), rules.customer_exists(key)]
    return first if actor.if_match is None else [*first, rules.matches_if_match(key, actor.if_match)]


def _visibility(actor: Actor, key: Key, known: Customer | None) -> list[Rule]:
    """Require a manager for the private customer of another user: for others it does not exist (rule 36).

    A customer that was not private when it was read needs no condition: a change cancels the transaction, and the
    transition is planned again.
    """
    if known is None or known.holder is None or not actor.hides(known):
        return []
    return [*actor.manager_rules("not_found"), rules.owned_by(key, known.holder)]


def manager_verb_rules(actor: Actor) -> list[Rule]:
    """Require a manager, and an unchanged pool."""
    return [*pool_rules(actor), *actor.member_rules(), *actor.manager_rules()]


def no_territory() -> None:
    return None


def claim(
    actor: Actor,
    customer: str,
    known: Customer | None,
    new_id: Callable[[], str],
    *,
    by_id: bool = True,
    territory: Callable[[], Territory | None] = no_territory,
) -> Transition | Refusal:
    """Claim an available customer, or one past its deadline: then end that claim or ownership first.

    With `by_id` false (claim-next), a customer that the actor already holds is refused: only customers that this
    request takes are its results. `territory` returns the actor's cached territory at the time of planning.
    """
    if actor.home.status != "open":
        return POOL_NOT_OPEN
    key, required = actor.customer_key(customer), claiming_rules(actor, customer, known, territory())
    if known is None:
        return Recheck(key, None, required)
    after = with_new_claim(without_expired(actor, known), "claimed", actor, actor.user, new_id())
    already_held_by = actor.user if by_id else None
    use = QuotaUse(actor.user, daily=True)
    return Write(key, known, required, after=after, quota_use=use, already_held_by=already_held_by)


def claiming_rules(
    actor: Actor, customer: str, known: Customer | None, territory: Territory | None = None
) -> tuple[Rule, ...]:
    """Require a member, and a customer that is free to claim for them.

    A private customer whose deadline has passed entered the pool at that deadline.
    """
    key, now = actor.customer_key(customer), actor.now
    entry = "expires_at" if known is not None and known.state == "private" and known.expired(now) else "entered_at"
    return (
        *customer_rules(actor, key, known, counted=True),
        *rules.free_to_claim(key, actor.policy, actor.clock(known)),
        *_territory_rules(actor, key, known, territory),
        *rules.past_embargo(key, actor.policy, now, entry),
        *(hold_rules(actor, key, known, actor.user) or rules.cooled_down(key, actor.policy, actor.user, now)),
    )


def _territory_rules(actor: Actor, key: Key, known: Customer | None, territory: Territory | None) -> list[Rule]:
    """Require that the actor's territory is `territory`, and that the customer is in it (rule 37).

    A card that was written under other definitions of the fields is not used. Then the fields decide: the transition
    is bound to the version in which they were read.
    """
    same = rules.same_territory(actor.member_key, None if territory is None else territory.text)
    if territory is None:
        return [same]
    condition = cards.in_territory(territory, actor.home.definitions)
    if condition is None:
        return [same, rules.always_fails(key, "territory")]
    if known is None or known.card == cards.card_of(known.fields, actor.home):
        return [same, rules.in_territory(key, condition)]
    return [same] if cards.holds(known.fields, territory, actor.home) else [same, rules.always_fails(key, "territory")]


def hold_rules(actor: Actor, key: Key, known: Customer | None, user: str) -> list[Rule]:
    """Refuse a user who left lately and whose hold has used up `max_hold`: a claim would expire at once (rule 14).

    Such a hold is refused until the user could begin another, which is never before the cooldown ends.
    """
    policy = actor.policy
    if policy.max_hold is None or known is None:
        return []
    if not deadlines.hold_used_up(without_expired(actor, known), policy, user, actor.now):
        return []
    own = known.holder == user and known.expired(actor.clock(known))
    left_at = ("expires_at",) if own else (rules.PAST_HOLDERS, user)
    return [rules.hold_used_up(key, left_at, deadlines.hold_window(policy))]


def without_expired(actor: Actor, known: Customer) -> Customer:
    """Return the customer without a claim or an ownership that has expired."""
    return with_claim_expired(actor, known) if known.expired(actor.clock(known)) else known


def with_new_claim(
    start: Customer, event_type: str, actor: Actor, holder: str, claim_id: str, **changes: Any
) -> Customer:
    """Return the customer under a new claim. Its clock starts now, but not that of a hold it continues (rule 14)."""
    held_since = deadlines.continued_hold(start, actor.policy, holder, actor.now)
    clock = deadlines.started(actor.policy, actor.now, actor.home.pauses_over, held_since) | {"claim_id": claim_id}
    return transitioned(start, event_type, actor.user, actor.now, state="claimed", holder=holder, **clock, **changes)


def release(
    actor: Actor, customer: str, known: Customer | None, claim_id: str | None, reason: str | None
) -> Transition:
    """Return a customer to the pool before its deadline: by its holder, or by a manager."""
    key = actor.customer_key(customer)
    required = active_claim_rules(actor, key, known, claim_id, first=rules.reason_given(key, actor.policy, reason))
    if known is None or known.holder is None:
        return Recheck(key, known, required)
    event_type = "released" if known.holder == actor.user else "reclaimed"
    after = returned(actor, known, event_type, actor.user, actor.now, reason)
    return Write(key, known, required, after=after, managed=known.holder != actor.user)


def holder_or_manager(actor: Actor, key: Key, known: Customer | None) -> list[Rule]:
    """Require the holder. Require a manager of the pool for any other user."""
    if known is not None and known.holder != actor.user:
        return actor.manager_rules("not_holder")
    return [rules.held_by(key, actor.user)]


def active_claim_rules(
    actor: Actor, key: Key, known: Customer | None, claim_id: str | None = None, *, first: Sequence[Rule] = ()
) -> tuple[Rule, ...]:
    """Require an active claim that belongs to the actor, or to anybody if the actor manages the pool."""
    return (
        *customer_rules(actor, key, known),
        *first,
        rules.claimed(key),
        *holder_or_manager(actor, key, known),
        *rules.same_claim(key, claim_id),
        rules.not_expired(key, actor.clock(known)),
    )


def with_claim_expired(actor: Actor, known: Customer) -> Customer:
    """Return the customer after its claim or ownership expired. It is free since the deadline, not since the sweep.

    A private customer enters the pool like a deposited one (rule 31).
    """
    since = actor.now if known.expires_at is None else known.expires_at
    entering = replace(known, entered_at=since, won_at=None) if known.state == "private" else known
    return returned(actor, entering, "expired", SYSTEM, since)


def returned(
    actor: Actor, known: Customer, event_type: str, by: str, since: int, reason: str | None = None
) -> Customer:
    """Build the customer after its return to the pool at `since`. Too many returns set it aside (rule 19)."""
    after = transitioned(
        known, event_type, by, actor.now, reason, state="available", holder=None, waiting_since=since,
        returns=known.returns + 1, **past_holder_attributes(known, actor.policy, since, actor.now), **deadlines.CLEARED,
    )  # fmt: skip
    most = actor.policy.max_returns
    if most is None or after.returns < most:
        return after
    return transitioned(after, "set_aside", SYSTEM, actor.now, set_aside_at=actor.now)


def past_holder_attributes(known: Customer, policy: Policy, since: int, now: int) -> dict[str, Any]:
    """Return the attributes about past holders, including the current one, who leaves at `since`."""
    past = past_holders(known, policy, since, now)
    return {"past_holders": past, "past_holds": deadlines.past_holds(known, policy, past)}


def past_holders(known: Customer, policy: Policy, since: int, now: int) -> dict[str, int]:
    """Return when each past holder left, including the current holder at `since`.

    Keep those whose cooldown has not ended, or whose hold may continue; without a cooldown, keep the latest few too.
    """
    past = known.past_holders if known.holder is None else known.past_holders | {known.holder: since}
    cooldown = policy.length("cooldown")
    window = (cooldown or 0) if policy.max_hold is None else deadlines.hold_window(policy)
    kept = {user: left_at for user, left_at in past.items() if left_at > now - window}
    if cooldown is not None:
        return kept
    return dict(sorted(past.items(), key=lambda entry: entry[1])[-PAST_HOLDERS_KEPT:]) | kept


def with_former_keys(after: Customer, before: Customer) -> Customer:
    """Return the customer with the unique keys that it no longer has. Their items may still name it: an erasure deletes
    these.
    """
    had, has = ({key.pk for key in items.unique_key_items(each)} for each in (before, after))
    former = {*before.former_keys, *had} - has
    return after if former == set(after.former_keys) else replace(after, former_keys=tuple(sorted(former)))


def contact_rules(after: Customer, before: Customer | None = None) -> list[Rule]:
    """Require of each phone number and e-mail address that the customer gets: no suppressed one has it (rule 49)."""
    had = frozenset() if before is None or before.pool != after.pool else frozenset(before.contact_keys)
    gained = [each for each in contact_keys.of_people(after.contact_keys) if each not in had]
    return [rules.not_of_a_suppressed_customer(keys.suppression_key(after.tenant, each)) for each in gained]


def masked_unique_rules(actor: Actor, written: Iterable[str]) -> list[Rule]:
    """Require a manager to write unique fields that the pool masks: a refusal would show values of other customers."""
    return [] if masking.unique_fields(actor.home).isdisjoint(written) else actor.manager_rules("masked_unique")
