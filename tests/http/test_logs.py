"""I10: no token, phone number or name of a customer ever reaches a log, whatever happens to the request.

The log capture of every test fails on a leak; these tests cause many log records.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError

from chalicelib.api.auth import KeySetUnavailable, Unauthenticated, Verifier, context_of
from chalicelib.transactions.context import Caller
from tests.support.canaries import EMAIL, FIELDS, NAME, PHONE, LogCapture, captured_logs
from tests.support.dynamodb_calls import hooked
from tests.support.every_route import AUTHENTICATED, named, send_to
from tests.support.forging import AUDIENCE, ISSUER, KEYS, OTHER_EC_KEY, handmade, signed, token
from tests.support.network_faults import answer
from tests.support.world import HOUR, User, World, everything, find, gateway_event


def canaries_in(world: World, **policy: Any) -> User:
    """Create customers c1 and c2 full of canaries; alice holds c1 for an hour."""
    mona = world.pool(claim_ttl="PT1H", **policy)
    for each in ("c1", "c2"):
        mona.create(each, name=NAME, fields=FIELDS, on_duplicate="allow")
    world.alice.claim("c1")
    return mona


# The log capture


def test_the_log_capture_finds_secrets_in_messages_exceptions_and_extras(logs: LogCapture) -> None:
    ways_to_log: list[Callable[[logging.Logger], None]] = [
        lambda log: log.debug("it is %s", NAME),
        lambda log: log.info("a customer", extra={"stored": {"phone": PHONE}}),
        lambda log: log.warning("a token: %s", token().partition(" ")[2]),
        lambda log: log.error("it ended", exc_info=ValueError(EMAIL)),
    ]

    for log_a_secret in ways_to_log:
        with pytest.raises(AssertionError), captured_logs():
            log_a_secret(logging.getLogger("customer-pool"))

    logs.messages.clear()


# Requests


@pytest.mark.parametrize("route", AUTHENTICATED, ids=named)
def test_no_personal_data_is_logged_for_successes_or_refusals(
    memory_world: World, logs: LogCapture, route: Any
) -> None:
    mona = canaries_in(memory_world)

    for who in (mona, memory_world.alice, memory_world.root, memory_world.user("stranger")):
        send_to(who, route)

    assert logs.messages == []


def test_client_input_is_never_logged_however_malformed(memory_world: World) -> None:
    mona = canaries_in(memory_world)
    rows = [{"name": NAME, "fields": FIELDS}, {"name": NAME, "id": EMAIL}, {"name": NAME, "fields": {PHONE: [NAME]}}]

    replies = [
        mona.create(NAME, name=NAME),
        mona.create("c1", name=NAME, fields=FIELDS),
        mona.create("c3", name=NAME, fields={"phone": [PHONE]}),
        mona.post("/customers", f'{{"name": "{NAME}", "fields": {{'.encode()),
        mona.post("/import", {"rows": rows, "key": "phone"}),
        mona.get(f"/customers?phone={PHONE}&email={EMAIL}"),
        mona.get(f"/customers?cursor={PHONE}"),
        mona.get(f"/customers/{PHONE}"),
        mona.patch("/customers/c1", {"name": NAME, "fields": FIELDS}, if_match=NAME),
        mona.post("/customers/c1/follow-up", {"note": NAME}, idempotency_key=EMAIL),
        mona.patch("", {"policy": {"time_zone": NAME, "cooldown": PHONE}}, if_match="1"),
        mona.get(authorization=token(), accept_language=NAME),
    ]

    assert all(reply.status < 500 for reply in replies), [reply.text for reply in replies]


# When DynamoDB fails


def server_error(**_: Any) -> AWSResponse:
    return answer(500, f"<html>{NAME} {PHONE}</html>")


def validation_error(**_: Any) -> AWSResponse:
    kind = "com.amazonaws.dynamodb.v20120810#ValidationException"
    return answer(400, {"__type": kind, "message": f"The parameter {NAME!r} cannot be {PHONE!r}: {EMAIL}"})


def cancelled(**_: Any) -> AWSResponse:
    kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    reasons = [{"Code": "ValidationError", "Message": f"{NAME} has another type", "Item": {"name": {"S": NAME}}}]
    return answer(400, {"__type": kind, "Message": f"cancelled: {NAME}", "CancellationReasons": reasons})


def connection_error(**_: Any) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=f"http://{NAME}")


def unexpected_error(**_: Any) -> AWSResponse:
    raise RuntimeError(f"a defect, at {NAME} {FIELDS}")


@pytest.mark.parametrize("failure", [server_error, validation_error, cancelled, connection_error, unexpected_error])
@pytest.mark.parametrize("operation", ["TransactWriteItems", "BatchGetItem", "Query"])
def test_a_failure_of_dynamodb_logs_no_secret(
    moto_world: World, operation: str, failure: Callable[..., AWSResponse]
) -> None:
    mona = canaries_in(moto_world)
    moto_world.service = moto_world.another_process()

    with hooked(moto_world, f"before-send.dynamodb.{operation}", failure):
        replies = [
            mona.get("/customers/c1"),
            mona.get("/customers?name=zhang"),
            mona.get(f"/customers?phone={PHONE}"),
            moto_world.alice.release("c1", idempotency_key="k"),
            mona.create("c3", name=NAME, fields=FIELDS),
            mona.post("/import", {"rows": [{"name": NAME, "fields": FIELDS}], "key": "phone"}),
            mona.patch("/customers/c2", {"name": NAME + "!"}),
            moto_world.root.request("POST", "/v1/sweep", {}),
            moto_world.root.request("POST", "/v1/audit", {}),
        ]

    assert any(reply.status in (429, 503) for reply in replies)
    assert all(secret not in reply.text for reply in replies if reply.status >= 500 for secret in (NAME, PHONE, EMAIL))


# When a record is malformed

CUSTOMER, FIELDS_OF, MEMBER, POOL = (
    ("T#main#P#p#C#c1", "-"), ("T#main#P#p#C#c1", "F"), ("T#main#P#p#M#mona", "-"), ("T#main#POOLS", "p"),
)  # fmt: skip
MALFORMED: dict[str, tuple[tuple[str, str], dict[str, Any]]] = {
    "a customer in no state": (CUSTOMER, {"state": {"S": NAME}}),
    "a customer with a broken number": (CUSTOMER, {"version": {"N": "1.5"}}),
    "a customer whose name is a number": (CUSTOMER, {"name": {"N": PHONE}}),
    "events that are no JSON": (CUSTOMER, {"tail": {"S": f"[{NAME}"}}),
    "events of another shape": (CUSTOMER, {"tail": {"S": json.dumps([[1, NAME, PHONE]])}}),
    "fields that are no JSON": (FIELDS_OF, {"fields": {"S": f"{{{NAME}"}}),
    "fields that are a text": (FIELDS_OF, {"fields": {"S": json.dumps(NAME)}}),
    "fields of another shape": (FIELDS_OF, {"fields": {"S": json.dumps({"phone": [PHONE]})}}),
    "a member in no role": (MEMBER, {"role": {"S": NAME}}),
    "a member whose count is a text": (MEMBER, {"held": {"S": NAME}}),
    "a pool in no status": (POOL, {"status": {"S": NAME}}),
    "a pool with a broken number": (POOL, {"version": {"N": "1.5"}}),
    "a policy that is no JSON": (POOL, {"policy": {"S": NAME}}),
    "a policy with an unknown rule": (POOL, {"policy": {"S": json.dumps({NAME: PHONE})}}),
    "a policy with a duration that is none": (POOL, {"policy": {"S": json.dumps({"cooldown": NAME})}}),
}


def corrupt(world: World, what: str) -> None:
    (pk, sk), wrong = MALFORMED[what]
    item = next(each for each in everything(world.table) if (each["pk"]["S"], each["sk"]["S"]) == (pk, sk))
    world.table.connection.client.put_item(TableName=world.table.name, Item=item | wrong)
    world.service = world.another_process()


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_record_is_logged_without_its_content(real_table: Any, logs: LogCapture, what: str) -> None:
    world = World(real_table)
    mona, root = canaries_in(world), world.root
    corrupt(world, what)
    world.clock.forward(HOUR)
    requests: list[tuple[str, str, Any]] = [
        ("GET", "/v1/pools/p/customers/c1", None),
        ("GET", "/v1/pools/p/customers", None),
        ("GET", "/v1/pools/p/customers/c1/history", None),
        ("GET", "/v1/pools/p/customers/c1/eligibility", None),
        ("GET", "/v1/pools/p/members", None),
        ("GET", "/v1/pools/p/stats", None),
        ("POST", "/v1/pools/p/customers/c1/claim", {}),
        ("POST", "/v1/pools/p/customers/c1/release", {}),
        ("PATCH", "/v1/pools/p/customers/c1", {"name": f"{NAME}!"}),
        ("POST", "/v1/pools/p/import", {"rows": [{"name": NAME, "fields": FIELDS}], "key": "phone"}),
    ]

    replies = [mona.request(method, path, body) for method, path, body in requests]
    replies += [root.request("POST", path, {"pool": "p"}) for path in ("/v1/audit", "/v1/sweep")]
    world.sweep()

    for reply in replies:
        assert reply.status < 500 or (NAME not in reply.text and reply.code in ("store_unavailable", "outcome_unknown"))
    assert len(logs.messages) >= sum(reply.status >= 500 for reply in replies)


def test_a_defect_is_logged_with_route_exception_and_location(real_table: Any, logs: LogCapture) -> None:
    world = World(real_table)
    mona = canaries_in(world)
    corrupt(world, "a customer in no state")

    assert mona.get("/customers/c1").code == "store_unavailable"

    (message,) = logs.messages
    assert "unexpected: GET /v1/pools/{pool}/customers/{customer}: MalformedRecord at customer_cache.py:" in message
    assert "; from ValidationError at items.py:" in message


@pytest.mark.parametrize(
    "what", ["a pool with a broken number", "a policy with a duration that is none", "a policy that is no JSON"]
)
def test_a_malformed_pool_does_not_stop_the_sweep_of_others(real_table: Any, logs: LogCapture, what: str) -> None:
    world = World(real_table)
    canaries_in(world)
    world.pool("q", claim_ttl="PT1H", customers=1)
    world.user("alice", pool="q").claim("c1")
    corrupt(world, what)
    world.clock.forward(HOUR)

    report = world.sweep()

    assert report.returned == 1 and "malformed pool p: " in logs.messages[0]
    assert world.user("mona", pool="q").customer("c1")["holder"] is None


# Tokens


BAD_TOKENS = [
    token(key_id="unknown"), token(OTHER_EC_KEY), token(exp=1), token(tenant=NAME), token(aud=NAME),
    signed("{"), handmade({"alg": "none"}, {"sub": NAME}), token()[:-9], "Basic " + token(), token() + ".x",
]  # fmt: skip


@pytest.fixture
def deployed(moto_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """app.py as a new process loads it, on the table of that world."""
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": KEYS}))
    for name, setting in {
        "JWKS": str(tmp_path / "jwks.json"), "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE,
        "TABLE_NAME": moto_world.table.name, "EVENT_BUS": "default",
        "KEY_SECRET": "tests",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, setting)
    spec = importlib.util.spec_from_file_location("deployed_app", Path(__file__).parents[2] / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    logging.getLogger("customer-pool").setLevel(logging.DEBUG)  # which loading it has set higher
    return module


def authorize(deployed: ModuleType, authorization: str) -> Any:
    arn = "arn:aws:execute-api:us-east-1:1:api/api/GET/v1/pools"
    return deployed.authorizer({"type": "TOKEN", "authorizationToken": authorization, "methodArn": arn}, None)


def test_the_authorizer_logs_the_reason_of_each_401_and_no_token(deployed: ModuleType, logs: LogCapture) -> None:
    assert authorize(deployed, token())["principalId"] == "alice"
    assert authorize(deployed, token(sub=NAME))["principalId"].startswith("u_")
    for bad in BAD_TOKENS:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorize(deployed, bad)

    reasons = [found[1] for text in logs.messages if (found := re.search(r"'reason': '([a-z ]+)'", text))]
    assert reasons == [
        "unknown key id", "wrong signature", "expired", "malformed claim", "another audience or client",
        "malformed token", "no key id", "malformed token", "not a bearer token", "malformed token",
    ]  # fmt: skip
    assert all("unauthenticated" in text for text in logs.messages)


def test_the_authorizer_logs_that_it_cannot_read_the_key_set(
    deployed: ModuleType, logs: LogCapture, tmp_path: Path
) -> None:
    (tmp_path / "jwks.json").unlink()

    with pytest.raises(KeySetUnavailable):
        authorize(deployed, token())

    (message,) = logs.messages
    assert "the key set of the issuer cannot be read" in message and "'levelname': 'ERROR'" in message


def test_the_deployed_service_and_its_schedule_log_no_secret(
    deployed: ModuleType, moto_world: World, logs: LogCapture
) -> None:
    canaries_in(moto_world)
    for path, name in (("/v1/pools/p/customers/c1", "mona"), ("/v1/pools", "stranger"), ("/v1/pools/p/stats", "mona")):
        route, parameters = find("GET", path)
        caller = Caller("main", name, False)
        event = gateway_event(route, parameters, caller, path, b"", {"authorization": token()})
        event["requestContext"]["authorizer"] = context_of(caller)
        assert deployed.app(event, None)["statusCode"] == 200

    class Context:
        invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:sweep"

        def get_remaining_time_in_millis(self) -> int:
            return 60_000

    tick = {"version": "0", "account": "1", "region": "r", "detail": {}, "detail-type": "", "source": "", "time": ""}
    assert deployed.sweep_expired(tick | {"id": "1", "resources": []}, Context())["failed"] == 0
    assert any("swept" in text for text in logs.messages)


def test_the_publisher_function_logs_no_secret(deployed: ModuleType, moto_world: World, logs: LogCapture) -> None:
    canaries_in(moto_world)
    items = [each for each in everything(moto_world.table) if "tail" in each]
    spoiled = [each | {"tail": {"S": f"[{NAME}"}} for each in items]
    records = [{"dynamodb": {"SequenceNumber": "1", "NewImage": each}} for each in [*items, *spoiled]]

    assert deployed.publish_events({"Records": records}, None) == {"batchItemFailures": []}
    assert deployed.publish_events({"Records": records}, None) == {"batchItemFailures": []}

    assert sum("malformed record: " in text for text in logs.messages) == 2 * len(spoiled)
    assert any(
        f"'published': {len(items)}, 'rejected': 0, 'malformed': {len(spoiled)}" in text for text in logs.messages
    )


def test_the_reason_for_rejecting_a_token_is_not_logged() -> None:
    """The reason quotes the token, so only tests may read it."""
    verifier = Verifier("key set", ISSUER, AUDIENCE, read=lambda _: {"keys": KEYS})

    for bad in BAD_TOKENS:
        with pytest.raises(Unauthenticated):
            verifier.caller(bad)
