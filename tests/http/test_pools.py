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
    assert len(absent) == 27
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
    assert made == {"Query": 5, "BatchGetItem": 5}  # one of each for the totals of p and q


def test_a_page_of_a_members_pools_reads_a_hundred_pools_of_the_tenant(world: World) -> None:
    for number in range(101):
        new_pool(world.root, f"o{number:03}")
    world.pool("p")

    pages = list(pages_of(world.alice, 20))

    assert pages == [[], ["p"]]
    assert len(pools_of(world.root, 20)) == 102


# Totals


def totals(user: User) -> dict[str, int]:
    return dict(user.get().json["totals"])


def test_a_pool_shows_its_customers_by_state(world: World) -> None:
    mona = world.pool(customers=6, max_returns=1, win="holder")
    world.alice.claim_batch(["c1", "c2", "c3"])
    world.alice.release("c1")
    world.alice.post("/customers/c2/win")
    mona.post("/customers/c4/convert", {"to": "bob"})

    expected = {"available": 2, "claimed": 1, "private": 2, "set_aside": 1}
    assert totals(mona) == totals(world.alice) == totals(world.root) == expected
    assert mona.request("GET", "/v1/pools").json["items"][0]["totals"] == expected
    assert new_pool(world.root).json["totals"] == dict.fromkeys(expected, 0)


def test_totals_are_read_again_after_half_a_minute(world: World) -> None:
    mona = world.pool(customers=2)
    before = totals(mona)
    world.alice.claim("c1")

    world.clock.forward(29_999)
    with counted(world) as cached:
        late = totals(mona)
    world.clock.forward(1)
    with counted(world) as read:
        now = totals(mona)

    assert before == late == {"available": 2, "claimed": 0, "private": 0, "set_aside": 0}
    assert now == {"available": 1, "claimed": 1, "private": 0, "set_aside": 0}
    assert (cached, read) == ({"BatchGetItem": 2}, {"BatchGetItem": 3, "Query": 1})


def test_a_pool_that_is_closed_shows_the_totals_after_its_claims_have_ended(world: World) -> None:
    world.pool(customers=2)
    world.alice.claim("c1")
    assert totals(world.mona)["claimed"] == 1

    closed = world.root.post("/close", {"mode": "to_private"}).json["totals"]

    assert closed == totals(world.mona) == {"available": 1, "claimed": 0, "private": 1, "set_aside": 0}


def test_totals_of_a_pool_stay_when_a_member_leaves(world: World) -> None:
    mona = world.pool(customers=3)
    world.root.put("/members/max", {"role": "manager"})

    world.user("max").delete("/members/mona")

    assert totals(world.user("max"))["available"] == 3
    assert mona.get().code == "not_a_member"


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
