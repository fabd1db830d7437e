"""Repeated requests: one Idempotency-Key has one response and one effect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.world import DAY, HOUR, Reply, User, World


def test_a_repeated_claim_replays_the_first_response(world: World) -> None:
    world.pool(customers=1)
    first = world.alice.claim("c1", idempotency_key="k")
    world.alice.release("c1")

    again = world.alice.claim("c1", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert world.alice.held() == 0


def test_every_kind_of_request_can_be_repeated(threaded: World) -> None:
    mona = threaded.pool(claim_ttl="PT1H")
    ids = threaded.fill(130)
    requests = [
        (threaded.root, "POST", "/v1/pools", {"id": "q", "name": "Q"}),
        (threaded.root, "PUT", "/v1/pools/p/members/carl", {"role": "member", "holding_limit": 3}),
        (mona, "POST", "/v1/pools/p/customers", {"name": "New"}),
        (mona, "POST", "/v1/pools/p/import", {"rows": [{"id": "n1", "name": "N"}, {"id": "c1", "name": "again"}]}),
        (threaded.alice, "POST", "/v1/pools/p/claim", {"customer_ids": [*ids[:99], "nobody"]}),
        (threaded.alice, "POST", "/v1/pools/p/claim-next", {"count": 3}),
        (threaded.alice, "POST", "/v1/pools/p/release", {"customer_ids": ids[:100]}),
        (mona, "POST", "/v1/pools/p/assign", {"customer_ids": ids[:3], "to": "bob"}),
        (mona, "POST", "/v1/pools/p/customers/c1/extend", {"by": "PT1H"}),
        (mona, "DELETE", "/v1/pools/p/members/bob?held=release", None),
        (threaded.root, "POST", "/v1/sweep", {}),
    ]
    for number, (user, method, path, body) in enumerate(requests):
        first = user.request(method, path, body, idempotency_key=f"k{number}")
        again = user.request(method, path, body, idempotency_key=f"k{number}")

        assert first.status in (200, 201), (path, first.text)
        assert (again.status, again.json) == (first.status, first.json), path
        assert again.headers.get("Idempotent-Replayed") == "true", path


def test_a_repeated_claim_next_takes_nothing_more_even_from_an_emptied_pool(world: World) -> None:
    world.pool(customers=2)
    first = world.alice.claim_next(5, idempotency_key="k")
    world.fill(3, prefix="more")

    again = world.alice.claim_next(5, idempotency_key="k")

    assert again.json == first.json and len(first.json["items"]) == 2
    assert world.alice.held() == 2


def test_a_sweep_repeated_with_its_key_returns_nothing_more(world: World) -> None:
    world.pool(claim_ttl="PT1H", customers=1)
    first = world.root.request("POST", "/v1/sweep", {}, idempotency_key="k")
    world.alice.claim("c1")
    world.clock.forward(2 * HOUR)

    again = world.root.request("POST", "/v1/sweep", {}, idempotency_key="k")

    assert again.text == first.text and again.headers["Idempotent-Replayed"] == "true"
    assert world.mona.events("c1") == ["imported", "claimed"]


def test_a_removal_repeated_with_its_key_releases_nothing_more(world: World) -> None:
    mona = world.pool(customers=1)
    root, path = world.root, "/v1/pools/p/members/bob"
    first = mona.request("DELETE", f"{path}?held=release", idempotency_key="k")
    root.request("PUT", path, {"role": "member"})
    world.bob.claim("c1")

    again = mona.request("DELETE", f"{path}?held=release", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)
    assert mona.customer("c1")["holder"] == "bob"


def patch(mona: User, version: int, key: str, **policy: Any) -> Reply:
    body = {"policy": policy, "apply_to": "all"}
    return mona.patch("", body, if_match=f'"{version}"', idempotency_key=key)


def test_a_repeated_policy_change_replays_the_first_response(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")

    first, again = patch(mona, 1, "k", claim_ttl="P1D"), patch(mona, 1, "k", claim_ttl="P1D")

    assert (again.status, again.text) == (first.status, first.text)


def test_a_repeated_policy_change_does_not_undo_a_later_one(world: World) -> None:
    mona, alice = world.pool(claim_ttl="P7D"), world.alice
    world.fill(2)
    alice.claim("c1")
    patch(mona, 1, "k1", claim_ttl="P1D")
    patch(mona, 2, "k2", claim_ttl="P30D")
    expires_at = alice.customer("c1")["expires_at"]

    patch(mona, 1, "k1", claim_ttl="P1D")

    assert alice.customer("c1")["expires_at"] == expires_at
    assert alice.claim("c2").json["expires_at"] == expires_at


# The scope and the lifetime of a key


@pytest.mark.parametrize("key", ["a b", "x" * 65, "", "ключ"])
def test_an_invalid_idempotency_key_is_rejected(no_store: World, key: str) -> None:
    refused = no_store.alice.claim("c1", idempotency_key=key)

    assert (refused.status, refused.code) == (422, "invalid_request")


def test_an_invalid_body_does_not_use_its_idempotency_key(world: World) -> None:
    mona = world.pool()

    wrong = [mona.post("/customers", {"id": "c1"}, idempotency_key="k") for _ in range(2)]
    right = mona.post("/customers", {"id": "c1", "name": "New"}, idempotency_key="k")

    assert [(reply.status, reply.code) for reply in wrong] == [(422, "invalid_request")] * 2
    assert right.status == 201 and "Idempotent-Replayed" not in right.headers


def test_an_idempotency_key_is_scoped_to_tenant_user_and_resource(world: World) -> None:
    world.pool()
    world.pool("p", "acme")
    world.fill(3)
    world.fill(1, "p", "acme")
    callers = [world.alice, world.user("alice", tenant="acme")]

    assert [each.claim("c1", idempotency_key="k").status for each in callers] == [200, 200]
    assert world.bob.claim("c2", idempotency_key="k").status == 200
    assert world.alice.claim("c3", idempotency_key="k").status == 200
    assert world.alice.release("c1", idempotency_key="k").status == 200


def test_an_idempotency_key_with_another_body_is_refused_and_changes_nothing(world: World) -> None:
    world.pool(customers=2)
    first = world.alice.claim_batch(["c1"], idempotency_key="k")

    reused = world.alice.claim_batch(["c2"], idempotency_key="k")

    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert world.alice.held() == 1
    assert world.alice.claim_batch(["c1"], idempotency_key="k").text == first.text


def test_an_idempotency_key_covers_the_whole_request(world: World) -> None:
    mona = world.pool(customers=2)
    mona.claim("c1", idempotency_key="k")

    assert mona.claim("c1", idempotency_key="k", if_match='"1"').code == "idempotency_key_reused"
    mona.delete("/members/bob", idempotency_key="k")
    other = mona.delete("/members/bob?held=release", idempotency_key="k")
    assert other.code == "idempotency_key_reused"


def test_key_order_and_whitespace_do_not_change_the_request_hash(world: World) -> None:
    first = world.root.request("POST", "/v1/pools", b'{"id":"q","name":"Q"}', idempotency_key="k")

    again = world.root.request("POST", "/v1/pools", b' { "name" : "Q", "id" : "q" } ', idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text) == (201, first.text)


def test_an_idempotency_key_is_kept_for_a_day(world: World) -> None:
    world.pool(customers=1)
    alice = world.alice
    alice.claim("c1", idempotency_key="k")
    alice.release("c1")
    world.clock.forward(DAY - 1_000)
    assert alice.claim("c1", idempotency_key="k").headers["Idempotent-Replayed"] == "true"

    world.clock.forward(1_000)

    fresh = alice.claim("c1", idempotency_key="k")
    assert fresh.status == 200 and "Idempotent-Replayed" not in fresh.headers
    assert alice.held() == 1


def test_an_idempotency_record_of_several_transactions_expires_as_a_whole(threaded: World) -> None:
    threaded.pool()
    ids = threaded.fill(101)
    threaded.alice.claim_batch(ids[:100], idempotency_key="k")
    threaded.alice.release_batch(ids[:100])
    threaded.clock.forward(DAY)

    fresh = threaded.alice.claim_batch(ids[1:], idempotency_key="k")

    assert fresh.json["summary"] == {"ok": 100, "failed": 0}
    assert threaded.alice.held() == 100


def test_a_dry_run_with_an_idempotency_key_is_replayed(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=1)
    world.alice.claim("c1")
    body = {"policy": {"claim_ttl": "P9D"}, "apply_to": "all", "dry_run": True}

    first = mona.patch("", body, if_match="1", idempotency_key="k")
    world.alice.release("c1")
    again = mona.patch("", body, if_match="1", idempotency_key="k")

    assert (first.status, first.json["affected"]) == (200, 1)
    assert again.text == first.text and again.headers["Idempotent-Replayed"] == "true"
