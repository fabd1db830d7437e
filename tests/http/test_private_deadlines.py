"""Private customers with a deadline: `private_ttl` returns them to the pool, like claims (rule 31)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted, interrupted
from tests.support.threads import at_once
from tests.support.world import DAY, HOUR, MINUTE, Reply, User, World

FOLLOW_UP = {"note": "rang"}


def owned(world: World, *customers: str, ttl: str = "P30D", **policy: Any) -> User:
    """Let alice win these customers of a new pool, all at one time. Return the manager."""
    mona = world.pool(private_ttl=ttl, **{"customers": 3} | policy)
    mona.post("/assign", {"customer_ids": customers, "to": "alice"})
    assert world.alice.post("/win", {"customer_ids": list(customers)}).json["summary"]["failed"] == 0
    return mona


def follow_up(user: User, customer: str) -> Reply:
    return user.post(f"/customers/{customer}/follow-up", FOLLOW_UP)


def deadline(user: User, customer: str) -> str | None:
    shown: str | None = user.customer(customer)["expires_at"]
    return shown


def private_count(user: User) -> int:
    return int(user.get("/members/me").json["private"])


# The clock


def test_rule_31_the_clock_starts_at_the_win_and_restarts_at_the_owners_follow_up(world: World) -> None:
    mona = owned(world, "c1")
    won_at = world.clock.now
    first = deadline(mona, "c1")
    world.clock.forward(10 * DAY)

    by_manager = follow_up(mona, "c1").json["expires_at"]
    batch = world.alice.post("/follow-up", {"customer_ids": ["c1"], **FOLLOW_UP}).json["results"][0]["customer"]
    by_owner = follow_up(world.alice, "c1").json["expires_at"]

    assert first == by_manager == batch["expires_at"] == rfc3339(won_at + 30 * DAY)
    assert by_owner == rfc3339(world.clock.now + 30 * DAY)


def test_a_transfer_starts_the_clock_of_the_new_owner(world: World) -> None:
    mona = owned(world, "c1")
    world.clock.forward(20 * DAY)

    moved = mona.post("/customers/c1/transfer", {"to": "bob"})

    assert moved.json["expires_at"] == rfc3339(world.clock.now + 30 * DAY)


def test_a_conversion_starts_the_clock(world: World) -> None:
    mona = world.pool(private_ttl="P30D", customers=1)

    converted = mona.post("/customers/c1/convert", {"to": "bob"})

    assert converted.json["expires_at"] == rfc3339(world.clock.now + 30 * DAY)


def test_a_private_customer_has_no_deadline_where_the_policy_has_none(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    won = world.alice.post("/customers/c1/win")

    assert won.json["expires_at"] is None
    assert follow_up(world.alice, "c1").json["expires_at"] is None


@pytest.mark.parametrize(
    ("mode", "who", "delays"),
    [("holder", "alice", False), ("holder", "mona", True), ("manager", "mona", True), ("holder", "root", True)],
)
def test_the_end_of_a_contract_delays_the_deadline_only_if_a_manager_confirms_it(
    world: World, mode: str, who: str, delays: bool
) -> None:
    mona = world.pool(private_ttl="P30D", win=mode, customers=1)
    ends_at = world.clock.now + 100 * DAY
    world.alice.claim("c1")

    won = world.user(who, admin=who == "root").post("/customers/c1/win", {"ends_at": rfc3339(ends_at)})

    assert won.json["ends_at"] == rfc3339(ends_at)
    assert deadline(mona, "c1") == rfc3339((ends_at if delays else world.clock.now) + 30 * DAY)


def test_a_manager_who_wins_their_own_claim_confirms_the_contract(world: World) -> None:
    mona = world.pool(private_ttl="P30D", customers=1)
    ends_at = world.clock.now + 100 * DAY
    mona.claim("c1")

    won = mona.post("/customers/c1/win", {"ends_at": rfc3339(ends_at)})

    assert (won.status, won.json["expires_at"]) == (200, rfc3339(ends_at + 30 * DAY))


def test_an_approved_contract_holds_the_clock_through_follow_ups_and_transfers(world: World) -> None:
    mona = world.pool(private_ttl="P30D", win="approval", customers=1)
    ends_at = world.clock.now + 100 * DAY
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win", {"ends_at": rfc3339(ends_at)})

    approved = mona.post("/customers/c1/win/approve")
    world.clock.forward(DAY)
    followed = follow_up(world.alice, "c1")
    moved = mona.post("/customers/c1/transfer", {"to": "bob"})

    expected = rfc3339(ends_at + 30 * DAY)
    assert [reply.json["expires_at"] for reply in (approved, followed, moved)] == [expected] * 3


# Past the deadline


def test_a_sweep_returns_an_expired_private_customer_like_a_deposit(world: World) -> None:
    mona = owned(world, "c1", "c2", embargo="PT1H", cooldown="P2D")
    expires_at = deadline(mona, "c1")
    world.clock.forward(30 * DAY + MINUTE)

    report = world.sweep()

    assert (report.due, report.returned, report.lag_ms) == (2, 2, MINUTE)
    swept = mona.customer("c1")
    assert (swept["state"], swept["holder"], swept["won_at"], swept["expires_at"]) == ("available", None, None, None)
    assert (swept["entered_pool_at"], swept["returns"]) == (expires_at, 1)
    last = mona.get("/customers/c1/history").json["items"][-1]
    assert (last["type"], last["by"], last["from_state"], last["holder"]) == ("expired", "system", "private", "alice")
    assert world.bob.claim("c1").code == "embargoed"
    world.clock.forward(HOUR)
    assert (world.alice.claim("c1").code, world.bob.claim("c1").status) == ("cooldown", 200)


def test_a_private_customer_is_kept_until_the_millisecond_of_its_deadline(world: World) -> None:
    owned(world, "c1")
    world.clock.forward(30 * DAY - 1)

    early = (world.sweep().due, follow_up(world.alice, "c1").status, private_count(world.alice))

    assert early == (0, 200, 1)
    assert (world.bob.claim("c1").code, world.mona.claim("c1").code) == ("not_found", "already_claimed")


def test_anybody_claims_an_expired_private_customer_before_a_sweep(world: World) -> None:
    mona = owned(world, "c1", ttl="PT1H")
    world.bob.claim("c2")
    world.clock.forward(HOUR)
    world.bob.get("/customers/c1")

    with counted(world) as calls:
        claimed = world.bob.claim("c1")

    assert (claimed.status, claimed.json["holder"]) == (200, "bob")
    assert calls.total() == calls["TransactWriteItems"] == 1
    assert mona.events("c1")[-2:] == ["expired", "claimed"]
    assert (private_count(world.alice), world.bob.held()) == (0, 2)


def test_a_refusal_calls_no_expired_private_customer_a_claim(world: World) -> None:
    owned(world, "c1")
    world.clock.forward(30 * DAY)

    refused = follow_up(world.alice, "c1")

    assert (refused.code, refused.json["detail"]) == ("expired", "The deadline of this customer has passed.")


def test_an_embargo_begins_at_the_deadline_of_a_private_customer_swept_or_not(world: World) -> None:
    owned(world, "c1", embargo="PT1H")
    world.clock.forward(30 * DAY + HOUR - 1)

    refused = world.bob.claim("c1")
    world.clock.forward(1)

    assert (refused.code, refused.json["retry_at"]) == ("embargoed", rfc3339(world.clock.now))
    assert world.bob.claim("c1").status == 200


def test_a_past_owner_waits_for_the_cooldown_from_the_deadline(world: World) -> None:
    owned(world, "c1", cooldown="P1D")
    world.clock.forward(31 * DAY - 1)

    refused = world.alice.claim("c1")
    world.clock.forward(1)

    assert (refused.code, refused.json["retry_at"]) == ("cooldown", rfc3339(world.clock.now))
    assert world.alice.claim("c1").status == 200


def test_the_owners_verbs_are_expired_from_the_deadline_on(world: World) -> None:
    mona = owned(world, "c1")
    mona.claim("c2")
    world.clock.forward(30 * DAY)

    refused = [
        follow_up(world.alice, "c1"),
        world.alice.post("/customers/c1/deposit"),
        world.alice.patch("/customers/c1", {"name": "Other"}),
        mona.post("/customers/c1/transfer", {"to": "bob"}),
    ]

    assert [(reply.status, reply.code) for reply in refused] == [(409, "expired")] * 4
    assert mona.patch("/customers/c1", {"name": "Other"}).status == 200


def test_claim_next_and_assign_take_expired_private_customers(world: World) -> None:
    mona = owned(world, "c1", "c2", customers=2)
    world.clock.forward(30 * DAY)

    taken = world.bob.claim_next()
    assigned = mona.post("/assign", {"customer_ids": ["c1", "c2"], "to": "bob"})

    assert [each["id"] for each in taken.json["items"]] == ["c1"]
    assert assigned.results == ["already_claimed", "ok"]
    assert (world.bob.held(), private_count(world.alice)) == (2, 0)


def test_claim_next_ranks_an_expired_private_customer_by_priority_and_deadline(world: World) -> None:
    mona = owned(world, "c1", customers=2)
    world.clock.forward(30 * DAY)
    mona.create("urgent", priority=1)

    taken = world.bob.claim_next(3)

    assert [each["id"] for each in taken.json["items"]] == ["urgent", "c2", "c1"]


def test_a_manager_converts_an_expired_private_customer_for_another_owner(world: World) -> None:
    mona = owned(world, "c1")
    early = mona.post("/customers/c1/convert", {"to": "bob"})
    world.clock.forward(30 * DAY)

    converted = mona.post("/customers/c1/convert", {"to": "bob"})

    assert (early.code, converted.status, converted.json["holder"]) == ("already_claimed", 200, "bob")
    assert mona.events("c1")[-2:] == ["expired", "converted"]
    assert (private_count(world.alice), private_count(world.bob)) == (0, 1)


def test_too_many_returns_set_an_expired_private_customer_aside(world: World) -> None:
    mona = owned(world, "c1", "c2", max_returns=1)
    world.clock.forward(30 * DAY)

    refused = world.bob.claim("c1")
    world.sweep()
    restored = mona.post("/customers/c1/restore")

    assert refused.code == "set_aside"
    assert mona.customer("c2")["set_aside_at"] is not None
    assert (restored.json["state"], restored.json["returns"]) == ("available", 0)


def test_eligibility_says_when_a_private_customer_becomes_free(world: World) -> None:
    mona = owned(world, "c1", embargo="PT1H")
    world.clock.forward(HOUR)

    expires_at = deadline(mona, "c1")
    live = mona.get("/customers/c1/eligibility").json["blocking"]
    world.clock.forward(30 * DAY - HOUR)
    expired = mona.get("/customers/c1/eligibility").json["blocking"]
    world.clock.forward(HOUR)

    assert [(each["code"], each["retry_at"]) for each in live] == [("already_claimed", expires_at)]
    assert [each["code"] for each in expired] == ["embargoed"]
    assert mona.get("/customers/c1/eligibility").json == {"eligible": True, "blocking": []}


def test_a_former_owner_sees_no_masked_field_past_the_deadline(world: World) -> None:
    owned(world, "c1", masked_fields=["name"])
    mine = world.alice.customer("c1")
    world.clock.forward(30 * DAY)

    past = world.alice.customer("c1")

    assert (mine["name"], mine["masked"], past["masked"]) == ("Customer c1", False, True)


# Limits


def test_an_expired_private_customer_does_not_count_against_the_private_limit(world: World) -> None:
    mona = owned(world, "c1", "c2", private_limit=2)
    world.alice.claim("c3")
    full = world.alice.post("/customers/c3/win")
    world.clock.forward(30 * DAY)

    won = world.alice.post("/customers/c3/win")

    assert (full.code, won.status, private_count(world.alice)) == ("private_limit", 200, 1)
    assert mona.events("c1")[-1] == mona.events("c2")[-1] == "expired"


@pytest.mark.parametrize("verb", ["approve", "convert", "transfer"])
def test_every_verb_that_gives_a_private_customer_makes_room(world: World, verb: str) -> None:
    mona = owned(world, "c1", private_limit=1)
    world.clock.forward(30 * DAY - HOUR)
    world.bob.claim("c2")
    world.bob.post("/customers/c2/win")
    mona.patch("", {"policy": {"win": "approval"}}, if_match="1")
    world.alice.claim("c3")
    world.alice.post("/customers/c3/win")
    world.clock.forward(HOUR)
    send = {
        "approve": lambda: mona.post("/customers/c3/win/approve"),
        "convert": lambda: mona.post("/customers/c3/convert"),
        "transfer": lambda: mona.post("/customers/c2/transfer", {"to": "alice"}),
    }

    assert send[verb]().status == 200
    assert private_count(world.alice) == 1


def test_a_batch_makes_room_for_each_owner(world: World) -> None:
    mona = world.pool(private_ttl="P30D", private_limit=1, customers=4)
    for user, customer in ((world.alice, "c1"), (world.bob, "c2")):
        user.claim(customer)
        user.post(f"/customers/{customer}/win")
    world.alice.claim("c3")
    world.bob.claim("c4")
    world.clock.forward(30 * DAY)

    converted = mona.post("/convert", {"customer_ids": ["c3", "c4"]})

    assert converted.results == ["ok", "ok"]
    assert (private_count(world.alice), private_count(world.bob)) == (1, 1)


# Pauses, closing and removal


@pytest.mark.parametrize("way", ["pause", "close"])
def test_nothing_private_is_returned_while_a_pool_is_not_open(world: World, way: str) -> None:
    mona = owned(world, "c1")
    expires_at = deadline(mona, "c1")
    world.root.post(f"/{way}", {"mode": "drain"} if way == "close" else None)
    world.clock.forward(30 * DAY)

    report = world.sweep()
    followed = follow_up(world.alice, "c1")
    mine = deadline(mona, "c1")
    world.root.post("/resume" if way == "pause" else "/open")

    assert (report.due, followed.code, mine) == (0, "expired", expires_at)
    assert world.sweep().returned == 1
    assert mona.events("c1")[-1] == "expired"


@pytest.mark.parametrize("verb", ["win", "approve", "convert", "transfer", "create", "remove"])
def test_what_expired_during_a_pause_does_not_count_against_the_private_limit(world: World, verb: str) -> None:
    mona = owned(world, "c1", private_limit=1, win="holder", customers=4)
    claims = (("alice", "c2"), ("alice", "c3"), ("bob", "c4"))
    for user, customer in claims:
        world.user(user).claim(customer)
    world.clock.forward(DAY)
    world.bob.post("/customers/c4/win")
    if verb == "approve":
        mona.patch("", {"policy": {"win": "approval"}}, if_match="1")
        for customer in ("c2", "c3"):
            world.alice.post(f"/customers/{customer}/win")
    world.root.post("/pause")
    send: dict[str, Callable[[], Reply]] = {
        "win": lambda: world.alice.post("/customers/c2/win"),
        "approve": lambda: mona.post("/customers/c2/win/approve"),
        "convert": lambda: mona.post("/customers/c2/convert"),
        "transfer": lambda: mona.post("/customers/c4/transfer", {"to": "alice"}),
        "create": lambda: mona.post("/customers", {"id": "new", "name": "New", "private_of": "alice"}),
        "remove": lambda: mona.delete("/members/bob?private=transfer&to=alice"),
    }
    full = send[verb]()
    world.clock.forward(29 * DAY)

    done = send[verb]()
    again = mona.post("/customers/c3/convert")
    counted_in_pause = private_count(world.alice)
    world.root.post("/resume")
    world.sweep()

    assert (full.code, done.status) == ("private_limit", 201 if verb == "create" else 200)
    assert (again.code, again.json["limit"], again.json["used"]) == ("private_limit", 1, 1)
    assert (counted_in_pause, private_count(world.alice)) == (2, 1)
    assert mona.customer("c1")["state"] == "available"


def test_a_batch_in_a_pause_fills_the_room_of_expired_private_customers_exactly(world: World) -> None:
    mona = owned(world, "c1", "c2", private_limit=2, customers=5)
    mona.post("/assign", {"customer_ids": ["c3", "c4", "c5"], "to": "alice"})
    world.root.post("/pause")
    world.clock.forward(30 * DAY)

    atomic = world.alice.post("/win", {"customer_ids": ["c3", "c4", "c5"], "atomic": True})
    won = world.alice.post("/win", {"customer_ids": ["c3", "c4", "c5"]})

    assert (atomic.status, atomic.code) == (409, "private_limit")
    assert won.results == ["ok", "ok", "private_limit"]


def test_a_closing_pool_gives_the_room_of_expired_private_customers_to_claims(world: World) -> None:
    mona = owned(world, "c1", private_limit=1)
    mona.post("/assign", {"customer_ids": ["c2", "c3"], "to": "alice"})
    world.root.post("/pause")
    world.clock.forward(30 * DAY)

    world.root.post("/close", {"mode": "to_private"})
    world.sweep()

    states = [mona.customer(each)["state"] for each in ("c1", "c2", "c3")]
    assert sorted(states) == ["available", "private", "private"] and states[0] == "private"


def test_a_win_that_needs_the_room_of_an_expired_customer_is_planned_again_once_that_is_gone(world: World) -> None:
    mona = owned(world, "c1", private_limit=1)
    world.alice.claim("c2")
    world.root.post("/pause")
    world.clock.forward(30 * DAY)
    convert = partial(mona.post, "/customers/c1/convert", {"to": "bob"})

    with interrupted(world, "TransactWriteItems", lambda: None, convert):
        won = world.alice.post("/customers/c2/win")

    assert (won.status, private_count(world.alice), private_count(world.bob)) == (200, 1, 1)


def test_a_pause_does_not_move_the_deadline_of_a_private_customer(world: World) -> None:
    mona = owned(world, "c1")
    expires_at = deadline(mona, "c1")
    world.root.post("/pause")
    world.clock.forward(10 * DAY)

    world.root.post("/resume")

    assert deadline(mona, "c1") == expires_at


@pytest.mark.parametrize("status", ["open", "paused", "closed"])
@pytest.mark.parametrize("answer", ["deposit", "transfer&to=bob"])
def test_a_removed_members_expired_private_customers_return_to_the_pool(world: World, status: str, answer: str) -> None:
    mona = owned(world, "c1")
    world.clock.forward(20 * DAY)
    world.alice.claim("c2")
    world.alice.post("/customers/c2/win")
    mona.put("/members/bob", {"role": "member", "private_limit": 1})
    if status != "open":
        world.root.post("/pause" if status == "paused" else "/close", {"mode": "drain"} if status == "closed" else None)
    world.clock.forward(10 * DAY)

    removed = mona.delete(f"/members/alice?held=release&private={answer}")

    assert removed.status == 200, removed.text
    assert mona.customer("c1")["state"] == "available"
    assert mona.events("c1")[-1] == ("expired" if status == "open" else "deposited")
    assert mona.customer("c2")["state"] == ("available" if answer == "deposit" else "private")


def test_a_member_who_owns_only_what_has_expired_is_removed_without_an_answer(world: World) -> None:
    mona = owned(world, "c1")
    world.clock.forward(30 * DAY)

    assert mona.delete("/members/alice").status == 200
    assert mona.customer("c1")["state"] == "available"


# Sweep, policy, reminders


def test_the_breaker_share_is_of_all_customers_where_private_ones_expire(world: World) -> None:
    owned(world, "c1", "c2", customers=4, sweep_breaker=0.5)
    world.clock.forward(30 * DAY)
    assert world.sweep().returned == 2, "two of four"

    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.post("/win", {"customer_ids": ["c1", "c2", "c3"]})
    world.clock.forward(30 * DAY)
    held_back = world.sweep()

    assert (held_back.due, held_back.returned, held_back.unconfirmed) == (3, 0, ["p"])


def test_a_policy_for_all_changes_the_deadlines_of_private_customers(world: World) -> None:
    mona = owned(world, "c1", "c2", customers=3)
    started = world.clock.now
    world.bob.claim("c3")
    world.clock.forward(10 * DAY)
    follow_up(world.alice, "c2")
    change: dict[str, Any] = {"policy": {"private_ttl": "P5D"}, "apply_to": "all"}

    tried = mona.patch("", change | {"dry_run": True}, if_match="1").json
    applied = mona.patch("", change, if_match="1").json

    assert (tried["affected"], tried["affected_customers"], tried["affected_holders"]) == (2, ["c1", "c2"], ["alice"])
    assert applied["affected"] == 2
    assert deadline(mona, "c1") == rfc3339(world.clock.now), "never before now"
    assert deadline(mona, "c2") == rfc3339(started + 15 * DAY)


def test_a_policy_for_new_ones_leaves_deadlines_until_the_clock_restarts(world: World) -> None:
    mona = owned(world, "c1", "c2")
    expires_at = deadline(mona, "c1")

    mona.patch("", {"policy": {"private_ttl": None}}, if_match="1")
    world.clock.forward(30 * DAY)
    followed = follow_up(world.alice, "c1")

    assert (deadline(mona, "c1"), followed.code) == (expires_at, "expired")
    assert world.sweep().returned == 2


def test_a_policy_for_all_gives_old_private_customers_a_deadline(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win")
    won_at = world.clock.now
    world.clock.forward(DAY)

    mona.patch("", {"policy": {"private_ttl": "P30D"}, "apply_to": "all"}, if_match="1")

    assert deadline(mona, "c1") == rfc3339(won_at + 30 * DAY)


def test_an_owner_is_reminded_once_at_each_level(world: World) -> None:
    mona = owned(world, "c1", reminders=["P3D", "P1D"])
    world.clock.forward(27 * DAY)

    first = world.sweep()
    world.clock.forward(2 * DAY)
    second = world.sweep()
    again = world.sweep()

    assert [report.reminded for report in (first, second, again)] == [1, 1, 0]
    history = mona.get("/customers/c1/history").json["items"]
    assert [each["reason"] for each in history if each["type"] == "reminded"] == ["P3D", "P1D"]


def test_a_new_owner_gets_reminders_of_their_own(world: World) -> None:
    mona = owned(world, "c1", reminders=["P1D"])
    world.clock.forward(29 * DAY)
    world.sweep()

    mona.post("/customers/c1/transfer", {"to": "bob"})
    world.clock.forward(29 * DAY)

    assert world.sweep().reminded == 1


def test_private_customers_are_listed_by_deadline(world: World) -> None:
    mona = owned(world, "c1", "c2", "c3", customers=3)
    world.clock.forward(DAY)
    follow_up(world.alice, "c1")
    world.clock.forward(DAY)
    follow_up(world.alice, "c3")

    listed = [mona.customer_ids(query) for query in ("state=private", "state=private&holder=alice", "holder=alice")]

    assert listed == [["c2", "c1", "c3"]] * 3


def test_the_lists_of_private_customers_continue_over_pages(world: World) -> None:
    mona = owned(world, "c1", "c2", "c3", ttl="P30D", customers=3)

    listed = [
        [each["id"] for page in mona.pages(f"/customers?{query}", limit=1) for each in page]
        for query in ("state=private", "holder=alice&state=private")
    ]

    assert listed == [["c1", "c2", "c3"]] * 2


def test_fifty_concurrent_claims_of_an_expired_private_customer_give_it_to_one(threaded: World) -> None:
    users = [f"u{number}" for number in range(50)]
    threaded.pool(members=" ".join(["alice", *users]), private_ttl="P30D", customers=1)
    threaded.alice.claim("c1")
    threaded.alice.post("/customers/c1/win")
    threaded.clock.forward(30 * DAY)

    replies = at_once([partial(threaded.user(user).claim, "c1") for user in users])

    assert sorted({reply.status for reply in replies}) == [200, 409]
    assert sum(reply.status == 200 for reply in replies) == 1
    assert private_count(threaded.alice) == 0
