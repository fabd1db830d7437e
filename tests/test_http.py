"""What a client may send, and what it gets: nothing passes the wrapper as an exception, however hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chalice.app import Request
from msgspec.structs import fields

from chalicelib.http import Route, respond
from chalicelib.paging import Cursor
from chalicelib.refusals import MEANINGS, Refusal
from chalicelib.routes import ROUTES
from tests.conformance import assert_conforms
from tests.world import Reply, User, World, gateway_event

PATHS = {"pool": "p", "customer": "c1", "user": "alice"}
BODIED = [route for route in ROUTES if route.method != "GET"]
GUARDED = [route for route in ROUTES if not route.public]

DEEP = 100_000
SHALLOWER = 20_000  # times six bytes a level: within the 256 KB
HOSTILE = {
    "not JSON": b"{hello",
    "two values": b"{} {}",
    "only a space": b" ",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"count": NaN}',
    "Infinity": b'{"count": -Infinity}',
    "bare NaN": b"NaN",
    "a number beyond all": b'{"count": 1e999}',
    "a huge integer": b'{"count": ' + b"9" * 5_000 + b"}",
    "a very deep array": b"[" * DEEP + b"]" * DEEP,
    "a very deep object": b'{"a":' * SHALLOWER + b"1" + b"}" * SHALLOWER,
    "a deep field": b'{"rows": [' + b"[" * DEEP + b"]" * DEEP + b'], "customer_ids": []}',
    "an array": b"[]",
    "null": b"null",
    "a text": b'"claim"',
    "a number": b"7",
    "true": b"true",
    "an unknown field": b'{"surprise": 1}',
    "invalid UTF-8 as a name": b'{"name": "\xff\xfe", "id": "x"}',
    "invalid UTF-8 as a field": b'{"\xff": 1}',
    "a lone high surrogate": b'{"name": "\\ud800", "id": "x"}',
    "a lone low surrogate": b'{"name": "\\udc00", "id": "x"}',
    "a raw surrogate": b'{"name": "\xed\xa0\x80", "id": "x"}',
    "duplicate unknown keys": b'{"x": 1, "x": 2}',
    "a NUL": b"\x00",
    "a trailing comma": b'{"role": "member",}',
    "a comment": b"{/* */}",
}
WRONG_TYPES: list[Any] = [None, 0, -1, 1.5, True, "", "x" * 10_000, "a#b", [], [[]], [None], {}, {"a": {}}, 10**30]


def send(user: User, route: Route, raw: bytes, **headers: str) -> Reply:
    return user.request(route.method, route.path.format(**PATHS), raw=raw, **headers)


def assert_problem(reply: Reply, *statuses: int) -> None:
    """A refusal of the contract: RFC 9457, with a code, and never the service's own fault."""
    assert reply.status in (statuses or range(400, 500)), f"{reply.status} {reply.text[:300]}"
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json.keys() >= {"type", "title", "status", "detail", "instance", "code"}
    assert reply.json["status"] == reply.status and reply.code


def named(route: Route) -> str:
    return f"{route.method} {route.path.removeprefix('/v1')}"


@pytest.mark.parametrize("what", HOSTILE)
def test_no_hostile_body_passes_any_route(world: World, what: str) -> None:
    root = world.user("root", admin=True)

    for number, route in enumerate(BODIED):
        for headers in ({}, {"idempotency_key": f"k{number}"}):
            reply = send(root, route, HOSTILE[what], **headers)
            assert reply.status < 500, f"{named(route)} {headers}: {reply.text[:300]}"
            assert_problem(reply, 400, 413, 422)


def fields_of(route: Route) -> tuple[str, ...]:
    return tuple(getattr(route.body, "__struct_fields__", ()))


@pytest.mark.parametrize("route", [each for each in BODIED if fields_of(each)], ids=named)
def test_no_field_of_any_body_takes_a_value_of_another_type(world: World, route: Route) -> None:
    mona = everything_there(world)

    for field in fields_of(route):
        for wrong in WRONG_TYPES:
            reply = send(mona, route, json.dumps({field: wrong}).encode())
            assert reply.status < 500, f"{field}={wrong!r}: {reply.text[:300]}"
            if reply.status >= 400:
                assert_problem(reply)


