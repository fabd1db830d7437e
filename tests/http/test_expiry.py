"""The sweep: the claims that it returns or leaves, and its behavior under failures."""

from __future__ import annotations

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.table import Put
from chalicelib.services import sweeper
from tests.support.dynamodb_calls import Crash, failing
from tests.support.world import DAY, HOUR, MINUTE, World


def test_a_sweep_returns_due_claims_and_updates_counters(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    ids = world.fill(5)
    world.alice.claim_batch(ids[:3])
    world.clock.forward(30 * MINUTE)
    world.bob.claim_batch(ids[3:])
    world.clock.forward(30 * MINUTE)

    report = world.sweep()

    assert (report.due, report.returned, report.changed, report.failed, report.remaining) == (3, 3, 0, 0, 0)
    assert (world.alice.held(), world.bob.held()) == (0, 2)
    assert world.mona.events("c1") == ["imported", "claimed", "expired"]


def test_the_sweep_lag_is_the_age_of_the_oldest_due_claim(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    world.alice.claim_batch(world.fill(1))
    world.clock.forward(HOUR + 90_000)

    assert world.sweep().body().lag_s == 90.0


def test_a_swept_customer_counts_as_waiting_since_its_deadline(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", customers=1)
    expires_at = world.alice.claim("c1").json["expires_at"]
    world.clock.forward(3 * HOUR)

    world.sweep()

    swept = mona.customer("c1")
    assert (swept["state"], swept["available_at"], swept["returns"]) == ("available", expires_at, 1)


def test_claims_without_a_deadline_are_never_due(world: World) -> None:
    world.pool()
    world.alice.claim_batch(world.fill(2))
    world.clock.forward(365 * 24 * HOUR)

    assert world.sweep().due == 0
    assert world.alice.held() == 2


def test_a_dry_run_sweep_counts_and_changes_nothing(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    world.alice.claim_batch(world.fill(2))
    world.clock.forward(HOUR)

    report = world.sweep(dry_run=True)

    assert (report.due, report.returned, report.remaining) == (2, 0, 2)
    assert world.alice.held() == 2


def test_a_sweep_out_of_time_stops_and_reports_the_rest(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    world.alice.claim_batch(world.fill(4))
    world.clock.forward(HOUR)
    backend = world.another_process().backend

    report = sweeper.sweep_pools(backend, sweeper.all_pools(backend), world.clock(), lambda: 1.0)

    assert (report.due, report.returned, report.remaining) == (4, 0, 4)


def test_one_malformed_record_does_not_stop_a_sweep(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    ids = world.fill(7)
    world.alice.claim_batch(ids)
    key = keys.customer_key("main", "p", "c4")
    sound = world.table.get([key])[key]
    spoilt = {**sound, "state": {"S": "in limbo"}}
    world.table.write([Put(key, spoilt)])
    world.clock.forward(HOUR)

    report = world.sweep()

    assert (report.returned, report.failed) == (6, 1)
    world.table.write([Put(key, sound)])
    assert world.sweep().returned == 1


def test_a_sweep_returns_the_claim_of_a_removed_member(world: World) -> None:
    world.forged = True
    world.pool(claim_ttl="PT1H")
    world.alice.claim_batch(world.fill(2))
    key = keys.member_key("main", "p", "alice")
    at = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    world.table.connection.client.delete_item(TableName=world.table.name, Key=at)
    world.clock.forward(HOUR)

    assert world.sweep().returned == 2


@pytest.mark.parametrize(("call_number", "moment"), [(1, "before-call"), (1, "after-call"), (2, "after-call")])
def test_the_next_sweep_finishes_one_killed_at_any_transaction(threaded: World, call_number: int, moment: str) -> None:
    threaded.pool(claim_ttl="PT1H", members="alice bob carl")
    ids = threaded.fill(120)  # more than a transaction takes
    for number, name in enumerate(("alice", "bob", "carl")):
        threaded.user(name).claim_batch(ids[number * 40 : number * 40 + 40])
    threaded.clock.forward(HOUR)

    with pytest.raises(Crash), failing(threaded, call_number, moment):
        threaded.sweep()
    left = sum(threaded.user(name).held() for name in ("alice", "bob", "carl"))
    threaded.sweep()

    assert (left == 120, left == 0) == (moment == "before-call", call_number == 2)
    assert [threaded.user(name).held() for name in ("alice", "bob", "carl")] == [0, 0, 0]


def test_the_schedule_sweeps_every_pool_of_every_tenant(world: World) -> None:
    for tenant, pool in (("main", "p"), ("main", "q"), ("acme", "p")):
        world.pool(pool, tenant, claim_ttl="PT1H")
        world.user("alice", tenant=tenant, pool=pool).claim_batch(world.fill(2, pool, tenant))
    world.clock.forward(HOUR)

    assert world.sweep().returned == 6


def test_an_admin_sweeps_their_own_tenant_only(world: World) -> None:
    for tenant in ("main", "acme"):
        world.pool("p", tenant, claim_ttl="PT1H")
        world.user("alice", tenant=tenant).claim_batch(world.fill(2, "p", tenant))
    world.clock.forward(HOUR)
    root = world.user("root", admin=True, tenant="acme")

    swept = root.request("POST", "/v1/sweep", {})

    counted = {name: swept.json[name] for name in ("due", "returned", "changed", "failed", "remaining", "lag_s")}
    assert counted == {"due": 2, "returned": 2, "changed": 0, "failed": 0, "remaining": 0, "lag_s": 0.0}
    assert world.alice.held() == 2
    assert world.alice.request("POST", "/v1/sweep", {}).code == "not_admin"


def test_a_sweep_above_the_breaker_share_requires_confirmation(world: World) -> None:
    world.pool(claim_ttl="PT1H", sweep_breaker=0.5)
    world.pool("calm", claim_ttl="PT1H", sweep_breaker=0.5)
    for pool, claims in (("p", 6), ("calm", 5)):
        world.fill(10, pool=pool)
        world.user("alice", pool=pool).claim_next(claims)
    world.clock.forward(2 * HOUR)

    held_back = world.sweep()
    assert (held_back.due, held_back.returned, held_back.remaining, held_back.unconfirmed) == (11, 5, 6, ["p"])
    dry = world.root.request("POST", "/v1/sweep", {"pool": "p", "dry_run": True}).json
    confirmed = world.root.request("POST", "/v1/sweep", {"pool": "p", "confirm": True}).json

    assert (dry["due"], dry["unconfirmed"]) == (6, ["p"])
    assert (confirmed["due"], confirmed["returned"], confirmed["unconfirmed"]) == (6, 6, [])


def test_claims_held_back_by_the_breaker_can_still_be_claimed(world: World) -> None:
    world.pool(claim_ttl="PT1H", sweep_breaker=0.1, holding_limit=2, customers=2)
    world.alice.claim_batch(["c1", "c2"])
    world.clock.forward(2 * HOUR)

    assert world.sweep().returned == 0
    assert world.bob.claim_next().json["items"][0]["id"] == "c1"
    assert world.bob.claim("c2").status == 200


def test_a_sweep_of_exactly_the_breaker_share_runs(threaded: World) -> None:
    threaded.pool(claim_ttl="P1D", sweep_breaker=0.29)
    ids = threaded.fill(100)
    threaded.alice.claim_batch(ids[:29])
    threaded.clock.forward(DAY + 1)

    assert threaded.sweep().returned == 29
