"""Closing, opening and deleting a pool (rule 21). Pauses are in `test_pool_pauses`."""

from __future__ import annotations

import pytest

from tests.support.world import DAY, SECOND, World


@pytest.mark.parametrize(
    ("mode", "state", "event"), [("drain", "available", "reclaimed"), ("to_private", "private", "converted")]
)
def test_closing_a_pool_leaves_no_claim(world: World, mode: str, state: str, event: str) -> None:
    world.pool(claim_ttl="P7D", customers=3)
    alice = world.alice
    alice.claim_batch(["c1", "c2"])

    closed = world.root.post("/close", {"mode": mode}).json

    assert closed["status"] == "closed"
    assert [alice.customer(each)["state"] for each in ("c1", "c2", "c3")] == [state, state, "available"]
    assert alice.events("c1")[-1] == event
    assert alice.held() == 0
    assert alice.claim("c3").code == "pool_not_open"


def test_closing_a_pool_returns_expired_claims_in_any_mode(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    world.clock.forward(2 * DAY)

    world.root.post("/close", {"mode": "to_private"})

    assert world.alice.customer("c1")["state"] == "available"
    assert world.alice.events("c1")[-1] == "expired"


def test_closing_a_paused_pool_expires_no_claim(world: World) -> None:
    world.pool(claim_ttl="P1D", customers=1)
    world.alice.claim("c1")
    world.root.post("/pause")
    world.clock.forward(9 * DAY)

    world.root.post("/close", {"mode": "to_private"})

    assert world.alice.customer("c1")["holder"] == "alice"


def test_the_schedule_returns_a_claim_made_with_a_stale_open_pool(world: World) -> None:
    world.pool(customers=1)
    late = world.another_process()
    with world.process(late):
        world.alice.customer("c1")
    world.root.post("/close", {"mode": "drain"})

    world.service = late
    assert world.alice.claim("c1").status == 200
    world.sweep()

    assert world.alice.customer("c1")["state"] == "available"


def test_a_closed_pool_rejects_customers_until_it_opens_again(world: World) -> None:
    mona = world.pool(customers=1)
    world.root.post("/close", {"mode": "drain"})

    refused = mona.post("/customers", {"name": "New"})
    assert world.root.post("/open").json["status"] == "open"

    assert refused.code == "pool_not_open"
    world.clock.forward(10 * SECOND)
    assert mona.post("/customers", {"name": "New"}).status == 201
    assert world.alice.claim("c1").status == 200


def test_a_closed_pool_cannot_be_paused_or_resumed_nor_a_paused_one_opened(world: World) -> None:
    world.pool()
    root = world.root
    root.post("/pause")

    opened = root.post("/open")
    root.post("/close", {"mode": "drain"})

    assert [opened.code, root.post("/pause").code, root.post("/resume").code] == ["pool_not_open"] * 3


def test_only_an_admin_pauses_resumes_closes_opens_and_deletes(world: World) -> None:
    mona = world.pool()

    replies = [mona.post(path) for path in ("/pause", "/resume", "/open")]
    replies += [mona.post("/close", {"mode": "drain"}), mona.delete()]

    assert [reply.code for reply in replies] == ["not_admin"] * 5


def test_a_pool_request_with_an_old_version_changes_nothing(world: World) -> None:
    world.pool()

    stale = world.root.post("/pause", if_match="9")

    assert (stale.status, stale.code) == (412, "version_conflict")
    assert world.root.get().json["status"] == "open"


def test_a_pool_with_customers_is_not_deleted_and_keeps_working(world: World) -> None:
    world.pool(customers=1)

    refused = world.root.delete()

    assert (refused.status, refused.code) == (409, "pool_not_empty")
    assert world.alice.claim("c1").status == 200


def test_a_pool_with_a_private_customer_is_not_deleted(world: World) -> None:
    world.pool(customers=1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win")

    assert world.root.delete().code == "pool_not_empty"


def test_a_deleted_pool_leaves_nothing_for_a_new_one_with_its_id(world: World) -> None:
    world.pool()

    assert world.root.delete().status == 200
    gone = world.root.get()
    world.root.request("POST", "/v1/pools", {"id": "p", "name": "New"})

    assert gone.status == 404
    assert world.mona.get().code == "not_a_member"
    assert world.root.get("/members").json["items"] == []


def test_a_process_with_a_stale_cache_cannot_add_a_member_to_a_deleted_pool(world: World) -> None:
    world.pool()
    late = world.another_process()
    mine, world.service = world.service, late
    world.alice.get("/customers")
    world.service = mine
    world.root.delete()

    world.service = late
    put = world.root.put("/members/eve", {"role": "manager"})
    world.service = mine
    world.root.request("POST", "/v1/pools", {"id": "p", "name": "P", "policy": {}})

    assert put.status == 404
    assert world.user("eve").get("/customers").code == "not_a_member"