def test_a_body_of_300_kb_is_too_large_for_every_route(world: World) -> None:
    alice = world.user("alice")

    for route in BODIED:
        reply = send(alice, route, b'{"name": "' + b"x" * 300 * 1024 + b'"}')
        assert_problem(reply, 413)
        assert reply.code == "payload_too_large"


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ";;"])
def test_a_body_that_does_not_say_it_is_json_is_refused_by_every_route(world: World, media: str) -> None:
    mona = everything_there(world)

    for route in BODIED:
        assert_problem(send(mona, route, b"{}", content_type=media), 422)


def test_json_with_a_charset_is_json(world: World) -> None:
    mona = everything_there(world)

    reply = mona.request("POST", "/v1/pools/p/claim-next", raw=b"{}", content_type="Application/JSON; charset=utf-8")

    assert reply.status == 200


def test_an_empty_body_means_no_fields(world: World) -> None:
    everything_there(world)
    alice = world.user("alice")

    assert alice.request("POST", "/v1/pools/p/claim-next", raw=b"").status == 200
    assert_problem(alice.request("POST", "/v1/pools/p/claim", raw=b""), 422)


def test_malformed_json_is_400_and_json_of_another_shape_is_422(world: World) -> None:
    everything_there(world)
    alice = world.user("alice")

    malformed = alice.request("POST", "/v1/pools/p/claim", raw=b"{")
    another = alice.request("POST", "/v1/pools/p/claim", raw=b'{"customer_ids": 1}')

    assert (malformed.status, malformed.code) == (400, "invalid_request")
    assert (another.status, another.code) == (422, "invalid_request")
    assert "customer_ids" in another.json["errors"][0]


BROKEN_ROWS = {
    "invalid UTF-8": b'{"id": "x1", "name": "\xff"}',
    "a number beyond all": b'{"id": "x1", "name": "a", "fields": {"f": 1e999}}',
    "an array": b"[1]",
    "null": b"null",
    "an id that is none": b'{"id": "a#b", "name": "a"}',
}


@pytest.mark.parametrize("what", BROKEN_ROWS)
def test_a_hostile_row_of_an_import_is_a_refusal_and_no_fault(world: World, what: str) -> None:
    mona = world.pool()

    raw = b'{"rows": [' + BROKEN_ROWS[what] + b"]}"
    reply = mona.request("POST", "/v1/pools/p/import", raw=raw)

    assert reply.status < 500, reply.text
    assert reply.status >= 400 or reply.results == ["invalid_request"]


@pytest.mark.parametrize("policy", [b'{"claim_ttl": 1e999}', b'{"time_zone": "\xff"}'])
def test_a_hostile_policy_with_an_idempotency_key_is_a_refusal_and_no_fault(world: World, policy: bytes) -> None:
    root = world.user("root", admin=True)

    raw = b'{"id": "q", "name": "Q", "policy": ' + policy + b"}"
    reply = root.request("POST", "/v1/pools", raw=raw, idempotency_key="k")

    assert_problem(reply, 400, 422)


def test_a_deadline_cannot_be_extended_beyond_what_a_time_can_say(world: World) -> None:
    mona = world.pool(claim_ttl="P36600D")
    world.fill(1)
    mona.claim("c1")

    replies = [mona.post("/customers/c1/extend", {"by": "P36600D"}) for _ in range(82)]

    assert {reply.status for reply in replies} <= {200, 409, 422}, replies[-1].text


# The query string


LISTS = [route for route in GUARDED if "cursor" in getattr(route.query, "__struct_fields__", ())]
BAD_LIMITS = ["0", "101", "-1", "abc", "", "1.5", "1e999", "99999999999999999999", "NaN", "true", "null", "%00", "5;5"]


@pytest.mark.parametrize("route", LISTS, ids=named)
def test_no_list_takes_a_bad_limit_an_unknown_parameter_or_a_bad_cursor(world: World, route: Route) -> None:
    mona = everything_there(world)
    path = route.path.format(**PATHS)

    for query in [*(f"limit={bad}" for bad in BAD_LIMITS), "surprise=1", "Limit=5", "limit=5&surprise="]:
        reply = mona.request("GET", f"{path}?{query}")
        assert_problem(reply, 422)
        assert reply.code == "invalid_request", query
    for cursor in ("", "x", "é", "=", "AAAA", "A" * 5_000, "../..", "%00", "null", "eyJhIjoxfQ"):
        reply = mona.request("GET", f"{path}?cursor={cursor}")
        assert (reply.status, reply.code) == (400, "invalid_cursor"), cursor


