"""The packaged stack on an emulated AWS: deployed through CloudFormation, used over its gateway, swept by its schedule.

In the order of a day: the stack is put up once, for all tests here, and the last one takes it down.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest

from chalicelib.dynamodb.keys import SCHEDULE_SHARDS
from poolctl.client import Client
from poolctl.local_keys import ALGORITHM, AUDIENCE, ISSUER, KEY_ID, LocalKeys
from tests.e2e.conftest import account
from tests.e2e.listener import Listener, listen
from tools.deploy.account import client, outputs
from tools.deploy.dependencies import RUNTIME, dependencies
from tools.deploy.deploy import deploy
from tools.deploy.package import Package, package
from tools.deploy.stages import STAGES
from tools.local.engines import HOST, MiniCloud
from tools.local.lambda_runtime import LambdaRuntime
from tools.local.service import local_environment, scheduled_event

pytestmark = pytest.mark.e2e

STAGE = STAGES["e2e"]
POOL = "/v1/pools/sales"
CUSTOMERS = [f"c{number}" for number in range(12)]
SCHEDULE_WITHIN = 150.0  # seconds: it runs every minute, and a busy machine is late


@dataclass(frozen=True)
class Stack:
    engine: MiniCloud
    package: Package
    keys: LocalKeys
    outputs: dict[str, str]

    @property
    def url(self) -> str:
        """Where the emulator serves what AWS serves at the output `EndpointURL`."""
        return f"{self.engine.endpoint}/_aws/execute-api/{self.outputs['RestAPIId']}/api"

    def client(self, user: str, *roles: str) -> Client:
        return Client(self.url, self.keys.token(user, list(roles)))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LocalKeys:
    return LocalKeys(tmp_path_factory.mktemp("keys")).ensure()


@pytest.fixture(scope="module")
def key_set(keys: LocalKeys) -> Iterator[str]:
    """The public keys at an address, as a provider of identities offers them."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    public = keys.jwks.parent / "public"
    public.mkdir()
    (public / "jwks.json").write_bytes(keys.jwks.read_bytes())
    with ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(public))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{HOST}:{server.server_port}/jwks.json"
        server.shutdown()


@pytest.fixture(scope="module")
def stack(packaged: Package, keys: LocalKeys, key_set: str) -> Iterator[Stack]:
    with MiniCloud() as engine, pytest.MonkeyPatch.context() as environment:
        for name, value in account(engine.endpoint).items():
            environment.setenv(name, value)
        assert deploy(
            STAGE, packaged, {"Jwks": key_set, "JwtIssuer": ISSUER, "JwtAudience": AUDIENCE, "Emulated": "on"}
        )
        yield Stack(engine, packaged, keys, outputs(STAGE.stack))


@pytest.fixture(scope="module")
def listener(stack: Stack) -> Listener:
    """It listens before anything has happened."""
    return listen(stack.outputs["EventBusName"])


POLICIES: dict[str, dict[str, Any]] = {
    "sales": {"claim_ttl": "P7D"},
    "brief": {"claim_ttl": "PT2S"},
    "warned": {"claim_ttl": "P1D", "reminders": ["PT23H59M59S"]},
}


@pytest.fixture(scope="module")
def begun(stack: Stack, listener: Listener) -> None:
    """Three pools with the same people and customers; in one claims last two seconds, in one a reminder is due soon."""
    root, mona = stack.client("root", "admin"), stack.client("mona")
    for pool, policy in POLICIES.items():
        root.must("POST", "/v1/pools", {"id": pool, "name": pool, "policy": {"holding_limit": 20, **policy}})
        for user, role in {"mona": "manager", "alice": "member", "bob": "member", "carol": "member"}.items():
            root.must("PUT", f"/v1/pools/{pool}/members/{user}", {"role": role})
        rows = [{"id": customer, "name": f"Customer {customer}"} for customer in CUSTOMERS]
        body = {"rows": rows, "key": "id", "on_duplicate": "reject"}
        assert mona.must("POST", f"/v1/pools/{pool}/import", body)["summary"]["ok"] == len(rows)


def test_a_second_deployment_changes_nothing(stack: Stack) -> None:
    changed = deploy(STAGE, package(STAGE), {})

    assert (changed, outputs(STAGE.stack)) == (False, stack.outputs)


