"""Tokens: what proves who is asking, and that everything else proves nothing."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chalicelib.auth import KeySetUnavailable, Unauthenticated, Verifier, caller_from, context_of, read_key_set
from chalicelib.context import Caller
from chalicelib.refusals import Refused

ISSUER, AUDIENCE = "https://issuer.example", "customer-pool"
EC_KEY, RSA_KEY = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
KEY_SET = {
    "keys": [
        ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True) | {"kid": "ec", "alg": "ES256"},
        RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True) | {"kid": "rsa", "alg": "RS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        {"kty": "nonsense", "kid": "broken"},
    ]
}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 60} | changes
    return {name: claim for name, claim in said.items() if claim is not None}


def token(key: Any = EC_KEY, algorithm: str = "ES256", key_id: str | None = "ec", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, {"kid": key_id} if key_id else {})


@pytest.fixture
def verifier() -> Verifier:
    return Verifier("key set", ISSUER, AUDIENCE, read=lambda _: KEY_SET)


def test_a_token_yields_tenant_user_and_whether_an_admin(verifier: Verifier) -> None:
    assert verifier.caller(f"Bearer {token()}") == Caller("main", "alice", False)
    signed = token(RSA_KEY, "RS256", "rsa", tenant="acme", roles=["admin", "other"], sub="bob-7")
    assert verifier.caller(f"bearer {signed}") == Caller("acme", "bob-7", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 1},
        {"exp": None},
        {"nbf": int(time.time()) + 86_400},
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a#b"},
        {"sub": "x" * 65},
        {"tenant": "a#b"},
        {"tenant": 7},
        {"tenant": ""},
        {"roles": "admin"},
        {"roles": {"admin": True}},
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_or_missing_proves_nothing(verifier: Verifier, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        verifier.caller(f"Bearer {token(**changes)}")


def test_the_algorithm_is_ours_to_choose(verifier: Verifier) -> None:
    public = EC_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "ec"}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).decode().rstrip("=")
    forged_header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "ec"}).encode()).decode().rstrip("=")
    signature = base64.urlsafe_b64encode(
        jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            f"{forged_header}.{body}".encode(), public
        )
    ).decode()

    for forged in (
        f"{header}.{body}.",
        f"{forged_header}.{body}.{signature.rstrip('=')}",
        token(b"secret" * 8, "HS256", "shared"),
        token(RSA_KEY, "RS256", "ec"),
        token(ec.generate_private_key(ec.SECP256R1())),
        token(key_id=None),
        token(key_id="unknown"),
        token(key_id="broken"),
    ):
        with pytest.raises(Unauthenticated):
            verifier.caller(f"Bearer {forged}")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer é", "Bearer " + "x" * 9000]
)
def test_a_header_that_is_no_token_proves_nothing(verifier: Verifier, header: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.caller(header)


def test_a_new_key_is_found_but_unknown_ids_do_not_hammer_the_issuer() -> None:
    reads: list[str] = []
    published: list[dict[str, Any]] = [{"keys": []}]
    moment = [0.0]

    def read(source: str) -> dict[str, Any]:
        reads.append(source)
        return published[-1]

    verifier = Verifier("address", ISSUER, AUDIENCE, read=read, clock=lambda: moment[0])

    for _ in range(5):
        with pytest.raises(Unauthenticated):
            verifier.caller(f"Bearer {token()}")
    assert len(reads) == 1
    published.append(KEY_SET)
    moment[0] = 61.0
    assert verifier.caller(f"Bearer {token()}").user == "alice"
    assert len(reads) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"keys": 7}', b"{}"])
def test_a_key_set_that_cannot_be_read_lets_nobody_in_and_blames_no_token(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "jwks.json"
    source.write_bytes(content)

    for broken in (str(source), str(tmp_path / "missing.json"), "http://127.0.0.1:9/jwks.json", ""):
        with pytest.raises(KeySetUnavailable):
            Verifier(broken, ISSUER, AUDIENCE).caller(f"Bearer {token()}")


def test_a_key_set_that_comes_back_is_read_again_and_known_keys_stay_good_meanwhile() -> None:
    answers: list[Any] = [OSError("no route"), KEY_SET, OSError("no route")]
    moment = [0.0]

    def read(_: str) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return dict(answer)

    verifier = Verifier("address", ISSUER, AUDIENCE, read=read, clock=lambda: moment[0])

    for _ in range(3):
        with pytest.raises(KeySetUnavailable):
            verifier.caller(f"Bearer {token()}")
    moment[0] = 6.0
    assert verifier.caller(f"Bearer {token()}").user == "alice"
    moment[0] = 99.0
    with pytest.raises(KeySetUnavailable):
        verifier.caller(f"Bearer {token(key_id='newer')}")
    assert verifier.caller(f"Bearer {token()}").user == "alice"


@pytest.fixture
def issuer() -> Iterator[str]:
    """A key set at an address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(KEY_SET).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    server.server_close()


def test_a_key_set_is_read_from_an_address_or_a_file(issuer: str, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(KEY_SET))

    for source in (issuer, str(file)):
        assert Verifier(source, ISSUER, AUDIENCE, read=read_key_set).caller(f"Bearer {token()}").user == "alice"


def test_what_the_authorizer_vouches_for_arrives_whole_or_not_at_all() -> None:
    caller = Caller("acme", "alice", True)

    assert caller_from({"authorizer": context_of(caller)}) == caller
    for spoilt in ({}, {"tenant": ""}, {"user": "a#b"}, {"admin": "yes"}, {"admin": True}, {"tenant": None}):
        context = {"authorizer": context_of(caller) | spoilt} if spoilt else {}
        with pytest.raises(Refused):
            caller_from(context)
