"""Throttling: a throttled request is retried a few times in total, by any layer."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.dynamodb_calls import counted, hooked, operation_of
from tests.support.faults import WRITE, Pattern, client_error, first_throttled, inject_pattern, patterns
from tests.support.memory import Memory, cancelled, memory_table
from tests.support.network_faults import throttled
from tests.support.world import DAY, HOUR, Reply, World

MAX_REQUESTS = 4
ERRORS: dict[str, Callable[[str], Exception]] = {
    "the table": lambda call: client_error(call, "ProvisionedThroughputExceededException"),
    "the account": lambda call: client_error(call, "RequestLimitExceeded"),
    "the service": lambda call: client_error(call, "ThrottlingException"),
    "one of the items": lambda call: cancelled([None, {}], "ThrottlingError"),
    "an item that another request holds": lambda call: cancelled([{}, {}], "ThrottlingError"),
}
VERBS: dict[str, Callable[[World], Reply]] = {
    "claim": lambda w: w.alice.claim("c1"),
    "claim with a key": lambda w: w.alice.claim("c1", idempotency_key="k"),
    "batch": lambda w: w.alice.claim_batch([f"c{number}" for number in range(1, 31)]),
    "atomic batch": lambda w: w.alice.claim_batch(["c1", "c2"], atomic=True),
    "claim-next": lambda w: w.alice.claim_next(2),
    "release": lambda w: w.bob.release("c40"),
    "removal": lambda w: w.mona.delete("/members/bob?held=release"),
    "read": lambda w: w.alice.get("/customers/c1"),
    "list": lambda w: w.alice.get("/customers?state=available"),
    "sweep": lambda w: w.root.request("POST", "/v1/sweep", {}),
}


@contextmanager
def throttled_if(
    world: World, condition: Callable[[str], bool], error: Callable[[str], Exception] | None = None
) -> Iterator[None]:
    """DynamoDB throttles the calls for which the condition is true."""
    engine: Any = world.table.connection
    before = engine.before

    def throttle(call: str) -> None:
        before(call)
        if condition(call):
            raise (error or ERRORS["the service"])(call)

    engine.before = throttle
    try:
        yield
    finally:
        engine.before = before


@contextmanager
def throttling(
    world: World, error: Callable[[str], Exception], *, times: int = 10**6, only: str = "", spared: int = 0
) -> Iterator[None]:
    """DynamoDB throttles so many calls from now on: all of them, or those of one operation, after those spared."""
    left, unharmed = iter(range(times)), iter(range(spared))

    def is_hit(call: str) -> bool:
        return only in ("", call) and next(unharmed, None) is None and next(left, None) is not None

    with throttled_if(world, is_hit, error):
        yield


@pytest.fixture
def world() -> World:
    """A pool of forty customers, of whom bob holds the last."""
    world = World(memory_table(Memory()))
    world.pool(claim_ttl="PT1H", customers=40)
    world.bob.claim("c40")
    return world


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("error", ERRORS)
def test_a_claim_whose_transaction_is_throttled_makes_at_most_four_requests(
    world: World, error: str, cold: bool
) -> None:
    world.service = world.another_process() if cold else world.service

    with counted(world) as sent, throttling(world, ERRORS[error], only=WRITE):
        refused = world.alice.claim("c1")

    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "throttled", "1")
    assert sent[WRITE] > 1 and sent.total() <= MAX_REQUESTS
    assert world.alice.claim("c1").status == 200


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_throttled_request_makes_at_most_four_attempts(world: World, verb: str, cold: bool) -> None:
    world.service = world.another_process() if cold else world.service

    with counted(world) as sent, throttling(world, ERRORS["the table"]):
        refused = VERBS[verb](world)

    assert (refused.status, refused.code) == (429, "throttled")
    assert sent.total() <= MAX_REQUESTS


MULTI_CALL_CLAIMS: dict[str, Callable[[World], Reply]] = {  # some need several calls even where nothing is throttled
    "the first claim of the day": lambda w: w.alice.claim("c1"),
    "a claim with a key": lambda w: w.alice.claim("c1", idempotency_key="k"),
    "a claim at the limit, beside an own expired claim": lambda w: w.user("carl").claim("c1"),
    "a claim-next at the limit, beside an own expired claim": lambda w: w.user("carl").claim_next(1),
    "claim-next": lambda w: w.alice.claim_next(2),
    "claim-next with a key": lambda w: w.alice.claim_next(2, idempotency_key="k"),
}


def at_a_limit() -> World:
    """A pool where carl holds all he may, of which one claim has expired; alice last claimed yesterday."""
    world = World(memory_table(Memory()))
    world.pool(claim_ttl="PT1H", holding_limit=2, daily_claim_limit=5, members="alice bob carl", customers=40)
    world.alice.claim("c38")
    world.alice.release("c38")
    world.clock.forward(DAY)
    world.user("carl").claim("c39")
    world.clock.forward(HOUR - 1)
    world.user("carl").claim("c40")
    world.clock.forward(1)
    return world


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("claim", MULTI_CALL_CLAIMS)
def test_a_claim_under_any_pattern_of_throttling_sends_at_most_four_requests(claim: str, cold: bool) -> None:
    needed = requests_without_throttling(claim, cold)

    def calls_under(pattern: Pattern) -> list[str]:
        world = at_a_limit()
        world.service = world.another_process() if cold else world.service
        before = stored_items(world)
        calls = inject_pattern(engine_of(world), pattern)
        reply = MULTI_CALL_CLAIMS[claim](world)
        first = first_throttled(pattern)
        if first is not None:
            unchanged = stored_items(world) == before
            assert reply.status == 200 or reply.code == ("throttled" if unchanged else "outcome_unknown")
            searching = needed + 1 + len(pattern) if "next" in claim else 0
            assert len(calls) <= max(MAX_REQUESTS, first, searching), (pattern, calls)
        return calls

    assert len(list(patterns(calls_under, 3))) > needed


def engine_of(world: World) -> Memory:
    assert isinstance(world.table.connection, Memory)
    return world.table.connection


def stored_items(world: World) -> dict[Any, Any]:
    return dict(engine_of(world).items)


def requests_without_throttling(claim: str, cold: bool) -> int:
    """How many requests to DynamoDB that claim makes where nothing is throttled."""
    world = at_a_limit()
    world.service = world.another_process() if cold else world.service
    with counted(world) as sent:
        assert MULTI_CALL_CLAIMS[claim](world).status == 200
    return sent.total()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("read", "list", "sweep")])
def test_a_throttled_transaction_is_retried_at_most_twice(world: World, verb: str) -> None:
    with counted(world) as sent, throttling(world, ERRORS["one of the items"], only=WRITE):
        refused = VERBS[verb](world)

    assert (refused.status, refused.code) == (429, "throttled")
    assert sent[WRITE] <= 3


@pytest.mark.parametrize("error", ERRORS)
def test_a_claim_throttled_twice_succeeds(world: World, error: str) -> None:
    with throttling(world, ERRORS[error], times=2, only=WRITE):
        assert world.alice.claim("c1").status == 200

    assert world.mona.events("c1") == ["imported", "claimed"]


def test_a_read_throttled_twice_succeeds(world: World) -> None:
    with throttling(world, ERRORS["the table"], times=2):
        assert world.alice.get("/customers/c1").status == 200


@pytest.mark.parametrize("verb", ["removal", "audit", "pause"])
def test_a_long_request_completes_despite_occasional_throttling(world: World, verb: str) -> None:
    for start in range(0, 250, 50):
        world.bob.claim_batch(world.fill(50, prefix=f"d{start}x"))
    requests: dict[str, Callable[[], Reply]] = {
        "removal": lambda: VERBS["removal"](world),
        "audit": lambda: world.root.request("POST", "/v1/audit", {}),
        "pause": lambda: world.root.post("/pause"),
    }
    calls = itertools.count(1)

    with throttled_if(world, lambda call: next(calls) % 4 == 0):
        reply = requests[verb]()

    assert reply.status == 200


def test_each_request_has_its_own_retry_budget(world: World) -> None:
    for customer in ("c1", "c2", "c3"):
        with throttling(world, ERRORS["the table"], times=2, only=WRITE):
            assert world.alice.claim(customer).status == 200


def test_the_low_level_client_retries_nothing(moto_world: World) -> None:
    moto_world.pool(customers=1)
    sent: Counter[str] = Counter()

    def throttle(request: Any, **_: Any) -> Any:
        sent[operation_of(request)] += 1
        return throttled()

    with hooked(moto_world, "before-send.dynamodb", throttle):
        refused = moto_world.alice.claim("c1")

    assert (refused.status, refused.code) == (429, "throttled")
    assert sent == {WRITE: 3}


# The sweep


def pool_with_expired_claims(count: int) -> World:
    world = World(memory_table(Memory()))
    world.pool(claim_ttl="PT1H")
    ids = world.fill(count)
    for start in range(0, count, 90):
        world.alice.claim_batch(ids[start : start + 90])
    world.clock.forward(HOUR)
    return world


def two_pools_with_expired_claims() -> World:
    """Thirty due claims in the pool a, and thirty in b."""
    world = World(memory_table(Memory()))
    for pool in ("a", "b"):
        world.pool(pool, claim_ttl="PT1H")
        world.user("alice", pool=pool).claim_batch(world.fill(30, pool=pool))
    world.clock.forward(HOUR)
    return world


def test_a_throttled_sweep_reports_no_failure_and_leaves_the_rest() -> None:
    world = two_pools_with_expired_claims()

    with counted(world) as sent, throttling(world, ERRORS["one of the items"], only=WRITE):
        report = world.sweep()

    assert (report.due, report.returned, report.failed, report.remaining) == (60, 0, 0, 60)
    assert sent[WRITE] <= MAX_REQUESTS
    again = world.sweep()
    assert (again.returned, again.failed, again.remaining) == (60, 0, 0)


def test_a_sweep_that_is_throttled_midway_reports_what_it_returned() -> None:
    world = pool_with_expired_claims(250)
    calls = iter([False])

    with throttled_if(world, lambda call: call == WRITE and next(calls, True)):
        report = world.sweep()

    assert report.due == 250 and report.failed == 0
    assert report.returned == len(world.mona.walk("/customers?state=available")) > 0
    assert report.remaining == 250 - report.returned


def test_a_throttled_pool_does_not_stop_the_sweep_of_the_next() -> None:
    world = two_pools_with_expired_claims()
    engine: Any = world.table.connection

    def writes_to_pool_a(call: str) -> bool:
        return call == WRITE and any("#P#a#" in action.key.pk for action in engine.sent.actions)

    with throttled_if(world, writes_to_pool_a):
        report = world.sweep()

    assert (report.due, report.returned, report.failed, report.remaining) == (60, 30, 0, 30)
    assert len(world.user("mona", pool="b").walk("/customers?state=available")) == 30


def test_a_sweep_continues_after_occasional_throttling() -> None:
    world = pool_with_expired_claims(270)
    turns = iter([True, True, False] * 100)

    with throttled_if(world, lambda call: call == WRITE and next(turns)):
        report = world.sweep()

    assert (report.returned, report.failed, report.remaining) == (270, 0, 0)


def test_claim_next_that_is_throttled_after_its_first_transaction_returns_what_it_took() -> None:
    world = World(memory_table(Memory()))
    world.pool(customers=150)

    with throttling(world, ERRORS["the table"], only=WRITE, spared=1):
        some = world.alice.claim_next(100)

    assert some.status == 200
    assert 0 < len(some.json["items"]) == world.alice.held() < 100
    assert {each["holder"] for each in some.json["items"]} == {"alice"}


def test_a_batch_that_is_throttled_after_its_first_transaction_does_not_report_that_nothing_changed() -> None:
    world = World(memory_table(Memory()))
    world.pool(customers=150)
    ids = [f"c{number}" for number in range(1, 101)]

    with throttling(world, ERRORS["the table"], only=WRITE, spared=1):
        unknown = world.alice.claim_batch(ids, idempotency_key="k")
    again = world.alice.claim_batch(ids, idempotency_key="k")

    assert (unknown.status, unknown.code) == (503, "outcome_unknown")
    assert again.results == ["ok"] * 100 and world.alice.held() == 100
