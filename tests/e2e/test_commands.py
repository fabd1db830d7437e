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
from tools.deploy.cloudformation import Cloud
from tools.deploy.stages import STAGES
from tools.local.engines import MiniCloud

pytestmark = pytest.mark.e2e

STAGE = STAGES["dev"]
WHOSE_TOKENS = {
    "JWKS": "https://id.example.com/keys", "JWT_ISSUER": "https://id.example.com", "JWT_AUDIENCE": "customer-pool",
}  # fmt: skip


@dataclass(frozen=True)
class Account:
    endpoint: str

    def run(self, tool: str, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        account = {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "e2e", "AWS_SECRET_ACCESS_KEY": "e2e",
            "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        passed_on = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
        command = [sys.executable, "-m", f"tools.deploy.{tool}", STAGE.name]
        environment = kept | passed_on | account | settings
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with MiniCloud() as engine:
        yield Account(engine.endpoint)


def test_a_new_stack_requires_the_token_issuer(account: Account) -> None:
    done = account.run("deploy")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("a new stack has to know Jwks, JwtIssuer, JwtAudience")
    assert "Traceback" not in done.stderr


def test_deploying_prints_the_address_and_a_second_run_changes_nothing(account: Account) -> None:
    first = account.run("deploy", **WHOSE_TOKENS)
    again = account.run("deploy")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert first.stdout == again.stdout and first.stdout.startswith("https://")
    assert first.stderr.splitlines()[-1] == f"deployed {STAGE.stack}"
    assert again.stderr.splitlines()[-1] == f"no changes in {STAGE.stack}"


def test_restore_counts_first_and_writes_only_when_confirmed(account: Account) -> None:
    cloud = Cloud(account.endpoint)
    engine, table = cloud.client("dynamodb"), cloud.outputs(STAGE.stack)["TableName"]
    engine.create_table(TableName="earlier", **schema.SCHEMA)
    for user, name in (("alice", "earlier"), ("bob", "earlier"), ("mallory", table)):
        engine.put_item(TableName=name, Item=items.member_item(Member("main", "p", user, "member")))

    looked = account.run("restore", FROM="earlier")
    written = account.run("restore", FROM="earlier", YES="1")
    again = account.run("restore", FROM="earlier", YES="1")

    assert looked.stdout == f"2 items to put and 1 to delete in {table}: nothing was written, say YES=1\n"
    assert written.stdout == f"2 items put and 1 deleted in {table}\n"
    assert again.stdout == f"0 items put and 0 deleted in {table}\n"


def test_restoring_from_a_missing_table_fails_with_one_line(account: Account) -> None:
    done = account.run("restore", FROM="nowhere")

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("restoring from nowhere was cut short: ")
