"""`make bench-month`: the bill of a month with everything counted, in USD on demand in us-east-1.

The requests to DynamoDB and their units are counted on the metered engine, once for each kind of request, in a warm
process. The prices are AWS's; what else is assumed stands beside its number. AWS's allowances that never end are
subtracted, those of the first year are not.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from benchmarks.plans import SamplePool
from chalicelib.observability import emf_record
from tests.support.large_pools import cost_of_idle_pools
from tests.support.search_rows import index_customers
from tests.support.world import DAY, Reply
from tools.problems import run_tool

# Prices of November 2026 in USD

WRITE_UNIT, READ_UNIT, STORED_GB, RECOVERY_GB = 0.625e-6, 0.125e-6, 0.25, 0.20
GATEWAY_REQUEST, INVOCATION, GB_SECOND = 3.50e-6, 0.20e-6, 13.3334e-6  # a REST API; Lambda on arm64
EVENT, ARCHIVED_GB, LOG_GB, TRANSFER_GB = 1.00e-6, 0.10, 0.50, 0.09
FREE_INVOCATIONS, FREE_GB_SECONDS, FREE_STORED_GB, FREE_LOG_GB, FREE_TRANSFER_GB = 1e6, 400e3, 25, 5, 100
IDLE: Final = 1.95  # a stage that nobody uses, with alarms and the secret: `tests/unit/test_template.py`

# A person on each working day

WORKING_DAYS, HOURS = 22, 8
DAILY: Final = {"claim": 20, "claim-next": 20, "follow-up": 40, "release": 20, "page": 400, "search": 20}
EXPIRE: Final = 20  # claims of a day that the sweep returns

# The console stays visible, and is used in one sitting for each follow-up. It reads the rows that it shows again when
# they are a minute old, or five from two minutes after its last use on. In a sitting each page that is read replaces
# the rows earlier than that.

SITTING = 4  # minutes
USED_FOR, EVERY, EVERY_IDLE = 2, 1, 5  # minutes
ALWAYS: Final = 60 * HOURS  # polls of a console that is used without a pause, and shows the same page all the time


def polls() -> int:
    """Return how often a console reads the rows again on a day."""
    pause = 60 * HOURS // DAILY["follow-up"] - SITTING
    return DAILY["follow-up"] * (USED_FOR // EVERY + (pause - USED_FOR) // EVERY_IDLE)


EVENTS: Final = 40 + 40 + 20 + EXPIRE
CUSTOMERS, A_CUSTOMER_GB, PEOPLE_IN_A_POOL = 1_000, 2.5e-6, 10

# Assumed

CALL_S, CPU_S, MEMORY_GB = 0.005, 0.004, 1.0  # a request to DynamoDB, and the rest of a request, in the function `api`
AUTHORIZER_S, STREAM_S, STREAM_GB = 0.005, 0.015, 0.5
EVENT_GB = 0.8e-6
ACCESS_BYTES, STREAM_BYTES, LINE_BYTES = 420, 250, 26  # CloudWatch adds 26 bytes to a line

SIZES = (50, 500, 5_000)


class Counted(NamedTuple):
    """The mean of one request: requests to DynamoDB, units read and written, and bytes of the compressed answer."""

    calls: float
    reads: float
    writes: float
    bytes: float


def counted() -> dict[str, Counted]:
    """Count each kind of request in a pool of two thousand customers, and the return of a claim by the sweep."""
    pool = SamplePool()
    world, alice, ids = pool.world, pool.world.user("m1"), pool.ids[:40]
    index_customers(world)
    texts = [f"mer c{number}" for number in range(100, 140)]

    def mean(act: Callable[[str], Reply], over: list[str] = ids) -> Counted:
        pool.engine.reset()
        sizes = [len(zlib.compress(act(each).text.encode())) for each in over]
        calls, reads, writes = pool.engine.requests.total(), pool.engine.read_units, pool.engine.write_units
        return Counted(*(total / len(over) for total in (calls, reads, writes, sum(sizes))))

    alice.get("/members/me")
    found = {"claim": mean(alice.claim)}
    found["follow-up"] = mean(lambda each: alice.post(f"/customers/{each}/follow-up", {"note": "called"}))
    found["page"] = mean(lambda each: alice.get("/customers?holder=me&limit=20"))
    found["poll"] = mean(lambda each: alice.get(f"/customers?ids={','.join(ids[:20])}&partial=true"))
    found["search"] = mean(lambda text: alice.get(f"/customers?q={text.replace(' ', '%20')}&limit=20"), texts)
    found["release"] = mean(alice.release)
    found["claim-next"] = mean(lambda each: alice.claim_next())
    world.clock.forward(8 * DAY)
    pool.engine.reset()
    assert world.sweep().returned == len(ids)
    calls, reads, writes = pool.engine.requests.total(), pool.engine.read_units, pool.engine.write_units
    found["return"] = Counted(calls / len(ids), reads / len(ids), writes / len(ids), 0)
    return found


def month(people: int, each: Mapping[str, Counted], daily: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the parts of the bill for that many people. `daily` replaces numbers of requests of a day."""
    days = people * WORKING_DAYS
    done = {name: count * days for name, count in {**DAILY, "poll": polls(), **(daily or {})}.items()}
    requests, events = sum(done.values()), EVENTS * days
    worked = {**done, "return": EXPIRE * days}
    stored = people * CUSTOMERS * A_CUSTOMER_GB
    sent = sum(each[name].bytes * count for name, count in done.items()) / 1e9
    return {
        "writes": WRITE_UNIT * sum(each[name].writes * count for name, count in worked.items()),
        "reads": READ_UNIT * sum(each[name].reads * count for name, count in worked.items()),
        "stored": STORED_GB * max(stored - FREE_STORED_GB, 0) + RECOVERY_GB * stored,
        "gateway": GATEWAY_REQUEST * requests,
        "functions": _functions(people, done, events, each),
        "events": (EVENT + EVENT_GB * ARCHIVED_GB) * events,
        "logs": LOG_GB * max(_log_gb(requests, events) - FREE_LOG_GB, 0),
        "transfer": TRANSFER_GB * max(sent - FREE_TRANSFER_GB, 0),
        "idle": IDLE + cost_of_idle_pools(people // PEOPLE_IN_A_POOL).usd,
    }


def _authorizations(people: int, done: Mapping[str, float]) -> float:
    """Return how often the authorizer is invoked: API Gateway keeps the answer for a token for a minute."""
    of_sittings = people * WORKING_DAYS * DAILY["follow-up"] * SITTING
    return min(of_sittings + done["poll"], people * WORKING_DAYS * HOURS * 60)


def _batches(events: float) -> float:
    """Return how often each reader of the stream is invoked: it waits a second for more records."""
    return min(events, WORKING_DAYS * HOURS * 3600)


def _functions(people: int, done: Mapping[str, float], events: float, each: Mapping[str, Counted]) -> float:
    api_s = sum((each[name].calls * CALL_S + CPU_S) * count for name, count in done.items())
    authorizations, batches = _authorizations(people, done), _batches(events)
    returns = each["return"].calls * CALL_S * EXPIRE * people * WORKING_DAYS
    streams = 2 * batches * STREAM_S + events / 10 * CALL_S  # the publisher and the index of names
    gb_seconds = (api_s + authorizations * AUTHORIZER_S) * MEMORY_GB + (returns + streams) * STREAM_GB
    invocations = sum(done.values()) + authorizations + 2 * batches
    paid = max(invocations - FREE_INVOCATIONS, 0), max(gb_seconds - FREE_GB_SECONDS, 0)
    return paid[0] * INVOCATION + paid[1] * GB_SECOND


def _log_gb(requests: float, events: float) -> float:
    """Return the size of all lines. Lambda adds one of its own only when it fails (`SystemLogLevel`)."""
    of_request = ACCESS_BYTES + _answered_bytes() + 2 * LINE_BYTES
    streams = 2 * _batches(events) * (STREAM_BYTES + LINE_BYTES)
    return (requests * of_request + streams) / 1e9


def _answered_bytes() -> int:
    """Return the size of the line `answered` of the function `api`, as Lambda writes it."""
    record = emf_record("CustomerPool/customer-pool-prod", "api", 0, {"ok": 1}, **dict.fromkeys(ANSWERED, "x" * 16))
    envelope = {"timestamp": "2026-11-30T00:00:00Z", "level": "INFO", "message": "answered", "logger": "customer-pool"}
    return len(json.dumps(record | envelope | {"requestId": "x" * 36}))


ANSWERED = ("route", "status", "took_ms", "code", "request_id", "release", "tenant", "user", "pool")


def with_polls(polls: int, each: Mapping[str, Counted]) -> str:
    """Return the sums for all SIZES, with that number of polls a day."""
    return " / ".join(f"{sum(month(people, each, {'poll': polls}).values()):,.0f}" for people in SIZES)


def table(each: Mapping[str, Counted]) -> list[list[str]]:
    """Return the rows of the table in docs/scale.md: people, the parts, and the sum."""
    rows = []
    for people in SIZES:
        parts = month(people, each)
        rows.append([f"{people:,}", *(f"{part:,.1f}" for part in parts.values()), f"{sum(parts.values()):,.0f}"])
    return rows


def idle_table() -> list[list[str]]:
    """Return the rows of the table in docs/scale.md about pools in which nothing is due."""
    rows = []
    for pools in (100, 10_000, 100_000):
        cost = cost_of_idle_pools(pools)
        parts = [cost.read_units * READ_UNIT, cost.write_units * WRITE_UNIT, cost.lambda_s * STREAM_GB * GB_SECOND]
        rows.append([f"{pools:,}", *(f"{part:.2f}" for part in parts), f"{cost.usd:.2f}"])
    return rows


def main() -> int:
    each = counted()
    print(f"{'one request':12} {'calls':>8} {'reads':>8} {'writes':>8} {'bytes':>8}")
    for name, one in each.items():
        print(f"{name:12} {one.calls:>8.2f} {one.reads:>8.2f} {one.writes:>8.2f} {one.bytes:>8.0f}")
    print("\nUSD a month")
    print(" ".join(f"{name:>9}" for name in ("people", *month(1, each), "together")))
    for row in table(each):
        print(" ".join(f"{cell:>9}" for cell in row))
    print(f"{polls()} polls a day; with none: {with_polls(0, each)}; with {ALWAYS}: {with_polls(ALWAYS, each)}")
    print("\nthe schedule, for pools in which nothing is due: reads, writes, Lambda, together")
    for row in idle_table():
        print(" ".join(f"{cell:>9}" for cell in row))
    return 0


if __name__ == "__main__":
    run_tool(main)
