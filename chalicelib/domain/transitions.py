"""What each verb does to one customer: a move from the copy we know to the customer as it shall be, with its rules.

Pure: the present moment and new ids are arguments, nothing is read or written. A move decides nothing. It carries
rules that the engine holds against the stored item while writing, and it is bound to the version it was made from.
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
from chalicelib.model.model import Customer, Policy, Pool, created, field_errors, transitioned

SYSTEM = "system"  # who expires a claim
PAST_HOLDERS_KEPT = 8  # where no cooldown needs them


class Actor(Struct, frozen=True):
    """Who acts, in which pool, and when. `if_match` is the version that a client insists on; `mark` tells this request
    from any other, in the events that it makes. `admin` is a tenant's admin, as the verified token says.

    Which conditions the actor's role needs is decided here and nowhere else, for every verb and every read.
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
        """The actor belongs to the pool. An admin need not: the token vouches for them."""
        return [] if self.admin else [rules.member(self.member_key)]

    def manager_rules(self, reason: str = "not_manager") -> list[Rule]:
        """The actor manages the pool. An admin manages every pool of the tenant (rule 47)."""
        return [] if self.admin else [rules.manager(self.member_key, reason)]

    def customer_key(self, customer: str) -> Key:
        return keys.customer_key(self.tenant, self.pool, customer)

    def clock(self, known: Customer | None) -> int:
        """The moment by which that deadline is judged. A pause stops it, until the claim has been shifted."""
        shifted = known is not None and known.pauses == self.home.pauses
        return self.now if shifted else self.home.clock(self.now)


class Transition(Struct, frozen=True):
    """One customer's change. `before` is the copy known, `after` what to write: None where there is nothing to move.

    `taker` is the member whose limits it uses, the `daily` one too if it is a claim; `kept_by` says that the move is
    done already if that user holds the customer; `stays` that it is done if the rules hold, without a change; `note` is
    shown beside the customer; `managed` says that only a manager can have made it, and so sees what is masked.
    `lands` is where the customer shall be, if it may be under another key.
    `removed_by` is who takes the customer out of the table altogether, and `forgets` the rules under which guards of
    its phone number and address go with it.
    """

    key: Key
    before: Customer | None
    after: Customer | None
    rules: tuple[Rule, ...]
    recipient: str | None = None
    daily: bool = False
    already_held_by: str | None = None
    stays: bool = False
    note: dict[str, Any] = {}
    managed: bool = False
    target_key: Key | None = None
    removed_by: str | None = None
    forgets: tuple[Rule, ...] = ()

    @property
    def made(self) -> bool:
        """Whether it is done once it is written; if not, its copy was too old to make one."""
        return self.result is not None or self.removed_by is not None

    @property
    def result(self) -> Customer | None:
        """The customer to show once the move is made; None where there is none."""
        return self.before if self.stays else self.after


def pool_rules(actor: Actor) -> list[Rule]:
    """What every move asks first where the pool is not open: that it is still as it was read.

    An open pool's item is never asked, or every claim would meet every other at it; its state and policy may be some
    seconds old.
    """
    pool = actor.home
    return [] if pool.status == "open" else [rules.pool_unchanged(keys.pool_key(pool.tenant, pool.id), pool.version)]


def pool_accepts(actor: Actor) -> list[Rule]:
    """A customer enters the pool, which must be there and not closed: so a pool found empty stays empty."""
    return [rules.pool_accepts_customers(keys.pool_key(actor.tenant, actor.pool))]


def customer_rules(actor: Actor, key: Key, *, counted: bool = False) -> list[Rule]:
    """What comes first in every verb: the actor belongs to the pool, and the customer is there, at their version.

    A verb that is `counted` needs the actor's own counters: also an admin has to be a member for it.
    """
    belongs = [rules.member(actor.member_key)] if counted else actor.member_rules()
    first = [*pool_rules(actor), *belongs, rules.exists(key)]
    return first if actor.if_match is None else [*first, rules.unchanged_since(key, actor.if_match)]


def create(
    actor: Actor, customer: Customer, event_type: str, *, unique: bool = True, first: Sequence[Rule] = ()
) -> Transition:
    """A new customer enters the pool, available. With `unique`, one that exists already is a refusal, after `first`."""
    key = actor.customer_key(customer.id)
    taken = [rules.does_not_exist(key)] if unique else []
    asked = (*manager_rules(actor), *pool_accepts(actor), *first, *taken)
    return Transition(key, None, created(customer, event_type, actor.user), asked)


def update(actor: Actor, known: Customer, **changes: Any) -> Transition:
    """What a customer says changes; where it is and who holds it does not (rule 23)."""
    key = actor.customer_key(known.id)
    return updated(actor, known, (*manager_rules(actor), rules.exists(key)), changes)


