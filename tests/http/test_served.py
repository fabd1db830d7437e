"""The whole service over real HTTP: app.py, its authorizer and its schedule, behind the local gateway."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from chalice.local import LambdaContext

from poolctl.local_keys import LocalKeys
from tests.support.conformance import assert_conforms
from tests.support.world import find
from tools.compression import MINIMUM_BYTES, compressed
from tools.local.gateway import LocalApi
from tools.local.seed import POOL, seed
from tools.local.service import load_app, scheduled_event
from tools.paths import PROJECT


@dataclass
class Served:
    url: str
    keys: LocalKeys
    module: ModuleType

    def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Return status, headers and body."""
        sent = headers if token is None else {"Authorization": f"Bearer {token}", **headers}
        content = None if body is None else json.dumps(body).encode()
        sent |= {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, content, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return checked(method, path, content or b"", answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            return checked(method, path, content or b"", refusal.code, refusal.headers, refusal.read())


def checked(method: str, path: str, sent: bytes, status: int, headers: Any, text: bytes) -> tuple[int, Any, Any]:
    """The document also declares the responses of the gateway itself for an existing route."""
    try:
        route, _ = find(method, path.partition("?")[0])
    except LookupError:
        return status, headers, json.loads(text or b"null")
    assert_conforms(route, sent, status, headers, text.decode())
    return status, headers, json.loads(text)


@pytest.fixture(scope="session")
def served(ministack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service with its demo pool, as `make run` starts it."""
    keys = LocalKeys(Path(tmp_path_factory.mktemp("keys"))).ensure()
    with patch.dict(os.environ):  # other tests of this process need their own environment
        module = load_app(ministack, keys)
        api = LocalApi(module.app)
    with api:
        seed(api.url, keys)
        yield Served(api.url, keys, module)


def test_the_conversation_of_the_readme_runs(served: Served) -> None:
    customer = f"/v1/pools/{POOL}/customers/acme"
    alice, bob = served.keys.token("alice"), served.keys.token("bob")

    first = served.call("POST", f"{customer}/claim", alice)
    second = served.call("POST", f"{customer}/claim", bob)
    third = served.call("POST", f"{customer}/release", alice)

    assert [first[0], second[0], third[0]] == [200, 409, 200]
    assert first[2]["holder"] == "alice"
    assert second[2]["code"] == "already_claimed"


def test_only_health_and_the_document_answer_without_a_token(served: Served) -> None:
    assert served.call("GET", "/v1/health")[0] == 200
    assert served.call("GET", "/v1/openapi.json")[2]["openapi"].startswith("3.1")

    for method, path in (("GET", "/v1/pools"), ("POST", f"/v1/pools/{POOL}/claim-next"), ("POST", "/v1/sweep")):
        status, headers, body = served.call(method, path)
        assert (status, body["code"]) == (401, "unauthenticated")
        assert headers["Content-Type"] == "application/problem+json"
        assert headers["Access-Control-Allow-Origin"] == "*"


def test_an_unknown_address_is_not_found_with_cors(served: Served) -> None:
    status, headers, body = served.call("GET", "/v1/nothing", served.keys.token("alice"))

    assert (status, body["code"]) == (404, "not_found")
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_a_semicolon_is_part_of_the_path(served: Served) -> None:
    alice = served.keys.token("alice")

    answers = [
        served.call("GET", f"/v1/pools/{POOL}{rest}", alice) for rest in ("/customers/acme;x=1", "/members/me;", ";x")
    ]
    named = served.call("GET", f"/v1/pools/{POOL}/customers?name=a;b", alice)

    names_another_user = (403, "not_manager")  # with the subject `me;`
    not_there = (404, "not_found")
    assert [(status, body["code"]) for status, _, body in answers] == [not_there, names_another_user, not_there]
    assert (named[0], named[2]["items"]) == (200, [])


def test_a_user_with_a_mapped_subject_is_a_member_by_subject_and_by_id(served: Served) -> None:
    root, erin = served.keys.token("root", ["admin"]), served.keys.token("auth0|erin/é%")
    member = f"/v1/pools/{POOL}/members/auth0%7Cerin%2F%C3%A9%25"

    made = served.call("PUT", member, root, {"role": "member"})
    shown = served.call("GET", f"/v1/pools/{POOL}/members/me", erin)
    listed = served.call("GET", f"/v1/pools/{POOL}/customers?holder=auth0%7Cerin", erin)
    removed = served.call("DELETE", member, served.keys.token("mona"))

    assert [status for status, _, _ in (made, shown, listed, removed)] == [200] * 4
    assert made[2]["user_id"] == shown[2]["user_id"] == removed[2]["user_id"]


def test_whitespace_around_a_header_value_is_ignored(served: Served) -> None:
    alice = served.keys.token("alice")

    status, _, body = served.call(
        "POST", f"/v1/pools/{POOL}/customers/nobody/claim", f"{alice} ", **{"Idempotency-Key": "k "}
    )

    assert (status, body["code"]) == (404, "not_found")


def test_a_browser_preflight_is_answered(served: Served) -> None:
    status, headers, _ = served.call("OPTIONS", f"/v1/pools/{POOL}/claim", Origin="https://example.org")

    assert status == 200
    assert "Idempotency-Key" in headers["Access-Control-Allow-Headers"]
    assert "POST" in headers["Access-Control-Allow-Methods"]


def test_every_response_has_its_own_request_id(served: Served) -> None:
    alice = served.keys.token("alice")
    requests = [
        ("GET", "/v1/health", None),
        ("GET", "/v1/pools", alice),
        ("GET", "/v1/pools", None),
        ("GET", "/no", alice),
    ]

    ids = [served.call(*each)[1]["X-Request-Id"] for each in requests]

    assert all(ids) and len(set(ids)) == len(requests)


def test_the_schedule_sweeps_through_the_same_app(served: Served) -> None:
    report = served.module.sweep_expired(scheduled_event(), LambdaContext("sweep_expired", 512, 60_000))

    assert report["failed"] == 0 and report["remaining"] == 0


def test_a_served_refusal_uses_the_language_of_the_client(served: Served) -> None:
    path, bob = f"/v1/pools/{POOL}/customers/nobody/claim", served.keys.token("bob")

    english = served.call("POST", path, bob, **{"Accept-Language": "en"})[2]
    chinese = served.call("POST", path, bob, **{"Accept-Language": "zh-CN,en;q=0.5"})[2]

    assert english["code"] == chinese["code"] == "not_found"
    assert chinese["title"] == "未找到。" != english["title"]


# Compression


def read_raw(
    served: Served, path: str, accepted: str | None, token: str | None = None, **headers: str
) -> tuple[Any, bytes]:
    """Return the headers and the unprocessed body of a response."""
    sent = headers | ({} if token is None else {"Authorization": f"Bearer {token}"})
    connection = HTTPConnection(served.url.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", path, headers=sent | ({} if accepted is None else {"Accept-Encoding": accepted}))
        answer = connection.getresponse()
        return answer.headers, answer.read()
    finally:
        connection.close()


def test_a_large_response_is_compressed_for_a_client_that_accepts_gzip(served: Served) -> None:
    plain_headers, plain = read_raw(served, "/v1/openapi.json", "identity")

    headers, body = read_raw(served, "/v1/openapi.json", "gzip, deflate, br", Origin="https://example.org")

    assert (headers["Content-Encoding"], headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(body) == plain and len(body) < len(plain) / 4
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert (plain_headers["Content-Encoding"], plain_headers["Vary"]) == (None, "Accept-Encoding")


def test_the_script_of_the_console_is_compressed_and_kept_by_browsers(served: Served) -> None:
    page, body = read_raw(served, "/console", "identity")
    script = "/console/" + body.decode().partition(' src="console/')[2].partition('"')[0]
    _, plain = read_raw(served, script, None)

    headers, compressed_script = read_raw(served, script, "gzip")

    assert page["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Content-Encoding"] == "gzip" and len(compressed_script) * 3 < len(plain)
    assert "immutable" in headers["Cache-Control"] and headers["Content-Type"] == "text/javascript"


def test_a_compressed_response_keeps_its_etag_and_small_ones_stay_plain(served: Served) -> None:
    mona = served.keys.token("mona")
    listed, _ = read_raw(served, f"/v1/pools/{POOL}/customers?limit=100", "gzip", mona)

    headers, body = read_raw(served, f"/v1/pools/{POOL}", "gzip", mona)
    health, small = read_raw(served, "/v1/health", "gzip")

    assert listed["Content-Encoding"] == "gzip"
    text = gzip.decompress(body) if headers["Content-Encoding"] else body
    assert headers["ETag"] == f'"{json.loads(text)["version"]}"'
    assert (health["Content-Encoding"], health["Vary"], json.loads(small)["status"]) == (None, None, "ok")


TAKES_GZIP = ["gzip", "GZIP", "x-gzip", "br, gzip;q=0.1", "*", "deflate;q=1, *;q=0.5", "gzip ; q=1.000, identity;q=0.5"]
TAKES_NONE: list[str | None] = [
    None, "", "identity", "br", "gzip;q=0", "gzip;q=0.000, *;q=1", "*;q=0", "gzip;q=0.5, identity", "gzip;q=2",
    "gzip;q=x", "gzip;level=9", "gzipped", ";;;", "gzip;q=0.5, *;q=0, identity;q=0.6",
]  # fmt: skip


@pytest.mark.parametrize("accepted", [*TAKES_GZIP, *TAKES_NONE])
def test_only_a_client_that_prefers_gzip_gets_it(accepted: str | None) -> None:
    headers, body = compressed({"ETag": '"1"'}, b"x" * MINIMUM_BYTES, accepted)

    assert ("Content-Encoding" in headers) == (accepted in TAKES_GZIP) == (len(body) < MINIMUM_BYTES)


def test_an_encoded_or_small_body_is_sent_unchanged() -> None:
    encoded = {"Content-Encoding": "br"}

    assert compressed(encoded, b"x" * 9999, "gzip") == (encoded, b"x" * 9999)
    assert compressed({}, b"x" * (MINIMUM_BYTES - 1), "gzip") == ({}, b"x" * (MINIMUM_BYTES - 1))


STOP_TWICE = """
import signal, sys
from tools.local.serve import stop_on_signals, wait_for_signal

signals, more = stop_on_signals(), [signal.SIGTERM, signal.SIGHUP, signal.SIGINT] * 5
sys.setprofile(lambda *call: more and signal.raise_signal(more.pop()))
signal.raise_signal(signal.SIGTERM)
sys.setprofile(None)
wait_for_signal(signals, engine=None)
"""


def test_a_second_stop_signal_during_shutdown_still_stops_the_server() -> None:
    result_of = subprocess.run([sys.executable, "-c", STOP_TWICE], cwd=PROJECT, timeout=30, check=False)

    assert result_of.returncode == 0
