"""The change set of a deployment: shown before it is executed, and refused if it loses stored data.

CloudFormation keeps a table that it replaces or removes from a stack, but the service would go on with an empty one, or
with none. Such a change needs a confirmation that names the resource.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import WaiterError

from tools.deploy.account import client, failure, status
from tools.problems import Unusable

# The resources whose content is lost to the service with them: customers, the key of the digests, events, the rules and
# subscriptions of others, failed records, logs.
STATEFUL = {
    "AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Events::Archive", "AWS::Events::EventBus",
    "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::Logs::LogGroup",
}  # fmt: skip
LOSING = ("may replace", "replaces", "removes")
SHOWN = ("adds", "changes", *LOSING)
POLL_S, POLLS = 2, 3600  # a canary takes ten minutes, a new index of a large table an hour
EXECUTABLE = "REVIEW_IN_PROGRESS"  # the status of a stack that has nothing but a change set


@dataclass(frozen=True)
class Change:
    """A resource of a change set, its type, and one of the effects `SHOWN` or `tags`."""

    resource: str
    kind: str
    effect: str

    @property
    def loses_data(self) -> bool:
        return self.kind in STATEFUL and self.effect in LOSING


def changes_of(change_set: str) -> list[Change]:
    """Return the changes of a change set."""
    pages = client("cloudformation").get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
    return [change_of(each["ResourceChange"]) for page in pages for each in page["Changes"]]


def change_of(described: Mapping[str, Any]) -> Change:
    """Return the change that CloudFormation describes."""
    replacing = {"True": "replaces", "Conditional": "may replace"}
    effect = {"Add": "adds", "Remove": "removes"}.get(described["Action"])
    if effect is None and described.get("Scope") == ["Tags"]:
        effect = "tags"
    if effect is None:
        effect = replacing.get(described.get("Replacement", "False"), "changes")
    return Change(described["LogicalResourceId"], described["ResourceType"], effect)


def summary(changes: Iterable[Change]) -> str:
    """Return a line for each effect with the names of the resources. Each release changes the tags of all resources."""
    by_effect: dict[str, list[str]] = {}
    for each in changes:
        by_effect.setdefault(each.effect, []).append(each.resource)
    return "\n".join(f"  {effect}: {' '.join(by_effect[effect])}" for effect in SHOWN if effect in by_effect)


def refuse_loss(changes: Iterable[Change], confirmed: Collection[str]) -> None:
    """Raise `Unusable` if a resource with data is replaced or removed and not among the confirmed names."""
    lost = [each for each in changes if each.loses_data and each.resource not in confirmed]
    if lost:
        effects = ", ".join(f"{each.effect} {each.resource}" for each in lost)
        names = " ".join(each.resource for each in lost)
        raise Unusable(f'refused, since the deployment {effects}: to lose that data, add CONFIRM="{names}"')


def execute(stack: str, change_set: str) -> None:
    """Execute a change set and wait until the stack has changed. Raise `Unusable` with the first failure."""
    formation = client("cloudformation")
    kind = "create" if status(stack) == EXECUTABLE else "update"
    formation.execute_change_set(ChangeSetName=change_set)
    try:
        formation.get_waiter(f"stack_{kind}_complete").wait(
            StackName=stack, WaiterConfig={"Delay": POLL_S, "MaxAttempts": POLLS}
        )
    except WaiterError:
        raise Unusable(f"{stack} was not deployed: {failure(stack)}") from None


def discard(stack: str, change_set: str) -> None:
    """Delete a change set that will not be executed, and the empty stack that it was for."""
    formation = client("cloudformation")
    if status(stack) == EXECUTABLE:
        formation.delete_stack(StackName=stack)
    else:
        formation.delete_change_set(ChangeSetName=change_set)
