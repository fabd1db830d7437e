"""Drills: what breaks in production, on the packaged functions. Each ends with the alarms that fire, the line of a log
that names the cause, and the section of the runbook that explains it.

The functions run in AWS's own runtime; tables, queues and buses are the emulator's. Where an alarm needs hundreds of
requests, each request stands for ten.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chalicelib import __version__, bootstrap, config
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.operations import SetAttributes
from chalicelib.dynamodb.table import Table
from tests.e2e.cloudwatch import RUNBOOK, CloudWatch, assert_found
from tests.e2e.conftest import account
from tests.e2e.faulty_aws import FaultyAws, faulty
from tests.e2e.functions import Answer, Functions, Gateway
from tests.e2e.next_release import NEXT, next_release
from tests.support.forging import AUDIENCE, ISSUER, KEYS, OTHER_EC_KEY, published, token
from tests.support.next_version import LATER
from tests.support.pages import section
from tools.deploy.account import client
from tools.deploy.dependencies import RUNTIME, dependencies
from tools.deploy.package import Package
from tools.deploy.restore import restore
from tools.deploy.tables import table_of
from tools.local.engines import HOST, MiniCloud
from tools.local.service import scheduled_event

pytestmark = pytest.mark.e2e

POOLS, POOL = "/v1/pools", "/v1/pools/{pool}"
CUSTOMER = f"{POOL}/customers/{{customer}}"
PASSES = 3  # over the customers, of each instance
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/drills/stream/2026"


@dataclass
class Issuer:
    """The key set of an issuer, at an address. `down`: it answers with an error."""

    address: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: list(KEYS))
    down: bool = False


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if issuer.down else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": issuer.keys}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        issuer.address = f"http://{HOST}:{server.server_port}/jwks.json"
        yield issuer
        server.shutdown()


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniCloud]:
    with MiniCloud() as engine, pytest.MonkeyPatch.context() as environment:
        for name, value in account(engine.endpoint).items():
            environment.setenv(name, value)
        yield engine


@pytest.fixture
def cloud(packaged: Package) -> CloudWatch:
    return CloudWatch(packaged)


@pytest.fixture
def aws(engine: MiniCloud) -> Iterator[FaultyAws]:
    with faulty(engine.endpoint) as aws:
        yield aws


@pytest.fixture
def table(request: pytest.FixtureRequest, engine: MiniCloud) -> Table:
    """A table of the drill's own."""
    name = re.sub(r"[^a-zA-Z]+", "-", request.node.name)
    table = bootstrap.table(config.read({"TABLE_NAME": name, "AWS_REGION": "us-east-1"}))
    assert table.create()
    return table


@pytest.fixture
def functions(
    packaged: Package,
    unpacked: Path,
    engine: MiniCloud,
    aws: FaultyAws,
    issuer: Issuer,
    table: Table,
    cloud: CloudWatch,
) -> Functions:
    settings = account(engine.endpoint) | {
        "TABLE_NAME": table.name, "DYNAMODB_ENDPOINT": aws.address, "METRICS": "CustomerPool/drill", "COMMIT": "drill",
        "JWKS": issuer.address, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, "KEY_SECRET": "drill",
    }  # fmt: skip
    return Functions(unpacked, dependencies(packaged.architecture, RUNTIME), settings, cloud)


@pytest.fixture
def gateway(functions: Functions) -> Iterator[Gateway]:
    with functions.start("Authorizer") as authorizer, functions.start("APIHandler") as api:
        yield Gateway(authorizer, api)


def root() -> str:
    return token(sub="root", roles=["admin"])


def begin(gateway: Gateway, customers: int, **policy: Any) -> None:
    """Create the pool p with the member alice, the manager mona and customers c0, c1 and so on."""
    pool = {"id": "p", "name": "P", "policy": {"win": "holder", **policy}}
    answers = [gateway.call(root(), "POST", POOLS, pool)]
    for user, role in {"alice": "member", "mona": "manager"}.items():
        member = f"{POOL}/members/{{user}}"
        answers.append(gateway.call(root(), "PUT", member, {"role": role}, pool="p", user=user))
    rows = [{"id": f"c{number}", "name": "Somebody"} for number in range(customers)]
    answers.append(gateway.call(token(sub="mona"), "POST", f"{POOL}/import", {"rows": rows}, pool="p"))
    assert {answer.status for answer in answers} <= {200, 201}, answers


