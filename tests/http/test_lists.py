"""Lists: every customer once and in order at any page size, for members only."""

from __future__ import annotations

import pytest

from tests.support.world import DAY, MINUTE, World


def create_mixed_customers(world: World) -> None:
    """Twelve customers: c1, c2 are alice's, c3, c4 bob's, c5, c6 his private ones; six are free, c12 first."""
    mona = world.pool(claim_ttl="P7D", customers=12)
    world.alice.claim_batch(["c1", "c2"])
    mona.post("/assign", {"customer_ids": ["c3", "c4"], "to": "bob"})
    mona.post("/convert", {"customer_ids": ["c5", "c6"], "to": "bob"})
    mona.patch("/customers/c12", {"priority": 5})


LISTS = {
    "": ["c1", "c10", "c11", "c12", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"],
    "?state=available": ["c12", "c10", "c11", "c7", "c8", "c9"],
    "?state=claimed": ["c1", "c2", "c3", "c4"],
    "?state=private": ["c5", "c6"],
    "?holder=alice": ["c1", "c2"],
    "?holder=me": ["c3", "c4", "c5", "c6"],
    "?state=claimed&holder=bob": ["c3", "c4"],
    "?state=private&holder=me": ["c5", "c6"],
    "?holder=nobody": [],
}


@pytest.mark.parametrize("query", LISTS)
def test_a_list_shows_each_customer_once_at_any_page_size(world: World, query: str) -> None:
    create_mixed_customers(world)

    for limit in (1, 2, 3, 6, 100):
        pages = list(world.bob.pages(f"/customers{query}", limit))
        listed = [each["id"] for page in pages for each in page]
        assert sorted(listed) == sorted(LISTS[query]), limit
        assert not query or listed[:1] == LISTS[query][:1], limit
        assert all(len(page) == limit for page in pages[:-1]) and (pages[-1] or len(pages) == 1), limit


def test_available_customers_are_listed_by_priority_and_claims_by_deadline(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=3)
    mona.create("later")
    mona.create("urgent", priority=1)
    world.clock.forward(DAY)
    for each in ("c2", "c1"):
        world.alice.claim(each)
        world.clock.forward(MINUTE)

    assert mona.customer_ids("state=available") == ["urgent", "c3", "later"]
    assert mona.customer_ids("state=claimed") == ["c2", "c1"]


def test_the_default_page_size_is_twenty(world: World) -> None:
    mona = world.pool(customers=21)

    assert len(mona.get("/customers").json["items"]) == 20


def test_a_list_is_for_members_only(world: World) -> None:
    world.pool(customers=1)

    for path in ("/customers", "/customers/c1", "/customers/c1/history", "/customers/c1/eligibility"):
        assert world.user("stranger").get(path).code == "not_a_member", path
