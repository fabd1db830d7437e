"""The steps from which the state machine draws: each verb of the API by any user, clock steps and repeated requests.

`model_play` compares each step with the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hypothesis import assume, strategies as st
from hypothesis.stateful import initialize, rule

from chalicelib.model.times import rfc3339
from tests.proofs import model_leaves, model_pools, model_verbs
from tests.proofs.model import NAMES, Member, Pool, Refusal, Request, Written
from tests.proofs.model_play import CARL, POOLS, How, Playing, address, as_body, duration, present, written
from tests.support.world import DAY, HOUR, MINUTE

pools = st.sampled_from(["p", "p", "p", "q"])
ids = st.sampled_from(["c1", "c2", "c3", "c4", "c5", "c6"])
erasable = st.sampled_from(["c4", "c5", "c6"])  # an id is not used again, so the others stay
several = st.lists(ids | st.just("no id"), min_size=1, max_size=5)
members = st.sampled_from(["alice", "bob", CARL, "dora", "root"])
people = st.sampled_from(["alice", "alice", "bob", "bob", CARL, "dora", "mona", "root"])  # root is an admin
managers = st.sampled_from(["mona", "mona", "root", "alice"])
admins = st.sampled_from(["root", "root", "root", "mona"])
known_claims = st.sampled_from([None, None, "current", "other"])
# Whether the request is about a customer that the caller holds, if there is one.
own = st.sampled_from([True, True, False])
mostly_own = st.sampled_from([True, True, True, False])
zones = st.sampled_from([None, "UTC", "Asia/Shanghai", "America/New_York", "Pacific/Kiritimati"])
priorities = st.sampled_from([None, 0, 1])
aheads = st.sampled_from([-1, HOUR, 5 * HOUR, 2 * DAY, 31 * DAY])
lengths = st.sampled_from([None, HOUR, 2 * HOUR])
limits = st.sampled_from([None, 0, 1, 2, 3])
names = st.sampled_from(list(NAMES))
reasons = st.sampled_from(["", "", "no time"])
notes = st.sampled_from(["called", "called", "called", " \u3164"])
emails = st.sampled_from([None, "a@b.cn", "a@b.cn", "c@d.cn"])
modes = st.sampled_from(["skip", "update", "update", "reject"])
ROLES = ["member", "member", "manager"]
cities = st.sampled_from([None, None, "x", "y"])
texts = st.sampled_from(["a", "b", "13812", "wang"])
territories = st.sampled_from([None, None, {"city": ["x"]}, {"city": ["y"]}, {"city": ["y", "x"]}])
settings = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(ROLES), "holding_limit": limits, "takes": territories}
)
STATUSES = ["pause", "resume", "resume", "open", "open", "close"]
GIVEN = ["assign", "transfer", "convert"]
rows = st.tuples(ids, names, st.integers(0, 2))
policies = st.fixed_dictionaries({}, optional={
    "holding_limit": limits, "daily_claim_limit": st.sampled_from([None, 1, 2, 4]),
    "claim_ttl": st.sampled_from([None, HOUR, 4 * HOUR, DAY]), "idle_ttl": st.sampled_from([None, 3 * HOUR]),
    "cooldown": st.sampled_from([None, 2 * HOUR]), "embargo": st.sampled_from([None, 30 * MINUTE]),
    "max_extensions": st.sampled_from([None, 1, 2]), "extension": st.sampled_from([None, HOUR]),
    "max_hold": st.sampled_from([None, 6 * HOUR]), "members_may_extend": st.sampled_from([None, True]),
    "follow_up_restarts_clock": st.sampled_from([None, True]), "pin_limit": st.sampled_from([None, 1, 2]),
    "max_pin": st.sampled_from([None, DAY]), "max_returns": st.sampled_from([None, 2, 3]),
    "reason_required": st.sampled_from([None, None, True]),
    "masked_fields": st.sampled_from([None, ("name",), ("phone",)]),
    "notes_visible_to": st.sampled_from([None, None, "pool"]),
    "private_visible_to": st.sampled_from([None, None, "pool"]),
    "private_limit": st.sampled_from([None, None, 1, 2]), "private_ttl": st.sampled_from([None, 5 * HOUR, 2 * DAY]),
    "win": st.sampled_from([None, "holder", "holder", "manager"]), "win_review": st.sampled_from([None, HOUR, 2 * DAY]),
})  # fmt: skip
hows = st.builds(How, st.integers(0, 1), st.sampled_from([False, False, True]),
                 st.sampled_from([None, None, None, "right", "wrong"]))  # fmt: skip


class Everything(Playing):
    @initialize(policy=policies, other=policies)
    def begin(self, policy: dict[str, Any], other: dict[str, Any]) -> None:
        for pool, rules in (("p", policy), ("q", other)):
            self.model.pools[pool] = Pool({name: rule for name, rule in rules.items() if rule is not None}, POOLS[pool])
            given = {"win": None} | written(rules)
            self.world.pool(pool, members=f"alice bob {CARL}", time_zone=POOLS[pool], **given)
            names = {"alice": "member", "bob": "member", CARL: "member", "mona": "manager"}
            self.model.members |= {(pool, name): Member(role) for name, role in names.items()}
        how = How(0, False, None)
        self.bring_in("p", "mona", [(each, "A", 0) for each in ("c1", "c2", "c3", "c4")], "reject", how)
        self.edit_batch(how, "mona", "p", ["c1", "c4"], False, "A", None, "x")
        self.claim_batch(how, "alice", "p", ["c1", "c2"], False)
        self.convert(how, "mona", "p", "c3", "bob")

    # Claims

    @rule(how=hows, who=people, pool=pools, customer=ids)
    def claim(self, how: How, who: str, pool: str, customer: str) -> None:
        self.one(how, who, pool, customer, "/claim", lambda req: model_verbs.one(model_verbs.claim(req, [customer])))

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans())
    def claim_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool) -> None:
        self.many(how, who, pool, "/claim", chosen, atomic, lambda req: model_verbs.claim(req, chosen, atomic))

    @rule(how=hows, who=people, pool=pools, count=st.integers(1, 4))
    def claim_next(self, how: How, who: str, pool: str, count: int) -> None:
        """Send it to a new process, which has no stale cache and so must select the best customers."""
        self.processes[how.process], now = self.world.another_process(), self.world.clock.now
        reply, number = self.send(
            how, who, pool, "/claim-next", {"count": count}, lambda req: model_pools.may_claim_next(req, count),
            repeat=False,
        )  # fmt: skip
        taken = [each["id"] for each in reply.json["items"]] if reply.status == 200 else []
        assert len(taken) == (number or 0)
        req = Request(self.model, who, pool, now)
        model_pools.next_taken(req, taken, self.room_was_made(req, taken))
        if how.keyed:
            self.again(self.sent[-1], 1 - how.process)
        self.same()

    @rule(how=hows, who=people, pool=pools, customer=ids)
    def eligibility(self, how: How, who: str, pool: str, customer: str) -> None:
        self.world.service = self.processes[how.process]
        reply = self.user(who, pool).get(f"/customers/{customer}/eligibility")
        try:
            expected = model_verbs.eligibility(Request(self.model, who, pool, self.world.clock.now), customer)
        except Refusal as refusal:
            assert (reply.status, reply.code) == (refusal.status, refusal.code)
        else:
            assert [each["code"] for each in reply.json["blocking"]] == expected
        self.same(pool)

    @rule(how=hows, who=people, pool=pools, customer=ids, own=mostly_own, known=known_claims, reason=reasons)
    def release(self, how: How, who: str, pool: str, customer: str, own: bool, known: str | None, reason: str) -> None:
        who, pool, customer = self.by_holder(own, who, pool, customer)
        claim_id = self.claim_id(pool, customer, known)
        body = present(claim_id=claim_id, reason=reason)
        self.one(how, who, pool, customer, "/release", lambda req: model_verbs.one(
            model_verbs.release(req, [customer], claim_id=claim_id, reason=reason)), body)  # fmt: skip

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans(), reason=reasons)
    def release_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, reason: str) -> None:
        self.many(
            how, who, pool, "/release", chosen, atomic,
            lambda req: model_verbs.release(req, chosen, atomic, reason=reason), reason=reason,
        )  # fmt: skip

    # A manager's verbs

    @rule(how=hows, who=managers, pool=pools, customer=ids, to=people)
    def assign(self, how: How, who: str, pool: str, customer: str, to: str) -> None:
        self.one(how, who, pool, customer, "/assign", lambda req: model_verbs.one(
            model_verbs.assign(req, [customer], to)), {"to": to})  # fmt: skip

    @rule(how=hows, who=managers, pool=pools, customer=ids, to=people, known=known_claims)
    def transfer(self, how: How, who: str, pool: str, customer: str, to: str, known: str | None) -> None:
        claim_id = self.claim_id(pool, customer, known)
        self.one(how, who, pool, customer, "/transfer", lambda req: model_verbs.one(
            model_verbs.transfer(req, [customer], to, claim_id=claim_id)), present(to=to, claim_id=claim_id)
        )  # fmt: skip

    @rule(
        how=hows, who=managers, pool=pools, chosen=several, atomic=st.booleans(), to=people, verb=st.sampled_from(GIVEN)
    )
    def give_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, to: str, verb: str) -> None:
        give = getattr(model_verbs, verb)
        self.many(how, who, pool, f"/{verb}", chosen, atomic, lambda req: give(req, chosen, to, atomic), to=to)

    @rule(how=hows, who=managers, pool=pools, customer=ids, to=st.none() | people)
    def convert(self, how: How, who: str, pool: str, customer: str, to: str | None) -> None:
        self.one(how, who, pool, customer, "/convert", lambda req: model_verbs.one(
            model_verbs.convert(req, [customer], to)), present(to=to))  # fmt: skip

    @rule(how=hows, who=managers, pool=pools, customer=ids)
    def restore(self, how: How, who: str, pool: str, customer: str) -> None:
        self.one(how, who, pool, customer, "/restore", lambda req: model_verbs.restore(req, customer))

    @rule(how=hows, who=managers, pool=pools, customer=ids, force=st.booleans())
    def suppress(self, how: How, who: str, pool: str, customer: str, force: bool) -> None:
        self.one(how, who, pool, customer, "/suppress", lambda req: model_verbs.suppress(req, customer, force),
                 {"force": force})  # fmt: skip

    @rule(how=hows, who=managers, pool=pools, customer=ids)
    def unsuppress(self, how: How, who: str, pool: str, customer: str) -> None:
        """It works on an erased customer too, which has no version."""
        known = self.model.customers.get((pool, customer))
        self.send(how, who, pool, f"/customers/{customer}/unsuppress", None,
                  lambda req: model_verbs.unsuppress(req, customer), version=known.version if known else 1)  # fmt: skip
        self.same()
        self.erased_are_listed(pool)

    @rule(how=hows, who=managers, pool=pools, customer=erasable, force=st.booleans(), suppress=st.booleans())
    def erase(self, how: How, who: str, pool: str, customer: str, force: bool, suppress: bool) -> None:
        body = {"reason": "requested", "force": force, "suppress": suppress}
        known = self.model.customers.get((pool, customer))
        self.send(how, who, pool, f"/customers/{customer}/erase", body,
                  lambda req: model_verbs.one(model_verbs.erase(req, [customer], force, suppressed=suppress)),
                  version=known.version if known else 1)  # fmt: skip
        self.same()
        self.erased_are_listed(pool)

    @rule(how=hows, who=managers, pool=pools, chosen=st.lists(erasable, min_size=1, max_size=3), atomic=st.booleans())
    def erase_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool) -> None:
        self.many(how, who, pool, "/erase", chosen, atomic, lambda req: model_verbs.erase(req, chosen, False, atomic),
                  reason="requested")  # fmt: skip
        self.erased_are_listed(pool)

    # A holder's verbs

    @rule(how=hows, who=people, pool=pools, customer=ids, own=own, by=lengths, known=known_claims)
    def extend(
        self, how: How, who: str, pool: str, customer: str, own: bool, by: int | None, known: str | None
    ) -> None:
        who, pool, customer = self.by_holder(own, who, pool, customer)
        claim_id = self.claim_id(pool, customer, known)
        body = present(by=duration(by), claim_id=claim_id)
        self.one(how, who, pool, customer, "/extend", lambda req: model_verbs.one(
            model_verbs.extend(req, [customer], by, claim_id=claim_id)), body)  # fmt: skip

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans(), by=lengths)
    def extend_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, by: int | None) -> None:
        self.many(how, who, pool, "/extend", chosen, atomic, lambda req: model_verbs.extend(req, chosen, by, atomic),
                  by=duration(by))  # fmt: skip

    @rule(how=hows, who=people, pool=pools, customer=ids, own=mostly_own, note=notes)
    def follow_up(self, how: How, who: str, pool: str, customer: str, own: bool, note: str) -> None:
        who, pool, customer = self.by_holder(own, who, pool, customer)
        self.one(how, who, pool, customer, "/follow-up", lambda req: model_verbs.one(
            model_verbs.follow_up(req, [customer], note)), {"note": note})  # fmt: skip

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans(), note=notes)
    def follow_up_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, note: str) -> None:
        self.many(how, who, pool, "/follow-up", chosen, atomic,
                  lambda req: model_verbs.follow_up(req, chosen, note, False, atomic), note=note)  # fmt: skip

    @rule(how=hows, who=people, pool=pools, customer=ids, own=own, verb=st.sampled_from(["win", "unpin"]))
    def on_claim(self, how: How, who: str, pool: str, customer: str, own: bool, verb: str) -> None:
        who, pool, customer = self.by_holder(own, who, pool, customer)
        do: dict[str, Callable[[Request], None]] = {
            "win": lambda req: model_verbs.win(req, customer),
            "unpin": lambda req: model_verbs.one(model_verbs.unpin(req, [customer])),
        }
        self.one(how, who, pool, customer, f"/{verb}", do[verb])

    @rule(how=hows, who=managers, pool=pools, customer=ids, approve=st.booleans(), reason=reasons)
    def decide_win(self, how: How, who: str, pool: str, customer: str, approve: bool, reason: str) -> None:
        customer = self.with_request(pool, customer)
        if approve:
            self.one(how, who, pool, customer, "/win/approve", lambda req: model_verbs.approve_win(req, customer))
        else:
            decline = {"reason": reason}
            self.one(how, who, pool, customer, "/win/decline",
                     lambda req: model_verbs.decline_win(req, customer, reason), decline)  # fmt: skip

    def with_request(self, pool: str, customer: str) -> str:
        """Return the first customer of the pool whose win is requested, if any, else the given one."""
        requested = [each.id for each in self.model.of_pool(pool) if each.claim and each.claim.requested is not None]
        return requested[0] if requested else customer

    @rule(how=hows, who=people, pool=pools, customer=ids, own=own, ahead=aheads)
    def pin(self, how: How, who: str, pool: str, customer: str, own: bool, ahead: int) -> None:
        who, pool, customer = self.by_holder(own, who, pool, customer)
        until = self.world.clock.now + ahead
        self.one(
            how,
            who,
            pool,
            customer,
            "/pin",
            lambda req: model_verbs.one(model_verbs.pin(req, [customer], until)),
            {"until": rfc3339(until)},
        )

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans(), ahead=aheads)
    def pin_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, ahead: int) -> None:
        until = self.world.clock.now + ahead
        self.many(how, who, pool, "/pin", chosen, atomic, lambda req: model_verbs.pin(req, chosen, until, atomic),
                  until=rfc3339(until))  # fmt: skip

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans())
    def unpin_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool) -> None:
        self.many(how, who, pool, "/unpin", chosen, atomic, lambda req: model_verbs.unpin(req, chosen, atomic))

    @rule(how=hows, who=people, pool=pools, customer=ids, own=own, into=st.sampled_from([None, "p", "q"]))
    def deposit(self, how: How, who: str, pool: str, customer: str, own: bool, into: str | None) -> None:
        who, pool, customer = self.by_holder(own, who, pool, customer, "private")
        self.one(how, who, pool, customer, "/deposit", lambda req: model_verbs.one(
            model_verbs.deposit(req, [customer], into)), present(pool=into))  # fmt: skip

    @rule(how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans(), into=st.sampled_from([None, "q"]))
    def deposit_batch(self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, into: str | None) -> None:
        body = {"customer_ids": chosen, "atomic": atomic} | present(pool=into)
        self.send(how, who, pool, "/deposit", body, lambda req: model_verbs.deposit(req, chosen, into, atomic))
        self.same()

    # Customers as records

    @rule(how=hows, who=people, pool=pools, customer=ids, name=names, priority=priorities, city=cities)
    def edit(
        self, how: How, who: str, pool: str, customer: str, name: str, priority: int | None, city: str | None
    ) -> None:
        body = {"name": name, "fields": present(city=city)} | ({"priority": priority} if priority is not None else {})
        self.one(
            how, who, pool, customer, "",
            lambda req: model_verbs.one(model_verbs.edit(req, [customer], name, priority, city)), body, "PATCH",
        )  # fmt: skip

    @rule(
        how=hows, who=people, pool=pools, chosen=several, atomic=st.booleans(), name=names, priority=priorities,
        city=cities,
    )  # fmt: skip
    def edit_batch(
        self, how: How, who: str, pool: str, chosen: list[str], atomic: bool, name: str, priority: int | None,
        city: str | None,
    ) -> None:  # fmt: skip
        body = {"customer_ids": chosen, "atomic": atomic, "name": name, "priority": priority}
        self.send(
            how, who, pool, "/edit", body | {"fields": present(city=city)},
            lambda req: model_verbs.edit(req, chosen, name, priority, city, atomic),
        )  # fmt: skip
        self.same()

    @rule(who=people, pool=pools, process=st.integers(0, 1), city=st.sampled_from(["x", "y"]), text=texts)
    def look(self, who: str, pool: str, process: int, city: str, text: str) -> None:
        self.world.service = self.processes[process]
        if (pool, who) in self.model.members:
            self.as_they_see_it(who, pool)
            self.finds_what_they_see(who, pool, city, text)

    @rule(how=hows, who=managers, pool=pools, row=rows, owner=st.none() | people, email=emails,
          on_duplicate=st.sampled_from([None, None, "reject", "allow"]))  # fmt: skip
    def create(
        self, how: How, who: str, pool: str, row: model_pools.Row, owner: str | None, email: str | None,
        on_duplicate: str | None,
    ) -> None:  # fmt: skip
        body = as_body(row) | present(private_of=owner, fields=present(email=email), on_duplicate=on_duplicate)
        self.send(how, who, pool, "/customers", body,
                  lambda req: model_pools.create(req, row, owner, email, on_duplicate))  # fmt: skip
        self.same()

    @rule(pool=pools, who=managers, given=st.lists(rows, min_size=1, max_size=4), mode=modes, how=hows)
    def bring_in(self, pool: str, who: str, given: list[model_pools.Row], mode: str, how: How) -> None:
        body = {"rows": [as_body(row) for row in given], "on_duplicate": mode}
        logs: list[list[Written]] = []

        def do(req: Request) -> list[str]:
            results, log = model_pools.import_rows(req, given, mode)
            logs.append(log)
            return results

        reply, _ = self.send(how, who, pool, "/import", body, do)
        if reply.status == 200:
            self.model.imports[pool, reply.json["import_id"]] = logs[0]
        self.same()

    @rule(how=hows, who=managers, which=st.integers(0, 30), pool=pools)
    def undo(self, how: How, who: str, which: int, pool: str) -> None:
        known = [name for at, name in self.model.imports if at == pool]
        name = known[-1 - which % len(known)] if known else "none"
        self.send(how, who, pool, f"/imports/{name}/undo", None, lambda req: model_pools.undo(req, name))
        self.same()

    # People, policy and status

    @rule(how=hows, who=admins, pool=pools, user=members, role=st.sampled_from(ROLES), limit=limits, takes=territories)
    def put(
        self, how: How, who: str, pool: str, user: str, role: str, limit: int | None,
        takes: dict[str, list[str]] | None,
    ) -> None:  # fmt: skip
        body = {"role": role} | ({} if limit is None else {"holding_limit": limit}) | present(takes=takes)
        self.send(how, who, pool, f"/members/{user}", body,
                 lambda req: model_pools.put_member(req, user, role, limit, takes), "PUT")  # fmt: skip
        self.same()
        self.again_of(user, how.process)

    @rule(how=hows, who=managers, pool=pools, user=members, given=settings)
    def patch(self, how: How, who: str, pool: str, user: str, given: dict[str, Any]) -> None:
        self.send(how, who, pool, f"/members/{user}", given,
                 lambda req: model_pools.change_member(req, user, given), "PATCH")  # fmt: skip
        self.same()
        self.again_of(user, how.process)

    @rule(
        how=hows, who=managers, pool=pools, user=members, held=st.sampled_from([None, "release", "transfer"]),
        private=st.sampled_from([None, "deposit", "deposit", "transfer"]), to=people,
    )  # fmt: skip
    def remove(self, how: How, who: str, pool: str, user: str, held: str | None, private: str | None, to: str) -> None:
        assume(to != user)  # a request that the schema of the query refuses
        heir = to if "transfer" in (held, private) else None
        given = {"held": held, "private": private, "to": heir}
        query = "?" + "&".join(f"{name}={value}" for name, value in given.items() if value)
        self.send(how, who, pool, f"/members/{user}{query}", None,
                 lambda req: model_pools.remove_member(req, user, held, private, heir), "DELETE")  # fmt: skip
        self.same()
        self.again_of(user, how.process)

    @rule(
        how=hows, who=admins, user=members, held=st.sampled_from(["release", "transfer"]),
        private=st.sampled_from(["deposit", "transfer"]), to=people,
    )  # fmt: skip
    def leave(self, how: How, who: str, user: str, held: str, private: str, to: str) -> None:
        assume(to != user)  # a request that the schema of the query refuses
        heir = to if "transfer" in (held, private) else None
        body = {"held": held, "private": private} | present(to=heir)
        reply, counts = self.send(how, who, "p", f"/users/{user}/leave", body,
                                  lambda req: model_leaves.leave(req, user, held, private, heir))  # fmt: skip
        if reply.status == 200:
            expected = {"state": "done", "remaining": 0} | asdict(counts)
            assert reply.json == {"user_id": user} | expected
        self.same()

    @rule(how=hows, who=admins, user=members)
    def come_back(self, how: How, who: str, user: str) -> None:
        self.send(how, who, "p", f"/users/{user}", {"left": False},
                  lambda req: model_leaves.come_back(req, user), "PUT")  # fmt: skip
        self.same()

    @rule(how=hows, who=managers, pool=pools, policy=policies, zone=zones, to_all=st.booleans(), dry_run=st.booleans())
    def policy(
        self, how: How, who: str, pool: str, policy: dict[str, Any], zone: str | None, to_all: bool, dry_run: bool
    ) -> None:
        changes = written(policy) | present(time_zone=zone)
        body = {"policy": changes, "apply_to": "all" if to_all else "new", "dry_run": dry_run}
        reply, affected = self.send(
            how, who, pool, "", body, lambda req: model_pools.change_policy(req, policy, zone, to_all, dry_run),
            "PATCH", self.model.pools[pool].version,
        )  # fmt: skip
        assert reply.status != 200 or not (to_all or dry_run) or reply.json["affected"] == affected
        self.heard()

    @rule(how=hows, who=admins, pool=pools, verb=st.sampled_from(STATUSES),
          mode=st.sampled_from(["drain", "to_private"]))  # fmt: skip
    def status(self, how: How, who: str, pool: str, verb: str, mode: str) -> None:
        do = {"pause": model_pools.pause, "resume": model_pools.resume, "open": model_pools.open_again,
              "close": lambda req: model_pools.close(req, mode)}[verb]  # fmt: skip
        self.send(how, who, pool, f"/{verb}", {"mode": mode} if verb == "close" else None, do)
        self.heard()

    # The clock

    @rule(how=hows, who=admins)
    def sweep(self, how: How, who: str) -> None:
        self.world.service = self.processes[how.process]
        reply = self.world.user(who, admin=who == "root").request("POST", "/v1/sweep", {})
        try:
            returned = model_pools.sweep(Request(self.model, who, "p", self.world.clock.now))
        except Refusal as refusal:
            assert (reply.status, reply.code) == (refusal.status, refusal.code)
        else:
            assert [reply.json[name] for name in ("due", "returned", "failed", "remaining")] == [
                returned,
                returned,
                0,
                0,
            ]
        self.same()

    @rule(minutes=st.sampled_from([0, 1, 3]))
    def run_schedule(self, minutes: int) -> None:
        """Each round returns exactly what the model returns by looking at every customer."""
        for minute in range(minutes + 1):
            self.world.clock.forward(MINUTE if minute else 0)
            report = self.world.run_schedule()
            expected = model_pools.sweep(Request(self.model, "root", "p", self.world.clock.now))
            assert (report.returned, report.failed, report.remaining) == (expected, 0, 0)
        self.same()

    @rule(by=st.sampled_from([1, MINUTE, 29 * MINUTE, HOUR, 2 * HOUR, 7 * HOUR, DAY]))
    def wait(self, by: int) -> None:
        self.world.clock.forward(by)
        self.same()

    @rule(which=st.integers(0, 5), late=st.sampled_from([-1, 0, 0]))
    def wait_for_a_deadline(self, which: int, late: int) -> None:
        now = self.world.clock.now
        ends = [each.deadline for each in self.model.customers.values()]
        coming = sorted({end + late for end in ends if end is not None and end + late > now})
        if coming:
            self.world.clock.now = coming[which % len(coming)]
            self.same()

    # Idempotency-Keys

    @rule(which=st.integers(0, 50), process=st.integers(0, 1))
    def repeat(self, which: int, process: int) -> None:
        """A repetition changes nothing and returns the stored facts."""
        for sent in self.remembered(which):
            self.again(sent, process)
            self.same()

    @rule(which=st.integers(0, 50))
    def another_request_under_a_key(self, which: int) -> None:
        for sent in self.remembered(which):
            other = sent.headers | {"if_match": "99"}
            reply = self.user(sent.who, sent.pool).request(
                sent.method, address(sent.pool, sent.path), sent.body, **other
            )
            assert (reply.status, reply.code) == (422, "idempotency_key_reused")
            self.same()
