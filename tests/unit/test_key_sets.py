"""Key sets: found, renewed, withdrawn, broken, out of reach; and never hammered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.api.auth import KeySetUnavailable, Unauthenticated, Verifier
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
    token,
)


class Published:
    """A key set that can be changed, or fail; a clock; and how often the set was read."""

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


BROKEN_ENTRIES: list[Any] = [
    None, 7, "key", [], {}, {"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": 7, "y": 8, "kid": "a"},
    {"kty": "oct", "k": "c2VjcmV0", "kid": "ec", "alg": "HS256"}, {"kty": "RSA", "n": "", "e": "", "kid": "b"},
    published(OTHER_EC_KEY, "384", alg="ES384"), {"kty": ["EC"]}, published(OTHER_EC_KEY, "x") | {"kid": ["x"]},
    {"kty": "EC", "crv": "P-256", "x": "A", "y": "A", "alg": []},
]  # fmt: skip


@pytest.mark.parametrize("entry", BROKEN_ENTRIES, ids=range(len(BROKEN_ENTRIES)))
def test_a_malformed_key_does_not_affect_the_others(entry: Any) -> None:
    verifier = Published(entry, *KEYS).verifier()

    assert verifier.caller(token()).user == "alice"
    assert verifier.caller(token(RSA_KEY, "RS256", "rsa")).user == "alice"


# As time goes by


def test_a_thousand_tokens_with_unknown_keys_fetch_the_key_set_once_a_minute() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    assert verifier.caller(token()).user == "alice"

    for number in range(1_000):
        source.now += 0.1
        with pytest.raises(Unauthenticated):
            verifier.caller(handmade({"alg": "ES256", "kid": f"k{number}"}, claims()))

    assert source.reads <= 3
    assert verifier.caller(token()).user == "alice"


SHORT_RSA_KEY = rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize("purpose", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": []}, {"key_ops": "verify"},
                                     {"use": "sig", "key_ops": ["sign"]}, {"use": None}])  # fmt: skip
def test_a_key_for_another_purpose_verifies_no_token(purpose: dict[str, Any]) -> None:
    verifier = Published(published(EC_KEY, "ec", **purpose)).verifier()

    with pytest.raises(Unauthenticated):
        verifier.caller(token())


@pytest.mark.parametrize("purpose", [{"use": "sig"}, {"key_ops": ["verify"]}, {"use": "sig", "key_ops": ["verify"]}])
def test_a_key_for_signatures_verifies_a_token(purpose: dict[str, Any]) -> None:
    assert Published(published(EC_KEY, "ec") | purpose).verifier().caller(token()).user == "alice"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_an_rsa_key_below_2048_bits_verifies_no_token() -> None:
    verifier = Published(published(SHORT_RSA_KEY, "short")).verifier()

    with pytest.raises(Unauthenticated):
        verifier.caller(token(SHORT_RSA_KEY, "RS256", "short"))


@pytest.mark.parametrize("before", [[], KEYS], ids=["none before", "others before"])
def test_a_new_key_is_accepted_a_minute_after_publication(before: list[Any]) -> None:
    source, new = Published(*before), token(OTHER_EC_KEY, key_id="new")
    verifier = source.verifier()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            verifier.caller(new)
    assert source.reads == 1

    source.keys = [published(OTHER_EC_KEY, "new")]
    source.now += 60

    assert verifier.caller(new).user == "alice"
    with pytest.raises(Unauthenticated):
        verifier.caller(token())


def test_a_withdrawn_key_is_no_longer_accepted_an_hour_later() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    verifier.caller(token())

    source.keys = [published(OTHER_EC_KEY, "new")]
    source.now += 3_600

    with pytest.raises(Unauthenticated):
        verifier.caller(token())


def test_a_failing_key_set_is_fetched_rarely_and_known_keys_stay_valid() -> None:
    source = Published(*KEYS)
    verifier = source.verifier()
    verifier.caller(token())
    source.keys, source.now = OSError("down"), source.now + 60

    for _ in range(100):
        with pytest.raises((Unauthenticated, KeySetUnavailable)):
            verifier.caller(token(key_id="new"))
        assert verifier.caller(token()).user == "alice"

    assert source.reads == 2


def test_a_recovered_key_set_is_fetched_again() -> None:
    source = Published()
    source.keys = OSError("no route")
    verifier = source.verifier()
    for _ in range(3):
        with pytest.raises(KeySetUnavailable):
            verifier.caller(token())

    source.keys = KEYS
    source.now += 6

    assert verifier.caller(token()).user == "alice"


# Where they are


def test_a_key_set_is_read_from_an_address_or_a_file(address: str, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": KEYS}))

    for source in (f"{address}/good", str(file)):
        assert Verifier(source, ISSUER, AUDIENCE).caller(token()).user == "alice"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"keys": 7}', b"{}"])
def test_an_invalid_key_set_file_is_reported_as_unavailable(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "jwks.json"
    source.write_bytes(content)

    with pytest.raises(KeySetUnavailable):
        Verifier(str(source), ISSUER, AUDIENCE).caller(token())


@pytest.mark.parametrize("source", ["missing.json", "http://127.0.0.1:9/jwks.json", ""])
def test_a_missing_key_set_is_reported_as_unavailable(source: str) -> None:
    with pytest.raises(KeySetUnavailable):
        Verifier(source, ISSUER, AUDIENCE).caller(token())


MISBEHAVING = {
    "/error": b"HTTP/1.0 500 Broken\r\n\r\n",
    "/html": b"HTTP/1.0 200 OK\r\n\r\n<html>",
    "/short": b"HTTP/1.0 200 OK\r\nContent-Length: 999\r\n\r\n{",
    "/garbage": b"hello\r\n\r\n",
    "/deep": b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000,
    "/binary": b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe",
    "/list": b"HTTP/1.0 200 OK\r\n\r\n[1]",
}
requested_paths: list[str] = []


@pytest.mark.parametrize("path", MISBEHAVING)
def test_a_misbehaving_key_set_address_is_unavailable_and_fetched_rarely(address: str, path: str) -> None:
    verifier = Verifier(address + path, ISSUER, AUDIENCE)

    for _ in range(3):
        with pytest.raises(KeySetUnavailable):
            verifier.caller(token())

    assert requested_paths.count(path) == 1


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Respond as the path selects, and record the requested paths in `requested_paths`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested_paths.append(self.path)
            good = b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps({"keys": KEYS}).encode()
            self.wfile.write(MISBEHAVING.get(self.path, good))

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
