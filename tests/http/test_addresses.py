"""Addresses and callers: unknown and foreign resources get the same response, and every route requires a caller."""

from __future__ import annotations

import pytest

from chalicelib.api.routing import Route
from tests.support.every_route import GUARDED, address, assert_problem, everything_there, good_body, named, send_to
from tests.support.world import Reply, World, find

SMUGGLED = [
    "c1#", "#c1", "c1%23-", "%23", "a#b", "a#C#c1", "p#C#c1", "..", "*", "%", "'", "c 1", "c1 ", "c1\n", "ｃ１", "客户",
    "x" * 65, "x" * 300, "{customer}",
]  # fmt: skip
ABOUT_A_CUSTOMER = [route for route in GUARDED if "{customer}" in route.path]
IN_A_POOL = [route for route in GUARDED if "{pool}" in route.path]


def told_alike(replies: list[Reply]) -> bool:
    return len({(reply.text, tuple(sorted(reply.headers.items()))) for reply in replies}) == 1


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_without_a_caller_every_route_answers_401(no_store: World, route: Route) -> None:
    for body in (b"", good_body(route), b"{"):
        reply = no_store.request(None, route.method, address(route), body)

        assert_problem(reply, 401, "unauthenticated")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_health_needs_no_caller(no_store: World) -> None:
    assert no_store.request(None, "GET", "/v1/health").json == {"status": "ok"}


UNLIKE_A_USER = ["", "c1\n", "\x00", "a\x7fb", "\x85", "\ud800", "x" * 1_025]


@pytest.mark.parametrize("name", ["pool", "customer", "user", "import_id"])
def test_no_id_injects_a_table_key(memory_world: World, name: str) -> None:
    mona = everything_there(memory_world)
    caller = memory_world.root if name == "pool" else mona

    for route in (each for each in GUARDED if f"{{{name}}}" in each.path):
        unknown = send_to(caller, route, pool="unknown")
        for smuggled in UNLIKE_A_USER if name == "user" else SMUGGLED:
            for headers in ({}, {"idempotency_key": "k1"}):
                reply = send_to(caller, route, headers, **{name: smuggled})
                assert_problem(reply, 404, "not_found", (named(route), smuggled))
                assert told_alike([reply, unknown]), (named(route), smuggled)


def test_no_subject_injects_a_table_key(memory_world: World) -> None:
    mona = everything_there(memory_world)

    for route in (each for each in GUARDED if "{user}" in each.path):
        for smuggled in SMUGGLED:
            reply = send_to(mona, route, user=smuggled)
            if route.method == "PUT" and smuggled not in UNLIKE_A_USER:
                assert reply.json["user_id"].startswith("u_") and len(reply.json["user_id"]) == 28
                send_to(mona, find("DELETE", address(route))[0], user=smuggled)
            else:
                assert_problem(reply, 404, "not_found", (named(route), smuggled))


def test_impossible_ids_in_a_batch_are_each_not_found(world: World) -> None:
    world.pool()
    world.pool("p", "acme", customers=1)
    smuggled = [*SMUGGLED, "", "\x00"]

    reply = world.alice.claim_batch(smuggled)

    assert set(reply.results) == {"not_found"} and reply.json["summary"]["failed"] == len(smuggled)


def test_no_pool_and_no_customer_is_created_under_an_invalid_id(no_store: World) -> None:
    root = no_store.root

    for smuggled in SMUGGLED:
        assert_problem(root.request("POST", "/v1/pools", {"id": smuggled, "name": "x"}), 422, "invalid_request")
        assert_problem(root.post("/customers", {"id": smuggled, "name": "x"}), 422, "invalid_request")


def test_unknown_and_foreign_customers_get_the_same_response(world: World) -> None:
    mona = everything_there(world)
    world.user("mona", pool="q").post("/customers", {"id": "elsewhere", "name": "E"})
    world.user("mona", tenant="acme").post("/customers", {"id": "abroad", "name": "A"})

    for route in ABOUT_A_CUSTOMER:
        said = [send_to(mona, route, customer=each) for each in ("unknown", "elsewhere", "abroad")]
        said += [send_to(mona, route, pool=each) for each in ("nowhere", "only-acme")]

        assert {reply.status for reply in said} == {404}, named(route)
        assert told_alike(said), named(route)


def test_another_tenants_pool_gets_the_response_of_an_unknown_pool(world: World) -> None:
    mona, root = everything_there(world), world.root

    for route in IN_A_POOL:
        for who in (root, mona, world.user("stranger")):
            said = [send_to(who, route, pool=pool) for pool in ("nowhere", "only-acme")]

            assert told_alike(said), named(route)
            assert said[0].code == "not_found" or (said[0].code == "not_admin" and who is not root), named(route)
