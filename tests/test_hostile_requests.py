"""Whatever a client sends, it is answered with JSON and a code of the contract, and never with a fault of ours."""

from __future__ import annotations

import json
from itertools import product

import pytest

from chalicelib.http import Route
from chalicelib.refusals import MEANINGS
from chalicelib.routes import ROUTES
from tests.world import World

CODES = {
    "pool_not_open",
    "not_a_member",
    "not_manager",
    "not_admin",
    "not_found",
    "already_claimed",
    "not_claimed",
    "not_holder",
    "claim_changed",
    "expired",
    "embargoed",
    "cooldown",
    "daily_limit",
    "holding_limit",
    "extension_limit",
    "extension_not_allowed",
    "pinned",
    "pin_limit",
    "set_aside",
    "reason_required",
    "version_conflict",
    "duplicate_in_request",
    "batch_too_large",
    "idempotency_key_reused",
    "request_in_progress",
    "policy_invalid",
    "pool_not_empty",
    "member_has_claims",
    "duplicate_customer",
    "invalid_request",
    "invalid_cursor",
    "payload_too_large",
    "throttled",
    "outcome_unknown",
    "store_unavailable",
}
OTHER_THAN_409 = {
    "invalid_cursor": 400, "not_a_member": 403, "not_manager": 403, "not_admin": 403, "not_holder": 403,
    "extension_not_allowed": 403, "not_found": 404, "payload_too_large": 413, "invalid_request": 422,
    "batch_too_large": 422, "reason_required": 422, "policy_invalid": 422, "idempotency_key_reused": 422,
    "throttled": 429, "store_unavailable": 503, "outcome_unknown": 503, "version_conflict": 412,
}  # fmt: skip
BODIES = {
    "not JSON": b"claim it please",
    "half of it": b'{"count": ',
    "not a number": b'{"count": NaN}',
    "infinite": b'{"count": Infinity}',
    "deep": b"[" * 100_000,
    "deep and closed": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "300 KB": b'{"name": "' + b"x" * 300_000 + b'"}',
    "an array": b"[1, 2]",
    "null": b"null",
    "a string": b'"claim"',
    "wrong types": b'{"customer_ids": "c1", "count": "many", "to": 7, "name": [], "role": 1, "rows": {}, "by": 5}',
    "an unknown field": b'{"surprise": 1}',
    "bad UTF-8": b'{"name": "\xff\xfe"}',
    "a lone surrogate": b'{"name": "\\ud800", "customer_ids": ["\\ud800"]}',
    "a huge integer": b'{"count": ' + b"9" * 5000 + b"}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "blanks": b"   ",
}
WITH_BODY = [route for route in ROUTES if route.method != "GET"]


def address(route: Route) -> str:
    return route.path.format(pool="p", customer="c1", user="bob")


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.handler.__name__)
def test_no_body_however_hostile_gets_past_any_route(world: World, route: Route) -> None:
    world.pool()
    world.fill(1)
    for name, (what, body) in product(("mona", "root"), BODIES.items()):
        reply = world.user(name, admin=name == "root").request(route.method, address(route), raw=body)

        assert 400 <= reply.status < 500, (what, reply.status, reply.text[:200])
        assert reply.code in CODES, what
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.json["status"] == reply.status and reply.json["title"] and reply.json["detail"]


def test_malformed_json_is_400_and_json_of_another_shape_is_422(world: World) -> None:
    world.pool()
    alice = world.user("alice")

    statuses = {what: alice.request("POST", "/v1/pools/p/claim-next", raw=body).status for what, body in BODIES.items()}

    no_json = ("not JSON", "half of it", "not a number", "infinite", "deep", "bad UTF-8", "blanks")
    no_claim_next = ("an array", "null", "a string", "wrong types", "an unknown field")
    assert {what: statuses[what] for what in no_json} == dict.fromkeys(no_json, 400)
    assert {what: statuses[what] for what in no_claim_next} == dict.fromkeys(no_claim_next, 422)
    assert statuses["300 KB"] == 413


