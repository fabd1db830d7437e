"""What the engine would charge for a call: counted from the sizes of the items, by DynamoDB's published rules.

No engine at hand tells it rightly for transactions. Sizes are those of the manual: names and texts in UTF-8, a number a
byte for each two of its digits and one more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Any

from chalicelib.layout import COVERING, INDEX_RANGE, Item, Key
from tests.memory import Memory, Sent

KB = 1024


class Metered(Memory):
    """The engine in memory, with a meter: `requests` by operation, and the units that they take.

    A strong read of an item takes a unit for each 4 KB begun, a page of an index half a unit for each 4 KB of it; a
    write in a transaction two units for each KB begun, and each change of an index one for each KB begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.requests: Counter[str] = Counter()
        self.read_units = self.write_units = 0.0

    def get(self, wanted: Sequence[Key]) -> dict[str, Any]:
        answer = super().get(wanted)
        self.requests["BatchGetItem"] += 1
        self.read_units += sum(max(ceil(size(self.items.get(key, {})) / (4 * KB)), 1) for key in wanted)
        return answer

    def query(self, hash_value: str, index: str | None, *asked: Any) -> dict[str, Any]:
        answer = super().query(hash_value, index, *asked)
        self.requests["Query"] += 1
        units = max(ceil(sum(map(size, answer["Items"])) / (4 * KB)), 1)
        self.read_units += units / 2 if index else units
        return answer

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        keys = [action.key for action in sent.actions]
        before = {key: self.items.get(key, {}) for key in keys}
        refused = super().deliver(sent)
        self.requests["TransactWriteItems"] += 1
        for key in keys:
            after = self.items.get(key, {})
            self.write_units += 2 * max(ceil(max(size(before[key]), size(after)) / KB), 1)
            if refused is None:
                self.write_units += sum(index_units(name, before[key], after) for name in INDEX_RANGE)
        return refused


def index_units(index: str, before: Item, after: Item) -> int:
    """What that change of an item costs in that index: out of one place, into another, or a new content in place."""
    was, now = projected(index, before), projected(index, after)
    if was == now:
        return 0
    moved = [entry for entry in (was, now) if entry]
    if was and now and all(was[name] == now[name] for name in (index, INDEX_RANGE[index])):
        moved = [max(moved, key=size)]
    return sum(max(ceil(size(entry) / KB), 1) for entry in moved)


def projected(index: str, item: Item) -> Item:
    """The item as that index holds it; nothing where it is not in it."""
    if index not in item or INDEX_RANGE[index] not in item:
        return {}
    names = item if index in COVERING else ("pk", "sk", index, INDEX_RANGE[index])
    return {name: item[name] for name in names}


def size(item: Item) -> int:
    return sum(len(name.encode()) + _bytes(content) for name, content in item.items())


def _bytes(tagged: dict[str, Any]) -> int:
    ((kind, content),) = tagged.items()
    if kind == "N":
        return (len(content.lstrip("-")) + 1) // 2 + 1
    return 3 + len(content) + size(content) if kind == "M" else len(str(content).encode())
