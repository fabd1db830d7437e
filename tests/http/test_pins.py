"""Pins: a pinned claim does not expire until its pin ends, and a member has only so many (rule 16)."""

from __future__ import annotations

from chalicelib.model.times import rfc3339
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, START, Reply, User, World


def pin(user: User, customer: str, until: int) -> Reply:
    return user.post(f"/customers/{customer}/pin", {"until": rfc3339(until)})


def test_a_pinned_claim_does_not_expire_until_its_pin_ends(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")

    pinned = pin(world.alice, "c1", START + 10 * DAY).json

    assert pinned["pinned_until"] == pinned["expires_at"] == rfc3339(START + 10 * DAY)
    world.clock.now = START + 10 * DAY - 1
    assert world.sweep().due == 0
    world.clock.forward(1)
    assert world.sweep().returned == 1


def test_a_pin_shorter_than_the_clock_leaves_the_deadline_where_it_is(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=1)
    deadline = world.alice.claim("c1").json["expires_at"]

    assert pin(world.alice, "c1", START + DAY).json["expires_at"] == deadline


def test_unpinning_gives_the_deadline_back_to_the_clock(world: World) -> None:
    world.pool(claim_ttl="P7D", customers=2)
    alice = world.alice
    deadline = alice.claim("c1").json["expires_at"]
    pin(alice, "c1", START + 30 * DAY)

    early = alice.post("/customers/c1/unpin").json
    pin(alice, "c1", START + 30 * DAY)
    world.clock.forward(9 * DAY)
    late = alice.post("/customers/c1/unpin").json

    assert (early["pinned_until"], early["expires_at"]) == (None, deadline)
    assert late["expires_at"] == rfc3339(world.clock()), "what the clock would have ended ends now"
    assert world.sweep().returned == 1


def test_unpinning_an_unpinned_claim_changes_nothing(world: World) -> None:
    world.pool(customers=1)
    claimed = world.alice.claim("c1").json

    assert world.alice.post("/customers/c1/unpin").json == claimed


def test_a_member_pins_up_to_the_limit_of_the_policy(world: World) -> None:
    world.pool(claim_ttl="P1D", pin_limit=2, customers=4)
    world.alice.claim_batch(["c1", "c2", "c3"])

    replies = [pin(world.alice, each, START + 5 * DAY) for each in ("c1", "c2", "c1", "c3")]

    assert [reply.status for reply in replies] == [200, 200, 200, 409]
    refused = replies[-1].json
    assert (refused["code"], refused["limit"], refused["used"]) == ("pin_limit", 2, 2)
    world.alice.release("c1")
    assert pin(world.alice, "c3", START + 5 * DAY).status == 200


def test_a_pin_counts_against_the_holder_even_when_a_manager_pins(world: World) -> None:
    mona = world.pool(pin_limit=1, customers=2)
    world.alice.claim_batch(["c1", "c2"])

    assert pin(mona, "c1", START + DAY).status == 200
    assert pin(world.alice, "c2", START + DAY).code == "pin_limit"
    assert mona.post("/customers/c1/transfer", {"to": "bob"}).json["pinned_until"] is None
    assert pin(world.alice, "c2", START + DAY).status == 200


def test_an_ended_pin_no_longer_counts_against_the_limit(world: World) -> None:
    world.pool(claim_ttl="P9D", pin_limit=1, customers=2)
    world.alice.claim_batch(["c1", "c2"])
    pin(world.alice, "c1", START + DAY)
    world.clock.forward(2 * DAY)

    assert pin(world.alice, "c2", START + 5 * DAY).status == 200
    assert world.alice.events("c1")[-1] == "unpinned"


def test_a_pin_of_an_expired_claim_no_longer_counts_before_a_sweep(world: World) -> None:
    world.pool(claim_ttl="PT1H", pin_limit=1, customers=2)
    alice = world.alice
    alice.claim("c1")
    pin(alice, "c1", START + DAY)
    world.clock.forward(2 * DAY)
    alice.claim("c2")

    assert pin(alice, "c2", START + 5 * DAY).status == 200
    assert alice.events("c1")[-1] == "expired" and alice.held() == 1


def test_a_pin_ends_in_the_future_and_within_the_policy_limit(world: World) -> None:
    world.pool(max_pin="P10D", customers=1)
    alice = world.alice
    alice.claim("c1")

    assert pin(alice, "c1", world.clock() + 10 * DAY + 1).code == "pin_limit"
    assert pin(alice, "c1", world.clock()).status == 422
    assert alice.post("/customers/c1/pin", {"until": "tomorrow"}).status == 422
    assert alice.post("/customers/c1/pin", {"until": "2026-07-01T00:00:00"}).status == 422, "it names no offset"
    assert pin(alice, "c1", world.clock() + 10 * DAY).status == 200


def test_only_the_holder_or_a_manager_pins(world: World) -> None:
    world.pool(customers=2)
    world.alice.claim("c1")

    assert pin(world.bob, "c1", START + DAY).code == "not_holder"
    assert pin(world.user("stranger"), "c1", START + DAY).code == "not_a_member"
    assert pin(world.alice, "c2", START + DAY).code == "not_claimed"


def test_a_pinned_claim_cannot_be_extended(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    pin(mona, "c1", START + 5 * DAY)

    refused = mona.post("/customers/c1/extend", {"by": "P1D"})

    assert refused.code == "pinned"
    assert refused.json["retry_at"] == rfc3339(START + 5 * DAY)


def test_a_follow_up_restarts_the_clock_under_the_pin(world: World) -> None:
    world.pool(idle_ttl="P2D", customers=1)
    world.alice.claim("c1")
    pin(world.alice, "c1", START + 3 * DAY)
    world.clock.forward(DAY + HOUR)

    world.alice.post("/customers/c1/follow-up", {"note": "called"})

    assert world.alice.customer("c1")["expires_at"] == rfc3339(world.clock() + 2 * DAY)


def test_a_pause_shifts_the_end_of_a_pin(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    pin(world.alice, "c1", START + 5 * DAY)
    world.root.post("/pause")
    world.clock.forward(DAY)
    world.root.post("/resume")

    shown = world.alice.customer("c1")

    assert shown["pinned_until"] == shown["expires_at"] == rfc3339(START + 6 * DAY)


def test_pinning_is_one_transaction(world: World) -> None:
    world.pool(pin_limit=3, customers=1)
    world.alice.claim("c1")

    with counted(world) as made:
        pin(world.alice, "c1", START + DAY)

    assert made == {"TransactWriteItems": 1}


def test_a_pin_may_end_at_the_largest_time_and_no_later(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=1)
    alice, root = world.alice, world.root
    alice.claim("c1")

    later = alice.post("/customers/c1/pin", {"until": "9999-12-31T23:59:59.999-12:00"})
    pinned = alice.post("/customers/c1/pin", {"until": "9999-12-31T23:59:59.999Z"})
    root.post("/pause")
    world.clock.forward(DAY)
    root.post("/resume")

    assert (later.code, pinned.status) == ("invalid_request", 200)
    assert alice.customer("c1")["pinned_until"] == "9999-12-31T23:59:59.999Z"
    assert alice.customer_ids("holder=me&state=claimed") == ["c1"]


def test_renewing_an_ended_pin_counts_against_the_limit_again(world: World) -> None:
    mona = world.pool(claim_ttl="P30D", pin_limit=1, customers=1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/pin", {"until": rfc3339(START + DAY)})
    mona.patch("", {"policy": {"pin_limit": 0}}, if_match="1")
    world.clock.forward(2 * DAY)

    assert world.alice.post("/customers/c1/pin", {"until": rfc3339(START + 9 * DAY)}).json.get("code") == "pin_limit"
