"""ETag and If-Match: a change applies to the version that the client saw, or is refused."""

from __future__ import annotations

import pytest

from chalicelib.api.routing import Route
from tests.support.every_route import AUTHENTICATED, good_body, named, send, two_tenants
from tests.support.world import Reply, World

MATCHING = ['"1"', "1", 'W/"1"', ' "1" ', "*"]
CONFLICTING = ['"2"', "2", '"0"', "-1", "one", "", '""', '"' + "9" * 40 + '"', "١"]


def test_every_etag_is_a_version(world: World) -> None:
    mona = two_tenants(world)

    for path in ("", "/members/alice", "/customers/c1"):
        reply = mona.get(path)
        assert reply.headers["ETag"] == f'"{reply.json["version"]}"'
    assert "ETag" not in mona.get("/customers").headers


def test_a_matching_version_in_any_form_allows_the_change(world: World) -> None:
    world.pool()
    ids = world.fill(len(MATCHING))

    replies = [world.alice.claim(each, if_match=form) for each, form in zip(ids, MATCHING, strict=True)]

    assert [reply.status for reply in replies] == [200] * len(MATCHING)


def test_any_other_version_is_a_conflict_and_changes_nothing(world: World) -> None:
    mona = world.pool(customers=1)

    for number, form in enumerate(CONFLICTING):
        replies = [
            mona.claim("c1", if_match=form),
            mona.claim("c1", if_match=form, idempotency_key=f"k{number}"),
            mona.patch("/customers/c1", {"name": "New"}, if_match=form),
        ]
        assert [(reply.status, reply.code) for reply in replies] == [(412, "version_conflict")] * 3, form

    assert mona.customer("c1")["version"] == 1
    assert mona.patch("/customers/c1", {"name": "New"}, if_match='"1"').status == 200


@pytest.mark.parametrize("route", [route for route in AUTHENTICATED if not route.versioned], ids=named)
def test_a_route_that_does_not_document_if_match_ignores_it(moto_world: World, route: Route) -> None:
    who = moto_world.user(two_tenants(moto_world).caller.user, admin=True)
    body = b"" if route.method == "GET" else good_body(route)

    for version in ('"2"', "no version"):
        assert send(who, route, body, if_match=version).status != 412


def test_if_match_binds_a_claim_to_the_version_the_client_saw(world: World) -> None:
    world.pool(customers=1)
    seen = world.alice.get("/customers/c1").headers["ETag"]
    world.bob.claim("c1")
    world.bob.release("c1")

    refused = world.alice.claim("c1", if_match=seen)

    assert (refused.status, refused.code) == (412, "version_conflict")
    assert world.alice.claim("c1", if_match=world.alice.get("/customers/c1").headers["ETag"]).status == 200


def test_a_repeated_claim_with_if_match_requires_the_current_version(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    refused = world.alice.claim("c1", if_match='"1"')

    assert (refused.status, refused.code) == (412, "version_conflict")
    assert world.alice.claim("c1", if_match='"2"').json["version"] == 2


def test_a_member_change_with_if_match_requires_the_current_version(world: World) -> None:
    mona = world.pool()
    body = {"role": "member", "holding_limit": 3}

    def put(user: str, version: str) -> Reply:
        return mona.put(f"/members/{user}", body, if_match=version)

    assert [put("alice", '"1"').status, put("alice", '"1"').status, put("alice", '"2"').status] == [200, 412, 200]
    assert put("nobody-yet", '"1"').status == 412
    assert mona.get("/members/nobody-yet").status == 404


def test_a_member_removal_with_if_match_requires_the_current_version(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")

    def remove(version: str, query: str = "") -> int:
        return mona.delete(f"/members/alice{query}", if_match=version).status

    assert [remove('"2"'), remove("x"), remove('"2"', "?held=release")] == [412, 412, 412]
    assert world.alice.held() == 1
    assert [remove('"1"'), remove('"1"', "?held=release")] == [409, 200]
