"""A member uses every verb of a member, for a simulated month, to have more than the limits or longer than the clocks
allow, and fails. No manager answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.model.times import rfc3339
from tests.support.audit import assert_sound
from tests.support.memory import Memory, memory_table
from tests.support.world import DAY, HOUR, Reply, World

CUSTOMERS = 12
HOLDING, PRIVATE, PINS, CLAIMS_A_DAY = 3, 2, 1, 5
MAX_HOLD, COOLDOWN, REVIEW = 10 * DAY, 2 * DAY, 3 * DAY
POLICY: dict[str, Any] = {
    "holding_limit": HOLDING, "private_limit": PRIVATE, "pin_limit": PINS, "daily_claim_limit": CLAIMS_A_DAY,
    "claim_ttl": "P4D", "idle_ttl": "P3D", "follow_up_restarts_clock": True, "members_may_extend": True,
    "extension": "P4D", "max_extensions": 5, "max_hold": "P10D", "max_pin": "P9D", "cooldown": "P2D",
    "win_review": "P3D", "private_ttl": "P20D",
}  # fmt: skip


class Greedy:
    """A member who tries everything. The seed chooses verbs, customers and pauses."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.alice = world, world.alice
        self.choose = random.Random(seed)
        self.customers = [f"c{number}" for number in range(1, CUSTOMERS + 1)]
        self.done: set[str] = set()  # the verbs that succeeded at least once
        self.held_since: dict[str, int] = {}
        self.held_until: dict[str, int] = {}
        self.claims: list[int] = []

    def act(self) -> None:
        customer, several = self.choose.choice(self.customers), self.choose.sample(self.customers, 5)
        until = rfc3339(self.world.clock() + self.choose.choice((DAY, 9 * DAY, 40 * DAY)))
        path = f"/customers/{customer}"
        verbs: dict[str, Callable[[], Reply]] = {
            "claim": lambda: self.alice.claim(customer),
            "claims": lambda: self.alice.claim_batch(several),
            "claim-next": lambda: self.alice.claim_next(3),
            "release": lambda: self.alice.release(customer),
            "releases": lambda: self.alice.release_batch(several),
            "follow-up": lambda: self.alice.post(f"{path}/follow-up", {"note": "called"}),
            "follow-ups": lambda: self.alice.post("/follow-up", {"customer_ids": several, "note": "called"}),
            "extend": lambda: self.alice.post(f"{path}/extend"),
            "extensions": lambda: self.alice.post("/extend", {"customer_ids": several}),
            "pin": lambda: self.alice.post(f"{path}/pin", {"until": until}),
            "pins": lambda: self.alice.post("/pin", {"customer_ids": several, "until": until}),
            "unpin": lambda: self.alice.post(f"{path}/unpin"),
            "win": lambda: self.alice.post(f"{path}/win", {"ends_at": "2030-01-01T00:00:00Z"}),
            "wins": lambda: self.alice.post("/win", {"customer_ids": several}),
            "deposit": lambda: self.alice.post(f"{path}/deposit"),
            "edit": lambda: self.alice.patch(path, {"name": "Mine"}),
        }
        name = self.choose.choice(sorted(verbs))
        reply = verbs[name]()
        assert reply.status < 500, f"{name}: {reply.text}"
        body = reply.json
        oks = [each["ok"] for each in body.get("results", [])]
        if any(oks) if oks else reply.status == 200 and body.get("items") != []:
            self.done.add(name)

    def observe(self) -> None:
        """Fail if the member has more than the limits, or has had a customer for too long."""
        now = self.world.clock()
        shown = [each for each in self.world.mona.walk("/customers") if each["holder"] == "alice"]
        live = [each for each in shown if each["expires_at"] is None or each["expires_at"] > rfc3339(now)]
        claimed = [each for each in live if each["state"] == "claimed"]
        assert len(claimed) <= HOLDING, [each["id"] for each in claimed]
        assert sum(each["state"] == "private" for each in live) <= PRIVATE
        assert sum(each["pinned_until"] is not None for each in claimed) <= PINS
        for each in claimed:
            self._held(each["id"], now)
        counted = self.alice.get("/members/me").json
        assert counted["claimed_today"] <= CLAIMS_A_DAY and counted["private"] <= PRIVATE

    def _held(self, customer: str, now: int) -> None:
        """A hold goes on through a pause that is shorter than the cooldown."""
        if now - self.held_until.get(customer, 0) >= COOLDOWN:
            self.held_since[customer] = now
        self.held_until[customer] = now
        longest = MAX_HOLD + REVIEW + DAY
        assert now - self.held_since[customer] <= longest, f"{customer} was held for {now - self.held_since[customer]}"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("win", ["approval", "holder", "manager"])
def test_no_member_gets_around_the_limits_and_the_clocks_in_a_month(win: str, seed: int) -> None:
    world = World(memory_table(Memory()))
    world.pool(customers=CUSTOMERS, **(POLICY | {"win": win}))
    greedy = Greedy(world, seed)
    end = world.clock() + 30 * DAY

    while world.clock() < end:
        for _ in range(greedy.choose.randint(1, 6)):
            greedy.act()
        greedy.observe()
        world.clock.forward(greedy.choose.randint(HOUR, 8 * HOUR))
        if greedy.choose.random() < 0.5:
            world.sweep()

    assert greedy.done >= {"claim", "claim-next", "release", "follow-up", "extend", "edit"}
    assert greedy.done & {"pin", "pins"}
    assert bool(greedy.done & {"win", "wins"}) == (win != "manager")
    assert_sound(world.table)