@pytest.mark.parametrize("route", [each for each in GUARDED if each.query.__name__ == "NoBody"], ids=named)
def test_a_route_without_parameters_takes_none(world: World, route: Route) -> None:
    mona = everything_there(world)

    reply = mona.request(route.method, f"{route.path.format(**PATHS)}?surprise=1")

    assert_problem(reply, 422)


@pytest.mark.parametrize(
    "query", ["state=free", "state=null", "state=", "state=Claimed", "holder=a%23b", "holder=", "holder=a#b"]
)
def test_a_list_of_customers_refuses_a_filter_that_means_nothing(world: World, query: str) -> None:
    mona = everything_there(world)

    assert_problem(mona.get(f"/customers?{query}"), 422)


def test_a_cursor_altered_in_any_one_character_is_refused(world: World) -> None:
    mona = world.pool()
    world.fill(3)
    cursor = mona.get("/customers?limit=1").json["next_cursor"]

    for at, was in enumerate(cursor):
        for other in {"A", "z", "_", chr(ord(was) ^ 1)} - {was, "&", "=", "#"}:
            altered = cursor[:at] + other + cursor[at + 1 :]
            reply = mona.get(f"/customers?cursor={altered}")
            assert (reply.status, reply.code) == (400, "invalid_cursor"), altered
    for altered in (cursor[:-1], cursor[1:], cursor + "A", cursor + "=", cursor.swapcase(), cursor + cursor):
        assert mona.get(f"/customers?cursor={altered}").code == "invalid_cursor", altered


def test_a_cursor_of_another_list_pool_or_tenant_is_refused(world: World) -> None:
    mona = everything_there(world)
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


def test_a_cursor_that_somebody_made_themself_is_no_fault_either(world: World) -> None:
    mona = everything_there(world)
    roster, history = Cursor("T#main#P#p#C", "None", "None"), Cursor("T#main#P#p#C#c1", "history")
    waiting = Cursor("T#main#P#p#A", "available", "None")

    replies = [
        mona.get(f"/customers?cursor={roster.write(('c1', 5))}"),
        mona.get(f"/customers?cursor={roster.write(('#', None))}"),
        mona.get(f"/customers?state=available&cursor={waiting.write(('c1', None))}"),
        mona.get(f"/customers?state=available&cursor={waiting.write(('c1', 10**18))}"),
        mona.get(f"/customers/c1/history?cursor={history.write(-100)}"),
        mona.get(f"/customers/c1/history?cursor={history.write(2**62)}"),
    ]

    assert all(reply.status < 500 for reply in replies), [reply.status for reply in replies]


# Ids, and what is not there


SMUGGLED = [
    "c1#",
    "#c1",
    "c1%23-",
    "a#C#c1",
    "p#C#c1",
    "..",
    "*",
    "c 1",
    "c1\n",
    "ｃ１",
    "%",
    "x" * 65,
    "{customer}",
    "'",
]


@pytest.mark.parametrize("route", [each for each in GUARDED if "{" in each.path], ids=named)
@pytest.mark.parametrize("name", ["pool", "customer", "user"])
def test_no_id_smuggles_a_key(world: World, route: Route, name: str) -> None:
    if f"{{{name}}}" not in route.path:
        return
    mona = everything_there(world)
    body = good_body(route)

    for smuggled in SMUGGLED:
        for headers in ({}, {"idempotency_key": "k1"}):
            reply = raw_request(world, mona, route, PATHS | {name: smuggled}, body, headers)
            assert (reply.status, reply.code) == (404, "not_found"), smuggled


def test_ids_in_a_batch_that_no_customer_can_have_are_not_found_one_by_one(world: World) -> None:
    world.pool()
    smuggled = [*SMUGGLED, "", "\x00"]

    reply = world.user("alice").claim_batch(smuggled)

    assert set(reply.results) == {"not_found"} and reply.json["summary"]["failed"] == len(smuggled)


@pytest.mark.parametrize("route", [each for each in GUARDED if "{customer}" in each.path], ids=named)
def test_unknown_another_pools_and_another_tenants_customers_are_told_apart_by_nothing(
    world: World, route: Route
) -> None:
    mona = everything_there(world)
    body = good_body(route)
    world.user("mona", pool="q").post("/customers", {"id": "elsewhere", "name": "E"})
    world.user("mona", tenant="acme").post("/customers", {"id": "abroad", "name": "A"})

    said = [
        raw_request(world, mona, route, PATHS | given, body, {})
        for given in (
            {"customer": "unknown"},
            {"customer": "elsewhere"},
            {"customer": "abroad"},
            {"pool": "nowhere"},
            {"pool": "only-acme"},
        )
    ]

    assert {reply.status for reply in said} == {404}
    assert len({(reply.text, tuple(sorted(reply.headers.items()))) for reply in said}) == 1


