"""Concurrent requests on an engine with real concurrency: the numbers stay exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tests.support.threads import at_once
from tests.support.world import HOUR, Reply, World

pytestmark = pytest.mark.race


def codes(replies: Iterable[Reply]) -> Counter[str]:
    return Counter("ok" if reply.status == 200 else reply.code for reply in replies)


def test_exactly_one_of_fifty_concurrent_claims_wins(threaded: World) -> None:
    names = [f"user{number}" for number in range(50)]
    threaded.pool(members=" ".join(names))
    threaded.fill(1)

    replies = at_once([partial(threaded.user(name).claim, "c1") for name in names])

    assert codes(replies) == {"ok": 1, "already_claimed": 49}


def test_fifty_parallel_claims_of_a_member_with_a_limit_of_five_hold_exactly_five(threaded: World) -> None:
    threaded.pool(holding_limit=5)
    ids = threaded.fill(50)

    replies = at_once([partial(threaded.user("alice").claim, each) for each in ids])

    assert codes(replies) == {"ok": 5, "holding_limit": 45}
    assert threaded.user("alice").held() == 5


def test_overlapping_batches_of_eight_members_claim_each_customer_exactly_once(threaded: World) -> None:
    names = [f"user{number}" for number in range(8)]
    threaded.pool(members=" ".join(names))
    ids = threaded.fill(200)

    def claim_half(name: str, offset: int) -> list[str]:
        turned = ids[offset:] + ids[:offset]
        replies = [threaded.user(name).claim_batch(turned[start : start + 50]) for start in (0, 50, 100, 150)]
        return [each["id"] for reply in replies for each in reply.json["results"] if each["ok"]]

    won = at_once([partial(claim_half, name, index * 25) for index, name in enumerate(names)])

    assert Counter(each for ids_won in won for each in ids_won) == Counter(ids)


def test_claims_racing_sweeps_at_the_deadline_leave_every_counter_correct(threaded: World) -> None:
    threaded.pool(claim_ttl="PT1H")
    ids = threaded.fill(40)
    threaded.user("alice").claim_batch(ids)
    threaded.clock.forward(HOUR)

    claims = [lambda each=each: threaded.user("bob").claim(each).status for each in ids[:20]]
    sweeps = [lambda: threaded.sweep().failed for _ in range(4)]
    outcomes = at_once([*claims, *sweeps])

    assert Counter(outcomes) == {200: 20, 0: 4}
    assert (threaded.user("alice").held(), threaded.user("bob").held()) == (0, 20)


def test_concurrent_repeated_releases_decrement_once(threaded: World) -> None:
    threaded.pool()
    threaded.fill(2)
    threaded.user("alice").claim_batch(["c1", "c2"])

    replies = at_once([lambda: threaded.user("alice").release("c1") for _ in range(16)])

    assert set(codes(replies)) <= {"ok", "not_claimed"} and codes(replies)["ok"] >= 1
    assert threaded.user("alice").held() == 1


def test_concurrent_claim_next_calls_empty_the_pool_with_few_collisions(threaded: World) -> None:
    names = [f"user{number}" for number in range(16)]
    threaded.pool(members=" ".join(names))
    ids = threaded.fill(160)
    sent = Counter[str]()
    events = threaded.table.connection.client.meta.events
    events.register("before-send.dynamodb.TransactWriteItems", lambda **_: sent.update(["tx"]))

    def take_until_none(name: str) -> list[str]:
        taken: list[str] = []
        while items := threaded.user(name).claim_next().json["items"]:
            taken += [each["id"] for each in items]
        return taken

    taken = at_once([partial(take_until_none, name) for name in names])

    assert Counter(each for mine in taken for each in mine) == Counter(ids)
    assert sent["tx"] / len(ids) < 3, "callers collide on the head of the list"


@pytest.mark.parametrize(("calls", "count", "limit"), [(2, 1, None), (4, 2, 5), (8, 3, 10), (6, 5, 60)])
def test_concurrent_claim_next_calls_of_one_member_return_what_each_took(
    threaded: World, calls: int, count: int, limit: int | None
) -> None:
    mona = threaded.pool(holding_limit=limit)
    threaded.fill(40)
    requests = [lambda at=at: threaded.user("alice").claim_next(count, idempotency_key=f"k{at}") for at in range(calls)]

    replies = at_once(requests)

    taken = sorted(each["id"] for reply in replies if reply.status == 200 for each in reply.json["items"])
    assert taken == sorted(each["id"] for each in mona.walk("/customers?holder=alice"))
    assert len(taken) == min(calls * count, limit or 40)
    again = [repeat() for repeat in requests]
    assert [reply.text for reply in again] == [reply.text for reply in replies]


@pytest.mark.parametrize("verb", ["claim", "batch", "claim-next", "create", "import", "put"])
def test_twenty_concurrent_requests_with_one_key_have_one_effect_and_one_response(threaded: World, verb: str) -> None:
    mona = threaded.pool(holding_limit=9)
    ids = threaded.fill(30)
    rows = {"rows": [{"name": "R"} for _ in range(5)]}
    requests: dict[str, Callable[[], Reply]] = {
        "claim": lambda: mona.claim("c1", idempotency_key="k"),
        "batch": lambda: mona.claim_batch(ids[:12], idempotency_key="k"),
        "claim-next": lambda: mona.claim_next(4, idempotency_key="k"),
        "create": lambda: mona.post("/customers", {"name": "N"}, idempotency_key="k"),
        "import": lambda: mona.post("/import", rows, idempotency_key="k"),
        "put": lambda: mona.request("PUT", "/v1/pools/p/members/carl", {"role": "member"}, idempotency_key="k"),
    }

    replies = at_once([requests[verb]] * 20)

    assert {(reply.status, reply.text) for reply in replies} == {(replies[0].status, replies[0].text)}
    assert sum("Idempotent-Replayed" not in reply.headers for reply in replies) == 1
    assert mona.held() == {"claim": 1, "batch": 9, "claim-next": 4}.get(verb, 0)
    assert len(mona.walk("/customers")) == 30 + {"create": 1, "import": 5}.get(verb, 0)
