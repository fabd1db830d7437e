"""Where a claim ends after each thing that may happen to it, and when its holder is reminded: worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import deadlines
from chalicelib.dynamodb.keys import NO_DEADLINE
from chalicelib.model.model import Customer
from chalicelib.model.policy import Policy
from tests.support.transition_samples import AVAILABLE, CLAIMED
from tests.support.world import DAY, HOUR, MINUTE, START

PINNED = replace(CLAIMED, pinned_until=START + DAY, expires_at=START + DAY, clock_ends=START + HOUR)
REMINDING = Policy(reminders=("P1D", "PT2H"))


def ends(changes: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Where the claim ends, where its clock would end it if a pin holds it up, and when it is next reminded of."""
    return changes["expires_at"], changes["clock_ends"], changes["remind_at"]


# It begins


def test_a_claim_starts_without_clocks_of_an_earlier_one() -> None:
    before = replace(
        PINNED,
        extensions=2,
        extended_ms=HOUR,
        stopped_ms=HOUR,
        active_at=START,
        reminded={"P1D": 1},
        last_follow_up_at=1,
    )

    begun = deadlines.started(Policy(claim_ttl="P7D"), START, pauses=3)

    after = replace(before, **begun)
    assert after == replace(
        AVAILABLE, state="claimed", holder="alice", claim_id=None, claimed_at=START,
        expires_at=START + 7 * DAY, pauses=3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("clocks", "first"),
    [
        ({}, None), ({"claim_ttl": "PT1H"}, HOUR), ({"claim_ttl": "PT3H", "idle_ttl": "PT2H"}, 2 * HOUR),
        ({"claim_ttl": "PT3H", "max_hold": "PT1H"}, HOUR), ({"claim_ttl": "P36600D"}, 36_600 * DAY),
    ],
)  # fmt: skip
def test_a_claim_ends_at_the_earliest_of_its_clocks(clocks: dict[str, str], first: int | None) -> None:
    begun = deadlines.started(Policy(**clocks), START, pauses=0)  # type: ignore[arg-type]

    assert ends(begun) == (None if first is None else START + first, None, None)


def test_no_deadline_is_after_the_largest_time() -> None:
    late = NO_DEADLINE - HOUR

    begun = deadlines.started(Policy(claim_ttl="P1D", reminders=("PT1H",)), late, pauses=0)

    assert ends(begun) == (NO_DEADLINE, None, NO_DEADLINE - HOUR)


# A hold that continues


def test_a_hold_continues_for_a_day_or_a_longer_cooldown_to_the_millisecond() -> None:
    known = replace(AVAILABLE, past_holders={"alice": START}, past_holds={"alice": START - HOUR, "bob": START})
    day, longer = Policy(max_hold="P9D"), Policy(max_hold="P9D", cooldown="P2D")

    continued = [
        deadlines.continued_hold(known, policy, "alice", START + length + ms)
        for policy, length in ((day, DAY), (longer, 2 * DAY)) for ms in (-1, 0)
    ]  # fmt: skip

    assert continued == [START - HOUR, None] * 2
    assert deadlines.continued_hold(known, day, "bob", START) is None, "he has not left"
    assert deadlines.continued_hold(known, Policy(), "alice", START) is None


def test_a_hold_is_used_up_when_max_hold_has_passed_since_it_began() -> None:
    known = replace(AVAILABLE, past_holders={"alice": START}, past_holds={"alice": START - HOUR})

    used_up = [deadlines.hold_used_up(known, Policy(max_hold="PT2H"), "alice", START + HOUR + ms) for ms in (-1, 0)]

    assert used_up == [False, True]
    assert not deadlines.hold_used_up(known, Policy(), "alice", START + DAY)


def test_the_hold_of_the_holder_is_kept_with_those_of_the_named_past_holders() -> None:
    known = replace(CLAIMED, held_since=START - DAY, stopped_ms=HOUR, past_holds={"bob": 1, "carl": 2})

    kept = deadlines.past_holds(known, Policy(max_hold="P9D"), ["alice", "bob"])

    assert kept == {"alice": START - DAY + HOUR, "bob": 1}
    assert deadlines.past_holds(replace(known, held_since=None), Policy(max_hold="P9D"), ["alice"]) == {
        "alice": START
    }, "it began with the claim"
    assert deadlines.past_holds(known, Policy(), ["alice", "bob"]) == {}


def test_max_hold_counts_from_the_start_of_the_hold_and_other_clocks_from_the_claim() -> None:
    policy = Policy(claim_ttl="P3D", max_hold="P5D")

    begun, continued = (deadlines.started(policy, START, 0, since) for since in (START - DAY, START - 3 * DAY))

    assert [ends(each)[0] for each in (begun, continued)] == [START + 3 * DAY, START + 2 * DAY]


# It goes on


