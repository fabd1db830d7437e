"""The commands of an operator as they are typed, on an emulated AWS account of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chalicelib.dynamodb import items, schema
from chalicelib.model.model import Member
from tests.e2e.conftest import account as variables
from tools.deploy.account import client, outputs
from tools.deploy.stages import STAGES
from tools.local.engines import MiniCloud

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
    client("events").delete_event_bus(Name=STAGE.stack)
    client("cloudformation").delete_stack(StackName=STAGE.stack)


def test_deploying_prints_the_address_and_a_second_run_changes_nothing(account: Account) -> None:
    first = account.run("deploy", **WHOSE_TOKENS)
    again = account.run("deploy")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert first.stdout == again.stdout and first.stdout.startswith("https://")
    assert first.stderr.splitlines()[-1] == f"deployed {STAGE.stack}"
    assert again.stderr.splitlines()[-1] == f"no changes in {STAGE.stack}"


def test_restore_counts_first_and_writes_only_when_confirmed(account: Account) -> None:
    engine, table = client("dynamodb"), outputs(STAGE.stack)["TableName"]
    engine.create_table(TableName="earlier", **schema.SCHEMA)
    for user, name in (("alice", "earlier"), ("bob", "earlier"), ("mallory", table)):
        engine.put_item(TableName=name, Item=items.member_item(Member("main", "p", user, "member")))

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