@pytest.mark.parametrize("route", [each for each in GUARDED if "{pool}" in each.path], ids=named)
def test_another_tenants_pool_is_as_unknown_as_one_that_nobody_has(world: World, route: Route) -> None:
    mona = everything_there(world)
    body = good_body(route)

    said = [
        raw_request(world, who, route, PATHS | {"pool": pool}, body, {})
        for pool in ("nowhere", "only-acme")
        for who in (mona, world.user("root", admin=True), world.user("stranger"))
    ]

    assert {reply.status for reply in said} == {404}
    assert len({(reply.text, tuple(sorted(reply.headers.items()))) for reply in said}) == 1


# Versions


def test_the_etag_is_the_version_wherever_there_is_one(world: World) -> None:
    mona = everything_there(world)

    for path in ("", "/members/alice", "/customers/c1"):
        reply = mona.get(path)
        assert reply.headers["ETag"] == f'"{reply.json["version"]}"'
    assert "ETag" not in mona.get("/customers").headers


@pytest.mark.parametrize("form", ['"1"', "1", 'W/"1"', ' "1" ', "*"])
def test_a_version_that_matches_lets_the_change_through(world: World, form: str) -> None:
    world.pool()
    world.fill(1)

    assert world.user("alice").claim("c1", if_match=form).status == 200


@pytest.mark.parametrize("form", ['"2"', "2", '"0"', "-1", "abc", '""', '"' + "9" * 40 + '"', "١"])
def test_any_other_version_is_a_conflict_and_changes_nothing(world: World, form: str) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")

    replies = [alice.claim("c1", if_match=form), alice.claim("c1", if_match=form, idempotency_key="k")]

    assert [(reply.status, reply.code) for reply in replies] == [(412, "version_conflict")] * 2
    assert alice.customer("c1")["version"] == 1


def test_a_member_is_changed_only_at_the_version_that_was_seen(world: World) -> None:
    mona = world.pool()
    body = {"role": "member", "holding_limit": 3}

    def put(user: str, version: str) -> Reply:
        return mona.request("PUT", f"/v1/pools/p/members/{user}", body, if_match=version)

    assert [put("alice", '"1"').status, put("alice", '"1"').status, put("alice", '"2"').status] == [200, 412, 200]
    assert put("nobody-yet", '"1"').status == 412
    assert mona.get("/members/nobody-yet").status == 404


