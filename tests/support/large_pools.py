"""Pools of any size on a metered engine, and the cost of sweeping them: for tests and benchmarks."""

from __future__ import annotations

from typing import Any, NamedTuple

from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.model.model import Customer, created
from chalicelib.services.late_checks import PERIOD_MS
from tests.support.memory import memory_table
from tests.support.metered import Metered
from tests.support.world import DAY, HOUR, MINUTE, START, World

HOLDERS = tuple(f"m{number:02d}" for number in range(20))
DUE = 1_000


class Cost(NamedTuple):
    """Requests and units of one sweep."""

    queries: int
    reads: int
    transactions: int
    read_units: float
    write_units: float

    @property
    def finding(self) -> int:
        return self.queries + self.reads


def large_pool(engine: Metered, customers: int) -> World:
    """Return a pool of that many customers. Twenty members have a thousand expired claims."""
    world = World(memory_table(engine))
    world.pool(members=" ".join(HOLDERS), claim_ttl="PT1H")
    ids = [f"c{number:06d}" for number in range(customers)]
    for at, each in enumerate(ids):
        known = Customer("main", "p", each, f"Customer {each}", "available", 1, START, START, START, START + at, 1)
        for item in (items.customer_item(created(known, "imported", "mona")), items.fields_item(known)):
            engine.items[keys.Key(item["pk"]["S"], item["sk"]["S"])] = item
    for number, user in enumerate(HOLDERS):
        share = DUE // len(HOLDERS)
        assert world.user(user).claim_batch(ids[number * share : (number + 1) * share]).json["summary"]["ok"] == share
    world.clock.forward(HOUR)
    engine.reset()
    return world


class RoundCost(NamedTuple):
    """The customers that a round of the schedule returned, the transactions that did, and its other requests."""

    returned: int
    returning: int
    others: int
    read_units: float


def cost_of_round(pools: int, due: int) -> RoundCost:
    """Return the cost of a round over that many pools, of which a few have one claim that has expired and one that has
    not. In each hour the search for late checks comes before, and is not counted.
    """
    engine = Metered()
    world = World(memory_table(engine))
    for number in range(due):
        world.pool(f"d{number}", members="alice", customers=2, claim_ttl="P7D", reminders=["P1D"])
        world.user("alice", pool=f"d{number}").claim("c1")
    world.clock.forward(6 * DAY)
    for number in range(due):
        world.user("alice", pool=f"d{number}").claim("c2")
    template = engine.items[keys.pool_key("main", "d0")]
    for number in range(pools - due):
        key = keys.pool_key("main", f"idle{number}")
        check = pool_items.check_at("main", key.sk, world.clock.now + 6 * DAY)
        engine.items[key] = template | {"sk": {"S": key.sk}} | check
    for _ in range(3):  # the search and the reminders of the claims are over
        world.clock.forward(MINUTE)
        world.run_schedule()
    world.clock.forward(DAY)
    engine.items[keys.search_key()] = items.build_item(keys.search_key(), {"period": world.clock.now // PERIOD_MS})
    engine.reset()
    report = world.run_schedule()
    assert (report.checked, report.failed, report.remaining) == (due, 0, 0)
    total, stored = sum(engine.requests.values()), 1  # all next checks are stored together
    returning = engine.requests["TransactWriteItems"] - stored
    return RoundCost(report.returned, returning, total - returning, engine.read_units)


class IdleMonth(NamedTuple):
    """What the schedule costs in a month for pools in which nothing is due, in tenants of a hundred pools each."""

    read_units: float
    write_units: float
    lambda_s: float

    @property
    def usd(self) -> float:
        """Return the price on demand in us-east-1, with half a gigabyte of memory."""
        return self.read_units * 0.125e-6 + self.write_units * 0.625e-6 + self.lambda_s * 0.5 * 13.3334e-6


SAMPLE_TENANTS, POOLS_OF_TENANT, CLOCK_DAYS = 5, 100, 7
REQUEST_S = 0.003  # of CPU, with half a gigabyte; eight wait at a time
DAYS_OF_MONTH = 30


def cost_of_idle_pools(pools: int) -> IdleMonth:
    """Count a search, a check of each pool and an idle round with five hundred pools, and multiply."""
    engine = Metered()
    world = World(memory_table(engine))
    clocks: dict[str, Any] = {"claim_ttl": "P30D", "idle_ttl": f"P{CLOCK_DAYS}D"}
    for tenant in range(SAMPLE_TENANTS):
        world.pool("p0", f"t{tenant}", members="alice", **clocks)
        template = engine.items[keys.pool_key(f"t{tenant}", "p0")]
        for number in range(POOLS_OF_TENANT):
            key = keys.pool_key(f"t{tenant}", f"p{number}")
            check = pool_items.check_at(f"t{tenant}", key.sk, world.clock.now)
            engine.items[key] = template | {"sk": {"S": key.sk}} | check
    sample = SAMPLE_TENANTS * POOLS_OF_TENANT
    for _ in range(3):
        world.clock.forward(MINUTE)
        world.run_schedule()
    world.clock.forward(PERIOD_MS)
    search = _run_idle(engine, world, 0)
    idle = _run_idle(engine, world, 0)
    world.clock.forward(CLOCK_DAYS * DAY - PERIOD_MS)
    engine.items[keys.search_key()] = items.build_item(keys.search_key(), {"period": world.clock.now // PERIOD_MS})
    checked = _run_idle(engine, world, sample)
    month = DAYS_OF_MONTH * DAY
    rounds, share = month / MINUTE, pools / sample
    searches, checks = share * month / PERIOD_MS, share * DAYS_OF_MONTH / CLOCK_DAYS
    totals = [
        one * rounds + (each - one) * searches + (due - one) * checks
        for one, each, due in zip(idle, search, checked, strict=True)
    ]
    return IdleMonth(totals[0], totals[1], totals[2] * REQUEST_S)


def _run_idle(engine: Metered, world: World, due: int) -> tuple[float, float, float]:
    """Return the read units, the write units and the requests of a round that checks that many pools."""
    engine.reset()
    report = world.run_schedule()
    assert (report.checked, report.returned) == (due, 0), report
    return engine.read_units, engine.write_units, sum(engine.requests.values())


def cost_of_sweep(customers: int) -> Cost:
    engine = Metered()
    world = large_pool(engine, customers)
    report = world.sweep()
    assert (report.due, report.returned, report.remaining) == (DUE, DUE, 0)
    made = engine.requests
    return Cost(made["Query"], made["BatchGetItem"], made["TransactWriteItems"], engine.read_units, engine.write_units)
