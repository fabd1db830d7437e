"""Races of one request against itself: sent three times at once, under one Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.proofs.race_runner import Race, Request, race
from tests.proofs.races_of_imports import by_phone
from tests.support.world import Reply, World


def _thrice(sent: Request, so: Callable[[World, Reply], None], sees: Sequence[str] = ("c1",)) -> Race:
    def all_alike(world: World, results: list[Any]) -> None:
        assert len({(reply.status, reply.text) for reply in results}) == 1
        assert sum("Idempotent-Replayed" not in reply.headers for reply in results) == 1
        so(world, results[0])

    return Race([sent] * 3, all_alike, serial=False, cached=sees)


@race
def a_claim_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(1)

    def check(world: World, reply: Reply) -> None:
        assert reply.status == 200
        assert world.user("mona").events("c1") == ["imported", "claimed"]

    return _thrice(lambda w: w.user("alice").claim("c1", idempotency_key="k"), check)


@race
def a_release_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim_batch(["c1", "c2"])

    def check(world: World, reply: Reply) -> None:
        assert reply.status == 200 and world.user("alice").held() == 1

    return _thrice(lambda w: w.user("alice").release("c1", idempotency_key="k"), check)


@race
def a_batch_with_one_key_sent_three_times(world: World) -> Race:
    world.pool(holding_limit=2)
    ids = world.fill(3)
    world.user("bob").claim("c1")

    def check(world: World, reply: Reply) -> None:
        assert reply.results == ["already_claimed", "ok", "ok"] and world.user("alice").held() == 2

    return _thrice(lambda w: w.user("alice").claim_batch(ids, idempotency_key="k"), check, ids)


@race
def claim_next_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(5)

    def check(world: World, reply: Reply) -> None:
        assert len(reply.json["items"]) == world.user("alice").held() == 2

    return _thrice(lambda w: w.user("alice").claim_next(2, idempotency_key="k"), check)


@race
def claim_next_with_one_key_sent_twice_while_another_member_claims(world: World) -> Race:
    """Each attempt may lose a customer to the other member, and looks for another one in its place."""
    world.pool()
    ids = world.fill(6)

    def check(world: World, results: list[Any]) -> None:
        first, again, _ = results
        assert (first.status, first.text) == (again.status, again.text) and first.status == 200
        taken = [each["id"] for each in first.json["items"]]
        held = [each["id"] for each in world.user("mona").walk("/customers?holder=alice")]
        assert sorted(taken) == sorted(held) and len(held) == 2

    nexts = [lambda w: w.user("alice").claim_next(2, idempotency_key="k")] * 2
    return Race([*nexts, lambda w: w.user("bob").claim("c2")], check, serial=False, cached=ids)


@race
def an_import_by_phone_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()

    def check(world: World, reply: Reply) -> None:
        assert reply.results == ["ok"] and len(world.user("mona").walk("/customers")) == 1

    return _thrice(lambda w: by_phone(w, "reject", "A", idempotency_key="k"), check, ())


@race
def a_removal_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim_batch(["c1", "c2"])
    path = "/v1/pools/p/members/alice?held=release"

    def check(world: World, reply: Reply) -> None:
        assert reply.status == 200 and world.user("alice").get("/members/me").code == "not_a_member"
        assert [world.user("mona").events(each).count("reclaimed") for each in ("c1", "c2")] == [1, 1]

    return _thrice(lambda w: w.user("mona").request("DELETE", path, idempotency_key="k"), check, ("c1", "c2"))


@race
def a_repeated_claim_and_the_removal_of_who_claimed(world: World) -> Race:
    """The repetition comes before the removal and shows the customer, or after it and shows nothing."""
    mona = world.pool(masked_fields=["phone"])
    mona.create("c1", fields={"phone": "13812345678"})
    assert world.user("alice").claim("c1", idempotency_key="k").status == 200
    path = "/v1/pools/p/members/alice?held=release"

    def check(world: World, results: list[Any]) -> None:
        again, removed = results
        assert removed.status == 200
        assert (again.status, again.json.get("code")) in [(200, None), (403, "not_a_member")]
        assert again.status == 200 or "c1" not in again.text
        assert world.user("mona").events("c1") == ["created", "claimed", "reclaimed"]

    claims = [lambda w: w.user("alice").claim("c1", idempotency_key="k")]
    return Race([*claims, lambda w: w.user("mona").request("DELETE", path)], check, serial=False)
