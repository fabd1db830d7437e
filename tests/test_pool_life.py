"""A pool as a whole: paused and resumed, closed and opened, deleted (rule 21). An admin's business."""

from __future__ import annotations

import pytest

from chalicelib.times import rfc3339
from tests.engine import Crash, counted, failing, hooked
from tests.world import DAY, HOUR, MINUTE, SECOND, START, User, World


def admin(world: World, pool: str = "p") -> User:
    return world.user("root", admin=True, pool=pool)


def test_a_paused_pool_gives_nothing_out_and_takes_back_as_ever(world: World) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(3)
    alice = world.user("alice")
    alice.claim("c1")

    paused = admin(world).post("/pause").json

    assert paused["status"] == "paused"
    refused = [
        alice.claim("c2"), alice.claim_next(), mona.post("/customers/c2/assign", {"to": "bob"}),
        mona.post("/customers/c1/transfer", {"to": "bob"}),
    ]  # fmt: skip
    assert [reply.code for reply in refused] == ["pool_not_open"] * 4
    assert alice.claim_batch(["c2", "c3"]).results == ["pool_not_open"] * 2
    assert alice.post("/customers/c1/follow-up").status == 200
    assert alice.release("c1").status == 200


def test_a_pause_stops_the_clock_and_resuming_shifts_every_deadline_by_exactly_the_pause(world: World) -> None:
    world.pool(claim_ttl="P7D")
    world.fill(2)
    alice = world.user("alice")
    before = alice.claim("c1").json["expires_at"]
    world.clock.forward(3 * DAY)
    admin(world).post("/pause")
    world.clock.forward(30 * DAY)

    assert world.sweep().due == 0
    assert alice.customer("c1")["expires_at"] == before
    resumed = admin(world).post("/resume").json

    assert resumed["status"] == "open"
    assert before == rfc3339(START + 7 * DAY + 1)
    assert alice.customer("c1")["expires_at"] == rfc3339(START + 37 * DAY + 1)
    assert alice.claim("c2").json["expires_at"] == rfc3339(world.clock() + 7 * DAY)


def test_what_had_lapsed_before_the_pause_goes_back_even_during_it(world: World) -> None:
    world.pool(claim_ttl="P1D")
    world.fill(2)
    world.user("alice").claim("c1")
    world.clock.forward(DAY - HOUR)
    world.user("bob").claim("c2")
    world.clock.forward(2 * HOUR)
    admin(world).post("/pause")
    world.clock.forward(5 * DAY)

    report = world.sweep()

    assert (report.due, report.returned) == (1, 1)
    assert world.user("bob").release("c2").status == 200


def test_the_holder_keeps_all_rights_while_the_clock_stands_still(world: World) -> None:
    world.pool(claim_ttl="P1D", extension="P1D", members_may_extend=True)
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1")
    admin(world).post("/pause")
    world.clock.forward(9 * DAY)

    extended = alice.post("/customers/c1/extend").json
    admin(world).post("/resume")

    assert extended["expires_at"] == rfc3339(START + 2 * DAY + 1)
    assert alice.customer("c1")["expires_at"] == rfc3339(START + 11 * DAY + 1)


def test_a_follow_up_during_a_pause_restarts_the_idle_clock_from_the_end_of_the_pause(world: World) -> None:
    world.pool(idle_ttl="P3D", follow_up_restarts_clock=True)
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1")
    world.clock.forward(2 * DAY)
    admin(world).post("/pause")
    world.clock.forward(4 * DAY)

    alice.post("/customers/c1/follow-up")
    world.clock.forward(DAY)
    admin(world).post("/resume")

    assert alice.customer("c1")["expires_at"] == rfc3339(world.clock() + 3 * DAY)


def test_two_pauses_add_up_and_a_policy_applied_to_all_leaves_them_standing(world: World) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1")
    for days in (1, 2):
        admin(world).post("/pause")
        world.clock.forward(days * DAY)
        admin(world).post("/resume")

    version = mona.get().json["version"]
    patch = {"policy": {"claim_ttl": "P8D"}, "apply_to": "all"}
    assert mona.request("PATCH", "/v1/pools/p", patch, if_match=str(version)).json["affected"] == 1

    assert alice.customer("c1")["expires_at"] == rfc3339(START + 11 * DAY + 1)


def test_max_hold_is_measured_without_the_pauses(world: World) -> None:
    mona = world.pool(claim_ttl="P2D", max_hold="P4D")
    world.fill(1)
    world.user("alice").claim("c1")
    admin(world).post("/pause")
    world.clock.forward(20 * DAY)
    admin(world).post("/resume")

    assert mona.post("/customers/c1/extend", {"by": "P2D"}).status == 200
    assert mona.post("/customers/c1/extend", {"by": "PT1S"}).code == "extension_limit"


