"""`make bench-scale`: model the service with a hundred million customers within DynamoDB's limits.

It models three loads with increasing numbers of shards, then the schedule with up to a million pools. Nothing here is a
measurement of DynamoDB itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.model import Outcome, arriving, swept
from benchmarks.plans import SamplePool
from chalicelib.dynamodb.keys import SCHEDULE_SHARDS
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from chalicelib.services.schedule import HAND_OVER_SHARE, SEARCH_SHARE
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
    print("\nthe lag of the sweep after a day of claims that expire evenly, by the memory of its function and FAN_OUT")
    print(f"{'pools':>10} {'claims':>7} {'due/min':>9} {'0.5 GB':>15} {'1.7 GB':>15} {'FAN_OUT':>15}")
    for row in lags():
        print("{:>10} {:>7} {:>9} {:>15} {:>15} {:>15}".format(*row))
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


# The schedule: the lag of the sweep after a working day in which claims expire evenly

CHECK_S, FULL_CPU_GB = 0.012 * 0.5 / 1.7, 1.7  # of CPU for a due pool; the memory with a whole CPU
ROUND_S, DAY_MINUTES, START_S = 60.0, 8 * 60, 1.0  # a part that is handed over starts after a second
LOADS = ((100_000, 10), (1_000_000, 1), (1_000_000, 5), (1_000_000, 10))  # pools, and claims of each that expire a day


def checks_a_minute(memory_gb: float, fan_out: bool) -> float:
    """Return how many due pools the schedule checks in a minute, by the CPU of its functions."""
    share = 1 / HAND_OVER_SHARE if fan_out else 1 - 1 / SEARCH_SHARE
    seconds = share * ROUND_S - MIN_SECONDS_LEFT
    if fan_out:
        seconds += SCHEDULE_SHARDS * ((1 - share) * ROUND_S - START_S - MIN_SECONDS_LEFT)
    return seconds * min(memory_gb / FULL_CPU_GB, 1) / CHECK_S


def lag_minutes(due_a_minute: float, memory_gb: float, fan_out: bool) -> float:
    """Return the age of the oldest check that is due at the end of the day."""
    left = max(due_a_minute - checks_a_minute(memory_gb, fan_out), 0) * DAY_MINUTES
    return left / due_a_minute


def lags() -> Iterator[list[str]]:
    """Yield the rows of the table in docs/scale.md: one function, with a whole CPU, and with FAN_OUT."""
    for pools, claims in LOADS:
        due = pools * claims / DAY_MINUTES
        found = [lag_minutes(due, *setting) for setting in ((0.5, False), (FULL_CPU_GB, False), (0.5, True))]
        yield [f"{pools:,}", f"{claims}", f"{due:,.0f}", *(lag_text(each) for each in found)]


def lag_text(minutes: float) -> str:
    return "below a minute" if minutes == 0 else f"{minutes / 60:.1f} hours"


if __name__ == "__main__":
    run_tool(main)
