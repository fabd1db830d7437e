"""Plan a transition of one customer: from the cached customer to the new one, with the rules it needs.

Pure: the current time and new ids are arguments; nothing is read or written here. A transition decides nothing. It
carries rules that DynamoDB evaluates on write, and it is bound to the version it was planned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import deadlines, rules
from chalicelib.domain.rules import Rule
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import Key
from chalicelib.model.identities import SYSTEM
from chalicelib.model.model import Customer, Pool, created, transitioned
from chalicelib.model.policy import Policy
from chalicelib.model.text import field_errors

PAST_HOLDERS_KEPT = 8  # without a cooldown


class Actor(Struct, frozen=True):
    """The user who acts, in which pool, and when.

    `if_match` is the version that a client requires. `request_marker` identifies the request in the events it writes.
    `admin` is True for an admin of the tenant, from the verified token. Only this class decides which conditions a role
    needs, for every verb and every read.
    """

    home: Pool
    user: str
    now: int
    if_match: int | None = None
    request_marker: str = ""
    admin: bool = False

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

    def clock(self, known: Customer | None) -> int:
        """Return the time to compare the deadline with. A pause stops it until the claim has been shifted."""
        shifted = known is not None and known.pauses == self.home.pauses
        return self.now if shifted else self.home.clock(self.now)


class Transition(Struct, frozen=True):
    """The change of one customer.

    before, after: the cached customer, and the one to write. `after` is None if there is nothing to write.
    rules: the conditions, in the order in which they give a refusal.
    recipient: the member whose limits it uses; `daily` is True for a claim, which uses the daily limit too.
    already_held_by: if this user holds the customer, the transition is done already.
    no_op: passing the rules completes it, without a write.
    note: extra members of the result.
    managed: only a manager can have made it, so the result is not masked.
    target_key: the new key, if the customer moves to another pool.
    removed_by: the user who deletes the customer; `unique_key_rules` are the conditions for deleting the unique-key
        items of its phone number and e-mail address.
    """

    key: Key
    before: Customer | None
    after: Customer | None
    rules: tuple[Rule, ...]
    recipient: str | None = None
    daily: bool = False
    already_held_by: str | None = None
    no_op: bool = False
    note: dict[str, Any] = {}
    managed: bool = False
    target_key: Key | None = None
    removed_by: str | None = None
    unique_key_rules: tuple[Rule, ...] = ()

    @property
    def completes(self) -> bool:
        """Return whether a commit completes it. If not, the cached customer was too stale to plan a change from."""
        return self.result is not None or self.removed_by is not None

    @property
    def result(self) -> Customer | None:
        """Return the customer that the result shows after the commit, or None."""
        return self.before if self.no_op else self.after


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


def customer_rules(actor: Actor, key: Key, *, counted: bool = False) -> list[Rule]:
    """Return the first rules of every verb: the actor is a member, the customer exists and matches If-Match.

    A `counted` verb changes the actor's own counters, so an admin must be a member for it too.
    """
    belongs = [rules.member(actor.member_key)] if counted else actor.member_rules()
    first = [*pool_rules(actor), *belongs, rules.exists(key)]
    return first if actor.if_match is None else [*first, rules.unchanged_since(key, actor.if_match)]


def create(
    actor: Actor, customer: Customer, event_type: str, *, unique: bool = True, first: Sequence[Rule] = ()
) -> Transition:
    """Create an available customer. With `unique`, refuse one that exists, after the rules of `first`."""
    key = actor.customer_key(customer.id)
    taken = [rules.does_not_exist(key)] if unique else []
    required = (*manager_rules(actor), *pool_accepts(actor), *first, *taken)
    return Transition(key, None, created(customer, event_type, actor.user), required)


def update(actor: Actor, known: Customer, **changes: Any) -> Transition:
    """Change the content of a customer; its state and its holder stay (rule 23)."""
    key = actor.customer_key(known.id)
    return updated(actor, known, (*manager_rules(actor), rules.exists(key)), changes)


def updated(
    actor: Actor, known: Customer, required: tuple[Rule, ...], changes: dict[str, Any], reason: str | None = None
) -> Transition:
    """Apply the changes under these rules, if they change anything. Refuse too many fields after all rules."""
    key = actor.customer_key(known.id)
    if all(getattr(known, name) == changed for name, changed in changes.items()):
        return Transition(key, known, None, required, no_op=True)
    after = transitioned(known, "updated", actor.user, actor.now, reason, **changes)
    if after.fields == known.fields:
        return Transition(key, known, after, required)
    if errors := field_errors(after.fields):
        return Transition(key, known, None, (*required, rules.always_fails(key, "invalid_request", errors=errors)))
    return Transition(key, known, replace(after, fields_version=after.version), required)


def keep_existing(actor: Actor, known: Customer) -> Transition:
    """Change nothing, but require a manager: only managers may see the customer."""
    key = actor.customer_key(known.id)
    return Transition(key, known, None, (*manager_rules(actor), rules.exists(key)), no_op=True)


def reject_existing(actor: Actor, known: Customer) -> Transition:
    """Refuse a customer that exists. The manager rules come first, so only managers learn that it exists."""
    key = actor.customer_key(known.id)
    return Transition(key, known, None, (*manager_rules(actor), rules.does_not_exist(key)))


def manager_rules(actor: Actor) -> list[Rule]:
    """Require a manager, and an unchanged pool."""
    return [*pool_rules(actor), *actor.member_rules(), *actor.manager_rules()]


def claim(actor: Actor, customer: str, known: Customer | None, claim_id: str) -> Transition:
    """Claim an available customer, or one whose claim has expired: then close that claim first."""
    key, now = actor.customer_key(customer), actor.now
    required = (
        *customer_rules(actor, key, counted=True),
        *rules.free_to_claim(key, actor.policy, actor.clock(known)),
        *rules.past_embargo(key, actor.policy, now),
        *rules.cooled_down(key, actor.policy, actor.user, now),
    )
    if known is None:
        return Transition(key, None, None, required)
    after = with_new_claim(without_expired(actor, known), "claimed", actor, actor.user, claim_id)
    return Transition(key, known, after, required, recipient=actor.user, daily=True, already_held_by=actor.user)


def without_expired(actor: Actor, known: Customer) -> Customer:
    """Return the customer with an expired claim closed."""
    return with_claim_expired(actor, known) if known.expired(actor.clock(known)) else known


def with_new_claim(
    start: Customer, event_type: str, actor: Actor, holder: str, claim_id: str, **changes: Any
) -> Customer:
    """Return the customer under a new claim. Its clock starts now, regardless of earlier claims (rule 14)."""
    clock = deadlines.started(actor.policy, actor.now, actor.home.pauses_over) | {"claim_id": claim_id}
    return transitioned(start, event_type, actor.user, actor.now, state="claimed", holder=holder, **clock, **changes)


def release(
    actor: Actor, customer: str, known: Customer | None, claim_id: str | None, reason: str | None
) -> Transition:
    """Return a customer to the pool before its deadline: by its holder, or by a manager."""
    key = actor.customer_key(customer)
    required = claim_rules(actor, key, known, claim_id, first=rules.reason_given(key, actor.policy, reason))
    if known is None or known.holder is None:
        return Transition(key, known, None, required)
    event_type = "released" if known.holder == actor.user else "reclaimed"
    after = returned(actor, known, event_type, actor.user, actor.now, reason)
    return Transition(key, known, after, required, managed=known.holder != actor.user)


def holder_or_manager(actor: Actor, key: Key, known: Customer | None) -> list[Rule]:
    """Require the holder. Require a manager of the pool for any other user."""
    if known is not None and known.holder != actor.user:
        return actor.manager_rules("not_holder")
    return [rules.held_by(key, actor.user)]


def claim_rules(
    actor: Actor, key: Key, known: Customer | None, claim_id: str | None = None, *, first: Sequence[Rule] = ()
) -> tuple[Rule, ...]:
    """Require an active claim that belongs to the actor, or to anybody if the actor manages the pool."""
    return (
        *customer_rules(actor, key),
        *first,
        rules.claimed(key),
        *holder_or_manager(actor, key, known),
        *rules.same_claim(key, claim_id),
        rules.not_expired(key, actor.clock(known)),
    )


def with_claim_expired(actor: Actor, known: Customer) -> Customer:
    """Return the customer after its claim expired. It is free since the deadline, not since the sweep."""
    since = actor.now if known.expires_at is None else known.expires_at
    return returned(actor, known, "expired", SYSTEM, since)


def returned(
    actor: Actor, known: Customer, event_type: str, by: str, since: int, reason: str | None = None
) -> Customer:
    """Return the customer available since that time, or set aside after too many returns (rule 19)."""
    after = transitioned(
        known, event_type, by, actor.now, reason, state="available", holder=None, waiting_since=since,
        returns=known.returns + 1, past_holders=past_holders(known, actor.policy, since, actor.now),
        **deadlines.CLEARED,
    )  # fmt: skip
    most = actor.policy.max_returns
    if most is None or after.returns < most:
        return after
    return transitioned(after, "set_aside", SYSTEM, actor.now, set_aside_at=actor.now)


def past_holders(known: Customer, policy: Policy, since: int, now: int) -> dict[str, int]:
    """Return when each past holder left, including the current holder at `since`.

    Keep those whose cooldown has not ended; without a cooldown, keep the latest few.
    """
    past = known.past_holders if known.holder is None else known.past_holders | {known.holder: since}
    cooldown = policy.length("cooldown")
    if cooldown is not None:
        return {user: left_at for user, left_at in past.items() if left_at > now - cooldown}
    latest = sorted(past.items(), key=lambda entry: entry[1])[-PAST_HOLDERS_KEPT:]
    return dict(latest)
