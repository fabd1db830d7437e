"""Resharding: the lists of a pool over several partitions stay the same during and after it."""

from __future__ import annotations

import pytest

from chalicelib.dynamodb import items, keys, sharded_query
from chalicelib.dynamodb.keys import PLACE
from chalicelib.services import sweeper
from chalicelib.services.resharding import STALE_MS
from tests.support.dynamodb_calls import Crash, counted, failing
from tests.support.world import DAY, HOUR, Reply, User, World

RELOADED_MS = 10_000


def spread(world: World, number: int, pool: str = "p", **headers: str) -> Reply:
    return world.user("root", admin=True, pool=pool).post("/spread", {"shards": number}, **headers)


def filled_pool(world: World, count: int = 30) -> User:
    """Create a pool with customers in order, every third with a priority."""
    mona = world.pool(claim_ttl="P1D")
    for number in range(count):
        assert mona.create(f"c{number}", priority=int(number % 3 == 0)).status == 201
        world.clock.forward(1)
    return mona


def spread_over(world: World, number: int) -> None:
    assert spread(world, number).status == 200
    world.clock.forward(STALE_MS)
    assert world.sweep().failed == 0


def ids(items: list[dict[str, str]]) -> list[str]:
    return [each["id"] for each in items]


def available_by_shard(world: World) -> list[int]:
    """Return the number of available customers in each of eight shards."""
    partitions = [keys.place_available("main", "p", shard) for shard in range(8)]
    return [len(world.table.query(each, index=PLACE).keys) for each in partitions]


# Lists over several shards


def test_resharding_moves_entries_to_their_shards_and_keeps_every_list(world: World) -> None:
    mona = filled_pool(world)
    before = ids(mona.walk("/customers?state=available"))

    spread_over(world, 8)

    assert all(available_by_shard(world)) and sum(available_by_shard(world)) == 30
    for limit in (1, 4, 7, 30):
        pages = list(mona.pages("/customers?state=available", limit))
        assert ids([each for page in pages for each in page]) == before
        assert {len(page) for page in pages[:-1]} in ({limit}, set())


def test_a_list_of_claims_is_ordered_by_deadline_across_shards(world: World) -> None:
    mona = filled_pool(world, 12)
    spread_over(world, 4)
    for each in ("c7", "c3", "c11", "c0", "c5"):
        world.alice.claim(each)
        world.clock.forward(1)

    assert ids(mona.walk("/customers?state=claimed")) == ["c7", "c3", "c11", "c0", "c5"]
    assert ids(list(mona.pages("/customers?state=claimed", 2))[1]) == ["c11", "c0"]


def test_entries_with_equal_sort_keys_are_each_listed_once(world: World) -> None:
    mona = world.pool()
    entered = world.fill(40)  # at the same millisecond
    spread_over(world, 8)

    for limit in (3, 10, 39):
        assert sorted(
            each["id"] for page in mona.pages("/customers?state=available", limit) for each in page
        ) == sorted(entered)


def test_claim_next_takes_the_best_of_all_shards(world: World) -> None:
    mona = filled_pool(world)
    before = ids(mona.walk("/customers?state=available"))
    spread_over(world, 8)

    taken = [ids(world.alice.claim_next(count).json["items"]) for count in (1, 2, 5)]

    assert [each for batch in taken for each in batch] == before[:8]


def test_a_sweep_covers_every_shard(world: World) -> None:
    filled_pool(world)
    spread_over(world, 8)
    world.alice.claim_next(12)
    world.bob.claim_next(5)
    world.clock.forward(DAY)

    report = world.sweep()

    assert (report.due, report.returned, report.remaining) == (17, 17, 0)
    assert world.alice.held() == world.bob.held() == 0


def test_reminders_and_a_policy_applied_to_all_cover_every_shard(world: World) -> None:
    mona = filled_pool(world, 12)
    spread_over(world, 4)
    world.alice.claim_next(12)
    version = mona.get().headers["ETag"]

    changed = mona.patch("", {"policy": {"reminders": ["PT1H"]}, "apply_to": "all"}, if_match=version)
    world.clock.forward(DAY - HOUR)

    assert changed.json["affected"] == 12
    assert world.sweep().reminded == 12


def test_a_list_page_in_eight_shards_is_a_query_of_each_and_one_read(world: World) -> None:
    mona = filled_pool(world)
    spread_over(world, 8)
    mona.get()

    with counted(world) as made:
        mona.get("/customers?state=available&limit=10")

    assert made == {"Query": 8, "BatchGetItem": 1}


# Moving entries between shards


def test_resharding_reports_progress_and_a_repeated_request_changes_nothing(world: World) -> None:
    filled_pool(world, 3)

    started = spread(world, 8).json
    assert (started["shards"], started["spreading"]) == (8, True)
    assert spread(world, 8).json == started
    assert spread(world, 4).code == "request_in_progress"
    world.clock.forward(STALE_MS)
    world.sweep()

    assert (spread(world, 8).json["shards"], spread(world, 8).json["spreading"]) == (8, False)


