"""The items that hold the counters of a transition, and the start of a new day."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put, Table
from chalicelib.transactions.counters import Counters
from tests.support.memory import Memory, memory_table
from tests.support.transition_samples import (
    AVAILABLE,
    POOL,
    actor,
    claimed,
)

TODAY, YESTERDAY = "2026-06-01", "2026-05-31"
ALICE = keys.member_key("main", "p", "alice")


def test_a_transition_needs_one_action_per_counted_member_and_ended_day() -> None:
    claim, counters = claimed(AVAILABLE), Counters(actor())
    fresh = counters.keys(claim)

    counters.learn({ALICE: member()})
    on_a_new_day = counters.keys(claim)
    counters.learn({ALICE: {}})

    assert (fresh, on_a_new_day) == ({ALICE}, {ALICE, keys.day_key(ALICE, YESTERDAY)})
    assert counters.keys(claim) == set(), "who has left has no counters"


# A new day


def member(**attributes: Any) -> Item:
    return items.build_item(
        ALICE, {"day": YESTERDAY, "did": {"claimed": 2, "won": 1}, "pooled": 0, "aside": 0} | attributes
    )


def stored(*items: Item) -> tuple[Table, Memory]:
    memory = Memory()
    table = memory_table(memory)
    table.write([Put(Key(item["pk"]["S"], item["sk"]["S"]), item) for item in items])
    return table, memory


def did(memory: Memory) -> tuple[Any, ...]:
    """Return the member's counts by day, from the member item and the archived days."""
    rows = {key.sk: items.deserialize({"M": item}) for key, item in memory.items.items() if key != ALICE}
    mine = items.deserialize({"M": memory.items[ALICE]})
    kept = {
        sk: {name: count for name, count in row.items() if count and name not in ("pk", "sk")}
        for sk, row in rows.items()
    }
    return mine["day"], mine["did"], kept


def test_an_ended_day_is_archived_and_the_new_day_starts_at_zero() -> None:
    table, memory = stored(member())
    counters = Counters(actor())
    counters.learn({ALICE: memory.items[ALICE]})

    counters.begin_days(table)
    counters.begin_days(table)

    assert did(memory) == (TODAY, {}, {f"{YESTERDAY}#alice": {"claimed": 2, "won": 1}})


def test_an_existing_archived_day_is_added_to() -> None:
    row = items.build_item(keys.day_key(ALICE, YESTERDAY), {"claimed": 3, "expired": 1})
    table, memory = stored(member(), row)
    counters = Counters(actor())
    counters.learn({ALICE: memory.items[ALICE]})

    counters.begin_days(table)

    assert did(memory)[2] == {f"{YESTERDAY}#alice": {"claimed": 5, "won": 1, "expired": 1}}


def test_two_concurrent_writers_start_a_new_day_once_and_lose_no_count() -> None:
    for meanwhile in ({"did": {"claimed": 3, "won": 1}}, {"did": {"claimed": 2, "won": 1, "expired": 1}}, {"pooled": 1},
                      {"aside": 1}, {"day": TODAY, "did": {}}):  # fmt: skip
        table, memory = stored(member(**meanwhile))
        counters = Counters(actor())
        counters.learn({ALICE: member()})
        before = dict(memory.items)

        counters.begin_days(table)

        assert memory.items == before, meanwhile


def test_a_day_that_has_not_ended_in_the_pools_time_zone_is_not_archived() -> None:
    there = replace(
        POOL, id="q", policy=replace(POOL.policy, time_zone="Pacific/Honolulu")
    )  # where it is yesterday yet
    key = keys.member_key("main", "q", "alice")
    abroad = items.build_item(key, {"day": YESTERDAY, "did": {}, "pooled": 0, "aside": 0})
    table, memory = stored(member(day=TODAY), abroad)
    counters = Counters(actor(), there)
    counters.learn(memory.items)
    before = dict(memory.items)

    counters.begin_days(table)

    assert memory.items == before


def test_a_claim_by_a_slow_clock_counts_on_the_members_later_day() -> None:
    tomorrow = member(day="2026-06-02", held=0)
    table, memory = stored(tomorrow)
    counters = Counters(actor())
    counters.learn({ALICE: memory.items[ALICE]})
    counters.learn({keys.member_key("main", "p", "bob"): {}})

    refused = table.write(counters.actions([claimed(AVAILABLE)], {}, []))

    assert refused is None
    assert did(memory) == ("2026-06-02", {"claimed": 3, "won": 1}, {})