def test_pausing_twice_and_resuming_twice_change_nothing_more(world: World) -> None:
    world.pool(claim_ttl="P7D")
    world.fill(1)
    world.user("alice").claim("c1")
    root = admin(world)

    versions = [root.post("/pause").json["version"]]
    world.clock.forward(DAY)
    versions += [root.post("/pause").json["version"]]
    first = root.post("/resume").json
    again = root.post("/resume").json

    assert versions[0] == versions[1]
    assert first == again
    assert world.user("alice").customer("c1")["expires_at"] == rfc3339(START + 8 * DAY + 1)


def test_a_resumption_that_is_killed_anywhere_is_finished_by_the_schedule(threaded: World) -> None:
    threaded.pool(claim_ttl="P7D", members="alice bob")
    ids = threaded.fill(150)
    threaded.user("alice").claim_batch(ids[:100])
    threaded.user("bob").claim_batch(ids[100:])
    root = admin(threaded)

    for call_number in range(1, 9):
        root.post("/pause")
        threaded.clock.forward(HOUR)
        with pytest.raises(Crash), failing(threaded, call_number, operation=""):
            root.post("/resume")
            raise Crash
        threaded.clock.forward(MINUTE)
        threaded.sweep()
        assert root.get().json["status"] in ("open", "paused")
        root.post("/resume")

    shown = threaded.user("mona").get("/customers?state=claimed&limit=100").json["items"]
    assert len({each["expires_at"] for each in shown}) == 1, "all were claimed at once, so all end at once"


@pytest.mark.parametrize(
    ("mode", "state", "event"), [("drain", "available", "reclaimed"), ("to_private", "private", "converted")]
)
def test_closing_leaves_no_claim(world: World, mode: str, state: str, event: str) -> None:
    world.pool(claim_ttl="P7D")
    world.fill(3)
    alice = world.user("alice")
    alice.claim_batch(["c1", "c2"])

    closed = admin(world).post("/close", {"mode": mode}).json

    assert closed["status"] == "closed"
    assert [alice.customer(each)["state"] for each in ("c1", "c2", "c3")] == [state, state, "available"]
    assert alice.events("c1")[-1] == event
    assert alice.held() == 0
    assert alice.claim("c3").code == "pool_not_open"


def test_a_claim_that_had_lapsed_when_the_pool_closed_goes_back_whatever_the_mode(world: World) -> None:
    world.pool(claim_ttl="P1D")
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(2 * DAY)

    admin(world).post("/close", {"mode": "to_private"})

    assert world.user("alice").customer("c1")["state"] == "available"
    assert world.user("alice").events("c1")[-1] == "expired"


def test_closing_a_paused_pool_takes_nobodys_claim_for_lapsed(world: World) -> None:
    world.pool(claim_ttl="P1D")
    world.fill(1)
    world.user("alice").claim("c1")
    admin(world).post("/pause")
    world.clock.forward(9 * DAY)

    admin(world).post("/close", {"mode": "to_private"})

    assert world.user("alice").customer("c1")["holder"] == "alice"


def test_a_claim_by_a_process_that_had_not_heard_of_the_closing_is_undone_by_the_schedule(world: World) -> None:
    world.pool()
    world.fill(1)
    late = world.another_process()
    ours, world.service = world.service, late
    world.user("alice").customer("c1")
    world.service = ours
    admin(world).post("/close", {"mode": "drain"})

    world.service = late
    assert world.user("alice").claim("c1").status == 200
    world.sweep()

    assert world.user("alice").customer("c1")["state"] == "available"