def test_a_follow_up_restarts_the_clock_that_the_policy_names() -> None:
    at = START
    known = replace(CLAIMED, claimed_at=START - HOUR, expires_at=START + HOUR)

    restarted = deadlines.followed_up(known, Policy(claim_ttl="PT2H", follow_up_restarts_clock=True), at)
    idle = deadlines.followed_up(known, Policy(claim_ttl="P1D", idle_ttl="PT2H"), at)
    neither = deadlines.followed_up(known, Policy(claim_ttl="PT9H"), at)

    assert [ends(each)[0] for each in (restarted, idle, neither)] == [START + 2 * HOUR, START + 2 * HOUR, START + HOUR]
    assert [each["active_at"] for each in (restarted, idle, neither)] == [START] * 3
    assert "extended_ms" not in neither


def test_a_follow_up_restarts_only_the_idle_clock_by_default() -> None:
    known = replace(CLAIMED, claimed_at=START - HOUR, expires_at=START + HOUR)

    followed = deadlines.followed_up(known, Policy(claim_ttl="PT4H", idle_ttl="PT9H"), START)

    assert ends(followed)[0] == START + 3 * HOUR


def test_a_follow_up_never_shortens_and_absorbs_earlier_extensions() -> None:
    policy = Policy(idle_ttl="PT2H")
    extended = replace(CLAIMED, expires_at=START + 3 * HOUR, extended_ms=2 * HOUR)
    little = replace(CLAIMED, expires_at=START + 3 * HOUR, extended_ms=MINUTE)
    overtaken = replace(CLAIMED, expires_at=START + HOUR, extended_ms=HOUR)

    kept, less, gone = (deadlines.followed_up(known, policy, START) for known in (extended, little, overtaken))

    assert [(ends(each)[0], each["extended_ms"]) for each in (kept, less, gone)] == [
        (START + 3 * HOUR, HOUR), (START + 3 * HOUR, MINUTE), (START + 2 * HOUR, 0)
    ]  # fmt: skip


def test_a_follow_up_on_a_pinned_claim_moves_the_clock_under_the_pin() -> None:
    followed = deadlines.followed_up(PINNED, Policy(idle_ttl="PT2H"), START)

    assert ends(followed) == (START + DAY, START + 2 * HOUR, None)


def test_a_follow_up_gives_no_deadline_to_a_claim_without_one() -> None:
    endless = replace(CLAIMED, expires_at=None)

    assert ends(deadlines.followed_up(endless, Policy(idle_ttl="PT2H"), START)) == (None, None, None)
    assert ends(deadlines.followed_up(CLAIMED, Policy(follow_up_restarts_clock=True), START))[0] == START + HOUR


def test_an_extension_is_counted_and_clears_an_ended_pin() -> None:
    over = replace(CLAIMED, pinned_until=START, extensions=1, extended_ms=HOUR)

    extended = deadlines.extended(over, Policy(), 2 * HOUR)

    assert ends(extended) == (START + 3 * HOUR, None, None)
    assert (extended["extensions"], extended["extended_ms"], extended["pinned_until"]) == (2, 3 * HOUR, START)


# A pin holds it up


def test_a_pin_sets_the_deadline_only_if_it_ends_after_the_clock() -> None:
    later, earlier, at_it = (deadlines.pinned(CLAIMED, Policy(), START + ms) for ms in (DAY, MINUTE, HOUR))

    assert ends(later) == (START + DAY, START + HOUR, None)
    assert ends(earlier) == ends(at_it) == (START + HOUR, None, None)
    assert earlier["pinned_until"] == START + MINUTE


def test_a_pin_gives_no_deadline_to_a_claim_without_one() -> None:
    endless = replace(CLAIMED, expires_at=None)

    assert ends(deadlines.pinned(endless, Policy(), START + DAY)) == (None, None, None)
    assert ends(deadlines.unpinned(endless, Policy(), START)) == (None, None, None)


# The pool stood still


def test_a_pause_shifts_clocks_by_its_overlap_with_the_claim() -> None:
    known = replace(PINNED, active_at=START - HOUR, stopped_ms=MINUTE, pauses=1, claimed_at=START - HOUR)

    whole = deadlines.shifted(known, Policy(), START, START + DAY, pauses=2)
    part = deadlines.shifted(replace(known, claimed_at=START + HOUR), Policy(), START, START + DAY, pauses=2)
    none = deadlines.shifted(replace(known, claimed_at=START + 2 * DAY), Policy(), START, START + DAY, pauses=2)

    assert whole == {
        "pauses": 2, "stopped_ms": MINUTE + DAY, "active_at": START - HOUR + DAY, "pinned_until": START + 2 * DAY,
        "expires_at": START + 2 * DAY, "clock_ends": START + HOUR + DAY, "remind_at": None, "review_ends": None,
        "win_declined_at": None,
    }  # fmt: skip
    assert (part["stopped_ms"], ends(part)[0]) == (MINUTE + 23 * HOUR, START + DAY + 23 * HOUR)
    assert (none["stopped_ms"], ends(none)[0]) == (MINUTE, START + DAY)