def test_a_body_without_a_content_type_is_refused_with_a_word_about_it(world: World) -> None:
    world.pool()

    refused = world.user("alice").request(
        "POST", "/v1/pools/p/claim-next", raw=b'{"count": 1}', content_type="text/plain"
    )

    assert (refused.status, refused.code) == (422, "invalid_request")
    assert "Content-Type" in refused.json["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=ten", "surprise=1", "cursor=%20", "state=gone", "limit="]
)
def test_a_query_that_makes_no_sense_is_refused(world: World, query: str) -> None:
    world.pool()

    refused = world.user("alice").get(f"/customers?{query}")

    assert refused.code == ("invalid_cursor" if query.startswith("cursor") else "invalid_request")


def test_a_cursor_that_was_altered_or_is_of_another_list_is_refused(world: World) -> None:
    world.pool()
    world.pool("q")
    world.fill(3)
    alice = world.user("alice")
    cursor = alice.get("/customers?limit=1").json["next_cursor"]

    for position in range(len(cursor)):
        letter = "A" if cursor[position] != "A" else "B"
        altered = cursor[:position] + letter + cursor[position + 1 :]
        assert alice.get(f"/customers?limit=1&cursor={altered}").code == "invalid_cursor", altered
    assert alice.get(f"/customers?state=available&cursor={cursor}").code == "invalid_cursor"
    assert world.user("alice", pool="q").get(f"/customers?cursor={cursor}").code == "invalid_cursor"
    assert alice.get(f"/customers?limit=1&cursor={cursor}").json["items"][0]["id"] == "c2"


def test_what_is_unknown_and_what_is_anothers_are_told_apart_by_nothing(world: World) -> None:
    world.pool()
    world.pool("q")
    world.fill(1, "q", prefix="other")
    world.pool("p", "acme")
    world.fill(1, "p", "acme", prefix="theirs")
    world.pool("secret", "acme")
    alice = world.user("alice")

    customers = [alice.claim(each) for each in ("nobody", "other1", "theirs1", "a#b", "x" * 300)]
    pools = [world.user("alice", pool=each).claim("c1") for each in ("nowhere", "secret", "a#b")]

    assert {reply.text for reply in customers} == {customers[0].text} and customers[0].status == 404
    assert {reply.text for reply in pools} == {pools[0].text} and pools[0].status == 404


def test_ids_cannot_smuggle_a_key(world: World) -> None:
    world.pool()
    world.pool("p", "acme")
    world.fill(1, "p", "acme")
    alice = world.user("alice")

    for name in ("a#C#c1", "..", "%23", "c1 ", "客户", "c1\n"):
        assert alice.claim_batch([name]).results == ["not_found"]
    assert alice.request("POST", "/v1/pools", {"id": "a#b", "name": "x"}).code == "invalid_request"


def test_every_code_of_the_contract_has_a_status_and_a_sentence_in_both_languages() -> None:
    told = {meaning.code or reason for reason, meaning in MEANINGS.items()}

    assert told == CODES | {"unauthenticated"}
    for reason, meaning in MEANINGS.items():
        assert meaning.en and meaning.zh, reason
        if not meaning.code and reason != "unauthenticated":
            assert meaning.status == OTHER_THAN_409.get(reason, 409), reason


def test_the_language_of_a_refusal_is_that_of_the_client(world: World) -> None:
    world.pool()
    alice = world.user("alice")

    for accepted, language in (
        ("en", "en"), ("zh-CN", "zh-CN"), ("zh", "zh-CN"), ("de, zh;q=0.8, en;q=0.2", "zh-CN"), ("zh;q=0", "en"),
        ("", "en"), (";;;q=9", "en"), ("zh;q=0.1, en", "en"),
    ):  # fmt: skip
        assert alice.claim("nobody", accept_language=accepted).headers["Content-Language"] == language, accepted


def test_if_match_in_any_of_its_forms(world: World) -> None:
    world.pool()
    world.fill(1)
    mona = world.user("mona")

    for text, status in (('"1"', 200), ("1", 200), ('W/"1"', 200), ("*", 200), ('"2"', 412), ("one", 412), ("", 412)):
        reply = mona.request("PATCH", "/v1/pools/p/customers/c1", {"name": "Customer c1"}, if_match=text)
        assert reply.status == status, text


def test_without_a_word_of_the_authorizer_nobody_gets_anywhere(world: World) -> None:
    for route in ROUTES:
        reply = world.request(None, route.method, address(route), None, None, {})
        assert reply.status == (200 if route.public else 401), route.path
        assert json.loads(reply.text)
