"""One Idempotency-Key has one effect and one answer: also where the answer is worked out around the transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.test_races import at_once
from tests.world import DAY, HOUR, Reply, User, World


class Crash(BaseException):
    """The process ends here."""


@contextmanager
def failing(world: World, call_number: int, moment: str = "before-call", error: type[BaseException] = Crash) -> Any:
    """The engine's n-th transaction from now does not arrive (`before-call`), or its answer does not (`after-call`)."""
    seen = iter(range(1, 1_000))

    def fail(**_: Any) -> None:
        if next(seen) == call_number:
            raise error(endpoint_url="engine") if error is EndpointConnectionError else error

    events, name = world.table.connection.client.meta.events, f"{moment}.dynamodb.TransactWriteItems"
    events.register_first(name, fail)
    try:
        yield
    finally:
        events.unregister(name, fail)


def cut_short(world: World, ask: Callable[[str], Reply], undo: Callable[[], Any] = lambda: None) -> Iterator[Reply]:
    """The answer to a repetition after the process died at each transaction in turn, before and after it arrived."""
    for moment in ("before-call", "after-call"):
        for call_number in range(1, 12):
            key = f"{moment}-{call_number}"
            whole = False
            try:
                with failing(world, call_number, moment):
                    ask(key)
                whole = True
            except Crash:
                world.service = world.another_process()
            repeated = ask(key)
            assert ask(key).text == repeated.text
            yield repeated
            undo()
            if whole:
                break
        assert call_number > 1, "nothing was cut short"


def test_a_single_claim_cut_short_is_made_once_by_its_repetition(world: World) -> None:
    world.pool(daily_claim_limit=100)
    world.fill(1)
    alice = world.user("alice")

    for reply in cut_short(world, lambda key: alice.claim("c1", idempotency_key=key), lambda: alice.release("c1")):
        assert reply.status == 200 and alice.held() == 1
    assert alice.get("/members/me").json["claimed_today"] == alice.events("c1").count("claimed")


def test_a_release_cut_short_is_made_once_by_its_repetition(world: World) -> None:
    world.pool()
    world.fill(1)
    alice = world.user("alice")
    alice.claim("c1")

    for reply in cut_short(world, lambda key: alice.release("c1", idempotency_key=key), lambda: alice.claim("c1")):
        assert reply.status == 200 and alice.held() == 0


def test_an_import_without_ids_cut_short_makes_every_row_once(threaded: World) -> None:
    mona = threaded.pool()
    rows = {"rows": [{"name": f"Row {number}"} for number in range(100)]}
    made: set[str] = set()

    replies = cut_short(threaded, lambda key: mona.post("/import", rows, idempotency_key=key))
    for number, reply in enumerate(replies, 1):
        assert reply.json["summary"] == {"ok": 100, "failed": 0}
        made |= {each["id"] for each in reply.json["results"]}
        listed = [each["id"] for each in walk(mona, "/customers")]
        assert len(listed) == len(made) == number * 100 and set(listed) == made


def test_claim_next_cut_short_takes_no_more_than_it_was_asked_for(world: World) -> None:
    world.pool()
    world.fill(20)
    alice = world.user("alice")

    def undo() -> None:
        alice.release_batch([each["id"] for each in walk(alice, "/customers?holder=me")])

    for reply in cut_short(world, lambda key: alice.claim_next(3, idempotency_key=key), undo):
        assert len(reply.json["items"]) == alice.held() == 3


def test_claim_next_repeated_after_a_crash_takes_no_more_when_the_head_of_the_list_has_changed(world: World) -> None:
    world.pool(cooldown="PT1H")
    mona, alice = world.user("mona"), world.user("alice")
    for each in ("best1", "best2"):
        mona.post("/customers", {"id": each, "name": each, "priority": 9})
        alice.claim(each)
        alice.release(each)
    world.fill(6)
    with pytest.raises(Crash), failing(world, 2):
        alice.claim_next(2, idempotency_key="k")
    assert alice.held() == 2

    world.clock.forward(HOUR)
    repeated = alice.claim_next(2, idempotency_key="k")

    assert len(repeated.json["items"]) == alice.held() == 2


