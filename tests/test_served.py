"""The whole service over real HTTP: app.py, its authorizer and its schedule, behind the local gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from chalice.local import LambdaContext

from tests.conformance import assert_conforms
from tests.world import find
from tools.gateway import LocalApi
from tools.keys import LocalKeys
from tools.local_service import load_app, scheduled_event
from tools.paths import PROJECT
from tools.seed import POOL, seed


@dataclass
class Served:
    url: str
    keys: LocalKeys
    module: ModuleType

    def call(self, method: str, path: str, token: str | None = None, **headers: str) -> tuple[int, Any, Any]:
        """Status, headers and body."""
        sent = headers if token is None else {"Authorization": f"Bearer {token}", **headers}
        request = urllib.request.Request(self.url + path, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return told(method, path, answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            return told(method, path, refusal.code, refusal.headers, refusal.read())


def told(method: str, path: str, status: int, headers: Any, text: bytes) -> tuple[int, Any, Any]:
    """What the gateway says itself, of an address that is a route, is in the document too."""
    try:
        route, _ = find(method, path.partition("?")[0])
    except LookupError:
        return status, headers, json.loads(text or b"null")
    assert_conforms(route, b"", status, headers, text.decode())
    return status, headers, json.loads(text)


@pytest.fixture(scope="session")
def served(ministack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service with its demo pool, as `make run` starts it."""
    keys = LocalKeys(Path(tmp_path_factory.mktemp("keys"))).ensure()
    with patch.dict(os.environ):  # the other tests of this process have an environment of their own
        module = load_app(ministack, keys)
        api = LocalApi(module.app)
    with api:
        seed(api.url, keys)
        yield Served(api.url, keys, module)


def test_the_conversation_of_the_readme(served: Served) -> None:
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


def test_what_follows_a_semicolon_is_part_of_the_address(served: Served) -> None:
    alice = served.keys.token("alice")

    answers = [
        served.call("GET", f"/v1/pools/{POOL}{rest}", alice) for rest in ("/customers/acme;x=1", "/members/me;", ";x")
    ]
    named = served.call("GET", f"/v1/pools/{POOL}/customers?name=a;b", alice)

    assert [(status, body["code"]) for status, _, body in answers] == [(404, "not_found")] * 3
    assert (named[0], named[2]["items"]) == (200, [])


def test_spaces_around_the_value_of_a_header_are_none_of_it(served: Served) -> None:
    alice = served.keys.token("alice")

    status, _, body = served.call(
        "POST", f"/v1/pools/{POOL}/customers/nobody/claim", f"{alice} ", **{"Idempotency-Key": "k "}
    )

    assert (status, body["code"]) == (404, "not_found")


def test_a_browser_may_ask_first(served: Served) -> None:
    status, headers, _ = served.call("OPTIONS", f"/v1/pools/{POOL}/claim", Origin="https://example.org")

    assert status == 200
    assert "Idempotency-Key" in headers["Access-Control-Allow-Headers"]
    assert "POST" in headers["Access-Control-Allow-Methods"]


def test_every_answer_carries_an_id_of_its_own(served: Served) -> None:
    alice = served.keys.token("alice")
    asked = [
        ("GET", "/v1/health", None),
        ("GET", "/v1/pools", alice),
        ("GET", "/v1/pools", None),
        ("GET", "/no", alice),
    ]

    ids = [served.call(*each)[1]["X-Request-Id"] for each in asked]

    assert all(ids) and len(set(ids)) == len(asked)


def test_the_schedule_sweeps_through_the_same_app(served: Served) -> None:
    report = served.module.sweep_expired(scheduled_event(), LambdaContext("sweep_expired", 512, 60_000))

    assert report["failed"] == 0 and report["remaining"] == 0


def test_a_refusal_speaks_the_language_of_the_client(served: Served) -> None:
    path, bob = f"/v1/pools/{POOL}/customers/nobody/claim", served.keys.token("bob")

    english = served.call("POST", path, bob, **{"Accept-Language": "en"})[2]
    chinese = served.call("POST", path, bob, **{"Accept-Language": "zh-CN,en;q=0.5"})[2]

    assert english["code"] == chinese["code"] == "not_found"
    assert chinese["title"] == "未找到。" != english["title"]


STOPPED = """
import signal, sys
from tools.serve import stop_on_signals, wait_until_asked

asked, more = stop_on_signals(), [signal.SIGTERM, signal.SIGHUP, signal.SIGINT] * 5
sys.setprofile(lambda *call: more and signal.raise_signal(more.pop()))
signal.raise_signal(signal.SIGTERM)
sys.setprofile(None)
wait_until_asked(asked, engine=None)
"""


def test_being_told_to_stop_while_being_told_to_stop_is_no_reason_to_go_on() -> None:
    ended = subprocess.run([sys.executable, "-c", STOPPED], cwd=PROJECT, timeout=30, check=False)

    assert ended.returncode == 0
