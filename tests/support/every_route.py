"""Requests to every route, for tests that go through all of them."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import fields

from chalicelib.api.routes import ROUTES
from chalicelib.api.routing import Route
from tests.support.world import Reply, User, World

PATHS = {"pool": "p", "customer": "c1", "user": "alice", "import_id": "unknown"}
WITH_BODY = [route for route in ROUTES if route.method != "GET"]
AUTHENTICATED = [route for route in ROUTES if not route.public]
LISTS = [route for route in AUTHENTICATED if "cursor" in getattr(route.query, "__struct_fields__", ())]


def named(route: Route) -> str:
    return f"{route.method} {route.path.removeprefix('/v1')}"


def address(route: Route) -> str:
    return route.path.format(**PATHS)


def good_body(route: Route) -> bytes:
    """Return a valid body for the route."""
    samples: dict[str, Any] = {
        "id": "new", "name": "New", "role": "member", "customer_ids": ["c1"], "rows": [{"id": "new", "name": "New"}],
        "to": "alice", "by": "PT1H", "until": "2026-06-03T00:00:00Z", "mode": "drain", "shards": 8,
        "note": "called", "reason": "not signed", "held": "release", "private": "deposit",
        "text": "name\nNew\n",
    }  # fmt: skip
    wanted = [each.name for each in fields(route.body) if each.required or each.name in ("by", "note", "text")]
    return json.dumps({name: samples[name] for name in wanted}).encode()


def send(user: User, route: Route, raw: bytes, query: str = "", **headers: str) -> Reply:
    return user.request(route.method, address(route) + query, raw, **headers)


def send_to(user: User, route: Route, headers: dict[str, str] | None = None, /, **parameters: str) -> Reply:
    """Call the route with any path parameters, also those that a URL cannot contain."""
    given = {name: text for name, text in (PATHS | parameters).items() if f"{{{name}}}" in route.path}
    return user.world.call(route, given, user.caller, route.path, good_body(route), headers or {})


def assert_problem(reply: Reply, status: int, code: str, context: object = "") -> None:
    """Check that the reply is a problem (RFC 9457) with this status and code."""
    assert (reply.status, reply.json.get("code")) == (status, code), f"{context}: {reply.status} {reply.text[:300]}"
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json.keys() >= {"type", "title", "status", "detail", "instance", "code"}
    assert reply.json["status"] == status and reply.json["title"] and reply.json["detail"]


def two_tenants(world: World) -> User:
    """Create pools p and q, and in tenant acme p and only-acme. Mona manages all; p and q have three customers."""
    mona = world.pool(members="alice bob")
    world.pool("q")
    world.pool("p", tenant="acme")
    world.pool("only-acme", tenant="acme")
    world.fill(3)
    world.fill(3, "q")
    world.fill(3, "p", "acme")
    world.alice.claim("c1")
    return mona
