"""The script of a month: what people do, drawn at random, over real HTTP and on a clock that only the script moves.

It keeps count of what succeeded and of nothing else: no model of the service is here that could be wrong as it is.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from chalicelib.model.times import rfc3339
from tests.support.fixed_clock_service import Wire
from tests.support.world import DAY, HOUR, MINUTE, Reply, World
from tools.local.keys import LocalKeys

CUSTOMERS, MEMBERS = 1_000, 20
POLICY = {
    "holding_limit": 14, "daily_claim_limit": 9, "claim_ttl": "P6D", "cooldown": "P1D", "embargo": "PT1H",
    "max_extensions": 2, "extension": "P1D", "members_may_extend": True, "follow_up_restarts_clock": True,
    "pin_limit": 2, "max_pin": "P7D", "max_returns": 2, "reminders": ["P1D"], "masked_fields": ["phone"],
    "time_zone": "Asia/Shanghai", "sweep_breaker": 0.03,
}  # fmt: skip
DEEDS = {
    "claim": 10, "claim_batch": 5, "claim_next": 9, "release": 4, "release_batch": 6, "follow_up": 9, "extend": 5,
    "pin": 4, "unpin": 1, "win": 3, "deposit": 3, "assign": 3, "transfer": 3, "convert": 2, "restore": 2, "look": 4,
}  # fmt: skip
WHILE_PAUSED = {"claim": 1, "claim_next": 1, "assign": 1, "look": 2}


class Month:
    """The people of two pools, who do at random whatever can be done, by one seed. It counts what succeeded."""

    def __init__(self, world: World, wire: Wire, keys: LocalKeys) -> None:
        self.world, self.wire, self.keys = world, wire, keys
        self.draw = random.Random(2026)
        self.tokens: dict[str, str] = {}
        self.members = [f"m{number:02}" for number in range(1, MEMBERS + 1)]
        self.seen: dict[str, Any] = {}  # each customer as it was shown last
        self.begun: set[str] = set()  # claims that the script has seen
        self.did: Counter[tuple[str, str]] = Counter()  # what succeeded, by pool and kind
        self.imported = 0

    # Requests

    def ask(self, user: str, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        if user not in self.tokens:
            self.tokens[user] = self.keys.token(user, ["admin"] if user == "root" else None)
        self.world.clock.forward(self.draw.randrange(1, 2_000))
        return self.wire.send(
            self.tokens[user], method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )

    def post(self, user: str, path: str, body: Any = None, pool: str = "p") -> Reply:
        return self.note(self.ask(user, "POST", f"/v1/pools/{pool}{path}", body))

    def must(self, user: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        reply = self.ask(user, method, f"/v1{path}", body, **headers)
        assert reply.status < 300, f"{method} {path}: {reply.text}"
        return reply.json

    def everything(self, user: str, path: str) -> list[Any]:
        found, cursor, joint = [], "", "&" if "?" in path else "?"
        while cursor is not None:
            page = self.must(user, "GET", f"{path}{joint}limit=100{cursor and f'&cursor={cursor}'}")
            found, cursor = found + page["items"], page["next_cursor"]
        return found

    def note(self, reply: Reply) -> Reply:
        """Keeps the customers as they were shown."""
        for customer in shown(reply):
            self.seen[customer["id"]] = customer
        return reply

    def count(self, kind: str, reply: Reply) -> None:
        """What was done, by the pool where the customers are now; a claim counts when it is new."""
        for customer in shown(reply):
            if kind not in ("claimed", "assigned") or customer["claim_id"] not in self.begun:
                self.did[customer["pool_id"], kind] += 1
            self.begun.add(customer["claim_id"])

    # Who and what

    def held_by(self, user: str) -> list[Any]:
        """Return their claims as last shown; now and then include expired or lost ones."""
        now = rfc3339(self.world.clock.now)
        expired = self.draw.random() < 0.1
        mine = [each for each in self.seen.values() if each["holder"] == user and each["state"] == "claimed"]
        return [each for each in mine if expired or each["expires_at"] > now]

    def some(self, found: list[Any], most: int = 1) -> list[Any]:
        return self.draw.sample(found, min(len(found), self.draw.randint(1, most)))

    def anybody(self) -> str:
        return self.draw.choice(self.members)

    def manager(self) -> str:
        return self.draw.choice(["mona", "max"])

    def pool_of(self, user: str) -> str:
        return "q" if self.draw.random() < 0.25 and user in self.members[:10] else "p"

    def some_of(self, pool: str, most: int = 1) -> list[str]:
        return [
            each["id"] for each in self.some([each for each in self.seen.values() if each["pool_id"] == pool], most)
        ]

    # Deeds of a member

    def claim(self) -> None:
        user = self.anybody()
        for customer in self.some_of(pool := self.pool_of(user)):
            self.count("claimed", self.post(user, f"/customers/{customer}/claim", pool=pool))

    def claim_batch(self) -> None:
        user = self.anybody()
        body = {"customer_ids": self.some_of("p", 6), "atomic": self.draw.random() < 0.2}
        self.count("claimed", self.post(user, "/claim", body))

    def claim_next(self) -> None:
        user = self.anybody()
        self.count("claimed", self.post(user, "/claim-next", {"count": self.draw.randint(1, 4)}, self.pool_of(user)))

    def release(self) -> None:
        user = self.anybody()
        for each in self.some(self.held_by(user)):
            self.count("released", self.post(user, f"/customers/{each['id']}/release", pool=each["pool_id"]))

    def release_batch(self) -> None:
        user = self.anybody()
        ids = [each["id"] for each in self.some(self.held_by(user), 4) if each["pool_id"] == "p"]
        if ids:
            self.count("released", self.post(user, "/release", {"customer_ids": [*ids, ids[0]]}))

    def follow_up(self) -> None:
        self._on_mine("follow-up", {"note": "called", "outcome": self.draw.choice(["interested", "later"])})

    def extend(self) -> None:
        self._on_mine("extend", {"by": "PT6H"} if self.draw.random() < 0.5 else {})

    def pin(self) -> None:
        self._on_mine("pin", {"until": rfc3339(self.world.clock.now + self.draw.randint(1, 9) * DAY)})

    def unpin(self) -> None:
        self._on_mine("unpin")

    def win(self) -> None:
        self._on_mine("win")

    def _on_mine(self, verb: str, body: Any = None) -> None:
        user = self.anybody()
        for each in self.some(self.held_by(user)):
            self.count(verb, self.post(user, f"/customers/{each['id']}/{verb}", body, each["pool_id"]))

    def deposit(self) -> None:
        """Back into the pool, or into the other one."""
        owners = [each for each in self.seen.values() if each["state"] == "private" and each["holder"] in self.members]
        for each in self.some(owners):
            into = {"pool": self.draw.choice("pq")} if self.draw.random() < 0.6 else {}
            path = f"/customers/{each['id']}/deposit"
            self.count("entered", self.post(each["holder"], path, into, each["pool_id"]))

    def look(self) -> None:
        user = self.anybody()
        for customer in self.some_of("p"):
            what = self.draw.choice(["", "/history", "/eligibility"])
            assert self.ask(user, "GET", f"/v1/pools/p/customers/{customer}{what}").status in (200, 404)

    # Deeds of a manager

    def assign(self) -> None:
        body = {"customer_ids": self.some_of("p", 3), "to": self.anybody()}
        self.count("assigned", self.post(self.manager(), "/assign", body))

    def transfer(self) -> None:
        ids = [each["id"] for each in self.some(self.held_by(self.anybody()), 3) if each["pool_id"] == "p"]
        if ids:
            self.count(
                "transferred", self.post(self.manager(), "/transfer", {"customer_ids": ids, "to": self.anybody()})
            )

    def convert(self) -> None:
        """Only what is claimed, so that it is known what ended."""
        for each in self.some(self.held_by(self.anybody())):
            path = f"/customers/{each['id']}/convert"
            self.count("converted", self.post(self.manager(), path, {}, each["pool_id"]))

    def restore(self) -> None:
        aside = self.must("mona", "GET", "/pools/p/customers?state=set_aside&limit=5")["items"]
        for each in self.some(aside):
            self.count("restored", self.post(self.manager(), f"/customers/{each['id']}/restore"))

    def bring_in(self, new: int, known: int) -> None:
        """New rows, rows that are there already, and one that is no row."""
        first = self.imported + 1
        self.imported += new
        rows: list[Any] = [row(number) for number in range(first, first + new)]
        on_duplicate = self.draw.choice(["skip", "update", "reject"])
        there = [{"id": each, "name": "Said anew"} for each in self.some_of("p", known)] if known else []
        bad = [{"id": "no name"}] if known else []
        asked = rfc3339(self.world.clock.now)
        reply = self.post(self.manager(), "/import", {"rows": [*rows, *there, *bad], "on_duplicate": on_duplicate})
        made = [each for each in reply.json["results"] if each["ok"] and each["customer"]["created_at"] > asked]
        assert len(made) >= new, "one that is known may have moved to the other pool, and so be new here"
        self.did["p", "entered"] += len(made)

    # What happens on its day

    def begin(self) -> None:
        for pool, policy in (("p", POLICY), ("q", {"holding_limit": 6, "claim_ttl": "P3D", "pin_limit": 1})):
            self.must("root", "POST", "/pools", {"id": pool, "name": pool, "policy": policy})
            for name in ("mona", "max"):
                self.must("root", "PUT", f"/pools/{pool}/members/{name}", {"role": "manager", "holding_limit": 200})
        for name in self.members:
            self.join(name)
        for name in self.members[:10]:
            self.must("mona", "PUT", f"/pools/q/members/{name}", {"role": "member"})
        for _ in range(CUSTOMERS // 100):
            self.bring_in(100, 0)
        self.world.clock.forward(2 * HOUR)

    def join(self, name: str) -> None:
        own = {"holding_limit": 5} if name.endswith("5") else {}
        self.must("mona", "PUT", f"/pools/p/members/{name}", {"role": "member", **own})

    def come(self, *names: str) -> None:
        for name in names:
            self.join(name)
            self.members.append(name)

    def sweep(self, **how: Any) -> Any:
        report = self.must("root", "POST", "/sweep", how)
        assert report["failed"] == 0 and (report["unconfirmed"] or not report["remaining"])
        self.did["", "swept"] += report["returned"]
        return report

    def leave(self, name: str, held: str) -> None:
        """Sweep first, so that no released claim has expired."""
        self.sweep(confirm=True)
        holds = self.must("mona", "GET", f"/pools/p/members/{name}")["held"]
        self.must("mona", "DELETE", f"/pools/p/members/{name}?held={held}{'&to=max' if held == 'transfer' else ''}")
        self.did["p", "released"] += holds if held == "release" else 0
        self.members.remove(name)
        for each in self.everything("mona", "/pools/p/customers?state=claimed"):
            self.begun.add(each["claim_id"])

    def change_policy(self, **policy: Any) -> int:
        """Check that a dry run predicts the result."""
        version = str(self.must("mona", "GET", "/pools/p")["version"])
        change = {"policy": policy, "apply_to": "all"}
        now = self.world.clock.now
        foretold = self.must("mona", "PATCH", "/pools/p", change | {"dry_run": True}, if_match=version)["affected"]
        self.world.clock.now = now  # whoever is due in between would not be counted twice
        affected: int = self.must("mona", "PATCH", "/pools/p", change, if_match=version)["affected"]
        assert affected == foretold
        return affected

    def pause(self) -> dict[str, Any]:
        self.sweep(confirm=True)
        self.must("root", "POST", "/pools/p/pause")
        paused_at = self.world.clock.now
        claims = {each["claim_id"]: each for each in self.everything("mona", "/pools/p/customers?state=claimed")}
        return {"at": paused_at, "claims": claims}

    def resume(self, paused: dict[str, Any]) -> None:
        """Every deadline is later by exactly the pause."""
        self.must("root", "POST", "/pools/p/resume")
        by = timedelta(milliseconds=self.world.clock.now - paused["at"])
        for each in self.everything("mona", "/pools/p/customers?state=claimed"):
            before = paused["claims"].pop(each["claim_id"])
            assert datetime.fromisoformat(each["expires_at"]) - datetime.fromisoformat(before["expires_at"]) == by
        assert not paused["claims"]

    def close(self) -> None:
        self.sweep(confirm=True)
        self.did["q", "released"] += self.must("mona", "GET", "/pools/q/stats")["now"]["claimed"]
        self.must("root", "POST", "/pools/q/close", {"mode": "drain"})
        assert self.must("mona", "GET", "/pools/q/stats")["now"]["claimed"] == 0

    def held_back(self) -> None:
        """Apply a policy that ends many claims at once: the breaker stops the sweep until it is confirmed."""
        assert self.change_policy(claim_ttl="PT12H") > 0
        self.world.clock.forward(MINUTE)
        report = self.sweep()
        assert report["unconfirmed"] == ["p"] and report["remaining"] > 30
        assert self.sweep(confirm=True)["returned"] >= report["remaining"]
        self.change_policy(claim_ttl="P6D")

    def nobody_is_above_a_limit(self) -> None:
        for pool in ("p", "q"):
            for each in self.everything("mona", f"/pools/{pool}/members"):
                assert 0 <= each["held"] <= each["holding_limit"], each
                assert each["headroom"] == each["holding_limit"] - each["held"]
                assert each["claimed_today"] <= (each["daily_claim_limit"] or 10_000), each

    def day(self, deeds: dict[str, int], count: int) -> None:
        """From eight in the morning; three sweeps on the way."""
        names, weights = list(deeds), list(deeds.values())
        for number in range(count):
            getattr(self, self.draw.choices(names, weights)[0])()
            self.world.clock.forward(self.draw.randrange(2, 12) * MINUTE)
            if number % (count // 2) == count // 3:
                self.sweep()


def row(number: int) -> dict[str, Any]:
    return {"id": f"c{number}", "name": f"Customer {number}", "priority": number % 3, "fields": {"city": "Wuhan"}}


def shown(reply: Reply) -> list[Any]:
    """The customers that an answer shows as done."""
    if reply.status >= 300:
        return []
    body = reply.json
    results = [each["customer"] for each in body.get("results", ()) if each["ok"]]
    return results + list(body.get("items", ())) + ([body] if "claim_id" in body else [])


def ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
