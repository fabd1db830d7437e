"""Each rule at its boundary: the last item that passes, the first that fails, and the refusal.

Without DynamoDB: an item goes through a rule as `rules.broken` does with a returned item. `test_conditions` shows that
DynamoDB evaluates the condition in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.domain import rules
from chalicelib.domain.rules import PinQuota, Quota, Rule
from chalicelib.dynamodb import items
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import NO_DEADLINE, STORED_NAMES, Key
from chalicelib.model.errors import Refusal
from chalicelib.model.policy import Policy
from chalicelib.model.validation import FieldError

KEY = Key("T#main#P#p#C#c1", "-")
NOW = 1_780_300_800_000  # 2026-06-01T08:00:00Z
MIDNIGHT = NOW + 16 * 3_600_000
NOT_THERE: Item = {}


def refusals(required: Rule | Sequence[Rule], item: Item | None = None, **attributes: Any) -> list[Refusal]:
    """Return the refusals of those rules for an item with these attributes."""
    required = [required] if isinstance(required, Rule) else required
    stored = items.build_item(KEY, {STORED_NAMES.get(name, name): given for name, given in attributes.items()})
    return list(rules.broken_rules(required, {KEY: stored if item is None else item}))


# Refusals


def test_a_rule_about_an_item_that_was_not_returned_passes() -> None:
    another = Key("T#main#P#p#C#c2", "-")

    broken = list(rules.broken_rules([rules.exists(another), rules.exists(KEY)], {KEY: NOT_THERE}))

    assert broken == [Refusal("not_found")]


def test_the_first_of_several_failed_rules_is_reported() -> None:
    required = [rules.exists(KEY), rules.claimed(KEY), rules.held_by(KEY, "alice")]
    held = items.build_item(KEY, {"state": "available"})

    first, of_nothing = rules.first_broken(required, {KEY: held}), rules.first_broken(required, {})

    assert (first, of_nothing) == (Refusal("not_claimed"), None)


def test_rules_are_equal_for_the_same_conditions_on_the_same_items_in_order() -> None:
    first, second = rules.matches_if_match(KEY, 1), rules.held_by(KEY, "alice")
    another = Key("T#main#P#p#C#c2", "-")

    assert rules.same_rules([first, second], [rules.matches_if_match(KEY, 1), second])
    for other in ([second, first], [first], [rules.matches_if_match(KEY, 2), second],
                  [rules.matches_if_match(another, 1), second],
                  [rules.still_at_version(KEY, 1, NOW), second]):  # fmt: skip
        assert not rules.same_rules([first, second], other)


# The pool


def test_a_pool_accepts_customers_unless_it_is_closed_or_deleted() -> None:
    takes = rules.pool_accepts_customers(KEY)

    assert refusals(takes, status="open") == refusals(takes, status="paused") == []
    assert refusals(takes, status="closed") == refusals(takes, NOT_THERE) == [Refusal("pool_not_open")]


def test_a_pool_of_another_version_decides_nothing_and_is_read_again() -> None:
    assert refusals(rules.pool_unchanged(KEY, 3), version=3) == []
    assert refusals(rules.pool_unchanged(KEY, 3), version=4) == [Refusal("throttled")]


# Is it that customer, at that version?


def test_a_customer_exists_or_does_not() -> None:
    assert refusals(rules.exists(KEY), version=1) == refusals(rules.does_not_exist(KEY), NOT_THERE) == []
    assert refusals(rules.exists(KEY), NOT_THERE) == [Refusal("not_found")]
    assert refusals(rules.does_not_exist(KEY), version=1) == [Refusal("duplicate_customer")]


def test_a_recreated_customer_is_another_one_even_at_the_same_version() -> None:
    untouched = rules.still_at_version(KEY, 2, NOW)

    assert refusals(untouched, version=2, created_at=NOW) == []
    for version, created_at in ((3, NOW), (2, NOW + 1)):
        assert refusals(untouched, version=version, created_at=created_at) == [Refusal("version_conflict")]


def test_if_match_compares_only_the_version() -> None:
    assert refusals(rules.matches_if_match(KEY, 2), version=2, created_at=1) == []
    assert refusals(rules.matches_if_match(KEY, 2), version=1) == [Refusal("version_conflict")]


# May it be claimed?


def test_a_claim_is_free_from_the_millisecond_of_its_deadline() -> None:
    free = rules.free_to_claim(KEY, Policy(), NOW)

    assert refusals(free, state="available") == refusals(free, state="claimed", expires_at=NOW) == []
    assert refusals(free, state="private", expires_at=NOW) == []
    assert refusals(free, state="claimed", expires_at=NOW + 1) == [Refusal("already_claimed", NOW + 1)]


def test_a_private_customer_or_one_without_deadline_is_taken_without_an_end() -> None:
    free = rules.free_to_claim(KEY, Policy(), NOW)

    assert refusals(free, state="private") == refusals(free, state="claimed") == [Refusal("already_claimed")]


def test_a_customer_set_aside_now_or_at_its_next_return_is_not_free() -> None:
    free = rules.free_to_claim(KEY, Policy(max_returns=3), NOW)
    expired: dict[str, Any] = {"state": "claimed", "expires_at": NOW}

    assert refusals(free, returns=1, **expired) == refusals(free, state="available", returns=2) == []
    assert refusals(free, returns=2, **expired) == [Refusal("set_aside")]
    assert refusals(free, state="available", returns=1, set_aside_at=NOW) == [Refusal("set_aside")]


def test_an_embargo_ends_at_its_exact_millisecond() -> None:
    embargo = rules.past_embargo(KEY, Policy(embargo="PT1S"), NOW)

    assert rules.past_embargo(KEY, Policy(), NOW) == []
    assert refusals(embargo, entered_at=NOW - 1000) == []
    assert refusals(embargo, entered_at=NOW - 999) == [Refusal("embargoed", NOW + 1)]
    of_private = rules.past_embargo(KEY, Policy(embargo="PT1S"), NOW, "expires_at")
    assert refusals(of_private, entered_at=0, expires_at=NOW - 999) == [Refusal("embargoed", NOW + 1)]


def test_the_cooldown_blocks_only_past_holders_to_the_millisecond() -> None:
    cooled = rules.cooled_down(KEY, Policy(cooldown="PT1S"), "alice", NOW)

    assert rules.cooled_down(KEY, Policy(), "alice", NOW) == []
    assert refusals(cooled, past_holders={"bob": NOW}) == []
    assert refusals(cooled, past_holders={"alice": NOW - 1000}) == []
    assert refusals(cooled, past_holders={"alice": NOW - 999}) == [Refusal("cooldown", NOW + 1)]


def test_the_cooldown_after_an_own_expired_claim_starts_at_its_deadline() -> None:
    cooled = rules.cooled_down(KEY, Policy(cooldown="PT1S"), "alice", NOW)
    hers: dict[str, Any] = {"past_holders": {}, "state": "claimed", "holder": "alice"}

    assert refusals(cooled, **hers, expires_at=NOW - 1000) == []
    assert refusals(cooled, **hers | {"holder": "bob"}, expires_at=NOW) == []
    assert refusals(cooled, **hers | {"state": "private"}) == [], "what is her own has no deadline to wait from"
    assert refusals(cooled, **hers, expires_at=NOW - 999) == [Refusal("cooldown", NOW + 1)]
    bobs = hers | {"holder": "bob", "past_holders": {"alice": NOW - 999}}
    assert refusals(cooled, **bobs, expires_at=NOW) == [Refusal("cooldown", NOW + 1)], "later holders change nothing"
    again = hers | {"past_holders": {"alice": NOW - 999}}
    assert refusals(cooled, **again, expires_at=NOW - 1) == [Refusal("cooldown", NOW + 999)], (
        "she last left at the deadline"
    )


# Whose claim is it, and does it go on?


def test_a_claim_must_have_the_holder_and_the_claim_id_of_the_client() -> None:
    same = rules.same_claim(KEY, "a")

    assert refusals(rules.claimed(KEY), state="claimed") == refusals(rules.held_by(KEY, "alice"), holder="alice") == []
    assert refusals(same, claim_id="a") == []
    assert rules.same_claim(KEY, None) == []
    assert refusals(rules.claimed(KEY), state="private") == [Refusal("not_claimed")]
    assert refusals(rules.held_by(KEY, "alice"), holder="bob") == [Refusal("not_holder")]
    assert refusals(same, claim_id="b") == [Refusal("claim_changed")]


def test_the_holder_acts_before_the_deadline_and_the_sweep_from_then_on() -> None:
    goes_on, expired = rules.not_expired(KEY, NOW), rules.due(KEY, NOW)

    assert refusals(goes_on, state="claimed") == refusals(goes_on, state="claimed", expires_at=NOW + 1) == []
    assert refusals(expired, state="claimed", expires_at=NOW) == []
    assert refusals(goes_on, state="claimed", expires_at=NOW) == [Refusal("expired")]
    assert refusals(expired, state="claimed", expires_at=NOW + 1) == [Refusal("claim_changed")]
    assert refusals(expired, state="private", expires_at=NOW) == []
    assert refusals(expired, state="available", expires_at=NOW) == [Refusal("claim_changed")]


def test_only_a_private_customer_can_be_deposited() -> None:
    private, free = rules.private(KEY), rules.not_private(KEY, NOW)

    assert refusals(free, state="available") == refusals(private, state="private") == []
    assert refusals(free, state="private") == [Refusal("already_claimed")]
    assert refusals(free, state="private", expires_at=NOW + 1) == [Refusal("already_claimed", NOW + 1)]
    assert refusals(free, state="private", expires_at=NOW) == []
    assert refusals(private, state="claimed") == [Refusal("not_private"), Refusal("already_available")]
    assert refusals(private, state="available") == [Refusal("already_available")]


def test_a_pin_ends_at_its_exact_millisecond() -> None:
    unpinned = rules.unpinned(KEY, NOW)

    assert refusals(unpinned, state="claimed") == refusals(unpinned, pinned_until=NOW) == []
    assert refusals(unpinned, pinned_until=NOW + 1) == [Refusal("pinned", NOW + 1)]


# May it be extended, or pinned?


def test_a_claim_without_a_deadline_cannot_be_extended() -> None:
    extendable = rules.extendable(KEY, Policy(), 1000, None)

    assert refusals(extendable, expires_at=NOW) == []
    assert refusals(extendable, state="claimed")[0] == Refusal("no_deadline")


def test_no_extension_reaches_the_largest_time() -> None:
    extendable = rules.extendable(KEY, Policy(), 1000, None)

    assert refusals(extendable, expires_at=NO_DEADLINE - 1001) == []
    assert refusals(extendable, expires_at=NO_DEADLINE - 1000) == [Refusal("extension_limit")]


def test_the_extension_limit_is_checked_and_its_refusal_has_the_count() -> None:
    extendable = rules.extendable(KEY, Policy(max_extensions=2), 1000, None)

    assert refusals(extendable, expires_at=NOW, extensions=1) == []
    assert refusals(extendable, expires_at=NOW, extensions=2) == [Refusal("extension_limit", limit=2, used=2)]


def test_an_extension_is_refused_for_a_claim_before_the_given_time() -> None:
    extendable = rules.extendable(KEY, Policy(), 1000, NOW)

    assert refusals(extendable, expires_at=NOW, claimed_at=NOW) == []
    assert refusals(extendable, expires_at=NOW, claimed_at=NOW - 1) == [Refusal("extension_limit")]


def test_the_pin_limit_is_checked_and_its_refusal_has_the_count() -> None:
    one, two = PinQuota(KEY, 2, 1), PinQuota(KEY, 2, 2)

    assert [allowed(one, pins=1), allowed(one, pins=2), allowed(two, pins=0), allowed(two, pins=1)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert one.left(items.build_item(KEY, {"pins": 3})) == (None, 0)
    assert one.refusals(items.build_item(KEY, {"pins": 1}), 1) == [Refusal("pin_limit", limit=2, used=2)]
    assert one.refusals(items.build_item(KEY, {"pins": 1}), 0) == []


# Phone numbers and e-mail addresses


def test_a_unique_key_is_free_if_unused_or_left_by_its_customer() -> None:
    stored: dict[str, Any] = {"customer": "c1", "version": 2, "created_at": NOW}
    stale = items.build_item(KEY, stored)
    unheard, given_up = rules.not_taken(KEY, None), rules.not_taken(KEY, stale)

    assert refusals(unheard, NOT_THERE) == refusals(given_up, NOT_THERE) == refusals(given_up, stale) == []
    assert refusals(unheard, stale) == [Refusal("key_taken")]
    for other in ({"customer": "c2"}, {"version": 3}, {"created_at": NOW + 1}):
        assert refusals(given_up, **(stored | other)) == [Refusal("key_taken")]


def test_a_unique_key_is_still_used_while_its_item_is_unchanged() -> None:
    stored: dict[str, Any] = {"customer": "c1", "version": 2, "created_at": NOW}
    still = rules.still_written(KEY, items.build_item(KEY, stored))

    assert refusals(still, **stored) == []
    assert refusals(still, NOT_THERE) == refusals(still, **(stored | {"version": 3})) == [Refusal("key_changed")]


# Members and their limits


def test_a_missing_membership_has_the_matching_refusal() -> None:
    assert refusals(rules.member(KEY), role="member") == refusals(rules.manager(KEY), role="manager") == []
    assert refusals(rules.member(KEY), NOT_THERE) == [Refusal("not_a_member")]
    assert refusals(rules.member(KEY, "taker_not_a_member"), NOT_THERE) == [Refusal("taker_not_a_member")]
    assert refusals(rules.manager(KEY), role="member") == [Refusal("not_manager")]
    assert refusals(rules.manager(KEY, "not_holder"), role="member") == [Refusal("not_holder")]


def test_the_rule_that_always_fails_fails_for_any_item() -> None:
    assert refusals(rules.always_fails(KEY, "pin_limit", limit=5), version=1) == [Refusal("pin_limit", limit=5)]
    wrong = rules.always_fails(KEY, "invalid_request", errors=(FieldError("too_many", "fields", (1,)),))
    assert refusals(wrong, version=1) == [Refusal("invalid_request", errors=(FieldError("too_many", "fields", (1,)),))]


def allowed(quota: Quota | PinQuota, **attributes: Any) -> bool:
    return refusals(Rule("holding_limit", KEY, quota.condition()), **attributes) == []


@pytest.mark.parametrize(("held", "may"), [(3, True), (4, False)])
def test_a_batch_must_fit_under_the_holding_limit_of_the_pool(held: int, may: bool) -> None:
    quota = Quota(KEY, Policy(holding_limit=5), NOW, 2)

    assert allowed(quota, held=held) is may
    assert allowed(Quota(KEY, Policy(), NOW, 2), held=held), "without a limit"


@pytest.mark.parametrize(("room", "may"), [(2, True), (1, False)])
def test_a_members_own_limit_overrides_that_of_the_pool(room: int, may: bool) -> None:
    strict = Quota(KEY, Policy(holding_limit=0), NOW, 2)

    assert allowed(strict, held=9, own_limit=9, room=room) is may
    assert allowed(Quota(KEY, Policy(), NOW, 2), held=9, own_limit=9, room=room) is may


@pytest.mark.parametrize(("did", "may"), [({}, True), ({"claimed": 3}, True), ({"claimed": 4}, False)])
def test_a_batch_must_fit_under_the_daily_limit(did: dict[str, int], may: bool) -> None:
    policy = Policy(daily_claim_limit=5)

    assert allowed(Quota(KEY, policy, NOW, 2), did=did) is may
    assert allowed(Quota(KEY, policy, NOW, 2, daily=False), did=did), "an assignment is no claim of the day"
    assert allowed(Quota(KEY, policy, NOW, 2, starts_day=True), did=did), "the day begins with it"


def test_a_batch_above_the_daily_limit_never_fits_even_on_a_new_day() -> None:
    policy = Policy(daily_claim_limit=2)

    assert allowed(Quota(KEY, policy, NOW, 2), did={})
    assert allowed(Quota(KEY, policy, NOW, 2, starts_day=True), did={"claimed": 2})
    assert not allowed(Quota(KEY, policy, NOW, 3), did={})
    assert not allowed(Quota(KEY, policy, NOW, 3, starts_day=True), did={})
    assert not allowed(Quota(KEY, Policy(daily_claim_limit=0), NOW, 1), did={})


def member(**attributes: Any) -> Item:
    return items.build_item(KEY, {"day": "2026-06-01", "did": {}, "held": 0} | attributes)


def test_the_headroom_is_the_limit_minus_the_use_and_never_negative() -> None:
    quota = Quota(KEY, Policy(holding_limit=5, daily_claim_limit=3), NOW, 1)

    assert quota.left(member(held=2, did={"claimed": 1})) == (2, 3)
    assert quota.left(member(held=6, did={"claimed": 4})) == (0, 0)
    assert quota.left(member(held=2, own_limit=8)) == (3, 6)
    assert Quota(KEY, Policy(), NOW, 1).left(member(held=2)) == (None, None)
    assert Quota(KEY, Policy(daily_claim_limit=3), NOW, 1, daily=False).left(member()) == (None, None)


def test_daily_claims_count_on_their_day_or_with_clock_skew_on_the_day_before() -> None:
    quota = Quota(KEY, Policy(daily_claim_limit=3), NOW, 1)

    left = [quota.left(member(day=day, did={"claimed": 2}))[0] for day in ("2026-05-31", "2026-06-01", "2026-06-02")]

    assert left == [3, 1, 1]


def test_a_limit_refusal_has_the_use_with_grants_and_the_end_of_the_day() -> None:
    quota = Quota(KEY, Policy(holding_limit=5, daily_claim_limit=3), NOW, 1)
    daily = Refusal("daily_limit", MIDNIGHT, 3, 3)
    holding = Refusal("holding_limit", None, 5, 5)

    assert quota.refusals(member(held=3, did={"claimed": 1}), 1) == []
    assert quota.refusals(member(held=3, did={"claimed": 2}), 1) == [daily]
    assert quota.refusals(member(held=4, did={"claimed": 1}), 1) == [holding]
    assert quota.refusals(member(held=4, did={"claimed": 2}), 1) == [daily, holding]
    assert quota.refusals(member(held=4, own_limit=5), 1) == [Refusal("holding_limit", None, 5, 5)]
    assert Quota(KEY, Policy(), NOW, 1).refusals(member(held=4), 9) == []
