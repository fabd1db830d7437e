"""The effect and the rules of each verb on one customer: transitions as values, without DynamoDB.

The HTTP tests show the result on a real engine. These show, once per verb, everything a transition changes and every
rule it requires, in the order in which refusals are named. Verbs of managers are in `test_claim_transitions`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from chalicelib.domain import claim_transitions, content_transitions, transitions
from chalicelib.domain.claim_transitions import WinDetails
from chalicelib.domain.transitions import NoOp, QuotaUse, Recheck, Transition, Write
from chalicelib.dynamodb import keys
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Event
from tests.support.transition_samples import (
    AVAILABLE,
    CLAIMED,
    CLEARED,
    EXPIRED,
    PAUSED,
    POOL,
    THEIRS,
    actor,
    changed,
    event,
    new_id,
    planned,
    refused,
    rule_names,
)
from tests.support.world import DAY, HOUR, START

# Without a cached customer, or from a stale one


VERBS: dict[str, Callable[..., Transition | Refusal]] = {
    "claim": lambda known, home=POOL: transitions.claim(actor(home=home), "c1", known, new_id("a2")),
    "release": lambda known, home=POOL: transitions.release(actor(home=home), "c1", known, None, None),
    "extend": lambda known, home=POOL: claim_transitions.extend(actor(home=home), "c1", known, HOUR, None),
    "follow up": lambda known, home=POOL: claim_transitions.follow_up(actor(home=home), "c1", known, None, None),
    "pin": lambda known, home=POOL: claim_transitions.pin(actor(home=home), "c1", known, START + HOUR),
    "unpin": lambda known, home=POOL: claim_transitions.unpin(actor(home=home), "c1", known),
    "win": lambda known, home=POOL: claim_transitions.win(actor(home=home), "c1", known, WinDetails()),
    "deposit": lambda known, home=POOL: claim_transitions.deposit(actor(home=home), "c1", known, actor(home=home)),
    "assign": lambda known, home=POOL: claim_transitions.assign(actor("mona", home), "c1", known, "bob", new_id("b1")),
    "transfer": lambda known, home=POOL: claim_transitions.transfer(
        actor("mona", home), "c1", known, "bob", new_id("b1"), None
    ),
    "convert": lambda known, home=POOL: claim_transitions.convert(actor("mona", home), "c1", known, None),
    "restore": lambda known, home=POOL: claim_transitions.restore(actor("mona", home), "c1", known),
    "edit": lambda known, home=POOL: content_transitions.edit(actor(home=home), "c1", known, "New", {}, None),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=list(VERBS))
def test_a_transition_without_a_cached_customer_only_checks_its_rules(
    verb: Callable[..., Transition | Refusal],
) -> None:
    move = planned(verb(None))

    assert move == Recheck(keys.customer_key("main", "p", "c1"), None, move.rules)
    assert "not_found c1" in rule_names(move)


@pytest.mark.parametrize("verb", ["release", "extend", "follow up", "pin", "win", "deposit", "transfer", "convert"])
def test_a_transition_of_an_unheld_customer_writes_nothing_and_fails_its_rules(verb: str) -> None:
    move = planned(VERBS[verb](AVAILABLE))

    assert move == Recheck(move.key, AVAILABLE, move.rules)
    assert rule_names(move)


ABOUT_A_CLAIM = ["release", "extend", "follow up", "pin", "unpin", "win", "convert"]


@pytest.mark.parametrize("verb", ABOUT_A_CLAIM)
def test_a_claim_live_at_the_start_of_a_pause_continues_until_its_clock_is_shifted(verb: str) -> None:
    stored = {"state": "claimed", "holder": "alice", "expires_at": START}
    been_set = replace(EXPIRED, pauses=PAUSED.pauses)

    in_a_pause = refused(VERBS[verb](EXPIRED, PAUSED), **stored)
    otherwise = [refused(VERBS[verb](known, home), **stored) for known, home in ((been_set, PAUSED), (EXPIRED, POOL))]

    assert ("expired" in in_a_pause, ["expired" in each for each in otherwise]) == (False, [True, True])


def test_the_holder_may_edit_in_a_pause_until_the_clock_is_shifted() -> None:
    edit, been_set = VERBS["edit"], replace(EXPIRED, pauses=PAUSED.pauses)

    last = [
        rule_names(edit(known, home))[-1] for known, home in ((EXPIRED, PAUSED), (been_set, PAUSED), (EXPIRED, POOL))
    ]

    assert last == ["expired c1", "expired alice", "expired alice"]
    assert refused(edit(EXPIRED, PAUSED), state="claimed", holder="alice", expires_at=START) == []


@pytest.mark.parametrize("verb", ["claim", "assign"])
def test_no_claim_begins_in_a_pool_that_is_not_open(verb: str) -> None:
    closed = replace(POOL, status="closed")

    assert [VERBS[verb](CLAIMED, home) for home in (PAUSED, closed)] == [Refusal("pool_not_open")] * 2


def test_a_transfer_in_a_pool_that_is_not_open_is_refused_after_the_rules_about_the_caller() -> None:
    last = [rule_names(VERBS["transfer"](CLAIMED, home))[-1] for home in (PAUSED, replace(POOL, status="closed"))]

    assert last == ["pool_not_open p"] * 2


# A member's verbs


def test_if_match_is_checked_right_after_existence() -> None:
    move = transitions.claim(actor(if_match=2), "c1", AVAILABLE, new_id("a2"))

    assert rule_names(move)[:4] == ["not_a_member alice", "user_left alice", "not_found c1", "version_conflict c1"]


def test_a_transition_in_a_closed_or_paused_pool_first_checks_the_pool_version() -> None:
    assert rule_names(transitions.release(actor(home=PAUSED), "c1", CLAIMED, None, None))[0] == "throttled p"
    assert "throttled p" not in rule_names(transitions.release(actor(), "c1", CLAIMED, None, None))


def test_a_release_by_the_holder_starts_the_cooldown() -> None:
    move = transitions.release(actor(cooldown="P1D"), "c1", CLAIMED, "a1", "no need")

    assert rule_names(move) == [*THEIRS[:4], "claim_changed c1", "expired c1"]
    assert changed(move) == CLEARED | {
        "state": "available", "holder": None, "waiting_since": START, "returns": 1, "past_holders": {"alice": START}
    }  # fmt: skip
    assert event(move) == Event(
        4, "released", START, "alice", "alice", "a1", "no need", "claimed", "available", START + HOUR
    )
    assert isinstance(move, Write) and (move.managed, move.quota_use) == (False, None)


def test_a_manager_reclaims_a_customer_held_by_another() -> None:
    move = transitions.release(actor("mona"), "c1", CLAIMED, None, None)

    assert (event(move).type, event(move).by, event(move).holder, move.managed) == ("reclaimed", "mona", "alice", True)
    assert rule_names(move)[3] == "not_holder mona", "the refusal of the manager rule"


def test_past_holders_are_kept_for_the_cooldown_or_else_the_latest_three() -> None:
    many = replace(CLAIMED, past_holders={f"u{number}": START - number * HOUR for number in range(1, 10)})

    cooled = changed(transitions.release(actor(cooldown="PT2H"), "c1", many, None, None))["past_holders"]
    latest = changed(transitions.release(actor(), "c1", many, None, None))["past_holders"]

    assert cooled == {"u1": START - HOUR, "alice": START}, "who left two hours ago waits no more"
    assert list(latest) == ["u2", "u1", "alice"]


def test_an_extension_is_counted_recorded_and_starts_at_the_deadline() -> None:
    move = claim_transitions.extend(actor(members_may_extend=True, max_extensions=2), "c1", CLAIMED, HOUR, "a1")

    assert changed(move) == {"expires_at": START + 2 * HOUR, "extensions": 1, "extended_ms": HOUR}
    assert rule_names(move) == [
        *THEIRS[:4], "claim_changed c1", "expired c1", "win_requested c1", "pinned c1", "no_deadline c1",
        "extension_limit c1", "extension_limit c1",
    ]  # fmt: skip
    assert isinstance(move, Write) and move.note == {"old_expires_at": "2026-06-01T09:00:00.000Z"}
    assert (event(move).type, event(move).by, move.managed) == ("extended", "alice", False)


def test_an_extension_requires_a_manager_when_members_may_not_extend() -> None:
    hers, by_mona = (claim_transitions.extend(actor(user), "c1", CLAIMED, HOUR, None) for user in ("alice", "mona"))

    assert rule_names(hers)[-1] == "extension_not_allowed alice"
    assert (by_mona.managed, changed(by_mona)["extensions"]) == (True, 1)


def test_the_maximum_hold_is_measured_from_the_claim_without_pauses() -> None:
    held = replace(CLAIMED, stopped_ms=HOUR)

    move = claim_transitions.extend(actor(max_hold="P1D", members_may_extend=True), "c1", held, HOUR, None)

    stored = {"state": "claimed", "holder": "alice", "expires_at": START + HOUR, "extensions": 0}
    assert refused(move, claimed_at=START + HOUR - DAY, **stored) == []
    assert refused(move, claimed_at=START + HOUR - DAY - 1, **stored) == ["extension_limit"]


def test_no_claim_is_extended_to_the_largest_time() -> None:
    far = replace(CLAIMED, expires_at=keys.NO_DEADLINE - HOUR)

    at_it, before_it = (claim_transitions.extend(actor(), "c1", far, by, None) for by in (HOUR, HOUR - 1))

    assert at_it == Recheck(at_it.key, far, at_it.rules)
    assert changed(before_it)["expires_at"] == keys.NO_DEADLINE - 1


def test_a_follow_up_requires_the_holder_and_restarts_the_clock_if_enabled() -> None:
    move = claim_transitions.follow_up(actor(idle_ttl="P1D"), "c1", CLAIMED, "called", "interested")

    assert rule_names(move) == THEIRS
    assert changed(move) == {"last_follow_up_at": START, "active_at": START, "expires_at": START + DAY}
    assert (event(move).type, event(move).reason, event(move).outcome) == ("followed_up", "called", "interested")


def test_a_follow_up_in_a_pause_counts_from_the_start_of_the_pause() -> None:
    move = claim_transitions.follow_up(actor(home=PAUSED, idle_ttl="P1D"), "c1", CLAIMED, None, "later")

    assert changed(move)["last_follow_up_at"] == START
    assert changed(move)["active_at"] == START - 2 * HOUR


def test_a_clock_shifted_after_a_pause_runs_again() -> None:
    resuming = replace(CLAIMED, pauses=PAUSED.pauses)
    pinned = replace(resuming, pinned_until=START - HOUR, clock_ends=START - 3 * HOUR)

    followed = claim_transitions.follow_up(actor(home=PAUSED, idle_ttl="P1D"), "c1", resuming, None, "later")
    unpinned = claim_transitions.unpin(actor(home=PAUSED), "c1", pinned)
    extended = claim_transitions.extend(actor(home=PAUSED), "c1", pinned, HOUR, None)
    repinned = claim_transitions.pin(actor(home=PAUSED, pin_limit=1), "c1", pinned, START + DAY)

    assert (changed(followed)["active_at"], changed(unpinned)["expires_at"]) == (START, START)
    assert "pinned" not in refused(extended, pinned_until=START - HOUR, expires_at=START + HOUR)
    assert isinstance(repinned, Write) and repinned.quota_use == QuotaUse("alice", counter="pins"), "the pin was over"


def test_a_pin_delays_the_deadline_and_only_a_new_pin_is_counted() -> None:
    pinned = replace(CLAIMED, pinned_until=START + 1)
    over = replace(CLAIMED, pinned_until=START)

    move, moved, renewed = (
        claim_transitions.pin(actor(pin_limit=1), "c1", known, START + DAY) for known in (CLAIMED, pinned, over)
    )

    assert changed(move) == {"expires_at": START + DAY, "clock_ends": START + HOUR, "pinned_until": START + DAY}
    uses = [each.quota_use for each in (move, moved, renewed) if isinstance(each, Write)]
    assert uses == [QuotaUse("alice", counter="pins"), None, QuotaUse("alice", counter="pins")]
    assert rule_names(move) == rule_names(moved) == THEIRS
    assert (event(move).type, event(move).by, move.managed) == ("pinned", "alice", False)
    by_mona = claim_transitions.pin(actor("mona", pin_limit=1), "c1", CLAIMED, START + DAY)
    assert isinstance(by_mona, Write) and (by_mona.quota_use, by_mona.managed) == (None, True)


def test_a_pin_is_limited_by_the_policy_to_the_millisecond() -> None:
    longest, longer = (claim_transitions.pin(actor(max_pin="P1D"), "c1", CLAIMED, START + DAY + ms) for ms in (0, 1))

    assert rule_names(longest) == [*THEIRS, "not_manager alice"], "without a pin limit"
    assert rule_names(longer) == [*THEIRS, "not_manager alice", "pin_too_long c1"]


def test_an_unpinned_claim_ends_at_its_clock_but_not_in_the_past() -> None:
    pinned = replace(CLAIMED, pinned_until=START + DAY, expires_at=START + DAY, clock_ends=START + HOUR)
    overdue = replace(pinned, clock_ends=START - 3 * HOUR)

    move, ended, in_a_pause = (
        claim_transitions.unpin(actor(home=home), "c1", known)
        for home, known in ((POOL, pinned), (POOL, overdue), (PAUSED, overdue))
    )

    assert changed(move) == {"expires_at": START + HOUR, "clock_ends": None, "pinned_until": None}
    assert (rule_names(move), event(move).type, move.managed) == (THEIRS, "unpinned", False)
    assert changed(ended)["expires_at"] == START
    assert changed(in_a_pause)["expires_at"] == START - 2 * HOUR, "its clock stands still"


def test_a_manager_unpins_for_others_and_an_unpinned_claim_stays_unchanged() -> None:
    pinned = replace(CLAIMED, pinned_until=START + DAY, expires_at=START + DAY, clock_ends=START + HOUR)

    move, unchanged = (claim_transitions.unpin(actor("mona"), "c1", known) for known in (pinned, CLAIMED))

    assert (move.managed, rule_names(move)[3]) == (True, "not_holder mona")
    assert isinstance(unchanged, NoOp) and (unchanged.result, unchanged.managed) == (CLAIMED, True)


def test_a_conversion_makes_the_customer_private_to_its_holder() -> None:
    mine, by_mona = (
        claim_transitions.win(actor(user, win="holder"), "c1", CLAIMED, WinDetails()) for user in ("alice", "mona")
    )

    won = CLEARED | {"state": "private", "won_at": START, "active_at": START}
    assert changed(mine) == changed(by_mona) == won
    assert rule_names(mine) == [*THEIRS, "user_left alice"]
    assert (event(mine).type, event(mine).claim_id) == ("won", CLAIMED.claim_id)
    assert event(mine).expires_at is None, "a private customer has no deadline here"
    assert rule_names(by_mona)[3] == "not_holder mona"
    assert (mine.managed, by_mona.managed) == (False, True)
