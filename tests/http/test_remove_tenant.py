"""Removing a tenant: nothing of it stays in the table, and nothing of another tenant is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dynamodb_calls import Crash, failing
from tests.support.world import World, everything
from tools.deploy.remove_tenant import remove
from tools.problems import Unusable


def with_two_tenants(world: World) -> None:
    """Create the tenants acme and acme2, both with pools, customers, users and idempotency records."""
    for tenant in ("acme", "acme2"):
        mona = world.pool("p", tenant, customers=30)
        mona.create("z", idempotency_key="k")
        mona.post("/customers/c1/erase", {"reason": "requested"})
        mona.request("GET", "/v1/me")


def of_tenant(world: World, tenant: str) -> list[Any]:
    mine = f"T#{tenant}#"
    found = [item for item in everything(world.table) if item["pk"]["S"].startswith(mine) or item["sk"]["S"] == tenant]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def test_nothing_of_a_removed_tenant_stays_and_others_keep_everything(threaded: World) -> None:
    with_two_tenants(threaded)
    others, own = of_tenant(threaded, "acme2"), of_tenant(threaded, "acme")

    counted = remove(threaded.table, "acme", write=False)
    assert of_tenant(threaded, "acme") == own
    deleted = remove(threaded.table, "acme", write=True)

    assert counted == deleted == len(own) > 60
    assert of_tenant(threaded, "acme") == [] and of_tenant(threaded, "acme2") == others
    assert remove(threaded.table, "acme", write=True) == 0


def test_the_next_removal_finishes_a_killed_one(threaded: World) -> None:
    with_two_tenants(threaded)

    with failing(threaded, 2, "before-send", ".BatchWriteItem"), pytest.raises(Crash):
        remove(threaded.table, "acme", write=True)

    assert of_tenant(threaded, "acme") != []
    remove(threaded.table, "acme", write=True)
    assert of_tenant(threaded, "acme") == []


@pytest.mark.parametrize("tenant", ["", "a#b", "T#"])
def test_text_that_no_tenant_is_called_is_refused(no_store: World, tenant: str) -> None:
    with pytest.raises(Unusable):
        remove(no_store.table, tenant, write=True)
