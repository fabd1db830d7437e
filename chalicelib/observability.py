"""Metrics in log lines (CloudWatch embedded metric format), and summaries of exceptions without personal data.

Log lines contain codes, route patterns, request ids, keyed digests and numbers, never anything that a client sent. No
metrics library is used, because each import adds to every cold start.
"""

from __future__ import annotations

import hmac
import re
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from logging import Logger
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

UNITS: Final = {"lag_s": "Seconds"}  # of metrics other than counts
# The numbers that are metrics too: each costs money in a month in which it is published. All others are only logged.
METRICS: Final = frozenset(("ok", "throttled", "store_unavailable", "outcome_unknown", "lag_s", "failed", "malformed"))


class RequestMetrics(Struct, frozen=True):
    """The outcome of one request. `codes` has one entry for each requested item: `ok` or the code of its refusal.

    `tenant`, `user` and `pool` are those of the request; only their digests are logged.
    """

    route: str
    status: int
    codes: Sequence[str]
    took_ms: int
    request_id: str | None
    tenant: str | None = None
    user: str | None = None
    pool: str | None = None


LogRequest = Callable[[RequestMetrics], object]


def emf_record(namespace: str, function: str, now: int, numbers: Mapping[str, float], **extra: Any) -> dict[str, Any]:
    """Return the `extra` of a log line. METRICS other than zero counts become metrics by function."""
    published = [name for name, number in numbers.items() if name in METRICS and (number or name in UNITS)]
    line = {"function": function, **extra, **numbers}
    if not published:
        return line
    metrics = [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in published]
    directive = {"Namespace": namespace, "Dimensions": [["function"]], "Metrics": metrics}
    return {**line, "_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}}


def request_logger(
    log: Logger, namespace: str, clock: Callable[[], int], secret: str = "", release: str = ""
) -> LogRequest:
    """Return a function that logs one line a request: how often it had each code, and the digests of its names.

    `code` is the code of all items, or `mixed`.
    """

    def log_request(outcome: RequestMetrics) -> None:
        extra = {
            "route": outcome.route, "status": outcome.status, "took_ms": outcome.took_ms,
            "code": next(iter(outcome.codes), "ok") if len({*outcome.codes}) < 2 else "mixed",
            "request_id": outcome.request_id, "release": release, **_digests(secret, outcome),
        }  # fmt: skip
        log.info("answered", extra=emf_record(namespace, "api", clock(), Counter(outcome.codes), **extra))

    return log_request


def _digests(secret: str, outcome: RequestMetrics) -> dict[str, str]:
    if not secret or outcome.tenant is None:
        return {}
    names = {"tenant": "", "user": outcome.user, "pool": outcome.pool}
    return {kind: name_digest(secret, kind, outcome.tenant, name) for kind, name in names.items() if name is not None}


@lru_cache(maxsize=4096)
def name_digest(secret: str, kind: str, tenant: str, name: str = "") -> str:
    """Return the digest with which log lines name a tenant, or a user or pool of it: equal names, equal digests.

    Keyed, because user ids and pool ids can be guessed.
    """
    return hmac.digest(secret.encode(), f"log {kind}\n{tenant}\n{name}".encode(), "sha256").hex()[:_DIGEST_DIGITS]


# Exceptions

_DIGEST_DIGITS: Final = 16
_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,64}")  # of an error of AWS; the text of another answer is not logged
FRAMES: Final = 8


def exception_summary(error: BaseException) -> str:
    """Return `KeyError at items.py:68 deserialize < items.py:120 customer_record; from …`: innermost frame first.

    An error of AWS has its operation and code: `ClientError (Query: AccessDeniedException) at …`. Values and messages
    are left out: they may be personal data.
    """
    parts: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        places = reversed(traceback.extract_tb(cause.__traceback__)[-FRAMES:])
        parts.append(f"{type(cause).__name__}{_aws_code(cause)} at {' < '.join(_place(frame) for frame in places)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "; from ".join(parts)


def _aws_code(error: BaseException) -> str:
    """Return the operation and the code of an error of AWS, with a space before; nothing for any other exception."""
    operation, response = getattr(error, "operation_name", None), getattr(error, "response", None)
    if operation is None or not isinstance(response, Mapping):
        return ""
    found = _CODE.fullmatch(str(response.get("Error", {}).get("Code")))
    return f" ({operation}: {found[0] if found else 'no code'})"


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
