"""The records of the domain: pool, member, customer, event. Frozen values.

Times are epoch milliseconds. Storage, rules and rendering are elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from chalicelib.model import times
from chalicelib.model.contact_keys import of_people
from chalicelib.model.field_definitions import Definitions, Field, definitions_of
from chalicelib.model.policy import Policy
from chalicelib.model.territories import Territory
from chalicelib.model.text import Fields

State: TypeAlias = Literal["available", "claimed", "private"]
Role: TypeAlias = Literal["member", "manager"]
Closing: TypeAlias = Literal["drain", "to_private"]
Identifier: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,64}\Z")]

# Event reasons that the service itself writes; all other reasons are written by people.
POOL_CLOSED: Final = "pool closed"
MEMBER_REMOVED: Final = "member removed"
USER_LEFT: Final = "user left"

MARK: Final = 6  # characters of an id; enough to distinguish requests about one customer in the same millisecond
POOL_RELOAD_MS: Final = 10_000  # after this time every process has reloaded a changed pool

# What statistics count: events, and the sum of the amounts won.
ACTIVITIES: Final = (
    "entered", "claimed", "assigned", "followed_up", "released", "expired", "won", "won_cents",
)  # fmt: skip

_STANDARD: Final = definitions_of(())

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Version: TypeAlias = Annotated[int, Meta(ge=1)]
Moment: TypeAlias = Annotated[int, Meta(ge=0, le=times.LAST)]  # in ms; a response shows no later year than 9999
ShardCount: TypeAlias = Annotated[int, Meta(ge=1, le=32)]


class Pool(Struct, frozen=True):
    """A pool with its policy.

    `pauses` counts the pauses so far. A paused pool with `resumed_at` is being resumed: its claims are being shifted.
    `closing` is how the claims of a closed pool end. `shards` is the shard count; during resharding, `spread_from` is
    the old count and `spread_at` the time of the request. After a change of time zone the local day stays `day_kept`,
    which began at `day_since`, until `day_until`. `unknown_policy` holds stored rules that a later version
    of the service wrote: they are kept and have no effect. `fields` are the definitions of the fields of its customers;
    `unknown_of_fields` holds, by key, what a later version wrote into them. Since `unindexed_since`, the search rows of
    its customers may be those of earlier settings. Since `fields_since`, what is derived from `fields_changing` may be
    that of earlier definitions. `twins` names, by field that was to be unique, customers with equal values.
    """

    tenant: str
    id: str
    name: str
    status: Literal["open", "paused", "closed"]
    policy: Policy
    version: Version
    created_at: Moment
    updated_at: Moment
    pauses: int = 0
    paused_at: Moment | None = None
    resumed_at: Moment | None = None
    closing: Closing | None = None
    shards: ShardCount = 1
    spread_from: ShardCount | None = None
    spread_at: Moment | None = None
    day_kept: str | None = None
    day_since: Moment | None = None
    day_until: Moment | None = None
    unknown_policy: dict[str, Any] = {}
    fields: tuple[Field, ...] = ()
    unknown_of_fields: dict[str, dict[str, Any]] = {}
    unindexed_since: Moment | None = None
    fields_since: Moment | None = None
    fields_changing: tuple[str, ...] = ()
    twins: dict[str, tuple[str, ...]] = {}

    @property
    def definitions(self) -> Definitions:
        """Return the definitions of the fields: those of the standard set if the pool defines none."""
        return definitions_of(self.fields) if self.fields else _STANDARD

    def day(self, now: int) -> str:
        """Return the local day on which a claim made `now` counts."""
        return self.day_kept if self._keeps_day(now) and self.day_kept else self.policy.day(now)

    def day_ends(self, now: int, counted: str) -> int:
        """Return when the local day ends, or the `counted` day if that is later."""
        if self._keeps_day(now) and self.day_until is not None and counted <= self.day(now):
            return self.day_until
        return self.policy.day_ends(now, counted)

    def _keeps_day(self, now: int) -> bool:
        return self.day_until is not None and now < self.day_until

    def ruled_by(self, policy: Policy, now: int) -> Pool:
        """Return the pool with another policy.

        A change of time zone keeps the current day until a midnight of the new zone at least 24 hours after the day
        began, so that the daily limit is not reset early (rule 5).
        """
        after = replace(self, policy=policy)
        if (policy.time_zone or "UTC") == (self.policy.time_zone or "UTC"):
            return after
        day, tz = self.day(now), times.zone(policy.time_zone or "UTC")
        kept_since = self.day_since if self._keeps_day(now) else None
        since = times.start_of(day, times.zone(self.policy.time_zone or "UTC")) if kept_since is None else kept_since
        until = max(
            times.first_midnight(max(since + times.DAY, now), tz), times.midnight_after(day, tz)
        )  # of a later date
        return replace(after, day_kept=day, day_since=since, day_until=until)

    @property
    def shards_read(self) -> int:
        """Return the shard count for reads. During resharding it covers the old and the new count."""
        return max(self.shards, self.spread_from or 0)

    def shards_written(self, now: int) -> int:
        """Return the shard count for writes. A new count applies once every process has reloaded the pool."""
        reloaded = self.spread_at is None or now >= self.spread_at + POOL_RELOAD_MS
        return self.shards if reloaded or self.spread_from is None else self.spread_from

    @property
    def pauses_over(self) -> int:
        """Return the number of pauses that are over: a claim that begins now is unaffected by them."""
        return self.pauses if self.paused_at is None else self.pauses - 1

    def clock(self, now: int) -> int:
        """Return the time for comparing deadlines. It stops at a pause until all claims have been shifted."""
        return now if self.paused_at is None else min(now, self.paused_at)


class Member(Struct, frozen=True):
    """A member of a pool with counters.

    `own_limit` overrides the pool's holding limit, and `own_private_limit` its private limit. `private` counts the
    private customers that the member owns. `did` counts activities on `day`, by kind, also kinds that only a later
    version of the service knows. `pooled` is the number of customers that the member ever added to the pool minus those
    removed; `aside` the same for customers set aside.
    `left_at` is set while the user has left the company: they get no customer. `takes` is the member's territory.
    """

    tenant: str
    pool: str
    user: str
    role: Role
    own_limit: Count | None = None
    held: Count = 0
    own_private_limit: Count | None = None
    private: Count = 0
    day: str = ""
    did: dict[str, Count] = {}
    pins: Count = 0
    pooled: int = 0
    aside: int = 0
    left_at: Moment | None = None
    takes: Territory | None = None
    version: Version = 1

    def claimed_on(self, day: str) -> int:
        """Return the number of claims that count against the daily limit of that local day."""
        return self.did.get("claimed", 0) if self.day >= day else 0


class Event(Struct, frozen=True, array_like=True):
    """One transition of a customer, stored as an array to save space in the customer item.

    `seq` is the customer version that it created. `request_marker` identifies the request: nothing else distinguishes
    two equal requests in the same millisecond. `outcome` is that of a follow-up. `changed` names what an edit or an
    import changed: `name`, `priority` and keys of fields. `unknown` holds, as JSON text, stored elements that a later
    version of the service wrote: they are kept.
    """

    seq: Version
    type: str
    at: Moment
    by: str
    holder: str | None = None
    claim_id: str | None = None
    reason: str | None = None
    from_state: State | None = None
    to_state: State | None = None
    expires_at: Moment | None = None
    request_marker: str = ""
    outcome: str | None = None
    changed: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def emptied(self) -> Event:
        """The event of an erased customer: only its number, type, time, author and states stay, for the audit."""
        return Event(self.seq, self.type, self.at, self.by, from_state=self.from_state, to_state=self.to_state)

    @property
    def written(self) -> bool:
        """Whether a person wrote the reason or outcome, rather than the service."""
        if self.outcome is not None:
            return True
        if self.reason is None or self.type in ("updated", "reminded"):
            return False
        by_service = self.type in ("reclaimed", "released") and self.reason in (POOL_CLOSED, MEMBER_REMOVED, USER_LEFT)
        return not by_service


class Customer(Struct, frozen=True):
    """A customer as stored. `domain.deadlines` computes the attributes of deadlines; times are in ms."""

    tenant: str
    pool: str
    id: str
    name: str
    state: State
    version: Version
    created_at: Moment
    updated_at: Moment
    entered_at: Moment
    waiting_since: Moment  # since when claim-next counts it as waiting
    fields_version: int  # the version that last changed `fields`
    priority: int = 0
    returns: Count = 0
    holder: str | None = None
    claim_id: str | None = None
    claimed_at: Moment | None = None
    expires_at: Moment | None = None
    extensions: Count = 0
    extended_ms: int = 0
    last_follow_up_at: Moment | None = None
    active_at: Moment | None = None
    stopped_ms: int = 0  # how long pauses have stopped the clock of the claim
    pauses: int = 0  # the pool's count of pauses when the clock was shifted last
    pinned_until: Moment | None = None
    won_at: Moment | None = None
    win_requested_at: Moment | None = None
    win_declined_at: Moment | None = None
    review_ends: Moment | None = None
    amount: str | None = None
    ends_at: Moment | None = None
    clock_ends: Moment | None = None
    remind_at: Moment | None = None
    reminded: dict[str, int] = {}
    set_aside_at: Moment | None = None
    suppressed_at: Moment | None = None  # not to be contacted since then
    homes: dict[str, int] = {}  # by pool that stores older events: the first version that it does not store
    page_tag: str | None = None  # random, in the keys of the pages of its older events
    past_holders: dict[str, int] = {}  # by former holder: when they left
    held_since: Moment | None = None  # the start of the present hold, if it began before this claim (rule 14)
    past_holds: dict[str, int] = {}  # by former holder: when their hold began
    shards: int = 1  # the shard count with which the item was written
    tail: tuple[Event, ...] = ()  # the recent events, oldest first
    fields: Fields = {}  # with the next three, an item of their own
    contact_keys: tuple[str, ...] = ()  # of the phone numbers and addresses in `fields`
    unique_keys: tuple[str, ...] = ()  # of the values of unique fields
    former_keys: tuple[str, ...] = ()  # partition keys of unique-key items from before its contacts or pool changed
    card: dict[str, Any] = {}  # short values of fields that lists show, in DynamoDB's JSON (`dynamodb.cards`)
    rewrites: Count = 0  # how often a job has written the keys in the fields item again, at the same version
    unknown: dict[str, Any] = {}  # attributes that a later version of the service wrote, in DynamoDB's JSON
    unknown_of_fields: dict[str, Any] = {}  # the same of the fields item

    def with_fields_of(self, other: Customer) -> Customer:
        """Return this customer with everything that is stored in the fields item of the other."""
        return replace(
            self, fields=other.fields, contact_keys=other.contact_keys, unique_keys=other.unique_keys,
            former_keys=other.former_keys,
            unknown_of_fields=other.unknown_of_fields,
        )  # fmt: skip

    def has_key(self, key: str) -> bool:
        """Return whether this is the key of one of its contacts or unique values."""
        return key in self.contact_keys or key in self.unique_keys

    def expired(self, now: int) -> bool:
        """Return whether the deadline has passed. Anybody may claim the customer then, swept or not."""
        return self.holder is not None and self.expires_at is not None and self.expires_at <= now

    def held_by(self, user: str, now: int) -> bool:
        return self.state == "claimed" and self.holder == user and not self.expired(now)

    def belongs_to(self, user: str, now: int) -> bool:
        """Return whether the user holds it or owns it as a private customer, and the deadline has not passed."""
        return self.holder == user and not self.expired(now)


def transitioned(
    before: Customer, event_type: str, by: str, at: int, reason: str | None = None, outcome: str | None = None,
    changed: tuple[str, ...] = (), **changes: Any,
) -> Customer:  # fmt: skip
    """Return the customer after one transition: `changes` applied, the next version, and its event.

    The event names the holder, claim and deadline after the transition or, if the customer is available, the holder,
    claim and deadline that have ended. A conversion or a win names the claim that it closes.
    """
    after = replace(before, version=before.version + 1, updated_at=at, **changes)
    holder, claim_id = after.holder or before.holder, after.claim_id or before.claim_id
    expires_at = before.expires_at if after.holder is None else after.expires_at
    event = Event(
        after.version, event_type, at, by, holder, claim_id, reason, before.state, after.state, expires_at,
        outcome=outcome, changed=changed,
    )  # fmt: skip
    return replace(after, tail=(*before.tail, event))


def created(customer: Customer, event_type: str, by: str) -> Customer:
    """Return a new customer with its first event."""
    event = Event(
        customer.version, event_type, customer.entered_at, by, customer.holder, to_state=customer.state,
        expires_at=customer.expires_at,
    )  # fmt: skip
    return replace(customer, tail=(event,))


def in_cents(amount: str) -> int:
    """Return the amount of a win in cents, a whole number."""
    whole, _, part = amount.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0"))


class LogEntry(Struct, frozen=True):
    """A change of a pool's settings or of a member. `old` and `new` contain what differs; None if there was nothing."""

    at: Moment
    by: str
    what: str
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None


