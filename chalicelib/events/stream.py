"""Converts records of the table's stream to EventBridge events. Pure: a repeated record yields the same events.

A customer item holds its recent events, so a stream record contains every event of one write: those later than the old
image's version. docs/events.md is the contract with consumers. No personal data is published: no name, no field, no
text that a person wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from chalicelib.dynamodb import items, keys
from chalicelib.model.model import Event, State
from chalicelib.model.times import rfc3339
from chalicelib.observability import exception_summary

SOURCE: Final = "customer-pool"
SCHEMA: Final = 1  # raised when a member changes its meaning or is removed, not when one is added


class Detail(Struct, frozen=True):
    """The published detail: one transition of one customer. `id` is unique and stable; `level` is set for reminders."""

    schema: int
    id: str
    tenant: str
    pool_id: str
    customer_id: str
    seq: int
    type: str
    at: str
    by: str
    holder: str | None
    claim_id: str | None
    from_state: State | None
    to_state: State | None
    expires_at: str | None
    level: str | None


class StreamEvent(Struct, frozen=True):
    """An event and the sequence number of its stream record."""

    number: str
    detail: Detail

    def entry(self, bus: str) -> dict[str, Any]:
        """Return the entry for PutEvents."""
        detail = msgspec.json.encode(self.detail).decode()
        return {"EventBusName": bus, "Source": SOURCE, "DetailType": self.detail.type, "Detail": detail}


class Malformed(Struct, frozen=True):
    """The place of a malformed record in the stream, and the summary of the exception."""

    stream: str
    number: str
    summary: str


class Batch(Struct, frozen=True):
    """The events of some stream records, in order, and the malformed records."""

    events: list[StreamEvent]
    malformed: list[Malformed]


def events_from(records: Iterable[Mapping[str, Any]]) -> Batch:
    """Return the events of these records. Skips malformed records: a retry cannot repair them."""
    batch = Batch([], [])
    for record in records:
        try:
            batch.events.extend(_events_in(record["dynamodb"]))
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            batch.malformed.append(Malformed(*_place(record), exception_summary(error)))
    return batch


def _place(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return the ARN of the stream and the sequence number of a record; empty text for what it does not have."""
    change = record.get("dynamodb")
    number = change.get("SequenceNumber") if isinstance(change, Mapping) else None
    return str(record.get("eventSourceARN") or ""), str(number or "")


def batch_item_failures(events: Sequence[StreamEvent], first_rejected: int | None) -> dict[str, Any]:
    """Return the partial batch response: Lambda retries from the record of the first rejected event on."""
    failures = [] if first_rejected is None else [{"itemIdentifier": events[first_rejected].number}]
    return {"batchItemFailures": failures}


def _events_in(change: Mapping[str, Any]) -> list[StreamEvent]:
    after, before = change.get("NewImage") or {}, change.get("OldImage") or {}
    if "tail" not in after:  # not a customer item, or a removed one
        return []
    # A new item yields its last event only: a customer moved from another pool brings events published there.
    published = items.deserialize((before or after)["version"]) - (0 if before else 1)
    pk, born = items.deserialize(after["pk"]), items.deserialize(after["created_at"])
    new = [event for event in items.recent_events_record(after) if event.seq > published]
    return [StreamEvent(str(change["SequenceNumber"]), _detail(pk, born, event)) for event in new]


def _detail(pk: str, born: int, event: Event) -> Detail:
    tenant, pool, customer = keys.tenant_from_pk(pk), keys.pool_from_pk(pk), keys.id_from_pk(pk)
    return Detail(
        schema=SCHEMA,
        id=f"{tenant}/{pool}/{customer}/{born}/{event.seq}",
        tenant=tenant,
        pool_id=pool,
        customer_id=customer,
        seq=event.seq,
        type=event.type,
        at=rfc3339(event.at),
        by=event.by,
        holder=event.holder,
        claim_id=event.claim_id,
        from_state=event.from_state,
        to_state=event.to_state,
        expires_at=None if event.expires_at is None else rfc3339(event.expires_at),
        level=event.reason if event.type == "reminded" else None,
    )
