"""One Idempotency-Key has one effect, and all its answers are equal: repeated, crossed, or cut short anywhere."""

from __future__ import annotations

import pytest

from tests.test_races import at_once
from tests.test_sweeping import killed_at
from tests.world import DAY, World


def test_a_repeated_claim_gets_the_first_answer_again(world: World) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")
    first = alice.claim("c1", idempotency_key="k")
    alice.release("c1")

    again = alice.claim("c1", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert alice.held() == 0


def test_a_definite_refusal_is_an_answer_too_even_after_things_have_changed(world: World) -> None:
    world.pool()
    world.fill(1)
    world.user("bob").claim("c1")
    alice = world.user("alice")
    first = alice.claim("c1", idempotency_key="k")
    world.user("bob").release("c1")

    again = alice.claim("c1", idempotency_key="k")

    assert (first.code, again.status, again.text) == ("already_claimed", 409, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert alice.claim("c1", idempotency_key="k2").status == 200


def test_the_same_key_with_another_body_is_refused_and_does_nothing(world: World) -> None:
    world.pool()
    world.fill(2)
    alice = world.user("alice")
    alice.claim_batch(["c1"], idempotency_key="k")

    reused = alice.claim_batch(["c2"], idempotency_key="k")

    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert alice.held() == 1


def test_a_key_belongs_to_its_tenant_user_and_resource(world: World) -> None:
    world.pool()
    world.pool("p", "acme")
    world.fill(3)
    world.fill(1, "p", "acme")
    callers = [world.user("alice"), world.user("alice", tenant="acme")]

    assert [each.claim("c1", idempotency_key="k").status for each in callers] == [200, 200]
    assert world.user("bob").claim("c2", idempotency_key="k").status == 200
    assert world.user("alice").claim("c3", idempotency_key="k").status == 200
    assert world.user("alice").release("c1", idempotency_key="k").status == 200


def test_a_key_is_kept_for_a_day(world: World) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1", idempotency_key="k")
    alice.release("c1")
    world.clock.forward(DAY - 1_000)
    assert alice.claim("c1", idempotency_key="k").headers["Idempotent-Replayed"] == "true"

    world.clock.forward(1_000)

    fresh = alice.claim("c1", idempotency_key="k")
    assert fresh.status == 200 and "Idempotent-Replayed" not in fresh.headers
    assert alice.held() == 1


def test_every_kind_of_request_can_be_repeated(world: World) -> None:
    mona = world.pool(claim_ttl="PT1H")
    ids = world.fill(130)
    root, alice = world.user("root", admin=True), world.user("alice")
    requests = [
        (root, "POST", "/v1/pools", {"id": "q", "name": "Q"}),
        (root, "PUT", "/v1/pools/p/members/carl", {"role": "member", "holding_limit": 3}),
        (mona, "POST", "/v1/pools/p/customers", {"name": "New"}),
        (mona, "POST", "/v1/pools/p/import", {"rows": [{"id": "n1", "name": "N"}, {"id": "c1", "name": "again"}]}),
        (alice, "POST", "/v1/pools/p/claim", {"customer_ids": [*ids[:99], "nobody"]}),
        (alice, "POST", "/v1/pools/p/claim-next", {"count": 3}),
        (alice, "POST", "/v1/pools/p/release", {"customer_ids": ids[:100]}),
        (mona, "POST", "/v1/pools/p/assign", {"customer_ids": ids[:3], "to": "bob"}),
        (mona, "POST", "/v1/pools/p/customers/c1/extend", {"by": "PT1H"}),
        (mona, "DELETE", "/v1/pools/p/members/bob?held=release", None),
        (root, "POST", "/v1/sweep", {}),
    ]
    for number, (user, method, path, body) in enumerate(requests):
        first = user.request(method, path, body, idempotency_key=f"k{number}")
        again = user.request(method, path, body, idempotency_key=f"k{number}")

        assert first.status in (200, 201), (path, first.text)
        assert (again.status, again.json) == (first.status, first.json), path
        assert again.headers.get("Idempotent-Replayed") == "true", path


def test_claim_next_repeated_takes_nothing_more_even_when_the_pool_had_run_dry(world: World) -> None:
    world.pool()
    world.fill(2)
    alice = world.user("alice")
    first = alice.claim_next(5, idempotency_key="k")
    world.fill(3, prefix="more")

    again = alice.claim_next(5, idempotency_key="k")

    assert again.json == first.json and len(first.json["items"]) == 2
    assert alice.held() == 2


def test_a_key_that_is_no_key_is_refused(world: World) -> None:
    world.pool()
    world.fill(1)

    for key in ("a b", "x" * 65, "", "ключ"):
        assert world.user("alice").claim("c1", idempotency_key=key).code == "invalid_request"


@pytest.mark.parametrize("moment", ["before-send", "response-received"])
def test_a_batch_cut_short_at_any_call_is_completed_once_by_its_repetition(threaded: World, moment: str) -> None:
    threaded.pool()
    ids = threaded.fill(100)
    alice = threaded.user("alice")
    for call_number in range(1, 5):
        key = f"{moment}-{call_number}"
        with killed_at(threaded, call_number, moment):
            try:
                alice.claim_batch([*ids, "nobody"][1:], idempotency_key=key)
            except KeyboardInterrupt:
                threaded.service = threaded.another_process()

        repeated = alice.claim_batch([*ids, "nobody"][1:], idempotency_key=key)

        assert repeated.json["summary"] == {"ok": 99, "failed": 1}
        assert alice.held() == 99
        assert alice.claim_batch([*ids, "nobody"][1:], idempotency_key=key).text == repeated.text
        threaded.user("mona").release_batch(ids)


def test_one_key_sent_twenty_times_at_once_has_one_effect_and_one_answer(threaded: World) -> None:
    threaded.pool(holding_limit=9)
    ids = threaded.fill(12)

    replies = at_once([lambda: threaded.user("alice").claim_batch(ids, idempotency_key="k") for _ in range(20)])

    assert {reply.text for reply in replies} == {replies[0].text}
    assert replies[0].json["summary"] == {"ok": 9, "failed": 3}
    assert threaded.user("alice").held() == 9
