"""The log line of each request, with its codes as metrics and the request id."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from chalice.app import Request

from chalicelib import observability
from chalicelib.api.handler import respond
from chalicelib.observability import RequestMetrics
from tests.http.test_logs import canaries_in, server_error
from tests.support.canaries import FIELDS, NAME, LogCapture
from tests.support.dynamodb_calls import hooked
from tests.support.every_route import AUTHENTICATED, address, good_body, named
from tests.support.network_faults import answer
from tests.support.world import REQUEST_ID, User, World, find, gateway_event
from tools.deploy.whois import digests


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


def denied(**_: Any) -> AWSResponse:
    return answer(400, {"__type": "com.amazon.coral.service#AccessDeniedException", "message": NAME})


def throttled(**_: Any) -> AWSResponse:
    return answer(400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": NAME})


@pytest.mark.parametrize(
    ("failure", "level", "line"),
    [
        (denied, "ERROR", "store_unavailable: POST /v1/pools/{pool}/customers/{customer}/claim: StoreUnavailable at"),
        (throttled, "WARNING", "throttled: POST /v1/pools/{pool}/customers/{customer}/claim: Throttled at"),
    ],
)
def test_a_fault_is_logged_with_the_operation_and_the_code_of_aws(
    moto_world: World, logs: LogCapture, failure: Callable[..., AWSResponse], level: str, line: str
) -> None:
    canaries_in(moto_world)
    moto_world.bob.customer("c2")

    with hooked(moto_world, "before-send.dynamodb.TransactWriteItems", failure):
        moto_world.bob.claim("c2")

    (message,) = logs.messages
    code = "AccessDeniedException" if failure is denied else "ThrottlingException"
    assert line in message and f"(TransactWriteItems: {code})" in message
    assert f"'levelname': '{level}'" in message and f"'request_id': '{REQUEST_ID}'" in message


def test_a_line_names_tenant_user_and_pool_by_digests_that_make_whois_prints(
    memory_world: World, recorded: Recorder
) -> None:
    mona = canaries_in(memory_world)
    outcomes = [
        recorded.send(mona, "GET", "/v1/pools/p/customers/c1"), recorded.send(mona, "GET", "/v1/pools"),
    ]  # fmt: skip

    lines = [logged(partial(written, outcome), "secret") for outcome in outcomes]

    printed = digests("secret", {"tenant": "main", "user": "mona", "pool": "p"})
    assert {kind: lines[0][kind] for kind in ("tenant", "user", "pool")} == printed
    assert {kind: lines[1].get(kind) for kind in ("tenant", "user", "pool")} == printed | {"pool": None}
    assert len({*printed.values(), *digests("other", {"user": "mona", "pool": "p"}).values()}) == 6
    assert all(line["release"] == "1.0.0+abc" for line in lines)


def written(outcome: RequestMetrics, log_request: observability.LogRequest) -> object:
    return log_request(outcome)


def test_a_line_counts_each_code_and_publishes_few_metrics_without_identifying_dimensions() -> None:
    outcome = RequestMetrics("POST /v1/pools/{pool}/claim", 200, ["ok", "holding_limit", "ok"], 12, "r")
    line = logged(lambda log_request: log_request(outcome))

    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], line["_aws"]["Timestamp"]) == ("CustomerPool/test", 7)
    assert directive["Dimensions"] == [["function"]]
    assert directive["Metrics"] == [{"Name": "ok", "Unit": "Count"}]
    assert {name: line[name] for name in ("function", "ok", "holding_limit", "status", "request_id")} == {
        "function": "api", "ok": 2, "holding_limit": 1, "status": 200, "request_id": "r",
    }  # fmt: skip


def logged(write: Callable[[observability.LogRequest], object], secret: str = "") -> dict[str, Any]:
    """Return the content of the one logged line."""
    lines: list[dict[str, Any]] = []

    class Log:
        def info(self, message: str, extra: dict[str, Any]) -> None:
            lines.append(extra)

    write(observability.request_logger(Log(), "CustomerPool/test", lambda: 7, secret, "1.0.0+abc"))  # type: ignore[arg-type]
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
