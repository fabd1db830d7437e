"""The writes of one transition, action by action, each with its condition: as values, without DynamoDB."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import claim_transitions, content_transitions, rules
from chalicelib.domain.content_transitions import Row
from chalicelib.domain.transitions import GivenUp, Remove, Transition
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import evaluate
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete, Put, SetAttributes
from chalicelib.model.model import Customer, Event
from chalicelib.transactions.customer_writes import actions_of, with_paged_events
from tests.support.transition_samples import (
    AVAILABLE,
    CLAIMED,
    POOL,
    PRIVATE,
    actor,
    after_of,
    claimed,
    planned,
    released,
)
from tests.support.world import START

KEY = keys.customer_key("main", "p", "c1")
FIELDS, GUARD = Key(KEY.pk, "F"), keys.unique_key("main", "p", "phone#1.digest")
CALLED = replace(AVAILABLE, fields={"phone": "138 1234 5678"}, contact_keys=("phone#1.digest",))
AS_KNOWN = {"version": AVAILABLE.version, "created_at": AVAILABLE.created_at}


def done(writes: Sequence[Action]) -> list[tuple[type, Key]]:
    return [(type(action), action.key) for action in writes]


def committed(action: Action, **attributes: Any) -> bool:
    """Return True if DynamoDB would apply the action to an item with these attributes, or to none."""
    item: Item = items.build_item(action.key, attributes) if attributes else {}
    return action.condition is None or evaluate(action.condition, item)


# The customer


def test_a_customer_is_written_only_over_the_version_that_was_read() -> None:
    (write,) = actions_of(claimed(AVAILABLE), {})

    assert (type(write), write.key) == (SetAttributes, KEY)
    assert committed(write, **AS_KNOWN)
    assert not committed(write, **AS_KNOWN | {"version": 4})
    assert not committed(write, **AS_KNOWN | {"created_at": START})
    assert not committed(write), "the customer no longer exists"


def test_a_claim_and_a_release_write_only_the_attributes_that_they_change() -> None:
    (claim,) = actions_of(claimed(AVAILABLE, claim_ttl="PT1H"), {})
    (release,) = actions_of(released(CLAIMED), {})

    assert isinstance(claim, SetAttributes) and isinstance(release, SetAttributes)
    assert set(claim.changed) == {
        "state", "holder", "ci", "ca", "expires_at", "version", "ua", "tail", "place",
        "rank", "due", "due_at",
    }  # fmt: skip
    assert claim.removed == ()
    assert set(release.removed) == {"holder", "ci", "ca", "expires_at", "due", "due_at"}
    assert not {"name", "created_at", "fv"} & release.changed.keys()


def test_a_new_customer_is_written_only_if_the_key_is_free() -> None:
    move = planned(content_transitions.create(actor("mona"), Row("c1", "Acme", {}), "created"))

    writes = actions_of(move, {})

    assert done(writes) == [(Put, KEY), (SetAttributes, FIELDS)]
    assert committed(writes[0]) and not committed(writes[0], **AS_KNOWN)


def test_a_transition_without_a_write_checks_its_conditions() -> None:
    seen, unseen = (
        content_transitions.keep_existing(actor("mona"), AVAILABLE),
        claimed(None),
    )

    (same,), (there,) = actions_of(seen, {}), actions_of(unseen, {})

    assert done([same, there]) == [(Check, KEY)] * 2
    assert committed(same, **AS_KNOWN) and not committed(same, **AS_KNOWN | {"version": 4})
    assert committed(there, **AS_KNOWN) and not committed(there)


def test_conditions_on_the_customer_are_part_of_its_write_and_others_are_not() -> None:
    other = keys.member_key("main", "p", "alice")
    rule_names = {KEY: [rules.held_by(KEY, "alice").condition], other: [rules.member(other).condition]}

    (put,) = actions_of(claimed(AVAILABLE), rule_names)
    (check,) = actions_of(claimed(None), {KEY: [rules.held_by(KEY, "alice").condition]})

    assert committed(put, holder="alice", **AS_KNOWN) and not committed(put, holder="bob", **AS_KNOWN)
    assert committed(check, holder="alice") and not committed(check, holder="bob")
    assert set(rule_names) == {other}


# Fields and unique keys


# From one pool to another, or out of the table


def test_a_customer_and_its_fields_move_in_one_transaction() -> None:
    there = replace(POOL, id="q")
    target_key = keys.customer_key("main", "q", "c1")
    move = claim_transitions.deposit(actor(), "c1", PRIVATE, actor(home=there))
    rule_names = {target_key: [rules.does_not_exist(target_key).condition]}

    writes = actions_of(move, rule_names)

    assert done(writes) == [
        (Delete, KEY),
        (Delete, FIELDS),
        (Delete, keys.overwritten_key(KEY)),
        (Put, target_key),
        (SetAttributes, Key(target_key.pk, "F")),
    ]
    leaves, _, _, enters, _ = writes
    assert committed(leaves, **AS_KNOWN) and not committed(leaves, **AS_KNOWN | {"version": 4})
    assert committed(enters) and not committed(enters, **AS_KNOWN)
    assert rule_names == {}
    assert not committed(actions_of(move, {})[3], **AS_KNOWN), "rule_names or not"


def test_a_deleted_customer_takes_along_its_fields_and_its_own_unique_keys() -> None:
    stored = items.build_item(GUARD, {"customer": "c1", "version": 3, "created_at": AVAILABLE.created_at})
    still = rules.still_written(GUARD, stored)
    move = Remove(KEY, CALLED, (), by="mona", given_up=(GivenUp(still, None),))
    rule_names = {GUARD: [still.condition]}

    writes = actions_of(move, rule_names)

    assert done(writes) == [(Delete, KEY), (Delete, FIELDS), (Delete, GUARD)]
    assert committed(writes[0], **AS_KNOWN) and not committed(writes[0], **AS_KNOWN | {"version": 4})
    assert committed(writes[2], **items.deserialize({"M": stored})) and not committed(writes[2], customer="c2")
    assert rule_names == {}
    assert done(actions_of(move, {})) == done(writes), "two removed customers may have the same number"


# Events


LONG = 700  # two such reasons take a kilobyte by themselves, since no packing makes noise smaller
noise = random.Random(3)


def with_events(count: int, length: int = 0) -> Customer:
    reasons = ["".join(noise.choices(string.ascii_letters + string.digits, k=length)) for _ in range(count)]
    events = tuple(Event(seq, "updated", START, "mona", reason=reason) for seq, reason in enumerate(reasons, 1))
    return replace(CLAIMED, version=count, tail=events)


def kept(move: Transition) -> list[int]:
    return [event.seq for event in after_of(move).tail]


def test_events_stay_inline_when_moving_them_saves_no_write_unit() -> None:
    packed = replace(with_events(2, 150), name="n" * 700)  # 1.4 kB with its events, and still more than one without
    plain = replace(with_events(1, 100), name="n" * 200)  # less than one with its events

    moved = [with_paged_events(released(known), roomy=False) for known in (packed, plain)]

    assert [kept(move) for move in moved] == [[1, 2, 3], [1, 2]]
    assert [move.after and items.size(items.customer_item(move.after)) > 1024 for move in moved] == [True, False]


def test_few_short_events_move_too_where_that_saves_a_write_unit() -> None:
    plain = replace(with_events(2, 100), name="n" * 450)  # more than one kB with its events, and less without

    moved = with_paged_events(released(plain), roomy=False)

    assert kept(moved) == [3] and items.customer_size(after_of(moved)) <= 1024


def test_a_single_event_stays_inline_because_its_page_costs_the_unit_that_it_saves() -> None:
    plain = replace(with_events(1, 100), name="n" * 560)  # more than one kB with its events, and less without

    moved = with_paged_events(released(plain), roomy=False)

    assert kept(moved) == [1, 2] and items.customer_size(after_of(moved)) > 1024


def test_the_computed_size_of_a_customer_is_the_size_of_its_item() -> None:
    known = replace(
        with_events(3, 40), name="蓝天 Ltd", expires_at=-5, homes={"a": "é"}, card={"city": {"S": "上海"}},
        unknown={"later": {"L": [{"BOOL": True}]}},
    )  # fmt: skip

    sizes = [(items.customer_size(each), items.size(items.customer_item(each))) for each in (known, CLAIMED)]

    assert [size for size, _ in sizes] == [size for _, size in sizes]


def test_an_atomic_batch_keeps_at_most_a_page_of_events_inline() -> None:
    long, full, over = with_events(2, LONG), with_events(15), with_events(16)

    moved = [with_paged_events(released(known), roomy=True) for known in (long, full, over)]

    assert [kept(move) for move in moved] == [[1, 2, 3], list(range(1, 17)), [17]]
