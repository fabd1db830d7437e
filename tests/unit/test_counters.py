"""The counters that a transition changes, derived from the transition alone; and the start of a new day."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from chalicelib.domain import claim_transitions, content_transitions, transitions
from chalicelib.domain.claim_transitions import WinDetails
from chalicelib.domain.transitions import NoOp, Recheck, Remove, Transition, Write
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put, Table, Update
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Event
from chalicelib.transactions.counters import Counters, counter_changes
from tests.support.memory import Memory, memory_table
from tests.support.transition_samples import (
    AVAILABLE,
    CLAIMED,
    EXPIRED,
    POOL,
    PRIVATE,
    actor,
    after_of,
    claimed,
    new_id,
    planned,
)
from tests.support.world import DAY, HOUR, START

TODAY, YESTERDAY = "2026-06-01", "2026-05-31"
ALICE = keys.member_key("main", "p", "alice")


def gains(move: Transition | Refusal) -> dict[str, dict[str, int]]:
    """By user, what changes."""
    changed_by_user = {
        key.pk.rpartition("#")[2]: {name: by for name, by in sums.items() if by}
        for key, sums in counter_changes(planned(move)).items()
    }
    return {user: sums for user, sums in changed_by_user.items() if sums}


# What a move adds


def test_a_claim_adds_one_to_held_and_to_the_day() -> None:
    move = claimed(AVAILABLE)

    assert gains(move) == {"alice": {"held": 1, "claimed": 1}}
    assert set(counter_changes(move)) == {ALICE}


def test_an_assignment_or_transfer_does_not_count_as_a_daily_claim() -> None:
    assigned = claim_transitions.assign(actor("mona"), "c1", AVAILABLE, "bob", new_id("b1"))
    transferred = claim_transitions.transfer(actor("mona"), "c1", CLAIMED, "bob", new_id("b1"), None)

    assert gains(assigned) == {"bob": {"held": 1}}
    assert gains(transferred) == {"alice": {"held": -1}, "bob": {"held": 1}}


def test_an_expired_claim_is_subtracted_from_its_holder_by_any_transition() -> None:
    bobs = replace(EXPIRED, holder="bob", pinned_until=START)

    assert gains(claimed(bobs)) == {
        "bob": {"held": -1, "pins": -1, "expired": 1}, "alice": {"held": 1, "claimed": 1}
    }  # fmt: skip


def test_a_release_by_a_manager_counts_for_the_holder() -> None:
    for user in ("alice", "mona"):
        assert gains(transitions.release(actor(user), "c1", CLAIMED, None, None)) == {
            "alice": {"held": -1, "released": 1}
        }


def test_a_pin_is_counted_once_however_often_it_is_moved() -> None:
    pinned = replace(CLAIMED, pinned_until=START + HOUR)

    first, again = (claim_transitions.pin(actor(), "c1", known, START + DAY) for known in (CLAIMED, pinned))

    assert (gains(first), gains(again)) == ({"alice": {"pins": 1}}, {})
    assert gains(claim_transitions.unpin(actor(), "c1", pinned)) == {"alice": {"pins": -1}}


def test_a_customer_leaving_the_pool_is_subtracted_from_its_holder() -> None:
    won = claim_transitions.win(actor(win="holder"), "c1", CLAIMED, WinDetails())
    taken_out = claim_transitions.convert(actor("mona"), "c1", AVAILABLE, "bob")

    assert gains(won) == {"alice": {"held": -1, "private": 1, "won": 1, "pooled": -1}}
    assert gains(taken_out) == {"bob": {"private": 1, "pooled": -1}}
    assert gains(claim_transitions.convert(actor("mona"), "c1", PRIVATE, "bob")) == {
        "alice": {"private": -1}, "bob": {"private": 1}
    }, "it had left the pool before"  # fmt: skip


def test_an_entering_customer_counts_for_the_member_who_added_it() -> None:
    created = content_transitions.create(actor("mona"), replace(AVAILABLE, version=1, tail=()), "imported")
    deposited = claim_transitions.deposit(actor("mona"), "c1", PRIVATE, actor("mona"))

    assert gains(created) == {"mona": {"entered": 1, "pooled": 1}}
    assert gains(deposited) == {"alice": {"private": -1}, "mona": {"entered": 1, "pooled": 1}}


def test_setting_aside_counts_for_the_last_holder_and_restoring_for_the_actor() -> None:
    aside = transitions.release(actor(max_returns=1), "c1", CLAIMED, None, None)
    restored = claim_transitions.restore(actor("mona"), "c1", replace(AVAILABLE, set_aside_at=START))
    won = claim_transitions.convert(actor("mona"), "c1", replace(AVAILABLE, set_aside_at=START), "bob")

    assert gains(aside) == {"alice": {"held": -1, "released": 1, "aside": 1}}
    assert gains(restored) == {"mona": {"aside": -1}}
    assert gains(won) == {"bob": {"private": 1, "pooled": -1}, "mona": {"aside": -1}}


def test_a_deleted_customer_is_subtracted_from_those_added() -> None:
    key = keys.customer_key("main", "p", "c1")

    assert gains(Remove(key, AVAILABLE, (), by="mona")) == {"mona": {"pooled": -1}}
    assert gains(NoOp(key, AVAILABLE, ())) == gains(Recheck(key, AVAILABLE, ())) == {}


def test_earlier_events_are_not_counted_again() -> None:
    customer = after_of(claimed(AVAILABLE))

    assert gains(content_transitions.update(actor("mona"), customer, name="New")) == {}
    assert gains(transitions.release(actor(), "c1", customer, None, None)) == {"alice": {"held": -1, "released": 1}}


def test_two_events_of_one_type_in_a_transition_count_twice() -> None:
    won, won_again = (
        Event(seq, "won", START, "alice", "alice", from_state="claimed", to_state="private") for seq in (4, 5)
    )
    after = replace(PRIVATE, version=5, tail=(won, won_again))
    move = Write(keys.customer_key("main", "p", "c1"), CLAIMED, (), after=after)

    assert gains(move) == {"alice": {"held": -1, "private": 1, "won": 2, "pooled": -2}}


# What is written


def written(*moves_made: Transition, counters: Counters | None = None) -> dict[Key, list[str]]:
    """Return the changes of each member's item."""
    actions = (counters or Counters(actor())).actions(moves_made, {}, [])
    return {each.key: [str(change) for change in each.actions] for each in actions if isinstance(each, Update)}


def test_the_headroom_changes_only_with_held_customers() -> None:
    taken = written(claimed(AVAILABLE))
    pinned = written(claim_transitions.pin(actor(), "c1", CLAIMED, START + DAY))

    assert taken[ALICE][:2] == ["held {'N': '1'}", "room {'N': '-1'}"]
    assert pinned == {ALICE: ["pins {'N': '1'}"]}


def test_unchanged_and_removed_members_are_not_written() -> None:
    extended = claim_transitions.extend(actor(), "c1", CLAIMED, HOUR, None)
    released, left = transitions.release(actor("mona"), "c1", CLAIMED, None, None), Counters(actor("mona"))
    left.learn({ALICE: {}})

    assert counter_changes(extended) and written(extended) == {}
    assert set(written(released)) == {ALICE} and written(released, counters=left) == {}


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
