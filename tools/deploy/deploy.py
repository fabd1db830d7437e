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
from collections.abc import Collection, Mapping

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import __version__
from tools.commit import commit
from tools.deploy.account import account, described, outputs
from tools.deploy.aliases import publish_version
from tools.deploy.artifacts import artifacts
from tools.deploy.aws_cli import aws
from tools.deploy.change_sets import changes_of, discard, execute, refuse_loss, summary
from tools.deploy.failed_creation import remove_failed_creation
from tools.deploy.package import Package, package
from tools.deploy.settings import REQUIRED, SETTINGS, digest, effective, refuse_unusable, settings
from tools.deploy.stages import Stage, stage_named
from tools.problems import Unusable, run_tool

CHANGE_SET = re.compile(r"arn:\S+:changeSet/\S+")  # in the output of `aws cloudformation deploy`


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
    storage, values = artifacts(), _parameters(stage, made, given)
    versioned, packaged = (made.template.with_name(f"{name}.yaml") for name in ("versioned", "packaged"))
    template = publish_version(yaml.safe_load(made.template.read_text(encoding="utf-8")), digest(made, values))
    versioned.write_text(yaml.safe_dump(template), encoding="utf-8")
    upload = ["--template-file", str(versioned), "--output-template-file", str(packaged)]
    aws("cloudformation", "package", "--s3-bucket", storage, *upload)
    output = aws(
        "cloudformation", "deploy", "--stack-name", stage.stack, "--template-file", str(packaged),
        "--s3-bucket", storage, "--capabilities", "CAPABILITY_IAM",
        "--no-execute-changeset", "--no-fail-on-empty-changeset",
        "--parameter-overrides", *(f"{name}={value}" for name, value in values.items()),
        "--tags", f"version={__version__}", f"commit={values['Commit']}",
    )  # fmt: skip
    created = CHANGE_SET.search(output)
    return created and created[0]


def _parameters(stage: Stage, made: Package, given: Mapping[str, str]) -> dict[str, str]:
    """Return the value of each parameter of the template. Raise `Unusable` for values that do not fit together."""
    kept = {each["ParameterKey"]: each["ParameterValue"] for each in described(stage.stack).get("Parameters", [])}
    release = {"Stage": stage.name, "Commit": commit() or "unknown"}
    values = effective(made.template, kept, {**given, **release})
    refuse_unusable(values)
    return values


def _require_settings(stack: str, given: Mapping[str, str]) -> None:
    missing = [SETTINGS[name] for name in REQUIRED if not given.get(name)]
    if missing and not outputs(stack):
        raise Unusable(f"a new stack needs {' and '.join(missing)}: see docs/operations.md, Deploying")


def _print_address(stack: str) -> None:
    found = outputs(stack)
    print(found["EndpointURL"])
    if target := found.get("DomainTarget"):
        print(f"the domain name needs a CNAME record for {target}", file=sys.stderr)


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
            _print_address(stage.stack)
    except (BotoCoreError, ClientError) as error:
        raise Unusable(f"AWS: {error} (see docs/operations.md, Deploying)") from None
    return 0


if __name__ == "__main__":
    run_tool(main)
