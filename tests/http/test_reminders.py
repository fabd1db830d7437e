"""Reminders: claims that a later sweep would return are published once per claim and level (rule 20)."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.conftest import new_table
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, START, User, World


def reminders(user: User, customer: str) -> list[tuple[str, str]]:
    items = user.get(f"/customers/{customer}/history?limit=100").json["items"]
    return [(event["reason"], event["at"]) for event in items if event["type"] == "reminded"]


def test_the_holder_is_reminded_at_each_level_once(world: World) -> None:
    world.pool(claim_ttl="P7D", reminders=["P3D", "P1D"], customers=1)
    world.alice.claim("c1")

    counts = []
    for _ in range(7 * 4):
        counts.append(world.sweep().reminded)
        world.clock.forward(6 * HOUR)

    assert sum(counts) == 2
    assert [level for level, _ in reminders(world.alice, "c1")] == ["P3D", "P1D"]


def test_an_extended_claim_is_not_reminded_again_of_the_level_it_had(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", reminders=["P3D", "P1D"], customers=1)
    world.alice.claim("c1")
    world.clock.forward(5 * DAY)
    world.sweep()

    mona.post("/customers/c1/extend", {"by": "P5D"})
    world.clock.forward(3 * DAY)
    assert world.sweep().reminded == 0
    world.clock.forward(3 * DAY)
    assert world.sweep().reminded == 1

    assert [level for level, _ in reminders(mona, "c1")] == ["P3D", "P1D"]


def test_a_new_claim_gets_its_own_reminders(world: World) -> None:
    world.pool(claim_ttl="P2D", reminders=["P1D"], customers=1)
    for name in ("alice", "bob"):
        world.user(name).claim("c1")
        world.clock.forward(DAY + HOUR)
        assert world.sweep().reminded == 1
        world.user(name).release("c1")

    assert len(reminders(world.alice, "c1")) == 2


def test_two_reminder_levels_due_at_once_are_both_published(world: World) -> None:
    world.pool(claim_ttl="P7D", reminders=["P1D", "P3D"], customers=1)
    world.alice.claim("c1")
    world.clock.forward(6 * DAY + HOUR)

    assert world.sweep().reminded == 1

    assert [level for level, _ in reminders(world.alice, "c1")] == ["P3D", "P1D"]


def test_expired_paused_or_released_claims_get_no_reminder(world: World) -> None:
    world.pool(claim_ttl="P7D", reminders=["P1D"], customers=3)
    world.alice.claim_batch(["c1", "c2"])
    world.alice.release("c1")
    world.root.post("/pause")
    world.clock.forward(6 * DAY + HOUR)
    paused = world.sweep().reminded
    world.root.post("/resume")
    world.clock.forward(7 * DAY)

    report = world.sweep()

    assert (paused, report.reminded, report.returned) == (0, 0, 1)


def test_a_dropped_reminder_level_is_not_published_and_queried_once(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", reminders=["P3D", "P1D"], customers=1)
    world.alice.claim("c1")
    version = mona.get().json["version"]
    mona.patch("", {"policy": {"reminders": ["P1D"]}}, if_match=str(version))
    world.clock.forward(5 * DAY)

    world.sweep()
    world.sweep()  # a pool that was reminded is checked again
    with counted(world) as third:
        world.sweep()

    assert reminders(mona, "c1") == []
    assert third["TransactWriteItems"] == third["BatchGetItem"] == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deadlines=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    level=st.integers(1, 20),
    at=st.integers(0, 45),
)
def test_reminders_match_the_claims_a_later_sweep_would_return(
    ministack: str, deadlines: list[int], level: int, at: int
) -> None:
    world = World(new_table(ministack))
    mona = world.pool(claim_ttl="PT1H", reminders=[f"PT{level}H"])
    ids = world.fill(len(deadlines))
    world.clock.now = START
    world.alice.claim_batch(ids)
    for customer, hours in zip(ids, deadlines, strict=True):
        if hours > 1:
            mona.post(f"/customers/{customer}/extend", {"by": f"PT{hours - 1}H"})

    world.clock.now = START + at * HOUR
    expired = due_at(world, 0)
    later = due_at(world, level)
    world.sweep()

    reminded = {each for each in ids if reminders(mona, each)}
    assert reminded == later - expired


def due_at(world: World, hours: int) -> set[str]:
    """Return the customers that a sweep that many hours later would return."""
    shown: list[Any] = world.mona.get("/customers?state=claimed&limit=100").json["items"]
    moment = world.clock() + hours * HOUR
    from chalicelib.model.times import rfc3339

    return {each["id"] for each in shown if each["expires_at"] <= rfc3339(moment)}
