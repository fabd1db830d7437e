"""A malformed stream record: its place goes to the queue of failed events and into the log; no other record waits."""

from __future__ import annotations

import json
from hashlib import md5
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ClientError

from chalicelib.events import dead_letters, publisher
from chalicelib.events.dead_letters import DeadLetters
from chalicelib.events.stream import Malformed
from tests.support.canaries import NAME, LogCapture
from tests.support.network_faults import answer

STREAM, QUEUE = "arn:aws:dynamodb:us-east-1:1:table/t/stream/now", "https://sqs.us-east-1.amazonaws.com/1/failed"
SHARDS = [
    {
        "ShardId": "shardId-00000001780300800000-11111111",
        "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "99"},
    },
    {"ShardId": "shardId-00000001780300800000-22222222", "SequenceNumberRange": {"StartingSequenceNumber": "100"}},
]
SOUND = '[[1,"created",7,"mona",null,null,null,null,"available",null]]'


class Account:
    """The clients that production has, with the answers of AWS given here, at the door to the network."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refuses = False
        self.bus = publisher.connect("us-east-1")
        self.bus.meta.events.register_first("before-send.eventbridge", self._publish)

    def client(self, service: str) -> Any:
        client = dead_letters.connect(service, "us-east-1")
        client.meta.events.register_first("before-send", self._send if service == "sqs" else self._describe)
        return client

    def _publish(self, request: AWSRequest, **_: Any) -> AWSResponse:
        entries = json.loads(request.body)["Entries"]
        return answer(200, {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in entries]})

    def _send(self, request: AWSRequest, **_: Any) -> AWSResponse:
        if self.refuses:
            return answer(400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no queue"})
        sent = json.loads(request.body)
        self.messages.append(json.loads(sent["MessageBody"]))
        return answer(200, {"MessageId": "m", "MD5OfMessageBody": md5(sent["MessageBody"].encode()).hexdigest()})

    def _describe(self, request: AWSRequest, **_: Any) -> AWSResponse:
        """Return one shard a page."""
        after = json.loads(request.body).get("ExclusiveStartShardId")
        shard = SHARDS[1 if after else 0]
        more = {} if after else {"LastEvaluatedShardId": "shardId-00000001780300800000-11111111"}
        return answer(200, {"StreamDescription": {"StreamArn": STREAM, "Shards": [shard], **more}})


def record(number: str, tail: str) -> dict[str, Any]:
    image = {
        "pk": {"S": "T#main#P#p#C#c1"}, "sk": {"S": "-"}, "version": {"N": "1"}, "created_at": {"N": "7"},
        "tail": {"S": tail},
    }  # fmt: skip
    return {"eventSourceARN": STREAM, "dynamodb": {"SequenceNumber": number, "NewImage": image}}


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.mark.parametrize(
    ("number", "shard"),
    [("7", "shardId-00000001780300800000-11111111"), ("100", "shardId-00000001780300800000-22222222")],
)
def test_the_place_of_a_malformed_record_goes_to_the_queue_and_the_others_are_published(
    account: Account, logs: LogCapture, number: str, shard: str
) -> None:
    records = [record("1", SOUND), record(number, f"[{NAME}"), record("101", SOUND)]

    report = publisher.publish_records(account.bus, "bus", records, DeadLetters(QUEUE, account.client).send)

    place = {"shardId": shard, "startSequenceNumber": number, "endSequenceNumber": number, "batchSize": 1}
    assert [each["requestContext"] for each in account.messages] == [{"condition": "MalformedRecord"}]
    assert [each["DDBStreamBatchInfo"] for each in account.messages] == [place | {"streamArn": STREAM}]
    assert report.numbers == {"published": 2, "rejected": 0, "malformed": 1}
    assert report.response == {"batchItemFailures": []}
    assert f"malformed record: shard {shard}, sequence number {number}: DecodeError at" in logs.messages[0]


def test_a_record_without_a_number_goes_to_the_queue_without_its_shard(account: Account) -> None:
    shard = DeadLetters(QUEUE, account.client).send(Malformed(STREAM, "", "KeyError"))

    assert shard == "unknown"
    assert [each["DDBStreamBatchInfo"]["shardId"] for each in account.messages] == ["unknown"]


def test_a_queue_that_does_not_take_the_place_makes_lambda_send_all_records_again(account: Account) -> None:
    account.refuses = True

    with pytest.raises(ClientError):
        publisher.publish_records(account.bus, "bus", [record("1", "[")], DeadLetters(QUEUE, account.client).send)
