"""The table's stream on this machine: its events in the log of `make run`, and the search rows. Publishes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import botocore.session
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.events import stream
from tools.local.repeating import Repeating

EVERY: Final = 0.5  # seconds between two reads
EXPIRED: Final = ("ExpiredIteratorException", "TrimmedDataAccessException")
logger = logging.getLogger("local.stream")


class Stream:
    """The records of the table's stream from now on or, with `whole`, from the oldest one that still exists."""

    def __init__(self, endpoint: str | None, region: str, table: str, *, whole: bool = False) -> None:
        session: Any = botocore.session.get_session()
        engine = session.create_client("dynamodb", region_name=region, endpoint_url=endpoint)
        self._arn = engine.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self._client = session.create_client("dynamodbstreams", region_name=region, endpoint_url=endpoint)
        self._iterators: dict[str, str | None] = {}  # by shard; None once the shard has ended
        self._add_new_shards("TRIM_HORIZON" if whole else "LATEST")

    def read(self) -> list[dict[str, Any]]:
        """Return the records since the last call. Raises botocore's exceptions when the engine does not respond."""
        self._add_new_shards("TRIM_HORIZON")
        return [record for shard in self._iterators for record in self._read(shard)]

    def _add_new_shards(self, start: str) -> None:
        request: dict[str, Any] = {"StreamArn": self._arn}
        while True:
            page = self._client.describe_stream(**request)["StreamDescription"]
            for shard in (each["ShardId"] for each in page["Shards"]):
                if shard not in self._iterators:
                    self._iterators[shard] = self._iterator(shard, start)
            if "LastEvaluatedShardId" not in page:
                return
            request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]

    def _iterator(self, shard: str, start: str) -> str:
        request = {"StreamArn": self._arn, "ShardId": shard, "ShardIteratorType": start}
        return str(self._client.get_shard_iterator(**request)["ShardIterator"])

    def _read(self, shard: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        while iterator := self._iterators[shard]:
            page = self._page(shard, iterator)
            self._iterators[shard] = page.get("NextShardIterator")
            records += page["Records"]
            if not page["Records"]:
                break
        return records

    def _page(self, shard: str, iterator: str) -> dict[str, Any]:
        """Return the next records. An iterator expires, for example while a laptop sleeps: then start again."""
        try:
            page: dict[str, Any] = self._client.get_records(ShardIterator=iterator)
            return page
        except ClientError as error:
            if error.response["Error"]["Code"] not in EXPIRED:
                raise
            return {"Records": [], "NextShardIterator": self._iterator(shard, "TRIM_HORIZON")}


Function = Callable[[dict[str, Any], Any], dict[str, Any]]


def readers(
    table_stream: Stream, write: Callable[[str], None], index: Function, backlog: list[dict[str, Any]]
) -> Repeating:
    """Write each event, in the form that EventBridge gets, when it happens; and call `index` like Lambda.

    `backlog` are earlier records, which only `index` gets.
    """
    waiting = list(backlog)  # for `index`, which gets failed records again

    def read_stream() -> None:
        try:
            records = table_stream.read()
        except (BotoCoreError, ClientError) as error:
            logger.warning("the events could not be read: %s", type(error).__name__)
            return
        write_events(records)
        waiting[:] = not_indexed([*waiting, *records])

    def not_indexed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            failed = index({"Records": records}, None)["batchItemFailures"] if records else []
        except Exception:
            logger.exception("the names could not be indexed")
            return records
        numbers = [str(each["dynamodb"]["SequenceNumber"]) for each in records]
        return records[numbers.index(failed[0]["itemIdentifier"]) :] if failed else []

    def write_events(records: list[dict[str, Any]]) -> None:
        batch = stream.events_from(records)
        for event in batch.events:
            write(f"event {event.detail.type} {msgspec.json.encode(event.detail).decode()}")
        for malformed in batch.malformed:
            logger.error("malformed record: sequence number %s: %s", malformed.number, malformed.summary)

    return Repeating(read_stream, EVERY, "stream")
