"""Whatever is sent, byte for byte: read, or refused with a code of the contract, and never a fault of ours."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from chalicelib.api.auth import KeySetUnavailable, Unauthenticated, Verifier
from chalicelib.transactions.context import Caller
from tests.conftest import new_table
from tests.support import tally
from tests.support.forging import AUDIENCE, ISSUER, KEYS, claims, handmade, signed, token
from tests.support.world import Reply, User, World

FEW = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def finite(value: Any) -> bool:
    """Return True if the value can be encoded as JSON."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


SAID = JSON.filter(finite)
TEXT = st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))


# Tokens


@cache
def verifier() -> Verifier:
    return Verifier("key set", ISSUER, AUDIENCE, read=lambda _: {"keys": KEYS})


def proves_nothing(authorization: str) -> None:
    tally.count("tokens made up")
    with pytest.raises(Unauthenticated):
        verifier().caller(authorization)


@given(TEXT)
@example("Bearer " + "." * 5_000)
@example("Bearer a.\ud800.b")
def test_no_random_text_is_a_valid_token(text: str) -> None:
    proves_nothing(text)
    proves_nothing(f"Bearer {text}")


@given(JSON, JSON, st.binary(max_size=80))
def test_no_token_without_a_valid_signature_is_accepted(header: Any, value: Any, by: bytes) -> None:
    proves_nothing(handmade(header, value, lambda _: by))
    proves_nothing(handmade({"alg": "ES256", "kid": "ec"}, claims() | {"x": value}, lambda _: by))
    proves_nothing(handmade({"alg": "RS256", "kid": "rsa", "crit": header}, claims(), lambda _: by))


@given(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "zip", "cty"]), JSON)
def test_no_token_header_raises_a_defect(part: str, value: Any) -> None:
    proves_nothing(handmade({"alg": "ES256", "kid": "ec"} | {part: value}, claims()))


@settings(max_examples=200, deadline=None)
@given(JSON, st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "tenant", "roles", "jti", "x"]))
def test_signed_token_claims_yield_a_caller_or_are_rejected(value: Any, claim: str) -> None:
    """Even who holds the key cannot make the verifier stumble: its issuer may have a defect of its own."""
    for content in (claims() | {claim: value}, value):
        try:
            caller = verifier().caller(signed(content))
        except Unauthenticated:
            continue
        assert caller == Caller(caller.tenant, caller.user, caller.admin) and caller.user and caller.tenant
        assert not caller.admin or "admin" in content["roles"]


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_valid_token_with_altered_content_is_rejected(at: int, by: int) -> None:
    good = token().partition(" ")[2].encode()
    wrong = bytearray(good)
    wrong[at % len(good)] ^= by
    parts = [_unpacked(part) for part in bytes(wrong).split(b".")]
    if parts != [_unpacked(part) for part in good.split(b".")]:  # the last bits of base64 are padding
        proves_nothing("Bearer " + wrong.decode("latin-1"))


def _unpacked(part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"==", altchars=b"-_", validate=True)
    except ValueError:
        return part


@given(JSON | st.dictionaries(st.just("keys"), JSON | st.lists(st.dictionaries(st.sampled_from(
    ["kty", "kid", "alg", "crv", "x", "y", "n", "e", "k", "d", "use", "key_ops"]), JSON))))  # fmt: skip
def test_no_random_key_set_raises_a_defect_or_accepts_a_token(published: Any) -> None:
    broken = Verifier("key set", ISSUER, AUDIENCE, read=lambda _: published)

    with pytest.raises((Unauthenticated, KeySetUnavailable)):
        broken.caller(token())


# Headers, rows and policies


@pytest.fixture(scope="module")
def mona(ministack: str) -> User:
    world = World(new_table(ministack))
    manager = world.pool()
    world.fill(2)
    return manager


def assert_no_fault(reply: Reply, *allowed: str) -> None:
    tally.count("requests made up")
    assert reply.status < 500, reply.text
    assert reply.status < 400 or reply.code in allowed, reply.text


@FEW
@given(TEXT | st.integers().map(str) | st.from_regex(r'\A(W/)?"?\d{1,20}"?\Z'))
@example("*")
@example('"1", "2"')
@example("٣")
@example("9" * 15)
def test_any_if_match_is_a_version_or_a_conflict(mona: User, text: str) -> None:
    assert_no_fault(
        mona.request("PATCH", "/v1/pools/p/customers/c1", {"priority": 0}, if_match=text), "version_conflict"
    )


