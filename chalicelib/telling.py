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

from chalicelib import layout
from chalicelib.outlines import outline
from chalicelib.records import Event, State
from chalicelib.times import rfc3339

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


class Told(Struct, frozen=True):
    """An event, and the number in the stream of the record that tells it."""

    number: str
    detail: Detail

    def entry(self, bus: str) -> dict[str, Any]:
        """As EventBridge takes it."""
        said = msgspec.json.encode(self.detail).decode()
        return {"EventBusName": bus, "Source": SOURCE, "DetailType": self.detail.type, "Detail": said}


class Reading(Struct, frozen=True):
    """What some records tell, in their order, and outlines of those that do not read as any."""

    told: list[Told]
    malformed: list[str]


def read(records: Iterable[Mapping[str, Any]]) -> Reading:
    """A malformed record tells nothing, today as tomorrow: it is passed over, so that it stops none of the rest."""
    reading = Reading([], [])
    for record in records:
        try:
            reading.told.extend(_told_by(record["dynamodb"]))
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reading.malformed.append(outline(error))
    return reading


def report(told: Sequence[Told], first_untold: int | None) -> dict[str, Any]:
    """The function's answer to the stream: from the record of the first event that was not taken, all come again."""
    missing = [] if first_untold is None else [{"itemIdentifier": told[first_untold].number}]
    return {"batchItemFailures": missing}


def _told_by(change: Mapping[str, Any]) -> list[Told]:
    after, before = change.get("NewImage") or {}, change.get("OldImage") or {}
    if "tail" not in after:  # not a customer, or one that has left
        return []
    # A new item tells its last event only: a customer that comes from another pool brings those that were told there.
    seen = layout.plain((before or after)["version"]) - (0 if before else 1)
    pk, born = layout.plain(after["pk"]), layout.plain(after["created_at"])
    new = [event for event in layout.events_record(after) if event.seq > seen]
    return [Told(str(change["SequenceNumber"]), _detail(pk, born, event)) for event in new]


def _detail(pk: str, born: int, event: Event) -> Detail:
    tenant, pool, customer = layout.tenant_in(pk), layout.pool_in(pk), layout.id_in(pk)
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
