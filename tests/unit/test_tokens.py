"""Tokens: a valid one identifies the caller, and everything else is rejected."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from chalicelib.api.auth import Unauthenticated, Verifier
from chalicelib.transactions.context import Caller
from tests.support.forging import (
    AUDIENCE,
    EC_KEY,
    ISSUER,
    KEYS,
    OTHER_EC_KEY,
    RSA_KEY,
    claims,
    handmade,
    published,
    signed,
    token,
)

SECRET = b"secret" * 8
SHARED = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET).decode(), "kid": "shared", "alg": "HS256"}


@pytest.fixture
def verifier() -> Verifier:
    return Verifier("key set", ISSUER, AUDIENCE, read=lambda _: {"keys": [*KEYS, SHARED, {"kid": "broken"}]})


def refuses(verifier: Verifier, authorization: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.caller(authorization)


def test_a_token_yields_tenant_user_and_admin_role(verifier: Verifier) -> None:
    other = token(RSA_KEY, "RS256", "rsa", tenant="acme", roles=["admin", "other"], sub="bob-7")

    assert verifier.caller(token()) == Caller("main", "alice", False)
    assert verifier.caller(other.replace("Bearer", "bearer")) == Caller("acme", "bob-7", True)


def test_only_the_admin_role_makes_an_admin(verifier: Verifier) -> None:
    for roles in ([], ["Admin"], ["administrator"], [["admin"]], [None], ["admin "]):
        assert not verifier.caller(token(roles=roles)).admin

    assert verifier.caller(token(roles=[7, "admin"])).admin


# Whose signature


@pytest.mark.parametrize("key_id", ["ec", "rsa"])
@pytest.mark.parametrize("form", ["PEM", "DER", "SSH"])
def test_a_public_key_is_not_accepted_as_a_shared_secret(verifier: Verifier, key_id: str, form: str) -> None:
    encodings = {
        "PEM": (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "DER": (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "SSH": (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
    }
    key: Any = {"ec": EC_KEY, "rsa": RSA_KEY}[key_id]
    public = key.public_key().public_bytes(*encodings[form])

    for algorithm in ("HS256", "HS384", "HS512", "hs256"):
        header = {"alg": algorithm, "typ": "JWT", "kid": key_id}
        refuses(verifier, handmade(header, claims(), lambda content: hmac.digest(public, content, hashlib.sha256)))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, "ES384", "PS256", "RS512", "EdDSA", 7, []]
)
@pytest.mark.parametrize("key_id", ["ec", "rsa"])
def test_the_token_does_not_choose_the_algorithm(verifier: Verifier, algorithm: Any, key_id: str) -> None:
    refuses(verifier, handmade({"alg": algorithm, "kid": key_id}, claims()))


def test_a_key_embedded_in_the_token_is_ignored(verifier: Verifier) -> None:
    own = published(OTHER_EC_KEY, "own")

    for header in ({"jwk": own, "kid": "ec"}, {"jwk": own, "kid": "own"}, {"jku": "http://127.0.0.1:9/", "kid": "own"}):
        refuses(verifier, "Bearer " + jwt.encode(claims(), OTHER_EC_KEY, "ES256", header))


def test_a_signature_by_another_key_is_rejected(verifier: Verifier) -> None:
    refuses(verifier, token(OTHER_EC_KEY))
    refuses(verifier, token(RSA_KEY, "RS256", "ec"))
    refuses(verifier, token(SECRET, "HS256", "shared"))
    for key_id in (None, "unknown", "broken"):
        refuses(verifier, token(key_id=key_id))


def test_a_signed_token_with_any_byte_altered_is_rejected(verifier: Verifier) -> None:
    good = token()
    assert verifier.caller(good).user == "alice"
    last = good.rindex(".")

    for at in range(len("Bearer "), len(good) - 1, 5):
        if at != last:
            refuses(verifier, good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :])
    refuses(verifier, good[:last])
    refuses(verifier, good[: last + 1])
    refuses(verifier, good + ".x")


# Claims of a token


MALFORMED = [
    "",
    "Bearer",
    "Bearer ",
    "Basic YTpi",
    "Bearer a.b.c",
    "Bearer é",
    "Bearer " + "x" * 9_000,
    handmade("[]", "{}"),
    handmade("null", "{}"),
    handmade('"ES256"', "{}"),
    handmade({"alg": "ES256", "kid": ["ec"]}, "{}"),
    handmade({"alg": "ES256", "kid": 7}, "{}"),
    handmade({"alg": "ES256", "kid": None}, "{}"),
    handmade({"alg": "ES256", "kid": "ec", "crit": ["exp"]}, "{}"),
    handmade({"alg": "ES256", "kid": "ec", "b64": False}, "{}"),
    handmade({"alg": "ES256", "kid": "ec"}, "[]"),
    handmade("[" * 5_000 + "]" * 5_000, "{}"),
    "Bearer ..",
    "Bearer ....",
    "Bearer \x00.\x00.\x00",
    "Bearer \ud800.a.b",
    "Bearer  " + token()[7:],
    "bearer\t" + token()[7:],
    token()[7:],
    "Token " + token()[7:],
    token() + "," + token(),
]


@pytest.mark.parametrize("authorization", MALFORMED, ids=range(len(MALFORMED)))
def test_text_that_is_not_a_token_is_rejected_without_a_defect(verifier: Verifier, authorization: str) -> None:
    refuses(verifier, authorization)


NO_MOMENTS: list[Any] = [
    "soon",
    str(int(time.time()) - 5),
    None,
    [],
    {},
    True,
    False,
    -1,
    1e999,
    -1e999,
    float("nan"),
    10**400,
]
BEYOND_9999 = 253_402_300_800

NONSENSE: dict[str, Any] = {
    "exp": [*NO_MOMENTS, str(int(time.time()) + 600), BEYOND_9999, BEYOND_9999 + 0.5, 0, int(time.time()) - 70],
    "nbf": [*NO_MOMENTS, BEYOND_9999, int(time.time()) + 3_600],
    "iat": [*NO_MOMENTS, BEYOND_9999, int(time.time()) + 3_600],
    "iss": [None, [ISSUER], ISSUER + "/", "", 7, "https://other.example"],
    "aud": [None, [], "other", ["other"], "", {AUDIENCE: 1}, AUDIENCE.upper()],
    "sub": [None, 7, True, ["alice"], {"alice": 1}, "", "\ud800", "alice\udfff"],
    "tenant": [None, 7, "", "a b", "a#b", "main\n", "x" * 65, ["main"]],
    "roles": [None, "admin", {"admin": 1}, 7, True],
}


@pytest.mark.parametrize("claim", NONSENSE)
def test_a_signed_token_with_a_wrong_claim_is_rejected(verifier: Verifier, claim: str) -> None:
    assert verifier.caller(signed(claims())).user == "alice"

    for wrong in NONSENSE[claim]:
        refuses(verifier, signed(claims() | {claim: wrong}))


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
def test_a_signed_token_without_a_required_claim_is_rejected(verifier: Verifier, claim: str) -> None:
    refuses(verifier, signed(claims(left_out=claim)))


def test_a_signed_token_with_an_infinite_number_is_rejected(verifier: Verifier) -> None:
    content = json.dumps(claims()).replace('"sub"', '"nbf": 1e999, "sub"')

    refuses(verifier, signed(content))


# Subjects that are no ids


@pytest.mark.parametrize(
    "subject",
    ["auth0|5f7c8ec7", "abc@clients", "f:0b1c:alice", "zhang.san@corp", "张三", " ", "a#b", "..", "alice\n", "x" * 65,
     "u_", "u_alice", "u_" + "a" * 26, "y" * 5_000, "me", "system"],
)  # fmt: skip
def test_a_subject_that_is_not_an_id_or_is_reserved_becomes_a_digest_prefix(verifier: Verifier, subject: str) -> None:
    digest = base64.b32encode(hashlib.sha256(subject.encode()).digest()).decode().lower()

    caller = verifier.caller(token(sub=subject))

    assert caller == Caller("main", "u_" + digest[:26], False)


def test_the_id_of_a_known_subject_never_changes(verifier: Verifier) -> None:
    assert verifier.caller(token(sub="auth0|alice")).user == "u_jj3bur2s623ujemgb5ipy7kpvf"


def test_a_subject_that_is_a_valid_id_is_the_id(verifier: Verifier) -> None:
    for subject in ("alice", "U_alice", "u", "_u_", "3f0a-77", "x" * 64):
        assert verifier.caller(token(sub=subject)).user == subject


# Clients and clocks


@pytest.fixture
def with_clients() -> Verifier:
    return Verifier("key set", ISSUER, AUDIENCE, read=lambda _: {"keys": KEYS}, clients=("web", "app"))


def test_a_token_without_an_audience_is_accepted_from_a_configured_client_only(
    verifier: Verifier, with_clients: Verifier
) -> None:
    from_app = signed(claims(left_out="aud", client_id="app"))

    assert with_clients.caller(from_app).user == "alice"
    refuses(verifier, from_app)
    for other in ("other", "", "APP", None, 7, ["app"], {"app": 1}, "web app"):
        refuses(with_clients, signed(claims(left_out="aud", client_id=other)))
    refuses(with_clients, signed(claims(left_out="aud")))
    refuses(with_clients, signed(claims(left_out="aud", azp="app")))


def test_a_token_with_an_audience_needs_the_right_one_whatever_its_client_is(with_clients: Verifier) -> None:
    for wrong in NONSENSE["aud"]:
        refuses(with_clients, signed(claims(aud=wrong, client_id="app")))

    assert with_clients.caller(signed(claims(client_id="other"))).user == "alice"
    assert with_clients.caller(signed(claims(aud=["other", AUDIENCE]))).user == "alice"


def test_no_audience_is_accepted_when_only_clients_are_configured() -> None:
    verifier = Verifier("key set", ISSUER, "", read=lambda _: {"keys": KEYS}, clients=("app",))

    assert verifier.caller(signed(claims(left_out="aud", client_id="app"))).user == "alice"
    for audience in ("", [""], None, [], AUDIENCE):
        refuses(verifier, signed(claims(aud=audience, client_id="app")))


@pytest.mark.parametrize(
    "offsets", [{"iat": 50}, {"nbf": 50}, {"iat": 50, "nbf": 50, "exp": 650}, {"exp": -50}, {"iat": 0.5}, {"nbf": -1e9}]
)
def test_a_token_allows_a_minute_of_clock_skew(verifier: Verifier, offsets: dict[str, Any]) -> None:
    now = int(time.time())

    assert verifier.caller(token(**{name: now + seconds for name, seconds in offsets.items()})).user == "alice"


@pytest.mark.parametrize("offsets", [{"iat": 70}, {"nbf": 70}, {"exp": -70}])
def test_a_token_allows_no_more_than_a_minute_of_clock_skew(verifier: Verifier, offsets: dict[str, Any]) -> None:
    now = int(time.time())

    refuses(verifier, token(**{name: now + seconds for name, seconds in offsets.items()}))


def test_a_token_may_last_until_the_end_of_the_year_9999(verifier: Verifier) -> None:
    assert verifier.caller(token(exp=BEYOND_9999 - 1)).user == "alice"


@pytest.mark.parametrize(("issuer", "audience"), [("", AUDIENCE), (ISSUER, ""), ("", "")])
def test_without_an_issuer_or_an_audience_set_no_token_is_accepted(issuer: str, audience: str) -> None:
    verifier = Verifier("key set", issuer, audience, read=lambda _: {"keys": KEYS})

    refuses(verifier, token(iss=issuer, aud=audience))
