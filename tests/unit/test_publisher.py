"""Publishing events: ten in a request, in order; from the first rejected event on, all are retried."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError

from chalicelib.events import publisher, stream
from chalicelib.events.stream import Detail, StreamEvent
from tests.support.canaries import NAME, LogCapture
from tests.support.network_faults import answer

Answering = Callable[[list[Any]], AWSResponse]


class Bus:
    """The client that production has, with its answers given here, at the door to the network."""

    def __init__(self) -> None:
        self.client = publisher.connect("us-east-1")
        self.client.meta.events.register_first("before-send.eventbridge", self._answer)
        self.requests: list[list[str]] = []
        self.respond: Answering = taken

    def _answer(self, request: AWSRequest, **_: Any) -> AWSResponse:
        entries = json.loads(request.body)["Entries"]
        self.requests.append([json.loads(entry["Detail"])["id"] for entry in entries])
        return self.respond(entries)


def taken(entries: list[Any]) -> AWSResponse:
    return answer(200, {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in entries]})


def events(count: int) -> list[StreamEvent]:
    """Each in a record of the stream of its own."""
    sent = []
    for number in range(1, count + 1):
        names = dict.fromkeys(Detail.__struct_fields__, None) | {"schema": 1, "id": str(number), "type": "claimed"}
        sent.append(StreamEvent(f"record {number}", Detail(**names)))  # type: ignore[arg-type]
    return sent


def put(bus: Bus, sent: list[StreamEvent]) -> list[str]:
    """Return the records that are reported for retry."""
    first = publisher.publish(bus.client, [each.entry("bus") for each in sent])
    return [each["itemIdentifier"] for each in stream.batch_item_failures(sent, first)["batchItemFailures"]]


@pytest.fixture
def bus() -> Bus:
    return Bus()


def test_ten_events_are_published_in_one_request_in_order(bus: Bus) -> None:
    again = put(bus, events(23))

    assert again == []
    assert [len(ids) for ids in bus.requests] == [10, 10, 3]
    assert [each for ids in bus.requests for each in ids] == [str(number) for number in range(1, 24)]


def test_no_events_make_no_publish_request(bus: Bus) -> None:
    assert put(bus, []) == []
    assert bus.requests == []


def test_publishing_stops_at_the_first_rejected_event_and_retries_from_there(bus: Bus) -> None:
    def busy(entries: list[Any]) -> AWSResponse:
        refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": NAME}
        ids = [json.loads(entry["Detail"])["id"] for entry in entries]
        sent = [refused if each in ("14", "17") else {"EventId": "e"} for each in ids]
        return answer(200, {"FailedEntryCount": sent.count(refused), "Entries": sent})

    bus.respond = busy

    assert put(bus, events(30)) == ["record 14"]
    assert len(bus.requests) == 2


def not_there(entries: list[Any]) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=f"http://{NAME}")


def forbidden(entries: list[Any]) -> AWSResponse:
    return answer(400, {"__type": "AccessDeniedException", "message": NAME})


@pytest.mark.parametrize("failure", [not_there, forbidden])
def test_a_failed_publish_request_is_retried_later_and_logged_safely(
    bus: Bus, logs: LogCapture, failure: Answering
) -> None:
    bus.respond = failure

    assert put(bus, events(3)) == ["record 1"]

    assert any("events rejected: " in text for text in logs.messages)
    assert NAME not in str(logs.messages)


def test_a_retry_publishes_the_same_events(bus: Bus) -> None:
    put(bus, events(4))
    put(bus, events(4))

    assert bus.requests[0] == bus.requests[1]
