"""The capacity units that DynamoDB would charge for a call, computed from item sizes by its published rules.

It is fast with a hundred thousand items and itemizes the charges; `test_meter` compares it with an engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Any

from chalicelib.dynamodb.items import Item, kilobytes, size
from chalicelib.dynamodb.keys import COVERING, INDEX_HASH, INDEX_RANGE, PROJECTED, Key
from tests.support.memory import Memory, Sent

KB = 1024


class Metered(Memory):
    """The in-memory engine with a meter: `requests` by operation, and their capacity units.

    A strongly consistent read takes a unit for each started 4 KB, any other one half of that, as does an index; a
    transactional write takes two units for each started KB, and each index change one unit for each started KB.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bill: Counter[str] = Counter()  # write units by what they were for
        self.read_units = 0.0

    def get(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[str, Any]:
        answer = super().get(keys, consistent=consistent)
        self.requests["BatchGetItem"] += 1
        units = sum(max(ceil(size(self.items.get(key, {})) / (4 * KB)), 1) for key in keys)
        self.read_units += units if consistent else units / 2
        return answer

    def query(self, hash_value: str, index: str | None, *arguments: Any) -> dict[str, Any]:
        answer = super().query(hash_value, index, *arguments)
        self.requests["Query"] += 1
        units = max(ceil(sum(map(size, self.looked_at)) / (4 * KB)), 1)
        self.read_units += units / 2 if index else units
        return answer

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        keys = [action.key for action in sent.actions]
        before = {key: self.items.get(key, {}) for key in keys}
        refused = super().deliver(sent)
        self.requests["TransactWriteItems"] += 1
        for key in keys:
            after = self.items.get(key, {})
            self.bill[kind_of(key)] += 2 * item_units(before[key], after)
            if refused is None:
                self.bill += Counter({f"index {name}": index_units(name, before[key], after) for name in INDEX_RANGE})
        return refused

    @property
    def write_units(self) -> int:
        return self.bill.total()


def kind_of(key: Key) -> str:
    """What is kept under that key, as at the top of `layout`."""
    kind = key.pk.split("#")[4] if key.pk.count("#") > 3 else ""
    if kind == "C" and key.sk != "-":
        return {"F": "fields", "Q": "search rows"}.get(key.sk[0], "page of events")
    return {"C": "customer", "M": "member", "S": "statistics"}.get(kind, "answer" if "#K#" in key.pk else "other")


def item_units(before: Item, after: Item) -> int:
    """What that change of an item costs in the table, outside of a transaction: the larger of the two counts."""
    return max(kilobytes(size(before)), kilobytes(size(after)))


def index_units(index: str, before: Item, after: Item) -> int:
    """What that change of an item costs in that index: out of one place, into another, or a new content in place."""
    was, now = projected(index, before), projected(index, after)
    if was == now:
        return 0
    moved = [entry for entry in (was, now) if entry]
    if was and now and all(was[name] == now[name] for name in (INDEX_HASH[index], INDEX_RANGE[index])):
        moved = [max(moved, key=size)]
    return sum(kilobytes(size(entry)) for entry in moved)


def projected(index: str, item: Item) -> Item:
    """The item as that index holds it; nothing where it is not in it."""
    if INDEX_HASH[index] not in item or INDEX_RANGE[index] not in item:
        return {}
    names = ("pk", "sk", INDEX_HASH[index], INDEX_RANGE[index], *PROJECTED.get(index, ()))
    return {name: item[name] for name in (item if index in COVERING else names) if name in item}
