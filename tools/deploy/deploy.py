"""`make deploy STAGE=prod`: package a stage, deploy it to the AWS account of the environment and print its URL.

`aws cloudformation package` uploads the package, `aws cloudformation deploy` creates a change set. It is shown and,
unless it loses data, executed. The stack keeps its parameters, so each setting is needed only for the first deployment
and to change it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import __version__
from tools.commit import commit
from tools.deploy.account import account, outputs
from tools.deploy.artifacts import artifacts
from tools.deploy.aws_cli import aws
from tools.deploy.change_sets import changes_of, discard, execute, refuse_loss, summary
from tools.deploy.failed_creation import remove_failed_creation
from tools.deploy.package import Package, package
from tools.deploy.stages import Stage, stage_named
from tools.local.oidc import key_set_of
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
CHANGE_SET = re.compile(r"arn:\S+:changeSet/\S+")  # in the output of `aws cloudformation deploy`
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


def deploy(
    stage: Stage, made: Package, given: Mapping[str, str], confirmed: Collection[str] = (), dry_run: bool = False
) -> bool:
    """Deploy a package with the given parameters. Return False if nothing was deployed.

    The changes are shown. Raise `Unusable` if they lose data and are not confirmed by the names of the resources.
    """
    remove_failed_creation(stage.stack)
    change_set = _create_change_set(stage, made, given)
    if change_set is None:
        return False
    changes = changes_of(change_set)
    print(summary(changes), file=sys.stderr)
    try:
        refuse_loss(changes, confirmed)
    except Unusable:
        discard(stage.stack, change_set)
        raise
    if dry_run:
        discard(stage.stack, change_set)
    else:
        execute(stage.stack, change_set)
    return not dry_run


def _create_change_set(stage: Stage, made: Package, given: Mapping[str, str]) -> str | None:
    """Upload the package under its digest and create a change set. Return its ARN, or None if it would be empty."""
    storage, packaged = artifacts(), made.template.with_name("packaged.yaml")
    upload = ["--template-file", str(made.template), "--output-template-file", str(packaged)]
    aws("cloudformation", "package", "--s3-bucket", storage, *upload)
    release = {"Commit": commit() or "unknown"}
    parameters = [f"{name}={value}" for name, value in {"Stage": stage.name, **release, **given}.items()]
    output = aws(
        "cloudformation", "deploy", "--stack-name", stage.stack, "--template-file", str(packaged),
        "--s3-bucket", storage, "--capabilities", "CAPABILITY_IAM",
        "--no-execute-changeset", "--no-fail-on-empty-changeset",
        "--parameter-overrides", *parameters,
        "--tags", f"version={__version__}", f"commit={release['Commit']}",
    )  # fmt: skip
    created = CHANGE_SET.search(output)
    return created and created[0]


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
        dry_run, confirmed = os.environ.get("DRY_RUN", "") not in ("", "0"), os.environ.get("CONFIRM", "").split()
        changed = deploy(stage, package(stage), given, confirmed, dry_run)
        if dry_run:
            print(f"{stage.stack} was not changed", file=sys.stderr)
        else:
            print(f"{'deployed' if changed else 'no changes in'} {stage.stack}", file=sys.stderr)
            print(outputs(stage.stack)["EndpointURL"])
    except (BotoCoreError, ClientError) as error:
        raise Unusable(f"AWS: {error} (see docs/operations.md, Deploying)") from None
    return 0


if __name__ == "__main__":
    run_tool(main)
