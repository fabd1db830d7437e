"""Calls of the audit: who may run it, how many differences it lists, how it uses its time, and a pool in use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event as ThreadEvent
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from tests.http.test_audit import ALICE, audit, claimed_and_pinned, corrupt, run
from tests.support.threads import at_once
from tests.support.world import World


def test_only_admins_audit_and_only_their_own_tenant(world: World) -> None:
    claimed_and_pinned(world)
    world.pool(tenant="other", members="")
    corrupt(world, ALICE, "ADD #held :n", n=1)

    for name in ("alice", "mona"):
        assert world.user(name).request("POST", "/v1/audit", {}).code == "not_admin"
    foreign = world.user("root", admin=True, tenant="other")
    assert foreign.request("POST", "/v1/audit", {"repair": True}).json["drift"] == []
    assert foreign.request("POST", "/v1/audit", {"pool": "q"}).code == "not_found"
    assert audit(world, pool="p", repair=True)["repaired"] == 1


def test_an_audit_lists_a_hundred_differences_and_counts_and_repairs_all(threaded: World) -> None:
    threaded.pool()
    for name in threaded.fill(120):
        corrupt(threaded, keys.customer_key("main", "p", name), "REMOVE #place, #rank")

    report = audit(threaded, repair=True)

    assert (len(report["drift"]), report["drifted"], report["repaired"]) == (100, 120, 120)
    assert audit(threaded)["drifted"] == 0


def test_an_audit_out_of_time_returns_the_remaining_pools(world: World) -> None:
    world.pool()
    world.pool("q")
    world.fill(1)

    report = run(world, seconds=0.5)

    assert (report.remaining, report.complete) == (["p", "q"], False)


# While the pool is in use


@pytest.mark.race
def test_a_pool_in_use_raises_no_false_alarm(threaded: World) -> None:
    names = [f"user{number}" for number in range(4)]
    mona = threaded.pool(members=" ".join(names), claim_ttl="P7D", max_returns=4)
    threaded.fill(120)
    done, at_work = ThreadEvent(), set[str]()

    def works(name: str) -> None:
        user, turns = threaded.user(name), 0
        while not done.wait(0.1):
            taken = [each["id"] for each in user.claim_next(3).json["items"]]
            user.post(f"/customers/{taken[0]}/win") if taken and turns % 9 == 0 else None
            user.release_batch(taken[1:]) if taken[1:] else None
            turns += 1
            at_work.add(name)

    def brings_in() -> None:
        number = 0
        while not done.wait(0.4):
            number += 1
            mona.post("/customers", {"id": f"new{number}", "name": "New"})
            mona.post(f"/customers/new{number}/assign", {"to": names[number % 4]})
            at_work.add("mona")

    def audits() -> None:
        """Three or, on a machine that is quick, as many as it takes until everybody has done something meanwhile."""
        try:
            while len(reports) < 3 or (len(at_work) <= len(names) and len(reports) < 100):
                reports.append(audit(threaded, repair=True))
        finally:
            done.set()

    reports: list[Any] = []
    everybody: list[Callable[[], None]] = [*(partial(works, name) for name in names), brings_in, audits]
    at_once(everybody)

    assert at_work == {*names, "mona"}
    assert not any(report["drift"] for report in reports), "the worst that haste may do is to leave some for later"
    assert audit(threaded)["complete"]