def test_a_member_is_removed_only_at_the_version_that_was_seen_and_loses_nothing_before(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    world.user("alice").claim("c1")

    def remove(version: str, query: str = "") -> int:
        return mona.request("DELETE", f"/v1/pools/p/members/alice{query}", if_match=version).status

    assert [remove('"2"'), remove("x"), remove('"2"', "?held=release")] == [412, 412, 412]
    assert world.user("alice").held() == 1
    assert [remove('"1"'), remove('"1"', "?held=release")] == [409, 200]


# Languages


CHINESE = [
    "zh",
    "zh-CN",
    "zh-Hans-CN",
    "ZH-cn",
    "zh;q=0.9,en;q=0.8",
    "en;q=0.1, zh-CN;q=0.2",
    "fr, zh;q=0.5",
    "zh,en;q=0",
]
ENGLISH = [
    "",
    "en",
    "en-GB",
    "fr",
    "zh;q=0",
    "en,zh;q=0.9",
    "*",
    ";;;",
    "zh;q=2",
    "zh;q=x",
    "q=1",
    ",",
    "\x00",
    "zhx",
    "é" * 999,
]


@pytest.mark.parametrize(
    ("accepted", "spoken"), [*((each, "zh-CN") for each in CHINESE), *((each, "en") for each in ENGLISH)]
)
def test_a_refusal_speaks_the_language_that_is_liked_best(world: World, accepted: str, spoken: str) -> None:
    world.pool()

    refused = world.user("alice").claim("nobody", accept_language=accepted)

    assert (refused.status, refused.code) == (404, "not_found")
    assert refused.headers["Content-Language"] == spoken
    assert (refused.json["title"] == "未找到。") == (spoken == "zh-CN")


@pytest.mark.parametrize("accepted", ["zh-CN, en", "zh ; q=0.9, en;q=0.1"])
def test_the_language_named_first_is_liked_best_and_spaces_mean_nothing(world: World, accepted: str) -> None:
    world.pool()

    assert world.user("alice").claim("nobody", accept_language=accepted).headers["Content-Language"] == "zh-CN"


def test_the_results_of_a_batch_speak_it_too(world: World) -> None:
    world.pool()

    reply = world.user("alice").claim_batch(["nobody"], accept_language="zh-CN")

    assert reply.headers["Content-Language"] == "zh-CN"
    assert reply.json["results"][0]["detail"] == "未找到。"
    assert reply.json["results"][0]["code"] == "not_found"


# Every code: its status as the contract's table says, and its sentences

STATUSES = {
    400: "invalid_cursor",
    401: "unauthenticated",
    403: "not_a_member not_manager not_admin not_holder extension_not_allowed",
    404: "not_found",
    409: "pool_not_open already_claimed not_claimed claim_changed expired embargoed cooldown daily_limit holding_limit "
    "extension_limit pinned pin_limit set_aside duplicate_in_request request_in_progress pool_not_empty "
    "member_has_claims duplicate_customer",
    412: "version_conflict",
    413: "payload_too_large",
    422: "invalid_request batch_too_large reason_required policy_invalid idempotency_key_reused",
    429: "throttled",
    503: "store_unavailable outcome_unknown",
}
CODES = {code: status for status, codes in STATUSES.items() for code in codes.split()}
SHARING = {"malformed": (400, "invalid_request"), "pool_exists": (409, "version_conflict")}


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_contract_has_its_status_and_a_sentence_in_both_languages(code: str) -> None:
    meaning = MEANINGS[code]

    assert (meaning.status, Refusal(code).code) == (CODES[code], code)
    assert meaning.en.isascii() and meaning.en.endswith(".")
    assert not meaning.zh.isascii() and meaning.zh.endswith("。")
    assert (meaning.retry_after is not None) == (meaning.status in (429, 503))


def test_no_reason_has_a_code_that_the_contract_does_not_know() -> None:
    for reason, meaning in MEANINGS.items():
        assert Refusal(reason).code in CODES, reason
        if reason not in CODES and reason in SHARING:
            assert (meaning.status, meaning.code) == SHARING[reason]


# Who is asking


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_without_a_caller_every_route_answers_401(world: World, route: Route) -> None:
    reply = world.request(None, route.method, route.path.format(**PATHS), json.loads(good_body(route)), None, {})

    assert_problem(reply, 401)
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_health_needs_nobody(world: World) -> None:
    assert world.request(None, "GET", "/v1/health", None, None, {}).json == {"status": "ok"}


# What the tests above stand on


def everything_there(world: World) -> User:
    """Pools p and q of this tenant, p and another of acme; three customers in each; mona manages them all."""
    mona = world.pool(members="alice bob")
    world.pool("q")
    world.pool("p", tenant="acme")
    world.pool("only-acme", tenant="acme")
    world.fill(3)
    world.fill(3, "q")
    world.fill(3, "p", "acme")
    world.user("alice").claim("c1")
    return mona


def good_body(route: Route) -> bytes:
    """A body that the route takes, so that only the path is wrong."""
    samples: dict[str, Any] = {
        "id": "new", "name": "New", "role": "member", "customer_ids": ["c1"], "rows": [{"id": "new", "name": "New"}],
        "to": "alice", "by": "PT1H",
    }  # fmt: skip
    wanted = [each.name for each in fields(route.body) if each.required or each.name == "by"]
    return json.dumps({name: samples[name] for name in wanted}).encode()


def raw_request(
    world: World, user: User, route: Route, parameters: dict[str, str], body: bytes, headers: dict[str, str]
) -> Reply:
    """As the gateway would call, with path parameters that no address of ours could carry."""
    given = {name: text for name, text in parameters.items() if f"{{{name}}}" in route.path}
    event = gateway_event(route, given, user.caller, route.path, body, headers)
    reply = respond(lambda: world.service, route, Request(event), given).to_dict()
    assert_conforms(route, body, reply["statusCode"], reply["headers"], reply["body"])
    return Reply(reply["statusCode"], reply["headers"], reply["body"])
