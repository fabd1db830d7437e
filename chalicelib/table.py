"""The only door to the engine: strong reads, index queries, and conditional transactions, over PynamoDB's connection.

A transaction either commits, or is refused and says which items refused it, or raises one of three faults. Conflicts
are retried here, since they decide nothing. It knows no rule and no record: keys, items and conditions only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path

from chalicelib.layout import INDEX_RANGE, SCHEMA, Item, Key

ACTIONS_A_TRANSACTION: Final = 100
KEYS_A_READ: Final = 100
CONFLICT_ROUNDS: Final = 40
_THROTTLES: Final = frozenset(
    ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "ThrottlingError",
     "ProvisionedThroughputExceeded", "Throttling", "ThroughputExceeded")
)  # fmt: skip
_PASSING: Final = frozenset(("TransactionConflict", "TransactionConflictException"))


class Fault(Exception):
    """The store did not do its part. Each subclass names the refusal that a client sees."""

    reason = "store_unavailable"


class StoreUnavailable(Fault):
    """Nothing was changed."""


class OutcomeUnknown(Fault):
    """The engine was asked to write and no answer came back."""

    reason = "outcome_unknown"


class Throttled(Fault):
    """The engine asked to slow down; nothing was changed."""

    reason = "throttled"


class Put(Struct, frozen=True):
    """Write a whole item."""

    key: Key
    item: Item
    condition: Condition | None = None


class Update(Struct, frozen=True):
    """Change some attributes of an item that others change too."""

    key: Key
    actions: list[Any]
    condition: Condition | None = None


class Check(Struct, frozen=True):
    """Write nothing, but only commit if the condition holds."""

    key: Key
    condition: Condition


class Delete(Struct, frozen=True):
    key: Key
    condition: Condition | None = None


Action = Put | Update | Check | Delete
Refusing = dict[Key, Item]  # the items that refused, as they stood; {} for one that was absent


class Page(Struct, frozen=True):
    keys: list[Key]
    items: list[Item]
    last: Item | None


class Table:
    """`wait` and `jitter` are how it pauses between two attempts; `mint` makes request tokens."""

    def __init__(
        self,
        name: str,
        *,
        mint: Callable[[], str],
        jitter: Callable[[], float],
        endpoint: str | None = None,
        region: str | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._mint, self._jitter, self._wait = mint, jitter, wait
        self.connection = Connection(
            region=region, host=endpoint, connect_timeout_seconds=1, read_timeout_seconds=3, max_retry_attempts=2,
            max_pool_connections=64, retry_configuration={"mode": "standard", "total_max_attempts": 3},
        )  # fmt: skip
        self.connection.add_meta_table(MetaTable({"TableName": name, **SCHEMA}))

    # Reading

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """The items under those keys, as they are now; absent ones are left out. One request per 100 keys."""
        found: dict[Key, Item] = {}
        wanted: list[Any] = [{"pk": key.pk, "sk": key.sk} for key in dict.fromkeys(keys)]
        for round_number in range(CONFLICT_ROUNDS):
            if not wanted:
                return found
            batch, wanted = wanted[:KEYS_A_READ], wanted[KEYS_A_READ:]
            answer = self._read(partial(self.connection.batch_get_item, self.name, batch, consistent_read=True))
            found |= {_key_of(item): item for item in answer["Responses"].get(self.name, [])}
            unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            wanted += [{"pk": key["pk"]["S"], "sk": key["sk"]["S"]} for key in unread]
            if unread:
                self._pause(round_number)
        raise Throttled

    def query(
        self,
        hash_value: str,
        *,
        index: str | None = None,
        between: Condition | None = None,
        after: Item | None = None,
        limit: int | None = None,
    ) -> Page:
        """One page of one partition, of the table (as it is now) or of an index (a moment late), in ascending order."""
        ask = partial(
            self.connection.query, self.name, hash_value, range_key_condition=between, index_name=index,
            exclusive_start_key=after, limit=limit, consistent_read=index is None,
        )  # fmt: skip
        answer = self._read(ask)
        return Page([_key_of(item) for item in answer["Items"]], answer["Items"], answer.get("LastEvaluatedKey"))

    def page(self, hash_value: str, limit: int, **asked: Any) -> Page:
        """At most `limit` items of a partition, with `last` set only where there are more of them."""
        got = self.query(hash_value, limit=limit + 1, **asked)
        if len(got.items) <= limit:
            return got
        return Page(got.keys[:limit], got.items[:limit], got.items[limit - 1])

    def pages(self, hash_value: str, **asked: Any) -> Iterator[Page]:
        """Every page of a partition, one request each; arguments as for `query`."""
        after: Item | None = None
        while True:
            page = self.query(hash_value, after=after, **asked)
            yield page
            after = page.last
            if after is None:
                return

    def _read(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return ask()
        except PynamoDBException as error:
            raise (Throttled if _code(error) in _THROTTLES else StoreUnavailable) from error

    # Writing

    def write(self, actions: Sequence[Action]) -> Refusing | None:
        """Commits all of the actions or none. None when committed, else the items whose conditions did not hold."""
        token = self._mint()  # of all attempts: should an earlier one turn out to have been made, it is not made again
        for round_number in range(CONFLICT_ROUNDS):
            outcome = self._attempt(actions, token)
            if not isinstance(outcome, _Again):
                return outcome
            self._pause(round_number)
        raise Throttled

    def _attempt(self, actions: Sequence[Action], token: str) -> Refusing | _Again | None:
        ordered = sorted(actions, key=_request_order)
        try:
            self._transact(ordered, token)
        except TransactWriteError as error:
            return _refusing(ordered, error)
        return None

    def _transact(self, ordered: Sequence[Action], token: str) -> None:
        requests = [self._request(action) for action in ordered]
        kinds = [type(action) for action in ordered]

        def of(kind: type) -> list[dict[str, Any]]:
            return [request for request, its in zip(requests, kinds, strict=True) if its is kind]

        self.connection.transact_write_items(of(Check), of(Delete), of(Put), of(Update), client_request_token=token)

    def _request(self, action: Action) -> dict[str, Any]:
        request = self.connection.get_operation_kwargs(
            self.name,
            action.key.pk,
            action.key.sk,
            key="Item" if isinstance(action, Put) else "Key",
            attributes=action.item if isinstance(action, Put) else None,
            actions=action.actions if isinstance(action, Update) else None,
            condition=action.condition,
            return_values_on_condition_failure=None if action.condition is None else "ALL_OLD",
        )
        return dict(request)

    def _pause(self, round_number: int) -> None:
        """Full jitter, from a few milliseconds up to a quarter of a second."""
        self._wait(self._jitter() * min(0.25, 0.004 * 2**round_number))

    # Setting up

    def create(self, *, expiry: bool = True, stream: bool = True) -> bool:
        """Makes the table and its indexes, and lets the engine drop what has expired. False if it was there already.

        The engine goes by its own clock: without `expiry` the service may live by another one. Without `stream` it
        keeps no record of every write, which nobody may be there to read.
        """
        client: Any = self.connection.client
        declared = SCHEMA if stream else {name: SCHEMA[name] for name in SCHEMA if name != "StreamSpecification"}
        try:
            client.create_table(TableName=self.name, **declared)
        except client.exceptions.ResourceInUseException:
            return False
        client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})
        if expiry:
            lapse = {"Enabled": True, "AttributeName": "ttl"}
            client.update_time_to_live(TableName=self.name, TimeToLiveSpecification=lapse)
        return True

    def is_current(self) -> bool:
        """Whether the table has the indexes and the stream of today, and holds in them what it holds today: one of an
        earlier version may lack some of it."""
        client: Any = self.connection.client
        described = client.describe_table(TableName=self.name)["Table"]
        streams = described.get("StreamSpecification") == SCHEMA["StreamSpecification"]
        return streams and _indexes(described) == _indexes(SCHEMA)


def _indexes(described: dict[str, Any]) -> dict[str, tuple[str, set[tuple[str, str]]]]:
    """What each index of a table holds, and by which keys."""
    return {
        index["IndexName"]: (
            index["Projection"]["ProjectionType"],
            {(key["KeyType"], key["AttributeName"]) for key in index["KeySchema"]},
        )
        for index in described.get("GlobalSecondaryIndexes", [])
    }


class _Again:
    """An attempt that decided nothing."""


_ORDER: Final = {Check: 0, Delete: 1, Put: 2, Update: 3}


def _request_order(action: Action) -> int:
    """The order in which the connection sends a transaction, and so that of its cancellation reasons."""
    return _ORDER[type(action)]


def _refusing(ordered: Sequence[Action], error: TransactWriteError) -> Refusing | _Again:
    """The refusing items of a cancelled transaction. A conflict is no refusal: it carries no item. Raises a Fault."""
    code = _code(error)
    if code == "TransactionInProgressException" or code in _PASSING:
        return _Again()
    if code != "TransactionCanceledException":
        raise _write_fault(error, code) from error
    reasons = list(error.cancellation_reasons)
    codes = {reason.code for reason in reasons if reason is not None}
    if codes & _THROTTLES or codes & _PASSING:
        return _Again()
    if codes != {"ConditionalCheckFailed"}:
        raise MalformedWrite(f"the engine does not accept this transaction: {sorted(codes)}") from error
    return {
        action.key: dict(reason.raw_item or {})
        for action, reason in zip(ordered, reasons, strict=True)
        if reason is not None
    }


def _write_fault(error: PynamoDBException, code: str | None) -> Exception:
    if code in _THROTTLES:
        return Throttled()
    if code in {"ValidationException", "SerializationException"}:
        return MalformedWrite("the engine does not accept this transaction")
    definite = {"ResourceNotFoundException", "AccessDeniedException", "UnrecognizedClientException"}
    return StoreUnavailable() if code in definite else OutcomeUnknown()


class MalformedWrite(Exception):
    """The engine says that the request itself is wrong: a record of ours is malformed. Nothing was changed."""


def _code(error: PynamoDBException) -> str | None:
    cause = error.cause
    if isinstance(cause, ClientError):
        return str(cause.response.get("Error", {}).get("Code"))
    assert cause is None or isinstance(cause, BotoCoreError)
    return None


def _key_of(item: Item) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])


def beginning(index: str, text: str) -> Condition:
    """A condition on the sort key: it starts with that text."""
    return Path(INDEX_RANGE[index]).startswith(text)


def between(index: str | None, low: int | str | None = None, high: int | str | None = None) -> Condition | None:
    """A condition on the sort key: from `low` up to `high`, both included."""
    path = Path("sk" if index is None else INDEX_RANGE[index])
    if low is not None and high is not None:
        return path.between(low, high)
    if low is not None:
        return path >= low
    return None if high is None else path <= high
