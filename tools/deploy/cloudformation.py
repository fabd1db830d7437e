"""A packaged stage as a CloudFormation stack: put up or changed through a change set, and taken down.

The zip and the template go to a bucket under the digest of their content, so that what is the same is not sent twice
and a second deployment of the same commit changes nothing. Works on whatever account the client has; asks no person.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from tools.deploy.package import Package
from tools.deploy.template import PARAMETERS
from tools.problems import Unusable

WITHIN = 20 * 60.0  # seconds; a table with its indexes takes some minutes
Found = TypeVar("Found")
UNCHANGED = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Deployed:
    changed: bool
    outputs: dict[str, str]


class Cloud:
    """An account in a region: the one of the environment, or an emulator at `endpoint`. Raises `Unusable`."""

    def __init__(self, endpoint: str | None = None, pause: float = 3.0) -> None:
        self._session = botocore.session.get_session()
        self._endpoint, self._pause = endpoint, pause

    def client(self, service: str) -> Any:
        try:
            return self._session.create_client(service, endpoint_url=self._endpoint)
        except BotoCoreError as error:
            raise Unusable(f"AWS cannot be reached: {error} (see docs/operations.md, Deploying)") from None

    def account(self) -> str:
        """Asked first, so that a person without credentials is told at once."""
        return _in_one_line(lambda: str(self.client("sts").get_caller_identity()["Account"]))

    def deploy(self, stack: str, package: Package, parameters: Mapping[str, str]) -> Deployed:
        """Parameters that are not given stay as they are; a new stack needs all of `PARAMETERS`."""
        return _in_one_line(lambda: self._deploy(stack, package, parameters))

    @property
    def region(self) -> str:
        return str(self.client("cloudformation").meta.region_name)

    def outputs(self, stack: str) -> dict[str, str]:
        """What the stack says of itself. Raises `Unusable` where there is none."""
        found = _in_one_line(lambda: _outputs(self.client("cloudformation"), stack))
        if not found:
            raise Unusable(f"there is no stack {stack} in this account and region")
        return found

    def remove(self, stack: str) -> None:
        """The table and what is in it stays."""
        _in_one_line(lambda: self._remove(stack))

    def _deploy(self, stack: str, package: Package, parameters: Mapping[str, str]) -> Deployed:
        formation = self.client("cloudformation")
        there = _described(formation, stack)
        given = _parameters(parameters, there)
        change = formation.create_change_set(
            StackName=stack,
            ChangeSetName=f"deploy-{time.time_ns()}",
            ChangeSetType="CREATE" if there is None else "UPDATE",
            TemplateURL=self._send(package),
            Parameters=given,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )["Id"]
        changed = self._awaited_change(formation, change)
        if changed:
            formation.execute_change_set(ChangeSetName=change)
            self._await(lambda: _settled(formation, stack), f"the stack {stack}")
        else:
            formation.delete_change_set(ChangeSetName=change)
        return Deployed(changed, _outputs(formation, stack))

    def _awaited_change(self, formation: Any, change: str) -> bool:
        """Whether there is anything to change. Raises `Unusable` where CloudFormation does not take the template."""

        def looked_at() -> dict[str, Any] | None:
            told = formation.describe_change_set(ChangeSetName=change)
            return told if told["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        told = self._await(looked_at, "the change set")
        reason = told.get("StatusReason", "")
        if told["Status"] == "FAILED" and not any(words in reason for words in UNCHANGED):
            raise Unusable(f"CloudFormation does not take the template: {reason}")
        return bool(told["Status"] != "FAILED")

    def _remove(self, stack: str) -> None:
        formation = self.client("cloudformation")
        told = _described(formation, stack)
        if told is not None:
            formation.delete_stack(StackName=stack)
            self._await(lambda: _gone(formation, told["StackId"]), f"the removal of {stack}")

    def _await(self, look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + WITHIN
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise Unusable(f"{what} is not ready after {WITHIN / 60:.0f} minutes: see it in the console")
            time.sleep(self._pause)
        return seen

    # The bucket

    def _send(self, package: Package) -> str:
        """The template's address, once it and the code are there."""
        bucket = self._bucket()
        code = self._put(bucket, package.code.read_bytes(), package.code.suffix)
        template = located(package.template, f"s3://{bucket}/{code}")
        key = self._put(bucket, json.dumps(template).encode(), ".json")
        region = self.client("s3").meta.region_name
        return f"{self._endpoint or f'https://s3.{region}.amazonaws.com'}/{bucket}/{key}"

    def _put(self, bucket: str, content: bytes, suffix: str) -> str:
        key, storage = f"{sha256(content).hexdigest()}{suffix}", self.client("s3")
        try:
            storage.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            storage.put_object(Bucket=bucket, Key=key, Body=content)
        return key

    def _bucket(self) -> str:
        """The account's bucket for what is deployed; made when it is not there."""
        storage = self.client("s3")
        region = storage.meta.region_name
        name = f"customer-pool-{self.account()}-{region}"
        try:
            storage.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            # The oldest region is the one that may not be named.
            where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            storage.create_bucket(Bucket=name, **where)
        return name


def located(template: Path, code: str) -> dict[str, Any]:
    """The template with the address of the code in place of the file's name."""
    content: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))
    for resource in content["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = code
    return content


def _described(formation: Any, stack: str) -> dict[str, Any] | None:
    """The stack, unless it is not there, or was announced and never made."""
    try:
        (told,) = formation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if told["StackStatus"] == "REVIEW_IN_PROGRESS" else told


def _parameters(given: Mapping[str, str], there: dict[str, Any] | None) -> list[dict[str, Any]]:
    kept = set() if there is None else {each["ParameterKey"] for each in there.get("Parameters", [])}
    missing = [name for name in PARAMETERS if name not in given and name not in kept]
    if missing:
        raise Unusable(f"a new stack has to know {', '.join(missing)}: see docs/operations.md, Deploying")
    told = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    return told + [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept - set(given))]


def _settled(formation: Any, stack: str) -> bool:
    """Whether it is as it shall be. Raises `Unusable` with the first reason why it cannot be."""
    told = _described(formation, stack)
    status = "" if told is None else str(told["StackStatus"])
    if "ROLLBACK" in status or status.endswith("FAILED"):
        events = formation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [each.get("ResourceStatusReason", "") for each in events if each["ResourceStatus"].endswith("FAILED")]
        raise Unusable(f"{stack} could not be deployed: {reasons[-1] if reasons else status}")
    return status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def _gone(formation: Any, stack_id: str) -> bool:
    told = _described(formation, stack_id)
    if told is not None and told["StackStatus"] == "DELETE_FAILED":
        raise Unusable(f"the stack could not be removed: {told.get('StackStatusReason', 'see it in the console')}")
    return told is None or told["StackStatus"] == "DELETE_COMPLETE"


def _outputs(formation: Any, stack: str) -> dict[str, str]:
    told = _described(formation, stack) or {}
    return {each["OutputKey"]: each["OutputValue"] for each in told.get("Outputs", [])}


def _in_one_line(do: Callable[[], Found]) -> Found:
    try:
        return do()
    except (BotoCoreError, ClientError) as error:
        raise Unusable(f"AWS says: {error} (see docs/operations.md, Deploying)") from None
