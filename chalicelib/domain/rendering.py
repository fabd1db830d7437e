"""Build the response body of each record, with RFC 3339 times and masked fields.

Every body with a customer must be built here, so that no path can skip the masking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from chalicelib.domain import masking
from chalicelib.dynamodb import cards
from chalicelib.model import pool_responses, responses
from chalicelib.model.field_definitions import TYPES, Field
from chalicelib.model.model import Customer, Event, LogEntry, Member, Pool, Tombstone
from chalicelib.model.policy import Policy
from chalicelib.model.pool_responses import FieldsProblem, Totals
from chalicelib.model.responses import EventType, Facts
from chalicelib.model.times import rfc3339
from chalicelib.model.users import Leave, Person


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def pool(record: Pool, totals: Totals) -> pool_responses.Pool:
    return pool_responses.Pool(
        id=record.id,
        name=record.name,
        status=record.status,
        policy=_policy(record.policy),
        fields=[_field(each) for each in record.definitions.by_key.values()],
        fields_ready=record.fields_since is None,
        warnings=record.policy.warnings,
        totals=totals,
        version=record.version,
        created_at=rfc3339(record.created_at),
        updated_at=rfc3339(record.updated_at),
    )


PoolBody = TypeVar("PoolBody", bound=pool_responses.Pool)


def with_fields_problem(body: PoolBody, record: Pool) -> PoolBody:
    """Return the pool with the customers that have equal values of a field that was to be unique. For managers."""
    if not record.twins:
        return body
    return replace(body, fields_problem=FieldsProblem({key: [*ids] for key, ids in record.twins.items()}))


def _field(field: Field) -> Field:
    """Return the definition. A type that only a later version of the service knows has no checks, like text."""
    return field if field.type in TYPES else replace(field, type="text")


def changed_pool(record: Pool, totals: Totals, affected: int) -> pool_responses.ChangedPool:
    return pool_responses.ChangedPool(**asdict(pool(record, totals)), affected=affected)


def tried_pool(
    record: Pool, totals: Totals, affected: int, customers: list[str], holders: list[str]
) -> pool_responses.ChangedPool:
    """Return the pool after a dry run, with the customers and holders concerned."""
    tried = changed_pool(record, totals, affected)
    return replace(tried, affected_customers=customers, affected_holders=holders)


def resharded_pool(record: Pool, totals: Totals) -> pool_responses.ReshardedPool:
    spreading = record.spread_from is not None
    return pool_responses.ReshardedPool(**asdict(pool(record, totals)), shards=record.shards, spreading=spreading)


def _policy(policy: Policy) -> Policy:
    """Return the policy with its effective values. A rule that is off is null; the two lists are never null."""
    return replace(
        policy,
        notes_visible_to=policy.notes_readers,
        phone_region=policy.region,
        win=policy.win_mode,
        win_review=policy.review,
        masked_fields=policy.masked_fields or (),
        reminders=policy.reminders or (),
    )


def member(record: Member, home: Pool, now: int) -> pool_responses.Member:
    """Return a member with their limits and the remaining numbers. `api.people` adds what is known of the user."""
    policy = home.policy
    limit = policy.holding_limit if record.own_limit is None else record.own_limit
    private_limit = policy.private_limit if record.own_private_limit is None else record.own_private_limit
    return pool_responses.Member(
        pool_id=record.pool,
        user_id=record.user,
        name=None,
        role=record.role,
        holding_limit=limit,
        held=record.held,
        headroom=None if limit is None else max(limit - record.held, 0),
        private_limit=private_limit,
        private=record.private,
        pins=record.pins,
        daily_claim_limit=policy.daily_claim_limit,
        claimed_today=record.claimed_on(home.day(now)),
        resets_at=rfc3339(home.day_ends(now, record.day)),
        takes=None if record.takes is None else record.takes.body,
        seen=False,
        version=record.version,
    )


def user(record: Person) -> pool_responses.User:
    return pool_responses.User(
        user_id=record.id,
        name=record.name,
        email=record.email,
        department=record.department,
        seen=record.seen,
        left=record.leave is not None,
        version=record.version,
    )


def leave_progress(user: str, leave: Leave, remaining: int) -> pool_responses.LeaveProgress:
    return pool_responses.LeaveProgress(
        user_id=user,
        state="done" if leave.state == "done" else "running",
        moved=leave.moved,
        remaining=remaining,
        not_transferred=leave.not_transferred,
    )


class Personal(Struct, frozen=True):
    """The texts of people about a customer, as one viewer may see them now. Empty if the customer no longer exists.

    `partial`: only some of the fields are here.
    """

    name: str | None = None
    fields: dict[str, Any] | None = None
    masked: bool = False
    partial: bool = False
    amount: str | None = None
    ends_at: str | None = None


def customer(record: Customer, home: Pool, now: int, viewer: str, manages: Callable[[], bool]) -> responses.Customer:
    """Return the customer as `viewer` may see it now."""
    return with_personal(facts(record, home.policy), personal(record, home, now, viewer, manages))


def list_item(record: Customer, home: Pool, now: int, viewer: str, manages: bool) -> responses.Customer:
    """Return the customer as a list shows it to `viewer`: with the values of its card, some of them cut."""
    listed = replace(record, fields=cards.shown(record.card, home.definitions))
    own = personal(listed, home, now, viewer, lambda: manages)
    return with_personal(facts(record, home.policy), replace(own, partial=True))


def with_personal(known: Facts, own: Personal) -> responses.Customer:
    """Return the body of a customer: its facts, with name and fields."""
    members: dict[str, Any] = asdict(known) | asdict(own)
    if known.old_expires_at is UNSET:
        del members["old_expires_at"]
        return responses.Customer(**members)
    return responses.ExtendedCustomer(**members)


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
        win_requested_at=_time(record.win_requested_at),
        won_at=_time(record.won_at),
        entered_pool_at=rfc3339(record.entered_at),
        available_at=_time(_available_at(record, policy)),
        last_follow_up_at=_time(record.last_follow_up_at),
        returns=record.returns,
        set_aside_at=_time(record.set_aside_at),
        suppressed_at=_time(record.suppressed_at),
        priority=record.priority,
        version=record.version,
        created_at=rfc3339(record.created_at),
        updated_at=rfc3339(record.updated_at),
    )


def personal(record: Customer, home: Pool, now: int, viewer: str, manages: Callable[[], bool]) -> Personal:
    """Return name and fields: only the holder and managers see masked fields in full.

    `manages` is called only if it makes a difference, since it may read the table.
    """
    mask = masking.of(home)
    has_win = record.amount is not None or record.ends_at is not None
    notes_are_open = home.policy.notes_readers == "pool"
    hides = mask is not None or (has_win and not notes_are_open)
    sees_all = not hides or record.belongs_to(viewer, now) or manages()
    name, fields = record.name, record.fields
    if mask is not None and not sees_all:
        name, fields = mask.field("name", name), {key: mask.field(key, value) for key, value in fields.items()}
    amount, ends_at = (record.amount, _time(record.ends_at)) if sees_all or notes_are_open else (None, None)
    return Personal(name, fields, mask is not None and not sees_all, amount=amount, ends_at=ends_at)


def erased(record: Tombstone) -> responses.ErasedCustomer:
    return responses.ErasedCustomer(record.id, rfc3339(record.erased_at))


def log_entry(record: LogEntry) -> pool_responses.LogEntry:
    return pool_responses.LogEntry(rfc3339(record.at), record.by, record.what, record.old, record.new)


def erasure(record: Tombstone) -> responses.Erasure:
    suppressed = record.suppressed_at is not None
    return responses.Erasure(record.id, rfc3339(record.erased_at), record.erased_by, record.reason, suppressed)


def _available_at(record: Customer, policy: Policy) -> int | None:
    """Return the time from which an available customer may be claimed, in the past or future."""
    if record.state != "available" or record.set_aside_at is not None or record.suppressed_at is not None:
        return None
    return max(record.waiting_since, record.entered_at + (policy.length("embargo") or 0))


def event(record: Event, viewer: str, reads_all: bool) -> responses.Event:
    """Return the event as `viewer` may see it. Its author and its holder always see the written text."""
    hidden = record.written and not reads_all and viewer not in (record.by, record.holder)
    return responses.Event(
        seq=record.seq,
        type=cast(EventType, record.type),
        at=rfc3339(record.at),
        by=record.by,
        holder=record.holder,
        claim_id=record.claim_id,
        reason=None if hidden else record.reason,
        outcome=None if hidden else record.outcome,
        changed=list(record.changed),
        masked=hidden,
        from_state=record.from_state,
        to_state=record.to_state,
        expires_at=_time(record.expires_at),
    )
