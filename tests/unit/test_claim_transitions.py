"""What each verb of a manager, and each change that leaves the holder, makes of one customer: as values."""

from __future__ import annotations

from msgspec.structs import replace

from chalicelib.domain import claim_transitions, content_transitions, rules
from chalicelib.domain.content_transitions import Row
from chalicelib.domain.rules import broken_rules
from chalicelib.domain.transitions import NoOp, QuotaUse, Recheck, Relocate, Write
from chalicelib.dynamodb import items
from chalicelib.model.model import Customer, Event
from chalicelib.model.text import MAX_FIELDS_BYTES
from chalicelib.model.validation import FieldError
from tests.support.transition_samples import (  # fmt: skip
    AVAILABLE,
    BY_MANAGER,
    CLAIMED,
    CLEARED,
    EXPIRED,
    PAUSED,
    POOL,
    PRIVATE,
    TO_BOB,
    actor,
    after_of,
    changed,
    event,
    events,
    new_id,
    refused,
    rule_names,
)
from tests.support.world import DAY, HOUR, START


def test_a_transfer_is_a_new_claim_with_its_own_clock() -> None:
    known = replace(CLAIMED, past_holders={"carl": START - 3 * HOUR, "dora": START - HOUR})

    move = claim_transitions.transfer(
        actor("mona", claim_ttl="P7D", cooldown="PT2H"), "c1", known, "bob", new_id("b1"), "a1"
    )

    assert changed(move) == {
        "holder": "bob", "claim_id": "b1", "claimed_at": START, "expires_at": START + 7 * DAY,
        "past_holders": {"dora": START - HOUR, "alice": START},
    }  # fmt: skip
    assert rule_names(move) == [*TO_BOB, "not_claimed c1", "claim_changed c1", "expired c1"]
    assert isinstance(move, Write) and (move.quota_use, events(move)) == (QuotaUse("bob"), ["transferred"])


def test_a_transfer_to_the_holder_changes_nothing_and_uses_no_headroom() -> None:
    move = claim_transitions.transfer(actor("mona"), "c1", CLAIMED, "alice", new_id("b1"), None)

    assert isinstance(move, NoOp) and (move.before, move.result) == (CLAIMED, CLAIMED)
    assert rule_names(move)[-2:] == ["not_claimed c1", "expired c1"]


def test_a_claim_in_a_pause_is_judged_at_the_start_of_the_pause() -> None:
    stored = {"state": "claimed", "expires_at": START}

    paused, running = (
        claim_transitions.convert(actor("mona", home=home), "c1", EXPIRED, None) for home in (PAUSED, POOL)
    )

    assert (refused(paused, **stored), refused(running, **stored)) == ([], ["expired"])


def test_a_conversion_makes_the_holder_or_the_named_user_the_owner() -> None:
    known = replace(CLAIMED, set_aside_at=None)

    for_holder, for_bob = (claim_transitions.convert(actor("mona"), "c1", known, to) for to in (None, "bob"))

    private = CLEARED | {"state": "private", "active_at": START}
    assert changed(for_holder) == private
    assert changed(for_bob) == private | {"holder": "bob", "past_holders": {"alice": START}}
    assert rule_names(for_holder) == [
        *BY_MANAGER, "not_a_member mona", "not_found c1", "not_claimed c1", "expired c1", "user_left alice",
    ]  # fmt: skip
    assert rule_names(for_bob) == [*TO_BOB, "already_claimed c1", "suppressed c1"]
    assert isinstance(for_bob, Write) and (events(for_bob), for_bob.quota_use) == (
        ["converted"],
        QuotaUse("bob", counter="private"),
    )


def test_an_unheld_customer_is_converted_for_a_named_user_even_when_set_aside() -> None:
    aside = replace(AVAILABLE, set_aside_at=START - HOUR)

    named, for_nobody = (claim_transitions.convert(actor("mona"), "c1", aside, to) for to in ("bob", None))

    assert changed(named) == {"state": "private", "holder": "bob", "set_aside_at": None, "active_at": START}
    assert for_nobody == Recheck(for_nobody.key, aside, for_nobody.rules)


