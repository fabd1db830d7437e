"""A second, plain implementation of the service: dictionaries, one request after the other, no store.

This module has the state and the life cycle of a customer; the verbs are in `model_verbs`, operations on pools in
`model_pools`. Durations are milliseconds. It must not import the rules or transitions that it is compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.model.first_follow_ups import counter_of
from chalicelib.model.times import duration_text
from tests.support.world import DAY

FORBIDDEN = ("not_a_member", "not_manager", "not_admin", "not_holder", "extension_not_allowed")
UNPROCESSABLE = ("reason_required", "invalid_request", "idempotency_key_reused")
ACTIVITY = {
    "created": "entered", "imported": "entered", "deposited": "entered", "claimed": "claimed", "assigned": "assigned",
    "followed_up": "followed_up", "released": "released", "reclaimed": "released", "expired": "expired", "won": "won",
}  # fmt: skip
STATUS = {"not_found": 404, "version_conflict": 412} | dict.fromkeys(FORBIDDEN, 403) | dict.fromkeys(UNPROCESSABLE, 422)


# Each name, and how it is masked where names or phone numbers are masked.
NAMES = {
    "A": {"name": "****", "phone": "A"},
    "B": {"name": "****", "phone": "B"},
    "Wang 13812345678": {"name": "W****", "phone": "Wang 138****5678"},
}


class Refusal(Exception):
    """The model refuses the request with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    @property
    def status(self) -> int:
        return STATUS.get(self.code, 409)


def refuse_if(so: bool, code: str) -> None:
    if so:
        raise Refusal(code)


@dataclass
class Claim:
    """`ends` is the deadline of the clocks, without a pin; `id` is unknown until the service has returned it."""

    began: int
    ends: int | None
    id: str | None = None
    pinned: int | None = None
    active: int | None = None
    stopped: int = 0
    extended: int = 0
    extensions: int = 0
    requested: int | None = None  # when a win was, and is still to be decided
    declined: int | None = None  # when a request was declined, on the clock that stops during a pause
    since: int | None = None  # when the hold began, if it began before this claim
    review: int | None = None  # when the review ends

    @property
    def expires(self) -> int | None:
        return None if self.ends is None else max(self.ends, self.pinned or 0, self.review or 0)

    @property
    def clocks(self) -> tuple[int | None, int | None, int | None]:
        return self.ends, self.expires, self.pinned

    @property
    def started(self) -> int:
        """Return the start on a clock that stops while the pool is paused."""
        return self.began + self.stopped

    @property
    def hold(self) -> int:
        """Return the start of the hold on that clock."""
        return self.started if self.since is None else self.since + self.stopped

    def expired(self, moment: int) -> bool:
        return self.expires is not None and self.expires <= moment


@dataclass
class Own:
    """The clock of a private customer: when it started, and the deadline."""

    active: int
    ends: int | None


@dataclass
class Customer:
    id: str
    pool: str
    name: str
    priority: int
    created: int
    entered: int
    waiting: int
    updated: int
    activity: Counter[tuple[str, str]]  # the statistics of all pools: by pool and activity
    state: str = "available"
    holder: str | None = None
    claim: Claim | None = None
    own: Own | None = None
    followed_up: int | None = None
    returns: int = 0
    aside: int | None = None
    suppressed: int | None = None
    won: int | None = None
    left: dict[str, int] = field(default_factory=dict)  # when each past holder did
    events: list[str] = field(default_factory=list)
    begun: dict[str, int] = field(default_factory=dict)  # when each past holder's hold did
    changes: dict[int, list[str]] = field(default_factory=dict)  # by version, what an edit changed
    notes: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # by version: author, whom it names, text
    email: str | None = None
    city: str | None = None

    @property
    def version(self) -> int:
        return len(self.events)

    def step(self, event: str, now: int) -> None:
        self.events.append(event)
        self.updated = now
        if event in ACTIVITY:
            self.activity[self.pool, ACTIVITY[event]] += 1

    def edit(self, name: str, priority: int, now: int, city: str | None = None) -> None:
        new = {"name": name, "priority": priority, "city": city or self.city}
        keys = [key for key, value in new.items() if value != getattr(self, key)]
        self.name, self.priority, self.city = name, priority, city or self.city
        self.step("updated", now)
        self.changes[self.version] = keys

    @property
    def deadline(self) -> int | None:
        if self.own is not None:
            return self.own.ends
        return None if self.claim is None else self.claim.expires

    @property
    def fields(self) -> dict[str, str]:
        return {key: text for key, text in (("email", self.email), ("city", self.city)) if text}

    def expired(self, moment: int, now: int) -> bool:
        """Return whether the deadline has passed. A pause stops the clock of claims, which shows `moment`."""
        clock = now if self.own is not None else moment
        return self.deadline is not None and self.deadline <= clock

    def shown(self, embargo: int) -> dict[str, Any]:
        """Return the customer as in a response, with times in milliseconds."""
        claim = self.claim
        waits = self.state == "available" and self.aside is None and self.suppressed is None
        return {
            "id": self.id, "pool_id": self.pool, "state": self.state, "holder": self.holder, "name": self.name,
            "priority": self.priority, "version": self.version, "returns": self.returns,
            "fields": self.fields, "masked": False, "partial": False,
            "claim_id": claim and claim.id, "claimed_at": claim and claim.began, "expires_at": self.deadline,
            "extensions": claim.extensions if claim else 0, "pinned_until": claim and claim.pinned,
            "entered_pool_at": self.entered, "last_follow_up_at": self.followed_up, "set_aside_at": self.aside,
            "win_requested_at": claim and claim.requested, "won_at": self.won, "amount": None, "ends_at": None,
            "suppressed_at": self.suppressed,
            "available_at": max(self.waiting, self.entered + embargo) if waits else None,
            "created_at": self.created, "updated_at": self.updated,
        }  # fmt: skip


