"""`make deploy STAGE=prod`: package a stage, deploy it to the AWS account of the environment and print its URL.

`aws cloudformation package` uploads the package, `aws cloudformation deploy` creates or updates the stack. The stack
keeps its parameters, so each setting is needed only for the first deployment and to change it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import __version__
from tools.commit import commit
from tools.deploy.account import account, client, failure, outputs
from tools.deploy.package import Package, package
from tools.deploy.stages import Stage, stage_named
from tools.local.oidc import key_set_of
from tools.paths import AWS_CLI
from tools.problems import Unusable, run_tool

SETTINGS = {
    "Jwks": "JWKS",
    "JwtIssuer": "JWT_ISSUER",
    "JwtAudience": "JWT_AUDIENCE",
    "JwtClients": "JWT_CLIENTS",
    "AlarmTopic": "ALARM_TOPIC",
    "AlarmEmail": "ALARM_EMAIL",
    "Tracing": "TRACING",
    "ReserveConcurrency": "RESERVE_CONCURRENCY",
    "FanOut": "FAN_OUT",
    "Emulated": "EMULATED",
    "SignInClient": "SIGN_IN_CLIENT",
    "SignInScope": "SIGN_IN_SCOPE",
    "SignInToken": "SIGN_IN_TOKEN",
    "SignInHosts": "SIGN_IN_HOSTS",
}
REQUIRED = ("JwtIssuer", "JwtAudience")  # by a new stack; the issuer publishes the address of its key set


def settings(environment: Mapping[str, str], key_set_of: Callable[[str], str] = key_set_of) -> dict[str, str]:
    """Return the environment's settings by the template's parameter names.

    An issuer given without JWKS is resolved through its discovery document. Raises `Unusable` for a key set address
    without https.
    """
    given = {name: environment[variable] for name, variable in SETTINGS.items() if environment.get(variable)}
    if "JwtIssuer" in given and "Jwks" not in given:
        given["Jwks"] = key_set_of(given["JwtIssuer"])
    if not given.get("Jwks", "https://").startswith("https://"):
        raise Unusable(f"JWKS={given['Jwks']} is not https: anybody on the network path could replace the keys")
    return given


def deploy(stage: Stage, made: Package, given: Mapping[str, str]) -> bool:
    """Deploy a package with the given parameters. Return False if the stack is up to date already."""
    storage, packaged = _bucket(), made.template.with_name("packaged.yaml")
    upload = ["--template-file", str(made.template), "--output-template-file", str(packaged)]
    aws("cloudformation", "package", "--s3-bucket", storage, *upload)
    release = {"Commit": commit() or "unknown"}
    parameters = [f"{name}={value}" for name, value in {"Stage": stage.name, **release, **given}.items()]
    tags = ["--tags", f"version={__version__}", f"commit={release['Commit']}"]
    options = [
        "--capabilities",
        "CAPABILITY_IAM",
        "--no-fail-on-empty-changeset",
        "--parameter-overrides",
        *parameters,
        *tags,
    ]
    update = ["--stack-name", stage.stack, "--template-file", str(packaged), "--s3-bucket", storage, *options]
    try:
        output = aws("cloudformation", "deploy", *update)
    except Unusable as problem:
        if "describe-stack-events" not in str(problem):
            raise
        raise Unusable(f"{stage.stack} was not deployed: {failure(stage.stack)}") from None
    return "No changes to deploy" not in output


def _bucket() -> str:
    """Return the bucket for packages. Create it before the first deployment."""
    storage = client("s3")
    name = f"customer-pool-{account()}-{storage.meta.region_name}"
    try:
        storage.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        aws("s3", "mb", f"s3://{name}")
    return name


def aws(*arguments: str) -> str:
    """Run the AWS CLI and return its output. Raise `Unusable` with the last line of its errors."""
    if not AWS_CLI.exists():
        raise Unusable("The AWS CLI is not installed: run `make deploy` or `make e2e`")
    done = subprocess.run([AWS_CLI, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise Unusable(lines[-1] if lines else f"aws {' '.join(arguments[:2])} failed")
    return done.stdout


def _require_settings(stack: str, given: Mapping[str, str]) -> None:
    missing = [SETTINGS[name] for name in REQUIRED if name not in given]
    if missing and not outputs(stack):
        raise Unusable(f"a new stack needs {' and '.join(missing)}: see docs/operations.md, Deploying")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stage")
    stage = stage_named(parser.parse_args().stage)
    if stage.name == "e2e":
        raise Unusable("the stage e2e is deployed only to the emulator: run `make e2e`")
    try:
        given = settings(os.environ)
        _require_settings(stage.stack, given)
        print(f"packaging {stage.stack} and deploying it to account {account()} ...", file=sys.stderr)
        changed = deploy(stage, package(stage), given)
        print(f"{'deployed' if changed else 'no changes in'} {stage.stack}", file=sys.stderr)
        print(outputs(stage.stack)["EndpointURL"])
    except (BotoCoreError, ClientError) as error:
        raise Unusable(f"AWS: {error} (see docs/operations.md, Deploying)") from None
    return 0


if __name__ == "__main__":
    run_tool(main)
