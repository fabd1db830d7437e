"""A model of DynamoDB under load: the effect of its documented limits on a stream of transactions.

A partition accepts a thousand write units a second. DynamoDB splits a hot partition of the table, so the model assumes
that the table itself never throttles. A shard of a list is one partition key of an index, which cannot be split. A
transaction takes ten milliseconds; another one that changes the same member's counter in that time is cancelled.
Cancelled and throttled transactions are retried as `table.write` does. DynamoDB keeps five minutes of unused capacity;
the model uses only one second of it.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from benchmarks.plans import Plan
from chalicelib.dynamodb.table import MAX_CONFLICT_RETRIES, THROTTLE_RETRIES, Patience
from chalicelib.services.sweeper import PATIENCE

PARTITION = 1_000.0  # write units a second
TRANSACTION_S = 0.010
QUERY_S = 0.010
ROUND_S = 60.0  # a sweep that was throttled too often continues in the next round
PAGE = 500  # customers that a sweep reads with one query


class Outcome(NamedTuple):
    """`seconds` in total; the sorted durations `waited` of all transactions; the count `throttled` by index."""

    waited: list[float]
    given_up: int
    seconds: float
    conflicts: int
    throttled: Counter[str]

    def slowest(self, share: float) -> float:
        return self.waited[min(int(len(self.waited) * share), len(self.waited) - 1)]


Attempt: TypeAlias = Literal["done", "conflict", "throttled"]


class Attempts(NamedTuple):
    conflicts: int = 0
    throttles: int = 0


class Engine:
    def __init__(self, members: int, seed: int = 5) -> None:
        self.members, self.draw = members, random.Random(seed)
        self._left: dict[str, tuple[float, float]] = {}
        self._busy: dict[int, float] = defaultdict(float)
        self.conflicts, self.throttled = 0, Counter[str]()

    def counters(self, plan: Plan) -> list[int]:
        """Return the members whose counters a transaction changes; all its attempts have the same members."""
        return [self.draw.randrange(self.members) for _ in range(plan.members)]

    def attempt(self, plan: Plan, members: Sequence[int], now: float) -> Attempt:
        if any(self._busy[member] > now for member in members):
            self.conflicts += 1
            return "conflict"
        left = {name: self._available(name, now) for name, _ in plan.lists}
        for name, units in plan.lists:
            if left[name] < units:
                self.throttled[name.partition(" ")[0]] += 1
                return "throttled"
        for name, units in plan.lists:
            self._left[name] = (left[name] - units, now)
        for member in members:
            self._busy[member] = now + TRANSACTION_S
        return "done"

    def retry(self, tried: Attempts, result: Attempt, pause_s: float) -> tuple[Attempts, float] | None:
        """Return the attempts so far and the pause of `table.write` before the next one; None if it gives up."""
        if result == "conflict":
            pause, tried = min(0.25, 0.004 * 2**tried.conflicts), tried._replace(conflicts=tried.conflicts + 1)
        else:
            tried = tried._replace(throttles=tried.throttles + 1)
            pause = pause_s * tried.throttles / THROTTLE_RETRIES
        given_up = tried.conflicts >= MAX_CONFLICT_RETRIES or tried.throttles > THROTTLE_RETRIES
        return None if given_up else (tried, self.draw.random() * pause)

    def _available(self, name: str, now: float) -> float:
        units, then = self._left.get(name, (PARTITION, 0.0))
        return min(units + (now - then) * PARTITION, PARTITION)


def arriving(plans: Sequence[Plan], arrivals: Sequence[float], members: int) -> Outcome:
    """Simulate requests of one transaction each that arrive at these seconds, independent of earlier ones."""
    engine = Engine(members)
    pause_s = Patience().pause_s
    queue = [(at, number, Attempts(), engine.draw.choice(plans)) for number, at in enumerate(arrivals)]
    changed = [engine.counters(plan) for _, _, _, plan in queue]
    heapq.heapify(queue)
    waited, given_up, last = list[float](), 0, 0.0
    while queue:
        now, number, tries, plan = heapq.heappop(queue)
        result = engine.attempt(plan, changed[number], now)
        if result == "done":
            last = now + TRANSACTION_S
            waited.append(last - arrivals[number])
        elif (retry := engine.retry(tries, result, pause_s)) is None:
            given_up += 1
        else:
            heapq.heappush(queue, (now + TRANSACTION_S + retry[1], number, retry[0], plan))
    return Outcome(sorted(waited), given_up, last, engine.conflicts, engine.throttled)


class _InProgress(NamedTuple):
    """The current transaction of a shard; `since` is the time of its first attempt."""

    plan: Plan
    members: list[int]
    attempts: Attempts
    since: float


def swept(plans: Sequence[Plan], due: int, members: int, shards: int) -> Outcome:
    """Simulate a sweep of `due` expired claims; the thread of each shard sends one transaction after the other.

    A transaction that was given up is retried in the next round, a minute after the start of this one.
    """
    engine, pause_s = Engine(members), PATIENCE().pause_s
    of_shard = [[plan for plan in plans if _belongs_to(plan, shard)] for shard in range(shards)]
    left = [due / shards] * shards
    queue, current = [(0.0, shard) for shard in range(shards)], dict[int, _InProgress]()
    waited, given_up, last = list[float](), 0, 0.0
    while queue:
        now, shard = heapq.heappop(queue)
        if shard not in current:
            plan = engine.draw.choice(of_shard[shard])
            current[shard] = _InProgress(plan, engine.counters(plan), Attempts(), now)
        sent = current.pop(shard)
        if (result := engine.attempt(sent.plan, sent.members, now)) != "done":
            retry = engine.retry(sent.attempts, result, pause_s)
            given_up += retry is None
            attempts, pause = retry or (Attempts(), ROUND_S - now % ROUND_S)
            current[shard] = sent._replace(attempts=attempts)
            heapq.heappush(queue, (now + TRANSACTION_S + pause, shard))
            continue
        last = now + TRANSACTION_S
        waited.append(last - sent.since)
        left[shard] -= sent.plan.returned
        if left[shard] > 0:
            heapq.heappush(queue, (last + QUERY_S * sent.plan.returned / PAGE, shard))
    return Outcome(sorted(waited), given_up, last, engine.conflicts, engine.throttled)


def _belongs_to(plan: Plan, shard: int) -> bool:
    """Return whether a transaction is one of this shard, by the partition of its entries in the due index."""
    end = f"#D#{shard}" if shard else "#D"
    return plan.returned > 0 and any(name.startswith("due ") and name.endswith(end) for name, _ in plan.lists)