@dataclass(frozen=True)
class KeptDay:
    """The local day at a change of the zone, when it began, and until when it goes on."""

    day: str
    began: int
    until: int


def midnight(day: str, zone: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def following(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


@dataclass
class Pool:
    """`policy` contains the rules that are set."""

    policy: dict[str, Any]
    zone: str
    status: str = "open"
    version: int = 1
    paused: int | None = None
    closing: str | None = None
    kept_day: KeptDay | None = None

    def moment(self, now: int) -> int:
        """Return the time for comparing deadlines. A pause stops it."""
        return now if self.paused is None else min(now, self.paused)

    def day(self, now: int) -> str:
        """Return the local day, which a change of the zone keeps for a while."""
        if self.kept_day is not None and now < self.kept_day.until:
            return self.kept_day.day
        return datetime.fromtimestamp(now / 1000, ZoneInfo(self.zone)).date().isoformat()

    def move_to_zone(self, zone: str, now: int) -> None:
        """Keep the current day until the first midnight of the new zone that begins a later day, and that is at least
        24 hours after the current day began.
        """
        if zone == self.zone:
            return
        day = self.day(now)
        kept = self.kept_day is not None and now < self.kept_day.until
        began = self.kept_day.began if self.kept_day is not None and kept else midnight(day, self.zone)
        self.zone, next_day = zone, following(day)
        while midnight(next_day, zone) < max(began + 24 * 3_600_000, now):
            next_day = following(next_day)
        self.kept_day = KeptDay(day, began, midnight(next_day, zone))

    @property
    def hold_window(self) -> int:
        window: int = max(self.policy.get("cooldown", 0), DAY)
        return window

    def private_deadline(self, active: int) -> int | None:
        return active + self.policy["private_ttl"] if "private_ttl" in self.policy else None

    def deadline(self, started: int, active: int, held: int) -> int | None:
        restarts = active if self.policy.get("follow_up_restarts_clock") else started
        clocks = (("claim_ttl", restarts), ("idle_ttl", active), ("max_hold", held))
        return min((start + self.policy[rule] for rule, start in clocks if rule in self.policy), default=None)


@dataclass
class Member:
    role: str
    own_limit: int | None = None
    takes: dict[str, list[str]] | None = None
    version: int = 1
    claims: Counter[str] = field(default_factory=Counter)  # by local day


@dataclass
class Written:
    """The effect of an import on one customer: `was` holds its earlier name and fields, None if it is new."""

    id: str
    created: int
    version: int
    was: tuple[str, int] | None
    undone: bool = False


@dataclass
class Leave:
    """What became of the customers of a user who has left the company."""

    moved: int = 0
    not_transferred: int = 0


class Model:
    """The whole state of one tenant."""

    def __init__(self) -> None:
        self.pools: dict[str, Pool] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.left: dict[tuple[str, str], Counter[str]] = {}  # the claims of members who were removed
        self.customers: dict[tuple[str, str], Customer] = {}
        self.imports: dict[tuple[str, str], list[Written]] = {}
        self.activity: Counter[tuple[str, str]] = Counter()
        self.erased: set[tuple[str, str]] = set()
        self.suppressed: dict[tuple[str, str], str | None] = {}  # the erased ones that are, with their addresses
        self.gone: dict[str, Leave] = {}  # users who have left the company
        self.owners: dict[tuple[str, str], list[Customer]] = {}  # by pool and e-mail address, the last and those before

    # E-mail addresses

    def take_email(self, customer: Customer) -> None:
        if customer.email is not None:
            at = customer.pool, customer.email
            self.owners[at] = [customer, *self.owners.get(at, [])][:4]

    def has_email(self, pool: str, email: str) -> bool:
        """Return whether the last customer that got the address in the pool has it now. The others do not count."""
        return any(self.customers.get((pool, each.id)) is each for each in self.owners.get((pool, email), [])[:1])

    def leave_emails(self, erased: Customer) -> None:
        """Return the address to the last owner before that still has it, and leave those of other pools to nobody."""
        for (pool, email), owners in list(self.owners.items()):
            if owners[0] is erased:
                rest = owners[1:] if pool == erased.pool else []
                while rest and not self._still_has(rest[0].id, pool, email):
                    rest = rest[1:]
                del self.owners[pool, email]
                if rest:
                    self.owners[pool, email] = [self.customers[pool, rest[0].id], *rest[1:]]

    def may_get(self, email: str | None) -> bool:
        """Return whether no suppressed customer has the address."""
        suppressed = [each.email for each in self.customers.values() if each.suppressed is not None]
        return email is None or email not in [*suppressed, *self.suppressed.values()]

    def _still_has(self, customer: str, pool: str, email: str) -> bool:
        known = self.customers.get((pool, customer))
        return known is not None and known.email == email

    def of_pool(self, pool: str) -> list[Customer]:
        return [each for each in self.customers.values() if each.pool == pool]

    def held_by(self, pool: str, user: str) -> list[Customer]:
        return [each for each in self.of_pool(pool) if each.state == "claimed" and each.holder == user]

    def seen(self, pool: str, customer: str, who: str, now: int) -> dict[str, Any]:
        """Return the customer as that user sees it: masked unless they hold it or manage the pool."""
        known, masked = self.customers[pool, customer], self.pools[pool].policy.get("masked_fields")
        if masked is None or self.sees_all(known, who, now):
            return self.shown(pool)[customer]
        return self.shown(pool)[customer] | {"name": NAMES[known.name][masked[0]], "masked": True}

    def sees_all(self, known: Customer, who: str, now: int) -> bool:
        has = known.holder == who and not self.expired(known, now)
        return has or Request(self, who, known.pool, now).manages

    def notes_seen(self, known: Customer, who: str, now: int) -> dict[int, str | None]:
        """Return the notes about the customer by version, None for notes that the user may not read."""
        all_of_it = self.sees_all(known, who, now) or "notes_visible_to" in self.pools[known.pool].policy
        return {
            version: text if all_of_it or who in (author, named) else None
            for version, (author, named, text) in known.notes.items()
        }

    def shown(self, pool: str) -> dict[str, dict[str, Any]]:
        embargo = self.pools[pool].policy.get("embargo", 0)
        return {each.id: each.shown(embargo) for each in self.of_pool(pool)}

    def statistics(self, pool: str) -> tuple[dict[str, Any], dict[str, int]]:
        """Return the activity in the pool since the start, and its current counts."""
        counted = [each for each in self.of_pool(pool) if each.suppressed is None]
        count = Counter("set_aside" if each.aside is not None else each.state for each in counted)
        activity: dict[str, Any] = {kind: self.activity[pool, kind] for kind in ACTIVITY.values()}
        activity["time_to_first_follow_up"] = self.first_follow_ups(pool)
        return activity, {state: count[state] for state in ("available", "claimed", "private", "set_aside")}

    def first_follow_ups(self, pool: str) -> dict[str, Any]:
        """Return how many claims of the pool had a first follow-up by their holder, and the percentiles of its time."""
        counts = {kind: count for (home, kind), count in self.activity.items() if home == pool and "first " in kind}
        times = sorted(int(kind.split()[1]) for kind, count in counts.items() for _ in range(count))
        ranked = (times[-(-len(times) * percent // 100) - 1] for percent in (50, 90) if times)
        rounded = [duration_text(int(counter_of(each).removeprefix("f"))) for each in ranked]
        return {"count": len(times)} | dict.fromkeys(("p50", "p90")) | dict(zip(("p50", "p90"), rounded, strict=False))

    def attention(self, pool: str, now: int, user: str | None = None) -> dict[str, int]:
        """Return how many customers of the pool, or of a user, are pinned, without a contact, or expire soon."""
        held = [each for each in self.of_pool(pool) if each.holder is not None and user in (None, each.holder)]
        live = [each for each in held if not self.expired(each, now)]
        return {
            "pinned": sum(each.claim is not None and each.claim.pinned is not None for each in held),
            "no_contact": sum(
                each.claim is not None and max(each.claim.began, each.followed_up or 0) <= now - 3 * DAY
                for each in live
            ),
            "expiring": sum(
                each.deadline is not None
                and each.deadline <= DAY + (now if each.own is not None else self.pools[pool].moment(now))
                for each in live
            ),
        }  # fmt: skip

    def member_shown(self, pool: str, user: str, now: int) -> dict[str, Any]:
        member, home = self.members[pool, user], self.pools[pool]
        limit, held = self.limit(pool, user), len(self.held_by(pool, user))
        return {
            "pool_id": pool, "user_id": user, "role": member.role, "holding_limit": limit, "held": held,
            "headroom": None if limit is None else max(limit - held, 0), "version": member.version,
            "private_limit": home.policy.get("private_limit"), "private": len(self.owned_by(pool, user)),
            "daily_claim_limit": home.policy.get("daily_claim_limit"), "claimed_today": member.claims[home.day(now)],
            "name": None, "seen": False, "pins": self.pins(pool, user), "takes": member.takes,
        }  # fmt: skip

    def owned_by(self, pool: str, user: str) -> list[Customer]:
        return [each for each in self.of_pool(pool) if each.state == "private" and each.holder == user]

    def expired(self, customer: Customer, now: int) -> bool:
        return customer.expired(self.pools[customer.pool].moment(now), now)

    def private_room(self, pool: str, user: str, now: int, wanted: int = 1) -> int:
        """Return how many more private customers the user may own. If too few, return the expired ones first.

        A pool that is not open returns nothing; what has expired does not count there either.
        """
        limit: int = self.pools[pool].policy.get("private_limit", 10**9)
        if limit - len(self.owned_by(pool, user)) < wanted:
            self.return_private(pool, user, now)
        return max(limit - sum(not self.expired(each, now) for each in self.owned_by(pool, user)), 0)

    def pins(self, pool: str, user: str) -> int:
        held = self.held_by(pool, user)
        return sum(each.claim is not None and each.claim.pinned is not None for each in held)

    def limit(self, pool: str, user: str) -> int | None:
        own = self.members[pool, user].own_limit
        limit: int | None = self.pools[pool].policy.get("holding_limit") if own is None else own
        return limit

    # Transitions of a customer

    def begin(self, customer: Customer, event: str, holder: str, now: int) -> None:
        """Start a claim now; close an expired one first."""
        pool = self.pools[customer.pool]
        if self.expired(customer, now):
            self.expire(customer, now)
        since = self.continued_hold(customer, holder, now)
        customer.claim = Claim(now, pool.deadline(now, now, now if since is None else since), since=since)
        customer.state, customer.holder, customer.followed_up = "claimed", holder, None
        customer.step(event, now)

    def continued_hold(self, customer: Customer, user: str, now: int) -> int | None:
        """Return when the hold began that a claim of the user continues."""
        pool, left = self.pools[customer.pool], customer.left.get(user)
        if "max_hold" not in pool.policy or left is None or now - left >= pool.hold_window:
            return None
        return customer.begun.get(user)

    def hold_used_up(self, customer: Customer, user: str, now: int) -> bool:
        pool, began = self.pools[customer.pool], self.continued_hold(customer, user, now)
        ended = customer.deadline if customer.holder == user and self.expired(customer, now) else None
        if "max_hold" in pool.policy and ended is not None:
            began = customer.claim.hold if customer.claim is not None else customer.begun.get(user)
            began = began if now - ended < pool.hold_window else None
        return began is not None and began + pool.policy["max_hold"] <= now

    def leave(self, customer: Customer, since: int) -> None:
        """Record when the holder left and when their hold began."""
        if customer.holder is not None:
            customer.left[customer.holder] = since
        self.record_hold(customer)

    def record_hold(self, customer: Customer) -> None:
        if "max_hold" not in self.pools[customer.pool].policy:
            customer.begun.clear()
        elif customer.claim is not None and customer.holder is not None:
            customer.begun[customer.holder] = customer.claim.hold

    def expire(self, customer: Customer, now: int) -> None:
        ended = customer.deadline
        assert ended is not None
        if customer.own is not None:
            customer.entered, customer.won = ended, None
            self.activity[customer.pool, "entered"] += 1
        self.give_back(customer, "expired", now, ended)

    def give_back(self, customer: Customer, event: str, now: int, since: int | None = None) -> None:
        assert customer.holder is not None
        customer.waiting = now if since is None else since
        self.leave(customer, customer.waiting)
        customer.state, customer.holder, customer.claim, customer.own = "available", None, None, None
        customer.returns += 1
        customer.step(event, now)
        if customer.returns >= self.pools[customer.pool].policy.get("max_returns", 10**9):
            customer.aside = now
            customer.step("set_aside", now)

    def make_private(self, customer: Customer, event: str, holder: str, now: int) -> None:
        if self.expired(customer, now):
            self.expire(customer, now)
        if customer.holder == holder:
            self.record_hold(customer)
        else:
            self.leave(customer, now)
        customer.state, customer.holder, customer.claim, customer.aside = "private", holder, None, None
        customer.own = Own(now, self.pools[customer.pool].private_deadline(now))
        customer.won = now if event == "won" else None
        customer.step(event, now)

    def return_expired(self, pool: str, user: str | None, now: int) -> int:
        """Return the expired claims of one member or of all to the pool. Return their number."""
        return self._return(pool, user, now, "claimed")

    def return_private(self, pool: str, user: str | None, now: int) -> int:
        """Return the expired private customers of one owner or of all to the pool, if it is open."""
        return self._return(pool, user, now, "private") if self.pools[pool].status == "open" else 0

    def _return(self, pool: str, user: str | None, now: int, state: str) -> int:
        expired = [each for each in self.of_pool(pool) if each.state == state and self.expired(each, now)]
        those = [each for each in expired if user in (None, each.holder)]
        for each in those:
            self.expire(each, now)
        return len(those)


@dataclass
class Request:
    """The caller, pool and time of a request; `seen` is the version in If-Match."""

    model: Model
    who: str
    pool: str
    now: int
    seen: int | None = None

    @property
    def home(self) -> Pool:
        return self.model.pools[self.pool]

    @property
    def policy(self) -> dict[str, Any]:
        return self.home.policy

    @property
    def moment(self) -> int:
        return self.home.moment(self.now)

    @property
    def admin(self) -> bool:
        return self.who == "root"

    def by_member(self, user: str | None = None) -> Member:
        member = self.model.members.get((self.pool, user or self.who))
        if member is None:
            raise Refusal("not_a_member")
        return member

    def by_recipient(self, user: str | None = None) -> None:
        """Require a member who has not left the company."""
        self.by_member(user)
        refuse_if((user or self.who) in self.model.gone, "user_left")

    @property
    def manages(self) -> bool:
        """An admin may do in every pool what its manager may do."""
        member = self.model.members.get((self.pool, self.who))
        return self.admin or (member is not None and member.role == "manager")

    def belongs(self) -> None:
        """Require a member or an admin."""
        if not self.admin:
            self.by_member()

    def by_manager(self) -> None:
        self.belongs()
        refuse_if(not self.manages, "not_manager")

    def by_admin(self) -> None:
        refuse_if(not self.admin, "not_admin")

    def customer(self, customer: str) -> Customer:
        """Return the customer for a member or an admin, at the version in If-Match."""
        self.belongs()
        found = self.model.customers.get((self.pool, customer))
        if found is None or self.hides(found):
            raise Refusal("not_found")
        refuse_if(self.seen not in (None, found.version), "version_conflict")
        return found

    def hides(self, found: Customer) -> bool:
        """Return whether only managers see the customer: it is private to another user, before its deadline."""
        opened = self.manages or "private_visible_to" in self.policy
        return not opened and found.state == "private" and found.holder != self.who and not self.expired(found)

    def expired(self, found: Customer) -> bool:
        return self.model.expired(found, self.now)

    def theirs(self, found: Customer) -> None:
        """Require the holder or a manager."""
        refuse_if(found.holder != self.who and not self.manages, "not_holder")

    def claim(self, customer: str, claim_id: str | None = None) -> tuple[Customer, Claim]:
        """Return a live claim. Require its holder or a manager."""
        found = self.customer(customer)
        if found.claim is None:
            raise Refusal("not_claimed")
        self.theirs(found)
        refuse_if(claim_id not in (None, found.claim.id), "claim_changed")
        refuse_if(self.expired(found), "expired")
        return found, found.claim


Do = Callable[[], object]


def results_of(attempts: Iterator[Do]) -> list[str]:
    """Return `ok` or the code of the refusal for each attempt."""
    results = []
    for do in attempts:
        try:
            do()
            results.append("ok")
        except Refusal as refusal:
            results.append(refusal.code)
    return results