def test_a_changed_setting_reaches_the_version_that_serves(stack: Stack) -> None:
    functions = client("lambda")
    names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    (authorizer,) = [name for name in names if "Authorizer" in name]
    before = functions.get_alias(FunctionName=authorizer, Name="live")["FunctionVersion"]

    deployed = deploy(STAGE, stack.package, {"JwtClients": "another-client"})

    serving = functions.get_function_configuration(FunctionName=authorizer, Qualifier="live")
    assert deployed
    assert serving["Version"] != before
    assert serving["Environment"]["Variables"]["JWT_CLIENTS"] == "another-client"


def test_the_alias_of_each_function_can_be_moved_back_to_the_version_before(stack: Stack) -> None:
    functions = client("lambda")
    names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    kept = {name: functions.list_versions_by_function(FunctionName=name)["Versions"] for name in names}
    (authorizer,) = [name for name in names if "Authorizer" in name]

    for name, (*_, before, _) in kept.items():
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=before["Version"])
    serving = functions.get_function_configuration(FunctionName=authorizer, Qualifier="live")
    health = status(f"{stack.url}/v1/health")
    for name, (*_, latest) in kept.items():
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=latest["Version"])

    assert (serving["Version"], health) == (kept[authorizer][-2]["Version"], 200)
    assert serving["Environment"]["Variables"]["JWT_CLIENTS"] != "another-client"


# Who gets in


def forged(keys: LocalKeys, **changed: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 600} | changed
    return jwt.encode(claims, keys.private.read_bytes(), ALGORITHM, {"kid": KEY_ID})


def test_only_health_the_document_and_the_console_answer_without_a_token(stack: Stack) -> None:
    assert status(f"{stack.url}/v1/health") == 200
    assert status(f"{stack.url}/v1/openapi.json") == 200
    assert status(f"{stack.url}/console") == 200
    assert status(f"{stack.url}{POOL}") == 401


@pytest.mark.parametrize("flaw", ["unsigned", "of another key", "expired", "for another audience", "of another issuer"])
def test_a_token_with_a_flaw_is_401(stack: Stack, tmp_path: Path, flaw: str) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 600}
    token = {
        "unsigned": jwt.encode(claims, "", "none", {"kid": KEY_ID}),
        "of another key": forged(LocalKeys(tmp_path).ensure()),
        "expired": forged(stack.keys, exp=int(time.time()) - 600),
        "for another audience": forged(stack.keys, aud="another-service"),
        "of another issuer": forged(stack.keys, iss="https://elsewhere.example"),
    }[flaw]

    assert status(f"{stack.url}{POOL}", token) == 401
    assert status(f"{stack.url}{POOL}", forged(stack.keys)) in (200, 403, 404)  # the same token without the flaw


