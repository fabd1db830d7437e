"""Batches of the verbs of holders: follow-up, pin, unpin and edit (rule 12)."""

from __future__ import annotations

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, START, Reply, User, World

UNTIL = rfc3339(START + 5 * DAY)


def batch(user: User, verb: str, *ids: str, **more: object) -> Reply:
    return user.post(f"/{verb}", {"customer_ids": list(ids), **more})


def test_a_batch_follow_up_is_recorded_and_restarts_no_clock(world: World) -> None:
    world.pool(claim_ttl="P9D", idle_ttl="P2D", follow_up_restarts_clock=True, customers=3)
    alice = world.alice
    deadline = alice.claim("c1").json["expires_at"]
    world.bob.claim("c2")
    world.clock.forward(DAY)

    reply = batch(alice, "follow-up", "c1", "c2", "c3", "c1", note="called", outcome="later")

    assert reply.results == ["ok", "not_holder", "not_claimed", "duplicate_in_request"]
    shown, event = alice.customer("c1"), alice.get("/customers/c1/history").json["items"][-1]
    assert (shown["expires_at"], shown["last_follow_up_at"]) == (deadline, rfc3339(world.clock()))
    assert (event["type"], event["reason"], event["outcome"]) == ("followed_up", "called", "later")
    assert alice.post("/customers/c1/follow-up", {"note": "again"}).json["expires_at"] > deadline


def test_a_policy_applied_to_all_ignores_batch_follow_ups(world: World) -> None:
    mona = world.pool(idle_ttl="P2D", customers=1)
    deadline = world.alice.claim("c1").json["expires_at"]
    world.clock.forward(DAY)
    batch(world.alice, "follow-up", "c1", note="called")

    mona.patch("", {"name": "New", "apply_to": "all"}, if_match="1")

    assert world.alice.customer("c1")["expires_at"] == deadline


def test_a_batch_follow_up_needs_a_note_or_an_outcome(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")

    refused = [batch(world.alice, "follow-up", "c1"), batch(world.alice, "follow-up", "c1", note=" ")]

    assert [(each.status, each.code) for each in refused] == [(422, "invalid_request")] * 2


def test_a_batch_of_pins_fills_the_pin_limit_exactly(world: World) -> None:
    world.pool(claim_ttl="P1D", pin_limit=2, customers=5)
    world.alice.claim_batch(["c1", "c2", "c3", "c4"])
    world.alice.post("/customers/c1/pin", {"until": UNTIL})

    refused = batch(world.alice, "pin", "c2", "c3", "c4", "c1", until=UNTIL, atomic=True)
    reply = batch(world.alice, "pin", "c5", "c1", "c2", "c3", "c4", until=UNTIL)

    assert (refused.status, refused.code) == (409, "pin_limit")
    assert reply.results == ["not_claimed", "ok", "ok", "pin_limit", "pin_limit"]
    assert [(each["limit"], each["used"]) for each in reply.json["results"][3:]] == [(2, 2)] * 2


def test_a_batch_of_pins_first_ends_the_pins_that_are_over(world: World) -> None:
    world.pool(claim_ttl="P9D", pin_limit=2, customers=4)
    world.alice.claim_batch(["c1", "c2", "c3", "c4"])
    batch(world.alice, "pin", "c1", "c2", until=rfc3339(START + HOUR))
    world.clock.forward(DAY)

    reply = batch(world.alice, "pin", "c2", "c3", "c4", until=UNTIL)

    assert reply.results == ["ok", "ok", "pin_limit"]
    assert world.alice.events("c1")[-1] == "unpinned"


def test_a_batch_of_pins_by_a_manager_passes_the_pin_limits_of_holders(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", pin_limit=1, customers=4)
    world.alice.claim_batch(["c1", "c2"])
    world.bob.claim("c3")
    mona.claim("c4")

    with counted(world) as made:
        reply = batch(mona, "pin", "c1", "c2", "c3", "c4", until=UNTIL, atomic=True)
    unpinned = batch(mona, "unpin", "c1", "c3", "c1")

    assert reply.results == ["ok"] * 4
    assert made == {"TransactWriteItems": 1}
    assert unpinned.results == ["ok", "ok", "duplicate_in_request"]
    assert [world.alice.customer(each)["pinned_until"] for each in ("c1", "c2", "c3")] == [None, UNTIL, None]


def test_a_batch_edit_changes_each_customer_like_the_single_edit(world: World) -> None:
    mona = world.pool(customers=3)
    world.alice.claim("c1")
    mona.patch("/customers/c1", {"fields": {"city": "Bonn", "level": "A"}})

    by_alice = batch(world.alice, "edit", "c1", "c2", "nobody", fields={"city": None, "remark": "x"})
    by_mona = batch(mona, "edit", "c1", "c2", name="Same")
    again = batch(mona, "edit", "c1", "c2", name="Same", atomic=True)

    assert by_alice.results == ["ok", "not_holder", "not_found"]
    assert by_mona.results == again.results == ["ok", "ok"]
    shown = [mona.customer(each) for each in ("c1", "c2")]
    assert [each["name"] for each in shown] == ["Same", "Same"]
    assert shown[0]["fields"] == {"level": "A", "remark": "x"}
    assert [each["version"] for each in shown] == [5, 2], "an edit that changes nothing writes nothing"


def test_a_batch_edit_refuses_only_the_customer_with_too_many_fields(world: World) -> None:
    mona = world.pool(customers=2)
    mona.patch("/customers/c1", {"fields": {"remark": "x" * 4_000}})

    reply = batch(mona, "edit", "c1", "c2", fields={"other": "y" * 400})

    assert reply.results == ["invalid_request", "ok"]
    assert batch(mona, "edit", "c1", name=" ").code == "invalid_request"
