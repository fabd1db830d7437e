"""The requests of `Table`: batch sizes, retries, and the exception for each failure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from pynamodb.expressions import update
from pynamodb.expressions.operand import Path

from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.operations import request_entry
from chalicelib.dynamodb.table import (
    REQUESTS_WHEN_THROTTLED,
    Check,
    Delete,
    MalformedWrite,
    OutcomeUnknown,
    Patience,
    Put,
    SetAttributes,
    StoreUnavailable,
    Table,
    Throttled,
    Update,
    begins_with,
    between,
)
from tests.support.faults import client_error
from tests.support.memory import Memory, cancelled, memory_table

KEY, OTHER = Key("a", "-"), Key("b", "-")
THERE = Path("pk").exists()
FULL_SPEED = [0.004, 0.008, 0.016, 0.032, 0.064, 0.128] + [0.25] * 34
THROTTLES = [
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "ThrottlingError",
    "ProvisionedThroughputExceeded", "Throttling", "ThroughputExceeded",
]  # fmt: skip


class Listening(Memory):
    """Notes how many items a query may answer at most."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int | None] = []

    def query(self, hash_value: str, index: str | None, *arguments: Any) -> dict[str, Any]:
        self.limits.append(arguments[2])
        return super().query(hash_value, index, *arguments)


@dataclass
class Door:
    """A table on an in-memory engine, its requests, and the longest pauses it would make."""

    memory: Listening = field(default_factory=Listening)
    requests: list[str] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = itertools.count(1)
        self.table = Table("memory", new_id=lambda: f"t{next(numbers)}", jitter=lambda: 1.0, wait=self.paused.append)
        self.table.connection = self.memory  # type: ignore[assignment]
        self.memory.before = self.requests.append

    def fails(self, error: Callable[[], Exception], times: int = 1_000) -> None:
        left = iter(range(times))

        def fail(call: str) -> None:
            self.requests.append(call)
            if next(left, None) is not None:
                raise error()

        self.memory.before = fail

    def holds(self, *keys: Key) -> None:
        self.memory.load({key: stored(key) for key in keys})


