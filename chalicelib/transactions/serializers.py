"""Serialize records as the objects of the API, with RFC 3339 times and masked fields. Return plain dicts.

Every body with a customer must be built here, so that no path can skip the masking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from chalicelib.domain import masking
from chalicelib.model.model import Customer, Event, Member, Policy, Pool, State
from chalicelib.model.times import rfc3339


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def pool(record: Pool) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "status": record.status,
        "policy": _policy(record.policy),
        "version": record.version,
        "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at),
    }


def spread_pool(record: Pool) -> dict[str, Any]:
    return pool(record) | {"shards": record.shards, "spreading": record.spread_from is not None}


def _policy(policy: Policy) -> dict[str, Any]:
    """Return every setting: null if it is off, and an empty list for the two lists."""
    shown: dict[str, Any] = msgspec.to_builtins(policy)
    shown |= {"notes_visible_to": policy.notes_readers, "phone_region": policy.region}
    return shown | {name: shown[name] or [] for name in ("masked_fields", "reminders")}


def member(record: Member, home: Pool, now: int) -> dict[str, Any]:
    """Return a member with their limits and the remaining numbers."""
    policy = home.policy
    limit = policy.holding_limit if record.own_limit is None else record.own_limit
    return {
        "pool_id": record.pool,
        "user_id": record.user,
        "role": record.role,
        "holding_limit": limit,
        "held": record.held,
        "headroom": None if limit is None else max(limit - record.held, 0),
        "daily_claim_limit": policy.daily_claim_limit,
        "claimed_today": record.claimed_on(home.day(now)),
        "resets_at": rfc3339(home.day_ends(now, record.day)),
        "version": record.version,
    }


class Facts(Struct, frozen=True):
    """A customer at one time without personal data, which an idempotency record may store.

    Name and fields are added when the response is built.
    """

    id: str
    pool_id: str
    state: State
    holder: str | None
    claim_id: str | None
    claimed_at: str | None
    expires_at: str | None
    extensions: int
    pinned_until: str | None
    entered_pool_at: str
    available_at: str | None
    last_follow_up_at: str | None
    returns: int
    set_aside_at: str | None
    priority: int
    version: int
    created_at: str
    updated_at: str
    won_at: str | None = None
    old_expires_at: str | UnsetType = UNSET


class Personal(Struct, frozen=True):
    """Name and fields as one viewer may see them now. Both are None if the customer no longer exists."""

    name: str | None = None
    fields: dict[str, Any] | None = None
    masked: bool = False


_AFTER_PERSONAL: Final = ("version", "created_at", "updated_at", "old_expires_at")  # in the order of the contract


def customer(record: Customer, policy: Policy, now: int, viewer: str, manages: Callable[[], bool]) -> dict[str, Any]:
    """Return the customer as `viewer` may see it now."""
    return shown(facts(record, policy), personal(record, policy, now, viewer, manages))


def shown(known: Facts, own: Personal) -> dict[str, Any]:
    """Return the body of a customer: its facts, with name and fields."""
    body = msgspec.to_builtins(known)
    last = {name: body.pop(name) for name in _AFTER_PERSONAL if name in body}
    return {**body, "name": own.name, "fields": own.fields, "masked": own.masked, **last}


def facts(record: Customer, policy: Policy) -> Facts:
    """Return the facts of a customer, without personal data."""
    return Facts(
        id=record.id,
        pool_id=record.pool,
        state=record.state,
        holder=record.holder,
        claim_id=record.claim_id,
        claimed_at=_time(record.claimed_at),
        expires_at=_time(record.expires_at),
        extensions=record.extensions,
        pinned_until=_time(record.pinned_until),
        won_at=_time(record.won_at),
        entered_pool_at=rfc3339(record.entered_at),
        available_at=_time(_available_at(record, policy)),
        last_follow_up_at=_time(record.last_follow_up_at),
        returns=record.returns,
        set_aside_at=_time(record.set_aside_at),
        priority=record.priority,
        version=record.version,
        created_at=rfc3339(record.created_at),
        updated_at=rfc3339(record.updated_at),
    )


def personal(record: Customer, policy: Policy, now: int, viewer: str, manages: Callable[[], bool]) -> Personal:
    """Return name and fields: only the holder and managers see masked fields in full.

    `manages` is called only if it makes a difference, since it may read the table.
    """
    mask = masking.of(policy)
    if mask is not None and (record.belongs_to(viewer, now) or manages()):
        mask = None
    name, fields = record.name, record.fields
    if mask is not None:
        name, fields = mask.field("name", name), {key: mask.field(key, value) for key, value in fields.items()}
    return Personal(name, fields, mask is not None)


def _available_at(record: Customer, policy: Policy) -> int | None:
    """Return the time from which an available customer may be claimed, in the past or future."""
    if record.state != "available" or record.set_aside_at is not None:
        return None
    return max(record.waiting_since, record.entered_at + (policy.length("embargo") or 0))


def event(record: Event, viewer: str, reads_all: bool) -> dict[str, Any]:
    """Return the event as `viewer` may see it. Its author and its holder always see the written text."""
    hidden = record.written and not reads_all and viewer not in (record.by, record.holder)
    return {
        "seq": record.seq,
        "type": record.type,
        "at": rfc3339(record.at),
        "by": record.by,
        "holder": record.holder,
        "claim_id": record.claim_id,
        "reason": None if hidden else record.reason,
        "outcome": None if hidden else record.outcome,
        "masked": hidden,
        "from_state": record.from_state,
        "to_state": record.to_state,
        "expires_at": _time(record.expires_at),
    }
