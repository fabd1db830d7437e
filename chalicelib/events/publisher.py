"""Puts events on the EventBridge bus, in order, and says which was the first that the bus did not take.

What came before that one is told; it and the rest are for the caller to bring again. It knows nothing of what an event
says, and logs nothing of it either.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.observability import exception_summary

MAX_ENTRIES: Final = 10
log = logging.getLogger("customer-pool")


def connect(region: str) -> Any:
    """A client that gives up early: what was not taken comes again with the stream."""
    patience = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
    return botocore.session.get_session().create_client("events", region_name=region, config=patience)


def publish(client: Any, entries: Sequence[dict[str, Any]]) -> int | None:
    """The position of the first entry that was not taken; None if all were. After that one no more are sent."""
    for start in range(0, len(entries), MAX_ENTRIES):
        refused = _refused(client, entries[start : start + MAX_ENTRIES])
        if refused is not None:
            return start + refused
    return None


def _refused(client: Any, entries: Sequence[dict[str, Any]]) -> int | None:
    try:
        answer = client.put_events(Entries=list(entries))
    except (BotoCoreError, ClientError) as error:
        log.warning("events not taken: %s", exception_summary(error))
        return 0
    codes = [result.get("ErrorCode") for result in answer["Entries"]]
    if not any(codes):
        return None
    log.warning("events not taken: %s", ", ".join(sorted({str(code) for code in codes if code})))
    return next(position for position, code in enumerate(codes) if code)