@pytest.mark.parametrize("number", [0, 33, -1, None, "8", 1.5])
def test_an_invalid_number_of_shards_is_rejected(world: World, number: object) -> None:
    world.pool()

    assert spread(world, number).code == "invalid_request"  # type: ignore[arg-type]


def test_all_lists_are_complete_throughout_resharding(world: World) -> None:
    mona = filled_pool(world, 12)
    before = ids(mona.walk("/customers?state=available"))

    for number in (8, 2, 1, 3):
        spread(world, number)
        for elapsed in (0, RELOADED_MS, STALE_MS):
            world.clock.forward(elapsed)
            world.sweep()
            assert ids(mona.walk("/customers?state=available")) == before
            taken = ids(world.alice.claim_next(2).json["items"])
            assert taken == before[:2]
            for each in taken:
                world.alice.release(each)
                world.clock.forward(1)
            before = ids(mona.walk("/customers?state=available"))


def test_a_process_unaware_of_resharding_writes_only_to_shards_that_are_read(world: World) -> None:
    mona = filled_pool(world, 12)
    spread_over(world, 8)
    late = world.another_process()
    mine, world.service = world.service, late
    world.alice.claim_next(12)  # it knows of eight shards
    world.service = mine
    spread(world, 1)
    world.service = late
    world.alice.release_batch([f"c{number}" for number in range(12)])
    world.service = mine

    assert len(mona.walk("/customers?state=available")) == 12
    world.clock.forward(STALE_MS)
    world.sweep()
    assert available_by_shard(world) == [12, 0, 0, 0, 0, 0, 0, 0]
    assert len(mona.walk("/customers?state=available")) == 12


def test_moving_an_entry_between_shards_writes_no_event(world: World) -> None:
    mona = filled_pool(world, 12)
    before = {each["id"]: each for each in mona.walk("/customers")}

    spread_over(world, 8)

    assert {each["id"]: each for each in mona.walk("/customers")} == before
    assert mona.events("c5") == ["created"]


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
@pytest.mark.parametrize("call_number", [1, 2, 3])
def test_resharding_continues_after_a_killed_round(world: World, call_number: int, moment: str) -> None:
    filled_pool(world)
    spread(world, 8)
    world.clock.forward(STALE_MS)

    with pytest.raises(Crash), failing(world, call_number, moment):
        world.sweep()
        raise Crash  # there were fewer calls
    world.sweep()

    assert all(available_by_shard(world)) and sum(available_by_shard(world)) == 30
    assert not spread(world, 8).json["spreading"]


def test_resharding_out_of_time_stores_its_progress(world: World) -> None:
    filled_pool(world)
    spread(world, 8)
    world.clock.forward(STALE_MS)
    backend = world.another_process().backend
    left = iter([60.0] * 10 + [0.0] * 20)

    sweeper.sweep_pools(backend, sweeper.all_pools(backend), world.clock(), lambda: next(left))

    key = keys.resharding_key("main", "p")
    assert items.deserialize(world.table.get([key])[key]["list"]) > 0
    assert spread(world, 8).json["spreading"]
    world.sweep()
    assert world.table.get([key]) == {} and not spread(world, 8).json["spreading"]


def test_the_audit_finds_no_misplaced_entry_around_resharding(world: World) -> None:
    filled_pool(world, 12)

    for elapsed in (0, RELOADED_MS, STALE_MS):
        spread(world, 8)
        world.clock.forward(elapsed)
        world.sweep()
        assert world.root.request("POST", "/v1/audit", {}).json["drifted"] == 0


def test_concurrent_jobs_return_their_results_in_order() -> None:
    jobs = [lambda number=number: number * number for number in range(20)]

    assert (
        sharded_query.run_concurrently(jobs)
        == sharded_query.run_in_order(jobs)
        == [number * number for number in range(20)]
    )


@pytest.mark.race
def test_shards_are_read_and_swept_concurrently_in_a_real_process(threaded: World) -> None:
    mona = filled_pool(threaded, 40)
    before = ids(mona.walk("/customers?state=available"))
    spread_over(threaded, 8)
    threaded.service = threaded.another_process()
    threaded.service.backend.run_jobs = sharded_query.run_concurrently

    assert ids(mona.walk("/customers?state=available")) == before
    assert ids(threaded.alice.claim_next(20).json["items"]) == before[:20]
    threaded.bob.claim_batch(before[20:])
    threaded.clock.forward(DAY)
    report = threaded.root.request("POST", "/v1/sweep", {}).json
    assert (report["due"], report["returned"], report["failed"]) == (40, 40, 0)
