"""What every route has in common, for tests that go through all of them."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import fields

from chalicelib.api.routes import ROUTES
from chalicelib.api.routing import Route
from tests.support.world import Reply, User, World

PATHS = {"pool": "p", "customer": "c1", "user": "alice", "import_id": "unknown"}
BODIED = [route for route in ROUTES if route.method != "GET"]
GUARDED = [route for route in ROUTES if not route.public]
LISTS = [route for route in GUARDED if "cursor" in getattr(route.query, "__struct_fields__", ())]


def named(route: Route) -> str:
    return f"{route.method} {route.path.removeprefix('/v1')}"


def address(route: Route) -> str:
    return route.path.format(**PATHS)


def good_body(route: Route) -> bytes:
    """A body that the route takes, so that only something else is wrong."""
    samples: dict[str, Any] = {
        "id": "new", "name": "New", "role": "member", "customer_ids": ["c1"], "rows": [{"id": "new", "name": "New"}],
        "to": "alice", "by": "PT1H", "until": "2026-06-03T00:00:00Z", "mode": "drain", "shards": 8,
        "note": "called",
    }  # fmt: skip
    wanted = [each.name for each in fields(route.body) if each.required or each.name in ("by", "note")]
    return json.dumps({name: samples[name] for name in wanted}).encode()


def send(user: User, route: Route, raw: bytes, query: str = "", **headers: str) -> Reply:
    return user.request(route.method, address(route) + query, raw, **headers)


def send_to(who: User, route: Route, headers: dict[str, str] | None = None, /, **parameters: str) -> Reply:
    """As the gateway would call, with path parameters that no address of ours could carry."""
    given = {name: text for name, text in (PATHS | parameters).items() if f"{{{name}}}" in route.path}
    return who.world.call(route, given, who.caller, route.path, good_body(route), headers or {})


def assert_problem(reply: Reply, status: int, code: str, said: object = "") -> None:
    """A refusal of the contract: RFC 9457, with that status and code."""
    assert (reply.status, reply.json.get("code")) == (status, code), f"{said}: {reply.status} {reply.text[:300]}"
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json.keys() >= {"type", "title", "status", "detail", "instance", "code"}
    assert reply.json["status"] == status and reply.json["title"] and reply.json["detail"]


def everything_there(world: World) -> User:
    """Pools p and q of this tenant, p and another of acme; three customers in each; mona manages them all."""
    mona = world.pool(members="alice bob")
    world.pool("q")
    world.pool("p", tenant="acme")
    world.pool("only-acme", tenant="acme")
    world.fill(3)
    world.fill(3, "q")
    world.fill(3, "p", "acme")
    world.alice.claim("c1")
    return mona
