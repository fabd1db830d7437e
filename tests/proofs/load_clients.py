"""Clients over HTTP: one connection each, random members and managers, and clients that record a history."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

from chalicelib import bootstrap
from chalicelib.model.times import rfc3339
from poolctl.local_keys import LocalKeys
from tests.proofs.linear import UNKNOWN, Op
from tests.support.conformance import assert_conforms
from tests.support.world import find

CUSTOMERS, MANAGERS = 400, 4
FOR_ALL = {"release": 7, "release_batch": 2, "keep_claim": 6, "win": 2, "read": 9}  # operations and how often
FOR_MEMBERS = FOR_ALL | {"claim": 9, "claim_next": 6, "claim_batch": 3}
FOR_MANAGERS = FOR_ALL | {"transfer": 5, "import_and_undo": 3, "rename_pool": 2}  # all that they hold was given to them
REPEATABLE = (429, 503)  # the request has no result: repeat it
_numbers = itertools.count(1)  # of the keys: a user may have several clients


@dataclass
class Measured:
    """The requests of one client."""

    durations: list[float] = field(default_factory=list)  # seconds, of each request
    statuses: Counter[int] = field(default_factory=Counter)
    claim_ids: set[str] = field(default_factory=set)  # claims that the client began for itself
    errors: list[str] = field(default_factory=list)


class Client:
    """One connection and the results of its requests."""

    def __init__(self, url: str, token: str = "") -> None:
        self.token, self.measured = token, Measured()
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Repeat the request under its key until it has a result. Return status and body."""
        key = {} if method == "GET" else {"Idempotency-Key": f"k{next(_numbers)}"}
        while True:
            status, answer = self.send_once(method, path, body, **key, **headers)
            if status not in REPEATABLE:
                return status, answer
            time.sleep(0.02)

    def send_once(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        started = time.perf_counter()
        self._connection.request(method, f"/v1{path}", content, sent)
        response = self._connection.getresponse()
        text = response.read().decode()
        self.measured.durations.append(time.perf_counter() - started)
        self.measured.statuses[response.status] += 1
        self.check(method, path, content, response, text)
        return response.status, json.loads(text)

    def check(self, method: str, path: str, content: bytes, response: HTTPResponse, text: str) -> None:
        """Require that the response conforms to the OpenAPI document."""
        route, _ = find(method, f"/v1{path.partition('?')[0]}")
        names_in_any_case: Any = response.headers
        assert_conforms(route, content, response.status, names_in_any_case, text)

    def must(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, answer = self.send(method, path, body, **headers)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer


class UncheckedClient(Client):
    """A client of a faulty store, which may count below zero: a proof must find that in the history itself."""

    def check(self, method: str, path: str, content: bytes, response: HTTPResponse, text: str) -> None:
        pass


class Person:
    """A user that makes random member or manager requests until `goes_on` returns False."""

    def __init__(self, client: Client, name: str, manager: bool, goes_on: Callable[[], bool]) -> None:
        self.client, self.name, self.goes_on = client, name, goes_on
        self.draw = random.Random(name)
        self.operations = FOR_MANAGERS if manager else FOR_MEMBERS
        self.claimed: list[str] = []

    def run(self) -> None:
        try:
            while self.goes_on():
                operation = self.draw.choices(list(self.operations), list(self.operations.values()))[0]
                getattr(self, operation)()
        except Exception as error:  # reported by the thread that waits for all clients
            self.client.measured.errors.append(f"{self.name}: {error!r}"[:1000])

    def random_customers(self, number: int = 1) -> list[str]:
        return [f"c{index}" for index in self.draw.sample(range(CUSTOMERS), number)]

    def own_customer(self) -> str:
        """A customer that they probably still hold."""
        return self.draw.choice(self.claimed[-6:] or self.random_customers())

    def post(self, path: str, body: Any = None) -> Any:
        status, answer = self.client.send("POST", f"/pools/load{path}", body)
        return answer if status < 300 else {}

    def remember(self, customers: list[Any]) -> None:
        self.claimed += [each["id"] for each in customers]
        del self.claimed[:-20]
        self.client.measured.claim_ids |= {each["claim_id"] for each in customers}

    def claim(self) -> None:
        answer = self.post(f"/customers/{self.random_customers()[0]}/claim")
        self.remember([answer] if answer else [])

    def claim_next(self) -> None:
        self.remember(self.post("/claim-next", {"count": self.draw.randint(1, 3)}).get("items", []))

    def claim_batch(self) -> None:
        body = {"customer_ids": self.random_customers(6), "atomic": self.draw.random() < 0.2}
        self.remember([each["customer"] for each in self.post("/claim", body).get("results", []) if each["ok"]])

    def release(self) -> None:
        self.post(f"/customers/{self.own_customer()}/release")

    def release_batch(self) -> None:
        self.post("/release", {"customer_ids": self.claimed[-4:] or self.random_customers()})

    def keep_claim(self) -> None:
        verb = self.draw.choice(["extend", "follow-up", "pin", "unpin"])
        bodies = {"pin": {"until": rfc3339(bootstrap.clock() + 3_000)}, "follow-up": {"note": "called"}}
        self.post(f"/customers/{self.own_customer()}/{verb}", bodies.get(verb))

    def win(self) -> None:
        """Return the customer to the pool at once, so that the pool does not run empty."""
        customer = self.own_customer()
        if self.post(f"/customers/{customer}/win"):
            self.post(f"/customers/{customer}/deposit")

    def read(self) -> None:
        customer = self.random_customers()[0]
        paths = ["/members/me", "/customers?holder=me", "/customers?state=available&limit=5"]
        paths += [f"/customers/{customer}{more}" for more in ("", "/history", "/eligibility")]
        self.client.must("GET", f"/pools/load{self.draw.choice(paths)}")

    def transfer(self) -> None:
        """Transfer to a manager, who releases the customer later."""
        body = {"to": f"u{self.draw.randrange(MANAGERS)}"}
        self.post(f"/customers/{self.random_customers()[0]}/transfer", body)

    def import_and_undo(self) -> None:
        """Import new customers and an existing one, and undo it."""
        new = [f"{self.name}-{self.draw.randrange(10**6)}" for _ in range(3)]
        rows = [{"id": each, "name": "New"} for each in [*new, *self.random_customers()]]
        answer = self.post("/import", {"rows": rows, "on_duplicate": "update"})
        self.post(f"/imports/{answer['import_id']}/undo")

    def rename_pool(self) -> None:
        version = str(self.client.must("GET", "/pools/load")["version"])
        self.client.send("PATCH", "/pools/load", {"name": f"by {self.name}"}, **{"If-Match": version})


LIMIT, REQUESTS = 2, 14
MEMBERS = ("alice", "bob", "carl", "dora")
IDS = ("c1", "c2", "c3", "c4")


# A faulty store can damage a record. From then on no request about it has a result.
MAX_REPEATS: Final = 50


class Recorder:
    """A client that makes some requests about a few customers, as any member, and records them.

    It usually repeats a request without a result under its key; otherwise the result remains unknown.
    """

    def __init__(self, client: Client, keys: LocalKeys, pool: str, seed: str) -> None:
        self.client, self.pool, self.seed = client, pool, seed
        self.draw = random.Random(seed)
        self.tokens = {name: keys.token(name) for name in (*MEMBERS, "mona")}

    def history(self) -> list[Op]:
        return [op for number in range(REQUESTS) if (op := self.request(number)) is not None]

    def request(self, number: int) -> Op | None:
        """Make one request; return None if a read has no result."""
        verb = self.draw.choices(["claim", "release", "transfer", "look", "count"], [8, 5, 2, 2, 2])[0]
        manages = verb == "transfer" or (verb == "release" and self.draw.random() < 0.2)
        who = "mona" if manages else self.draw.choice(MEMBERS)
        customer, to = self.draw.choice(IDS), self.draw.choice(MEMBERS) if verb == "transfer" else ""
        repeats = self.draw.random() < 0.8
        start = time.perf_counter()
        result = self.send(who, verb, customer, to, f"{self.seed}-{number}")
        for _ in range(MAX_REPEATS if repeats else 0):
            if result != UNKNOWN:
                break
            result = self.send(who, verb, customer, to, f"{self.seed}-{number}")
        op = Op(start, time.perf_counter(), who, verb, customer, result, to)
        return None if verb in ("look", "count") and result == UNKNOWN else op

    def send(self, who: str, verb: str, customer: str, to: str, key: str) -> str:
        """Return `ok`, the code of the refusal, what was read, or UNKNOWN."""
        self.client.token = self.tokens[who]
        path = {"look": f"/customers/{customer}", "count": "/members/me"}.get(verb, f"/customers/{customer}/{verb}")
        if verb in ("look", "count"):
            status, answer = self.client.send_once("GET", f"/pools/{self.pool}{path}")
        else:
            body = {"to": to} if verb == "transfer" else None
            status, answer = self.client.send_once(
                "POST", f"/pools/{self.pool}{path}", body, **{"Idempotency-Key": key}
            )
        if status != 200:
            return UNKNOWN if status in REPEATABLE else str(answer["code"])
        return str(answer[{"look": "holder", "count": "held"}[verb]]) if verb in ("look", "count") else "ok"
