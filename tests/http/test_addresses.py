"""Addresses and callers: unknown and foreign resources get the same response, and every route requires a caller."""

from __future__ import annotations

import pytest

from chalicelib import __version__
from chalicelib.api.routing import Route
from tests.support.every_route import AUTHENTICATED, address, assert_problem, good_body, named, send_to, two_tenants
from tests.support.world import Reply, World, find

INVALID_IDS = [
    "c1#", "#c1", "c1%23-", "%23", "a#b", "a#C#c1", "p#C#c1", "..", "*", "%", "'", "c 1", "c1 ", "c1\n", "ｃ１", "客户",
    "x" * 65, "x" * 300, "{customer}",
]  # fmt: skip
ABOUT_A_CUSTOMER = [route for route in AUTHENTICATED if "{customer}" in route.path]
IN_A_POOL = [route for route in AUTHENTICATED if "{pool}" in route.path]


def are_equal(replies: list[Reply]) -> bool:
    return len({(reply.text, tuple(sorted(reply.headers.items()))) for reply in replies}) == 1


@pytest.mark.parametrize("route", AUTHENTICATED, ids=named)
def test_without_a_caller_every_route_answers_401(no_store: World, route: Route) -> None:
    for body in (b"", good_body(route), b"{"):
        reply = no_store.request(None, route.method, address(route), body)

        assert_problem(reply, 401, "unauthenticated")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_health_needs_no_caller(no_store: World) -> None:
    health = no_store.request(None, "GET", "/v1/health").json

    assert health == {"status": "ok", "version": __version__, "commit": "unknown"}


LEAVE = "/v1/users/{user}/leave"  # its GET, which comes after the POST, finds the leaves of these users
INVALID_USERS = ["", "c1\n", "\x00", "a\x7fb", "\x85", "\ud800", "x" * 1_025]


@pytest.mark.parametrize("name", ["pool", "customer", "user", "import_id"])
def test_no_id_injects_a_table_key(memory_world: World, name: str) -> None:
    mona = two_tenants(memory_world)

    for route in (each for each in AUTHENTICATED if f"{{{name}}}" in each.path):
        caller = memory_world.root if name == "pool" or route.admins else mona
        unknown = send_to(caller, route, **({"pool": "unknown"} if "{pool}" in route.path else {"user": "me"}))
        for invalid_id in INVALID_USERS if name == "user" else INVALID_IDS:
            for headers in ({}, {"idempotency_key": "k1"}):
                reply = send_to(caller, route, headers, **{name: invalid_id})
                assert_problem(reply, 404, "not_found", (named(route), invalid_id))
                assert are_equal([reply, unknown]), (named(route), invalid_id)


def test_no_subject_injects_a_table_key(memory_world: World) -> None:
    mona = two_tenants(memory_world)

    for route in (each for each in AUTHENTICATED if "{user}" in each.path):
        for invalid_id in INVALID_IDS:
            reply = send_to(memory_world.root if route.admins else mona, route, user=invalid_id)
            if (route.method == "PUT" or route.path == LEAVE) and invalid_id not in INVALID_USERS:
                assert reply.json["user_id"].startswith("u_") and len(reply.json["user_id"]) == 28
                if "{pool}" in route.path:
                    send_to(mona, find("DELETE", address(route))[0], user=invalid_id)
            else:
                assert_problem(reply, 404, "not_found", (named(route), invalid_id))


def test_impossible_ids_in_a_batch_are_each_not_found(world: World) -> None:
    world.pool()
    world.pool("p", "acme", customers=1)
    invalid_id = [*INVALID_IDS, "", "\x00"]

    reply = world.alice.claim_batch(invalid_id)

    assert set(reply.results) == {"not_found"} and reply.json["summary"]["failed"] == len(invalid_id)


def test_no_pool_and_no_customer_is_created_under_an_invalid_id(no_store: World) -> None:
    root = no_store.root

    for invalid_id in INVALID_IDS:
        assert_problem(root.request("POST", "/v1/pools", {"id": invalid_id, "name": "x"}), 422, "invalid_request")
        assert_problem(root.post("/customers", {"id": invalid_id, "name": "x"}), 422, "invalid_request")


def test_unknown_and_foreign_customers_get_the_same_response(world: World) -> None:
    mona = two_tenants(world)
    world.user("mona", pool="q").post("/customers", {"id": "elsewhere", "name": "E"})
    world.user("mona", tenant="acme").post("/customers", {"id": "abroad", "name": "A"})

    for route in ABOUT_A_CUSTOMER:
        replies = [send_to(mona, route, customer=each) for each in ("unknown", "elsewhere", "abroad")]
        replies += [send_to(mona, route, pool=each) for each in ("nowhere", "only-acme")]

        assert {reply.status for reply in replies} == {404}, named(route)
        assert are_equal(replies), named(route)


def test_another_tenants_pool_gets_the_response_of_an_unknown_pool(world: World) -> None:
    mona, root = two_tenants(world), world.root

    for route in IN_A_POOL:
        for user in (root, mona, world.user("stranger")):
            replies = [send_to(user, route, pool=pool) for pool in ("nowhere", "only-acme")]

            assert are_equal(replies), named(route)
            assert replies[0].code == "not_found" or (replies[0].code == "not_admin" and user is not root), named(route)