def status(url: str, token: str | None = None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


# What it does


def test_a_member_may_not_do_what_managers_do(stack: Stack, begun: None) -> None:
    refused = stack.client("alice").call("POST", f"{POOL}/customers", {"id": "mine", "name": "Mine"})

    assert (refused.status, refused.code) == (403, "not_manager")


def test_two_people_never_get_the_same_customer(stack: Stack, begun: None) -> None:
    first = stack.client("alice").call("POST", f"{POOL}/customers/c1/claim")
    second = stack.client("bob").call("POST", f"{POOL}/customers/c1/claim")

    assert (first.status, first.body["holder"]) == (200, "alice")
    assert (second.status, second.code) == (409, "already_claimed")


def test_a_batch_is_claimed_and_released(stack: Stack, begun: None) -> None:
    alice, ids = stack.client("alice"), ["c2", "c3", "c4"]

    claimed = alice.must("POST", f"{POOL}/claim", {"customer_ids": [*ids, "nobody"]})
    released = alice.must("POST", f"{POOL}/release", {"customer_ids": ids})

    assert claimed["summary"] == {"ok": 3, "failed": 1}
    assert released["summary"] == {"ok": 3, "failed": 0}
    assert {each["customer"]["state"] for each in released["results"]} == {"available"}


# The package by itself: the emulator's functions see what the emulator has installed, Lambda's do not.


@pytest.fixture(scope="module")
def alone(stack: Stack, unpacked: Path) -> Any:
    """Starts a function of the unpacked package in a clean interpreter."""
    settings = local_environment(stack.engine.endpoint, stack.keys) | {"TABLE_NAME": stack.outputs["TableName"]}
    sources = dependencies(stack.package.architecture, RUNTIME)
    return lambda handler, **more: LambdaRuntime(unpacked, sources, handler=handler, settings=settings | more)


def test_the_package_contains_every_import(stack: Stack, begun: None, alone: Any) -> None:
    arn = "arn:aws:execute-api:us-east-1:000000000000:api/api/GET/v1/pools"
    token = f"Bearer {stack.keys.token('mona')}"

    with alone(handler="app.authorizer") as authorizer:
        authorized = authorizer.invoke({"type": "TOKEN", "authorizationToken": token, "methodArn": arn})
    with alone(handler="app.app") as api:
        page = api.invoke(request("/v1/pools/{pool}/customers", authorized["context"], pool="sales"))
        document = api.invoke(request("/v1/openapi.json", None))

    assert authorized["principalId"] == "mona"
    assert sorted(each["id"] for each in json.loads(page["body"])["items"]) == sorted(CUSTOMERS)
    assert json.loads(document["body"])["openapi"].startswith("3.1")


def test_the_log_of_the_sweep_is_json_with_its_lag(stack: Stack, begun: None, alone: Any) -> None:
    """What the alarm `LateSweep` watches."""
    with alone(handler="app.sweep_expired") as sweep:
        report = sweep.invoke(scheduled_event())
        lines = [json.loads(line) for line in sweep.log() if line.startswith("{")]

    (swept,) = [line for line in lines if line["message"] == "swept"]
    assert swept["level"] == "INFO" and swept["requestId"]
    assert swept["lag_s"] == report["lag_s"]
    assert "lag_s" in [metric["Name"] for metric in swept["_aws"]["CloudWatchMetrics"][0]["Metrics"]]


def test_a_request_is_found_in_the_log_by_the_id_that_its_answer_carries(stack: Stack, begun: None, alone: Any) -> None:
    event = request("/v1/health", None)
    event["requestContext"]["requestId"] = "request-1"

    with alone(handler="app.app", METRICS="CustomerPool/alone") as api:
        answer = api.invoke(event)
        lines = [json.loads(line) for line in api.log() if line.startswith("{")]

    (answered,) = [line for line in lines if line["message"] == "answered"]
    assert answer["headers"]["X-Request-Id"] == answered["request_id"] == "request-1"
    assert answered["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "CustomerPool/alone"
    assert (answered["ok"], answered["route"]) == (1, "GET /v1/health")


def test_the_gateway_gives_each_answer_the_id_of_its_request(stack: Stack) -> None:
    ids = [urllib.request.urlopen(f"{stack.url}/v1/health", timeout=30).headers["X-Request-Id"] for _ in range(2)]

    assert all(ids) and len(set(ids)) == 2


def test_events_rejected_by_the_bus_are_retried(stack: Stack, alone: Any) -> None:
    """Lambda goes on from the record that is named. The emulator does not: it takes every batch for done."""
    records = [record_of("c1", number) for number in (1, 2, 3)]
    bus = {"EVENT_BUS": stack.outputs["EventBusName"]}
    nowhere = {"AWS_ENDPOINT_URL_EVENTBRIDGE": f"http://{HOST}:1"}

    with alone(handler="app.publish_events", **bus, AWS_ENDPOINT_URL_EVENTBRIDGE=stack.engine.endpoint) as publisher:
        published = publisher.invoke({"Records": records})
    with alone(handler="app.publish_events", **bus, **nowhere) as publisher:
        rejected = publisher.invoke({"Records": records})

    assert published == {"batchItemFailures": []}
    assert rejected == {"batchItemFailures": [{"itemIdentifier": "1"}]}


def record_of(customer: str, version: int) -> dict[str, Any]:
    """Return a stream record of a new customer, as DynamoDB sends it."""
    image = {
        "pk": {"S": f"T#main#P#elsewhere#C#{customer}"}, "sk": {"S": "-"}, "version": {"N": str(version)},
        "created_at": {"N": "1"}, "tail": {"S": json.dumps([[version, "updated", 1, "mona"]])},
    }  # fmt: skip
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(version), "NewImage": image}}


def request(resource: str, caller: dict[str, str] | None, **parameters: str) -> dict[str, Any]:
    """As API Gateway calls the function."""
    return {
        "resource": resource, "path": resource.format(**parameters), "httpMethod": "GET", "headers": {},
        "multiValueQueryStringParameters": None, "pathParameters": parameters or None, "stageVariables": None,
        "requestContext": {"resourcePath": resource, "httpMethod": "GET", "authorizer": caller},
        "body": None, "isBase64Encoded": False,
    }  # fmt: skip


# The schedule, and the end


def test_the_schedule_sweeps(stack: Stack, begun: None) -> None:
    """A claim made after all other sweeps comes back, and nobody but the schedule has been there."""
    mona, customer = stack.client("mona"), "/v1/pools/brief/customers/c5"
    stack.client("carol").must("POST", "/v1/pools/warned/customers/c5/claim")
    stack.client("carol").must("POST", f"{customer}/claim")
    deadline = time.monotonic() + SCHEDULE_WITHIN
    while mona.must("GET", customer)["state"] != "available" and time.monotonic() < deadline:
        time.sleep(1)

    last = mona.must("GET", f"{customer}/history")["items"][-1]

    assert mona.must("GET", customer)["state"] == "available"
    assert (last["type"], last["by"]) == ("expired", "system")


