"""A world for a test: a real table, a clock that only the test moves, and clients that use the HTTP contract.

Requests take the same path as in production, from the event of API Gateway to the response; only the network and the
token are left out. Nothing of the service is replaced.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from chalice.app import Request

from chalicelib.api import routes
from chalicelib.api.auth import context_of
from chalicelib.api.handler import Service, respond
from chalicelib.api.routing import Route
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Patience, Table
from chalicelib.model.contact_keys import KeySecret, key_of
from chalicelib.model.normalization import Kind
from chalicelib.services import expiry, schedule, sweeper
from chalicelib.transactions.context import Backend, Caller
from tests.support.conformance import assert_conforms

START = 1_780_300_800_000  # 2026-06-01T08:00:00Z
REQUEST_ID = "request-1"
KEY_SECRET = KeySecret("1", "tests")
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def unique_key_of(kind: Kind, contact: str, pool: str = "p") -> Key:
    """Return the key of the unique-key item of a normalized contact."""
    return keys.unique_key("main", pool, key_of(kind, contact, KEY_SECRET))


@dataclass
class Clock:
    now: int = START

    def __call__(self) -> int:
        return self.now

    def forward(self, ms: int) -> None:
        self.now += ms


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def ids(self) -> list[str]:
        """The id of each item of a page, or of each result of a batch."""
        return [each["id"] for each in self.json["items" if "items" in self.json else "results"]]

    @property
    def results(self) -> list[str]:
        """One word for each result of a batch: `ok` or the code of the refusal."""
        return ["ok" if each["ok"] else each["code"] for each in self.json["results"]]


@dataclass
class User:
    """One user's client: `alice.claim("c1")`."""

    world: World
    caller: Caller
    pool: str = "p"

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return self.world.request(self.caller, method, path, body, **headers)

    def get(self, path: str = "", **headers: str) -> Reply:
        return self.request("GET", f"/v1/pools/{self.pool}{path}", **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return self.request("POST", f"/v1/pools/{self.pool}{path}", body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Reply:
        return self.request("PATCH", f"/v1/pools/{self.pool}{path}", body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Reply:
        return self.request("PUT", f"/v1/pools/{self.pool}{path}", body, **headers)

    def delete(self, path: str = "", **headers: str) -> Reply:
        return self.request("DELETE", f"/v1/pools/{self.pool}{path}", **headers)

    def create(self, customer: str | None = "new", **attributes: Any) -> Reply:
        return self.post("/customers", {"name": "New"} | ({"id": customer} if customer else {}) | attributes)

    def claim(self, customer: str, **headers: str) -> Reply:
        return self.post(f"/customers/{customer}/claim", **headers)

    def claim_batch(self, ids: list[str], atomic: bool = False, **headers: str) -> Reply:
        return self.post("/claim", {"customer_ids": ids, "atomic": atomic}, **headers)

    def claim_next(self, count: int = 1, **headers: str) -> Reply:
        return self.post("/claim-next", {"count": count}, **headers)

    def release(self, customer: str, claim_id: str | None = None, reason: str | None = None, **headers: str) -> Reply:
        body = {"claim_id": claim_id, "reason": reason}
        return self.post(f"/customers/{customer}/release", {k: v for k, v in body.items() if v}, **headers)

    def release_batch(self, ids: list[str], atomic: bool = False, **headers: str) -> Reply:
        return self.post("/release", {"customer_ids": ids, "atomic": atomic}, **headers)

    def customer(self, customer: str) -> Any:
        return self.get(f"/customers/{customer}").json

    def pages(self, path: str, limit: int = 100) -> Iterator[list[Any]]:
        """Return the pages of a list, each with at most `limit` items."""
        cursor, separator = "", "&" if "?" in path else "?"
        while True:
            page = self.get(f"{path}{separator}limit={limit}{cursor}").json
            assert len(page["items"]) <= limit
            yield page["items"]
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"

    def in_full(self, path: str) -> list[Any]:
        """Every customer of a list, complete: its rows have only some of the fields."""
        ids = [",".join(each["id"] for each in page) for page in self.pages(path)]
        return [each for page in ids if page for each in self.get(f"/customers?ids={page}").json["items"]]

    def walk(self, path: str) -> list[Any]:
        """Every item of a list."""
        return [each for page in self.pages(path) for each in page]

    def customer_ids(self, query: str = "") -> list[str]:
        """The ids of a list of customers, or of a search."""
        return [each["id"] for each in self.walk(f"/customers?{query}" if query else "/customers")]

    def events(self, customer: str) -> list[str]:
        return [event["type"] for event in self.get(f"/customers/{customer}/history?limit=100").json["items"]]

    def held(self) -> int:
        return int(self.get("/members/me").json["held"])


@dataclass
class World:
    table: Table
    clock: Clock = field(default_factory=Clock)
    seed: int = 7
    forged: bool = False  # a test has deleted a member item with its counters

    def __post_init__(self) -> None:
        numbers = itertools.count(1)
        self.new_id: Callable[[], str] = lambda: f"id{next(numbers):06d}"
        self.service = self.another_process()

    def another_process(self) -> Service:
        """Return a service with its own cache on the same table, like another Lambda instance."""
        draw = random.Random(self.seed)
        return Service(Backend(self.table, self.new_id, draw.sample, KEY_SECRET), self.clock)

    @contextmanager
    def process(self, service: Service | None = None) -> Iterator[None]:
        """Let another process answer the requests inside: this one, or a new one with an empty cache."""
        mine, self.service = self.service, service or self.another_process()
        try:
            yield
        finally:
            self.service = mine

    def request(self, caller: Caller | None, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send this body as JSON; bytes are sent as they are, and None sends no body."""
        route, parameters = find(method, path.partition("?")[0])
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.call(route, parameters, caller, path, content, headers)

    def call(
        self,
        route: Route,
        parameters: dict[str, str],
        caller: Caller | None,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
    ) -> Reply:
        """Call the route with these path parameters; the response must conform to the OpenAPI document."""
        event = gateway_event(route, parameters, caller, path, content, headers)
        reply = respond(lambda: self.service, route, Request(event), parameters).to_dict()
        self.check(route, content, reply)
        return Reply(reply["statusCode"], reply["headers"], reply["body"])

    def check(self, route: Route, content: bytes, reply: dict[str, Any]) -> None:
        """Require that the response conforms to the OpenAPI document."""
        assert_conforms(route, content, reply["statusCode"], reply["headers"], reply["body"])

    def user(self, name: str, *, admin: bool = False, tenant: str = "main", pool: str = "p") -> User:
        return User(self, Caller(tenant, name, admin), pool)

    @property
    def alice(self) -> User:
        return self.user("alice")

    @property
    def bob(self) -> User:
        return self.user("bob")

    @property
    def mona(self) -> User:
        """The manager of the pools of a test."""
        return self.user("mona")

    @property
    def root(self) -> User:
        """An admin of the tenant, who is no member."""
        return self.user("root", admin=True)

    def pool(
        self, pool: str = "p", tenant: str = "main", members: str = "alice bob", *, customers: int = 0,
        fields: Sequence[Any] | None = None, **policy: Any,
    ) -> User:  # fmt: skip
        """Create a pool with those members, that many customers and the manager mona. Return mona's client.

        A holder's win needs no approval there, unless the policy gives `win`.
        """
        policy = {"win": "holder"} | policy
        root = self.user("root", admin=True, tenant=tenant, pool=pool)
        body = {"id": pool, "name": pool.upper(), "policy": policy} | ({"fields": [*fields]} if fields else {})
        made = root.request("POST", "/v1/pools", body)
        assert made.status == 201, made.text
        for name in [*members.split(), "mona"]:
            role = "manager" if name == "mona" else "member"
            assert root.request("PUT", f"/v1/pools/{pool}/members/{name}", {"role": role}).status == 200
        self.fill(customers, pool, tenant)
        return self.user("mona", tenant=tenant, pool=pool)

    def fill(self, count: int, pool: str = "p", tenant: str = "main", prefix: str = "c") -> list[str]:
        """Import customers c1 … cN, each hundred a millisecond after the one before."""
        ids = [f"{prefix}{number}" for number in range(1, count + 1)]
        mona = self.user("mona", tenant=tenant, pool=pool)
        for start in range(0, count, 100):
            rows = [{"id": each, "name": f"Customer {each}"} for each in ids[start : start + 100]]
            assert mona.post("/import", {"rows": rows}).json["summary"]["failed"] == 0
            self.clock.forward(1)
        return ids

    def sweep(self, **options: Any) -> expiry.SweepResult:
        """Check the pools that are due, as the schedule does; with options, sweep all pools like a request."""
        backend = self.another_process().backend
        if not options:
            return schedule.check_pools(backend, self.clock(), lambda: 60.0)
        return sweeper.sweep_pools(backend, sweeper.all_pools(backend), self.clock(), lambda: 60.0, **options)

    def finish_field_changes(self) -> None:
        """Let the schedule finish what a change of field definitions leaves to do, also if it turns a field off."""
        for _ in range(2):
            self.clock.forward(MINUTE)
            self.sweep()

    def run_schedule(self, seconds: float = 60.0) -> expiry.SweepResult:
        """Run everything that the schedule does in one round."""
        return schedule.run_round(self.another_process().backend, self.clock(), lambda: seconds)


class NoStore:
    """A table that fails every use, for requests that are refused before they reach the store."""

    def patient(self, patience: Patience) -> NoStore:
        return self

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the request used the store: {name}")


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route that API Gateway selects, and its path parameters."""
    for route in routes.ROUTES:
        match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path), path)
        if match and route.method == method:
            return route, {name: unquote(text) for name, text in match.groupdict().items()}
    raise LookupError(f"no route for {method} {path}")


def gateway_event(
    route: Route,
    parameters: dict[str, str],
    caller: Caller | None,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """Return the event that API Gateway sends for the request, with the context of the authorizer."""
    pairs = [pair.partition("=")[::2] for pair in path.partition("?")[2].split("&") if pair]
    query = [(name, unquote(text)) for name, text in pairs]
    lower_case_headers = {name.replace("_", "-").lower(): text for name, text in headers.items()}
    if body:
        lower_case_headers.setdefault("content-type", "application/json")
    context: dict[str, Any] = {"httpMethod": route.method, "resourcePath": route.path, "requestId": REQUEST_ID}
    if caller is not None:
        context["authorizer"] = context_of(caller)
    return {
        "requestContext": context,
        "multiValueQueryStringParameters": {name: [text for each, text in query if each == name] for name, _ in query}
        or None,
        "headers": lower_case_headers,
        "pathParameters": parameters,
        "body": body or None,
        "stageVariables": None,
    }


def everything(table: Table) -> Iterator[dict[str, Any]]:
    """Return every item of the table."""
    start: dict[str, Any] = {}
    while True:
        page = table.connection.client.scan(TableName=table.name, ConsistentRead=True, **start)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def another_with(table: Table, items: list[dict[str, Any]]) -> World:
    """Return a new world with copies of these items."""
    world = World(table)
    for start in range(0, len(items), 25):
        batch = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        table.connection.client.batch_write_item(RequestItems={table.name: batch})
    return world
