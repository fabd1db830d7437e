"""What operators count: numbers in a line of the log, which CloudWatch reads as metrics (its embedded metric format).

Codes, patterns of routes, ids of requests and numbers; never anything that a client has sent. A dictionary, and no
library for it, because each import here is part of every cold start.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from logging import Logger
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

NOT_COUNTED: Final = {"lag_s": "Seconds"}  # the unit of each number that is no count


class RequestMetrics(Struct, frozen=True):
    """What came of one request. `codes` has one entry for each thing that was asked for: `ok`, or why not."""

    route: str
    status: int
    codes: Sequence[str]
    took_ms: int
    request_id: str | None


LogRequest = Callable[[RequestMetrics], object]


def emf_record(namespace: str, function: str, now: int, numbers: Mapping[str, float], **extra: Any) -> dict[str, Any]:
    """The `extra` of a log line that makes metrics of those numbers, by function; `beside` is only to be read."""
    metrics = [{"Name": name, "Unit": NOT_COUNTED.get(name, "Count")} for name in numbers]
    directive = {"Namespace": namespace, "Dimensions": [["function"]], "Metrics": metrics}
    return {"function": function, **extra, **numbers, "_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}}


def request_logger(log: Logger, namespace: str, clock: Callable[[], int]) -> LogRequest:
    """Logs one line a request, with a metric for each code that it was answered with."""

    def tell(outcome: RequestMetrics) -> None:
        extra = {
            "route": outcome.route, "status": outcome.status, "took_ms": outcome.took_ms,
            "request_id": outcome.request_id,
        }  # fmt: skip
        log.info("answered", extra=emf_record(namespace, "api", clock(), Counter(outcome.codes), **extra))

    return tell


# Exceptions

FRAMES: Final = 8


def exception_summary(error: BaseException) -> str:
    """`KeyError at layout.py:268 plain < copies.py:128 record; from …`: the innermost place first, then the cause."""
    told: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        places = reversed(traceback.extract_tb(cause.__traceback__)[-FRAMES:])
        told.append(f"{type(cause).__name__} at {' < '.join(_place(frame) for frame in places)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "; from ".join(told)


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
