"""A new customer is refused if another one of the pool has its phone number or e-mail address."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.audit import assert_sound
from tests.support.dynamodb_calls import counted
from tests.support.world import Reply, User, World

PHONE, EMAIL = "13812345678", "li@example.cn"
TAKEN = (409, "duplicate_customer", "Another customer already has this phone number or e-mail address.")


def create(user: User, customer: str, **body: Any) -> Reply:
    return user.create(customer, fields={"phone": PHONE}, **body)


def refusal(reply: Reply) -> tuple[int, str | None, str]:
    return reply.status, reply.code, reply.json.get("detail", "")


def stale_owner(world: World, how: str) -> User:
    """Let c1 lose its phone number, whose unique-key item still names it."""
    mona = world.pool()
    world.pool("q")
    create(mona, "c1", private_of="mona")
    if how == "edited":
        mona.patch("/customers/c1", {"fields": {"phone": "13900000000"}})
    elif how == "emptied":
        mona.patch("/customers/c1", {"fields": {"phone": None}})
    elif how == "moved":
        mona.post("/customers/c1/deposit", {"pool": "q"})
    else:
        mona.post("/customers/c1/erase", {"reason": "requested", "force": True})
    return mona


@pytest.mark.parametrize("fields", [
    {"phone": PHONE}, {"phone": "+86 138-1234-5678"}, {"phone": "010-85556666 / １３８１２３４５６７８"},
    {"email": "LI@example.cn"}, {"phone": "13900000000", "email": EMAIL},
])  # fmt: skip
def test_rule_23_a_new_customer_with_the_contact_of_another_is_a_duplicate(
    world: World, fields: dict[str, Any]
) -> None:
    mona = world.pool()
    mona.create("c1", fields={"phone": PHONE, "email": EMAIL})

    reply = mona.create("c2", fields=fields)
    private = mona.create("c2", fields=fields, on_duplicate="reject", private_of="alice")

    assert refusal(reply) == refusal(private) == TAKEN
    assert mona.customer_ids() == ["c1"]
    assert_sound(world.table)


def test_on_duplicate_allow_creates_a_second_customer_with_the_number(world: World) -> None:
    mona = world.pool()
    create(mona, "c1")

    available, private = (
        create(mona, "c2", on_duplicate="allow"),
        create(mona, "c3", on_duplicate="allow", private_of="bob"),
    )
    again = create(mona, "c4")

    assert (available.status, private.status) == (201, 201)
    assert refusal(again) == TAKEN
    assert_sound(world.table)


@pytest.mark.parametrize("how", ["edited", "emptied", "moved", "erased"])
def test_a_number_that_its_last_customer_no_longer_has_is_free(world: World, how: str) -> None:
    mona = stale_owner(world, how)

    first, second = create(mona, "c2"), create(mona, "c3")

    assert first.status == 201
    assert refusal(second) == TAKEN
    assert_sound(world.table)


def test_another_pool_may_have_a_customer_with_the_number(world: World) -> None:
    create(world.pool(), "c1")
    there = world.pool("q")

    replies = [create(there, "c1"), create(there, "c2")]

    assert [each.status for each in replies] == [201, 409]


def test_the_id_of_an_existing_customer_is_refused_before_its_number(world: World) -> None:
    mona = world.pool()
    create(mona, "c1")

    again = create(mona, "c1")

    assert refusal(again) == (409, "duplicate_customer", "This customer already exists.")


def test_a_value_without_a_number_is_no_duplicate(world: World) -> None:
    mona = world.pool()

    replies = [mona.create(each, fields={"phone": "ask Wang", "city": PHONE}) for each in ("c1", "c2")]

    assert [each.status for each in replies] == [201, 201]


def test_a_repetition_of_a_creation_is_no_duplicate(world: World) -> None:
    mona = world.pool()
    body = {"name": "New", "fields": {"phone": PHONE}}
    first = mona.post("/customers", body, idempotency_key="k")

    again = mona.post("/customers", body, idempotency_key="k")
    other = mona.post("/customers", body, idempotency_key="other")
    repeated = mona.post("/customers", body, idempotency_key="other")

    assert (first.status, again.status, again.json["id"]) == (201, 201, first.json["id"])
    assert refusal(other) == refusal(repeated) == TAKEN


@pytest.mark.parametrize("who", ["alice", "quinn"])
def test_a_refused_creation_costs_the_same_whether_or_not_a_customer_has_the_number(world: World, who: str) -> None:
    create(world.pool(), "c1")
    world.user(who).get()
    costs, replies = [], []

    for phone in (PHONE, "13900000000"):
        with counted(world) as made:
            replies.append(world.user(who).create("c2", fields={"phone": phone}))
        costs.append(dict(made))

    assert costs == [{"BatchGetItem": 1}] * 2
    assert refusal(replies[0]) == refusal(replies[1]) and replies[0].status == 403


@pytest.mark.parametrize("fields", [{}, {"phone": PHONE}])
def test_a_creation_is_one_read_and_one_transaction(world: World, fields: dict[str, str]) -> None:
    mona = world.pool()

    with counted(world) as made:
        reply = mona.create("c1", fields=fields)

    assert reply.status == 201
    assert made == {"BatchGetItem": 1, "TransactWriteItems": 1}