def test_an_expired_claim_is_closed_before_a_conversion() -> None:
    move = claim_transitions.convert(actor("mona"), "c1", EXPIRED, "bob")

    assert events(move) == ["expired", "converted"]


def test_a_claim_shifted_after_a_pause_is_judged_by_its_running_clock() -> None:
    shifting = replace(PAUSED, resumed_at=START - HOUR)
    expired_since = replace(EXPIRED, expires_at=START - HOUR)

    shifted, waiting = (
        claim_transitions.convert(actor("mona", home=shifting), "c1", replace(expired_since, pauses=pauses), "bob")
        for pauses in (1, 0)
    )

    assert (events(shifted), events(waiting)) == (["expired", "converted"], ["converted"])


# Back into a pool


def test_a_deposit_makes_a_customer_available_and_records_a_past_holder() -> None:
    alice = actor(cooldown="PT2H")
    known = replace(PRIVATE, past_holders={"carl": START - 3 * HOUR})

    move = claim_transitions.deposit(alice, "c1", known, alice)

    assert changed(move) == {
        "state": "available", "holder": None, "entered_at": START, "waiting_since": START,
        "past_holders": {"alice": START}, "active_at": None,
    }  # fmt: skip
    assert rule_names(move) == [
        "not_a_member alice", "not_found c1", "not_private c1", "already_available c1", "not_holder c1", "expired c1",
        "pool_not_open p",
    ]  # fmt: skip
    assert (events(move), isinstance(move, Relocate), move.managed) == (["deposited"], False, False)
    assert claim_transitions.deposit(actor("mona"), "c1", PRIVATE, actor("mona")).managed


def test_a_deposit_into_another_pool_checks_that_pool_and_keeps_the_history() -> None:
    there = replace(POOL, id="q")

    move = claim_transitions.deposit(actor("mona"), "c1", PRIVATE, actor("mona", home=there))

    assert rule_names(move)[-4:] == ["pool_not_open q", "not_a_member mona", "suppressed c1", "duplicate_customer c1"]
    assert [rule.key.pk for rule in move.rules[-3:]] == ["T#main#P#q#M#mona", *["T#main#P#q#C#c1"] * 2]
    assert isinstance(move, Relocate)
    assert (move.after.pool, move.after.homes, move.after.fields_version) == ("q", {"p": 4}, 4)
    assert (move.target_key.pk, move.managed) == ("T#main#P#q#C#c1", False)


def test_only_a_private_customer_is_deposited() -> None:
    for known in (AVAILABLE, CLAIMED, None):
        move = claim_transitions.deposit(actor(), "c1", known, actor())

        assert move == Recheck(move.key, known, move.rules)


def test_a_deposit_into_another_pool_starts_the_cooldown_of_that_pool() -> None:
    past = replace(PRIVATE, past_holders={"carl": START - 3 * HOUR})
    there = replace(POOL, id="q")

    move = claim_transitions.deposit(actor(cooldown="P9D"), "c1", past, actor(home=there, cooldown="PT1H"))

    assert changed(move)["past_holders"] == {"alice": START}


def test_a_customer_moved_with_its_first_event_leaves_no_history() -> None:
    new = after_of(content_transitions.create(actor("mona"), Row("c1", "Acme", {}), "created"))
    young = replace(PRIVATE, version=1, tail=new.tail)

    move = claim_transitions.deposit(actor(), "c1", young, actor(home=replace(POOL, id="q")))

    assert isinstance(move, Relocate) and (move.after.homes, len(move.after.tail)) == ({}, 2)


def test_a_customer_moved_with_its_second_event_leaves_only_the_first() -> None:
    paged_out = replace(PRIVATE, version=1, tail=())

    move = claim_transitions.deposit(actor(), "c1", paged_out, actor(home=replace(POOL, id="q")))

    assert isinstance(move, Relocate) and move.after.homes == {"p": 2}


def test_a_restored_customer_waits_from_now_with_a_reset_return_count() -> None:
    aside = replace(AVAILABLE, set_aside_at=START - HOUR, returns=3)

    move, unchanged = (claim_transitions.restore(actor("mona"), "c1", known) for known in (aside, AVAILABLE))

    assert changed(move) == {"set_aside_at": None, "returns": 0, "waiting_since": START}
    assert (rule_names(move), events(move)) == ([*BY_MANAGER, "not_a_member mona", "not_found c1"], ["restored"])
    assert isinstance(unchanged, NoOp) and unchanged.result == AVAILABLE


