"""The only door to the engine: strong reads, index queries, and conditional transactions.

A transaction either commits, or is refused and says which items refused it, or raises one of three faults. Conflicts
are retried here many times, since they decide nothing; what is throttled only as far as the request's patience goes. It
knows no rule and no record: keys, items and conditions only.
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
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import INDEX_RANGE, Key
from chalicelib.dynamodb.operations import Action, Check, Delete, Put, Update
from chalicelib.dynamodb.schema import SCHEMA

__all__ = (  # with the operations that are written through it
    "MAX_ACTIONS", "MAX_KEYS_PER_READ", "Action", "Check", "Delete", "FailedItems", "Fault", "MalformedWrite",
    "OutcomeUnknown", "Page", "Patience", "Put", "StoreUnavailable", "Table", "Throttled", "Update", "begins_with",
    "between",
)  # fmt: skip

MAX_ACTIONS: Final = 100
MAX_KEYS_PER_READ: Final = 100
MAX_CONFLICT_RETRIES: Final = 40
REQUESTS_WHEN_THROTTLED: Final = 4
THROTTLE_RETRIES: Final = 2
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


class Patience:
    """How often the calls of one request may be repeated because DynamoDB throttles them: `retries` times in a row.

    A request that was throttled twice among its first `most` calls makes no more than these. A longer one may be
    throttled again after each call that succeeds. `pause_s` is how long it waits at most before a call is repeated.
    """

    def __init__(
        self, retries: int = THROTTLE_RETRIES, most: int | None = REQUESTS_WHEN_THROTTLED, pause_s: float = 0.2
    ) -> None:
        self.retries, self.most, self.pause_s = retries, most, pause_s
        self.sent = self.throttled = 0

    def sending(self) -> None:
        """Counts a call that is about to be sent. Raises Throttled where the request may send no more."""
        if self._at_its_end():
            raise Throttled
        self.sent += 1

    def succeeded(self) -> None:
        if self.most is None or self.sent > self.most:
            self.throttled = 0

    def slow_down(self) -> float:
        """How long to wait at most before the throttled call is repeated. Raises Throttled where it may not be."""
        self.throttled += 1
        if self.throttled > self.retries or self._at_its_end():
            raise Throttled
        return self.pause_s * self.throttled / self.retries

    def _at_its_end(self) -> bool:
        return self.sent == self.most and self.throttled > 1


FailedItems = dict[Key, Item]  # the items that refused, as they stood; {} for one that was absent


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
        new_id: Callable[[], str],
        jitter: Callable[[], float],
        endpoint: str | None = None,
        region: str | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._mint, self._jitter, self._wait = new_id, jitter, wait
        self._patience: Patience | None = None
        self.connection = Client(name, region, endpoint, wait=wait, jitter=jitter)

    def patient(self, patience: Patience) -> Self:
        """The same table for one request, whose calls share that patience. Otherwise each call has its own."""
        table = copy.copy(self)
        table._patience = patience
        return table

    # Reading

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """The items under those keys, as they are now; absent ones are left out. One request per 100 keys."""
        found: dict[Key, Item] = {}
        wanted, patience = list(dict.fromkeys(keys)), self._patience or Patience()
        for round_number in range(MAX_CONFLICT_RETRIES):
            if not wanted:
                return found
            batch, wanted = wanted[:MAX_KEYS_PER_READ], wanted[MAX_KEYS_PER_READ:]
            answer = self._read(partial(self.connection.get, batch), patience)
            found |= {_key_of(item): item for item in answer["Responses"].get(self.name, [])}
            unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            wanted += [_key_of(each) for each in unread]
            if len(unread) == len(batch):
                self._wait(self._jitter() * patience.slow_down())
            elif unread:
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
        ask = partial(self.connection.query, hash_value, index, between, after, limit)
        answer = self._read(ask, self._patience or Patience())
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

    def _read(self, ask: Callable[[], dict[str, Any]], patience: Patience) -> dict[str, Any]:
        while True:
            patience.sending()
            try:
                answer = ask()
            except (ClientError, BotoCoreError) as error:
                if _code(error) not in THROTTLES:
                    raise StoreUnavailable from error
                self._wait(self._jitter() * patience.slow_down())
            else:
                patience.succeeded()
                return answer

    # Writing

    def write(self, actions: Sequence[Action]) -> FailedItems | None:
        """Commits all of the actions or none. None when committed, else the items whose conditions did not hold."""
        token = self._mint()  # of all attempts: should an earlier one turn out to have been made, it is not made again
        patience = self._patience or Patience()
        for round_number in range(MAX_CONFLICT_RETRIES):
            patience.sending()
            outcome = self._attempt(actions, token)
            if not isinstance(outcome, _Retry):
                patience.succeeded()
                return outcome
            if outcome.throttled:
                self._wait(self._jitter() * patience.slow_down())
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


class _Retry(Struct, frozen=True):
    """An attempt that decided nothing: it was throttled, or met another transaction."""

    throttled: bool


def _failed_items(actions: Sequence[Action], error: Exception) -> FailedItems | _Retry:
    """The refusing items of a cancelled transaction. A conflict is no refusal: it carries no item. Raises a Fault."""
    code = _code(error)
    if code in THROTTLES:
        return _Retry(throttled=True)
    if code == "TransactionInProgressException" or code in _PASSING:
        return _Retry(throttled=False)
    if code != "TransactionCanceledException" or not isinstance(error, ClientError):
        raise _write_fault(code) from error
    reasons: Any = error.response.get("CancellationReasons", [])
    codes = {reason["Code"] for reason in reasons} - {"None"}
    if codes & THROTTLES or codes & _PASSING:
        return _Retry(throttled=bool(codes & THROTTLES))
    if codes != {"ConditionalCheckFailed"}:
        raise MalformedWrite(f"the engine does not accept this transaction: {sorted(codes)}") from error
    return {
        action.key: dict(reason.get("Item") or {})
        for action, reason in zip(actions, reasons, strict=True)
        if reason["Code"] != "None"
    }


def _write_fault(code: str | None) -> Exception:
    if code in {"ValidationException", "SerializationException"}:
        return MalformedWrite("the engine does not accept this transaction")
    definite = {"ResourceNotFoundException", "AccessDeniedException", "UnrecognizedClientException"}
    return StoreUnavailable() if code in definite else OutcomeUnknown()


class MalformedWrite(Exception):
    """The engine says that the request itself is wrong: a record of ours is malformed. Nothing was changed."""


def _code(error: Exception) -> str | None:
    """The engine's word for it; None where it said nothing."""
    return str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else None


def _key_of(item: Item) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])


def begins_with(index: str, text: str) -> Condition:
    """A condition on the sort key: it starts with that text."""
    return Attribute(INDEX_RANGE[index]).startswith(text)


def between(index: str | None, low: int | str | None = None, high: int | str | None = None) -> Condition | None:
    """A condition on the sort key: from `low` up to `high`, both included."""
    path = Attribute("sk" if index is None else INDEX_RANGE[index])
    if low is not None and high is not None:
        return path.between(low, high)
    if low is not None:
        return path >= low
    return None if high is None else path <= high
