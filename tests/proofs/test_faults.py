"""Failures of DynamoDB: nothing is lost, nothing is applied twice, and the client learns whether the outcome is
unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from tests.support.dynamodb_calls import hooked
from tests.support.network_faults import answer, cancelled, deliver, throttled
from tests.support.world import World

Strike = Callable[..., AWSResponse | None]


def struck(world: World, strike: Strike) -> AbstractContextManager[None]:
    """Let `strike` replace the response of every transaction sent."""
    return hooked(world, "before-send.dynamodb.TransactWriteItems", strike)


def times(count: int, reply: Callable[[], AWSResponse]) -> Strike:
    left = [count]

    def strike(**_: Any) -> AWSResponse | None:
        left[0] -= 1
        return reply() if left[0] >= 0 else None

    return strike


def test_a_transaction_conflict_is_retried(world: World) -> None:
    world.pool()
    world.fill(1)

    with struck(world, times(4, lambda: cancelled("TransactionConflict", "None"))):
        assert world.user("alice").claim("c1").status == 200


def test_endless_transaction_conflicts_return_throttled(moto_world: World) -> None:
    moto_world.pool()
    moto_world.fill(1)

    with struck(moto_world, times(10**6, lambda: cancelled("TransactionConflict", "None"))):
        refused = moto_world.user("alice").claim("c1")

    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "throttled", "1")
    assert moto_world.user("alice").claim("c1").status == 200


def test_endless_throttling_returns_throttled(moto_world: World) -> None:
    moto_world.pool()
    moto_world.fill(1)

    with struck(moto_world, times(10**6, throttled)):
        refused = moto_world.user("alice").claim("c1")

    assert (refused.status, refused.code) == (429, "throttled")


def test_a_lost_response_is_resolved_by_repeating_the_idempotency_key(world: World) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")

    with struck(world, times(10**6, lambda: answer(500, "<html>Internal Server Error</html>"))):
        unknown = alice.claim("c1", idempotency_key="k")

    assert (unknown.status, unknown.code) == (503, "outcome_unknown")
    assert alice.claim("c1", idempotency_key="k").status == 200
    assert alice.held() == 1


def lost(world: World) -> Strike:
    """DynamoDB commits; its first response is lost, and botocore retries the request."""
    state = {"sent": 0}

    def strike(request: Any, **_: Any) -> AWSResponse | None:
        state["sent"] += 1
        if state["sent"] != 1:
            return None
        deliver(world.table, request)
        raise ReadTimeoutError(endpoint_url="http://engine")

    return strike


def test_a_claim_whose_response_was_lost_is_reported_as_won(threaded: World) -> None:
    threaded.pool(holding_limit=1)
    threaded.fill(1)

    with struck(threaded, lost(threaded)):
        claimed = threaded.user("alice").claim("c1")

    assert (claimed.status, claimed.json["holder"]) == (200, "alice")
    assert threaded.user("alice").held() == 1


def test_a_release_whose_response_was_lost_is_applied_once(threaded: World) -> None:
    threaded.pool()
    threaded.fill(2)
    threaded.user("alice").claim_batch(["c1", "c2"])

    with struck(threaded, lost(threaded)):
        released = threaded.user("alice").release("c1")

    assert released.status == 200
    assert threaded.user("alice").held() == 1


def test_a_commit_that_arrives_after_its_request_timed_out_is_recognized(threaded: World) -> None:
    """DynamoDB has forgotten the request token: the retry fails on what the first attempt wrote."""
    threaded.pool(holding_limit=1)
    threaded.fill(1)
    late: list[Any] = []

    def strike(request: Any, **_: Any) -> AWSResponse | None:
        if not late:
            late.append(request)
            deliver(threaded.table, request)
            return cancelled("TransactionConflict", "None")
        return None

    with struck(threaded, strike):
        claimed = threaded.user("alice").claim("c1")

    assert (claimed.status, claimed.json["holder"]) == (200, "alice")
    assert threaded.user("alice").held() == 1


def test_failing_reads_return_service_unavailable(moto_world: World) -> None:
    moto_world.pool()
    moto_world.fill(1)

    with hooked(moto_world, "before-send.dynamodb.BatchGetItem", lambda **_: answer(500, "<html>no</html>")):
        refused = moto_world.user("alice").get("/customers/c1")

    assert (refused.status, refused.code) == (503, "store_unavailable")


def test_a_retried_transaction_keeps_its_client_request_token(moto_world: World) -> None:
    moto_world.pool()
    moto_world.fill(1)
    tokens: list[str] = []

    def strike(request: Any, **_: Any) -> AWSResponse | None:
        tokens.append(json.loads(request.body)["ClientRequestToken"])
        return cancelled("TransactionConflict", "None") if len(tokens) < 3 else None

    with struck(moto_world, strike):
        assert moto_world.user("alice").claim("c1").status == 200

    assert len(tokens) == 3 and len(set(tokens)) == 1
