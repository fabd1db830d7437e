"""Record the transactions and units of the service's own requests on the metered engine in memory.

The model of DynamoDB under load replays these transactions; the costs are computed from the units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import INDEX_RANGE
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


class Units(NamedTuple):
    """The mean cost of one request."""

    reads: float
    writes: float


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
    names = {f"{index} {entry[index]['S']}" for entry in entries}
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


def units_of() -> dict[str, Units]:
    """Return the cost of each kind of request in a warm process: the mean over a hundred customers."""
    pool = SamplePool()
    world, alice, ids = pool.world, pool.world.user("m1"), pool.ids[:100]

    def mean(act: Callable[[str], object]) -> Units:
        pool.engine.reset()
        for each in ids:
            act(each)
        return Units(pool.engine.read_units / len(ids), pool.engine.write_units / len(ids))

    found = {"create": mean(lambda each: world.user("mona").create(f"n{each}"))}
    found["claim"] = mean(alice.claim)
    found["follow-up"] = mean(lambda each: alice.post(f"/customers/{each}/follow-up", {"note": "called"}))
    found["release"] = mean(alice.release)
    found["claim-next"] = mean(lambda each: alice.claim_next())
    found["list of 20"] = mean(lambda each: alice.get("/customers?holder=me&limit=20"))
    world.clock.forward(8 * DAY)
    pool.engine.reset()
    assert world.sweep().returned == len(ids)
    found["return"] = Units(pool.engine.read_units / len(ids), pool.engine.write_units / len(ids))
    return found
