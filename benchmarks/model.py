"""A model of DynamoDB under load: what its documented limits do to a stream of transactions.

A partition takes a thousand write units a second. One of the table is split where it is hot, so the table itself is
taken to be warm; a list is one key of an index whose entries come and go at its ends, which no splitting helps. A
transaction takes ten milliseconds, in which another one that meets it at a member's counter is cancelled. What is
cancelled or throttled is tried again as `table.write` does: few times where it is throttled. Of the unused capacity
that DynamoDB lends for five minutes, a second's worth is counted on.
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
ROUND_S = 60.0  # a sweep that was throttled too often goes on with the next round
PAGE = 500  # customers that a sweep finds with one query


class Outcome(NamedTuple):
    """`seconds` until all was done; `waited` is how long each transaction took, sorted; `throttled` is where."""

    waited: list[float]
    given_up: int
    seconds: float
    conflicts: int
    throttled: Counter[str]

    def slowest(self, share: float) -> float:
        return self.waited[min(int(len(self.waited) * share), len(self.waited) - 1)]


Attempt: TypeAlias = Literal["done", "conflict", "throttled"]


class Tried(NamedTuple):
    conflicts: int = 0
    throttles: int = 0


class Engine:
    def __init__(self, members: int, seed: int = 5) -> None:
        self.members, self.draw = members, random.Random(seed)
        self._left: dict[str, tuple[float, float]] = {}
        self._busy: dict[int, float] = defaultdict(float)
        self.conflicts, self.throttled = 0, Counter[str]()

    def counters(self, plan: Plan) -> list[int]:
        """Whose counters a transaction changes; all attempts at it are for the same members."""
        return [self.draw.randrange(self.members) for _ in range(plan.members)]

    def attempt(self, plan: Plan, whose: Sequence[int], now: float) -> Attempt:
        if any(self._busy[member] > now for member in whose):
            self.conflicts += 1
            return "conflict"
        left = {name: self._available(name, now) for name, _ in plan.lists}
        for name, units in plan.lists:
            if left[name] < units:
                self.throttled[name.partition(" ")[0]] += 1
                return "throttled"
        for name, units in plan.lists:
            self._left[name] = (left[name] - units, now)
        for member in whose:
            self._busy[member] = now + TRANSACTION_S
        return "done"

    def again(self, tried: Tried, came_of_it: Attempt, pause_s: float) -> tuple[Tried, float] | None:
        """How often it was tried then and how long `table.write` waits before; None where it is given up."""
        if came_of_it == "conflict":
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
    """Requests of one transaction each that come at those seconds, whoever waits."""
    engine = Engine(members)
    pause_s = Patience().pause_s
    queue = [(at, number, Tried(), engine.draw.choice(plans)) for number, at in enumerate(arrivals)]
    whose = [engine.counters(plan) for _, _, _, plan in queue]
    heapq.heapify(queue)
    waited, given_up, last = list[float](), 0, 0.0
    while queue:
        now, number, tries, plan = heapq.heappop(queue)
        came_of_it = engine.attempt(plan, whose[number], now)
        if came_of_it == "done":
            last = now + TRANSACTION_S
            waited.append(last - arrivals[number])
        elif (again := engine.again(tries, came_of_it, pause_s)) is None:
            given_up += 1
        else:
            heapq.heappush(queue, (now + TRANSACTION_S + again[1], number, again[0], plan))
    return Outcome(sorted(waited), given_up, last, engine.conflicts, engine.throttled)


def swept(plans: Sequence[Plan], due: int, members: int, shards: int) -> Outcome:
    """A sweep of so many due claims, each shard by a thread that sends one transaction after the other.

    One that was given up is tried again in the next round, a minute after this one began.
    """
    engine = Engine(members)
    of_shard = [[plan for plan in plans if _stands_in(plan, shard)] for shard in range(shards)]
    left = [due / shards] * shards
    queue, current = [(0.0, shard) for shard in range(shards)], dict[int, tuple[Plan, list[int], Tried, float]]()
    waited, given_up, last, pause_s = list[float](), 0, 0.0, PATIENCE().pause_s
    while queue:
        now, shard = heapq.heappop(queue)
        if shard not in current:
            plan = engine.draw.choice(of_shard[shard])
            current[shard] = (plan, engine.counters(plan), Tried(), now)
        plan, whose, tries, since = current[shard]
        came_of_it = engine.attempt(plan, whose, now)
        if came_of_it != "done":
            again = engine.again(tries, came_of_it, pause_s)
            given_up += again is None
            tries, pause = (Tried(), ROUND_S - now % ROUND_S) if again is None else again
            current[shard] = (plan, whose, tries, since)
            heapq.heappush(queue, (now + TRANSACTION_S + pause, shard))
            continue
        del current[shard]
        last = now + TRANSACTION_S
        waited.append(last - since)
        left[shard] -= plan.returned
        if left[shard] > 0:
            heapq.heappush(queue, (last + QUERY_S * plan.returned / PAGE, shard))
    return Outcome(sorted(waited), given_up, last, engine.conflicts, engine.throttled)


def _stands_in(plan: Plan, shard: int) -> bool:
    """Whether a transaction is one of that shard's, by where the due index is written."""
    end = f"#D#{shard}" if shard else "#D"
    return plan.returned > 0 and any(name.startswith("due ") and name.endswith(end) for name, _ in plan.lists)
