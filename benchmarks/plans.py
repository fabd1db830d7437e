"""What the service really asks of the engine: its own requests, run against the engine in memory and metered.

The model of the engine under load replays these transactions; the costs are worked out from them.
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
    """One transaction: the units that it writes to each list that many share, how many members' counters it changes,
    at which two transactions may meet, and how many claims leave the due list by it."""

    lists: tuple[tuple[str, int], ...]
    members: int
    returned: int


class Units(NamedTuple):
    """What one request costs, on average."""

    reads: float
    writes: float


class Recording(Metered):
    """The metered engine, with a plan of each transaction that it has committed."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Plan] = []

    def deliver(self, sent: Sent) -> list[Item | None] | None:
        before = {action.key: self.items.get(action.key, {}) for action in sent.actions}
        refused = super().deliver(sent)
        if refused is None:
            lists: Counter[str] = Counter()
            for key, was in before.items():
                for index in INDEX_RANGE:
                    lists += listed(index, was, self.items.get(key, {}))
            counters = sum("#M#" in key.pk for key in before)
            gone = sum("due" in was and self.items.get(key, {}).get("due") != was["due"] for key, was in before.items())
            self.plans.append(Plan(tuple(lists.items()), counters, gone))
        return refused


def listed(index: str, was: Item, now: Item) -> Counter[str]:
    """The units of that change in an index, by partition; a holder's own list is left out."""
    entries = [entry for entry in (projected(index, was), projected(index, now)) if entry]
    names = {f"{index} {entry[index]['S']}" for entry in entries}
    units = index_units(index, was, now)
    return Counter({name: units / len(names) for name in names if units and "#H#" not in name})


class Rehearsal:
    """A pool of a few thousand customers in so many shards, to take the service's transactions from."""

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
        """Of each customer, by one member after the other."""
        for number, each in enumerate(self.ids):
            assert self.world.user(f"m{number % MEMBERS}").claim(each).status == 200
        return self.engine.plans

    def sweeps(self) -> list[Plan]:
        """The transactions in which all of those come back."""
        self.claims()
        self.engine.plans = []
        self.world.clock.forward(8 * DAY)
        assert self.world.sweep().returned == CUSTOMERS
        return self.engine.plans


def units_of() -> dict[str, Units]:
    """What a request of each kind costs a warm process, as its mean over a hundred customers."""
    pool = Rehearsal()
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
