"""The log line of each request, with its codes as metrics and the request id."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from chalice.app import Request

from chalicelib import observability
from chalicelib.api.handler import respond
from chalicelib.observability import RequestMetrics
from tests.http.test_logs import canaries_in, server_error
from tests.support.canaries import FIELDS, NAME, LogCapture
from tests.support.dynamodb_calls import hooked
from tests.support.every_route import AUTHENTICATED, address, good_body, named
from tests.support.world import REQUEST_ID, User, World, find, gateway_event


class Recorder(list[RequestMetrics]):
    """Send requests and record their metrics."""

    def send(self, user: User, method: str, path: str, body: bytes = b"", **headers: str) -> RequestMetrics:
        route, parameters = find(method, path)
        event = gateway_event(route, parameters, user.caller, path, body, headers)
        respond(lambda: user.world.service, route, Request(event), parameters, self.append)
        return self[-1]


@pytest.fixture
def recorded() -> Recorder:
    return Recorder()


def test_an_outcome_has_the_route_the_status_the_code_and_the_id_of_the_request(
    memory_world: World, recorded: Recorder
) -> None:
    mona = canaries_in(memory_world)

    outcome = recorded.send(mona, "GET", "/v1/pools/p/customers/c1")

    assert (outcome.route, outcome.status) == ("GET /v1/pools/{pool}/customers/{customer}", 200)
    assert (list(outcome.codes), outcome.request_id) == (["ok"], REQUEST_ID)
    assert 0 <= outcome.took_ms < 60_000


def test_a_batch_counts_each_of_its_results(memory_world: World, recorded: Recorder) -> None:
    canaries_in(memory_world, holding_limit=2)
    body = b'{"customer_ids": ["c1", "c2", "nobody", "c2"]}'

    outcome = recorded.send(memory_world.bob, "POST", "/v1/pools/p/claim", body)

    assert sorted(outcome.codes) == ["already_claimed", "duplicate_in_request", "not_found", "ok"]


def test_a_replayed_response_is_counted_as_a_replay(memory_world: World, recorded: Recorder) -> None:
    canaries_in(memory_world)

    for customer in ("c1", "c2"):
        path = f"/v1/pools/p/customers/{customer}/claim"
        first = recorded.send(memory_world.bob, "POST", path, idempotency_key="k")
        again = recorded.send(memory_world.bob, "POST", path, idempotency_key="k")

        assert list(first.codes) == (["already_claimed"] if customer == "c1" else ["ok"])
        assert (list(again.codes), again.status) == (["replayed"], first.status)


def test_the_instance_of_a_5xx_names_its_request_and_a_refusal_has_none(moto_world: World) -> None:
    mona = canaries_in(moto_world)
    moto_world.service = moto_world.another_process()

    with hooked(moto_world, "before-send.dynamodb", server_error):
        fault = mona.get("/customers/c1")
    refusal = mona.get("/customers/nobody")

    assert fault.json["instance"] == f"/v1/pools/:pool/customers/:customer#{REQUEST_ID}"
    assert refusal.json["instance"] == "/v1/pools/:pool/customers/:customer"
    assert fault.headers["X-Request-Id"] == refusal.headers["X-Request-Id"] == REQUEST_ID


def test_a_defect_is_logged_with_the_id_of_the_request(moto_world: World, logs: LogCapture) -> None:
    mona = canaries_in(moto_world)
    moto_world.service = moto_world.another_process()

    def broken(**_: Any) -> None:
        raise RuntimeError(NAME)

    with hooked(moto_world, "before-send.dynamodb", broken):
        mona.get("/customers/c1")

    (message,) = logs.messages
    assert "unexpected: GET" in message and f"'request_id': '{REQUEST_ID}'" in message


def test_a_metric_line_has_each_code_and_no_identifying_dimension() -> None:
    outcome = RequestMetrics("POST /v1/pools/{pool}/claim", 200, ["ok", "holding_limit", "ok"], 12, "r")
    line = logged(lambda log_request: log_request(outcome))

    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], line["_aws"]["Timestamp"]) == ("CustomerPool/test", 7)
    assert directive["Dimensions"] == [["function"]]
    assert directive["Metrics"] == [{"Name": "ok", "Unit": "Count"}, {"Name": "holding_limit", "Unit": "Count"}]
    assert {name: line[name] for name in ("function", "ok", "holding_limit", "status", "request_id")} == {
        "function": "api", "ok": 2, "holding_limit": 1, "status": 200, "request_id": "r",
    }  # fmt: skip


def logged(write: Callable[[observability.LogRequest], object]) -> dict[str, Any]:
    """Return the content of the one logged line."""
    lines: list[dict[str, Any]] = []

    class Log:
        def info(self, message: str, extra: dict[str, Any]) -> None:
            lines.append(extra)

    write(observability.request_logger(Log(), "CustomerPool/test", lambda: 7))  # type: ignore[arg-type]
    (line,) = lines
    return line


@pytest.mark.parametrize("route", AUTHENTICATED, ids=named)
def test_no_logged_outcome_of_any_route_contains_a_secret(memory_world: World, recorded: Recorder, route: Any) -> None:
    """The ear would hear it in the line, which is logged here as in production."""
    mona = canaries_in(memory_world)
    line = observability.request_logger(logging.getLogger("customer-pool"), "CustomerPool/test", memory_world.clock)
    body = good_body(route) if route.method != "GET" else b""

    for who in (mona, memory_world.user("stranger")):
        line(recorded.send(who, route.method, address(route), body))
        line(recorded.send(who, route.method, address(route), f'{{"name": "{NAME}", "fields": {FIELDS}}}'.encode()))

    assert {outcome.request_id for outcome in recorded} == {REQUEST_ID}
