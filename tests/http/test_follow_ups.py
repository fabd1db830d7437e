"""Follow-ups: their authors, their content and their effects. Refusals name the reason."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.http.test_names import BLANK
from tests.support.world import HOUR, START, Reply, User, World


def follow_up(user: User, customer: str = "c1", **texts: Any) -> Reply:
    return user.post(f"/customers/{customer}/follow-up", texts)


def create_private_customer(world: World, owner: str = "alice") -> None:
    """Create c1 as a private customer of that user."""
    world.fill(1)
    assert world.mona.post("/customers/c1/convert", {"to": owner}).status == 200


@pytest.mark.parametrize("text", BLANK, ids=ascii)
def test_a_blank_follow_up_is_rejected(world: World, text: str) -> None:
    world.pool(customers=1)
    alice = world.alice
    alice.claim("c1")

    refused = [follow_up(alice), follow_up(alice, note=text), follow_up(alice, note=text, outcome=text)]

    assert [(each.status, each.code) for each in refused] == [(422, "invalid_request")] * 3
    assert alice.customer("c1")["last_follow_up_at"] is None


def test_a_note_or_an_outcome_is_enough_and_the_event_has_both(world: World) -> None:
    world.pool(customers=1)
    alice = world.alice
    alice.claim("c1")

    done = [follow_up(alice, note="called"), follow_up(alice, outcome="interested", note=" "),
            follow_up(alice, note="again", outcome="later")]  # fmt: skip

    events = alice.get("/customers/c1/history").json["items"]
    assert [each.status for each in done] == [200] * 3
    assert [(each["reason"], each["outcome"]) for each in events[2:]] == [
        ("called", None), (None, "interested"), ("again", "later")
    ]  # fmt: skip


def test_an_outcome_is_hidden_from_unrelated_members(world: World) -> None:
    mona = world.pool(customers=1)
    world.alice.claim("c1")
    follow_up(world.alice, outcome="interested")

    shown = [user.get("/customers/c1/history").json["items"][-1] for user in (world.bob, mona)]

    assert [(each["outcome"], each["masked"]) for each in shown] == [(None, True), ("interested", False)]


@pytest.mark.parametrize(("member", "most"), [("note", 2000), ("outcome", 64)])
def test_a_text_that_is_too_long_is_rejected_in_any_script(world: World, member: str, most: int) -> None:
    world.pool(customers=1)
    alice = world.alice
    alice.claim("c1")

    longest, longer = (follow_up(alice, **{member: "电" * length}) for length in (most, most + 1))

    assert (longest.status, longer.status, longer.code) == (200, 422, "invalid_request")
    assert len(alice.get("/customers/c1/history").json["items"][-1]["reason" if member == "note" else member]) == most


def test_an_owner_follows_up_a_private_customer_which_has_no_clock(world: World) -> None:
    world.pool(idle_ttl="PT1H", follow_up_restarts_clock=True)
    create_private_customer(world)
    world.clock.forward(HOUR)

    followed = follow_up(world.alice, note="called")

    assert (followed.status, followed.json["state"], followed.json["holder"]) == (200, "private", "alice")
    assert followed.json["last_follow_up_at"] == rfc3339(world.clock()) and followed.json["expires_at"] is None
    assert world.alice.events("c1")[-1] == "followed_up"


@pytest.mark.parametrize("who", ["mona", "root"])
@pytest.mark.parametrize("private", [False, True])
def test_a_follow_up_by_a_manager_restarts_no_clock(world: World, who: str, private: bool) -> None:
    world.pool(idle_ttl="PT2H", follow_up_restarts_clock=True, customers=1)
    alice, manager = world.alice, world.user(who, admin=who == "root")
    alice.claim("c1")
    follow_up(alice, note="called")
    if private:
        alice.post("/customers/c1/win")
    before = alice.customer("c1")
    world.clock.forward(HOUR)

    followed = follow_up(manager, note="looked after it")

    assert followed.status == 200
    changed = {name for name, shown in followed.json.items() if shown != before[name]}
    assert changed == {"version", "updated_at"}
    assert alice.get("/customers/c1/history").json["items"][-1]["by"] == who


def test_a_manager_who_holds_the_customer_follows_up_as_its_holder(world: World) -> None:
    mona = world.pool(idle_ttl="PT2H", customers=1)
    mona.claim("c1")
    world.clock.forward(HOUR)

    followed = follow_up(mona, note="called").json

    assert followed["last_follow_up_at"] == rfc3339(world.clock())
    assert followed["expires_at"] == rfc3339(world.clock() + 2 * HOUR)


def test_only_the_holder_or_a_manager_follows_up_on_a_live_claim(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H", customers=2)
    world.alice.claim("c1")

    assert follow_up(world.bob, note="called").code == "not_holder"
    assert follow_up(mona, "c2", note="called").code == "not_claimed"
    world.clock.forward(HOUR)
    assert [follow_up(each, note="called").code for each in (world.alice, mona)] == ["expired", "expired"]
    mona.post("/customers/c2/convert", {"to": "alice"})
    assert follow_up(world.bob, "c2", note="called").code == "not_found"


def test_a_blank_reason_is_refused_when_the_policy_requires_one(world: World) -> None:
    world.pool(reason_required=True, customers=1)
    world.alice.claim("c1")

    assert world.alice.release("c1", reason=" \u3164").code == "reason_required"
    assert world.alice.release("c1", reason="no time").status == 200


# Refusals that name the reason


@pytest.mark.parametrize("who", ["alice", "bob", "mona", "root"])
def test_a_refused_deposit_names_the_state_of_the_customer(world: World, who: str) -> None:
    world.pool(customers=2)
    world.alice.claim("c1")
    user = world.user(who, admin=who == "root")

    refused = [user.post(f"/customers/{each}/deposit") for each in ("c1", "c2")]

    assert [(each.status, each.code) for each in refused] == [(409, "not_private"), (409, "already_available")]
    assert user.post("/deposit", {"customer_ids": ["c1", "c2"]}).results == ["not_private", "already_available"]


def test_only_a_manager_of_the_source_pool_deposits_into_another(world: World) -> None:
    mona = world.pool()
    world.pool("q")
    create_private_customer(world)

    refused = world.alice.post("/customers/c1/deposit", {"pool": "q"})

    assert (refused.status, refused.code) == (403, "not_manager")
    assert world.alice.post("/deposit", {"customer_ids": ["c1"], "pool": "q"}).results == ["not_manager"]
    assert mona.post("/customers/c1/deposit", {"pool": "q"}).json["pool_id"] == "q"


def test_verbs_that_need_a_claim_find_none_on_a_private_customer(world: World) -> None:
    mona = world.pool(extension="PT1H", members_may_extend=True)
    create_private_customer(world)
    alice = world.alice

    refused = [
        alice.release("c1"),
        alice.post("/customers/c1/extend"),
        alice.post("/customers/c1/pin", {"until": rfc3339(START + 48 * HOUR)}),
        alice.post("/customers/c1/unpin"),
        alice.post("/customers/c1/win"),
        mona.post("/customers/c1/convert"),
    ]
    taken = [
        alice.claim("c1"),
        mona.post("/customers/c1/assign", {"to": "bob"}),
        mona.post("/customers/c1/convert", {"to": "bob"}),
    ]

    assert [each.code for each in refused] == ["not_claimed"] * 6
    assert [each.code for each in taken] == ["already_claimed"] * 3
    assert all("else" not in each.json["detail"] for each in [*refused, *taken])


def test_pin_refusals_distinguish_length_count_and_missing_deadline(world: World) -> None:
    mona = world.pool(pin_limit=1, max_pin="P1D", extension="PT1H", customers=2)
    world.alice.claim_batch(["c1", "c2"])
    world.alice.post("/customers/c1/pin", {"until": rfc3339(START + 2 * HOUR)})

    many = world.alice.post("/customers/c2/pin", {"until": rfc3339(START + 2 * HOUR)})
    long = world.alice.post("/customers/c1/pin", {"until": rfc3339(START + 99 * HOUR)})
    endless = mona.post("/customers/c2/extend")

    assert (many.code, long.code, endless.code) == ("pin_limit", "pin_limit", "extension_not_allowed")
    assert many.json["detail"] != long.json["detail"]
    assert endless.json["detail"] == "This claim has no deadline to extend."