def test_a_pause_shifts_no_absent_clock_and_none_beyond_the_largest_time() -> None:
    endless = replace(CLAIMED, expires_at=None)
    last = replace(CLAIMED, expires_at=NO_DEADLINE - HOUR, pinned_until=NO_DEADLINE)

    nothing, end = (deadlines.shifted(known, Policy(), START, START + DAY, 1) for known in (endless, last))

    assert (nothing["active_at"], nothing["pinned_until"], ends(nothing)) == (None, None, (None, None, None))
    assert (end["pinned_until"], ends(end)[0]) == (NO_DEADLINE, NO_DEADLINE)


# Another policy


@pytest.mark.parametrize(
    ("changes", "policy", "expected"),
    [
        ({}, {"claim_ttl": "PT9H"}, 8 * HOUR), ({}, {}, None), ({}, {"claim_ttl": "PT1M"}, 0),
        ({"stopped_ms": HOUR}, {"claim_ttl": "PT9H"}, 9 * HOUR),
        ({"extended_ms": HOUR}, {"claim_ttl": "PT9H"}, 9 * HOUR),
        ({"extended_ms": HOUR}, {"claim_ttl": "PT9H", "max_hold": "PT9H"}, 8 * HOUR),
        ({"extended_ms": HOUR}, {"claim_ttl": "PT9H", "max_hold": "PT10H"}, 9 * HOUR),
        ({"extended_ms": HOUR, "stopped_ms": MINUTE}, {"claim_ttl": "PT9H", "max_hold": "PT9H"}, 8 * HOUR + MINUTE),
        ({"active_at": START}, {"idle_ttl": "PT9H"}, 9 * HOUR), ({}, {"idle_ttl": "PT9H"}, 8 * HOUR),
    ],
)  # fmt: skip
def test_a_new_policy_recomputes_the_deadline_but_not_before_now(
    changes: dict[str, int], policy: dict[str, str], expected: int | None
) -> None:
    recomputed = deadlines.recomputed(replace(CLAIMED, **changes), Policy(**policy), START)  # type: ignore[arg-type]

    assert ends(recomputed)[0] == (None if expected is None else START + expected)


def test_a_pinned_claim_stays_pinned_under_a_new_policy() -> None:
    assert ends(deadlines.recomputed(PINNED, Policy(claim_ttl="PT9H"), START)) == (START + DAY, START + 8 * HOUR, None)


# Reminders


def test_the_next_reminder_is_the_earliest_unsent_level() -> None:
    known = replace(CLAIMED, expires_at=START + 2 * DAY)

    fresh = deadlines.pinned(known, REMINDING, START)
    reminded_once = deadlines.pinned(replace(known, reminded={"P1D": START}), REMINDING, START)
    reminded_twice = deadlines.pinned(replace(known, reminded={"P1D": 1, "PT2H": 1}), REMINDING, START)

    assert [ends(each)[2] for each in (fresh, reminded_once, reminded_twice)] == [
        START + DAY, START + 2 * DAY - 2 * HOUR, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        lambda known, policy: deadlines.followed_up(known, policy, START),
        lambda known, policy: deadlines.extended(known, policy, 0),
        lambda known, policy: deadlines.unpinned(known, policy, START),
        lambda known, policy: deadlines.shifted(known, policy, START, START, 1),
        lambda known, policy: deadlines.recomputed(known, Policy(claim_ttl="PT2H", reminders=policy.reminders), START),
    ],
    ids=["followed up", "extended", "unpinned", "shifted", "recomputed"],
)
def test_a_changed_deadline_keeps_the_sent_reminders(changes: Any) -> None:
    reminded = replace(CLAIMED, reminded={"P1D": 1})

    assert changes(reminded, REMINDING)["remind_at"] == START + HOUR - 2 * HOUR


def test_a_reminder_level_is_due_exactly_its_lead_time_before_expiration() -> None:
    known = replace(CLAIMED, expires_at=START + DAY)
    policy = Policy(reminders=("PT2H", "P1D", "PT2H"))

    assert deadlines.levels_due(known, policy, START - 1) == []
    assert deadlines.levels_due(known, policy, START) == ["P1D"]
    assert deadlines.levels_due(known, policy, START + 22 * HOUR) == ["P1D", "PT2H"], "the earliest first, each once"
    assert deadlines.levels_due(replace(known, reminded={"P1D": 1}), policy, START + 22 * HOUR) == ["PT2H"]
    assert deadlines.levels_due(known, Policy(reminders=None), START + DAY) == []


def test_all_due_reminder_levels_are_sent_at_once() -> None:
    known = replace(CLAIMED, expires_at=START + DAY)

    assert deadlines.reminded(known, REMINDING, START) == {"reminded": {"P1D": START}, "remind_at": START + 22 * HOUR}
    assert deadlines.reminded(known, REMINDING, START + DAY) == {
        "reminded": {"P1D": START + DAY, "PT2H": START + DAY}, "remind_at": None
    }  # fmt: skip
    assert deadlines.reminded(replace(known, reminded={"P9D": 5}), REMINDING, START)["reminded"] == {
        "P9D": 5, "P1D": START
    }  # fmt: skip


def test_the_clock_is_the_deadline_unless_a_pin_ends_later() -> None:
    known: list[Customer] = [CLAIMED, PINNED]

    assert [deadlines.clock_ends(each) for each in known] == [START + HOUR, START + HOUR]
