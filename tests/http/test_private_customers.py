"""Private customers: counted for their owner, under a limit of their own, transferred by managers (rules 31 and 33)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted as counted_calls
from tests.support.threads import at_once
from tests.support.world import DAY, Reply, User, World


def win(user: User, customer: str) -> Reply:
    return user.post(f"/customers/{customer}/win")


def counted(user: User) -> tuple[int, int]:
    """Return how many customers the user holds and owns, by their counters."""
    member = user.get("/members/me").json
    return member["held"], member["private"]


def test_rule_31_no_win_takes_an_owner_above_the_private_limit(world: World) -> None:
    world.pool(private_limit=2, customers=4)
    world.alice.claim_batch(["c1", "c2", "c3"])

    won = [win(world.alice, customer) for customer in ("c1", "c2", "c3")]

    assert [reply.status for reply in won] == [200, 200, 409]
    assert (won[2].code, won[2].json["limit"], won[2].json["used"]) == ("private_limit", 2, 2)
    assert counted(world.alice) == (1, 2)
    assert world.alice.customer("c3")["state"] == "claimed"


def test_an_approval_beyond_the_private_limit_leaves_the_request_open(world: World) -> None:
    mona = world.pool(win="approval", private_limit=0, customers=1)
    world.alice.claim("c1")
    win(world.alice, "c1")

    refused = mona.post("/customers/c1/win/approve")
    mona.put("/members/alice", {"role": "member", "private_limit": 1})
    approved = mona.post("/customers/c1/win/approve")

    assert (refused.status, refused.code) == (409, "private_limit")
    assert (approved.status, approved.json["state"]) == (200, "private")


def test_a_members_own_private_limit_overrides_that_of_the_pool(world: World) -> None:
    mona = world.pool(private_limit=5, customers=3)
    given = mona.put("/members/alice", {"role": "member", "private_limit": 1})
    world.alice.claim_batch(["c1", "c2"])

    won = [win(world.alice, customer) for customer in ("c1", "c2")]
    lowered = mona.put("/members/alice", {"role": "member", "private_limit": 0})
    raised = mona.put("/members/alice", {"role": "member"})

    assert (given.json["private_limit"], given.json["private"]) == (1, 0)
    assert [reply.status for reply in won] == [200, 409]
    assert (lowered.json["private_limit"], lowered.json["private"], raised.json["private_limit"]) == (0, 1, 5)
    assert win(world.alice, "c2").status == 200


def test_a_batch_fills_the_room_of_each_owner_and_fails_no_other(world: World) -> None:
    mona = world.pool(private_limit=1, customers=6)
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.bob.claim_batch(["c4", "c5"])

    converted = mona.post("/convert", {"customer_ids": ["c1", "c4", "c2", "c5", "c3"]})

    assert converted.results == ["ok", "ok", "private_limit", "private_limit", "private_limit"]
    assert (counted(world.alice), counted(world.bob)) == ((2, 1), (1, 1))


def test_an_atomic_batch_over_an_owners_private_limit_changes_nothing(world: World) -> None:
    mona = world.pool(private_limit=1, customers=4)
    world.alice.claim_batch(["c1", "c2"])
    world.bob.claim("c3")

    refused = mona.post("/convert", {"customer_ids": ["c1", "c3", "c2"], "atomic": True})

    assert (refused.status, refused.results) == (409, ["ok", "ok", "private_limit"])
    assert (counted(world.alice), counted(world.bob)) == ((2, 0), (1, 0))


def test_fifty_concurrent_wins_at_the_private_limit_win_exactly_the_room(threaded: World) -> None:
    threaded.pool(private_limit=5, customers=50)
    ids = [f"c{number}" for number in range(1, 51)]
    threaded.alice.claim_batch(ids)

    replies = at_once([partial(win, threaded.alice, each) for each in ids])

    assert sum(reply.status == 200 for reply in replies) == 5
    assert counted(threaded.alice) == (45, 5)


def test_a_manager_transfers_a_private_customer_within_the_recipients_limit(world: World) -> None:
    mona = world.pool(private_limit=1, customers=3)
    for user, customer in ((world.alice, "c1"), (world.bob, "c2")):
        user.claim(customer)
        win(user, customer)
    mona.put("/members/carl", {"role": "member"})

    full = mona.post("/customers/c1/transfer", {"to": "bob"})
    moved = mona.post("/customers/c1/transfer", {"to": "carl"})
    by_member = world.bob.post("/customers/c2/transfer", {"to": "alice"})

    assert (full.status, full.code) == (409, "private_limit")
    assert (moved.status, moved.json["state"], moved.json["holder"], moved.json["claim_id"]) == (
        200, "private", "carl", None
    )  # fmt: skip
    assert by_member.code == "not_manager"
    assert counted(world.alice) == (0, 0)
    assert mona.events("c1")[-1] == "transferred"


def test_a_deposit_makes_room_for_another_private_customer(world: World) -> None:
    world.pool(private_limit=1, customers=2)
    world.alice.claim_batch(["c1", "c2"])
    win(world.alice, "c1")

    world.alice.post("/customers/c1/deposit")

    assert win(world.alice, "c2").status == 200
    assert counted(world.alice) == (0, 1)


# Created by a manager


def test_a_manager_creates_a_private_customer_under_its_owners_limit(world: World) -> None:
    mona = world.pool(private_limit=1, private_ttl="P30D")

    made = mona.create("own", private_of="alice")
    full = mona.create("more", private_of="alice")

    assert (made.status, made.json["state"], made.json["holder"], made.json["claim_id"]) == (
        201,
        "private",
        "alice",
        None,
    )
    assert made.json["expires_at"] == rfc3339(world.clock.now + 30 * DAY)
    assert (full.status, full.code, full.json["limit"], full.json["used"]) == (409, "private_limit", 1, 1)
    assert counted(world.alice) == (0, 1)
    assert mona.events("own") == ["created"]
    assert mona.get("/stats").json["totals"]["entered"] == 0, "it has not entered the pool"
    assert world.alice.post("/customers/own/deposit").status == 200


def test_a_private_customer_is_created_by_managers_for_members_only(world: World) -> None:
    mona = world.pool()

    replies = [
        mona.create("own", private_of="nobody"),
        world.alice.create("own", private_of="alice"),
        world.root.create("own", private_of="root"),
        mona.create("own", private_of=""),
    ]

    assert [(reply.status, reply.code) for reply in replies] == [
        (403, "not_a_member"), (403, "not_manager"), (403, "not_a_member"), (422, "invalid_request")
    ]  # fmt: skip
    assert mona.create("own").status == 201, "nothing was created"


def test_an_admin_creates_a_private_customer_of_a_member(world: World) -> None:
    world.pool()

    made = world.root.create("own", private_of="bob", fields={"phone": "+49 30 1234567"})

    assert (made.status, made.json["holder"], counted(world.bob)) == (201, "bob", (0, 1))


def test_a_created_private_customer_makes_room_in_place_of_expired_ones(world: World) -> None:
    mona = world.pool(private_limit=1, private_ttl="P30D")
    mona.create("old", private_of="alice")
    world.clock.forward(30 * DAY)

    made = mona.create("new", private_of="alice")

    assert (made.status, counted(world.alice)) == (201, (0, 1))
    assert mona.events("old") == ["created", "expired"]


def test_creating_a_private_customer_is_one_transaction(world: World) -> None:
    mona = world.pool(private_limit=1)

    with counted_calls(world) as calls:
        made = mona.create("own", private_of="alice")

    assert made.status == 201
    assert calls["TransactWriteItems"] == 1


def test_fifty_private_customers_created_at_once_fill_exactly_the_room(threaded: World) -> None:
    mona = threaded.pool(private_limit=5)

    replies = at_once([partial(mona.create, f"own{number}", private_of="alice") for number in range(50)])

    assert sum(reply.status == 201 for reply in replies) == 5
    assert {reply.code for reply in replies if reply.status != 201} == {"private_limit"}
    assert counted(threaded.alice) == (0, 5)


# A member leaves


@pytest.fixture
def leaving(world: World) -> World:
    """Create a pool where alice holds c1 and owns c2 and c3."""
    world.pool(members="alice bob", customers=4)
    world.alice.claim_batch(["c1", "c2", "c3"])
    for customer in ("c2", "c3"):
        win(world.alice, customer)
    return world


def test_rule_33_a_removal_answers_for_claims_and_for_private_customers(leaving: World) -> None:
    unanswered = [leaving.mona.delete(f"/members/alice{query}") for query in ("", "?private=deposit", "?held=release")]

    assert [(reply.status, reply.code, reply.json["used"]) for reply in unanswered] == [
        (409, "member_has_claims", 1), (409, "member_has_claims", 1), (409, "member_has_private", 2)
    ]  # fmt: skip
    assert counted(leaving.alice) == (1, 2), "nothing has moved"


@pytest.mark.parametrize("status", ["open", "paused", "closed"])
def test_a_removed_members_private_customers_are_deposited_in_a_pool_of_any_status(leaving: World, status: str) -> None:
    if status != "open":
        leaving.root.post(
            "/pause" if status == "paused" else "/close", {"mode": "drain"} if status == "closed" else None
        )

    removed = leaving.mona.delete("/members/alice?held=release&private=deposit")

    assert removed.status == 200
    assert {leaving.mona.customer(each)["state"] for each in ("c1", "c2", "c3")} == {"available"}
    assert leaving.alice.get("/members/me").code == "not_a_member"


@pytest.mark.parametrize("status", ["open", "paused"])
def test_a_removed_members_private_customers_are_transferred(leaving: World, status: str) -> None:
    if status != "open":
        leaving.root.post("/pause")

    removed = leaving.mona.delete("/members/alice?held=transfer&private=transfer&to=bob")

    assert removed.status == 200
    assert counted(leaving.bob) == (1, 2)


def test_a_removal_that_the_recipient_has_no_room_for_moves_nothing(leaving: World) -> None:
    leaving.mona.put("/members/bob", {"role": "member", "private_limit": 1})

    refused = leaving.mona.delete("/members/alice?private=transfer&held=transfer&to=bob")
    without_to = leaving.mona.delete("/members/alice?private=transfer&held=release")

    assert (refused.status, refused.code) == (409, "private_limit")
    assert without_to.status == 422
    assert counted(leaving.alice) == (1, 2)


@pytest.mark.parametrize(
    ("to", "code"), [("nobody", "not_a_member"), ("gone", "user_left"), ("alice", "invalid_request")]
)
@pytest.mark.parametrize("answers", ["held=release&private=transfer", "held=transfer&private=deposit"])
def test_a_removal_whose_recipient_may_get_no_customer_moves_nothing(
    leaving: World, answers: str, to: str, code: str
) -> None:
    leaving.mona.put("/members/gone", {"role": "member"})
    leaving.root.request("POST", "/v1/users/gone/leave", {"held": "release", "private": "deposit"})

    refused = leaving.mona.delete(f"/members/alice?{answers}&to={to}")

    assert refused.code == code
    assert counted(leaving.alice) == (1, 2)


def test_a_closed_pool_reclaims_what_an_owner_has_no_room_for(world: World) -> None:
    world.pool(private_limit=2, customers=3)
    world.alice.claim_batch(["c1", "c2", "c3"])

    closed = world.root.post("/close", {"mode": "to_private"})

    states = [world.mona.customer(each)["state"] for each in ("c1", "c2", "c3")]
    assert (closed.status, sorted(states)) == (200, ["available", "private", "private"])
    assert counted(world.alice) == (0, 2)


def test_an_audit_recomputes_and_repairs_the_count_of_private_customers(leaving: World) -> None:
    drifted: dict[str, Any] = {"private": {"N": "7"}}
    key = {"pk": {"S": "T#main#P#p#M#alice"}, "sk": {"S": "-"}}
    leaving.table.connection.client.update_item(
        TableName=leaving.table.name, Key=key, UpdateExpression="SET #p = :p",
        ExpressionAttributeNames={"#p": "private"}, ExpressionAttributeValues={":p": drifted["private"]},
    )  # fmt: skip

    repaired = leaving.root.request("POST", "/v1/audit", {"repair": True})

    assert [(each["kind"], each["expected"], each["found"]) for each in repaired.json["drift"]] == [("private", 2, 7)]
    assert counted(leaving.alice) == (1, 2)
