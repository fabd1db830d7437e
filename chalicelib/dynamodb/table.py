"""The only access to DynamoDB: strongly consistent reads, index queries and conditional transactions.

A transaction commits, or returns the items whose conditions failed, or raises one of three faults. Conflicts are
retried many times, since they decide nothing; throttled calls only as often as `Patience` allows. It contains no rule
and no record: keys, items and conditions only.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct
from pynamodb.expressions.condition import Condition

from chalicelib.dynamodb.client import THROTTLES, Client
from chalicelib.dynamodb.conditions import Attribute
from chalicelib.dynamodb.items import Item, key_of
from chalicelib.dynamodb.keys import INDEX_RANGE, Key
from chalicelib.dynamodb.operations import Action, Check, Delete, Put, SetAttributes, Update

__all__ = (  # includes the operations that a transaction takes
    "MAX_ACTIONS", "MAX_KEYS_PER_READ", "Action", "Check", "Delete", "FailedItems", "Fault", "MalformedWrite",
    "OutcomeUnknown", "Page", "Patience", "Put", "SetAttributes", "StoreUnavailable", "Table", "Throttled", "Update",
    "begins_with", "between",
)  # fmt: skip

MAX_ACTIONS: Final = 100
MAX_KEYS_PER_READ: Final = 100
MAX_CONFLICT_RETRIES: Final = 40
REQUESTS_WHEN_THROTTLED: Final = 4
THROTTLE_RETRIES: Final = 2
_PASSING: Final = frozenset(("TransactionConflict", "TransactionConflictException"))


class Fault(Exception):
    """DynamoDB failed. `reason` names the refusal that a client gets."""

    reason = "store_unavailable"


class StoreUnavailable(Fault):
    """Nothing was changed."""


class OutcomeUnknown(Fault):
    """A write was sent and no definite response came back."""

    reason = "outcome_unknown"


class Throttled(Fault):
    """DynamoDB throttled the request; nothing was changed."""

    reason = "throttled"


class Patience:
    """The retry budget of one request for throttled calls: `retries` times in a row.

    A request that is throttled twice within its first `most` calls sends no further call. A `strict` request stops
    after one throttled call. Later, a `short` or `strict` request repeats no throttled call; any other has its budget
    again after each call that succeeds. `pause_s` is the longest pause before a retry.
    """

    def __init__(
        self,
        retries: int = THROTTLE_RETRIES,
        most: int | None = REQUESTS_WHEN_THROTTLED,
        pause_s: float = 0.2,
        short: bool = False,
        strict: bool = False,
    ) -> None:
        self.retries, self.most, self.pause_s = retries, most, pause_s
        self.short, self.strict = short or strict, strict
        self.sent = self.throttled = 0
        self.error: Exception | None = None  # DynamoDB's latest answer to a throttled call
        self.committed = False  # whether a transaction of the request has changed something

    def sending(self) -> None:
        """Count a call that is about to be sent. Raises Throttled if the budget is spent."""
        if self._is_spent():
            raise Throttled from self.error
        self.sent += 1

    def succeeded(self) -> None:
        if self.most is None or self.sent > self.most:
            self.throttled = 0

    def slow_down(self, error: Exception | None = None) -> float:
        """Return the longest pause, in seconds, before the retry. Raises Throttled if the budget is spent."""
        self.throttled += 1
        self.error = error
        late = self.short and self.most is not None and self.sent >= self.most
        if self.throttled > self.retries or late or self._is_spent():
            raise Throttled from error
        return self.pause_s * self.throttled / self.retries

    def _is_spent(self) -> bool:
        return self.sent == self.most and self.throttled > (0 if self.strict else 1)


FailedItems = dict[Key, Item]  # items whose conditions failed, as they were; {} if absent


class Page(Struct, frozen=True):
    """A page of a query. `looked_at` also counts the items that a filter left out."""

    keys: list[Key]
    items: list[Item]
    last: Item | None
    looked_at: int = 0


class Table:
    """One table. `new_id` returns request tokens; `wait` sleeps, `jitter` returns a factor of each pause."""

    def __init__(
        self,
        name: str,
        *,
        new_id: Callable[[], str],
        jitter: Callable[[], float],
        endpoint: str | None = None,
        region: str | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._new_id, self._jitter, self._wait = new_id, jitter, wait
        self._patience: Patience | None = None
        self.connection = Client(name, region, endpoint, wait=wait, jitter=jitter)

    def patient(self, patience: Patience) -> Self:
        """Return this table with one retry budget for all calls of a request. Without it each call has its own."""
        table = copy.copy(self)
        table._patience = patience
        return table

    # Reading

    def get(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        """Read items by key; absent ones are left out. One call per 100 keys.

        Strongly consistent; with `consistent=False` at half the price, and a moment late.
        """
        options = {} if consistent else {"consistent": False}
        found: dict[Key, Item] = {}
        wanted, patience = list(dict.fromkeys(keys)), self._patience or Patience()
        for round_number in range(MAX_CONFLICT_RETRIES):
            if not wanted:
                return found
            batch, wanted = wanted[:MAX_KEYS_PER_READ], wanted[MAX_KEYS_PER_READ:]
            answer = self._read(partial(self.connection.get, batch, **options), patience)
            found |= {key_of(item): item for item in answer["Responses"].get(self.name, [])}
            unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            wanted += [key_of(each) for each in unread]
            if len(unread) == len(batch):  # an answer without a single item is a throttled call
                self._wait(self._jitter() * patience.slow_down())
                continue
            patience.succeeded()
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
        where: Condition | None = None,
    ) -> Page:
        """Return one page of a partition in ascending order. Strongly consistent in the table, not in an index.

        With `where`, only items that meet it, of the `limit` that DynamoDB looks at.
        """
        ask = partial(self.connection.query, hash_value, index, between, after, limit, where)
        patience = self._patience or Patience()
        answer = self._read(ask, patience)
        patience.succeeded()
        found = answer["Items"]
        looked_at = answer.get("ScannedCount", len(found))
        return Page([key_of(item) for item in found], found, answer.get("LastEvaluatedKey"), looked_at)

    def page(self, hash_value: str, limit: int, **options: Any) -> Page:
        """Return at most `limit` items of a partition; `last` is set only if there are more."""
        got = self.query(hash_value, limit=limit + 1, **options)
        if len(got.items) <= limit:
            return got
        return Page(got.keys[:limit], got.items[:limit], got.items[limit - 1])

    def pages(self, hash_value: str, **options: Any) -> Iterator[Page]:
        """Yield every page of a partition, one call each. Options as for `query`."""
        after: Item | None = None
        while True:
            page = self.query(hash_value, after=after, **options)
            yield page
            after = page.last
            if after is None:
                return

    def _read(self, ask: Callable[[], dict[str, Any]], patience: Patience) -> dict[str, Any]:
        """Return the answer. The caller decides whether it counts as a success."""
        while True:
            patience.sending()
            try:
                return ask()
            except (ClientError, BotoCoreError) as error:
                if _code(error) not in THROTTLES:
                    raise StoreUnavailable from error
                self._wait(self._jitter() * patience.slow_down(error))

    # Writing

    def write(self, actions: Sequence[Action]) -> FailedItems | None:
        """Commit all actions or none. Return None if committed, else the items whose conditions failed."""
        token = self._new_id()  # shared by all attempts: DynamoDB applies the transaction once
        patience = self._patience or Patience()
        for round_number in range(MAX_CONFLICT_RETRIES):
            patience.sending()
            outcome = self._attempt(actions, token)
            if not isinstance(outcome, _Retry):
                patience.committed |= outcome is None
                patience.succeeded()
                return outcome
            if outcome.throttled is not None:
                self._wait(self._jitter() * patience.slow_down(outcome.throttled))
            else:
                self._pause(round_number)
        raise Throttled

    def _attempt(self, actions: Sequence[Action], token: str) -> FailedItems | _Retry | None:
        try:
            self.connection.transact(actions, token)
        except (ClientError, BotoCoreError) as error:
            return _failed_items(actions, error)
        return None

    def _pause(self, round_number: int) -> None:
        """Full jitter, from a few milliseconds up to a quarter of a second."""
        self._wait(self._jitter() * min(0.25, 0.004 * 2**round_number))

    # Setting up

    def create(self, *, expiry: bool = True, stream: bool = True) -> bool:
        """Create the table and its indexes. Return False if the table exists.

        `expiry` enables DynamoDB's TTL, which goes by DynamoDB's clock: leave it out where the service has another
        one. `stream` enables the stream; leave it out where nothing reads it.
        """
        from chalicelib.dynamodb.schema import SCHEMA  # only local tables and tests need it

        client: Any = self.connection.client
        declared = SCHEMA if stream else {name: SCHEMA[name] for name in SCHEMA if name != "StreamSpecification"}
        try:
            client.create_table(TableName=self.name, **declared)
        except client.exceptions.ResourceInUseException:
            return False
        client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})
        if expiry:
            ttl = {"Enabled": True, "AttributeName": "ttl"}
            client.update_time_to_live(TableName=self.name, TimeToLiveSpecification=ttl)
        return True

    def is_current(self) -> bool:
        """Return whether the indexes, their projections and the stream are as in SCHEMA."""
        from chalicelib.dynamodb.schema import SCHEMA

        client: Any = self.connection.client
        described = client.describe_table(TableName=self.name)["Table"]
        streams = described.get("StreamSpecification") == SCHEMA["StreamSpecification"]
        return streams and _indexes(described) == _indexes(SCHEMA)


def _indexes(described: dict[str, Any]) -> dict[str, tuple[str, set[str], set[tuple[str, str]]]]:
    """Return the projection, with its attributes, and the keys of each index of a table."""
    return {
        index["IndexName"]: (
            index["Projection"]["ProjectionType"],
            set(index["Projection"].get("NonKeyAttributes", [])),
            {(key["KeyType"], key["AttributeName"]) for key in index["KeySchema"]},
        )
        for index in described.get("GlobalSecondaryIndexes", [])
    }


class _Retry(Struct, frozen=True):
    """An attempt without a decision: throttled, with DynamoDB's error, or in conflict with another transaction."""

    throttled: Exception | None = None


