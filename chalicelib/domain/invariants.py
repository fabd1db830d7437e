"""Check the invariants of stored records, for the audit. Pure functions.

Each check compares redundant data of a record. Nothing here may read, write or repair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import INDEX_HASH, INDEX_RANGE, NAMES
from chalicelib.model.model import Customer, Event, State, Tombstone

BEGINS_CLAIM: Final = frozenset(("claimed", "assigned", "transferred"))
MAKES_PRIVATE: Final = frozenset(("won", "converted"))
INDEXED: Final = tuple(dict.fromkeys([*INDEX_HASH.values(), *INDEX_RANGE.values()]))
COUNTERS: Final = ("held", "pins", "room", "private", "private_room")
SUMS: Final = ("pooled", "aside")
MAX_SHOWN: Final = 5  # of the missing events

# All allowed transitions: the states before and after each type of event.
TRANSITIONS: Final[dict[str, tuple[tuple[State | None, State | None], ...]]] = {
    "created": ((None, "available"), (None, "private")),
    "imported": ((None, "available"),),
    "claimed": (("available", "claimed"),),
    "assigned": (("available", "claimed"),),
    "transferred": (("claimed", "claimed"), ("private", "private")),
    "extended": (("claimed", "claimed"),),
    "followed_up": (("claimed", "claimed"), ("private", "private")),
    "pinned": (("claimed", "claimed"),),
    "unpinned": (("claimed", "claimed"),),
    "reminded": (("claimed", "claimed"), ("private", "private")),
    "released": (("claimed", "available"),),
    "reclaimed": (("claimed", "available"),),
    "expired": (("claimed", "available"), ("private", "available")),
    "set_aside": (("available", "available"),),
    "restored": (("available", "available"),),
    "win_requested": (("claimed", "claimed"),),
    "win_declined": (("claimed", "claimed"),),
    "won": (("claimed", "private"),),
    "converted": (("available", "private"), ("claimed", "private")),
    "deposited": (("private", "available"),),
    "suppressed": (("available", "available"), ("claimed", "available"), ("private", "available")),
    "unsuppressed": (("available", "available"),),
    "updated": (("available", "available"), ("claimed", "claimed"), ("private", "private")),
    "erased": (("available", None), ("claimed", None), ("private", None)),
}


class ClaimState(NamedTuple):
    """The state of a customer and its claim."""

    state: State
    holder: str | None = None
    claim_id: str | None = None
    expires_at: int | None = None


class Difference(NamedTuple):
    """An expected value and the stored one."""

    kind: str
    expected: Any
    found: Any


def replayed(events: Iterable[Event]) -> ClaimState:
    """Return the state after all events of a customer (I4).

    Only an event that gives the customer to a user sets the holder, and only one that begins a claim sets the claim.
    Every event may move the deadline. So a lost or rewritten event shows in the final state.
    """
    now = ClaimState("available")
    for event in events:
        gives = event.from_state is None or event.type in BEGINS_CLAIM | MAKES_PRIVATE
        holder = event.holder if gives else now.holder
        claim_id = event.claim_id if event.type in BEGINS_CLAIM else now.claim_id
        if event.to_state == "claimed":
            now = ClaimState("claimed", holder, claim_id, event.expires_at)
        else:
            private = event.to_state == "private"
            now = ClaimState("private", holder, None, event.expires_at) if private else ClaimState("available")
    return now


def claim_state_of(customer: Customer) -> ClaimState:
    return ClaimState(customer.state, customer.holder, customer.claim_id, customer.expires_at)


def check_events(customer: Customer, events: Sequence[Event]) -> list[Difference]:
    """Check that events are numbered 1 to `version` without a gap, and lead to the stored state (I4)."""
    found = _check_numbers(customer.version, events)
    final, stored = replayed(sorted(events, key=lambda event: event.seq)), claim_state_of(customer)
    return found if final == stored else [*found, Difference("replay", final._asdict(), stored._asdict())]


def check_erased(tombstone: Tombstone, events: Sequence[Event]) -> list[Difference]:
    """Check that the events are numbered without a gap and that only the last is the erasure."""
    found = _check_numbers(tombstone.version, events)
    last = [event.seq for event in events if event.type == "erased"]
    return found if last == [tombstone.version] else [*found, Difference("events", [tombstone.version], last)]


def _check_numbers(version: int, events: Sequence[Event]) -> list[Difference]:
    """Check the numbers, and the states of each event whose type this version knows: a later one may write others."""
    times = Counter(event.seq for event in events)
    numbers = range(1, version + 1)
    missing = islice((seq for seq in numbers if seq not in times), MAX_SHOWN)  # a malformed version may be huge
    wrong_numbers = (seq for seq, count in times.items() if count > 1 or seq not in numbers)
    odd = sorted({*missing, *wrong_numbers})[:MAX_SHOWN]
    found = [] if not odd else [Difference("events", f"1 to {version}, each once", odd)]
    if wrong := [event.seq for event in events if event.type in TRANSITIONS and not is_transition(event)]:
        found.append(Difference("events", "transitions that there are", wrong[:MAX_SHOWN]))
    return found


def is_transition(event: Event) -> bool:
    return (event.from_state, event.to_state) in TRANSITIONS.get(event.type, ())


def check_claim(customer: Customer) -> list[Difference]:
    """Check that state, holder, claim and deadline agree (I1)."""
    claimed, there = customer.state == "claimed", customer.claim_id is not None
    agree = (
        there == claimed
        and (customer.holder is None) == (customer.state == "available")
        and (customer.claimed_at is not None) == claimed
        and (claimed or customer.pinned_until is None)
        and (customer.state != "available" or customer.expires_at is None)
        and (customer.state != "private" or customer.active_at is not None)
        and (customer.set_aside_at is None or customer.state == "available")
        and (customer.suppressed_at is None or customer.state == "available")
        and (customer.won_at is None or customer.state == "private")
        and (customer.win_requested_at is None or (claimed and customer.review_ends is not None))
        and (customer.win_declined_at is None or (claimed and customer.win_requested_at is None))
        and (customer.review_ends is None or customer.win_requested_at is not None)
    )
    expected = "state, holder, claim and deadline that agree"
    return [] if agree else [Difference("claim", expected, claim_state_of(customer)._asdict())]


def check_indexes(stored: Item, customer: Customer) -> list[Difference]:
    """Check that the index attributes match the state."""
    derived = items.customer_item(customer)
    wrong = [name for name in INDEXED if name != "pk" and stored.get(name) != derived.get(name)]
    if not wrong:
        return []
    expected, found = ({name: _shown(item, name) for name in wrong} for item in (derived, stored))
    return [Difference("index", expected, found)]


def _shown(stored: Item, name: str) -> Any:
    """Hide the name of a customer: no report may contain it."""
    return "****" if name == INDEX_RANGE[NAMES] and name in stored else _plain(stored, name)


def check_counters(stored: Item, counted: Counter[str]) -> list[Difference]:
    """Check that a member's counters match their customers (I2), and that each room is the rest of their own limit."""
    room = (_plain(stored, "own_limit") or 0) - counted["held"]
    private_room = (_plain(stored, "own_private_limit") or 0) - counted["private"]
    values = (counted["held"], counted["pins"], room, counted["private"], private_room)
    expected = dict(zip(COUNTERS, values, strict=True))
    found = {name: _plain(stored, name) for name in COUNTERS}
    return [Difference(name, expected[name], found[name]) for name in COUNTERS if expected[name] != found[name]]


def stored_counters(stored: Item) -> tuple[str | None, Counter[str]]:
    """Return the holder or owner of an item and what the item counts for; works for a malformed item too.

    A tombstone counts for nothing.
    """
    if items.is_tombstone(stored):
        return None, Counter()
    state, holder = (items.deserialize_or_none(stored.get(name)) for name in ("state", "holder"))
    free = "suppressed_at" not in stored
    pooled, aside = state != "private" and free, "set_aside_at" in stored and free
    counts: Counter[str] = Counter(pooled=int(pooled), aside=int(aside))
    if state not in ("claimed", "private") or not isinstance(holder, str):
        return None, counts
    if state == "private":
        return holder, counts + Counter(private=1)
    return holder, counts + Counter(held=1, pins=int("pinned_until" in stored))


def _plain(stored: Item, name: str) -> Any:
    return items.deserialize(stored[name]) if name in stored else None