def test_a_closed_pool_takes_no_customers_and_opens_again(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    root = admin(world)
    root.post("/close", {"mode": "drain"})

    refused = mona.post("/customers", {"name": "New"})
    assert root.post("/open").json["status"] == "open"

    assert refused.code == "pool_not_open"
    world.clock.forward(10 * SECOND)
    assert mona.post("/customers", {"name": "New"}).status == 201
    assert world.user("alice").claim("c1").status == 200


def test_a_closed_pool_is_neither_paused_nor_resumed_and_a_paused_one_not_opened(world: World) -> None:
    world.pool()
    root = admin(world)
    root.post("/pause")

    opened = root.post("/open")
    root.post("/close", {"mode": "drain"})

    assert [opened.code, root.post("/pause").code, root.post("/resume").code] == ["pool_not_open"] * 3


def test_only_an_admin_pauses_resumes_closes_opens_and_deletes(world: World) -> None:
    mona = world.pool()

    replies = [mona.post(path) for path in ("/pause", "/resume", "/open")]
    replies += [mona.post("/close", {"mode": "drain"}), mona.request("DELETE", "/v1/pools/p")]

    assert [reply.code for reply in replies] == ["not_admin"] * 5


def test_a_version_that_has_passed_changes_nothing(world: World) -> None:
    world.pool()
    root = admin(world)

    stale = root.post("/pause", if_match="9")

    assert (stale.status, stale.code) == (412, "version_conflict")
    assert root.get().json["status"] == "open"


def test_a_pool_with_customers_is_not_deleted_and_goes_on_as_it_was(world: World) -> None:
    world.pool()
    world.fill(1)
    root = admin(world)

    refused = root.request("DELETE", "/v1/pools/p")

    assert (refused.status, refused.code) == (409, "pool_not_empty")
    assert world.user("alice").claim("c1").status == 200


def test_a_private_customer_keeps_its_pool_too(world: World) -> None:
    world.pool()
    world.fill(1)
    world.user("alice").claim("c1")
    world.user("alice").post("/customers/c1/win")

    assert admin(world).request("DELETE", "/v1/pools/p").code == "pool_not_empty"


def test_an_empty_pool_is_deleted_with_its_members_and_leaves_nothing_to_one_of_its_name(world: World) -> None:
    world.pool()
    root = admin(world)

    assert root.request("DELETE", "/v1/pools/p").status == 200
    gone = root.get()
    root.request("POST", "/v1/pools", {"id": "p", "name": "Anew"})

    assert gone.status == 404
    assert world.user("mona").get().code == "not_a_member"
    assert root.get("/members").json["items"] == []


def test_resuming_costs_one_transaction_for_a_hundred_claims(threaded: World) -> None:
    threaded.pool(claim_ttl="P7D")
    threaded.user("alice").claim_batch(threaded.fill(90))
    admin(threaded).post("/pause")
    threaded.clock.forward(HOUR)

    with counted(threaded) as made:
        admin(threaded).post("/resume")

    assert made["TransactWriteItems"] == 3  # the pool's word, the claims, the pool's status


def test_who_gets_a_claim_by_transfer_during_a_pause_has_a_clock_that_stands_still_too(world: World) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(1)
    world.user("alice").claim("c1")
    root = world.user("root", admin=True)
    root.post("/pause")
    world.clock.forward(DAY)
    mona.request("DELETE", "/v1/pools/p/members/alice?held=transfer&to=bob")
    world.clock.forward(30 * DAY)

    kept = world.user("bob").post("/customers/c1/follow-up")
    root.post("/resume")

    assert kept.status == 200
    assert world.user("bob").customer("c1")["expires_at"] == rfc3339(world.clock() + 7 * DAY)


def test_a_request_that_met_another_one_running_may_be_repeated_with_its_key(world: World) -> None:
    world.pool()
    world.fill(1)
    world.user("alice").claim("c1")
    root = world.user("root", admin=True)
    root.post("/pause")
    with failing(world, 2), pytest.raises(Crash):
        root.post("/resume")

    first = root.post("/pause", idempotency_key="k")
    world.sweep()
    again = root.post("/pause", idempotency_key="k")

    assert (first.code, again.status) == ("request_in_progress", 200)


def test_a_member_put_by_a_process_that_does_not_know_the_pool_is_gone(world: World) -> None:
    world.pool()
    root = world.user("root", admin=True)
    late = world.another_process()
    mine, world.service = world.service, late
    world.user("alice").get("/customers")
    world.service = mine
    root.request("DELETE", "/v1/pools/p")

    world.service = late
    put = root.request("PUT", "/v1/pools/p/members/eve", {"role": "manager"})
    world.service = mine
    root.request("POST", "/v1/pools", {"id": "p", "name": "P", "policy": {}})

    assert put.status == 404
    assert world.user("eve").get("/customers").code == "not_a_member"


def test_a_verb_that_meets_a_pool_being_resumed_is_asked_again_and_then_done_once(world: World) -> None:
    world.pool(claim_ttl="P7D")
    world.fill(1)
    alice, root = world.user("alice"), world.user("root", admin=True)
    alice.claim("c1")
    root.post("/pause")
    ours, other = world.service, world.another_process()

    def resume(**_: object) -> None:
        if world.service is ours:
            world.service = other
            root.post("/resume")

    with hooked(world, "before-call.dynamodb.TransactWriteItems", resume):
        met = alice.release("c1", idempotency_key="k")
    again = alice.release("c1", idempotency_key="k")

    assert (met.status, met.code) == (429, "throttled")
    assert (again.status, alice.held()) == (200, 0)
