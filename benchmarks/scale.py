"""`make bench-scale`: the service at a hundred million customers, by a model of DynamoDB's limits and its own plans.

Three loads, with more and more shards; then what a month costs at four sizes. Everything is counted or modelled:
nothing here is a measurement of DynamoDB itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.model import Outcome, arriving, swept
from benchmarks.plans import Rehearsal, Units, units_of
from tools.problems import run_tool

SHARDS = (1, 4, 8, 16, 32)
MEMBERS = 100_000
RATE, SECONDS = 10_000, 15
CROWD_S = 60.0
DUE = 1_000_000
SLOWEST_S, SWEPT_S = 0.5, 900.0  # what is promised of a claim's p99 in 32 shards, and of a sweep in 8 or more
HEAD = "  shards      done  given up  minutes    p50 s    p99 s  conflicts  throttled"


def main() -> int:
    kept = True
    print("10,000 claims a second for 15 seconds, all in one pool")
    print(HEAD)
    steady = [number / RATE for number in range(RATE * SECONDS)]
    for shards in SHARDS:
        outcome = arriving(Rehearsal(shards).claims(), steady, MEMBERS)
        kept &= told(shards, outcome, shards < 32 or outcome.slowest(0.99) <= SLOWEST_S)
    print("\n100,000 members claim in one pool after nine, most in the first ten seconds")
    print(HEAD)
    draw = random.Random(9)
    crowd = sorted(min(draw.expovariate(1 / 10), CROWD_S) for _ in range(MEMBERS))
    for shards in SHARDS:
        outcome = arriving(Rehearsal(shards).claims(), crowd, MEMBERS)
        kept &= told(shards, outcome, shards < 32 or outcome.slowest(0.99) <= SLOWEST_S)
    print("\na million claims of 100,000 members lapse in the same minute, in one pool")
    print(HEAD)
    for shards in SHARDS:
        outcome = swept(Rehearsal(shards).sweeps(), DUE, MEMBERS, shards)
        kept &= told(shards, outcome, shards < 8 or outcome.seconds <= SWEPT_S)
    print()
    for line in costs(units_of()):
        print(line)
    return 0 if kept else 1


def told(shards: int, outcome: Outcome, kept: bool) -> bool:
    where = ", ".join(f"{name} {count:,}" for name, count in outcome.throttled.most_common(2))
    print(
        f"{shards:>8} {len(outcome.waited):>9,} {outcome.given_up:>9,} {outcome.seconds / 60:>8.1f} "
        f"{outcome.slowest(0.5):>8.3f} {outcome.slowest(0.99):>8.3f} {outcome.conflicts:>10,} "
        f"{outcome.throttled.total():>10,}  {where}" + ("" if kept else "  BROKEN"),
        flush=True,
    )
    return kept


# What it costs, in USD, on demand in us-east-1

WRITES, READS, STORED = 0.625e-6, 0.125e-6, 0.25  # a unit written, a unit read, a gigabyte and month
ASKED = (3.50 + 0.20 + 0.030 * 0.5 * 16.6667) * 1e-6  # the gateway, an invocation, its 30 ms of half a gigabyte
TOLD = 1.00e-6  # an event
A_CUSTOMER = (
    2.5e-6  # gigabytes: the customer, its fields, events, guards and entries in indexes, 100 bytes more for each
)
DAYS, CLAIMS_A_DAY, LOOKS_A_DAY = 22, 20, 100
SIZES = ((100_000, 100), (1_000_000, 1_000), (10_000_000, 10_000), (100_000_000, 100_000))


def costs(units: dict[str, Units]) -> Iterator[str]:
    """A month in which each member claims twenty a day, half of them by claim-next, follows up twice on each, gives
    half of them back and lets the others lapse, and looks at a hundred pages a day."""
    yield "a warm request, in units read and written:"
    yield from (f"  {name:12} {each.reads:>6.1f} {each.writes:>6.1f}" for name, each in units.items())
    names = ("customers", "members", "claims", "writes", "reads", "stored", "requests", "events", "USD")
    yield "USD a month\n" + " ".join(f"{name:>12}" for name in names)
    for customers, members in SIZES:
        claims = members * CLAIMS_A_DAY * DAYS
        done = {"claim-next": claims / 2, "claim": claims / 2, "follow-up": 2 * claims, "release": claims / 2}
        done |= {"return": claims / 2, "list of 20": members * LOOKS_A_DAY * DAYS}
        parts = [
            WRITES * sum(units[name].writes * count for name, count in done.items()),
            READS * sum(units[name].reads * count for name, count in done.items()),
            STORED * A_CUSTOMER * customers,
            ASKED * (sum(done.values()) - done["return"]),
            TOLD * 4 * claims,
        ]
        figures = (customers, members, claims, *parts, sum(parts))
        yield " ".join(f"{figure:>12,.0f}" for figure in figures)


if __name__ == "__main__":
    run_tool(main)