@FEW
@given(
    TEXT | st.lists(st.sampled_from(["zh", "en", "zh-CN", "*", ";q=", "0.5", "1.0", ",", ";", "q=2", " "])).map("".join)
)
@example("zh;q=" + "9" * 5_000)
@example("," * 5_000)
def test_any_accept_language_gets_one_of_two_languages(mona: User, text: str) -> None:
    refused = mona.get("/customers/unknown", accept_language=text)

    assert (refused.status, refused.code) == (404, "not_found")
    assert refused.headers["Content-Language"] in ("en", "zh-CN")


@FEW
@given(st.lists(TEXT | st.sampled_from(["c1", "c1,", "unknown"]), max_size=4).map(",".join))
@example(",".join(["c1"] * 100))
@example("," * 99)
def test_any_text_as_ids_gets_a_customer_or_null_for_each(mona: User, text: str) -> None:
    reply = mona.get(f"/customers?ids={quote(text.encode(errors='replace'))}")

    assert_no_fault(reply, "invalid_request")
    if reply.status == 200:
        shown = [None if each is None else each["id"] for each in reply.json["items"]]
        assert shown == [each if each == "c1" else None for each in text.split(",")]


@FEW
@given(TEXT | st.from_regex(r"\A[A-Za-z0-9_-]{1,65}\Z"))
def test_any_idempotency_key_is_stored_or_rejected(mona: User, text: str) -> None:
    first, second = (mona.post("/claim-next", {"count": 1}, idempotency_key=text) for _ in range(2))

    for reply in (first, second):
        assert_no_fault(reply, "invalid_request")
    assert first.status == second.status and first.text == second.text


ROW = st.fixed_dictionaries(
    {"name": st.text(max_size=12) | SAID},
    optional={
        "id": st.from_regex(r"\A[a-z0-9_-]{1,8}\Z") | SAID,
        "fields": st.dictionaries(st.sampled_from(["phone", "email", "city", ""]), SAID, max_size=3) | SAID,
        "priority": st.integers(-2_000, 2_000) | SAID,
        "surprise": SAID,
    },
)


@FEW
@given(
    st.lists(ROW | SAID, min_size=1, max_size=4),
    st.sampled_from(["id", "phone", "email"]),
    st.sampled_from(["skip", "update", "reject"]),
)
@example([{"name": "\x00"}], "id", "reject")
@example([{"name": "\ufeff \u200b", "fields": {"phone": "+" * 40}}], "phone", "update")
@example([{"name": "İ" * 200, "fields": {"email": "İ@x.y"}}], "email", "update")
@example([{"name": "x", "fields": {"phone": -(2**70)}}], "phone", "reject")
@example([{"name": "x", "fields": {"f": 5e-324, "g": 1.7e308}}], "id", "reject")
def test_any_rows_are_imported_or_rejected_one_by_one(mona: User, rows: list[Any], key: str, mode: str) -> None:
    reply = mona.post("/import", {"rows": rows, "key": key, "on_duplicate": mode})

    assert_no_fault(reply, "invalid_request")
    assert reply.status != 200 or len(reply.results) == len(rows)


RULES = ["holding_limit", "claim_ttl", "cooldown", "masked_fields", "reminders", "time_zone", "sweep_breaker"]


@FEW
@given(
    SAID
    | st.dictionaries(
        st.sampled_from(RULES) | st.text(max_size=8), SAID | st.from_regex(r"\AP\d{0,9}[DWTHMS]*\Z"), max_size=4
    )
)
@example({"time_zone": "../../etc/passwd"})
@example({"time_zone": "\x00"})
@example({"time_zone": "x" * 5_000})
@example({"claim_ttl": "P" + "9" * 400 + "D"})
@example({"holding_limit": 10**40})
def test_any_policy_is_stored_or_rejected(mona: User, policy: Any) -> None:
    root = mona.world.user("root", admin=True)

    tried = mona.request("PATCH", "/v1/pools/p", {"policy": policy, "dry_run": True}, if_match="1")
    made = root.request("POST", "/v1/pools", {"id": "p", "name": "P", "policy": policy})

    assert_no_fault(tried, "policy_invalid", "invalid_request")
    assert made.code in ("policy_invalid", "invalid_request", "version_conflict"), made.text
