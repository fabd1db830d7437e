"""Load: concurrent HTTP clients on a faulty network to DynamoDB, with the sweep running.

A client without a response repeats its request under its key until it gets one; the recorded responses are therefore
everything that was done, and the final counts of the service must agree with them. `make load` runs it for two minutes.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from chalicelib import bootstrap
from chalicelib.api.handler import Service
from chalicelib.dynamodb.table import Table
from chalicelib.model.times import rfc3339
from chalicelib.transactions.context import Backend
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.conformance import assert_conforms
from tests.support.network_faults import Storm
from tests.support.world import DAY, find
from tools.local.engines import DynamoDBLocal, Engine, MiniStack
from tools.local.fixed_clock_service import front
from tools.local.gateway import LocalApi
from tools.local.keys import LocalKeys
from tools.problems import Unusable, run_tool

CUSTOMERS, MANAGERS = 400, 4
POLICY = {
    "holding_limit": 8, "claim_ttl": "PT4S", "members_may_extend": True, "extension": "PT2S", "max_extensions": 3,
    "follow_up_restarts_clock": True, "pin_limit": 1, "masked_fields": ["phone"], "reminders": ["PT2S"],
}  # fmt: skip
DEEDS = {"release": 7, "release_batch": 2, "hold_on": 6, "win": 2, "look": 9}
OF_MEMBERS = DEEDS | {"claim": 9, "claim_next": 6, "claim_batch": 3}
OF_MANAGERS = DEEDS | {"transfer": 5, "bring_in": 3, "rename": 2}  # they claim nothing: all that they hold was given
PASSING = (429, 503)  # repeat it
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # of what the system counts memory in


@dataclass
class Figures:
    """What a load came to. `used` and `kept` are taken again and again: the most memory so far, which grows with the
    threads and in pieces, and the blocks that Python keeps, which is what a leak would add to."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)  # seconds, of each request
    befell: Counter[str] = field(default_factory=Counter)
    swept: int = 0
    begun: set[str] = field(default_factory=set)  # claims that a client got as its own
    faults: list[str] = field(default_factory=list)
    used: list[float] = field(default_factory=list)  # megabytes
    kept: list[int] = field(default_factory=list)

    @property
    def grown(self) -> float:
        """By what factor more is kept at the end than after half of the time; what was measured itself left aside."""
        half = self.kept[len(self.kept) // 2]
        return (self.kept[-1] - len(self.took) // 2) / half

    def told(self) -> str:
        middle, high, most = (quantiles(self.took, n=100)[at] * 1000 for at in (49, 94, 98))
        return "\n".join(
            (
                f"{len(self.took):,} requests in {self.seconds:.0f} s, {len(self.took) / self.seconds:.0f} a second",
                f"half within {middle:.0f} ms, 95 in 100 within {high:.0f} ms, 99 within {most:.0f} ms",
                f"answers: {dict(sorted(self.statuses.items()))}",
                f"claims begun: {len(self.begun):,}, swept: {self.swept:,}",
                f"faults of the network: {dict(self.befell)}",
                f"megabytes of memory, as time went on: {spread(self.used)}",
                f"thousands of blocks kept: {spread([each / 1000 for each in self.kept])}",
            )
        )


def spread(numbers: Sequence[float]) -> list[int]:
    """Some eight of them."""
    return [round(each) for each in numbers[:: len(numbers) // 8 or 1]]


def memory() -> float:
    """The most that this process has used so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


class Client:
    """One connection and the results of its requests."""

    def __init__(self, url: str, token: str) -> None:
        self.token, self.figures = token, Figures()
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._numbers = iter(range(1, 10**9))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body, once there is an answer that is one."""
        key = {} if method == "GET" else {"Idempotency-Key": f"k{next(self._numbers)}"}
        while True:
            status, told = self._once(method, path, body, key | headers)
            if status not in PASSING:
                return status, told
            time.sleep(0.02)

    def _once(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        started = time.perf_counter()
        self._connection.request(method, f"/v1{path}", content, sent)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        self.figures.took.append(time.perf_counter() - started)
        self.figures.statuses[answer.status] += 1
        assert_conforms(find(method, f"/v1{path.partition('?')[0]}")[0], content, answer.status, answer.headers, text)
        return answer.status, json.loads(text)

    def must(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, told = self.ask(method, path, body, **headers)
        assert status < 300, f"{method} {path}: {status} {told}"
        return told


class Person:
    """A client that does random member or manager operations until `goes_on` returns False."""

    def __init__(self, client: Client, name: str, manager: bool, goes_on: Callable[[], bool]) -> None:
        self.client, self.name, self.goes_on = client, name, goes_on
        self.draw = random.Random(name)
        self.deeds = OF_MANAGERS if manager else OF_MEMBERS
        self.mine: list[str] = []

    def live(self) -> Figures:
        figures = self.client.figures
        try:
            while self.goes_on():
                deed = self.draw.choices(list(self.deeds), list(self.deeds.values()))[0]
                getattr(self, deed)()
        except Exception as error:  # told at the end, by whoever waits for all
            figures.faults.append(f"{self.name}: {error!r}"[:1000])
        return figures

    def any(self, number: int = 1) -> list[str]:
        return [f"c{at}" for at in self.draw.sample(range(CUSTOMERS), number)]

    def one_of_mine(self) -> str:
        """Likely theirs still."""
        return self.draw.choice(self.mine[-6:] or self.any())

    def post(self, path: str, body: Any = None) -> Any:
        status, told = self.client.ask("POST", f"/pools/load{path}", body)
        return told if status < 300 else {}

    def begun(self, customers: list[Any]) -> None:
        self.mine += [each["id"] for each in customers]
        del self.mine[:-20]
        self.client.figures.begun |= {each["claim_id"] for each in customers}

    def claim(self) -> None:
        told = self.post(f"/customers/{self.any()[0]}/claim")
        self.begun([told] if told else [])

    def claim_next(self) -> None:
        self.begun(self.post("/claim-next", {"count": self.draw.randint(1, 3)}).get("items", []))

    def claim_batch(self) -> None:
        told = self.post("/claim", {"customer_ids": self.any(6), "atomic": self.draw.random() < 0.2})
        self.begun([each["customer"] for each in told.get("results", []) if each["ok"]])

    def release(self) -> None:
        self.post(f"/customers/{self.one_of_mine()}/release")

    def release_batch(self) -> None:
        self.post("/release", {"customer_ids": self.mine[-4:] or self.any()})

    def hold_on(self) -> None:
        verb = self.draw.choice(["extend", "follow-up", "pin", "unpin"])
        bodies = {"pin": {"until": rfc3339(bootstrap.clock() + 3_000)}, "follow-up": {"note": "called"}}
        self.post(f"/customers/{self.one_of_mine()}/{verb}", bodies.get(verb))

    def win(self) -> None:
        """And back into the pool at once, so that it does not run empty."""
        customer = self.one_of_mine()
        if self.post(f"/customers/{customer}/win"):
            self.post(f"/customers/{customer}/deposit")

    def look(self) -> None:
        customer = self.any()[0]
        ways = ["/members/me", "/customers?holder=me", "/customers?state=available&limit=5"]
        ways += [f"/customers/{customer}{more}" for more in ("", "/history", "/eligibility")]
        self.client.must("GET", f"/pools/load{self.draw.choice(ways)}")

    def transfer(self) -> None:
        """To a manager, who gives it back some day."""
        self.post(f"/customers/{self.any()[0]}/transfer", {"to": f"u{self.draw.randrange(MANAGERS)}"})

    def bring_in(self) -> None:
        """New ones, which leave again, and one that is there."""
        made = [f"{self.name}-{self.draw.randrange(10**6)}" for _ in range(3)]
        rows = [{"id": each, "name": "New"} for each in [*made, *self.any()]]
        told = self.post("/import", {"rows": rows, "on_duplicate": "update"})
        self.post(f"/imports/{told['import_id']}/undo")

    def rename(self) -> None:
        version = str(self.client.must("GET", "/pools/load")["version"])
        self.client.ask("PATCH", "/pools/load", {"name": f"by {self.name}"}, **{"If-Match": version})


def load(table: Table, seconds: float, people: int, share: float) -> Figures:
    """So many people for so long, that share of the engine's requests befallen. Raises AssertionError."""
    service = Service(Backend(table, bootstrap.new_id, random.sample), bootstrap.clock)
    with tempfile.TemporaryDirectory() as folder, _heard() as errors:
        keys = LocalKeys(Path(folder)).ensure()
        with LocalApi(front(service, keys)) as api:
            root = Client(api.url, keys.token("root", ["admin"]))
            _begin(root, people)
            storm = Storm(table, share, random.Random(people))
            with storm.over():
                figures = _crowd(api.url, keys, root, seconds, people)
            figures.befell = storm.befell
            _assert_all_right(figures, root, [*figures.faults, *errors])
    assert_sound(table)
    tally.count("requests under load", len(figures.took))
    return figures


class _heard(logging.Handler):
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


def _begin(root: Client, people: int) -> None:
    root.must("POST", "/pools", {"id": "load", "name": "Load", "policy": POLICY})
    for number in range(people):
        role = "manager" if number < MANAGERS else "member"
        root.must("PUT", f"/pools/load/members/u{number}", {"role": role})
    root.must("PUT", "/pools/load/members/root", {"role": "manager"})
    rows = [{"id": f"c{number}", "name": f"Customer {number}"} for number in range(CUSTOMERS)]
    for start in range(0, CUSTOMERS, 100):
        root.must("POST", "/pools/load/import", {"rows": rows[start : start + 100]})


def _crowd(url: str, keys: LocalKeys, root: Client, seconds: float, people: int) -> Figures:
    started = time.monotonic()

    def goes_on() -> bool:
        return time.monotonic() - started < seconds

    crowd = [
        Person(Client(url, keys.token(f"u{number}")), f"u{number}", number < MANAGERS, goes_on)
        for number in range(people)
    ]
    threads = [threading.Thread(target=each.live, daemon=True) for each in crowd]
    for thread in threads:
        thread.start()
    total = Figures()
    while goes_on():
        gc.collect()
        total.used.append(memory())
        total.kept.append(sys.getallocatedblocks())
        total.swept += root.must("POST", "/sweep", {})["returned"]
        time.sleep(min(1.0, seconds / 10))
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "somebody has had no answer for a minute"
    total.seconds = time.monotonic() - started
    for figures in [root.figures, *(each.client.figures for each in crowd)]:
        total.statuses += figures.statuses
        for name in ("took", "faults"):
            getattr(total, name).extend(getattr(figures, name))
        total.begun |= figures.begun
    return total


def _assert_all_right(figures: Figures, root: Client, faults: list[str]) -> None:
    assert not faults, faults[:5]
    assert all(status < 500 or status in PASSING for status in figures.statuses), figures.statuses
    report = root.must("POST", "/audit", {})
    assert (report["drift"], report["complete"]) == ([], True), report
    first, last = (rfc3339(bootstrap.clock() + days * DAY)[:10] for days in (-1, 1))
    counted = root.must("GET", f"/pools/load/stats?from={first}&to={last}")["totals"]["claimed"]
    assert counted == len(figures.begun), f"{counted} claims, {len(figures.begun)} were told of"


def main() -> int:
    """On each engine that is here, for `DURATION` seconds, by `PEOPLE`."""
    seconds, people = float(os.environ.get("DURATION") or 120), int(os.environ.get("PEOPLE") or 64)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    for kind in (MiniStack, DynamoDBLocal):
        try:
            figures = _on(kind(persistent=False), seconds, people)
        except Unusable as absent:
            print(f"{kind.name}: left out, {absent}")
            continue
        print(f"{kind.name}, {people} people\n{figures.told()}")
        assert seconds < 60 or figures.grown < 1.1, "the process keeps more and more"
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
