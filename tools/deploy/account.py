"""The AWS account and region of the environment, read through botocore."""

from __future__ import annotations

from typing import Any

import botocore.session
from botocore.exceptions import ClientError


def client(service: str) -> Any:
    """Create a client. `AWS_ENDPOINT_URL` selects an emulator."""
    return botocore.session.get_session().create_client(service)


def account() -> str:
    return str(client("sts").get_caller_identity()["Account"])


def described(stack: str) -> dict[str, Any]:
    """Return the description of a stack, which is empty if the stack does not exist."""
    try:
        (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return {}
    return dict(found)


def status(stack: str) -> str | None:
    """Return the status of a stack, or None if it does not exist."""
    return described(stack).get("StackStatus")


def outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a stack. A stack that does not exist, or was never deployed, has none."""
    return {each["OutputKey"]: each["OutputValue"] for each in described(stack).get("Outputs", [])}


def failure(stack: str) -> str:
    """Return the reason of the first failure in the latest operation on a stack."""
    events = client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    reason = "see the events of the stack"
    for event in events:  # the newest first
        status = event["ResourceStatus"]
        if status.endswith("FAILED"):
            reason = event.get("ResourceStatusReason", reason)
        elif event["LogicalResourceId"] == stack and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
    return str(reason)
