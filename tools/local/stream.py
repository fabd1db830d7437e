"""The table's stream on this machine: what Lambda reads on AWS is read here, and shown in the log of `make run`.

`Stream.read` brings the records that came since it was asked last, whichever engine is behind it. Sends nothing to
anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import botocore.session
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.events import stream
from tools.local.repeating import Repeating

EVERY: Final = 0.5  # seconds between two looks
GONE: Final = ("ExpiredIteratorException", "TrimmedDataAccessException")
logger = logging.getLogger("local.stream")


class Stream:
    """The records of that table's stream, from now on or, with `whole`, from the oldest that the engine has kept."""

    def __init__(self, endpoint: str | None, region: str, table: str, *, whole: bool = False) -> None:
        session: Any = botocore.session.get_session()
        engine = session.create_client("dynamodb", region_name=region, endpoint_url=endpoint)
        self._arn = engine.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self._client = session.create_client("dynamodbstreams", region_name=region, endpoint_url=endpoint)
        self._places: dict[str, str | None] = {}  # by shard: where to go on, or None where it has ended
        self._look_for_shards("TRIM_HORIZON" if whole else "LATEST")

    def read(self) -> list[dict[str, Any]]:
        """What has come since. Raises botocore's exceptions where the engine does not answer."""
        self._look_for_shards("TRIM_HORIZON")
        return [record for shard in self._places for record in self._read(shard)]

    def _look_for_shards(self, start: str) -> None:
        asked: dict[str, Any] = {"StreamArn": self._arn}
        while True:
            told = self._client.describe_stream(**asked)["StreamDescription"]
            for shard in (each["ShardId"] for each in told["Shards"]):
                if shard not in self._places:
                    self._places[shard] = self._begin(shard, start)
            if "LastEvaluatedShardId" not in told:
                return
            asked["ExclusiveStartShardId"] = told["LastEvaluatedShardId"]

    def _begin(self, shard: str, start: str) -> str:
        asked = {"StreamArn": self._arn, "ShardId": shard, "ShardIteratorType": start}
        return str(self._client.get_shard_iterator(**asked)["ShardIterator"])

    def _read(self, shard: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while place := self._places[shard]:
            try:
                page = self._client.get_records(ShardIterator=place)
            except ClientError as error:
                if error.response["Error"]["Code"] not in GONE:
                    raise
                page = {"Records": [], "NextShardIterator": self._begin(shard, "TRIM_HORIZON")}  # a laptop was asleep
            self._places[shard] = page.get("NextShardIterator")
            found += page["Records"]
            if not page["Records"]:
                break
        return found


def event_log(table_stream: Stream, say: Callable[[str], None]) -> Repeating:
    """Says each event as it happens: the line that the event bus would get."""

    def say_new() -> None:
        try:
            reading = stream.events_from(table_stream.read())
        except (BotoCoreError, ClientError) as error:
            logger.warning("the events cannot be read just now: %s", type(error).__name__)
            return
        for told in reading.events:
            say(f"event {told.detail.type} {msgspec.json.encode(told.detail).decode()}")
        for malformed in reading.malformed:
            logger.error("malformed record: %s", malformed)

    return Repeating(say_new, EVERY, "events")
