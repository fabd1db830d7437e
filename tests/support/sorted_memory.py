"""The in-memory engine with its partitions in order, for pools of a hundred thousand customers."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DESCENDING, INDEX_HASH, INDEX_RANGE, Key
from tests.support.memory import Items, Memory, Sent, position, within

Place = tuple[Any, str, str]
Partition = list[tuple[Place, Item]]


def _place(entry: tuple[Place, Item]) -> Place:
    return entry[0]


class SortedMemory(Memory):
    """A query looks at the items of its partition only. No index is late: there is no snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self._partitions: dict[tuple[str | None, str], Partition] = {}

    def add(self, stored: Iterable[Item]) -> None:
        """Store new items, without a transaction."""
        for item in stored:
            self.items[Key(item["pk"]["S"], item["sk"]["S"])] = item
            for index, partition in self._listed_in(item):
                partition.append((position(item, index), item))
        for partition in self._partitions.values():
            partition.sort(key=_place)

    def snapshot(self) -> Items:
        return self.items

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        keys = [action.key for action in sent.actions]
        before = {key: self.items.get(key) for key in keys}
        refused = super().deliver(sent)
        for key, old in before.items():
            new = self.items.get(key)
            if new is not old:
                self._move(old, new)
        return refused

    def _move(self, old: Item | None, new: Item | None) -> None:
        for index, partition in self._listed_in(old or {}):
            del partition[bisect_left(partition, position(old or {}, index), key=_place)]
        for index, partition in self._listed_in(new or {}):
            insort(partition, (position(new or {}, index), new or {}), key=_place)

    def _listed_in(self, item: Item) -> Iterable[tuple[str | None, Partition]]:
        """Return the partitions of an item: that of the table, and those of the indexes that have it."""
        places: list[tuple[str | None, str, str]] = [(None, "pk", "sk")]
        places += [(index, INDEX_HASH[index], INDEX_RANGE[index]) for index in INDEX_RANGE]
        for index, hash_name, range_name in places:
            if hash_name in item and range_name in item:
                yield index, self._partitions.setdefault((index, item[hash_name]["S"]), [])

    def found(self, hash_value: str, index: str | None, part: Condition | None, after: Item | None) -> list[Item]:
        partition = self._partitions.get((index, hash_value), [])
        start = None if after is None else bisect_left(partition, position(after, index), key=_place)
        if index in DESCENDING:
            entries = partition[:start][::-1]
        else:
            same = start is not None and start < len(partition) and partition[start][0] == position(after or {}, index)
            entries = partition[(start or 0) + same :]
        return [item for _, item in entries if part is None or within(part, item)]
