"""A request repeated with its Idempotency-Key gets its first response, even if a new request would get another."""

from __future__ import annotations

from typing import Any

from tests.support.world import HOUR, World


def test_the_stored_response_of_an_admin_is_replayed_only_to_an_admin(world: World) -> None:
    body, root = {"id": "q", "name": "Q"}, world.root
    first = root.request("POST", "/v1/pools", body, idempotency_key="k")

    by_nobody = world.user("root").request("POST", "/v1/pools", body, idempotency_key="k")
    again = root.request("POST", "/v1/pools", body, idempotency_key="k")

    assert (by_nobody.status, by_nobody.code) == (403, "not_admin")
    assert "Idempotent-Replayed" not in by_nobody.headers
    assert (again.status, again.text) == (first.status, first.text)


def test_a_release_is_replayed_after_a_reason_became_required(world: World) -> None:
    mona = world.pool(customers=1)
    mona.claim("c1")
    first = mona.release("c1", idempotency_key="k")
    mona.patch("", {"policy": {"reason_required": True}}, if_match="1")

    again = mona.release("c1", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)


def test_a_batch_is_replayed_after_the_policy_dropped_extensions(world: World) -> None:
    mona = world.pool(claim_ttl="P1D", extension="PT1H", members_may_extend=True)
    world.alice.claim_batch(world.fill(2))
    body = {"customer_ids": ["c1", "c2", "nobody"]}
    first = world.alice.post("/extend", body, idempotency_key="k")
    mona.patch("", {"policy": {"extension": None}}, if_match="1")

    again = world.alice.post("/extend", body, idempotency_key="k")

    assert first.results == ["ok", "ok", "not_found"]
    assert (again.status, again.text) == (first.status, first.text)


def test_a_repeated_batch_in_a_deleted_pool_is_not_found(world: World) -> None:
    mona, root = world.pool(), world.root
    requests = [("/claim", {"customer_ids": ["nobody"]}), ("/assign", {"customer_ids": ["nobody"], "to": "bob"})]
    firsts = [mona.post(path, body, idempotency_key="k") for path, body in requests]
    assert root.delete(idempotency_key="k").status == 200

    agains = [mona.post(path, body, idempotency_key="k") for path, body in requests]
    deleted = root.delete(idempotency_key="k")

    assert [first.results for first in firsts] == [["not_found"], ["not_found"]]
    assert [(again.status, again.code) for again in agains] == [(404, "not_found")] * 2
    assert (deleted.status, deleted.json) == (200, {"id": "p"})


def test_an_undo_is_replayed_to_a_former_manager(world: World) -> None:
    mona, root = world.pool(), world.root
    made = mona.post("/import", {"rows": [{"id": "c1", "name": "One"}]}).json
    first = mona.post(f"/imports/{made['import_id']}/undo", idempotency_key="k")
    root.put("/members/mona", {"role": "member"})

    again = mona.post(f"/imports/{made['import_id']}/undo", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text) == (200, first.text)


def test_an_atomic_batch_is_replayed_after_it_became_too_large(threaded: World) -> None:
    threaded.pool(claim_ttl="PT1H")
    ids = threaded.fill(98)
    first = threaded.alice.claim_batch(ids, atomic=True, idempotency_key="k")
    threaded.clock.forward(HOUR)
    threaded.bob.claim("c1")
    threaded.clock.forward(HOUR)

    again = threaded.alice.claim_batch(ids, atomic=True, idempotency_key="k")

    assert first.status == 200
    assert (again.status, again.text) == (first.status, first.text)


def test_a_definite_refusal_is_replayed_after_the_state_changed(world: World) -> None:
    world.pool(customers=1)
    world.bob.claim("c1")
    first = world.alice.claim("c1", idempotency_key="k")
    world.bob.release("c1")

    again = world.alice.claim("c1", idempotency_key="k")

    assert (first.code, again.status, again.text) == ("already_claimed", 409, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert world.alice.claim("c1", idempotency_key="k2").status == 200


def test_a_refusal_is_replayed_even_when_the_request_would_now_succeed(world: World) -> None:
    body = {"id": "q", "name": "Q"}
    first = world.user("root").request("POST", "/v1/pools", body, idempotency_key="k")

    again = world.root.request("POST", "/v1/pools", body, idempotency_key="k")

    assert (first.code, again.status, again.text) == ("not_admin", 403, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"


REFUSED: list[tuple[str, Any, str]] = [
    ("/customers/c1/release", {}, "reason_required"),
    ("/claim", {"customer_ids": []}, "invalid_request"),
    ("/claim", {"customer_ids": ["x"] * 101}, "batch_too_large"),
    ("/claim-next", {"count": 1}, "holding_limit"),
    ("/customers/c1/claim", {}, "holding_limit"),
    ("/customers/nobody/release", {"reason": "r"}, "not_found"),
    ("/customers/c1/assign", {"to": "alice"}, "not_manager"),
    ("/customers/c1/win", {}, "not_claimed"),
]


def test_every_definite_refusal_is_replayed_in_the_requested_language(world: World) -> None:
    world.pool(holding_limit=0, reason_required=True, customers=1)

    for number, (path, body, code) in enumerate(REFUSED):
        first = world.alice.post(path, body, idempotency_key=f"k{number}")
        again = world.alice.post(path, body, idempotency_key=f"k{number}", accept_language="zh-CN")

        assert (first.code, again.code, again.status) == (code, code, first.status), path
        assert again.headers["Idempotent-Replayed"] == "true" and again.headers["Content-Language"] == "zh-CN"