# Name and fields of a customer


def test_a_new_customer_enters_with_its_first_event_unless_it_exists() -> None:
    row, mona = Row("c1", "Acme", {"city": "Xi'an"}, 2), actor("mona")
    first = (rules.claimed(mona.customer_key("c1")),)

    unique, instead = (
        content_transitions.create(mona, row, "imported", first=first),
        content_transitions.create(mona, row, "created", unique=False),
    )

    assert isinstance(unique, Write) and unique.before is None
    assert unique.after == Customer(
        "main", "p", "c1", "Acme", "available", version=1, created_at=START, updated_at=START, entered_at=START,
        waiting_since=START, fields_version=1, priority=2, fields={"city": "Xi'an"}, tail=(event(unique),),
    )  # fmt: skip
    assert event(unique) == Event(1, "imported", START, "mona", to_state="available")
    enters = [*BY_MANAGER, "pool_not_open p", "suppressed c1"]
    assert rule_names(unique) == [*enters, "not_claimed c1", "duplicate_customer c1"]
    assert rule_names(instead) == enters


def test_an_update_is_a_version_only_if_it_changes_something() -> None:
    mona = actor("mona")

    name = content_transitions.update(mona, AVAILABLE, name="New")
    fields = content_transitions.update(mona, AVAILABLE, fields={})
    nothing = content_transitions.update(mona, AVAILABLE, name="Acme")

    assert changed(name) == {"name": "New"}
    assert changed(fields) == {"fields": {}, "fields_version": 4}
    assert isinstance(nothing, NoOp) and nothing.result == AVAILABLE
    assert rule_names(name) == rule_names(nothing) == [*BY_MANAGER, "not_found c1"]
    written = Event(4, "updated", START, "mona", None, None, None, "available", "available", changed=("name",))
    assert event(name) == written


def test_an_import_keeps_or_rejects_an_existing_customer_only_for_a_manager() -> None:
    kept, refused = (
        content_transitions.keep_existing(actor("mona"), AVAILABLE),
        content_transitions.reject_existing(actor("mona"), AVAILABLE, Row("c1", "Acme", {})),
    )

    assert (rule_names(kept), kept.result) == ([*BY_MANAGER, "not_found c1"], AVAILABLE)
    assert (rule_names(refused), refused.before) == ([*BY_MANAGER, "duplicate_customer c1"], AVAILABLE)
    assert isinstance(kept, NoOp) and isinstance(refused, Recheck)


def test_the_size_limit_of_fields_is_exact_to_the_byte() -> None:
    longest = "x" * (MAX_FIELDS_BYTES - len('{"note":""}'))

    most, too_much = (
        content_transitions.update(actor("mona"), AVAILABLE, fields={"note": longest + more}) for more in ("", "x")
    )

    assert changed(most)["fields"] == {"note": longest}
    assert isinstance(too_much, Recheck) and too_much.before == AVAILABLE
    refusals = broken_rules(too_much.rules, {too_much.key: items.customer_item(AVAILABLE)})
    assert [each.errors for each in refusals] == [
        (FieldError("bytes", "fields", (MAX_FIELDS_BYTES + 1, MAX_FIELDS_BYTES)),)
    ]


def test_an_edit_requires_the_holder_of_a_live_claim_or_a_manager() -> None:
    hers, monas, blind, late = (
        content_transitions.edit(actor(user), "c1", known, "Acme!", {}, None)
        for user, known in (("alice", CLAIMED), ("mona", CLAIMED), ("alice", None), ("alice", EXPIRED))
    )

    assert changed(hers) == changed(monas) == {"name": "Acme!"}
    assert (
        rule_names(hers) == rule_names(blind) == ["not_a_member alice", "not_found c1", "not_holder c1", "expired c1"]
    )
    assert rule_names(monas) == ["not_a_member mona", "not_found c1", "not_holder mona"]
    assert rule_names(late) == ["not_a_member alice", "not_found c1", "expired alice"], "unless she manages the pool"