def test_a_bus_subscriber_receives_claims_releases_expirations_and_reminders(
    stack: Stack, begun: None, listener: Listener
) -> None:
    """Of what the tests before have done, the schedule among them."""
    assert listener.wait_for("sales", "c2", "released") == ["imported", "claimed", "released"]
    assert listener.wait_for("brief", "c5", "expired") == ["imported", "claimed", "expired"]
    assert listener.wait_for("warned", "c5", "reminded") == ["imported", "claimed", "reminded"]

    reminder = next(event for event in listener.heard if event["detail-type"] == "reminded")
    assert (reminder["source"], reminder["detail"]["holder"]) == ("customer-pool", "carol")
    assert reminder["detail"]["level"] == "PT23H59M59S"
    assert "Customer" not in json.dumps(listener.heard)  # as all of them are named


def test_a_round_without_enough_time_is_handed_to_parallel_invocations(
    stack: Stack, begun: None, unpacked: Path
) -> None:
    """The round begins in a function that has four seconds; the emulator runs the deployed one for each part."""
    function = client("lambda").get_function(FunctionName=deployed_function("SweepExpired"))["Configuration"]
    mona, customer = stack.client("mona"), "/v1/pools/brief/customers/c6"
    pause_schedule()
    stack.client("carol").must("POST", f"{customer}/claim")
    time.sleep(3)

    settings = local_environment(stack.engine.endpoint, stack.keys) | {
        "TABLE_NAME": stack.outputs["TableName"], "FAN_OUT": "on", "AWS_ENDPOINT_URL_LAMBDA": stack.engine.endpoint,
    }  # fmt: skip
    sources = dependencies(stack.package.architecture, RUNTIME)
    handler, arn = "app.sweep_expired", function["FunctionArn"]
    with LambdaRuntime(unpacked, sources, handler, settings, seconds=4, arn=arn) as sweep:
        report = sweep.invoke(scheduled_event())
        log = "\n".join(sweep.log())
    deadline = time.monotonic() + SCHEDULE_WITHIN
    while mona.must("GET", customer)["state"] != "available" and time.monotonic() < deadline:
        time.sleep(0.5)

    assert (report["returned"], report["checked"]) == (0, 0)
    assert f"handed to {SCHEDULE_SHARDS} invocations" in log
    assert mona.must("GET", customer)["state"] == "available"


def deployed_function(name: str) -> str:
    resource = client("cloudformation").describe_stack_resource(StackName=STAGE.stack, LogicalResourceId=name)
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])


def pause_schedule() -> None:
    """Let a round that has begun end, and no other one begin."""
    events = client("events")
    for rule in events.list_rules()["Rules"]:
        if "ScheduleExpression" in rule:
            events.disable_rule(Name=rule["Name"])
    time.sleep(2)


def test_each_function_writes_to_its_own_log(stack: Stack, begun: None) -> None:
    logs = client("logs")
    groups = {group["logGroupName"]: group for group in logs.describe_log_groups()["logGroups"]}

    for name in ("api", "authorizer", "sweep", "events"):
        group = f"/{STAGE.stack}/{name}"
        assert groups[group]["retentionInDays"] == 1
        assert logs.describe_log_streams(logGroupName=group)["logStreams"], name


def test_no_sweep_and_no_event_failed(stack: Stack) -> None:
    queues = client("sqs")
    addresses = [each for each in queues.list_queues()["QueueUrls"] if "Failed" in each]

    waiting = {
        address: queues.get_queue_attributes(QueueUrl=address, AttributeNames=["ApproximateNumberOfMessages"])
        for address in addresses
    }

    counts = [each["Attributes"]["ApproximateNumberOfMessages"] for each in waiting.values()]
    assert counts == ["0", "0", "0"]  # of the sweep, the publisher and the index of names


def test_deleting_the_stack_keeps_the_table(stack: Stack) -> None:
    formation = client("cloudformation")
    formation.delete_stack(StackName=STAGE.stack)
    formation.get_waiter("stack_delete_complete").wait(StackName=STAGE.stack, WaiterConfig={"Delay": 1})

    tables = client("dynamodb").list_tables()["TableNames"]
    assert tables == [stack.outputs["TableName"]]
    assert client("lambda").list_functions()["Functions"] == []