def updated(
    actor: Actor, known: Customer, asked: tuple[Rule, ...], changes: dict[str, Any], reason: str | None = None
) -> Transition:
    """Those changes under those rules; without any it stays as it is. Too many fields are refused after those rules."""
    key = actor.customer_key(known.id)
    if all(getattr(known, name) == changed for name, changed in changes.items()):
        return Transition(key, known, None, asked, stays=True)
    after = transitioned(known, "updated", actor.user, actor.now, reason, **changes)
    if after.fields == known.fields:
        return Transition(key, known, after, asked)
    if errors := field_errors(after.fields):
        return Transition(key, known, None, (*asked, rules.always_fails(key, "invalid_request", errors=errors)))
    return Transition(key, known, replace(after, fields_version=after.version), asked)


def keep_existing(actor: Actor, known: Customer) -> Transition:
    """Nothing changes; but only a manager is shown the customer."""
    key = actor.customer_key(known.id)
    return Transition(key, known, None, (*manager_rules(actor), rules.exists(key)), stays=True)


def reject_existing(actor: Actor, known: Customer) -> Transition:
    """A customer that is there already is refused; but only a manager is told so, and by the engine."""
    key = actor.customer_key(known.id)
    return Transition(key, known, None, (*manager_rules(actor), rules.does_not_exist(key)))


def manager_rules(actor: Actor) -> list[Rule]:
    return [*pool_rules(actor), *actor.member_rules(), *actor.manager_rules()]


def claim(actor: Actor, customer: str, known: Customer | None, claim_id: str) -> Transition:
    """The actor takes an available customer, or one whose claim has lapsed: then that claim is closed on the way."""
    key, now = actor.customer_key(customer), actor.now
    asked = (
        *customer_rules(actor, key, counted=True),
        *rules.free_to_claim(key, actor.policy, actor.clock(known)),
        *rules.past_embargo(key, actor.policy, now),
        *rules.cooled_down(key, actor.policy, actor.user, now),
    )
    if known is None:
        return Transition(key, None, None, asked)
    after = with_new_claim(without_expired(actor, known), "claimed", actor, actor.user, claim_id)
    return Transition(key, known, after, asked, recipient=actor.user, daily=True, already_held_by=actor.user)


def without_expired(actor: Actor, known: Customer) -> Customer:
    """The customer with a lapsed claim closed."""
    return expired(actor, known) if known.lapsed(actor.clock(known)) else known


def with_new_claim(
    start: Customer, event_type: str, actor: Actor, holder: str, claim_id: str, **changes: Any
) -> Customer:
    """The customer under a new claim. Its clock starts now, whatever went before (rule 14)."""
    clock = deadlines.started(actor.policy, actor.now, actor.home.pauses_over) | {"claim_id": claim_id}
    return transitioned(start, event_type, actor.user, actor.now, state="claimed", holder=holder, **clock, **changes)


def release(
    actor: Actor, customer: str, known: Customer | None, claim_id: str | None, reason: str | None
) -> Transition:
    """A customer goes back to the pool early: by its holder or, from somebody else, by a manager."""
    key = actor.customer_key(customer)
    asked = claim_rules(actor, key, known, claim_id, first=rules.reason_given(key, actor.policy, reason))
    if known is None or known.holder is None:
        return Transition(key, known, None, asked)
    verb = "released" if known.holder == actor.user else "reclaimed"
    after = returned(actor, known, verb, actor.user, actor.now, reason)
    return Transition(key, known, after, asked, managed=known.holder != actor.user)


def holder_or_manager(actor: Actor, key: Key, known: Customer | None) -> list[Rule]:
    """Whoever holds it; for everybody else, a manager of the pool."""
    if known is not None and known.holder != actor.user:
        return actor.manager_rules("not_holder")
    return [rules.held_by(key, actor.user)]


def claim_rules(
    actor: Actor, key: Key, known: Customer | None, claim_id: str | None = None, *, first: Sequence[Rule] = ()
) -> tuple[Rule, ...]:
    """What holds for whoever does something with a claim: it is theirs or they manage the pool, and it goes on."""
    return (
        *customer_rules(actor, key),
        *first,
        rules.claimed(key),
        *holder_or_manager(actor, key, known),
        *rules.same_claim(key, claim_id),
        rules.not_expired(key, actor.clock(known)),
    )


def expired(actor: Actor, known: Customer) -> Customer:
    """The customer after its claim lapsed. It has been free since the deadline, however late that is noticed."""
    since = actor.now if known.expires_at is None else known.expires_at
    return returned(actor, known, "expired", SYSTEM, since)


def returned(
    actor: Actor, known: Customer, event_type: str, by: str, since: int, reason: str | None = None
) -> Customer:
    """The customer back in its pool since that moment; or set aside, after it has come back too often (rule 19)."""
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
    """When each left, once whoever holds it has left at that moment: those whom the cooldown still keeps waiting;
    without a cooldown, the latest few."""
    past = known.past_holders if known.holder is None else known.past_holders | {known.holder: since}
    cooldown = policy.length("cooldown")
    if cooldown is not None:
        return {user: left_at for user, left_at in past.items() if left_at > now - cooldown}
    latest = sorted(past.items(), key=lambda entry: entry[1])[-PAST_HOLDERS_KEPT:]
    return dict(latest)
