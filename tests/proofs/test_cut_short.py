"""Requests cut short: the process dies at any of its transactions, and the repetition makes it whole and once only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.dynamodb_calls import Crash, failing
from tests.support.world import HOUR, Reply, World


def cut_short(world: World, send: Callable[[str], Reply]) -> Iterator[Reply]:
    """Yield the response to a repetition after a death before and after each transaction in turn."""
    for moment in ("before-call", "after-call"):
        for call_number in range(1, 12):
            key = f"{moment}-{call_number}"
            whole = False
            try:
                with failing(world, call_number, moment):
                    send(key)
                whole = True
            except Crash:
                world.service = world.another_process()
            repeated = send(key)
            assert send(key).text == repeated.text
            yield repeated
            if whole:
                break
        assert call_number > 1, "nothing was cut short"


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_repeating_a_batch_interrupted_at_any_call_completes_it_once(threaded: World, moment: str) -> None:
    threaded.pool()
    ids = [*threaded.fill(100)[1:], "nobody"]
    alice = threaded.user("alice")

    for call_number in range(1, 5):
        key = f"{moment}-{call_number}"
        try:
            with failing(threaded, call_number, moment, operation=""):
                alice.claim_batch(ids, idempotency_key=key)
        except Crash:
            threaded.service = threaded.another_process()
        repeated = alice.claim_batch(ids, idempotency_key=key)

        assert repeated.json["summary"] == {"ok": 99, "failed": 1}
        assert alice.held() == 99
        assert alice.claim_batch(ids, idempotency_key=key).text == repeated.text
        alice.release_batch(ids)


def test_repeating_an_interrupted_import_without_ids_creates_each_row_once(threaded: World) -> None:
    mona = threaded.pool()
    rows = {"rows": [{"name": f"Row {number}"} for number in range(100)]}
    made: set[str] = set()

    replies = cut_short(threaded, lambda key: mona.post("/import", rows, idempotency_key=key))
    for number, reply in enumerate(replies, 1):
        assert reply.json["summary"] == {"ok": 100, "failed": 0}
        made |= {each["id"] for each in reply.json["results"]}
        listed = [each["id"] for each in mona.walk("/customers")]
        assert len(listed) == len(made) == number * 100 and set(listed) == made


def test_repeating_a_crashed_claim_next_takes_no_more_after_the_list_changed(world: World) -> None:
    world.pool(cooldown="PT1H")
    mona, alice = world.user("mona"), world.user("alice")
    for each in ("best1", "best2"):
        mona.post("/customers", {"id": each, "name": each, "priority": 9})
        alice.claim(each)
        alice.release(each)
    world.fill(6)
    with pytest.raises(Crash), failing(world, 2):
        alice.claim_next(2, idempotency_key="k")
    assert alice.held() == 2

    world.clock.forward(HOUR)
    repeated = alice.claim_next(2, idempotency_key="k")

    assert len(repeated.json["items"]) == alice.held() == 2


@pytest.mark.parametrize("body", [None, {"id": "q", "name": "Q"}])
def test_a_table_failure_is_never_stored_as_a_response(world: World, body: Any) -> None:
    world.pool()
    world.fill(1)
    root, alice = world.user("root", admin=True), world.user("alice")

    def send() -> Reply:
        if body is None:
            return alice.claim("c1", idempotency_key="k")
        return root.request("POST", "/v1/pools", body, idempotency_key="k")

    with failing(world, 1, error=lambda: EndpointConnectionError(endpoint_url="engine")):
        broken = send()
    repeated = send()

    assert (broken.status, broken.code, broken.headers["Retry-After"]) == (503, "outcome_unknown", "1")
    assert repeated.status in (200, 201) and "Idempotent-Replayed" not in repeated.headers
