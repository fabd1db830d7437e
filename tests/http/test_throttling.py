"""Throttling: a request that DynamoDB throttles is repeated very few times, whichever layer could repeat it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.engine import counted, hooked, operation_of
from tests.support.faults import WRITE, said
from tests.support.memory import Memory, cancelled, memory_table
from tests.support.network_faults import throttled
from tests.support.world import DAY, HOUR, Reply, World

MOST = 4
ERRORS: dict[str, Callable[[str], Exception]] = {
    "the table": lambda call: said(call, "ProvisionedThroughputExceededException"),
    "the account": lambda call: said(call, "RequestLimitExceeded"),
    "the service": lambda call: said(call, "ThrottlingException"),
    "one of the items": lambda call: cancelled([None, {}], "ThrottlingError"),
    "an item that another request holds": lambda call: cancelled([{}, {}], "ThrottlingError"),
}
VERBS: dict[str, Callable[[World], Reply]] = {
    "claim": lambda w: w.user("alice").claim("c1"),
    "claim with a key": lambda w: w.user("alice").claim("c1", idempotency_key="k"),
    "batch": lambda w: w.user("alice").claim_batch([f"c{number}" for number in range(1, 31)]),
    "atomic batch": lambda w: w.user("alice").claim_batch(["c1", "c2"], atomic=True),
    "claim-next": lambda w: w.user("alice").claim_next(2),
    "release": lambda w: w.user("bob").release("c40"),
    "removal": lambda w: w.user("mona").delete("/members/bob?held=release"),
    "read": lambda w: w.user("alice").get("/customers/c1"),
    "list": lambda w: w.user("alice").get("/customers?state=available"),
    "sweep": lambda w: w.user("root", admin=True).request("POST", "/v1/sweep", {}),
}


@contextmanager
def throttling(
    world: World, error: Callable[[str], Exception], *, times: int = 10**6, only: str = "", spared: int = 0
) -> Iterator[None]:
    """DynamoDB throttles so many calls from now on: all of them, or those of one operation, after those spared."""
    engine, left, unharmed = world.table.connection, iter(range(times)), iter(range(spared))
    assert isinstance(engine, Memory)
    before = engine.before

    def strike(call: str) -> None:
        before(call)
        if only in ("", call) and next(unharmed, None) is None and next(left, None) is not None:
            raise error(call)

    engine.before = strike
    try:
        yield
    finally:
        engine.before = before


@pytest.fixture
def made() -> World:
    """A pool of forty customers, of whom bob holds the last."""
    world = World(memory_table(Memory()))
    world.pool(claim_ttl="PT1H", customers=40)
    world.bob.claim("c40")
    return world


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("error", ERRORS)
def test_a_claim_whose_transaction_is_throttled_makes_at_most_four_requests(
    made: World, error: str, cold: bool
) -> None:
    made.service = made.another_process() if cold else made.service

    with counted(made) as sent, throttling(made, ERRORS[error], only=WRITE):
        refused = made.alice.claim("c1")

    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "throttled", "1")
    assert sent[WRITE] > 1 and sent.total() <= MOST
    assert made.alice.claim("c1").status == 200


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_throttled_request_makes_at_most_four_attempts(made: World, verb: str, cold: bool) -> None:
    made.service = made.another_process() if cold else made.service

    with counted(made) as sent, throttling(made, ERRORS["the table"]):
        refused = VERBS[verb](made)

    assert (refused.status, refused.code) == (429, "throttled")
    assert sent.total() <= MOST


LATE: dict[str, Callable[[World], Reply]] = {  # some need several calls even where nothing is throttled
    "the first claim of the day": lambda w: w.user("alice").claim("c1"),
    "a claim with a key": lambda w: w.user("alice").claim("c1", idempotency_key="k"),
    "a claim at the limit, beside an own expired claim": lambda w: w.user("carl").claim("c1"),
    "a claim-next at the limit, beside an own expired claim": lambda w: w.user("carl").claim_next(1),
    "claim-next": lambda w: w.user("alice").claim_next(2),
    "claim-next with a key": lambda w: w.user("alice").claim_next(2, idempotency_key="k"),
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


@pytest.mark.slow
@pytest.mark.parametrize("only", ["", WRITE], ids=["calls", "writes"])
@pytest.mark.parametrize("times", [1, 2, 10**6], ids=["once", "twice", "from then on"])
@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("claim", LATE)
def test_a_claim_throttled_at_any_of_its_calls_makes_at_most_four_or_one_more_than_undisturbed(
    claim: str, cold: bool, times: int, only: str
) -> None:
    needed = undisturbed(claim, cold)

    for spared in range(needed):
        world = at_a_limit()
        world.service = world.another_process() if cold else world.service
        before = stored_items(world)
        with counted(world) as sent, throttling(world, ERRORS["the table"], times=times, spared=spared, only=only):
            reply = LATE[claim](world)

        unchanged = stored_items(world) == before
        assert reply.status == 200 or reply.code == ("throttled" if unchanged else "outcome_unknown")
        assert sent.total() <= max(MOST, needed + (times == 1)), spared


def stored_items(world: World) -> dict[Any, Any]:
    assert isinstance(world.table.connection, Memory)
    return dict(world.table.connection.items)


def undisturbed(claim: str, cold: bool) -> int:
    """How many requests to DynamoDB that claim makes where nothing is throttled."""
    world = at_a_limit()
    world.service = world.another_process() if cold else world.service
    with counted(world) as sent:
        assert LATE[claim](world).status == 200
    return sent.total()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("read", "list", "sweep")])
def test_a_throttled_transaction_is_retried_at_most_twice(made: World, verb: str) -> None:
    with counted(made) as sent, throttling(made, ERRORS["one of the items"], only=WRITE):
        refused = VERBS[verb](made)

    assert (refused.status, refused.code) == (429, "throttled")
    assert sent[WRITE] <= 3


@pytest.mark.parametrize("error", ERRORS)
def test_a_claim_throttled_twice_succeeds(made: World, error: str) -> None:
    with throttling(made, ERRORS[error], times=2, only=WRITE):
        assert made.alice.claim("c1").status == 200

    assert made.mona.events("c1") == ["imported", "claimed"]


def test_a_read_throttled_twice_succeeds(made: World) -> None:
    with throttling(made, ERRORS["the table"], times=2):
        assert made.alice.get("/customers/c1").status == 200


@pytest.mark.parametrize("verb", ["removal", "audit", "pause"])
def test_a_long_request_completes_despite_occasional_throttling(made: World, verb: str) -> None:
    for start in range(0, 250, 50):
        made.bob.claim_batch(made.fill(50, prefix=f"d{start}x"))
    asked: dict[str, Callable[[], Reply]] = {
        "removal": lambda: VERBS["removal"](made),
        "audit": lambda: made.root.request("POST", "/v1/audit", {}),
        "pause": lambda: made.root.post("/pause"),
    }
    calls = itertools.count(1)
    engine: Any = made.table.connection

    def strike(call: str) -> None:
        if next(calls) % 4 == 0:
            raise said(call, "ThrottlingException")

    engine.before = strike
    reply = asked[verb]()
    engine.before = lambda call: None

    assert reply.status == 200


def test_each_request_has_its_own_retry_budget(made: World) -> None:
    for customer in ("c1", "c2", "c3"):
        with throttling(made, ERRORS["the table"], times=2, only=WRITE):
            assert made.alice.claim(customer).status == 200


def test_the_low_level_client_retries_nothing(moto_world: World) -> None:
    moto_world.pool(customers=1)
    sent: Counter[str] = Counter()

    def strike(request: Any, **_: Any) -> Any:
        sent[operation_of(request)] += 1
        return throttled()

    with hooked(moto_world, "before-send.dynamodb", strike):
        refused = moto_world.alice.claim("c1")

    assert (refused.status, refused.code) == (429, "throttled")
    assert sent == {WRITE: 3}


# The sweep


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
    assert sent[WRITE] <= MOST
    again = world.sweep()
    assert (again.returned, again.failed, again.remaining) == (60, 0, 0)


def test_a_sweep_that_is_throttled_midway_reports_what_it_returned() -> None:
    world = World(memory_table(Memory()))
    world.pool(claim_ttl="PT1H")
    ids = world.fill(250)
    for start in (0, 90, 180):
        world.alice.claim_batch(ids[start : start + 90])
    world.clock.forward(HOUR)
    engine: Any = world.table.connection
    calls = iter([False])

    def strike(call: str) -> None:
        if call == WRITE and next(calls, True):
            raise said(call, "ThrottlingException")

    engine.before = strike
    report = world.sweep()
    engine.before = lambda call: None

    assert report.due == 250 and report.failed == 0
    assert report.returned == len(world.mona.walk("/customers?state=available")) > 0
    assert report.remaining == 250 - report.returned


def test_a_throttled_pool_does_not_stop_the_sweep_of_the_next() -> None:
    world = two_pools_with_expired_claims()
    engine: Any = world.table.connection

    def strike(call: str) -> None:
        if call == WRITE and any("#P#a#" in action.key.pk for action in engine.sent.actions):
            raise said(call, "ThrottlingException")

    engine.before = strike
    report = world.sweep()
    engine.before = lambda call: None

    assert (report.due, report.returned, report.failed, report.remaining) == (60, 30, 0, 30)
    assert len(world.user("mona", pool="b").walk("/customers?state=available")) == 30


def test_a_sweep_continues_after_occasional_throttling() -> None:
    world = World(memory_table(Memory()))
    world.pool(claim_ttl="PT1H")
    ids = world.fill(270)
    for start in (0, 90, 180):
        world.alice.claim_batch(ids[start : start + 90])
    world.clock.forward(HOUR)
    engine: Any = world.table.connection
    turns = iter([True, True, False] * 100)

    def strike(call: str) -> None:
        if call == WRITE and next(turns):
            raise said(call, "ThrottlingException")

    engine.before = strike
    report = world.sweep()
    engine.before = lambda call: None

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
