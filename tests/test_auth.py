"""Who is asking, tried harder: forged tokens, key sets that misbehave, and the authorizer as the gateway calls it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chalicelib.auth import KeySetUnavailable, Unauthenticated, Verifier, caller_from
from chalicelib.refusals import Refused

ISSUER, AUDIENCE = "https://issuer.example", "customer-pool"
EC_KEY, OTHER_EC_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
RSA_KEY = rsa.generate_private_key(65537, 2048)


def published(key: Any, key_id: str, **said: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return algorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": key_id} | said


KEYS = [published(EC_KEY, "ec"), published(RSA_KEY, "rsa")]


def token(key: Any = EC_KEY, algorithm: str = "ES256", key_id: str = "ec", **changes: Any) -> str:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 600} | changes
    return "Bearer " + jwt.encode(said, key, algorithm, {"kid": key_id})


def handmade(header: Any, claims: Any, sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A token that no library would make. Text stands for itself."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    signed = b".".join(_b64(part.encode()) for part in parts)
    return "Bearer " + (signed + b"." + _b64(sign(signed))).decode()


def signed(said: bytes) -> bytes:
    return ECAlgorithm(ECAlgorithm.SHA256).sign(said, EC_KEY)


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def good_claims() -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "mallory", "exp": int(time.time()) + 600, "roles": ["admin"]}


@pytest.fixture
def verifier() -> Verifier:
    return Verifier("key set", ISSUER, AUDIENCE, read=lambda _: {"keys": KEYS})


def refuses(verifier: Verifier, authorization: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.caller(authorization)


@pytest.mark.parametrize("key_id", ["ec", "rsa"])
@pytest.mark.parametrize("form", ["PEM", "DER", "SSH"])
def test_a_public_key_is_no_shared_secret(verifier: Verifier, key_id: str, form: str) -> None:
    encodings = {
        "PEM": (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "DER": (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "SSH": (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
    }
    public = {"ec": EC_KEY, "rsa": RSA_KEY}[key_id].public_key().public_bytes(*encodings[form])

    for algorithm in ("HS256", "HS384", "HS512", "hs256"):
        header = {"alg": algorithm, "typ": "JWT", "kid": key_id}
        refuses(verifier, handmade(header, good_claims(), lambda said: hmac.digest(public, said, hashlib.sha256)))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, "ES384", "PS256", "RS512", "EdDSA", 7, []]
)
@pytest.mark.parametrize("key_id", ["ec", "rsa"])
def test_the_token_does_not_choose_the_algorithm(verifier: Verifier, algorithm: Any, key_id: str) -> None:
    refuses(verifier, handmade({"alg": algorithm, "kid": key_id}, good_claims()))


def test_the_token_brings_no_key_of_its_own(verifier: Verifier) -> None:
    own = published(OTHER_EC_KEY, "own")
    said = good_claims()
    for header in ({"jwk": own, "kid": "ec"}, {"jwk": own, "kid": "own"}, {"jku": "http://127.0.0.1:9/", "kid": "own"}):
        refuses(verifier, "Bearer " + jwt.encode(said, OTHER_EC_KEY, "ES256", header))


def test_a_signed_token_with_any_byte_altered_is_none(verifier: Verifier) -> None:
    good = token()
    assert verifier.caller(good).user == "alice"
    last = good.rindex(".")

    for at in range(len("Bearer "), len(good) - 1, 5):
        if at != last:
            refuses(verifier, good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :])
    refuses(verifier, good[:last])
    refuses(verifier, good[: last + 1])
    refuses(verifier, good + ".x")


MALFORMED = [
    handmade("[]", "{}"),
    handmade("null", "{}"),
    handmade('"ES256"', "{}"),
    handmade({"alg": "ES256", "kid": ["ec"]}, "{}"),
    handmade({"alg": "ES256", "kid": 7}, "{}"),
    handmade({"alg": "ES256", "kid": None}, "{}"),
    handmade({"alg": "ES256", "kid": "ec", "crit": ["exp"]}, "{}"),
    handmade({"alg": "ES256", "kid": "ec", "b64": False}, "{}"),
    handmade({"alg": "ES256", "kid": "ec"}, "[]"),
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


@pytest.mark.parametrize("authorization", MALFORMED, ids=lambda text: ascii(text)[:40])
def test_what_is_no_token_is_refused_and_no_fault(verifier: Verifier, authorization: str) -> None:
    refuses(verifier, authorization)


def test_a_token_with_a_very_deep_header_is_refused_and_no_fault(verifier: Verifier) -> None:
    refuses(verifier, handmade("[" * 5_000 + "]" * 5_000, "{}"))


SIGNED_NONSENSE: dict[str, Any] = {
    "exp": ["soon", None, [], {}, -1, 0],
    "nbf": ["soon", int(time.time()) + 600, []],
    "iat": ["soon", int(time.time()) + 600],
    "iss": [None, [ISSUER], ISSUER + "/", "", 7],
    "aud": [None, [], ["other"], "", {AUDIENCE: 1}, AUDIENCE.upper()],
    "sub": [None, 7, ["alice"], "a b", "alice\n", "ａｌｉｃｅ", "..", "x" * 65],
    "tenant": [None, 7, "a b", "main\n", "x" * 65, ["main"]],
    "roles": [None, "admin", {"admin": 1}, 7, True],
}


@pytest.mark.parametrize("claim", SIGNED_NONSENSE)
def test_a_signed_token_with_a_claim_of_another_form_is_refused(verifier: Verifier, claim: str) -> None:
    for wrong in SIGNED_NONSENSE[claim]:
        header = {"alg": "ES256", "kid": "ec"}
        refuses(verifier, handmade(header, good_claims() | {claim: wrong}, signed))


def test_a_signed_token_that_never_ends_is_refused(verifier: Verifier) -> None:
    claims = json.dumps(good_claims()).replace('"roles"', '"nbf": 1e999, "roles"')

    refuses(verifier, handmade({"alg": "ES256", "kid": "ec"}, claims, signed))


def test_admin_among_the_roles_and_nothing_else_makes_an_admin(verifier: Verifier) -> None:
    for roles in ([], ["Admin"], ["administrator"], [["admin"]], [None], ["admin "]):
        assert not verifier.caller(token(roles=roles)).admin
    assert verifier.caller(token(roles=[7, "admin"])).admin
    assert verifier.caller(token()).tenant == "main"


@pytest.mark.parametrize(("issuer", "audience"), [("", AUDIENCE), (ISSUER, ""), ("", "")])
def test_without_an_issuer_or_an_audience_set_no_token_is_accepted(issuer: str, audience: str) -> None:
    verifier = Verifier("key set", issuer, audience, read=lambda _: {"keys": KEYS})

    refuses(verifier, token(iss=issuer, aud=audience))


# Key sets


BROKEN_ENTRIES: list[Any] = [
    None, 7, "key", [], {}, {"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": 7, "y": 8, "kid": "a"},
    {"kty": "oct", "k": "c2VjcmV0", "kid": "ec", "alg": "HS256"}, {"kty": "RSA", "n": "", "e": "", "kid": "b"},
    published(EC_KEY, "384", alg="ES384"), {"kty": ["EC"]},
    {"kty": "EC", "crv": "P-256", "x": "A", "y": "A", "alg": []},
]  # fmt: skip


@pytest.mark.parametrize("entry", BROKEN_ENTRIES, ids=lambda entry: str(entry)[:30])
def test_a_broken_entry_does_not_spoil_the_others(entry: Any) -> None:
    verifier = Verifier("set", ISSUER, AUDIENCE, read=lambda _: {"keys": [entry, *KEYS]})

    assert verifier.caller(token()).user == "alice"
    assert verifier.caller(token(RSA_KEY, "RS256", "rsa")).user == "alice"


def test_an_entry_with_an_id_that_is_none_does_not_spoil_the_others() -> None:
    entry = published(OTHER_EC_KEY, "x") | {"kid": ["x"]}

    assert Verifier("set", ISSUER, AUDIENCE, read=lambda _: {"keys": [entry, *KEYS]}).caller(token()).user == "alice"


class Published:
    """A key set that can be changed, a clock, and how often the set was read."""

    def __init__(self, *keys: Any) -> None:
        self.keys: Any = list(keys)
        self.now, self.reads = 1_000.0, 0

    def read(self, _: str) -> dict[str, Any]:
        self.reads += 1
        if isinstance(self.keys, Exception):
            raise self.keys
        return {"keys": self.keys}

    def verifier(self) -> Verifier:
        return Verifier("set", ISSUER, AUDIENCE, read=self.read, clock=lambda: self.now)


def test_a_thousand_tokens_of_unknown_keys_read_the_set_once_a_minute() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    assert verifier.caller(token()).user == "alice"

    for number in range(1_000):
        source.now += 0.1
        refuses(verifier, handmade({"alg": "ES256", "kid": f"k{number}"}, good_claims()))

    assert source.reads <= 3
    assert verifier.caller(token()).user == "alice"


def test_a_new_key_is_known_a_minute_after_it_is_published() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    verifier.caller(token())
    source.keys = [published(OTHER_EC_KEY, "new")]
    source.now += 60

    assert verifier.caller(token(OTHER_EC_KEY, key_id="new")).user == "alice"
    refuses(verifier, token())


def test_a_withdrawn_key_is_no_longer_accepted_an_hour_later() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    verifier.caller(token())
    source.keys = [published(OTHER_EC_KEY, "new")]
    source.now += 3_600

    refuses(verifier, token())


def test_a_set_that_fails_is_not_hammered_and_known_keys_stay_good() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    verifier.caller(token())
    source.keys, source.now = OSError("down"), source.now + 60

    for _ in range(100):
        with pytest.raises((Unauthenticated, KeySetUnavailable)):
            verifier.caller(token(key_id="new"))
        assert verifier.caller(token()).user == "alice"

    assert source.reads == 2


@pytest.fixture
def misbehaving() -> Iterator[tuple[str, list[str]]]:
    """An address that answers as its path says, and the paths that were asked for."""
    asked: list[str] = []
    answers = {
        "/error": b"HTTP/1.0 500 Broken\r\n\r\n",
        "/html": b"HTTP/1.0 200 OK\r\n\r\n<html>",
        "/short": b"HTTP/1.0 200 OK\r\nContent-Length: 999\r\n\r\n{",
        "/garbage": b"hello\r\n\r\n",
        "/deep": b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000,
        "/binary": b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe",
        "/list": b"HTTP/1.0 200 OK\r\n\r\n[1]",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.wfile.write(answers[self.path])

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/error", "/html", "/binary", "/list", "/short", "/garbage", "/deep"])
def test_an_address_that_misbehaves_lets_nobody_in_and_is_not_hammered(
    misbehaving: tuple[str, list[str]], path: str
) -> None:
    address, asked = misbehaving
    verifier = Verifier(address + path, ISSUER, AUDIENCE)

    for _ in range(3):
        with pytest.raises(KeySetUnavailable):
            verifier.caller(token())

    assert asked == [path]


# What the gateway hands over, and the authorizer that it calls


VOUCHED = {"tenant": "main", "user": "alice", "admin": "false"}


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": "alice"},
        {"authorizer": []},
        {"authorizer": {}},
        {"authorizer": {"claims": VOUCHED}},
        *({"authorizer": {name: text for name, text in VOUCHED.items() if name != left_out}} for left_out in VOUCHED),
        *({"authorizer": VOUCHED | {"admin": admin}} for admin in (True, False, "True", "1", "", None, [], "true ")),
        *({"authorizer": VOUCHED | {"user": user}} for user in ("", "a#b", 7, None, "alice\n", ["alice"])),
        *({"authorizer": VOUCHED | {"tenant": tenant}} for tenant in ("", "a#b", 7, None, "x" * 65)),
    ],
    ids=str,
)
def test_nobody_is_the_caller_unless_the_gateway_vouches_for_all_of_it(context: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        caller_from(context)

    assert refused.value.refusal.reason == "unauthenticated"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """app.py as a new process loads it; other tests load it with their own environment."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": KEYS}))
    for name, setting in {"JWKS": str(file), "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}.items():
        monkeypatch.setenv(name, setting)
    spec = importlib.util.spec_from_file_location("app_of_this_test", Path(__file__).parent.parent / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def authorize(service: ModuleType, authorization: str) -> Any:
    """As API Gateway calls a TOKEN authorizer."""
    arn = "arn:aws:execute-api:us-east-1:1:api/api/POST/v1/pools/p/claim"
    return service.who_is_asking({"type": "TOKEN", "authorizationToken": authorization, "methodArn": arn}, None)


def test_the_authorizer_hands_on_tenant_user_and_role_as_text(service: ModuleType) -> None:
    said = authorize(service, token(tenant="acme", roles=["admin"]))

    assert said["principalId"] == "alice"
    assert said["context"] == {"tenant": "acme", "user": "alice", "admin": "true"}
    assert {each["Effect"] for each in said["policyDocument"]["Statement"]} == {"Allow"}
    assert caller_from({"authorizer": said["context"]}).admin


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", handmade({"alg": "none"}, "{}"), token(exp=1)], ids=lambda text: text[:20]
)
def test_the_authorizer_tells_the_gateway_401_in_the_words_it_knows(service: ModuleType, authorization: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(service, authorization)
