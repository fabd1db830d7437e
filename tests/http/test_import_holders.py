"""A row of an import may name a holder: its available customer is assigned under the limit of that member."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.world import HOUR, Reply, User, World


def imported(user: User, *rows: dict[str, Any], key: str = "id", mode: str = "update", **options: Any) -> Reply:
    sent = [{"name": f"Row {number}"} | row for number, row in enumerate(rows)]
    return user.post("/import", {"rows": sent, "key": key, "on_duplicate": mode} | options)


def holder_of(user: User, customer: str) -> tuple[str, str | None]:
    shown = user.customer(customer)
    return shown["state"], shown["holder"]


@pytest.fixture
def pool(world: World) -> User:
    """A manager of a pool with the members alice, whose name is Alice Chen, and bob."""
    mona = world.pool(claim_ttl="P7D", holding_limit=2)
    person = {"name": "Alice Chen", "email": "alice@example.com"}
    world.root.request("PUT", "/v1/users/alice", person)
    return mona


@pytest.mark.parametrize("holder", ["alice", "Alice Chen", "ＡＬＩＣＥ chen", "Alice@Example.com"])
def test_a_new_customer_is_assigned_to_the_member_that_its_row_names(world: World, pool: User, holder: str) -> None:
    reply = imported(pool, {"id": "a", "holder": holder}, {"id": "b"})

    assert reply.results == ["ok", "ok"]
    assert (holder_of(pool, "a"), holder_of(pool, "b")) == (("claimed", "alice"), ("available", None))
    assert pool.events("a") == ["imported", "assigned"] and world.alice.held() == 1
    assert pool.customer("a")["expires_at"] is not None


@pytest.mark.parametrize("holder", ["nobody", "Zhao", "x" * 1_024])
def test_a_row_with_an_unknown_holder_is_refused_alone(world: World, pool: User, holder: str) -> None:
    reply = imported(pool, {"id": "a", "holder": holder}, {"id": "b", "holder": "bob"})

    assert reply.results == ["invalid_request", "ok"] and "holder" in reply.json["results"][0]["errors"][0]
    assert pool.get("/customers/a").status == 404


def test_a_name_of_two_members_names_none(world: World, pool: User) -> None:
    world.root.request("PUT", "/v1/users/bob", {"name": "alice CHEN"})

    reply = imported(pool, {"id": "a", "holder": "Alice Chen"}, {"id": "b", "holder": "alice"})

    assert reply.results == ["invalid_request", "ok"]


@pytest.mark.parametrize("key", ["id", "phone", "auto"])
def test_rows_without_room_for_their_holder_are_refused_and_not_imported(world: World, pool: User, key: str) -> None:
    rows = [{"fields": {"phone": f"1380013800{number}"}, "holder": "alice"} for number in range(4)]
    rows = [row | {"id": f"c{number}"} for number, row in enumerate(rows)] if key == "id" else rows

    reply = imported(pool, *rows, {"fields": {"phone": "13900139000"}, "holder": "bob"}, key=key)

    assert reply.results == ["ok", "ok", "holding_limit", "holding_limit", "ok"]
    assert [reply.json["results"][2][name] for name in ("limit", "used")] == [2, 2]
    assert (world.alice.held(), world.bob.held(), len(pool.customer_ids())) == (2, 1, 3)


def test_an_available_customer_is_updated_and_assigned_and_a_held_one_keeps_its_holder(
    world: World, pool: User
) -> None:
    pool.create("a")
    pool.create("b")
    world.bob.claim("b")

    reply = imported(pool, {"id": "a", "name": "A", "holder": "alice"}, {"id": "b", "name": "B", "holder": "alice"})

    assert reply.results == ["ok", "ok"] and pool.customer("b")["name"] == "B"
    assert (holder_of(pool, "a"), holder_of(pool, "b")) == (("claimed", "alice"), ("claimed", "bob"))
    assert pool.events("a") == ["created", "updated", "assigned"]


def test_a_row_without_a_change_of_content_is_assigned_too(world: World, pool: User) -> None:
    pool.create("a", name="Same")

    reply = imported(pool, {"id": "a", "name": "Same", "holder": "alice"})

    assert reply.results == ["ok"] and pool.events("a") == ["created", "assigned"]


def test_a_skipped_customer_is_not_assigned(world: World, pool: User) -> None:
    pool.create("a")

    imported(pool, {"id": "a", "holder": "alice"}, mode="skip")

    assert holder_of(pool, "a") == ("available", None)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_row_whose_holder_has_left_the_company_is_refused(world: World, pool: User, dry_run: bool) -> None:
    pool.create("a")
    world.root.request("POST", "/v1/users/alice/leave", {"held": "release", "private": "deposit"})

    rows = ({"id": "a", "holder": "alice"}, {"id": "b", "holder": "Alice Chen"}, {"id": "c", "holder": "bob"})
    reply = imported(pool, *rows, dry_run=dry_run)

    assert reply.results == ["user_left", "user_left", "ok"]
    assert holder_of(pool, "a") == ("available", None)


def test_an_expired_claim_leaves_room_for_each_holder(world: World, pool: User) -> None:
    imported(pool, *({"id": f"{user}{number}", "holder": user} for user in ("alice", "bob") for number in (1, 2)))
    world.clock.forward(7 * 24 * HOUR)

    reply = imported(pool, {"id": "a", "holder": "alice"}, {"id": "b", "holder": "bob"})

    assert reply.results == ["ok", "ok"]
    assert (world.alice.held(), world.bob.held()) == (1, 1)


def test_an_undo_removes_an_assigned_customer_and_frees_its_holder(world: World, pool: User) -> None:
    reply = imported(pool, {"id": "a", "holder": "alice"}, {"id": "b", "holder": "bob"})
    world.bob.release("b")

    undone = pool.post(f"/imports/{reply.json['import_id']}/undo")

    assert undone.results == ["ok", "version_conflict"]
    assert pool.get("/customers/a").status == 404 and world.alice.held() == 0


def test_an_undo_leaves_the_assignment_of_a_customer_that_existed(world: World, pool: User) -> None:
    pool.create("a", name="Was")
    reply = imported(pool, {"id": "a", "name": "Is", "holder": "alice"})

    undone = pool.post(f"/imports/{reply.json['import_id']}/undo")

    assert undone.results == ["ok"] and pool.customer("a")["name"] == "Was"
    assert holder_of(pool, "a") == ("claimed", "alice")


def test_no_holder_gets_a_customer_of_a_paused_pool(world: World, pool: User) -> None:
    world.root.post("/pause")

    reply = imported(pool, {"id": "a", "holder": "alice"}, {"id": "b"})

    assert reply.results == ["pool_not_open", "ok"] and pool.customer_ids() == ["b"]


def test_only_managers_learn_whether_a_holder_is_a_member(world: World, pool: User) -> None:
    replies = [imported(world.alice, {"id": "a", "holder": holder}) for holder in ("bob", "nobody", "Alice Chen")]

    assert {(reply.status, reply.text) for reply in replies} == {(403, replies[0].text)}
