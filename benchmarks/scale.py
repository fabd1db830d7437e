"""`make bench-scale`: model the service with a hundred million customers within DynamoDB's limits.

It models three loads with increasing numbers of shards, then computes the monthly cost at four sizes. Nothing here is a
measurement of DynamoDB itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.model import Outcome, arriving, swept
from benchmarks.plans import SamplePool, Units, units_of
from tools.problems import run_tool

SHARDS = (1, 4, 8, 16, 32)
MEMBERS = 100_000
RATE, SECONDS = 10_000, 15
ARRIVALS_S = 60.0
DUE = 1_000_000
SLOWEST_S, SWEPT_S = 0.5, 900.0  # bounds of a claim's p99 with 32 shards, and of a sweep with 8 or more
HEAD = "  shards      done  given up  minutes    p50 s    p99 s  conflicts  throttled"


def main() -> int:
    kept = True
    print("10,000 claims a second for 15 seconds, all in one pool")
    print(HEAD)
    steady = [number / RATE for number in range(RATE * SECONDS)]
    for shards in SHARDS:
        outcome = arriving(SamplePool(shards).claims(), steady, MEMBERS)
        kept &= print_outcome(shards, outcome, shards < 32 or outcome.slowest(0.99) <= SLOWEST_S)
    print("\n100,000 members claim in one pool after nine, most in the first ten seconds")
    print(HEAD)
    draw = random.Random(9)
    arrivals = sorted(min(draw.expovariate(1 / 10), ARRIVALS_S) for _ in range(MEMBERS))
    for shards in SHARDS:
        outcome = arriving(SamplePool(shards).claims(), arrivals, MEMBERS)
        kept &= print_outcome(shards, outcome, shards < 32 or outcome.slowest(0.99) <= SLOWEST_S)
    print("\na million claims of 100,000 members expire in the same minute, in one pool")
    print(HEAD)
    for shards in SHARDS:
        outcome = swept(SamplePool(shards).sweeps(), DUE, MEMBERS, shards)
        kept &= print_outcome(shards, outcome, shards < 8 or outcome.seconds <= SWEPT_S)
    print()
    for line in costs(units_of()):
        print(line)
    return 0 if kept else 1


def print_outcome(shards: int, outcome: Outcome, kept: bool) -> bool:
    """Print one line. Return `kept`: whether the bound holds."""
    throttled = ", ".join(f"{name} {count:,}" for name, count in outcome.throttled.most_common(2))
    print(
        f"{shards:>8} {len(outcome.waited):>9,} {outcome.given_up:>9,} {outcome.seconds / 60:>8.1f} "
        f"{outcome.slowest(0.5):>8.3f} {outcome.slowest(0.99):>8.3f} {outcome.conflicts:>10,} "
        f"{outcome.throttled.total():>10,}  {throttled}" + ("" if kept else "  BROKEN"),
        flush=True,
    )
    return kept


# Costs in USD, on demand in us-east-1

WRITES, READS, STORED = 0.625e-6, 0.125e-6, 0.25  # a unit written, a unit read, a gigabyte a month
REQUEST = (3.50 + 0.20 + 0.030 * 0.5 * 16.6667) * 1e-6  # API Gateway, an invocation, 30 ms with half a gigabyte
EVENT = 1.00e-6  # an event
# gigabytes: the customer, its fields, events, unique keys and index entries, 100 bytes more for each
A_CUSTOMER = 2.5e-6
DAYS, CLAIMS_A_DAY, PAGES_A_DAY = 22, 20, 100
SIZES = ((100_000, 100), (1_000_000, 1_000), (10_000_000, 10_000), (100_000_000, 100_000))


def costs(units: dict[str, Units]) -> Iterator[str]:
    """Yield the table of monthly costs.

    Each member claims twenty customers a day, half of them by claim-next, follows up twice on each, releases half of
    them, lets the others expire, and reads a hundred pages a day.
    """
    yield "a warm request, in units read and written:"
    yield from (f"  {name:12} {each.reads:>6.1f} {each.writes:>6.1f}" for name, each in units.items())
    names = ("customers", "members", "claims", "writes", "reads", "stored", "requests", "events", "USD")
    yield "USD a month\n" + " ".join(f"{name:>12}" for name in names)
    for customers, members in SIZES:
        claims = members * CLAIMS_A_DAY * DAYS
        done = {"claim-next": claims / 2, "claim": claims / 2, "follow-up": 2 * claims, "release": claims / 2}
        done |= {"return": claims / 2, "list of 20": members * PAGES_A_DAY * DAYS}
        parts = [
            WRITES * sum(units[name].writes * count for name, count in done.items()),
            READS * sum(units[name].reads * count for name, count in done.items()),
            STORED * A_CUSTOMER * customers,
            REQUEST * (sum(done.values()) - done["return"]),
            EVENT * 4 * claims,
        ]
        figures = (customers, members, claims, *parts, sum(parts))
        yield " ".join(f"{figure:>12,.0f}" for figure in figures)


if __name__ == "__main__":
    run_tool(main)
