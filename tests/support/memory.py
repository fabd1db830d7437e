"""An in-memory engine: a connection that `Table` uses instead of the client, for proofs with very many requests.

It runs one call at a time, each at once and atomically, as DynamoDB promises. It adds what a proof has to control: a
hook before and after each call, batch reads in parts, and late indexes. `chalicelib.dynamodb.conditions` evaluates
conditions; a property test compares it with a real engine, and `test_schedules` compares the whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.expressions.condition import BeginsWith, Between, Condition
from pynamodb.expressions.operand import Path, Value, _Decrement, _IfNotExists, _Increment
from pynamodb.expressions.update import AddAction, RemoveAction, SetAction

from chalicelib.dynamodb.conditions import ORDERINGS, evaluate
from chalicelib.dynamodb.items import Item, deserialize, serialize, size
from chalicelib.dynamodb.keys import COVERING, DESCENDING, INDEX_HASH, INDEX_RANGE, PROJECTED, Key
from chalicelib.dynamodb.table import MAX_ACTIONS, MAX_KEYS_PER_READ, Action, Delete, Put, SetAttributes, Table, Update

Items = dict[Key, Item]
NAME = "memory"
MEGABYTE = 1024 * 1024
FEW = 100  # items that are less than a megabyte together here
_tokens = itertools.count(1)  # for all tables: an engine applies each token once


def memory_table(connection: Memory, kind: type[Table] = Table) -> Table:
    """Return a table on that engine. It never waits between two attempts, since nothing else runs meanwhile."""
    table = kind(
        NAME,
        new_id=lambda: f"token{next(_tokens):07d}",
        jitter=lambda: 0.0,
        wait=lambda seconds: None,
        region="us-east-1",
    )
    table.connection = connection  # type: ignore[assignment]
    return table


@dataclass(frozen=True)
class Sent:
    """A transaction on its way."""

    token: str
    actions: Sequence[Action]


class Memory:
    """The part of the client that `Table` uses. Items are never changed in place, so a copy of `items` is a snapshot.

    `before` and `after` receive the operation around each call, and may raise. `torn` reads batches one item at a time.
    `late` reads the indexes as they were before the latest transaction. `blank` returns an empty query page that is not
    the last. `twice` is a transaction that arrives twice and whose first response is lost; the second does nothing as
    long as the engine `remembers` the tokens it has committed.
    """

    def __init__(self) -> None:
        self.items: Items = {}
        self.before: Callable[[str], None] = lambda operation: None
        self.after: Callable[[str], None] = lambda operation: None
        self.torn = self.late = self.blank = self.twice = False
        self.remembers = True
        self.sent = Sent("", ())
        self._done: set[str] = set()
        self.past: Items = {}
        self.looked_at: list[Item] = []  # by the latest query

    @property
    def client(self) -> Memory:
        """Scans go through the client."""
        return self

    def load(self, items: Items, past: Items | None = None) -> None:
        """Replace all items, and the items as they were before the last transaction."""
        self.items, self.past = dict(items), dict(items if past is None else past)

    def scan(self, **_: Any) -> dict[str, Any]:
        return {"Items": list(self.items.values())}

    # Reading

    def get(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[str, Any]:
        self.before("BatchGetItem")
        assert 0 < len(keys) <= MAX_KEYS_PER_READ
        assert len(set(keys)) == len(keys), "DynamoDB reads no key twice in a batch"
        now, later = (keys[:1], keys[1:]) if self.torn else (keys, [])
        answer: dict[str, Any] = {"Responses": {NAME: [self.items[key] for key in now if key in self.items]}}
        if later:
            answer["UnprocessedKeys"] = {NAME: {"Keys": [_key_attributes(key) for key in later]}}
        self.after("BatchGetItem")
        return answer

    def query(
        self,
        hash_value: str,
        index: str | None,
        between: Condition | None,
        after: Item | None,
        limit: int | None,
        where: Condition | None = None,
    ) -> dict[str, Any]:
        self.before("Query")
        found = self.found(hash_value, index, between, after)
        looked_at = _one_page(found if limit is None else found[:limit], index)
        if self.blank:
            self.blank = False
            first = _before_all(hash_value, index) if after is None else after
            return {"Items": [], "LastEvaluatedKey": first}
        self.looked_at = [_projected(item, index) for item in looked_at]
        shown = [item for item in self.looked_at if where is None or evaluate(where, item)]
        answer: dict[str, Any] = {"Items": shown, "ScannedCount": len(looked_at)}
        if len(looked_at) < len(found):
            answer["LastEvaluatedKey"] = _projected(looked_at[-1], index, keys_only=True)
        self.after("Query")
        return answer

    def found(self, hash_value: str, index: str | None, part: Condition | None, after: Item | None) -> list[Item]:
        """Return the items of a partition, of that part of it and after that position, in order."""
        found = _partition(self._as_of(index), hash_value, index, part)
        if after is None:
            return found
        start, backward = position(after, index), index in DESCENDING
        return [item for item in found if (at := position(item, index)) != start and (at < start) == backward]

    def _as_of(self, index: str | None) -> Items:
        return self.past if self.late and index is not None else self.items

    # Writing

    def transact(self, actions: Sequence[Action], token: str) -> None:
        self.sent = sent = Sent(token, actions)
        self.before("TransactWriteItems")
        refused = self.deliver(sent)
        if self.twice and refused is None:
            refused = self.deliver(sent)
        self.after("TransactWriteItems")
        if refused is not None:
            raise cancelled(refused)

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        """Commit and return None, or return the items whose conditions failed, in order, with None for the others."""
        if self.remembers and sent.token in self._done:
            return None
        keys = [action.key for action in sent.actions]
        assert 0 < len(keys) <= MAX_ACTIONS and len(set(keys)) == len(keys), "no transaction of DynamoDB"
        current = [self.items.get(key, {}) for key in keys]
        refused = [
            None if action.condition is None or evaluate(action.condition, item) else item
            for action, item in zip(sent.actions, current, strict=True)
        ]
        if any(item is not None for item in refused):
            return refused
        past, self.past = self.past, self.snapshot()
        for action in sent.actions:
            try:
                self._carry_out(action)
            except (LookupError, TypeError, ValueError) as error:
                self.items, self.past = self.past, past
                raise cancelled([{}], "ValidationError") from error
        self._done.add(sent.token)
        return None

    def snapshot(self) -> Items:
        """Return the items as they are now."""
        return dict(self.items)

    def _carry_out(self, action: Action) -> None:
        key = action.key
        if isinstance(action, Delete):
            self.items.pop(key, None)
        elif isinstance(action, Put):
            self.items[key] = action.item | _key_attributes(key)
        elif isinstance(action, SetAttributes):
            stored = {name: content for name, content in self.items.get(key, {}).items() if name not in action.removed}
            self.items[key] = stored | action.changed | _key_attributes(key)
        elif isinstance(action, Update):
            assert action.actions, "DynamoDB takes no update that changes nothing"
            self.items[key] = _updated(self.items.get(key, {}) | _key_attributes(key), action.actions)


def cancelled(refused: Iterable[Item | None], code: str = "ConditionalCheckFailed") -> ClientError:
    """Return the error for a transaction that these items cancelled."""
    reasons = [{"Code": "None"} if item is None else {"Code": code, "Item": item} for item in refused]
    response: Any = {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons}
    return ClientError(response, "TransactWriteItems")


def _key_attributes(key: Key) -> Item:
    return {"pk": serialize(key.pk), "sk": serialize(key.sk)}


# Queries


def position(item: Item, index: str | None) -> tuple[Any, str, str]:
    """Where an item stands in its partition."""
    rank = _comparable(item["sk"] if index is None else item[INDEX_RANGE[index]])
    return rank, item["pk"]["S"], item["sk"]["S"]


def _before_all(hash_value: str, index: str | None) -> Item:
    """A place before every item of a partition."""
    ranged = INDEX_RANGE.get(index or "", "sk")
    numeric = ranged in ("rank", "due_at", "remind_at", "win_requested_at", "entered_at")
    first = serialize((10**20 if index in DESCENDING else -(10**20)) if numeric else "")
    hash_name = INDEX_HASH[index] if index else "pk"
    return {"pk": serialize(""), "sk": serialize(""), hash_name: serialize(hash_value), ranged: first}


def _partition(items: Items, hash_value: str, index: str | None, part: Condition | None) -> list[Item]:
    hash_name = "pk" if index is None else INDEX_HASH[index]
    range_name = "sk" if index is None else INDEX_RANGE[index]
    found = [
        item
        for item in items.values()
        if item.get(hash_name) == {"S": hash_value} and range_name in item and (part is None or within(part, item))
    ]
    return sorted(found, key=lambda item: position(item, index), reverse=index in DESCENDING)


def within(part: Condition, item: Item) -> bool:
    if isinstance(part, Between):
        path, low, high = part.values
        return bool(_comparable(low.value) <= _comparable(item[path.path[0]]) <= _comparable(high.value))
    if isinstance(part, BeginsWith):
        path, start = part.values
        return str(deserialize(item[path.path[0]])).startswith(deserialize(start.value))
    path, bound = part.values
    return bool(ORDERINGS[part.operator](_comparable(item[path.path[0]]), _comparable(bound.value)))


def _one_page(found: list[Item], index: str | None) -> list[Item]:
    """Return the items that one query looks at: DynamoDB stops at a megabyte, before it filters."""
    if len(found) <= FEW:
        return found
    total = 0
    for at, item in enumerate(found):
        total += size(_projected(item, index))
        if total > MEGABYTE:
            return found[:at]
    return found


def _comparable(tagged: dict[str, Any]) -> Any:
    """Return a sort value. Indexes sort any number, also one that the service cannot read."""
    return Decimal(tagged["N"]) if "N" in tagged else deserialize(tagged)


def _projected(item: Item, index: str | None, *, keys_only: bool = False) -> Item:
    if not keys_only and (index is None or index in COVERING):
        return item
    names = ("pk", "sk") if index is None else ("pk", "sk", INDEX_HASH[index], INDEX_RANGE[index])
    carried = () if keys_only else PROJECTED.get(index or "", ())
    return {name: item[name] for name in (*names, *carried) if name in item}


# Updates


def _updated(item: Item, actions: Sequence[Any]) -> Item:
    """Apply the actions. Every operand is read from the item before the update, as in DynamoDB."""
    after = dict(item)
    for action in actions:
        path, operand = action.values[0].path, action.values[-1]
        if isinstance(action, SetAction):
            _set(after, path, _number_or_value(operand, item))
        elif isinstance(action, AddAction):
            before = _value_at(item, path)
            added = deserialize(operand.value) + (0 if before is None else deserialize(before))
            _set(after, path, serialize(added))
        elif isinstance(action, RemoveAction):
            after.pop(path[0], None)
        else:
            raise TypeError(f"no update here uses {type(action).__name__}")
    return after


def _set(item: Item, path: Sequence[str], content: dict[str, Any]) -> None:
    if len(path) == 1:
        item[path[0]] = content
        return
    inner = dict(item[path[0]]["M"])
    _set(inner, path[1:], content)
    item[path[0]] = {"M": inner}


def _value_at(item: Item, path: Sequence[str]) -> dict[str, Any] | None:
    content: Any = {"M": item}
    for name in path:
        content = content["M"].get(name)
        if content is None:
            return None
    return dict(content)


def _number_or_value(operand: Any, item: Item) -> dict[str, Any]:
    if isinstance(operand, Value):
        return dict(operand.value)
    if isinstance(operand, Path):
        content = _value_at(item, operand.path)
        assert content is not None, f"an update reads {operand}, which is not there"
        return content
    left, right = operand.values
    if isinstance(operand, _IfNotExists):
        present = _value_at(item, left.path)
        return _number_or_value(right, item) if present is None else present
    sign = {_Increment: 1, _Decrement: -1}[type(operand)]
    return serialize(deserialize(_number_or_value(left, item)) + sign * deserialize(_number_or_value(right, item)))
