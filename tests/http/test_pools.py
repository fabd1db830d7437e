"""Pools: creating and listing them, and their rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.dynamodb_calls import counted
from tests.support.world import Reply, User, World


def new_pool(user: User, pool: str = "q", **policy: Any) -> Reply:
    return user.request("POST", "/v1/pools", {"id": pool, "name": "Q", "policy": policy})


def test_only_an_admin_creates_a_pool(world: World) -> None:
    mona = world.pool()

    made = new_pool(world.root, holding_limit=3)

    assert made.status == 201 and made.headers["ETag"] == '"1"'
    assert (made.json["id"], made.json["status"], made.json["policy"]["holding_limit"]) == ("q", "open", 3)
    for other in (mona, world.alice, world.user("stranger")):
        assert (new_pool(other, "r").status, new_pool(other, "r").code) == (403, "not_admin")


def test_a_pool_id_is_unique_within_a_tenant(world: World) -> None:
    world.pool("q", holding_limit=3)
    root = world.user("root", admin=True, pool="q")

    again = new_pool(root, "q", holding_limit=9)

    assert again.status == 409
    assert root.get().json["policy"]["holding_limit"] == 3
    assert new_pool(world.user("root", admin=True, tenant="acme"), "q").status == 201


def test_every_rule_of_a_pool_may_be_absent_or_null(world: World) -> None:

    absent = new_pool(world.root, "q").json["policy"]
    null = new_pool(world.root, "r", **dict.fromkeys(absent)).json["policy"]

    defaults = {"notes_visible_to": "holder", "phone_region": "CN", "masked_fields": [], "reminders": []}
    defaults |= {"win": "approval", "win_review": "P7D"}
    assert len(absent) == 26
    assert absent == null == dict.fromkeys(absent) | defaults


def test_a_pool_is_visible_only_to_its_members_and_admins(world: World) -> None:
    world.pool("p")
    world.pool("q", members="alice")
    world.pool("p", tenant="acme")

    assert pools_of(world.root) == ["p", "q"]
    assert pools_of(world.alice) == ["p", "q"]
    assert pools_of(world.bob) == ["p"]
    assert pools_of(world.user("stranger")) == []
    assert world.user("bob", pool="q").get().code == "not_a_member"
    assert world.root.get().status == world.bob.get().status == 200


def test_a_member_finds_their_pools_on_the_first_page_among_many(world: World) -> None:
    for number in range(30):
        new_pool(world.root, f"o{number}")
    world.pool("p")
    world.pool("q", members="alice")

    with counted(world) as made:
        pages = [world.alice.request("GET", f"/v1/pools{query}").json for query in ("", "?limit=2", "?limit=1")]

    assert [([pool["id"] for pool in page["items"]], page["next_cursor"] is None) for page in pages] == [
        (["p", "q"], True), (["p", "q"], True), (["p"], False)
    ]  # fmt: skip
    assert made == {"Query": 3, "BatchGetItem": 3}


def test_a_page_of_a_members_pools_reads_a_hundred_pools_of_the_tenant(world: World) -> None:
    for number in range(101):
        new_pool(world.root, f"o{number:03}")
    world.pool("p")

    pages = list(pages_of(world.alice, 20))

    assert pages == [[], ["p"]]
    assert len(pools_of(world.root, 20)) == 102


def pools_of(user: User, limit: int = 1) -> list[str]:
    return [pool for page in pages_of(user, limit) for pool in page]


def pages_of(user: User, limit: int) -> Iterator[list[str]]:
    """The ids of the listed pools, page by page."""
    cursor = ""
    while True:
        page = user.request("GET", f"/v1/pools?limit={limit}{cursor}").json
        yield [pool["id"] for pool in page["items"]]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"
