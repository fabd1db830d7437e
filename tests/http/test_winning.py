"""Winning a claim: at once, or as a request that a manager approves or declines (rules 29 and 30)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, MINUTE, START, Reply, User, World

WRITE = "TransactWriteItems"
TIME = "2026-06-{:02d}T08:00:00.000Z"  # the time at which every test starts, on a day of June


def win(user: User, customer: str = "c1", **body: Any) -> Reply:
    return user.post(f"/customers/{customer}/win", body)


def approve(user: User, customer: str = "c1") -> Reply:
    return user.post(f"/customers/{customer}/win/approve")


def decline(user: User, customer: str = "c1", reason: str = "not signed yet") -> Reply:
    return user.post(f"/customers/{customer}/win/decline", {"reason": reason})


@pytest.fixture
def requested(world: World) -> World:
    """Create a pool whose wins need an approval, with the requested win of c1 by alice."""
    world.pool(win="approval", claim_ttl="P2D")
    for customer in ("c1", "c2", "c3"):
        world.mona.create(customer)
    world.alice.claim("c1")
    assert win(world.alice, amount="1200.50", note="signed", ends_at="2027-06-01T00:00:00Z").status == 200
    return world


# A request


def test_a_win_needs_an_approval_unless_the_policy_says_otherwise(world: World) -> None:
    root = world.root
    root.request("POST", "/v1/pools", {"id": "p", "name": "P", "policy": {}})
    root.request("PUT", "/v1/pools/p/members/alice", {"role": "member"})
    world.root.create("c1")
    world.alice.claim("c1")

    reply = win(world.alice)

    assert (reply.status, reply.json["state"], reply.json["won_at"]) == (200, "claimed", None)
    assert reply.json["win_requested_at"] == TIME.format(1)
    assert {name: root.get().json["policy"][name] for name in ("win", "win_review")} == {
        "win": "approval", "win_review": "P7D"
    }  # fmt: skip


def test_rule_29_a_requested_win_stays_claimed_and_in_quota_with_its_deadline_held(requested: World) -> None:
    customer = requested.alice.customer("c1")

    assert (customer["state"], customer["holder"], requested.alice.held()) == ("claimed", "alice", 1)
    assert customer["expires_at"] == TIME.format(8), "a review of seven days, not a claim of two"
    assert (customer["amount"], customer["ends_at"]) == ("1200.50", "2027-06-01T00:00:00.000Z")
    event = requested.mona.get("/customers/c1/history").json["items"][-1]
    assert (event["type"], event["by"], event["reason"], event["to_state"]) == (
        "win_requested", "alice", "signed", "claimed"
    )  # fmt: skip


def test_a_claim_has_one_request_for_a_win_open_or_declined(requested: World) -> None:
    again = win(requested.alice)
    decline(requested.mona)
    after_a_decline = win(requested.alice)

    assert (again.status, again.code) == (after_a_decline.status, after_a_decline.code) == (409, "win_requested")


def test_during_a_review_a_claim_is_followed_up_pinned_and_released_but_not_extended(requested: World) -> None:
    extended = requested.mona.post("/customers/c1/extend", {"by": "P1D"})
    followed = requested.alice.post("/customers/c1/follow-up", {"note": "called"})
    pinned = requested.mona.post("/customers/c1/pin", {"until": "2026-06-20T08:00:00Z"})
    unpinned = requested.mona.post("/customers/c1/unpin")
    released = requested.alice.release("c1")

    assert (extended.status, extended.code) == (409, "win_requested")
    assert [reply.status for reply in (followed, pinned, unpinned, released)] == [200] * 4
    assert (pinned.json["expires_at"], unpinned.json["expires_at"]) == (TIME.format(20), TIME.format(8))
    assert {released.json[name] for name in ("win_requested_at", "amount", "ends_at")} == {None}


def test_a_pause_shifts_the_review(requested: World) -> None:
    requested.root.post("/pause")
    requested.clock.forward(3 * DAY)
    requested.root.post("/resume")

    assert requested.alice.customer("c1")["expires_at"] == TIME.format(11)


# A decision


def test_an_approval_makes_the_customer_private_to_its_holder(requested: World) -> None:
    with counted(requested) as sent:
        approved = approve(requested.mona)

    assert (approved.status, approved.json["state"], approved.json["holder"]) == (200, "private", "alice")
    assert (approved.json["won_at"], approved.json["win_requested_at"]) == (TIME.format(1), None)
    assert approved.json["expires_at"] is None and approved.json["amount"] == "1200.50"
    assert requested.alice.held() == 0
    assert requested.alice.events("c1")[-2:] == ["win_requested", "won"]
    assert dict(sent) == {WRITE: 1}


def test_a_decline_needs_a_reason_and_leaves_the_holder_at_least_a_day(requested: World) -> None:
    requested.clock.forward(5 * DAY)

    blank, missing = decline(requested.mona, reason=" "), requested.mona.post("/customers/c1/win/decline", {})
    declined = decline(requested.mona)

    assert {(each.status, each.code) for each in (blank, missing)} == {(422, "reason_required")}
    assert (declined.status, declined.json["state"], declined.json["expires_at"]) == (200, "claimed", TIME.format(7))
    assert {declined.json[name] for name in ("win_requested_at", "amount", "ends_at")} == {None}
    event = requested.alice.get("/customers/c1/history").json["items"][-1]
    assert (event["type"], event["by"], event["reason"]) == ("win_declined", "mona", "not signed yet")


def test_after_a_decline_the_clocks_of_the_claim_count_again(requested: World) -> None:
    declined = decline(requested.mona)
    extended = requested.mona.post("/customers/c1/extend", {"by": "P1D"})

    assert declined.json["expires_at"] == TIME.format(3)
    assert extended.json["expires_at"] == TIME.format(4)


def test_a_change_of_policy_leaves_the_day_after_a_decline(requested: World) -> None:
    requested.clock.forward(5 * DAY)
    decline(requested.mona)
    requested.root.post("/pause")
    requested.clock.forward(3 * DAY)
    requested.root.post("/resume")

    version = requested.mona.get().headers["ETag"]
    changed = requested.mona.patch("", {"policy": {"holding_limit": 5}, "apply_to": "all"}, if_match=version)

    assert (changed.status, changed.json["affected"]) == (200, 0)
    assert requested.alice.customer("c1")["expires_at"] == TIME.format(10)


def test_only_a_manager_decides_and_only_about_a_request(requested: World) -> None:
    requested.alice.claim("c2")

    by_members = [approve(requested.alice), decline(requested.bob)]
    without = [approve(requested.mona, "c2"), decline(requested.mona, "c2")]
    requested.clock.forward(7 * DAY)
    late = [approve(requested.mona), decline(requested.mona)]

    assert [reply.code for reply in by_members] == ["not_manager"] * 2
    assert [(reply.status, reply.code) for reply in without] == [(409, "win_not_requested")] * 2
    assert [(reply.status, reply.code) for reply in late] == [(409, "expired")] * 2


def test_a_request_ends_with_its_claim(requested: World) -> None:
    transferred = requested.mona.post("/customers/c1/transfer", {"to": "bob"})

    assert transferred.json["win_requested_at"] is None
    assert transferred.json["expires_at"] == TIME.format(3)
    assert approve(requested.mona).code == "win_not_requested"
    assert win(requested.bob).json["win_requested_at"] is not None


def test_an_expired_claim_with_a_request_returns_to_the_pool(requested: World) -> None:
    requested.clock.forward(7 * DAY - 1)
    before = requested.sweep()
    requested.clock.forward(1)

    swept = requested.sweep()

    assert (before.returned, swept.returned) == (0, 1)
    assert requested.mona.customer("c1")["win_requested_at"] is None


# The list of open requests


def requests(user: User, query: str = "") -> list[str]:
    return [each["id"] for each in user.walk(f"/customers?state=win_requested{query}")]


@pytest.fixture
def three_requested(world: World) -> World:
    """Create requests of bob for b2 and then b1, of alice for a1, and claims of both without a request."""
    mona = world.pool(win="approval", claim_ttl="P9D")
    for customer in ("a1", "a2", "b1", "b2", "b3", "free"):
        mona.create(customer, name=f"Name {customer}")
    world.alice.claim_batch(["a1", "a2"])
    world.bob.claim_batch(["b1", "b2", "b3"])
    for user, customer in ((world.bob, "b2"), (world.alice, "a1"), (world.bob, "b1")):
        assert win(user, customer).status == 200
        world.clock.forward(MINUTE)
    return world


def test_managers_list_all_open_requests_the_oldest_first_at_any_page_size(three_requested: World) -> None:
    mona, root = three_requested.mona, three_requested.root

    for limit in (1, 2, 3, 100):
        pages = list(mona.pages("/customers?state=win_requested", limit))
        assert [each["id"] for page in pages for each in page] == ["b2", "a1", "b1"]
        assert all(len(page) == limit for page in pages[:-1])
    assert requests(root) == ["b2", "a1", "b1"]
    assert sorted(requests(mona, "&holder=bob")) == ["b1", "b2"]
    assert requests(mona, "&name=name%20a") == ["a1"]


def test_a_member_lists_their_own_requests_only(three_requested: World) -> None:
    alice, bob = three_requested.alice, three_requested.bob

    of_another = alice.get("/customers?state=win_requested&holder=bob")

    assert (requests(alice), requests(alice, "&holder=me"), sorted(requests(bob))) == (["a1"], ["a1"], ["b1", "b2"])
    assert requests(alice, "&name=name%20b") == []
    assert (of_another.status, of_another.code) == (403, "not_manager")


def test_a_page_of_requests_is_two_reads_whatever_else_is_claimed(three_requested: World) -> None:
    three_requested.mona.get("/customers?state=win_requested")  # reads the pool and the names of users

    with counted(three_requested) as sent:
        three_requested.mona.get("/customers?state=win_requested&limit=2")

    assert dict(sent) == {"Query": 1, "BatchGetItem": 1}


@pytest.mark.parametrize("verb", ["approve", "decline", "release", "transfer", "convert", "expire", "erase"])
def test_a_request_that_has_ended_is_not_listed(three_requested: World, verb: str) -> None:
    mona = three_requested.mona
    ends = {
        "approve": lambda: approve(mona, "a1"),
        "decline": lambda: decline(mona, "a1"),
        "release": lambda: three_requested.alice.release("a1"),
        "transfer": lambda: mona.post("/customers/a1/transfer", {"to": "bob"}),
        "convert": lambda: mona.post("/customers/a1/convert"),
        "erase": lambda: mona.post("/customers/a1/erase", {"reason": "asked", "force": True}),
    }

    if verb == "expire":
        three_requested.clock.forward(9 * DAY)
        assert requests(mona) == [], "not swept yet"
        assert three_requested.sweep().returned == 5
    else:
        assert ends[verb]().status == 200

    assert requests(mona) == ([] if verb == "expire" else ["b2", "b1"])


# Who wins at once


@pytest.mark.parametrize("mode", ["approval", "holder", "manager"])
def test_a_manager_wins_any_claim_at_once_in_every_mode(world: World, mode: str) -> None:
    world.pool(win=mode, customers=2)
    world.alice.claim("c1")
    world.mona.claim("c2")

    others, own = win(world.mona, "c1", amount="5"), win(world.mona, "c2")

    assert (others.json["state"], others.json["holder"], others.json["amount"]) == ("private", "alice", "5")
    assert (own.json["state"], own.json["holder"]) == ("private", "mona")


@pytest.mark.parametrize("mode", ["approval", "holder", "manager"])
def test_an_admin_wins_their_own_claim_at_once(world: World, mode: str) -> None:
    world.pool(win=mode, customers=1)
    admin = world.user("alice", admin=True)
    admin.claim("c1")

    assert win(admin).json["state"] == "private"


def test_a_holder_wins_at_once_or_not_at_all_where_the_policy_says_so(world: World) -> None:
    for pool, mode in (("p", "holder"), ("q", "manager")):
        world.pool(pool, win=mode, customers=1)
        world.user("alice", pool=pool).claim("c1")

    won, refused = win(world.alice), win(world.user("alice", pool="q"))

    assert (won.json["state"], won.json["win_requested_at"]) == ("private", None)
    assert (refused.status, refused.code) == (403, "not_manager")


def test_a_change_of_policy_leaves_open_requests_alone(requested: World) -> None:
    version = requested.mona.get().headers["ETag"]
    changed = requested.mona.request(
        "PATCH", "/v1/pools/p", {"policy": {"win_review": "PT1H"}, "apply_to": "all"}, if_match=version
    )

    assert changed.status == 200
    assert requested.alice.customer("c1")["expires_at"] == TIME.format(8)
    assert approve(requested.mona).json["state"] == "private"


def test_a_request_of_the_holder_is_one_transaction(world: World) -> None:
    world.pool(win="approval", customers=1)
    world.alice.claim("c1")

    with counted(world) as sent:
        win(world.alice)

    assert dict(sent) == {WRITE: 1}


# What a win gives


@pytest.mark.parametrize("amount", ["0", "12.5", "007.50", "123456789012345", "1234567890123.45"])
def test_an_amount_is_decimal_text_of_up_to_fifteen_digits(world: World, amount: str) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    assert win(world.alice, amount=amount).json["amount"] == amount


@pytest.mark.parametrize("amount", ["-1", "1.234", "1,5", "", ".5", "5.", "1e3", "12345678901234567", 12, "１"])
def test_any_other_amount_is_refused(world: World, amount: Any) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    refused = win(world.alice, amount=amount)

    assert (refused.status, refused.code) == (422, "invalid_request")
    assert [error.partition(":")[0] for error in refused.json["errors"]] == ["amount"]


def test_a_contract_ends_at_most_five_years_ahead(world: World) -> None:
    world.pool(customers=2)
    for customer in ("c1", "c2"):
        world.alice.claim(customer)

    late = win(world.alice, "c1", ends_at="2031-06-03T08:00:00Z")
    longest = win(world.alice, "c2", ends_at="2031-06-01T08:00:00Z")

    assert (late.status, late.code) == (422, "invalid_request")
    assert longest.json["ends_at"] == "2031-06-01T08:00:00.000Z"


def test_rule_30_amount_and_end_are_shown_to_managers_and_the_owner_only(requested: World) -> None:
    version = requested.mona.get().headers["ETag"]
    requested.mona.request("PATCH", "/v1/pools/p", {"policy": {"private_visible_to": "pool"}}, if_match=version)
    approve(requested.mona)

    shown = {user: requested.user(user).customer("c1") for user in ("alice", "mona", "bob")}

    assert {user: (each["amount"], each["ends_at"] is None) for user, each in shown.items()} == {
        "alice": ("1200.50", False), "mona": ("1200.50", False), "bob": (None, True)
    }  # fmt: skip


def test_amount_and_end_are_shown_to_all_members_where_notes_are(world: World) -> None:
    world.pool(notes_visible_to="pool", private_visible_to="pool", customers=1)
    world.alice.claim("c1")
    win(world.alice, amount="7")

    assert world.bob.customer("c1")["amount"] == "7"


def test_a_deposit_forgets_the_win(requested: World) -> None:
    approve(requested.mona)

    deposited = requested.alice.post("/customers/c1/deposit")

    assert {deposited.json[name] for name in ("won_at", "amount", "ends_at")} == {None}


# Many


def test_a_batch_of_wins_requests_each_and_a_managers_batch_wins_each(world: World) -> None:
    world.pool(win="approval", customers=4)
    world.alice.claim_batch(["c1", "c2"])
    world.mona.claim("c3")

    hers = world.alice.post("/win", {"customer_ids": ["c1", "c2", "c4"], "note": "signed"})
    monas = world.mona.post("/win", {"customer_ids": ["c1", "c3"]})

    assert hers.results == ["ok", "ok", "not_claimed"]
    assert [each["customer"]["state"] for each in hers.json["results"][:2]] == ["claimed", "claimed"]
    assert [each["customer"]["state"] for each in monas.json["results"]] == ["private", "private"]


def test_an_atomic_batch_of_a_manager_wins_own_and_other_claims_or_none(world: World) -> None:
    world.pool(win="approval", customers=3)
    world.alice.claim("c1")
    world.mona.claim("c2")

    refused = world.mona.post("/win", {"customer_ids": ["c1", "c2", "c3"], "atomic": True})
    won = world.mona.post("/win", {"customer_ids": ["c1", "c2"], "atomic": True})

    assert (refused.status, refused.results) == (409, ["ok", "ok", "not_claimed"])
    assert [each["customer"]["state"] for each in won.json["results"]] == ["private", "private"]


def test_a_batch_of_approvals_gives_one_result_each(requested: World) -> None:
    requested.alice.claim("c2")

    approved = requested.mona.post("/win/approve", {"customer_ids": ["c1", "c2", "c3"]})

    assert approved.results == ["ok", "win_not_requested", "not_claimed"]


def test_a_keyed_win_has_one_effect_and_its_answer_again(requested: World) -> None:
    requested.alice.claim("c2")

    first, again = (requested.alice.post("/customers/c2/win", {}, idempotency_key="k") for _ in range(2))

    assert (first.status, again.status) == (200, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json == again.json
    assert requested.alice.events("c2").count("win_requested") == 1


def test_a_holder_keeps_a_claim_at_most_for_the_maximum_hold_the_review_and_a_day(world: World) -> None:
    world.pool(win="approval", max_hold="P3D", win_review="P2D", claim_ttl="P3D").create("c1")
    world.alice.claim("c1")
    world.clock.forward(3 * DAY - MINUTE)
    win(world.alice)
    world.clock.forward(2 * DAY - HOUR)

    declined = decline(world.mona)

    ends = START + 3 * DAY - MINUTE + 2 * DAY - HOUR + DAY
    assert declined.json["expires_at"] == "2026-06-07T06:59:00.000Z" and ends < START + 6 * DAY


@pytest.mark.parametrize("ends_at", ["0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"])
def test_a_win_that_ended_before_1970_is_refused_and_changes_no_list(world: World, ends_at: str) -> None:
    mona = world.pool(customers=2, win="holder")
    world.alice.claim("c1")

    refused = win(world.alice, ends_at=ends_at)

    assert (refused.status, refused.code) == (422, "invalid_request")
    assert mona.get("/customers").status == 200


def test_a_pin_beyond_the_calendar_is_refused(world: World) -> None:
    mona = world.pool(customers=1)
    mona.claim("c1")

    refused = mona.post("/customers/c1/pin", {"until": "9999-12-31T23:59:59-12:00"})

    assert (refused.status, refused.code) == (422, "invalid_request")
