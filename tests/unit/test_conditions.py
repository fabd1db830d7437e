"""The two evaluations of a rule agree: by DynamoDB on a write, and in Python to explain a failure."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.operand import Path

from chalicelib.domain import rules
from chalicelib.dynamodb import cards, items
from chalicelib.dynamodb.conditions import all_of, condition_expression, evaluate, unchanged
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Check, Put, Table
from chalicelib.model.field_definitions import definitions_of
from chalicelib.model.model import Pool
from chalicelib.model.policy import Policy
from chalicelib.model.territories import Territory

KEY = Key("T#main#P#p#C#c1", "-")
USERS = ("alice", "bob")
moments = st.integers(0, 6)


def texts_of_card(city: str) -> dict[str, str]:
    """Return the card of a customer in that city as plain texts."""
    card = cards.card_of({"city": city}, Pool("main", "p", "P", "open", Policy(), 1, 0, 0))
    return {name: str(items.deserialize(each)) for name, each in card.items()}


customers = st.fixed_dictionaries(
    {"state": st.sampled_from(("available", "claimed", "private", 3)), "version": st.integers(1, 3)},
    optional={
        "holder": st.sampled_from(USERS),
        "claim_id": st.sampled_from(("a", "b")),
        "expires_at": moments | st.just("soon"),
        "entered_at": moments,
        "past_holders": st.dictionaries(st.sampled_from(USERS), moments),
        "claimed_at": moments,
        "set_aside_at": moments,
        "pinned_until": moments,
        "returns": st.integers(0, 3),
        "extensions": st.integers(0, 3),
        "card": st.sampled_from([texts_of_card(city) for city in ("x", "y", "z", "很长" * 60)]),
    },
)
members = st.fixed_dictionaries(
    {"role": st.sampled_from(("member", "manager"))},
    optional={
        "pins": st.integers(0, 3),
        "held": st.integers(0, 4),
        "room": st.integers(-2, 3),
        "own_limit": st.integers(0, 4),
        "did": st.dictionaries(st.sampled_from(("claimed", "released")), st.integers(0, 4)),
        "takes": st.sampled_from([Territory("city", (city,)).text for city in ("x", "y")]),
        "field:city": st.integers(-1, 2),
        "field:a b": st.integers(-1, 2),
    },
)
policies = st.builds(
    Policy,
    holding_limit=st.none() | st.integers(0, 4),
    daily_claim_limit=st.none() | st.integers(0, 4),
    embargo=st.none() | st.just("PT1S"),
    cooldown=st.none() | st.just("PT1S"),
    max_returns=st.none() | st.integers(1, 3),
    max_extensions=st.none() | st.integers(0, 3),
    pin_limit=st.none() | st.integers(0, 3),
)


def customer_conditions(policy: Policy, user: str, now: int) -> list[Condition]:
    ruled = [
        rules.exists(KEY),
        rules.matches_if_match(KEY, 2),
        *rules.free_to_claim(KEY, policy, now),
        *rules.past_embargo(KEY, policy, now + 1000),
        *rules.past_embargo(KEY, policy, now + 1000, "expires_at"),
        *rules.cooled_down(KEY, policy, user, now + 1000),
        rules.claimed(KEY),
        rules.held_by(KEY, user),
        *rules.same_claim(KEY, "a"),
        rules.not_private(KEY, now),
        rules.unpinned(KEY, now),
        *rules.private(KEY),
        *rules.extendable(KEY, policy, 5, now),
        rules.not_expired(KEY, now),
        rules.due(KEY, now),
    ]
    definitions = definitions_of(())
    of_city = [cards.in_territory(Territory("city", values), definitions) for values in (("x",), ("y", "很长" * 60))]
    return [*(rule.condition for rule in ruled), *(each for each in of_city if each is not None)]


def member_conditions(policy: Policy, count: int) -> list[Condition]:
    return [
        rules.member(KEY).condition,
        rules.manager(KEY).condition,
        rules.PinQuota(KEY, policy.pin_limit or 0, count).condition(),
        rules.Quota(KEY, policy, 5, count).condition(),
        ~rules.manager(KEY).condition,
        rules.same_territory(KEY, None).condition,
        rules.same_territory(KEY, Territory("city", ("x",)).text).condition,
        rules.named_as_planned(KEY, ["a b", "city"], ["city"]).condition,
    ]


def accepted(table: Table, condition: Condition) -> bool:
    return table.write([Check(KEY, condition)]) is None


def store(table: Table, attributes: dict[str, Any]) -> Item:
    item = items.build_item(KEY, attributes)
    table.write([Put(KEY, item)])
    return item


agreeing = partial(
    settings,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    database=None,
)


@agreeing(max_examples=60)
@given(attributes=customers, policy=policies, user=st.sampled_from(USERS), now=moments)
def test_every_rule_about_a_customer(
    real_table: Table, attributes: dict[str, Any], policy: Policy, user: str, now: int
) -> None:
    item = store(real_table, attributes)

    for condition in customer_conditions(policy, user, now):
        assert evaluate(condition, item) == accepted(real_table, condition), condition


@agreeing(max_examples=60)
@given(attributes=members, policy=policies, count=st.integers(1, 5))
def test_every_rule_about_a_member(real_table: Table, attributes: dict[str, Any], policy: Policy, count: int) -> None:
    item = store(real_table, attributes)

    for condition in member_conditions(policy, count):
        assert evaluate(condition, item) == accepted(real_table, condition), condition


def test_every_rule_about_an_item_that_is_not_there(real_table: Table) -> None:
    policy = Policy(
        embargo="PT1S", cooldown="PT1S",
        holding_limit=1, daily_claim_limit=1, max_returns=2, max_extensions=1, pin_limit=1,
    )  # fmt: skip

    for condition in [*customer_conditions(policy, "alice", 3), *member_conditions(policy, 1)]:
        assert evaluate(condition, {}) == accepted(real_table, condition), condition


def test_a_condition_that_cannot_be_evaluated_is_rejected_as_a_rule() -> None:
    with pytest.raises(TypeError, match="unsupported condition in a rule: BeginsWith"):
        evaluate(Path("state").startswith("a"), {})


# How DynamoDB evaluates a condition, one case each

ITEM = items.build_item(KEY, {"state": "claimed", "expires_at": 5, "did": {"claimed": 2}, "by": "bob"})
state, expires_at, by, pinned_until = Path("state"), Path("expires_at"), Path("by"), Path("pinned_until")
MET = {
    "equal": state == "claimed",
    "not equal": state != "private",
    "earlier": expires_at < 6,
    "until": expires_at <= 5,
    "later": expires_at > 4,
    "from": expires_at >= 5,
    "there": state.exists(),
    "not there": pinned_until.does_not_exist(),
    "within a map": Path("did")["claimed"] == 2,
    "not within a map": Path("did")["won"].does_not_exist(),
    "nothing lies within a number": expires_at["claimed"].does_not_exist(),
    "both": (expires_at > 4) & (expires_at < 6),
    "either": (expires_at > 5) | (expires_at < 6),
    "not": ~(state == "private"),
    "what is absent differs": pinned_until != 5,
    "other types differ": expires_at != "5",
    "part of a text": state.contains("claim"),
    "one of several": state.is_in("private", "claimed"),
    "one of several numbers": expires_at.is_in(4, 5),
}
NOT_MET = {
    "equal": state == "private",
    "not equal": state != "claimed",
    "earlier": expires_at < 5,
    "until": expires_at <= 4,
    "later": expires_at > 5,
    "from": expires_at >= 6,
    "there": pinned_until.exists(),
    "not there": state.does_not_exist(),
    "within a map": Path("did")["claimed"] == 3,
    "not within a map": Path("did")["claimed"].does_not_exist(),
    "nothing lies within a number": expires_at["claimed"].exists(),
    "both": (expires_at > 4) & (expires_at < 5),
    "either": (expires_at > 5) | (expires_at < 5),
    "not": ~(state == "claimed"),
    "what is absent is no equal": pinned_until == 5,
    "what is absent is not later": pinned_until > 0,
    "nor earlier": pinned_until < 9,
    "other types do not compare": by > 5,
    "nor are they equal": expires_at == "5",
    "no part of a text": state.contains("free"),
    "a number has no part": expires_at.contains("5"),
    "nor has what is absent": pinned_until.contains("5"),
    "none of several": state.is_in("private", "available"),
    "none of several texts": expires_at.is_in("5"),
    "what is absent is none of several": pinned_until.is_in(5),
}


@pytest.mark.parametrize("condition", MET.values(), ids=list(MET))
def test_a_condition_is_met(condition: Condition) -> None:
    assert evaluate(condition, ITEM)


@pytest.mark.parametrize("condition", NOT_MET.values(), ids=list(NOT_MET))
def test_a_condition_is_not_met(condition: Condition) -> None:
    assert not evaluate(condition, ITEM)


def test_dynamodb_evaluates_each_condition_like_the_rules(real_table: Table) -> None:
    real_table.write([Put(KEY, ITEM)])

    for condition in MET.values():
        assert accepted(real_table, condition), condition
    for condition in NOT_MET.values():
        assert not accepted(real_table, condition), condition


def test_an_item_is_unchanged_until_a_named_attribute_changes() -> None:
    same = unchanged(ITEM, ("state", "pinned_until"), did=("claimed", "won"))
    changed: dict[str, dict[str, Any]] = {
        "what was read": {"state": "private"},
        "what was not there": {"pinned_until": 5},
        "what was done": {"did": {"claimed": 3}},
        "what had not been done": {"did": {"claimed": 2, "won": 1}},
    }

    assert evaluate(same, ITEM) and evaluate(same, ITEM | items.build_item(KEY, {"by": "alice", "expires_at": 6}))
    assert not any(evaluate(same, ITEM | items.build_item(KEY, each)) for each in changed.values())
    assert not evaluate(same, {name: held for name, held in ITEM.items() if name != "state"})


def test_a_member_without_counters_is_unchanged_until_the_first_count() -> None:
    idle = {name: held for name, held in ITEM.items() if name != "did"}
    same = unchanged(idle, ("state",), did=("claimed",))

    assert evaluate(same, idle) and not evaluate(same, ITEM)


def test_a_condition_on_a_computed_size_is_rejected_as_a_rule() -> None:
    with pytest.raises(TypeError, match="unsupported operand in a rule: _Size"):
        evaluate(size("state") > 1, ITEM)


def test_a_condition_is_written_as_pynamodb_writes_it() -> None:
    of_pages = [Path("sk").between("E#1", "E#9"), Path("sk").startswith("E#"), all_of(list(MET.values()))]

    for condition in [*MET.values(), *NOT_MET.values(), *of_pages]:
        ours, theirs = ({"rank": "#0"}, {":0": {"N": "7"}}), ({"rank": "#0"}, {":0": {"N": "7"}})
        assert condition_expression(condition, *ours) == condition.serialize(*theirs)
        assert ours == theirs, "with the same placeholders, after those that were there"


def test_a_condition_that_no_rule_uses_is_not_serialized() -> None:
    with pytest.raises(TypeError, match="unsupported condition: IsType"):
        condition_expression(Path("state").is_type("S"), {}, {})
    with pytest.raises(AssertionError, match="unsupported operand: _Size"):
        condition_expression(size("state") > 1, {}, {})