class Tombstone(Struct, frozen=True):
    """The record of an erased customer, under its key: nothing personal, and no state (rule 38).

    `tail` and `homes` are those of the customer, with emptied events. The id is not used again. While `suppressed_at`
    is set, `digests` are the keys of the contacts that it had: nobody else of the tenant gets them (rule 49).
    """

    tenant: str
    pool: str
    id: str
    version: Version
    created_at: Moment
    erased_at: Moment
    erased_by: str
    reason: str
    homes: dict[str, int] = {}
    suppressed_at: Moment | None = None
    digests: tuple[str, ...] = ()
    tail: tuple[Event, ...] = ()
    page_tag: str | None = None


def erased(
    before: Customer, by: str, at: int, reason: str, request_marker: str, *, suppress: bool = False
) -> Tombstone:
    """Return the tombstone of the customer, with the event `erased`. With `suppress`, it keeps the contact digests."""
    event = Event(
        before.version + 1, "erased", at, by, before.holder, before.claim_id, None, before.state, None,
        before.expires_at, request_marker,
    )  # fmt: skip
    tail = (*(each.emptied for each in before.tail), event)
    return Tombstone(
        before.tenant, before.pool, before.id, event.seq, before.created_at, at, by, reason, before.homes,
        at if suppress else None, of_people(before.contact_keys) if suppress else (), tail, before.page_tag,
    )  # fmt: skip