def _failed_items(actions: Sequence[Action], error: Exception) -> FailedItems | _Retry:
    """Return the items whose conditions failed, or _Retry for a conflict or throttling. Raises a Fault."""
    code = _code(error)
    if code in THROTTLES:
        return _Retry(error)
    if code == "TransactionInProgressException" or code in _PASSING:
        return _Retry()
    if code != "TransactionCanceledException" or not isinstance(error, ClientError):
        raise _write_fault(code) from error
    reasons: Any = error.response.get("CancellationReasons", [])
    codes = {reason["Code"] for reason in reasons} - {"None"}
    if codes & THROTTLES or codes & _PASSING:
        return _Retry(error if codes & THROTTLES else None)
    if codes != {"ConditionalCheckFailed"}:
        raise MalformedWrite(f"DynamoDB rejects this transaction: {sorted(codes)}") from error
    return {
        action.key: dict(reason.get("Item") or {})
        for action, reason in zip(actions, reasons, strict=True)
        if reason["Code"] != "None"
    }


def _write_fault(code: str | None) -> Exception:
    if code in {"ValidationException", "SerializationException"}:
        return MalformedWrite("DynamoDB rejects this transaction")
    definite = {"ResourceNotFoundException", "AccessDeniedException", "UnrecognizedClientException"}
    return StoreUnavailable() if code in definite else OutcomeUnknown()


class MalformedWrite(Exception):
    """DynamoDB rejected the request as invalid: a defect of the service. Nothing was changed."""


def _code(error: Exception) -> str | None:
    """Return DynamoDB's error code; None without a response."""
    return str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else None


def begins_with(index: str, text: str) -> Condition:
    """Return the condition that the sort key begins with `text`."""
    return Attribute(INDEX_RANGE[index]).startswith(text)


def between(index: str | None, low: int | str | None = None, high: int | str | None = None) -> Condition | None:
    """Return the condition that the sort key is between `low` and `high`, both included. None without bounds."""
    path = Attribute("sk" if index is None else INDEX_RANGE[index])
    if low is not None and high is not None:
        return path.between(low, high)
    if low is not None:
        return path >= low
    return None if high is None else path <= high
