"""The commands of an operator as they are typed, on an emulated AWS account of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from chalicelib.dynamodb import pool_items, schema
from chalicelib.model.model import Member
from tests.e2e.conftest import account as variables
from tools.deploy.account import client, described, outputs, status
from tools.deploy.deploy import deploy
from tools.deploy.failed_creation import remove_failed_creation
from tools.deploy.package import Package
from tools.deploy.stages import STAGES
from tools.local.engines import MiniCloud
from tools.paths import BUILD
from tools.problems import Unusable

pytestmark = pytest.mark.e2e

STAGE = STAGES["dev"]
WHOSE_TOKENS = {
    "JWKS": "https://id.example.com/keys", "JWT_ISSUER": "https://id.example.com", "JWT_AUDIENCE": "customer-pool",
    "EMULATED": "on",
}  # fmt: skip


@dataclass(frozen=True)
class Account:
    endpoint: str

    def run(self, tool: str, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        passed_on = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
        command = [sys.executable, "-m", f"tools.deploy.{tool}", STAGE.name]
        environment = kept | passed_on | variables(self.endpoint) | settings
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with MiniCloud() as engine, pytest.MonkeyPatch.context() as environment:
        for name, value in variables(engine.endpoint).items():
            environment.setenv(name, value)
        yield Account(engine.endpoint)


def test_a_new_stack_requires_the_token_issuer(account: Account) -> None:
    done = account.run("deploy")

    assert done.returncode == 1
    assert done.stderr == "a new stack needs JWT_ISSUER and JWT_AUDIENCE: see docs/operations.md, Deploying\n"


def test_a_failed_deployment_prints_the_first_reason_in_one_line(account: Account) -> None:
    client("events").create_event_bus(Name=STAGE.stack)

    done = account.run("deploy", **WHOSE_TOKENS)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{STAGE.stack} was not deployed: EventBus already exists: {STAGE.stack}"
    assert "Traceback" not in done.stderr


def test_the_next_deployment_removes_what_a_failed_first_one_left_behind(account: Account) -> None:
    keeping = altered(lambda resources: resources["Table"].update(DeletionPolicy="Retain"))
    given = {"Jwks": WHOSE_TOKENS["JWKS"], "JwtIssuer": "i", "JwtAudience": "a", "Emulated": "on"}

    with pytest.raises(Unusable, match="EventBus already exists"):
        deploy(STAGE, keeping, given)
    (left,) = client("dynamodb").list_tables()["TableNames"]
    protected = client("dynamodb").describe_table(TableName=left)["Table"]["DeletionProtectionEnabled"]
    client("events").delete_event_bus(Name=STAGE.stack)
    remove_failed_creation(STAGE.stack)

    assert protected
    assert status(STAGE.stack) is None
    assert client("dynamodb").list_tables()["TableNames"] == []


def test_a_dry_run_shows_the_changes_and_leaves_nothing_behind(account: Account) -> None:
    done = account.run("deploy", **WHOSE_TOKENS, DRY_RUN="1")

    *_, added, last = done.stderr.splitlines()
    assert done.returncode == 0
    assert added.startswith("  adds: ") and " Table " in added
    assert last == f"{STAGE.stack} was not changed"
    assert status(STAGE.stack) is None


def test_deploying_prints_the_address_and_a_second_run_changes_nothing(account: Account) -> None:
    first = account.run("deploy", **WHOSE_TOKENS)
    again = account.run("deploy")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert first.stdout == again.stdout and first.stdout.startswith("https://")
    assert first.stderr.splitlines()[-1] == f"deployed {STAGE.stack}"
    assert again.stderr.splitlines()[-1] == f"no changes in {STAGE.stack}"


def altered(alter: Callable[[dict[str, Any]], object]) -> Package:
    """Return the package of the last deployment with other resources. Its bus is created after its table."""
    folder = BUILD / STAGE.name
    template = yaml.safe_load((folder / "sam.yaml").read_text())
    template["Resources"]["EventBus"]["DependsOn"] = "Table"
    alter(template["Resources"])
    (folder / "altered.yaml").write_text(yaml.safe_dump(template))
    return Package(folder / "altered.yaml", folder / "deployment.zip", "arm64")


def without_the_queue(resources: dict[str, Any]) -> None:
    resources["SweepExpired"]["Properties"].pop("DeadLetterQueue")
    for name in ("FailedSweeps", "SweepFailed"):
        del resources[name]
    role = resources["SweepExpiredRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    role["Statement"] = [each for each in role["Statement"] if "sqs:SendMessage" not in each["Action"]]


def another_key(resources: dict[str, Any]) -> None:
    table = json.dumps(resources["Table"]).replace('"AttributeName": "sk"', '"AttributeName": "other"')
    resources["Table"] = json.loads(table)


def test_a_deployment_that_may_replace_the_table_is_refused_in_one_line_and_changes_nothing(account: Account) -> None:
    before = described(STAGE.stack)

    with pytest.raises(Unusable) as raised:
        deploy(STAGE, altered(another_key), {})

    loss = 'refused, since the deployment may replace Table: to lose that data, add CONFIRM="Table"'
    assert str(raised.value) == loss
    assert described(STAGE.stack) == before


def test_a_confirmed_loss_is_deployed(account: Account) -> None:
    queues = client("sqs").list_queues()["QueueUrls"]

    deployed = deploy(STAGE, altered(without_the_queue), {}, confirmed=["FailedSweeps"])

    assert deployed
    assert len(client("sqs").list_queues()["QueueUrls"]) == len(queues) - 1


def test_packages_are_in_an_encrypted_bucket_without_public_access_under_their_digests(account: Account) -> None:
    storage, owner = client("s3"), "000000000000"
    bucket = f"customer-pool-{owner}-us-east-1"

    encryption = storage.get_bucket_encryption(Bucket=bucket, ExpectedBucketOwner=owner)
    access = storage.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    keys = [each["Key"] for each in storage.list_objects_v2(Bucket=bucket)["Contents"]]

    rules = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(access.values()) == {True} and len(access) == 4
    assert all(re.fullmatch(r"[0-9a-f]{32}(\.template)?", key) for key in keys), keys


def test_restore_counts_first_and_writes_only_when_confirmed(account: Account) -> None:
    engine, table = client("dynamodb"), outputs(STAGE.stack)["TableName"]
    engine.create_table(TableName="earlier", **schema.SCHEMA)
    for user, name in (("alice", "earlier"), ("bob", "earlier"), ("mallory", table)):
        engine.put_item(TableName=name, Item=pool_items.member_item(Member("main", "p", user, "member")))

    looked = account.run("restore", FROM="earlier")
    written = account.run("restore", FROM="earlier", YES="1")
    again = account.run("restore", FROM="earlier", YES="1")

    assert looked.stdout == f"2 items to put and 1 to delete in {table}: nothing was written; add YES=1 to write\n"
    assert written.stdout == f"2 items put and 1 deleted in {table}\n"
    assert again.stdout == f"0 items put and 0 deleted in {table}\n"


def test_restoring_from_a_missing_table_fails_with_one_line(account: Account) -> None:
    done = account.run("restore", FROM="nowhere")

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("restoring from nowhere failed: ")
