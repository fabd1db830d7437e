"""What operators count: numbers in a line of the log, which CloudWatch reads as metrics (its embedded metric format).

Codes, patterns of routes, ids of requests and numbers; never anything that a client has sent. A dictionary, and no
library for it, because each import here is part of every cold start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from logging import Logger
from typing import Any, Final

from msgspec import Struct

NOT_COUNTED: Final = {"lag_s": "Seconds"}  # the unit of each number that is no count


class Outcome(Struct, frozen=True):
    """What came of one request. `codes` has one entry for each thing that was asked for: `ok`, or why not."""

    route: str
    status: int
    codes: Sequence[str]
    took_ms: int
    request_id: str | None


Tell = Callable[[Outcome], object]


def measured(namespace: str, function: str, now: int, numbers: Mapping[str, float], **beside: Any) -> dict[str, Any]:
    """The `extra` of a log line that makes metrics of those numbers, by function; `beside` is only to be read."""
    metrics = [{"Name": name, "Unit": NOT_COUNTED.get(name, "Count")} for name in numbers]
    directive = {"Namespace": namespace, "Dimensions": [["function"]], "Metrics": metrics}
    return {"function": function, **beside, **numbers, "_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}}


def teller(log: Logger, namespace: str, clock: Callable[[], int]) -> Tell:
    """Logs one line a request, with a metric for each code that it was answered with."""

    def tell(outcome: Outcome) -> None:
        beside = {
            "route": outcome.route, "status": outcome.status, "took_ms": outcome.took_ms,
            "request_id": outcome.request_id,
        }  # fmt: skip
        log.info("answered", extra=measured(namespace, "api", clock(), Counter(outcome.codes), **beside))

    return tell