def claim(gateway: Gateway, number: int) -> Answer:
    return act(gateway, "claim", number)


# The stream


def record(number: int, tail: str, age_s: float = 0) -> dict[str, Any]:
    """Return a record of the table's stream, as Lambda sends it."""
    image = {
        "pk": {"S": f"T#main#P#p#C#c{number}"}, "sk": {"S": "-"}, "version": {"N": "1"}, "created_at": {"N": "7"},
        "tail": {"S": tail},
    }  # fmt: skip
    written = {"SequenceNumber": str(number), "NewImage": image, "ApproximateCreationDateTime": time.time() - age_s}
    return {"eventName": "INSERT", "eventSourceARN": STREAM, "dynamodb": written}


SOUND = '[[1,"created",7,"mona",null,null,null,null,"available",null]]'


def test_a_poison_stream_record_is_set_aside_in_a_queue_with_an_alarm(
    functions: Functions, cloud: CloudWatch, engine: MiniCloud
) -> None:
    client("events").create_event_bus(Name="poisoned")
    queue = client("sqs").create_queue(QueueName="poisoned")["QueueUrl"]
    records = [record(1, SOUND), record(2, "[[1,"), record(3, SOUND)]

    with functions.start("PublishEvents", EVENT_BUS="poisoned", FAILED_EVENTS=queue) as publisher:
        done = publisher.invoke({"Records": records})
    (message,) = client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    cloud.measure("ApproximateNumberOfMessagesVisible", "FailedEvents", 1)

    assert done == {"batchItemFailures": []}  # the others are published, and nothing waits
    place = json.loads(message["Body"])["DDBStreamBatchInfo"]
    assert (place["streamArn"], place["startSequenceNumber"]) == (STREAM, "2")
    alarms = {"EventsFailed", "ErrorLines"}
    assert_found(cloud, alarms=alarms, line="malformed record: shard", see="eventsfailed")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_events_that_the_bus_refuses_wait_in_the_stream_until_the_iterator_is_late(
    functions: Functions, cloud: CloudWatch, engine: MiniCloud, aws: FaultyAws, code: str
) -> None:
    records = [record(1, SOUND, age_s=400), record(2, SOUND)]
    aws.refuse = lambda operation: code if operation == "PutEvents" else None
    bus = {"EVENT_BUS": f"bus-{code}", "AWS_ENDPOINT_URL_EVENTBRIDGE": aws.address}
    client("events").create_event_bus(Name=bus["EVENT_BUS"])

    with functions.start("PublishEvents", **bus) as publisher:
        refused = publisher.invoke({"Records": records})
        oldest = records[0]["dynamodb"]["ApproximateCreationDateTime"]
        cloud.measure("IteratorAge", "PublishEvents", 1000 * (time.time() - oldest))
        aws.refuse = lambda operation: None
        published = publisher.invoke({"Records": records})

    assert refused == {"batchItemFailures": [{"itemIdentifier": "1"}]}  # Lambda sends them again
    assert published == {"batchItemFailures": []}
    assert any(code in message for message in cloud.messages())
    assert_found(cloud, alarms={"LateEvents"}, line="events rejected:", see="lateevents")


# Tokens


def test_tokens_of_a_key_that_was_rotated_away_are_named_in_the_log(
    functions: Functions, gateway: Gateway, cloud: CloudWatch, issuer: Issuer
) -> None:
    new = token(OTHER_EC_KEY, key_id="new")
    before = gateway.call(token(), "GET", POOLS).status

    issuer.keys = [published(OTHER_EC_KEY, "new")]
    known = gateway.call(token(), "GET", POOLS).status
    with functions.start("Authorizer") as another:
        later = Gateway(another, gateway.api, stands_for=10)
        renewed = later.call(new, "GET", POOLS).status
        outdated = {later.call(token(), "GET", POOLS).status for _ in range(31)}

    assert (before, known, renewed, outdated) == (200, 200, 200, {401})  # a process keeps its keys for half an hour
    alarms = {"TokenStorm", "AuthorizerErrors"}
    assert_found(cloud, alarms=alarms, line="unknown key id", see="tokenstorm")


