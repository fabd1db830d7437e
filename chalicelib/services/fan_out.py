"""Hand the rest of a round that one function cannot finish to parallel invocations of it, one for each part of the
schedule.

Off by default. A round then checks pools for a quarter of its time only. If that is not enough, it invokes its own
function once for each part; such an invocation checks the pools of its part until the next round begins, and hands
nothing over. All of them may overlap, fail or not start: what is left undone stays due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.dynamodb import keys
from chalicelib.model.times import MINUTE
from chalicelib.observability import exception_summary
from chalicelib.services import schedule
from chalicelib.services.expiry import SweepResult
from chalicelib.services.sweeper import SecondsLeft
from chalicelib.transactions.context import Backend

log = logging.getLogger("customer-pool")
Event: TypeAlias = Mapping[str, Any]
Invoke: TypeAlias = Callable[[Event], object]  # the function again, with this event, without waiting for its result
PERIOD_MS: Final = MINUTE  # from round to round


class Part(NamedTuple):
    """The payload of an invocation: a part of the schedule, and the time (ms) at which the next round begins."""

    shard: int
    until: int


def part_of(event: Event) -> Part | None:
    """Return the part in the event. None for an event of EventBridge, which begins a round."""
    match event.get("detail"):
        case {"shard": int(shard), "until": int(until)} if 0 <= shard < keys.SCHEDULE_SHARDS:
            return Part(shard, until)
    return None


def run(backend: Backend, event: Event, now: int, seconds_left: SecondsLeft, invoke: Invoke | None) -> SweepResult:
    """Run a round, or the part of one that the event names. Without `invoke`, nothing is handed over."""
    part = part_of(event)
    if part is None:
        hand_over = None if invoke is None else partial(_hand_over, invoke, event, now + PERIOD_MS)
        return schedule.run_round(backend, now, seconds_left, hand_over)
    spare = max(seconds_left() - (part.until - now) / 1000, 0)
    partition = keys.schedule_partitions()[part.shard]
    return schedule.check_pools(backend, now, lambda: seconds_left() - spare, [partition])


def _hand_over(invoke: Invoke, event: Event, until: int) -> None:
    """Invoke the function for each part. A failed invocation is logged: its pools stay due."""
    try:
        for shard in range(keys.SCHEDULE_SHARDS):
            invoke({**event, "detail": Part(shard, until)._asdict()})
    except (BotoCoreError, ClientError) as error:
        log.error("the rest of the round is left for the next one: %s", exception_summary(error))
        return
    log.info("the rest of the round was handed to %d invocations", keys.SCHEDULE_SHARDS)
