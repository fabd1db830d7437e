"""A pool whose record is malformed is counted as failed; every other pool of its tenant continues."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.table import Put
from tests.support.canaries import LogCapture
from tests.support.world import HOUR, World

MALFORMED: dict[str, dict[str, Any]] = {
    "a policy that is no JSON": {"policy": {"S": "{no"}},
    "a policy that is a list": {"policy": {"S": "[]"}},
    "a policy nested too deeply": {"policy": {"S": "[" * 100_000}},
    "a rule of another type": {"policy": {"S": '{"holding_limit": "many"}'}},
    "a duration without meaning": {"policy": {"S": '{"claim_ttl": "bogus"}'}},
    "a reminder without meaning": {"policy": {"S": '{"reminders": ["bogus"]}'}},
    "a time zone without meaning": {"policy": {"S": '{"time_zone": "Nowhere/City"}'}},
    "no shards": {"shards": {"N": "0"}},
    "no policy": {"policy": None},
    "a status that there is not": {"status": {"S": "asleep"}},
    "a version that is text": {"version": {"S": "one"}},
    "a broken number": {"created_at": {"N": "1.5"}},
    "a time after all years": {"created_at": {"N": "1" * 30}},
    "no name": {"name": None},
}
READ_BUT_USELESS = ("a time after all years",)  # a round needs none of it


@pytest.fixture
def two_pools(memory_world: World) -> World:
    """Create two pools, a and b, each with an expired claim."""
    for pool in ("a", "b"):
        memory_world.pool(pool, claim_ttl="PT1H")
        memory_world.fill(1, pool=pool)
        memory_world.user("alice", pool=pool).claim("c1")
    memory_world.clock.forward(HOUR)
    return memory_world


def corrupt(world: World, what: str) -> Item:
    """Store pool a with this malformed record. Return the record before."""
    key = keys.pool_key("main", "a")
    original = world.table.get([key])[key]
    changed = original | MALFORMED[what]
    world.table.write([Put(key, {name: content for name, content in changed.items() if content is not None})])
    world.service = world.another_process()
    return original


@pytest.mark.parametrize("what", [what for what in MALFORMED if what not in READ_BUT_USELESS])
def test_a_scheduled_sweep_counts_a_malformed_pool_as_failed_and_continues(
    two_pools: World, logs: LogCapture, what: str
) -> None:
    original = corrupt(two_pools, what)

    report = two_pools.sweep()

    assert (report.returned, report.failed) == (1, 1)
    assert [text for text in logs.messages if "malformed pool a: " in text]
    two_pools.table.write([Put(keys.pool_key("main", "a"), original)])
    assert (two_pools.sweep().returned, two_pools.sweep().failed) == (1, 0)


@pytest.mark.parametrize("wrong", [{"S": "x"}, {"L": []}, {"N": "1.5"}])
def test_a_malformed_time_of_a_moved_check_stops_no_round(two_pools: World, wrong: dict[str, Any]) -> None:
    key = keys.pool_key("main", "a")
    two_pools.table.write([Put(key, two_pools.table.get([key])[key] | {"moved_at": wrong})])

    report = two_pools.run_schedule()

    assert (report.returned, report.failed) == (2, 0)


@pytest.mark.parametrize("pool", [None, "a"])
def test_a_requested_sweep_counts_a_malformed_pool_as_failed(two_pools: World, pool: str | None) -> None:
    corrupt(two_pools, "a policy that is no JSON")

    report = two_pools.root.request("POST", "/v1/sweep", {} if pool is None else {"pool": pool})

    assert report.status == 200
    assert (report.json["failed"], report.json["returned"]) == (1, 1 if pool is None else 0)


@pytest.mark.parametrize("what", MALFORMED)
@pytest.mark.parametrize("who", ["alice", "root"])
def test_a_malformed_pool_is_left_out_of_the_list_of_pools(
    two_pools: World, logs: LogCapture, who: str, what: str
) -> None:
    corrupt(two_pools, what)

    listed = two_pools.user(who, admin=who == "root").request("GET", "/v1/pools")

    assert (listed.status, [pool["id"] for pool in listed.json["items"]]) == (200, ["b"])
    assert listed.json["next_cursor"] is None
    assert [text for text in logs.messages if "malformed pool a: " in text]


def test_a_page_of_pools_continues_after_a_malformed_one(two_pools: World) -> None:
    corrupt(two_pools, "no name")

    first = two_pools.root.request("GET", "/v1/pools?limit=1").json
    second = two_pools.root.request("GET", f"/v1/pools?limit=1&cursor={first['next_cursor']}").json

    assert first["items"] == [] and [pool["id"] for pool in second["items"]] == ["b"]


def test_the_audit_names_a_malformed_pool(two_pools: World) -> None:
    corrupt(two_pools, "a status that there is not")

    audited = two_pools.user("root", admin=True).request("POST", "/v1/audit", {}).json

    assert [(each["pool"], each["kind"], each["id"]) for each in audited["drift"]] == [("a", "malformed", "a")]


@pytest.mark.parametrize(("user", "counter"), [("bob", "held"), (None, "pooled")])
def test_a_malformed_counter_is_counted_as_failed_and_stops_no_sweep(
    memory_world: World, user: str | None, counter: str
) -> None:
    memory_world.pool(claim_ttl="PT1H", sweep_breaker=0.9, customers=2)
    memory_world.alice.claim("c1")
    memory_world.clock.forward(HOUR)
    key = keys.pool_counts_key("main", "p") if user is None else keys.member_key("main", "p", user)
    stored = memory_world.table.get([key]).get(key, {"pk": {"S": key.pk}, "sk": {"S": key.sk}})
    memory_world.table.write([Put(key, stored | {counter: {"S": "many"}})])

    report = memory_world.sweep()

    memory_world.table.write([Put(key, stored)])
    assert (report.returned, report.failed) == (1, 1)
