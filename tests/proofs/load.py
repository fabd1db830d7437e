"""Load: concurrent HTTP clients of several processes on a faulty network to DynamoDB, with the sweep running.

A client without a response repeats its request under its key until it gets one; the recorded responses are therefore
everything that was done, and the final counts of the service must agree with them. Next to this crowd six clients
record their histories in pools of their own; each history must be linearizable. `make load` runs it for two minutes.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from chalicelib import bootstrap
from chalicelib.api.handler import Service
from chalicelib.dynamodb.table import Table
from chalicelib.model.times import rfc3339
from chalicelib.transactions.context import Backend
from poolctl.local_keys import LocalKeys
from tests.proofs.linear import Op, in_order, pool_of
from tests.proofs.load_clients import (
    CUSTOMERS,
    IDS,
    LIMIT,
    MANAGERS,
    MEMBERS,
    REPEATABLE,
    Client,
    Measured,
    Person,
    Recorder,
)  # fmt: skip
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.network_faults import FaultyNetwork
from tests.support.threads import at_once
from tests.support.world import DAY, KEY_SECRET
from tools.local.engines import DynamoDBLocal, Engine, MiniStack
from tools.local.fixed_clock_service import front
from tools.local.gateway import LocalApi
from tools.problems import Unusable, run_tool

PROCESSES, RECORDERS = 3, 6
POLICY = {
    "holding_limit": 8, "claim_ttl": "PT4S", "members_may_extend": True, "extension": "PT2S", "max_extensions": 3,
    "follow_up_restarts_clock": True, "pin_limit": 1, "masked_fields": ["phone"], "reminders": ["PT2S"],
}  # fmt: skip
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # in the unit in which the system counts memory


@dataclass
class Figures(Measured):
    """The requests of all clients, and the memory of this process over time.

    `peaks` is the most memory so far, which grows with the threads and in pieces. `blocks` is the number of blocks that
    Python keeps; a leak adds to it.
    """

    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)  # of the network
    swept: int = 0
    histories: int = 0
    peaks: list[float] = field(default_factory=list)  # megabytes
    blocks: list[int] = field(default_factory=list)

    def add(self, measured: Measured) -> None:
        self.durations += measured.durations
        self.statuses += measured.statuses
        self.claim_ids |= measured.claim_ids
        self.errors += measured.errors

    @property
    def growth(self) -> float:
        """By what factor more is kept at the end than after half of the time, without the measurements themselves."""
        half = self.blocks[len(self.blocks) // 2]
        return (self.blocks[-1] - len(self.durations) // 2) / half

    def summary(self) -> str:
        middle, high, most = (quantiles(self.durations, n=100)[index] * 1000 for index in (49, 94, 98))
        count = len(self.durations)
        return "\n".join(
            (
                f"{count:,} requests in {self.seconds:.0f} s, {count / self.seconds:.0f} a second",
                f"half within {middle:.0f} ms, 95 in 100 within {high:.0f} ms, 99 within {most:.0f} ms",
                f"answers: {dict(sorted(self.statuses.items()))}",
                f"claims begun: {len(self.claim_ids):,}, swept: {self.swept:,}, histories: {self.histories}",
                f"faults of the network: {dict(self.faults)}",
                f"megabytes of memory, as time went on: {_sample(self.peaks)}",
                f"thousands of blocks kept: {_sample([each / 1000 for each in self.blocks])}",
            )
        )


def _sample(numbers: Sequence[float]) -> list[int]:
    """Return about eight of them."""
    return [round(each) for each in numbers[:: len(numbers) // 8 or 1]]


def _peak_memory() -> float:
    """The most that this process has used so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


@dataclass
class Served:
    """The service over HTTP in several processes, each with caches of its own."""

    urls: list[str]
    keys: LocalKeys
    client_class: type[Client] = Client

    def client(self, number: int = 0, token: str = "") -> Client:
        return self.client_class(self.urls[number % len(self.urls)], token)

    @property
    def root(self) -> Client:
        return self.client(0, self.keys.token("root", ["admin"]))


@contextmanager
def served(table: Table, processes: int = PROCESSES, client_class: type[Client] = Client) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        keys = LocalKeys(Path(folder)).ensure()
        services = [
            Service(Backend(table, bootstrap.new_id, random.sample, KEY_SECRET), bootstrap.clock)
            for _ in range(processes)
        ]
        apis = [stack.enter_context(LocalApi(front(service, keys))) for service in services]
        yield Served([api.url for api in apis], keys, client_class)


# Histories


def recorded_history(served: Served, pool: str, seed: int) -> list[Op]:
    """Return the history of six concurrent clients in a pool of their own."""
    clients = [served.client(number) for number in range(RECORDERS)]
    recorders = [
        Recorder(client, served.keys, pool, f"{pool}-{seed}-{number}") for number, client in enumerate(clients)
    ]
    return [op for history in at_once([each.history for each in recorders]) for op in history]


def history_of(table: Table, seed: int, share: float, client_class: type[Client] = Client) -> list[Op]:
    """Return a history recorded on that table, each client in a process of its own, with that share of faults."""
    with served(table, RECORDERS, client_class) as all_processes:
        create_recorded_pool(all_processes.root, "recorded")
        with FaultyNetwork(table, share, random.Random(seed)).over():
            return recorded_history(all_processes, "recorded", seed)


