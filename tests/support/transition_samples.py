"""Transitions as values: a customer in each state, the callers, and what a transition changes and requires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import transitions
from chalicelib.domain.rules import broken_rules
from chalicelib.domain.transitions import Actor, Transition, Write
from chalicelib.dynamodb import items
from chalicelib.dynamodb.keys import STORED_NAMES, Key
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Customer, Event, Pool
from chalicelib.model.policy import Policy
from tests.support.world import DAY, HOUR, START

POOL = Pool("main", "p", "P", "open", Policy(), version=4, created_at=START, updated_at=START)
PAUSED = replace(POOL, status="paused", pauses=1, paused_at=START - 2 * HOUR)
AVAILABLE = Customer(
    "main", "p", "c1", "Acme", "available", version=3, created_at=START - 9 * DAY, updated_at=START - DAY,
    entered_at=START - 9 * DAY, waiting_since=START - DAY, fields_version=1, fields={"city": "Xi'an"},
)  # fmt: skip
CLAIMED = replace(
    AVAILABLE, state="claimed", holder="alice", claim_id="a1", claimed_at=START - HOUR, expires_at=START + HOUR
)
EXPIRED = replace(CLAIMED, expires_at=START)
PRIVATE = replace(AVAILABLE, state="private", holder="alice", active_at=START - DAY)
CLEARED = {"claim_id": None, "claimed_at": None, "expires_at": None}

# The rules, in order: for a caller acting on a claim of alice, for a manager, for a manager who gives to bob.
THEIRS = ["not_a_member alice", "not_found c1", "not_claimed c1", "not_holder c1", "expired c1"]
BY_MANAGER = ["not_a_member mona", "not_manager mona"]
TO_BOB = [*BY_MANAGER, "taker_not_a_member bob", "user_left bob", "not_a_member mona", "not_found c1"]


def actor(user: str = "alice", home: Pool = POOL, if_match: int | None = None, **policy: Any) -> Actor:
    return Actor(replace(home, policy=Policy(**policy)), user, START, if_match)


def new_id(claim_id: str) -> Callable[[], str]:
    """Return a generator of ids that returns this one."""
    return lambda: claim_id


def planned(result: Transition | Refusal) -> Transition:
    """Return the transition, where the verb is not refused."""
    assert not isinstance(result, Refusal)
    return result


def after_of(planned: Transition | Refusal) -> Customer:
    """Return the customer that the planned transition writes."""
    assert isinstance(planned, Write)
    return planned.after


def claimed(known: Customer | None, **policy: Any) -> Transition:
    """Return alice's claim."""
    return planned(transitions.claim(actor(**policy), "c1", known, new_id("a2")))


def released(known: Customer, **policy: Any) -> Write:
    """Return the release by alice, who holds the customer."""
    move = transitions.release(actor(**policy), "c1", known, None, None)
    assert isinstance(move, Write)
    return move


def changed(move: Transition | Refusal) -> dict[str, Any]:
    """Return what the transition changes, without its version and its events."""
    after = after_of(move)
    assert isinstance(move, Write)
    before = move.before
    assert before is not None
    assert (after.version, after.updated_at) == (before.version + len(after.tail) - len(before.tail), START)
    names = [name for name in before.__struct_fields__ if name not in ("version", "updated_at", "tail")]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


def event(move: Transition | Refusal) -> Event:
    return after_of(move).tail[-1]


def rule_names(move: Transition | Refusal) -> list[str]:
    """Return the rules of the transition, each with the id of its pool, member or customer."""
    return [f"{rule.reason} {_id(rule.key)}" for rule in planned(move).rules]


def _id(key: Key) -> str:
    return key.pk.rpartition("#")[2] if key.sk == "-" else key.sk


def refused(result: Transition | Refusal, **attributes: Any) -> list[str]:
    """Return the refusals of the transition's rules for its customer stored with these attributes."""
    move = planned(result)
    rules_of_it = [rule for rule in move.rules if rule.key == move.key]
    stored = items.build_item(move.key, {STORED_NAMES.get(name, name): given for name, given in attributes.items()})
    return [refusal.reason for refusal in broken_rules(rules_of_it, {move.key: stored})]


def events(move: Transition | Refusal) -> list[str]:
    return [each.type for each in after_of(move).tail]
