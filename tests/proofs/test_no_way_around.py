"""A member uses every verb of a member, for a simulated month, to have more than the limits or longer than the clocks
allow, and fails. No manager answers. Meanwhile pools are paused, and the member is removed, leaves and comes back.
"""

from __future__ import annotations

import random
from collections import Counter
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
    "win_review": "P3D", "private_ttl": "P5D", "time_zone": "UTC",
}  # fmt: skip
LEFT = {"held": "release", "private": "deposit"}


class Greedy:
    """A member of one pool who tries everything. `choose` chooses verbs, customers and pauses."""

    def __init__(self, world: World, pool: str, elsewhere: str, win: str, choose: random.Random) -> None:
        self.world, self.pool, self.elsewhere, self.choose = world, pool, elsewhere, choose
        self.alice, self.mona = world.user("alice", pool=pool), world.user("mona", pool=pool)
        self.root = world.user("root", admin=True, pool=pool)
        self.customers = [f"c{number}" for number in range(1, CUSTOMERS + 1)]
        self.longest = MAX_HOLD + (REVIEW if win == "approval" else 0)
        self.done: set[str] = set()  # the verbs that succeeded at least once
        self.held_since: dict[str, int] = {}
        self.held_until: dict[str, int] = {}
        self.paused_at: int | None = None
        self.paused_ms = 0

    def act(self) -> None:
        customer, several = self.choose.choice(self.customers), self.choose.sample(self.customers, 5)
        verbs = self._single(customer) | self._batches(several) | self._tricks(customer)
        name = self.choose.choice(sorted(verbs))
        reply = verbs[name]()
        assert reply.status < 500, f"{name}: {reply.text}"
        body = reply.json
        oks = [each["ok"] for each in body.get("results", [])]
        if any(oks) if oks else reply.status == 200 and body.get("items") != []:
            self.done.add(name)

    def _until(self) -> str:
        return rfc3339(self.world.clock() + self.choose.choice((DAY, 9 * DAY, 40 * DAY)))

    def _single(self, customer: str) -> dict[str, Callable[[], Reply]]:
        alice, path = self.alice, f"/customers/{customer}"
        return {
            "claim": lambda: alice.claim(customer),
            "claim-next": lambda: alice.claim_next(3),
            "claim-next with a filter": lambda: alice.post("/claim-next", {"count": 3, "filter": {"level": ["A"]}}),
            "release": lambda: alice.release(customer),
            "follow-up": lambda: alice.post(f"{path}/follow-up", {"note": "called"}),
            "extend": lambda: alice.post(f"{path}/extend"),
            "pin": lambda: alice.post(f"{path}/pin", {"until": self._until()}),
            "unpin": lambda: alice.post(f"{path}/unpin"),
            "win": lambda: alice.post(f"{path}/win", {"ends_at": "2030-01-01T00:00:00Z"}),
            "deposit": lambda: alice.post(f"{path}/deposit"),
            "deposit elsewhere": lambda: alice.post(f"{path}/deposit", {"pool": self.elsewhere}),
            "edit": lambda: alice.patch(path, {"name": "Mine", "fields": {"level": "A"}}),
        }

    def _batches(self, several: list[str]) -> dict[str, Callable[[], Reply]]:
        def batch(verb: str, **body: Any) -> Callable[[], Reply]:
            atomic = self.choose.random() < 0.2
            return lambda: self.alice.post(f"/{verb}", {"customer_ids": several, "atomic": atomic} | body)

        return {
            "claims": batch("claim"),
            "releases": batch("release"),
            "follow-ups": batch("follow-up", note="called"),
            "extensions": batch("extend"),
            "pins": batch("pin", until=self._until()),
            "unpins": batch("unpin"),
            "wins": batch("win"),
            "deposits": batch("deposit"),
            "edits": batch("edit", name="Mine"),
        }

    def _tricks(self, customer: str) -> dict[str, Callable[[], Reply]]:
        """Two verbs that follow each other at once: the first frees room or a clock."""

        def both(verb: str, then: str, **body: Any) -> Callable[[], Reply]:
            def send() -> Reply:
                first = self.alice.post(f"/customers/{customer}/{verb}", body)
                return first if first.status != 200 else self.alice.post(f"/customers/{customer}/{then}")

            return send

        return {
            "win and withdraw": both("win", "release"),
            "release and claim": both("release", "claim"),
            "deposit and claim": both("deposit", "claim"),
            "pin and unpin": both("pin", "unpin", until=self._until()),
        }

    def happen(self) -> None:
        """Let admins pause or resume the pool, or remove the member, who is added again."""
        if self.paused_at is not None:
            if self.choose.random() < 0.4:
                self.paused_ms += self.world.clock() - self.paused_at
                self.paused_at = self._changed(self.root.post("/resume"), None)
        elif self.choose.random() < 0.06:
            self.paused_at = self._changed(self.root.post("/pause"), self.world.clock())
        if self.choose.random() < 0.03:
            self._rejoin(self.mona.delete("/members/alice?held=release&private=deposit"))
            self.done.add("be removed")

    def _changed(self, reply: Reply, paused_at: int | None) -> int | None:
        assert reply.status == 200, reply.text
        self.done.add("pause" if paused_at else "resume")
        return paused_at

    def _rejoin(self, removed: Reply) -> None:
        added = self.root.put("/members/alice", {"role": "member"})
        assert (removed.status, added.status) == (200, 200), removed.text

    def observe(self) -> None:
        """Fail if the member has more than the limits, or has had a customer for too long."""
        now = self.world.clock()
        clock = rfc3339(now if self.paused_at is None else self.paused_at)
        shown = [each for each in self.mona.walk("/customers") if each["holder"] == "alice"]
        claimed = [each for each in shown if each["state"] == "claimed" and _is_live(each, clock)]
        private = [each for each in shown if each["state"] == "private" and _is_live(each, rfc3339(now))]
        assert len(claimed) <= HOLDING, [each["id"] for each in claimed]
        assert len(private) <= PRIVATE, [each["id"] for each in private]
        assert sum(each["pinned_until"] is not None for each in claimed) <= PINS
        for each in claimed:
            self._held(each["id"], now)
        assert self.alice.get("/members/me").json["claimed_today"] <= CLAIMS_A_DAY

    def _held(self, customer: str, now: int) -> None:
        """A hold goes on after less than the cooldown. Its clock stops while the pool is paused."""
        clock = (now if self.paused_at is None else self.paused_at) - self.paused_ms
        if now - self.held_until.get(customer, 0) >= COOLDOWN:
            self.held_since[customer] = clock
        self.held_until[customer] = now
        held = clock - self.held_since[customer]
        assert held <= self.longest, f"{customer} was held for {held / DAY} days"

    def check_days(self) -> None:
        """Fail if the member made too many claims on a day, by the histories of all customers."""
        days: Counter[str] = Counter()
        for customer in self.customers:
            history = self.mona.walk(f"/customers/{customer}/history")
            days.update(each["at"][:10] for each in history if each["type"] == "claimed")
        assert max(days.values()) <= CLAIMS_A_DAY, days


