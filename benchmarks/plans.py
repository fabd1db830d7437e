"""Record the transactions and units of the service's own requests on the metered engine in memory.

The model of DynamoDB under load replays these transactions.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import INDEX_HASH, INDEX_RANGE
from tests.support.memory import Sent, memory_table
from tests.support.metered import Metered, index_units, projected
from tests.support.world import DAY, World

MEMBERS, CUSTOMERS = 200, 2_000
QUARTER_HOUR = 15 * 60_000


class Plan(NamedTuple):
    """One transaction: the units that it writes to each shared list, the number of members whose counters it changes,
    and the number of claims that it removes from the due list."""

    lists: tuple[tuple[str, int], ...]
    members: int
    returned: int


class Recording(Metered):
    """The metered engine with a plan of each committed transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Plan] = []

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        before = {action.key: self.items.get(action.key, {}) for action in sent.actions}
        refused = super().deliver(sent)
        if refused is None:
            lists: Counter[str] = Counter()
            for key, old in before.items():
                for index in INDEX_RANGE:
                    lists += listed(index, old, self.items.get(key, {}))
            counters = sum("#M#" in key.pk for key in before)
            gone = sum("due" in old and self.items.get(key, {}).get("due") != old["due"] for key, old in before.items())
            self.plans.append(Plan(tuple(lists.items()), counters, gone))
        return refused


def listed(index: str, old: Item, new: Item) -> Counter[str]:
    """Return the units of a change in an index by partition, without the holder's own list."""
    entries = [entry for entry in (projected(index, old), projected(index, new)) if entry]
    names = {f"{index} {entry[INDEX_HASH[index]]['S']}" for entry in entries}
    units = index_units(index, old, new)
    return Counter({name: units / len(names) for name in names if units and "#H#" not in name})


class SamplePool:
    """A pool of a few thousand customers with this number of shards, to record transactions from."""

    def __init__(self, shards: int = 1) -> None:
        self.engine = Recording()
        self.world = World(memory_table(self.engine))
        self.world.pool(members=" ".join(f"m{number}" for number in range(MEMBERS)), claim_ttl="P7D")
        self.ids = self.world.fill(CUSTOMERS)
        self.world.user("root", admin=True).post("/spread", {"shards": shards})
        self.world.clock.forward(QUARTER_HOUR)
        self.world.sweep()
        self.engine.plans = []

    def claims(self) -> list[Plan]:
        """Return the transactions of claiming each customer, by one member after the other."""
        for number, each in enumerate(self.ids):
            assert self.world.user(f"m{number % MEMBERS}").claim(each).status == 200
        return self.engine.plans

    def sweeps(self) -> list[Plan]:
        """Return the transactions in which a sweep returns all of these claims."""
        self.claims()
        self.engine.plans = []
        self.world.clock.forward(8 * DAY)
        assert self.world.sweep().returned == CUSTOMERS
        return self.engine.plans
