"""Metrics in log lines (CloudWatch embedded metric format), and summaries of exceptions without personal data.

Log lines contain codes, route patterns, request ids and numbers, never anything that a client sent. No metrics library
is used, because each import adds to every cold start.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from logging import Logger
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

UNITS: Final = {"lag_s": "Seconds"}  # of metrics other than counts


class RequestMetrics(Struct, frozen=True):
    """The outcome of one request. `codes` has one entry for each requested item: `ok` or the code of its refusal."""

    route: str
    status: int
    codes: Sequence[str]
    took_ms: int
    request_id: str | None


LogRequest = Callable[[RequestMetrics], object]


def emf_record(namespace: str, function: str, now: int, numbers: Mapping[str, float], **extra: Any) -> dict[str, Any]:
    """Return the `extra` of a log line. `numbers` become metrics by function; `extra` values are only logged."""
    metrics = [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in numbers]
    directive = {"Namespace": namespace, "Dimensions": [["function"]], "Metrics": metrics}
    return {"function": function, **extra, **numbers, "_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}}


def request_logger(log: Logger, namespace: str, clock: Callable[[], int]) -> LogRequest:
    """Return a function that logs one line a request, with a metric for each code."""

    def log_request(outcome: RequestMetrics) -> None:
        extra = {
            "route": outcome.route, "status": outcome.status, "took_ms": outcome.took_ms,
            "request_id": outcome.request_id,
        }  # fmt: skip
        log.info("answered", extra=emf_record(namespace, "api", clock(), Counter(outcome.codes), **extra))

    return log_request


# Exceptions

FRAMES: Final = 8


def exception_summary(error: BaseException) -> str:
    """Return `KeyError at items.py:68 deserialize < items.py:120 customer_record; from …`: innermost frame first.

    Values and messages are left out: they may be personal data.
    """
    parts: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        places = reversed(traceback.extract_tb(cause.__traceback__)[-FRAMES:])
        parts.append(f"{type(cause).__name__} at {' < '.join(_place(frame) for frame in places)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "; from ".join(parts)


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
