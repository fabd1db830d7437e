"""Every interleaving of concurrent requests ends correctly: `races` has the cases and their requirements.

By default each race is played in a few random schedules; `-m exhaustive` plays all of them. A failure is shrunk to the
fewest switches between requests, and its schedule is reported.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings, strategies as st

from chalicelib.dynamodb.table import Table
from tests.proofs import (
    careless_stores,
    races_of_claims,
    races_of_deadlines,
    races_of_imports,
    races_of_repetitions,
    races_of_suppressions,
    races_of_unique_values,
    races_of_verbs,
    replay,
)
from tests.proofs.race_runner import Arena, Memories, SetUp, Shape, process, shape_of, with_new_ids
from tests.proofs.races import RACES
from tests.proofs.schedules import Run, every_tape, park, run
from tests.support import tally
from tests.support.dynamodb_calls import hooked, operation_of
from tests.support.world import World

FEW, MANY, MOST = 42, 120, 150
MEMORIES: list[Memories] = ["cold", "warm", "shared"]

tapes = st.lists(st.integers(0, 2), max_size=40)
memories = st.sampled_from(MEMORIES)
drawn = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
every_race = pytest.mark.parametrize("set_up", RACES, ids=lambda set_up: set_up.__name__)

arena = lru_cache(maxsize=None)(Arena)


def play(set_up: SetUp, knows: Memories, torn: bool, tape: list[int]) -> None:
    arena(set_up, knows).run(tape, torn=torn)
    tally.count("schedules played")


@every_race
def test_concurrent_requests_end_correctly_in_random_schedules(set_up: SetUp) -> None:
    @settings(drawn, max_examples=FEW)
    @given(memories, st.booleans(), tapes)
    def in_a_schedule(knows: Memories, torn: bool, tape: list[int]) -> None:
        play(set_up, knows, torn, tape)

    in_a_schedule()


@pytest.mark.exhaustive
@every_race
def test_concurrent_requests_end_correctly_in_many_random_schedules(set_up: SetUp) -> None:
    @settings(drawn, max_examples=MANY)
    @given(memories, st.booleans(), tapes)
    def in_a_schedule(knows: Memories, torn: bool, tape: list[int]) -> None:
        play(set_up, knows, torn, tape)

    in_a_schedule()


@pytest.mark.exhaustive
@every_race
def test_concurrent_requests_end_correctly_in_every_schedule(set_up: SetUp) -> None:
    """All of them, where they are not more than `MOST` for one way to begin: else those with the last turns varied."""
    played = 0
    for knows in MEMORIES:
        for torn in (False, True):
            made = arena(set_up, knows)
            schedules = every_tape(partial(made.run, torn=torn))
            played += sum(1 for _ in zip(schedules, range(MOST), strict=False))
    tally.count("schedules played", played)


@pytest.mark.parametrize(("knows", "turns"), [("cold", "0210001121001000010001"), ("warm", "00210010001")])
def test_attempts_of_claim_next_with_one_key_take_no_more_than_count_together(knows: Memories, turns: str) -> None:
    """In these schedules an attempt meets a part of the other one while it has lost a customer to another member."""
    race = races_of_repetitions.claim_next_with_one_key_sent_twice_while_another_member_claims

    Arena(race, knows).run([int(turn) for turn in turns])


# The engine in memory


@pytest.mark.parametrize(
    "set_up",
    [each if at % 6 == 0 else pytest.param(each, marks=pytest.mark.exhaustive) for at, each in enumerate(RACES)],
    ids=lambda set_up: set_up.__name__,
)
def test_a_schedule_has_the_same_result_on_a_separate_engine(set_up: SetUp, real_table: Table) -> None:
    """The requests take turns at every call: once in memory, and once over HTTP."""
    made = Arena(set_up)
    tape = [1] * 60
    in_memory, shape = made.run(tape), made.last

    over_http, same = wired(set_up, real_table, tape)

    assert over_http.calls == in_memory.calls
    assert same == shape


def wired(set_up: SetUp, table: Table, tape: list[int]) -> tuple[Run, Shape]:
    """Play that schedule on an engine over the network."""
    world = World(table)
    race = set_up(world)
    world = with_new_ids(world)
    jobs = [lambda request=request: request(process(world)) for request in race.requests]

    def at_the_door(request: Any, **_: Any) -> None:
        park(operation_of(request))

    with hooked(world, "before-send.dynamodb", at_the_door):
        ran = run(jobs, tape)
    return ran, shape_of(ran.results, table)


# These proofs notice faulty stores

CARELESS: list[tuple[type[Table], SetUp]] = [
    (careless_stores.ChecksFirst, races_of_claims.two_members_claim_one_customer),
    (careless_stores.ChecksFirst, races_of_claims.a_member_with_room_for_one_claims_two),
    (careless_stores.ChecksFirst, races_of_deadlines.an_extension_a_millisecond_before_expiry_and_a_sweep),
    (careless_stores.ChecksFirst, races_of_repetitions.claim_next_with_one_key_sent_three_times),
    (careless_stores.ChecksFirst, races_of_claims.a_member_takes_the_next_twice_at_once),
    (careless_stores.WritesOneByOne, races_of_claims.a_member_with_room_for_one_claims_two),
    (careless_stores.WritesOneByOne, races_of_deadlines.two_pins_where_one_is_allowed),
    (careless_stores.Unbound, races_of_verbs.two_edits_and_a_claim),
    (careless_stores.Unbound, races_of_verbs.two_transfers_of_one_customer),
    (careless_stores.Unbound, races_of_deadlines.a_claim_and_a_sweep_at_the_instant_of_expiry),
    (careless_stores.Unlimited, races_of_claims.a_member_with_room_for_one_claims_two),
    (careless_stores.Unlimited, races_of_claims.the_first_two_claims_of_a_new_day_at_a_daily_limit_of_one),
    (careless_stores.Unlimited, races_of_deadlines.two_pins_where_one_is_allowed),
    (careless_stores.Forgetful, races_of_repetitions.claim_next_with_one_key_sent_three_times),
    (
        careless_stores.Unsuppressed,
        races_of_suppressions.the_end_of_one_of_two_suppressions_and_new_customers_with_their_number,
    ),
    (careless_stores.ChecksFirst, races_of_suppressions.the_ends_of_two_suppressions_with_one_number),
    (careless_stores.Shared, races_of_unique_values.two_new_customers_with_one_unique_value_and_an_edit),
    (careless_stores.Unguarded, races_of_imports.two_imports_of_one_phone_number),
]


@pytest.mark.parametrize(("kind", "set_up"), CARELESS, ids=lambda given: given.__name__)
def test_a_replayable_schedule_exposes_a_faulty_store(kind: type[Table], set_up: SetUp) -> None:
    suspect = Arena(set_up, kind=kind)

    tape = failing_schedule(suspect, Phase.generate)

    assert fails(suspect, tape)
    arena(set_up, "cold").run(tape)


def test_a_failing_schedule_is_shrunk_to_the_relevant_turns() -> None:
    suspect = Arena(races_of_claims.two_members_claim_one_customer, kind=careless_stores.ChecksFirst)

    tape = failing_schedule(suspect, Phase.generate, Phase.shrink)

    assert sum(turn != 0 for turn in tape) == 1, "one member is overtaken between looking and writing"


def test_a_failing_schedule_reports_the_turns_that_replay_it() -> None:
    suspect = Arena(races_of_claims.two_members_claim_one_customer, kind=careless_stores.ChecksFirst)
    with pytest.raises(AssertionError) as failed:
        suspect.run(failing_schedule(suspect, Phase.generate))

    command = failed.value.__notes__[-1].split()

    assert command[-5:-1] == ["tests.proofs.replay", "two_members_claim_one_customer", "cold", "whole"]
    assert fails(suspect, [int(turn) for turn in command[-1]])
    replay.main("two_members_claim_one_customer", "cold", "whole", command[-1])


def failing_schedule(suspect: Arena, *phases: Phase) -> list[int]:
    """A schedule in which the store does wrong. Raises NoSuchExample where 100 do not show any."""
    return find(tapes, partial(fails, suspect), settings=settings(drawn, max_examples=100, phases=phases))


def fails(suspect: Arena, tape: list[int]) -> bool:
    try:
        suspect.run(tape)
    except AssertionError:
        return True
    return False
