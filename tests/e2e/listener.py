"""A queue that a rule on the event bus delivers to, as another system would have one."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from tools.deploy.account import client

EVENT_WITHIN = 90.0  # seconds: on a busy machine


@dataclass(frozen=True)
class Listener:
    queues: Any
    address: str
    heard: list[dict[str, Any]] = field(default_factory=list)

    def types_of(self, pool: str, customer: str) -> list[str]:
        """What it has heard of that customer so far, in the customer's order."""
        details = [event["detail"] for event in self.heard]
        about = {
            each["seq"]: each["type"] for each in details if (each["pool_id"], each["customer_id"]) == (pool, customer)
        }
        return [about[seq] for seq in sorted(about)]

    def wait_for(self, pool: str, customer: str, last: str) -> list[str]:
        deadline = time.monotonic() + EVENT_WITHIN
        while last not in self.types_of(pool, customer) and time.monotonic() < deadline:
            self._listen()
        return self.types_of(pool, customer)

    def _listen(self) -> None:
        options = {"QueueUrl": self.address, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        for message in self.queues.receive_message(**options).get("Messages", []):
            self.heard.append(json.loads(message["Body"]))
            self.queues.delete_message(QueueUrl=self.address, ReceiptHandle=message["ReceiptHandle"])


def listen(bus: str) -> Listener:
    queues, events = client("sqs"), client("events")
    address = queues.create_queue(QueueName="listener")["QueueUrl"]
    attributes = queues.get_queue_attributes(QueueUrl=address, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"source": ["customer-pool"]}))
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "queue", "Arn": attributes["QueueArn"]}])
    return Listener(queues, address)
