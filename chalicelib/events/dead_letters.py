"""Sends the places of malformed stream records to the queue of failed events, in the form of Lambda's own messages.

The record itself is not sent: it is in the stream for 24 hours, and the customer's history has its events. Nothing here
reads a record.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.events.stream import Malformed

CONDITION: Final = "MalformedRecord"  # where Lambda names its own reason
UNKNOWN: Final = "unknown"


def connect(service: str, region: str) -> Any:
    """Return a client with short timeouts: the stream sends all records again."""
    settings = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
    return botocore.session.get_session().create_client(service, region_name=region, config=settings)


class DeadLetters:
    """The queue at an address. `client_of` returns a client of a service."""

    def __init__(self, queue: str, client_of: Callable[[str], Any]) -> None:
        self._queue, self._client_of = queue, client_of

    def send(self, record: Malformed) -> str:
        """Send the place of a record. Return its shard. Raises an error of botocore if the queue does not take it."""
        shard = self._shard_of(record)
        place = {
            "shardId": shard, "startSequenceNumber": record.number, "endSequenceNumber": record.number, "batchSize": 1,
            "streamArn": record.stream,
        }  # fmt: skip
        message = {"requestContext": {"condition": CONDITION}, "DDBStreamBatchInfo": place}
        self._client_of("sqs").send_message(QueueUrl=self._queue, MessageBody=json.dumps(message))
        return shard

    def _shard_of(self, record: Malformed) -> str:
        """Return the shard whose range of sequence numbers has the record's, or `unknown`."""
        request: dict[str, Any] = {"StreamArn": record.stream}
        try:
            client, number = self._client_of("dynamodbstreams"), int(record.number)
            while True:
                page = client.describe_stream(**request)["StreamDescription"]
                for shard in page["Shards"]:
                    numbers = shard.get("SequenceNumberRange", {})
                    first, last = (int(numbers.get(f"{end}SequenceNumber") or -1) for end in ("Starting", "Ending"))
                    if 0 <= first <= number and (last < 0 or number <= last):
                        return str(shard["ShardId"])
                if "LastEvaluatedShardId" not in page:
                    return UNKNOWN
                request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]
        except (BotoCoreError, ClientError, ValueError):
            return UNKNOWN
