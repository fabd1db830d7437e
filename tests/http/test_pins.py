"""Pins: a pinned claim does not expire until its pin ends, and a member has only so many (rule 16)."""

from __future__ import annotations

from datetime import datetime

from chalicelib.model.times import epoch_ms, rfc3339
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, START, Reply, User, World


def pin(user: User, customer: str, until: int) -> Reply:
    return user.post(f"/customers/{customer}/pin", {"until": rfc3339(until)})


def epoch(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text))


def test_a_pinned_claim_does_not_expire_until_its_pin_ends(world: World) -> None:
    world.pool(claim_ttl="P1D", pin_limit=1, customers=1)
    world.alice.claim("c1")

    pinned = pin(world.alice, "c1", START + 10 * DAY).json

    assert pinned["pinned_until"] == pinned["expires_at"] == rfc3339(START + 10 * DAY)
    world.clock.now = START + 10 * DAY - 1
    assert world.sweep().due == 0
    world.clock.forward(1)
    assert world.sweep().returned == 1


def test_a_pin_shorter_than_the_clock_leaves_the_deadline_where_it_is(world: World) -> None:
    world.pool(claim_ttl="P7D", pin_limit=1, customers=1)
    deadline = world.alice.claim("c1").json["expires_at"]

    assert pin(world.alice, "c1", START + DAY).json["expires_at"] == deadline


def test_unpinning_gives_the_deadline_back_to_the_clock(world: World) -> None:
    world.pool(claim_ttl="P7D", pin_limit=1, customers=2)
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
    world.pool(max_pin="P10D", pin_limit=1, customers=1)
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


def test_members_pin_only_under_a_limit_and_managers_always(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=3)
    world.alice.claim("c1")
    mona.claim("c2")
    carl = world.user("carl", admin=True)
    mona.put("/members/carl", {"role": "member"})
    carl.claim("c3")

    replies = [pin(world.alice, "c1", START + 5 * DAY), pin(mona, "c1", START + 99 * DAY)]
    replies += [pin(mona, "c2", START + 5 * DAY), pin(carl, "c3", START + 5 * DAY)]

    assert [reply.status for reply in replies] == [403, 200, 200, 200]
    assert replies[0].code == "not_manager"


def test_a_managers_pin_is_counted_but_not_refused_by_the_limit(world: World) -> None:
    mona = world.pool(pin_limit=1, customers=3)
    world.alice.claim_batch(["c1", "c2"])
    mona.claim("c3")

    replies = [pin(world.alice, "c1", START + DAY), pin(mona, "c2", START + DAY), pin(mona, "c3", START + DAY)]
    world.alice.post("/customers/c1/unpin")
    renewed = pin(world.alice, "c1", START + DAY)

    assert [reply.status for reply in replies] == [200, 200, 200]
    assert (renewed.code, renewed.json["limit"], renewed.json["used"]) == ("pin_limit", 1, 1)


def test_a_manager_who_pins_their_own_claim_is_refused_like_any_holder(world: World) -> None:
    world.pool(pin_limit=1, customers=3)
    world.mona.claim_batch(["c1", "c2"])
    world.alice.claim("c3")
    pin(world.mona, "c1", START + DAY)

    above, longer = pin(world.mona, "c2", START + DAY), pin(world.mona, "c1", START + 31 * DAY)
    of_another = pin(world.mona, "c3", START + 31 * DAY)

    assert (above.status, above.code, above.json["limit"], above.json["used"]) == (409, "pin_limit", 1, 1)
    assert (longer.status, longer.code, of_another.status) == (409, "pin_limit", 200)


def test_a_manager_pins_their_own_claim_where_members_may_not_pin(world: World) -> None:
    world.pool(customers=1)
    world.mona.claim("c1")

    within, longer = pin(world.mona, "c1", START + 30 * DAY), pin(world.mona, "c1", START + 31 * DAY)

    assert (within.status, longer.status, longer.code) == (200, 409, "pin_limit")
    assert world.mona.get("/members/me").json["pins"] == 1


def test_a_holders_pin_without_max_pin_ends_at_most_thirty_days_from_now(world: World) -> None:
    mona = world.pool(pin_limit=9, customers=1)
    world.alice.claim("c1")
    latest = world.clock() + 30 * DAY

    assert pin(world.alice, "c1", latest + 1).code == "pin_limit"
    assert pin(world.alice, "c1", latest).status == 200
    assert pin(mona, "c1", latest + DAY).status == 200


def test_no_pin_reaches_past_max_hold_set_by_anyone(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", max_hold="P3D", pin_limit=1, customers=1)
    ends = epoch(world.alice.claim("c1").json["claimed_at"]) + 3 * DAY

    refused = [pin(user, "c1", ends + 1).code for user in (world.alice, mona, world.root)]
    pinned = pin(mona, "c1", ends)
    world.root.post("/pause")
    world.clock.forward(DAY)
    world.root.post("/resume")

    assert refused == ["pin_limit"] * 3 and pinned.status == 200
    assert pin(mona, "c1", ends + DAY + 1).code == "pin_limit"
    assert pin(mona, "c1", ends + DAY).status == 200, "the clock of max_hold stopped too"


def test_a_policy_applied_to_all_cuts_pins_to_max_hold_but_not_before_now(world: World) -> None:
    mona = world.pool(claim_ttl="P3D", customers=2)
    claimed = world.clock()
    world.alice.claim_batch(["c1", "c2"])
    pin(mona, "c1", claimed + 9 * DAY)
    pin(mona, "c2", claimed + 2 * DAY)
    world.clock.now = claimed + DAY + HOUR
    now, change = world.clock(), {"policy": {"max_hold": "P3D"}, "apply_to": "all"}

    trial = mona.patch("", change | {"dry_run": True}, if_match="1").json["affected"]
    applied = mona.patch("", change, if_match="1").json["affected"]
    cut = world.alice.customer("c1")
    mona.patch("", change | {"policy": {"max_hold": "PT1H"}}, if_match="2")

    assert trial == applied == 1
    assert cut["pinned_until"] == cut["expires_at"] == rfc3339(claimed + 3 * DAY)
    assert [world.alice.customer(each)["pinned_until"] for each in ("c1", "c2")] == [rfc3339(now)] * 2
    assert world.sweep().returned == 2


def test_a_pinned_claim_cannot_be_extended(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    pin(mona, "c1", START + 5 * DAY)

    refused = mona.post("/customers/c1/extend", {"by": "P1D"})

    assert refused.code == "pinned"
    assert refused.json["retry_at"] == rfc3339(START + 5 * DAY)


def test_a_follow_up_restarts_the_clock_under_the_pin(world: World) -> None:
    world.pool(idle_ttl="P2D", pin_limit=1, customers=1)
    world.alice.claim("c1")
    pin(world.alice, "c1", START + 3 * DAY)
    world.clock.forward(DAY + HOUR)

    world.alice.post("/customers/c1/follow-up", {"note": "called"})

    assert world.alice.customer("c1")["expires_at"] == rfc3339(world.clock() + 2 * DAY)


def test_a_pause_shifts_the_end_of_a_pin(world: World) -> None:
    world.pool(claim_ttl="P1D", pin_limit=1, customers=1)
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
    mona, alice, root = world.pool(claim_ttl="P1D", customers=1), world.alice, world.root
    alice.claim("c1")

    later = mona.post("/customers/c1/pin", {"until": "9999-12-31T23:59:59.999-12:00"})
    pinned = mona.post("/customers/c1/pin", {"until": "9999-12-31T23:59:59.999Z"})
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
