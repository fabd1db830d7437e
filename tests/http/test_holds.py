"""Holds: `max_hold` counts from the first of a user's consecutive claims of a customer (rule 14)."""

from __future__ import annotations

from chalicelib.model.times import rfc3339
from tests.support.world import DAY, HOUR, User, World


def deadline(user: User, customer: str = "c1") -> str:
    return str(user.customer(customer)["expires_at"])


def hand(mona: User, *to: str) -> None:
    for user in to:
        assert mona.post("/customers/c1/transfer", {"to": user}).status == 200


def test_a_release_and_a_claim_within_a_day_do_not_restart_max_hold(world: World) -> None:
    world.pool(max_hold="P5D", customers=1)
    alice, ends = world.alice, rfc3339(world.clock() + 5 * DAY)
    alice.claim("c1")
    for _ in range(3):
        world.clock.forward(DAY)
        alice.release("c1")
        world.clock.forward(HOUR)
        alice.claim("c1")

    again = deadline(alice)
    alice.release("c1")
    world.clock.forward(DAY)
    later = alice.claim("c1").json["expires_at"]

    assert again == ends
    assert later == rfc3339(world.clock() + 5 * DAY), "a day later it is another hold"


def test_the_cooldown_is_the_time_in_which_a_hold_continues_if_it_is_longer_than_a_day(world: World) -> None:
    mona = world.pool(max_hold="P30D", cooldown="P3D", customers=1)
    ends = rfc3339(world.clock() + 30 * DAY)
    world.alice.claim("c1")
    world.alice.release("c1")
    world.clock.forward(3 * DAY - 1)
    mona.post("/customers/c1/assign", {"to": "alice"})

    within = deadline(world.alice)
    world.alice.release("c1")
    world.clock.forward(3 * DAY)
    after = world.alice.claim("c1").json["expires_at"]

    assert within == ends
    assert after == rfc3339(world.clock() + 30 * DAY)


def test_transfers_between_members_restart_no_hold_of_either(world: World) -> None:
    mona = world.pool(max_hold="P5D", customers=1)
    began = world.clock()
    world.alice.claim("c1")
    world.clock.forward(12 * HOUR)
    hand(mona, "bob")
    world.clock.forward(12 * HOUR)
    hand(mona, "alice")
    alices = deadline(world.alice)
    world.clock.forward(12 * HOUR)
    hand(mona, "bob")

    assert alices == rfc3339(began + 5 * DAY)
    assert deadline(world.bob) == rfc3339(began + 12 * HOUR + 5 * DAY)


def test_a_hold_that_is_used_up_is_refused_until_another_could_begin(world: World) -> None:
    mona = world.pool(max_hold="P2D", customers=1)
    alice, began = world.alice, world.clock()
    alice.claim("c1")
    world.clock.now = began + 2 * DAY
    retry_at = rfc3339(began + 3 * DAY)

    unswept = alice.claim("c1")
    blocking = alice.get("/customers/c1/eligibility").json["blocking"]
    world.sweep()
    refused = [alice.claim("c1"), mona.post("/customers/c1/assign", {"to": "alice"})]
    world.bob.claim("c1")
    refused.append(mona.post("/customers/c1/transfer", {"to": "alice"}))
    world.bob.release("c1")
    nothing = alice.claim_next()
    world.clock.now = began + 3 * DAY

    assert [(each.status, each.code) for each in (unswept, *refused)] == [(409, "cooldown")] * 4
    assert [each.json.get("retry_at") for each in (unswept, *refused)] == [retry_at] * 4
    assert [(each["code"], each["retry_at"]) for each in blocking] == [("cooldown", retry_at)]
    assert nothing.ids == []
    assert alice.claim("c1").json["expires_at"] == rfc3339(world.clock() + 2 * DAY)


def test_a_win_and_a_deposit_restart_no_hold(world: World) -> None:
    world.pool(max_hold="P5D", win="holder", customers=1)
    alice, ends = world.alice, rfc3339(world.clock() + 5 * DAY)
    alice.claim("c1")
    world.clock.forward(DAY)
    alice.post("/customers/c1/win")
    world.clock.forward(2 * DAY)
    alice.post("/customers/c1/deposit")

    assert alice.claim("c1").json["expires_at"] == ends


def test_a_pause_stops_the_clock_of_a_continued_hold(world: World) -> None:
    mona = world.pool(claim_ttl="P9D", max_hold="P5D", members_may_extend=True, pin_limit=1, customers=1)
    alice, began = world.alice, world.clock()
    alice.claim("c1")
    world.root.post("/pause")
    world.clock.forward(DAY)
    world.root.post("/resume")
    alice.release("c1")
    alice.claim("c1")
    continued = deadline(alice)
    world.root.post("/pause")
    world.clock.forward(DAY)
    world.root.post("/resume")

    assert continued == rfc3339(began + 6 * DAY)
    assert deadline(alice) == rfc3339(began + 7 * DAY)
    assert alice.post("/customers/c1/extend", {"by": "PT1S"}).code == "extension_limit"
    assert alice.post("/customers/c1/pin", {"until": rfc3339(began + 7 * DAY + 1)}).code == "pin_limit"
    version = str(mona.get().json["version"])
    mona.patch("", {"policy": {"max_hold": "P3D"}, "apply_to": "all"}, if_match=version)
    assert deadline(alice) == rfc3339(began + 5 * DAY)


def test_no_series_of_verbs_of_a_member_holds_a_customer_longer_than_max_hold(world: World) -> None:
    world.pool(claim_ttl="P3D", max_hold="P7D", follow_up_restarts_clock=True, members_may_extend=True,
               extension="P2D", pin_limit=1, win="holder", customers=1)  # fmt: skip
    alice, began = world.alice, world.clock()
    for hour in range(10 * 24):
        alice.claim("c1")
        alice.post("/customers/c1/follow-up", {"note": "called"})
        alice.post("/customers/c1/extend")
        alice.post("/customers/c1/pin", {"until": rfc3339(world.clock() + 2 * DAY)})
        if hour % 7 == 0:
            alice.post("/customers/c1/win")
            alice.post("/customers/c1/deposit")
        if hour % 5 == 0:
            alice.release("c1")
        world.clock.forward(HOUR)
        shown = alice.customer("c1")
        held = shown["state"] == "claimed" and shown["expires_at"] > rfc3339(world.clock())
        assert not held or world.clock() < began + 7 * DAY or world.clock() >= began + 8 * DAY, hour
    assert held, "a day after the hold has ended, she claimed it again"
