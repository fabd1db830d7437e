"""Bodies: any content is accepted or refused with a code of the contract, and never gets a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.api.routing import Route
from tests.support.every_route import WITH_BODY, assert_problem, named, send
from tests.support.world import World

DEEP = 100_000
SHALLOWER = 20_000  # times six bytes a level: within the 256 KB
MALFORMED = {
    "not JSON": b"claim it please",
    "half of it": b'{"count": ',
    "two values": b"{} {}",
    "only spaces": b"   ",
    "a NUL": b"\x00",
    "a trailing comma": b'{"role": "member",}',
    "a comment": b"{/* */}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"count": NaN}',
    "Infinity": b'{"count": Infinity}',
    "-Infinity": b'{"count": -Infinity}',
    "bare NaN": b"NaN",
    "a deep array that never ends": b"[" * DEEP,
    "a very deep array": b"[" * DEEP + b"]" * DEEP,
    "a very deep object": b'{"a":' * SHALLOWER + b"1" + b"}" * SHALLOWER,
    "a deep field": b'{"rows": [' + b"[" * DEEP + b"]" * DEEP + b'], "customer_ids": []}',
    "a number beyond all": b'{"count": 1e999}',
    "a huge integer": b'{"count": ' + b"9" * 5_000 + b"}",
    "invalid UTF-8 as a name": b'{"name": "\xff\xfe", "id": "x"}',
    "invalid UTF-8 as a field": b'{"\xff": 1}',
    "a lone high surrogate": b'{"name": "\\ud800", "id": "x"}',
    "a lone low surrogate": b'{"customer_ids": ["\\udc00"]}',
    "a raw surrogate": b'{"name": "\xed\xa0\x80", "id": "x"}',
}
MISSHAPEN = {
    "an array": b"[1, 2]",
    "an empty array": b"[]",
    "null": b"null",
    "a text": b'"claim"',
    "a number": b"7",
    "true": b"true",
    "wrong types": b'{"customer_ids": "c1", "count": "many", "to": 7, "name": [], "role": 1, "rows": {}, "by": 5}',
    "an unknown field": b'{"surprise": 1}',
    "the same unknown field twice": b'{"x": 1, "x": 2}',
}
WRONG_TYPES: list[Any] = [None, 0, -1, 1.5, True, "", "x" * 10_000, "a#b", [], [[]], [None], {}, {"a": {}}, 10**30]


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_json_is_400_at_every_route(no_store: World, what: str) -> None:
    for route in WITH_BODY:
        for headers in ({}, {"idempotency_key": "k"}):
            reply = send(no_store.alice, route, MALFORMED[what], **headers)
            assert_problem(reply, 400, "invalid_request", named(route))


@pytest.mark.parametrize("what", MISSHAPEN)
def test_json_of_another_shape_is_422_at_every_route(no_store: World, what: str) -> None:
    for route in WITH_BODY:
        for headers in ({}, {"idempotency_key": "k"}):
            reply = send(no_store.alice, route, MISSHAPEN[what], **headers)
            assert_problem(reply, 422, "invalid_request", named(route))
            assert reply.json["errors"], named(route)


def test_the_first_wrong_field_is_named(no_store: World) -> None:
    refused = no_store.alice.post("/claim", {"customer_ids": 1})

    assert "customer_ids" in refused.json["errors"][0]


def test_a_body_of_more_than_256_kb_is_too_large_for_every_route(no_store: World) -> None:
    for route in WITH_BODY:
        reply = send(no_store.alice, route, b'{"name": "' + b"x" * 256 * 1024 + b'"}')
        assert_problem(reply, 413, "payload_too_large", named(route))
        assert (reply.json["limit"], reply.json["used"]) == (262_144, 262_156)


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ";;"])
def test_a_body_without_a_json_content_type_is_rejected_by_every_route(no_store: World, media: str) -> None:
    for route in WITH_BODY:
        reply = send(no_store.alice, route, b"{}", content_type=media)
        assert_problem(reply, 422, "invalid_request", named(route))
        assert "Content-Type" in reply.json["detail"]


def test_a_json_content_type_with_a_charset_is_accepted(memory_world: World) -> None:
    mona = memory_world.pool()

    reply = mona.post("/claim-next", b"{}", content_type="Application/JSON; charset=utf-8")

    assert reply.status == 200


def test_an_empty_body_means_no_fields(memory_world: World) -> None:
    mona = memory_world.pool()

    assert mona.post("/claim-next", b"").status == 200
    assert_problem(mona.post("/claim", b""), 422, "invalid_request")


def fields_of(route: Route) -> tuple[str, ...]:
    return tuple(getattr(route.body, "__struct_fields__", ()))


@pytest.mark.parametrize("route", [each for each in WITH_BODY if fields_of(each)], ids=named)
def test_a_value_of_a_wrong_type_never_gets_a_5xx(world: World, route: Route) -> None:
    mona = world.pool(customers=3)
    world.alice.claim("c1")

    for field in fields_of(route):
        for wrong in WRONG_TYPES:
            reply = send(mona, route, json.dumps({field: wrong}).encode())
            assert reply.status < 500, f"{field}={wrong!r}: {reply.text[:300]}"
            if reply.status >= 400:
                assert_problem(reply, reply.status, reply.code, f"{field}={wrong!r}")


# Rows and policies are decoded separately from their body


BROKEN_ROWS = {
    "invalid UTF-8": b'{"id": "x1", "name": "\xff"}',
    "a number beyond all": b'{"id": "x1", "name": "a", "fields": {"f": 1e999}}',
    "an array": b"[1]",
    "null": b"null",
    "an id that is none": b'{"id": "a#b", "name": "a"}',
}


@pytest.mark.parametrize("what", BROKEN_ROWS)
def test_a_hostile_import_row_is_rejected_without_a_5xx(memory_world: World, what: str) -> None:
    mona = memory_world.pool()

    reply = mona.post("/import", b'{"rows": [' + BROKEN_ROWS[what] + b"]}")

    assert reply.status < 500, reply.text
    assert reply.status >= 400 or reply.results == ["invalid_request"]


@pytest.mark.parametrize("policy", [b'{"claim_ttl": 1e999}', b'{"time_zone": "\xff"}'])
def test_a_hostile_policy_with_an_idempotency_key_is_rejected_without_a_5xx(memory_world: World, policy: bytes) -> None:

    raw = b'{"id": "q", "name": "Q", "policy": ' + policy + b"}"
    reply = memory_world.root.request("POST", "/v1/pools", raw, idempotency_key="k")

    assert reply.status in (400, 422) and reply.headers["Content-Type"] == "application/problem+json", reply.text


def test_a_deadline_cannot_be_extended_beyond_the_largest_time(memory_world: World) -> None:
    mona = memory_world.pool(claim_ttl="P36600D", customers=1)
    mona.claim("c1")

    replies = [mona.post("/customers/c1/extend", {"by": "P36600D"}) for _ in range(82)]

    assert {reply.status for reply in replies} <= {200, 409, 422}, replies[-1].text
