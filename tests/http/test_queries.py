"""Query strings: every list rejects invalid limits, filters and cursors."""

from __future__ import annotations

import pytest

from chalicelib.api.routing import Route
from chalicelib.services.pagination import CursorCodec
from tests.support.every_route import AUTHENTICATED, LISTS, address, assert_problem, good_body, named, send, two_tenants
from tests.support.world import KEY_SECRET, World

BAD_LIMITS = [
    "0", "101", "-1", "ten", "", "1.5", "1e999", "99999999999999999999", "NaN", "true", "null", "%00", "5;5",
    "1.0", "1e1",
]  # fmt: skip
BAD_CURSORS = ["", "x", "é", "=", "AAAA", "A" * 5_000, "../..", "%00", "%20", "null", "eyJhIjoxfQ"]


@pytest.mark.parametrize(
    "query", [*(f"limit={bad}" for bad in BAD_LIMITS), "Limit=5", "limit=5&surprise=", "limit=5&limit=6"]
)
def test_no_list_accepts_a_bad_limit_or_an_unknown_or_repeated_parameter(no_store: World, query: str) -> None:
    for route in LISTS:
        reply = no_store.alice.request("GET", f"{address(route)}?{query}")
        assert_problem(reply, 422, "invalid_request", named(route))


@pytest.mark.parametrize("route", AUTHENTICATED, ids=named)
def test_no_route_accepts_an_unknown_parameter(no_store: World, route: Route) -> None:
    reply = send(no_store.alice, route, good_body(route), "?surprise=1")

    assert_problem(reply, 422, "invalid_request")


@pytest.mark.parametrize(
    "query",
    [
        "state=free",
        "state=null",
        "state=",
        "state=Claimed",
        "holder=",
        "holder=a%00b",
        "holder=a%0A",
        "holder=" + "x" * 1_025,
    ],
)
def test_a_list_of_customers_rejects_an_invalid_filter(no_store: World, query: str) -> None:
    assert_problem(no_store.alice.get(f"/customers?{query}"), 422, "invalid_request")


@pytest.mark.parametrize("route", LISTS, ids=named)
def test_no_list_accepts_an_invalid_cursor(memory_world: World, route: Route) -> None:
    mona = memory_world.pool(customers=1)

    for cursor in BAD_CURSORS:
        assert_problem(mona.request("GET", f"{address(route)}?cursor={cursor}"), 400, "invalid_cursor", cursor)


@pytest.mark.parametrize("query", ["state=available&holder=me", "state=set_aside&holder=bob", "phone=13812345678"])
def test_a_list_without_a_second_page_rejects_an_invalid_cursor(memory_world: World, query: str) -> None:
    mona = memory_world.pool()

    for cursor in BAD_CURSORS:
        assert_problem(mona.get(f"/customers?{query}&cursor={cursor}"), 400, "invalid_cursor", cursor)
    assert mona.get(f"/customers?{query}").json == {"items": [], "next_cursor": None}


def test_a_cursor_altered_in_any_one_character_is_refused(memory_world: World) -> None:
    mona = memory_world.pool(customers=3)
    cursor = mona.get("/customers?limit=1").json["next_cursor"]

    for at, was in enumerate(cursor):
        for other in {"A", "z", "_", chr(ord(was) ^ 1)} - {was, "&", "=", "#"}:
            altered = cursor[:at] + other + cursor[at + 1 :]
            assert_problem(mona.get(f"/customers?cursor={altered}"), 400, "invalid_cursor", altered)
    for altered in (cursor[:-1], cursor[1:], cursor + "A", cursor + "=", cursor.swapcase(), cursor + cursor):
        assert_problem(mona.get(f"/customers?cursor={altered}"), 400, "invalid_cursor", altered)
    assert mona.get(f"/customers?limit=1&cursor={cursor}").json["items"][0]["id"] == "c2"


def test_a_cursor_of_another_list_pool_or_tenant_is_refused(world: World) -> None:
    mona = two_tenants(world)
    foreign = [
        mona.get("/customers?limit=1").json["next_cursor"],
        mona.get("/customers?limit=1&state=available").json["next_cursor"],
        mona.get("/members?limit=1").json["next_cursor"],
        mona.get("/customers/c1/history?limit=1").json["next_cursor"],
        world.user("mona", pool="q").get("/customers?limit=1").json["next_cursor"],
        world.user("mona", tenant="acme").get("/customers?limit=1").json["next_cursor"],
    ]

    assert all(foreign)
    for cursor in foreign:
        assert mona.get(f"/customers?state=claimed&cursor={cursor}").code == "invalid_cursor"
        assert mona.get(f"/customers/c2/history?cursor={cursor}").code == "invalid_cursor"
    for cursor in foreign[-2:]:
        assert mona.get(f"/customers?cursor={cursor}").code == "invalid_cursor"


def test_a_forged_cursor_never_gets_a_5xx(world: World) -> None:
    mona = two_tenants(world)
    entered = CursorCodec(KEY_SECRET, "T#main#P#p#C", "None", "None", "None")
    history = CursorCodec(KEY_SECRET, "T#main#P#p#C#c1", "history")
    waiting = CursorCodec(KEY_SECRET, "T#main#P#p#A", "available", "None", "None")

    replies = [
        mona.get(f"/customers?cursor={entered.write(('c1', 5, 0))}"),
        mona.get(f"/customers?cursor={entered.write(('c1', -5, 31))}"),
        mona.get(f"/customers?cursor={entered.write(('#', 5, 0))}"),
        mona.get(f"/customers?cursor={entered.write(('c1', 'a', 0))}"),
        mona.get(f"/customers?state=available&cursor={waiting.write(('c1', None, 0))}"),
        mona.get(f"/customers?state=available&cursor={waiting.write(('c1', 10**37, 0))}"),
        mona.get(f"/customers?state=available&cursor={waiting.write(('c1', 5, 0))}"),
        mona.get(f"/customers/c1/history?cursor={history.write(-100)}"),
        mona.get(f"/customers/c1/history?cursor={history.write(2**62)}"),
    ]

    assert [reply.status for reply in replies] == [200, 200, 400, 400, 400, 400, 200, 400, 400]
