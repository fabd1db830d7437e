"""A faulty network in front of an engine over HTTP.

The engine is real. A request or its response is lost; a request is throttled or conflicts with another transaction; or
a proxy answers with an HTML page.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from chalicelib.dynamodb.table import Table
from tests.support.dynamodb_calls import operation_of

ENGINE = "http://engine"
THROTTLED = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
CANCELLED = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"


class Body:
    """A response body, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.content


def answer(status: int, content: dict[str, Any] | str) -> AWSResponse:
    text = content if isinstance(content, str) else json.dumps(content)
    headers: Any = HeadersDict({"content-type": "application/x-amz-json-1.0"})
    return AWSResponse(ENGINE, status, headers, Body(text.encode()))


def cancelled(*codes: str) -> AWSResponse:
    reasons = [{"Code": code} for code in codes]
    return answer(400, {"__type": CANCELLED, "Message": "cancelled", "CancellationReasons": reasons})


def throttled() -> AWSResponse:
    return answer(400, {"__type": THROTTLED, "message": "slow"})


def deliver(table: Table, request: Any) -> None:
    """Deliver the request and ignore the response."""
    table.connection.client._endpoint.http_session.send(request)


class FaultyNetwork:
    """Apply faults to about that share of a table's requests, drawn from `draw`. `injected` counts them."""

    def __init__(self, table: Table, share: float, draw: random.Random) -> None:
        self.table, self.share, self.draw = table, share, draw
        self.injected: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def over(self) -> Iterator[None]:
        events = self.table.connection.client.meta.events
        events.register_first("before-send.dynamodb", self._strike)
        try:
            yield
        finally:
            events.unregister("before-send.dynamodb", self._strike)

    def _strike(self, request: Any, **_: Any) -> AWSResponse | None:
        with self._lock:
            hit, name = self.draw.random() < self.share, self.draw.choice(list(KINDS))
            if not hit or (name == "met another" and operation_of(request) != "TransactWriteItems"):
                return None
            self.injected[name] += 1
        return KINDS[name](self.table, request)


def _lost(table: Table, request: Any) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=ENGINE)


def _unanswered(table: Table, request: Any) -> AWSResponse:
    deliver(table, request)
    raise ReadTimeoutError(endpoint_url=ENGINE)


def _paged(table: Table, request: Any) -> AWSResponse:
    deliver(table, request)
    return answer(500, "<html>Internal Server Error</html>")


KINDS: dict[str, Callable[[Table, Any], AWSResponse]] = {
    "lost": _lost,
    "unanswered": _unanswered,
    "answered by a page": _paged,
    "throttled": lambda table, request: throttled(),
    "met another": lambda table, request: cancelled("TransactionConflict", "None"),
}
