"""What the table's stream says has happened, as events for other systems: pure, and the same however often it is asked.

A customer carries its latest events, so a record of the stream tells all that one write did: the events later than the
version before it. docs/events.md is what others rely on. Nothing personal goes out: no name, no field, and no text that
somebody wrote.
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
SCHEMA: Final = 1  # raised when a member changes its meaning or goes; one that is added changes nothing


class Detail(Struct, frozen=True):
    """One transition of one customer, as others are told it. `id` is its own for ever; `level` is a reminder's."""

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
    """An event, and the number in the stream of the record that tells it."""

    number: str
    detail: Detail

    def entry(self, bus: str) -> dict[str, Any]:
        """As EventBridge takes it."""
        said = msgspec.json.encode(self.detail).decode()
        return {"EventBusName": bus, "Source": SOURCE, "DetailType": self.detail.type, "Detail": said}


class Batch(Struct, frozen=True):
    """What some records tell, in their order, and outlines of those that do not read as any."""

    told: list[StreamEvent]
    malformed: list[str]


def events_from(records: Iterable[Mapping[str, Any]]) -> Batch:
    """A malformed record tells nothing, today as tomorrow: it is passed over, so that it stops none of the rest."""
    reading = Batch([], [])
    for record in records:
        try:
            reading.told.extend(_told_by(record["dynamodb"]))
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reading.malformed.append(exception_summary(error))
    return reading


def batch_item_failures(told: Sequence[StreamEvent], first_untold: int | None) -> dict[str, Any]:
    """The function's answer to the stream: from the record of the first event that was not taken, all come again."""
    missing = [] if first_untold is None else [{"itemIdentifier": told[first_untold].number}]
    return {"batchItemFailures": missing}


def _told_by(change: Mapping[str, Any]) -> list[StreamEvent]:
    after, before = change.get("NewImage") or {}, change.get("OldImage") or {}
    if "tail" not in after:  # not a customer, or one that has left
        return []
    # A new item tells its last event only: a customer that comes from another pool brings those that were told there.
    seen = items.deserialize((before or after)["version"]) - (0 if before else 1)
    pk, born = items.deserialize(after["pk"]), items.deserialize(after["created_at"])
    new = [event for event in items.recent_events_record(after) if event.seq > seen]
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