def _is_live(customer: dict[str, Any], moment: str) -> bool:
    return customer["expires_at"] is None or customer["expires_at"] > moment


def leave_and_return(world: World) -> None:
    left = world.root.request("POST", "/v1/users/alice/leave", LEFT)
    back = world.root.request("PUT", "/v1/users/alice", {"left": False})
    assert left.status in (200, 202) and back.status == 200, (left.text, back.text)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("win", ["approval", "holder", "manager"])
def test_no_member_gets_around_the_limits_and_the_clocks_in_a_month(win: str, seed: int) -> None:
    world, choose = World(memory_table(Memory())), random.Random(seed)
    pools = [("p", "q"), ("q", "p")]
    for pool, _ in pools:
        world.pool(pool, customers=CUSTOMERS, **(POLICY | {"win": win}))
    players = [Greedy(world, pool, elsewhere, win, choose) for pool, elsewhere in pools]
    end = world.clock() + 30 * DAY

    while world.clock() < end:
        for greedy in players:
            for _ in range(choose.randint(1, 8)):
                greedy.act()
            greedy.observe()
            greedy.happen()
            greedy.observe()
        if choose.random() < 0.02:
            leave_and_return(world)
        world.clock.forward(choose.randint(HOUR, 12 * HOUR))
        if choose.random() < 0.5:
            world.sweep()

    done = set[str]().union(*(greedy.done for greedy in players))
    assert done >= {"claim", "claim-next", "claim-next with a filter", "release", "follow-up", "extend", "edit"}
    assert not done & {"deposit elsewhere", "release and claim", "deposit and claim"}
    assert done >= {"pause", "resume", "be removed"} and done & {"pin", "pins"}
    assert bool(done & {"win", "wins"}) == (win != "manager")
    assert ("win and withdraw" in done) == (win == "approval")
    for greedy in players:
        greedy.check_days()
    assert_sound(world.table)