def create_recorded_pool(root: Client, pool: str) -> None:
    root.must("POST", "/pools", {"id": pool, "name": pool, "policy": {"holding_limit": LIMIT}})
    root.must("PUT", f"/pools/{pool}/members/root", {"role": "manager"})
    for name in (*MEMBERS, "mona"):
        root.must("PUT", f"/pools/{pool}/members/{name}", {"role": "manager" if name == "mona" else "member"})
    root.must("POST", f"/pools/{pool}/import", {"rows": [{"id": each, "name": each} for each in IDS]})


def assert_linearizable(history: Sequence[Op]) -> None:
    tally.count("histories put in order")
    assert in_order(history, pool_of(LIMIT)), sorted(history, key=lambda op: op.start)


# The crowd


def load(table: Table, seconds: float, people: int, share: float) -> Figures:
    """Run that many people for that long, with faults in that share of the requests. Raise AssertionError."""
    with served(table) as all_processes, _logged_errors() as errors:
        root = all_processes.root
        _create_pool(root, people)
        storm = FaultyNetwork(table, share, random.Random(people))
        with storm.over():
            figures = _run_crowd(all_processes, root, seconds, people)
        figures.faults = storm.injected
        _assert_all_right(figures, root, [*figures.errors, *errors])
    assert_sound(table)
    tally.count("requests under load", len(figures.durations))
    return figures


class _logged_errors(logging.Handler):
    """Collect every error that the service logs; there must be none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("customer-pool").addHandler(self)
        return self.errors

    def __exit__(self, *_: object) -> None:
        logging.getLogger("customer-pool").removeHandler(self)


def _create_pool(root: Client, people: int) -> None:
    root.must("POST", "/pools", {"id": "load", "name": "Load", "policy": POLICY})
    for number in range(people):
        role = "manager" if number < MANAGERS else "member"
        root.must("PUT", f"/pools/load/members/u{number}", {"role": role})
    root.must("PUT", "/pools/load/members/root", {"role": "manager"})
    rows = [{"id": f"c{number}", "name": f"Customer {number}"} for number in range(CUSTOMERS)]
    for start in range(0, CUSTOMERS, 100):
        root.must("POST", "/pools/load/import", {"rows": rows[start : start + 100]})


def _run_crowd(all_processes: Served, root: Client, seconds: float, people: int) -> Figures:
    started, figures = time.monotonic(), Figures()

    def goes_on() -> bool:
        return time.monotonic() - started < seconds

    def record_histories() -> None:
        try:
            while goes_on():
                pool = f"recorded{figures.histories}"
                create_recorded_pool(all_processes.root, pool)
                assert_linearizable(recorded_history(all_processes, pool, people))
                figures.histories += 1
        except Exception as error:
            figures.errors.append(f"{error!r}"[:2000])

    crowd = []
    for number in range(people):
        client = all_processes.client(number, all_processes.keys.token(f"u{number}"))
        crowd.append(Person(client, f"u{number}", number < MANAGERS, goes_on))
    threads = [threading.Thread(target=job, daemon=True) for job in (record_histories, *(each.run for each in crowd))]
    for thread in threads:
        thread.start()
    while goes_on():
        gc.collect()
        figures.peaks.append(_peak_memory())
        figures.blocks.append(sys.getallocatedblocks())
        figures.swept += root.must("POST", "/sweep", {})["returned"]
        time.sleep(min(1.0, seconds / 10))
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client has had no answer for a minute"
    figures.seconds = time.monotonic() - started
    for client in (root, *(each.client for each in crowd)):
        figures.add(client.measured)
    return figures


def _assert_all_right(figures: Figures, root: Client, errors: list[str]) -> None:
    assert not errors, errors[:5]
    assert all(status < 500 or status in REPEATABLE for status in figures.statuses), figures.statuses
    report = root.must("POST", "/audit", {})
    assert (report["drift"], report["complete"]) == ([], True), report
    first, last = (rfc3339(bootstrap.clock() + days * DAY)[:10] for days in (-1, 1))
    counted = root.must("GET", f"/pools/load/stats?from={first}&to={last}")["totals"]["claimed"]
    assert counted == len(figures.claim_ids), f"{counted} claims, of which clients saw {len(figures.claim_ids)}"


def main() -> int:
    """Run on each installed engine, for `DURATION` seconds, with `PEOPLE` users."""
    seconds, people = float(os.environ.get("DURATION") or 120), int(os.environ.get("PEOPLE") or 64)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    for kind in (MiniStack, DynamoDBLocal):
        try:
            figures = _on(kind(), seconds, people)
        except Unusable as absent:
            print(f"{kind.name}: left out, {absent}")
            continue
        print(f"{kind.name}, {people} people\n{figures.summary()}")
        assert seconds < 60 or figures.growth < 1.1, "the process keeps more and more"
    return 0


def _on(engine: Engine, seconds: float, people: int) -> Figures:
    with engine:
        table = Table(
            "load", new_id=bootstrap.new_id, jitter=random.random, endpoint=engine.endpoint, region="us-east-1"
        )
        table.create(expiry=False)
        return load(table, seconds, people, share=0.02)


if __name__ == "__main__":
    run_tool(main)