def test_an_issuer_that_is_down_fails_only_processes_that_do_not_know_its_keys(
    functions: Functions, gateway: Gateway, cloud: CloudWatch, issuer: Issuer
) -> None:
    before = gateway.call(token(), "GET", POOLS).status

    issuer.down = True
    known = gateway.call(token(), "GET", POOLS).status
    with functions.start("Authorizer") as another:
        unknown = {Gateway(another, gateway.api).call(token(), "GET", POOLS).status for _ in range(20)}

    assert (before, known, unknown) == (200, 200, {503})  # not 401: the tokens may be valid
    alarms = {"ServerErrors", "ErrorLines"}
    assert_found(cloud, alarms=alarms, line="the key set of the issuer cannot be read", see="servererrors")


def test_a_clock_that_is_off_by_a_minute_rejects_nobody_and_by_more_is_named_in_the_log(
    gateway: Gateway, cloud: CloudWatch
) -> None:
    now = int(time.time())
    near = [token(iat=now + 50, nbf=now + 50), token(exp=now - 50)]
    far = [token(iat=now + 90, nbf=now + 90), token(exp=now - 90)]

    accepted = [gateway.call(each, "GET", POOLS).status for each in near]
    rejected = [gateway.call(each, "GET", POOLS).status for each in far]
    cloud.log("AuthorizerLogs", gateway.authorizer.runtime.log())

    assert (accepted, rejected) == ([200, 200], [401, 401])
    for reason in ("not yet valid", "expired"):
        assert_found(cloud, alarms=set(), line=reason, see="finding-a-request")


# The table


def test_a_table_that_throttles_answers_429_quickly_and_all_goes_on_afterwards(
    functions: Functions, gateway: Gateway, cloud: CloudWatch, aws: FaultyAws
) -> None:
    begin(gateway, customers=13, claim_ttl="PT1S")
    assert claim(gateway, 0).status == 200
    time.sleep(1.1)

    aws.refuse = lambda operation: "ThrottlingException" if operation == "TransactWriteItems" else None
    answers = [claim(Gateway(gateway.authorizer, gateway.api, stands_for=10), number) for number in range(1, 13)]
    sent = aws.refused.total()
    with functions.start("SweepExpired") as sweep:
        left = sweep.invoke(scheduled_event())
        aws.refuse = lambda operation: None
        cloud.measure("WriteThrottleEvents", "Table", aws.refused.total())
        returned = sweep.invoke(scheduled_event())
    cloud.log("APIHandlerLogs", gateway.api.runtime.log())

    assert {(each.status, each.code, each.headers["Retry-After"]) for each in answers} == {(429, "throttled", "1")}
    assert sent <= 4 * len(answers)
    assert (left["returned"], left["failed"], returned["returned"]) == (0, 0, 1)
    assert claim(gateway, 1).status == 200
    alarms = {"TooManyRequests", "ThrottledWrites"}
    assert_found(cloud, alarms=alarms, line="throttled: POST", see="throttledwrites")
    assert any("left for the next round: throttled" in message for message in cloud.messages())


def test_a_damaged_table_is_restored_to_the_moment_before(
    functions: Functions, gateway: Gateway, cloud: CloudWatch, table: Table
) -> None:
    begin(gateway, customers=3, claim_ttl="PT1S")
    assert claim(gateway, 0).status == 200
    backup = client("dynamodb").create_backup(TableName=table.name, BackupName="before")["BackupDetails"]
    pool = keys.pool_key("main", "p")
    due = {"due": {"S": keys.schedule_of("main", "p")}, "due_at": {"N": "0"}}
    table.write([SetAttributes(pool, {"policy": {"S": "{"}} | due)])

    with functions.start("SweepExpired") as sweep:
        damaged = sweep.invoke(scheduled_event())
        earlier = f"{table.name}-restored"
        client("dynamodb").restore_table_from_backup(TargetTableName=earlier, BackupArn=backup["BackupArn"])
        written = restore(table, table_of(earlier), write=True)
        swept = sweep.invoke(scheduled_event())
    audit = gateway.call(root(), "POST", "/v1/audit", {})

    assert damaged["failed"] == 1 and written.total() >= 1
    assert (swept["failed"], swept["returned"]) == (0, 1)
    assert (audit.status, audit.body["drifted"]) == (200, 0)
    assert_found(cloud, alarms={"MalformedRecords", "ErrorLines"}, line="malformed pool", see="malformedrecords")


