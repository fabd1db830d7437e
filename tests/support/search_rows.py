"""The search rows of a table in a test, where no stream runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.services import search_rows
from tests.support.memory import Memory, Sent
from tests.support.world import World, everything


class Streaming(Memory):
    """The engine in memory with the records of its stream, as Lambda gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        before = {action.key: self.items.get(action.key) for action in sent.actions}
        refused = super().deliver(sent)
        for key, old in before.items():
            new = self.items.get(key)
            if new != old:
                self.records.append(record(len(self.records) + 1, old, new))
        return refused


def record(number: int, old: Item | None, new: Item | None) -> dict[str, Any]:
    """Return a stream record, as Lambda gets it."""
    images = {"OldImage": old, "NewImage": new}
    change = {name: image for name, image in images.items() if image is not None}
    kind = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    return {"eventName": kind, "dynamodb": {"SequenceNumber": str(number), **change}}


def index_customers(world: World) -> None:
    """Bring the search rows of all customers up to date, also of those that are gone, as the stream's function does."""
    pks = {item["pk"]["S"] for item in everything(world.table) if "#C#" in item["pk"]["S"]}
    search_rows.refresh(world.table, [Key(pk, "-") for pk in sorted(pks)])


def rows_of(stored: Iterable[Item]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the partition and the name of each search row, by its key."""
    return {
        (item["pk"]["S"], item["sk"]["S"]): (item["names"]["S"], item["folded"]["S"])
        for item in stored
        if item["sk"]["S"].startswith("Q#")
    }