def stored(key: Key, **attributes: Any) -> Item:
    return items.build_item(key, attributes) | {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


@pytest.fixture
def door() -> Door:
    return Door()


# Reading


def test_each_key_is_read_once_in_requests_of_a_hundred_without_absent_items(door: Door) -> None:
    keys = [Key(f"k{number:03d}", "-") for number in range(101)]
    door.holds(*keys[1:])

    found = door.table.get([*keys, *keys])

    assert (set(found), door.requests) == (set(keys[1:]), ["BatchGetItem"] * 2)
    assert found[keys[1]] == stored(keys[1])
    assert (door.table.get([]), door.paused) == ({}, [])


def test_unprocessed_keys_are_read_again_after_a_pause(door: Door) -> None:
    door.holds(KEY, OTHER)
    door.memory.torn = True

    found = door.table.get([KEY, OTHER])

    assert (set(found), len(door.requests), door.paused) == ({KEY, OTHER}, 2, FULL_SPEED[:1])


def test_a_batch_read_response_may_omit_a_table_without_items() -> None:
    class Curt(Memory):
        def get(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[str, Any]:
            return {"Responses": {}}

    assert memory_table(Curt()).get([KEY]) == {}


def test_endless_unprocessed_keys_raise_throttled(door: Door) -> None:
    keys = [Key(f"k{number:03d}", "-") for number in range(41)]
    door.holds(*keys)
    door.memory.torn = True

    with pytest.raises(Throttled):
        door.table.get(keys)

    assert len(door.requests) == 40


@pytest.mark.parametrize("code", [*THROTTLES, "InternalServerError", "TransactionConflictException"])
@pytest.mark.parametrize("read", [lambda table: table.get([KEY]), lambda table: table.query("a")], ids=["get", "query"])
def test_a_failed_read_raises_throttled_or_unavailable(door: Door, read: Any, code: str) -> None:
    door.fails(lambda: client_error("Query", code))

    with pytest.raises(Throttled if code in THROTTLES else StoreUnavailable) as caught:
        read(door.table)

    assert caught.value.reason == ("throttled" if code in THROTTLES else "store_unavailable")


def test_a_query_page_has_a_last_key_only_if_there_is_more(door: Door) -> None:
    keys = [Key("a", str(number)) for number in range(3)]
    door.holds(*keys)

    part, whole = door.table.page("a", 2), door.table.page("a", 3)

    assert (part.keys, part.items, part.last) == (keys[:2], [stored(key) for key in keys[:2]], stored(keys[1]))
    assert (whole.keys, whole.last) == (keys, None)
    assert (door.requests, door.memory.limits) == (["Query", "Query"], [3, 4]), "one more, to know"


def test_query_pages_are_read_to_the_end_across_an_empty_page(door: Door) -> None:
    keys = [Key("a", str(number)) for number in range(3)]
    door.holds(*keys)
    door.memory.blank = True

    read = [page.keys for page in door.table.pages("a", limit=2, between=between(None, "1"))]

    assert read == [[], keys[1:]]


def test_each_query_page_starts_after_the_previous_one(door: Door) -> None:
    keys = [Key("a", str(number)) for number in range(3)]
    door.holds(*keys)

    read = [page.keys for page in itertools.islice(door.table.pages("a", limit=1), 9)]

    assert read == [[key] for key in keys]


def test_a_sort_key_condition_uses_the_key_of_the_table_or_index() -> None:
    requests = [between(None, 0, 0), between("due", 1), between("due", high=1), begins_with("names", "ac")]

    assert [str(each) for each in requests] == [
        "sk BETWEEN {'N': '0'} AND {'N': '0'}", "due_at >= {'N': '1'}", "due_at <= {'N': '1'}",
        "begins_with (folded, {'S': 'ac'})",
    ]  # fmt: skip
    assert between(None) is None


# Writing


def test_a_transaction_is_applied_whole_or_returns_the_failed_items(door: Door) -> None:
    door.holds(OTHER)

    done = door.table.write([Put(KEY, items.build_item(KEY, {"n": 1})), Check(OTHER, THERE)])
    refused = door.table.write([Put(KEY, {}, ~THERE), Delete(OTHER, THERE), Check(Key("c", "-"), THERE)])

    assert (done, refused) == (None, {KEY: stored(KEY, n=1), Key("c", "-"): {}})
    assert OTHER in door.memory.items and door.paused == []


@pytest.mark.parametrize(
    "passing",
    [
        lambda: cancelled([{}, None], "TransactionConflict"),
        lambda: client_error("TransactWriteItems", "TransactionInProgressException"),
        lambda: client_error("TransactWriteItems", "TransactionConflictException"),
    ],
    ids=["a conflict", "still under way", "a conflict by its other name"],
)  # fmt: skip
def test_an_undecided_transaction_is_retried_with_the_same_token(door: Door, passing: Callable[[], Exception]) -> None:
    door.fails(passing, times=3)

    assert door.table.write([Put(KEY, {}), Put(OTHER, {})]) is None

    assert (len(door.requests), door.paused, set(door.memory.items)) == (4, FULL_SPEED[:3], {KEY, OTHER})
    assert door.memory.sent.token == "t1"


def test_a_throttled_transaction_is_retried_twice_with_the_same_token(door: Door) -> None:
    door.fails(lambda: cancelled([{}, None], "ThrottlingError"), times=2)

    assert door.table.write([Put(KEY, {}), Put(OTHER, {})]) is None

    assert (len(door.requests), door.paused, door.memory.sent.token) == (3, [0.1, 0.2], "t1")


@pytest.mark.parametrize("most", [REQUESTS_WHEN_THROTTLED, None, 1], ids=["default", "unlimited", "long"])
def test_a_batch_read_without_any_item_is_treated_as_throttled(door: Door, most: int | None) -> None:
    class Stingy(Listening):
        def get(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[str, Any]:
            self.before("BatchGetItem")
            unread = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys]
            return {"Responses": {}, "UnprocessedKeys": {"memory": {"Keys": unread}}}

    door.memory = Stingy()
    door.table.connection = door.memory  # type: ignore[assignment]
    door.memory.before = door.requests.append

    with pytest.raises(Throttled):
        door.table.patient(Patience(most=most)).get([KEY, OTHER])

    assert len(door.requests) == 3


def test_an_undecided_transaction_is_not_retried_forever(door: Door) -> None:
    door.fails(lambda: cancelled([{}], "TransactionConflict"))

    with pytest.raises(Throttled):
        door.table.write([Put(KEY, {})])

    assert (len(door.requests), door.paused) == (40, FULL_SPEED)


def test_a_conflict_next_to_a_failed_condition_decides_nothing(door: Door) -> None:
    both = cancelled([{}, {}])
    both.response["CancellationReasons"][1]["Code"] = "TransactionConflict"
    door.fails(lambda: both, times=1)

    assert door.table.write([Put(KEY, {}), Put(OTHER, {})]) is None


FAULTS = [
    *((code, Throttled) for code in THROTTLES), ("ValidationException", MalformedWrite),
    ("SerializationException", MalformedWrite), ("ResourceNotFoundException", StoreUnavailable),
    ("AccessDeniedException", StoreUnavailable), ("UnrecognizedClientException", StoreUnavailable),
    ("InternalServerError", OutcomeUnknown),
]  # fmt: skip


@pytest.mark.parametrize(("code", "fault"), FAULTS, ids=[code for code, _ in FAULTS])
def test_a_failed_write_changed_nothing_unless_its_outcome_is_unknown(
    door: Door, code: str, fault: type[Exception]
) -> None:
    door.fails(lambda: client_error("TransactWriteItems", code))

    with pytest.raises(fault) as caught:
        door.table.write([Put(KEY, {})])

    assert type(caught.value) is fault
    assert len(door.requests) == (3 if fault is Throttled else 1)


def test_a_write_without_a_response_has_an_unknown_outcome(door: Door) -> None:
    door.fails(lambda: EndpointConnectionError(endpoint_url="engine"))

    with pytest.raises(OutcomeUnknown) as caught:
        door.table.write([Put(KEY, {})])

    assert caught.value.reason == "outcome_unknown"


def test_a_transaction_rejected_as_invalid_is_a_defect(door: Door) -> None:
    door.fails(lambda: cancelled([{}], "ValidationError"))

    with pytest.raises(MalformedWrite, match=r"^DynamoDB rejects this transaction: \['ValidationError'\]$"):
        door.table.write([Put(KEY, {})])

    door.fails(lambda: client_error("TransactWriteItems", "ValidationException"))
    with pytest.raises(MalformedWrite, match=r"^DynamoDB rejects this transaction$"):
        door.table.write([Put(KEY, {})])


def test_a_cancellation_without_reasons_for_each_action_is_never_guessed(door: Door) -> None:
    unexplained, too_few = cancelled([{}]), cancelled([{}])
    del unexplained.response["CancellationReasons"]

    door.fails(lambda: unexplained)
    with pytest.raises(MalformedWrite):
        door.table.write([Put(KEY, {}), Put(OTHER, {})])

    door.fails(lambda: too_few)
    with pytest.raises(ValueError, match="shorter"):
        door.table.write([Put(KEY, {}), Put(OTHER, {})])


# Serialization for DynamoDB


def test_each_action_has_its_condition_and_returns_the_item_that_failed_it() -> None:
    key = {"pk": {"S": "a"}, "sk": {"S": "-"}}
    there = {
        "ConditionExpression": "attribute_exists (#0)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        "ExpressionAttributeNames": {"#0": "pk"},
    }  # fmt: skip
    counted = Path("did").set(1)

    made = [
        request_entry(action, "t")
        for action in (Put(KEY, {"n": {"N": "1"}}, THERE), Delete(KEY, THERE), Check(KEY, THERE), Delete(KEY))
    ]
    added = request_entry(Update(KEY, [counted, Path("held").add(1)], THERE & (Path("held") < 5)), "t")

    assert made == [
        {"Put": {"TableName": "t", "Item": key | {"n": {"N": "1"}}} | there},
        {"Delete": {"TableName": "t", "Key": key} | there},
        {"ConditionCheck": {"TableName": "t", "Key": key} | there},
        {"Delete": {"TableName": "t", "Key": key}},
    ]
    assert added == {
        "Update": {
            "TableName": "t", "Key": key, "UpdateExpression": "SET #0 = :0 ADD #1 :1",
            "ConditionExpression": "(attribute_exists (#2) AND #1 < :2)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ExpressionAttributeNames": {"#0": "did", "#1": "held", "#2": "pk"},
            "ExpressionAttributeValues": {":0": {"N": "1"}, ":1": {"N": "1"}, ":2": {"N": "5"}},
        }
    }  # fmt: skip


def test_an_update_that_only_removes_attributes_has_no_set_clause() -> None:
    removed = request_entry(SetAttributes(KEY, {}, ("takes",)), "t")
    changed = request_entry(SetAttributes(KEY, {"n": {"N": "1"}}, ("takes",)), "t")

    assert removed["Update"]["UpdateExpression"] == "REMOVE #0"
    assert changed["Update"]["UpdateExpression"] == "SET #0 = :0 REMOVE #1"


def test_every_kind_of_update_has_the_meaning_of_pynamodbs_own_serializer() -> None:
    day, count = Path("day"), Path(["did", "claimed"])
    actions = [day.set("d"), count.set((count | 0) + 2), Path("held").set(Path("held") - 1), day.remove(), count.add(1)]

    entry = request_entry(Update(KEY, actions), "t")["Update"]
    names, values = dict[str, str](), dict[str, Any]()
    expected = update.Update(*actions).serialize(names, values)

    assert entry["UpdateExpression"] == expected
    assert entry["ExpressionAttributeNames"] == {placeholder: name for name, placeholder in names.items()}
    assert entry["ExpressionAttributeValues"] == values