# Two versions


@pytest.fixture(scope="module")
def next_root(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the next version, which writes what the present one does not know (`tests.support.next_version`)."""
    return next_release(unpacked, tmp_path_factory.mktemp("next") / "task")


def traffic(*gateways: Gateway) -> list[Counter[int]]:
    """Let all of them work on the same customers at once. Return how often each gave which status."""
    with ThreadPoolExecutor(len(gateways)) as pool:
        return list(pool.map(work, gateways))


def work(gateway: Gateway) -> Counter[int]:
    statuses: Counter[int] = Counter()
    for number in [0, 1, 2] * PASSES:
        statuses[claim(gateway, number).status] += 1
        statuses[act(gateway, "follow-up", number, {"outcome": "reached"}).status] += 1
        statuses[act(gateway, "release", number, {}).status] += 1
    return statuses


def act(gateway: Gateway, verb: str, number: int, body: Any = None) -> Answer:
    return gateway.call(token(), "POST", f"{CUSTOMER}/{verb}", body, pool="p", customer=f"c{number}")


def later_attributes(table: Table) -> int:
    """Return how many customers have an attribute that only the next version knows."""
    stored = table.get([keys.customer_key("main", "p", f"c{number}") for number in range(3)])
    return sum(LATER.items() <= item.items() for item in stored.values())


def test_two_versions_serve_traffic_together_and_each_line_has_its_version(
    functions: Functions, gateway: Gateway, cloud: CloudWatch, table: Table, next_root: Path
) -> None:
    begin(gateway, customers=3)
    following = replace(functions, root=next_root)

    with following.start("APIHandler", COMMIT="next") as api, following.start("Authorizer") as authorizer:
        deployed = Gateway(authorizer, api)
        statuses = traffic(gateway, deployed)
        claimed = [claim(deployed, number).status for number in range(3)]
        released = [act(gateway, "release", number, {}).status for number in range(3)]
        audit = gateway.call(root(), "POST", "/v1/audit", {})
    cloud.log("APIHandlerLogs", gateway.api.runtime.log())

    assert max(max(each) for each in statuses) < 500
    assert (claimed, released) == ([200] * 3, [200] * 3)
    assert (later_attributes(table), audit.status, audit.body["drifted"]) == (3, 200, 0)
    releases = {line["release"] for line in cloud.lines["APIHandlerLogs"] if line.get("message") == "answered"}
    assert releases == {f"{__version__}+drill", f"{NEXT}+next"}
    assert_found(cloud, alarms=set(), line="answered", see="finding-a-request")


def test_a_release_that_fails_is_named_by_its_version_and_rolled_back_under_traffic(
    functions: Functions, gateway: Gateway, cloud: CloudWatch, table: Table, next_root: Path, aws: FaultyAws
) -> None:
    begin(gateway, customers=3)
    following = replace(functions, root=next_root)

    with following.start("APIHandler", COMMIT="next") as api:
        deployed = Gateway(gateway.authorizer, api)
        written = [claim(deployed, number).status for number in range(3)]
    with following.start("APIHandler", COMMIT="next", TABLE_NAME="renamed") as api:
        failing = [claim(Gateway(gateway.authorizer, api), number % 3).status for number in range(20)]
    (statuses,) = traffic(gateway)
    audit = gateway.call(root(), "POST", "/v1/audit", {})

    assert (written, set(failing)) == ([200] * 3, {503})
    assert statuses[200] > 0 and max(statuses) < 500
    assert (later_attributes(table), audit.body["drifted"]) == (3, 0)  # what the next version wrote is kept
    faults = [line for line in cloud.lines["APIHandlerLogs"] if line.get("status") == 503]
    assert {line["release"] for line in faults} == {f"{NEXT}+next"}
    alarms = {"ServerErrors", "ErrorLines"}
    assert_found(cloud, alarms=alarms, line="ResourceNotFoundException", see="servererrors")
    assert "(#rolling-back)" in section(RUNBOOK, "servererrors")
