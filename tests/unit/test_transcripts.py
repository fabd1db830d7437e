"""The API guide matches the service: each of its exchanges is replayed and compared."""

from __future__ import annotations

import re

import pytest

from chalicelib.api.routes import ROUTES
from chalicelib.api.routing import ANY_MEDIA
from chalicelib.model.errors import CATALOG
from tools.docs.printing import printed, shortened
from tools.docs.transcripts import COMMIT, PAGE, exchanges, rendered, request_in, route_of

# What no request of a page brings about, and why.
NOT_SHOWN = {
    "throttled": "the engine is overloaded",
    "store_unavailable": "the engine does not answer a read",
    "outcome_unknown": "the engine does not answer a write",
    "request_in_progress": "two requests at the same moment",
    "batch_too_large": "a request of 101 ids",
}
ANSWER = re.compile(r"\nHTTP/1\.1.*?(?=^```$)", re.MULTILINE | re.DOTALL)


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_exchange_of_the_guide_matches_the_service(ministack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMIT", COMMIT)
    questions = ANSWER.sub("", page())
    assert "HTTP/1.1" not in questions, "nothing is taken over from the page"

    written = rendered(questions, ministack)

    assert written == page(), "run: make transcripts"


def test_the_guide_shows_a_success_of_every_route() -> None:
    done = [request_in(exchange) for _, exchange in exchanges(page()) if "\nHTTP/1.1 2" in exchange]
    shown = {route_of(each.method, each.path) for each in done}

    # The names of the console's files change with their content.
    missing = [each for at, each in enumerate(ROUTES) if at not in shown and each.media != ANY_MEDIA]
    assert [f"{each.method} {each.path}" for each in missing] == []


def test_the_guide_shows_every_reachable_refusal_and_lists_the_others() -> None:
    codes = {meaning.code or reason for reason, meaning in CATALOG.items()}
    shown = set(re.findall(r'"code": "(\w+)"', page()))
    named = page().rpartition("Not shown above")[2]

    assert codes - shown == NOT_SHOWN.keys()
    assert all(f"`{code}`" in named for code in NOT_SHOWN)


def test_an_omission_in_a_shown_response_is_marked() -> None:
    customer = {"id": "acme", "state": "available", "holder": None, "claim_id": None, "entered_pool_at": "noon"}

    assert printed(shortened({"customer": customer})) == (
        '{"customer": {"id": "acme", "state": "available", "holder": null, …}}'
    )
    assert shortened(customer | {"claim_id": "k"}, also=["entered_pool_at"]) == customer | {"claim_id": "k"}


def test_a_shown_response_fills_its_lines() -> None:
    many = {f"member{number}": "x" * 20 for number in range(9)}

    lines = printed(many).splitlines()

    assert max(map(len, lines)) <= 110
    assert len(lines) == 2 + 3
