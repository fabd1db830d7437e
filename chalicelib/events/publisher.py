"""Publishes entries to the EventBridge bus in order, up to the first that is rejected.

Entries before that one are published; the caller retries it and the rest. Nothing here reads or logs the content of an
event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from chalicelib.events import stream
from chalicelib.observability import exception_summary

MAX_ENTRIES: Final = 10
log = logging.getLogger("customer-pool")


def connect(region: str) -> Any:
    """Return a client with short timeouts: the stream retries rejected entries."""
    settings = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
    return botocore.session.get_session().create_client("events", region_name=region, config=settings)


class PublishReport(Struct, frozen=True):
    """The counts of published, rejected and malformed entries, and the partial batch response for Lambda."""

    numbers: Mapping[str, float]
    response: dict[str, Any]


SetAside: TypeAlias = Callable[[stream.Malformed], str]


def publish_records(
    client: Any, bus: str, records: Iterable[Mapping[str, Any]], set_aside: SetAside = lambda _: "unknown"
) -> PublishReport:
    """Publish the events in these stream records. A malformed record is set aside, which returns its shard, and logged.

    Raises the error of `set_aside`: Lambda then sends all records again.
    """
    batch = stream.events_from(records)
    for each in batch.malformed:
        log.error("malformed record: shard %s, sequence number %s: %s", set_aside(each), each.number, each.summary)
    entries = [each.entry(bus) for each in batch.events]
    first_rejected = publish(client, entries)
    published = len(entries) if first_rejected is None else first_rejected
    numbers = {"published": published, "rejected": len(entries) - published, "malformed": len(batch.malformed)}
    return PublishReport(numbers, stream.batch_item_failures(batch.events, first_rejected))


def publish(client: Any, entries: Sequence[dict[str, Any]]) -> int | None:
    """Return the index of the first rejected entry, or None. No batch is sent after a rejection."""
    for start in range(0, len(entries), MAX_ENTRIES):
        rejected = _first_rejected(client, entries[start : start + MAX_ENTRIES])
        if rejected is not None:
            return start + rejected
    return None


def _first_rejected(client: Any, entries: Sequence[dict[str, Any]]) -> int | None:
    try:
        answer = client.put_events(Entries=list(entries))
    except (BotoCoreError, ClientError) as error:
        log.warning("events rejected: %s", exception_summary(error))
        return 0
    codes = [result.get("ErrorCode") for result in answer["Entries"]]
    if not any(codes):
        return None
    log.warning("events rejected: %s", ", ".join(sorted({str(code) for code in codes if code})))
    return next(index for index, code in enumerate(codes) if code)