def test_a_sweep_repeated_with_its_key_sweeps_nothing_more(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    world.fill(1)
    root = world.user("root", admin=True)
    first = root.request("POST", "/v1/sweep", {}, idempotency_key="k")
    world.user("alice").claim("c1")
    world.clock.forward(2 * HOUR)

    again = root.request("POST", "/v1/sweep", {}, idempotency_key="k")

    assert again.text == first.text and again.headers["Idempotent-Replayed"] == "true"
    assert world.user("mona").events("c1") == ["imported", "claimed"]


def test_a_removal_repeated_with_its_key_releases_nothing_more(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    root, path = world.user("root", admin=True), "/v1/pools/p/members/bob"
    first = mona.request("DELETE", f"{path}?held=release", idempotency_key="k")
    root.request("PUT", path, {"role": "member"})
    world.user("bob").claim("c1")

    again = mona.request("DELETE", f"{path}?held=release", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)
    assert mona.customer("c1")["holder"] == "bob"


def patch(mona: User, version: int, key: str, **policy: Any) -> Reply:
    body = {"policy": policy, "apply_to": "all"}
    return mona.request("PATCH", "/v1/pools/p", body, if_match=f'"{version}"', idempotency_key=key)


def test_a_change_of_policy_repeated_has_the_first_answer(world: World) -> None:
    mona = world.pool(claim_ttl="P7D")
    world.fill(1)
    world.user("alice").claim("c1")

    first, again = patch(mona, 1, "k", claim_ttl="P1D"), patch(mona, 1, "k", claim_ttl="P1D")

    assert (again.status, again.text) == (first.status, first.text)


def test_a_change_of_policy_repeated_does_not_undo_a_later_one(world: World) -> None:
    mona, alice = world.pool(claim_ttl="P7D"), world.user("alice")
    world.fill(2)
    alice.claim("c1")
    patch(mona, 1, "k1", claim_ttl="P1D")
    patch(mona, 2, "k2", claim_ttl="P30D")
    expires_at = alice.customer("c1")["expires_at"]

    patch(mona, 1, "k1", claim_ttl="P1D")

    assert alice.customer("c1")["expires_at"] == expires_at
    assert alice.claim("c2").json["expires_at"] == expires_at


def test_the_first_answer_comes_again_although_the_same_request_would_now_be_refused(world: World) -> None:
    body = {"id": "q", "name": "Q"}
    first = world.user("root", admin=True).request("POST", "/v1/pools", body, idempotency_key="k")

    again = world.user("root").request("POST", "/v1/pools", body, idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)


def test_a_release_comes_again_although_a_reason_is_required_by_now(world: World) -> None:
    mona = world.pool()
    world.fill(1)
    mona.claim("c1")
    first = mona.release("c1", idempotency_key="k")
    mona.request("PATCH", "/v1/pools/p", {"policy": {"reason_required": True}}, if_match="1")

    again = mona.release("c1", idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text)


def test_an_atomic_batch_comes_again_although_it_would_no_longer_fit(world: World) -> None:
    world.pool(claim_ttl="PT1H")
    ids = world.fill(98)
    alice = world.user("alice")
    first = alice.claim_batch(ids, atomic=True, idempotency_key="k")
    world.clock.forward(HOUR)
    world.user("bob").claim("c1")
    world.clock.forward(HOUR)

    again = alice.claim_batch(ids, atomic=True, idempotency_key="k")

    assert first.status == 200
    assert (again.status, again.text) == (first.status, first.text)


def test_a_refusal_comes_again_although_the_same_request_would_now_be_granted(world: World) -> None:
    body = {"id": "q", "name": "Q"}
    first = world.user("root").request("POST", "/v1/pools", body, idempotency_key="k")

    again = world.user("root", admin=True).request("POST", "/v1/pools", body, idempotency_key="k")

    assert (first.code, again.status, again.text) == ("not_admin", 403, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"


REFUSED = [
    ("/customers/c1/release", {}, "reason_required"),
    ("/claim", {"customer_ids": []}, "invalid_request"),
    ("/claim", {"customer_ids": ["x"] * 101}, "batch_too_large"),
    ("/claim-next", {"count": 1}, "holding_limit"),
    ("/customers/c1/claim", {}, "holding_limit"),
    ("/customers/nobody/release", {"reason": "r"}, "not_found"),
    ("/customers/c1/assign", {"to": "alice"}, "not_manager"),
    ("/customers/c1/win", {}, "not_claimed"),
]


@pytest.mark.parametrize(("path", "body", "code"), REFUSED)
def test_every_definite_refusal_comes_again_in_the_language_asked_for(
    world: World, path: str, body: dict[str, Any], code: str
) -> None:
    world.pool(holding_limit=0, reason_required=True)
    world.fill(1)
    alice = world.user("alice")
    first = alice.post(path, body, idempotency_key="k")

    again = alice.post(path, body, idempotency_key="k", accept_language="zh-CN")

    assert first.code == again.code == code and first.status == again.status
    assert again.headers["Idempotent-Replayed"] == "true" and again.headers["Content-Language"] == "zh-CN"


@pytest.mark.parametrize("body", [None, {"id": "q", "name": "Q"}])
def test_a_fault_of_the_store_is_never_kept(world: World, body: Any) -> None:
    world.pool()
    world.fill(1)
    root, alice = world.user("root", admin=True), world.user("alice")

    def ask() -> Reply:
        if body is None:
            return alice.claim("c1", idempotency_key="k")
        return root.request("POST", "/v1/pools", body, idempotency_key="k")

    with failing(world, 1, error=EndpointConnectionError):
        broken = ask()
    repeated = ask()

    assert (broken.status, broken.code, broken.headers["Retry-After"]) == (503, "outcome_unknown", "1")
    assert repeated.status in (200, 201) and "Idempotent-Replayed" not in repeated.headers


def test_the_order_of_names_and_spaces_in_a_body_mean_nothing(world: World) -> None:
    root = world.user("root", admin=True)
    first = root.request("POST", "/v1/pools", raw=b'{"id":"q","name":"Q"}', idempotency_key="k")

    again = root.request("POST", "/v1/pools", raw=b' { "name" : "Q", "id" : "q" } ', idempotency_key="k")

    assert (again.status, again.text) == (first.status, first.text) == (201, first.text)


def test_the_whole_of_a_request_is_what_must_be_the_same(world: World) -> None:
    mona = world.pool()
    world.fill(2)
    mona.claim("c1", idempotency_key="k")

    assert mona.claim("c1", idempotency_key="k", if_match='"1"').code == "idempotency_key_reused"
    mona.request("DELETE", "/v1/pools/p/members/bob", idempotency_key="k")
    other = mona.request("DELETE", "/v1/pools/p/members/bob?held=release", idempotency_key="k")
    assert other.code == "idempotency_key_reused"


def test_a_reused_key_does_not_spoil_the_answer_that_it_stands_for(world: World) -> None:
    world.pool()
    world.fill(2)
    alice = world.user("alice")
    first = alice.claim_batch(["c1"], idempotency_key="k")

    assert alice.claim_batch(["c2"], idempotency_key="k").code == "idempotency_key_reused"
    assert alice.claim_batch(["c1"], idempotency_key="k").text == first.text


@pytest.mark.parametrize("count", [1, 100])
def test_a_key_expires_as_a_whole_after_a_day(world: World, count: int) -> None:
    world.pool()
    ids = world.fill(count + 1)
    alice = world.user("alice")
    alice.claim_batch(ids[:count], idempotency_key="k")
    alice.release_batch(ids[:count])
    world.clock.forward(DAY)

    fresh = alice.claim_batch(ids[1:], idempotency_key="k")

    assert fresh.json["summary"] == {"ok": count, "failed": 0}
    assert alice.held() == count


@pytest.mark.race
@pytest.mark.parametrize("verb", ["claim", "claim-next", "create", "import", "put"])
def test_twenty_at_once_with_one_key_have_one_effect_and_one_answer(threaded: World, verb: str) -> None:
    mona = threaded.pool()
    threaded.fill(30)
    rows = {"rows": [{"name": "R"} for _ in range(5)]}
    asked: dict[str, Callable[[], Reply]] = {
        "claim": lambda: mona.claim("c1", idempotency_key="k"),
        "claim-next": lambda: mona.claim_next(4, idempotency_key="k"),
        "create": lambda: mona.post("/customers", {"name": "N"}, idempotency_key="k"),
        "import": lambda: mona.post("/import", rows, idempotency_key="k"),
        "put": lambda: mona.request("PUT", "/v1/pools/p/members/carl", {"role": "member"}, idempotency_key="k"),
    }

    replies = at_once([asked[verb]] * 20)

    assert {(reply.status, reply.text) for reply in replies} == {(replies[0].status, replies[0].text)}
    assert sum("Idempotent-Replayed" not in reply.headers for reply in replies) == 1
    assert mona.held() == {"claim": 1, "claim-next": 4}.get(verb, 0)
    assert len(list(walk(mona, "/customers"))) == 30 + {"create": 1, "import": 5}.get(verb, 0)


def walk(user: User, path: str) -> Iterator[Any]:
    """Every item of a list, page by page."""
    cursor = ""
    while True:
        page = user.get(f"{path}{'&' if '?' in path else '?'}limit=100{cursor}").json
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"
