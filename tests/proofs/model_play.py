"""Run the service and the model side by side: each request goes to both, and afterwards responses and visible state
must be equal.

Requests go to one of two processes with possibly stale caches; some carry an Idempotency-Key and are repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from hypothesis.stateful import RuleBasedStateMachine

from chalicelib.domain.invariants import replayed
from chalicelib.dynamodb.table import Table
from chalicelib.model.model import Event
from chalicelib.model.times import rfc3339
from chalicelib.transactions.context import POOL_CACHE_MS
from tests.proofs import model_pools
from tests.proofs.model import Model, Refusal, Request
from tests.support import tally
from tests.support.audit import assert_sound
from tests.support.world import DAY, HOUR, MINUTE, START, Reply, User, World

BY_THE_SERVICE = (
    "pool closed",
    "pool resumed",
    "member removed",
    "user left",
    "import undone",
)  # reasons that everybody reads
POOLS = {"p": "UTC", "q": "Asia/Shanghai"}
MANAGERS = ("mona", "root")
FORGOTTEN_AFTER = 23 * HOUR  # of a key: a little earlier than it really is

REPLAYED = ("seq", "type", "at", "by", "holder", "claim_id", "from_state", "to_state", "expires_at")
DURATIONS = ("claim_ttl", "idle_ttl", "cooldown", "embargo", "extension", "max_hold", "max_pin", "win_review",
             "private_ttl")  # fmt: skip
TIMES = ("claimed_at", "expires_at", "win_requested_at", "pinned_until", "entered_pool_at", "available_at",
         "last_follow_up_at", "set_aside_at", "suppressed_at", "won_at", "created_at", "updated_at")  # fmt: skip


@dataclass(frozen=True)
class How:
    """The process that gets the request, whether it has a key, and whether its If-Match is right or wrong."""

    process: int
    keyed: bool
    seen: str | None


@dataclass
class Sent:
    who: str
    pool: str
    method: str
    path: str
    body: Any
    headers: dict[str, str]
    at: int
    reply: Reply


CARL = "u_binrdcol6x6p5ezivuql6sdjyv"  # whose subject is no id
SUBJECTS = {CARL: "auth0|carl"}


def by_subject(path: str, body: Any) -> tuple[str, Any]:
    """Return path and body with the subjects of tokens instead of user ids."""
    for user, subject in SUBJECTS.items():
        path = path.replace(user, quote(subject, safe=""))
        if isinstance(body, dict):
            body = body | {name: subject for name in ("to", "private_of") if body.get(name) == user}
    return path, body


def address(pool: str, path: str) -> str:
    """Return the path of a request about a pool, or about a user of the tenant."""
    return f"/v1{path}" if path.startswith("/users/") else f"/v1/pools/{pool}{path}"


def duration(length: int | None) -> str | None:
    return None if length is None else f"PT{length // MINUTE}M"


def written(policy: dict[str, Any]) -> dict[str, Any]:
    return {name: duration(value) if name in DURATIONS else value for name, value in policy.items()}


def present(**members: Any) -> dict[str, Any]:
    """Return a body of the given members without absent ones."""
    return {name: each for name, each in members.items() if each}


def as_body(row: model_pools.Row) -> dict[str, Any]:
    customer, name, priority = row
    return {"id": customer, "name": name, "priority": priority}


def as_row(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a customer in a list: of its fields it has those of filters."""
    return shown | {"partial": True, "fields": {key: text for key, text in shown["fields"].items() if key != "email"}}


def plain(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the customer of a response as the model has it, with times in milliseconds."""
    return {name: ms(value) if name in TIMES else value for name, value in shown.items() if name != "old_expires_at"}


def ms(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def as_seen(body: Any, as_shown_now: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return the body of a response with each customer as the user sees it now."""
    if isinstance(body, dict) and "claim_id" in body:
        return as_shown_now(body)
    if isinstance(body, dict):
        return {name: as_seen(each, as_shown_now) for name, each in body.items()}
    return [as_seen(each, as_shown_now) for each in body] if isinstance(body, list) else body


class Playing(RuleBasedStateMachine):
    """`make` returns an empty table for one run. At its end every history and the whole table are audited."""

    make: Callable[[], AbstractContextManager[Table]]

    def __init__(self) -> None:
        super().__init__()
        self.opened = type(self).make()
        self.world = World(self.opened.__enter__())
        self.processes = [self.world.service, self.world.another_process()]
        self.model = Model()
        self.claims: set[str] = set()
        self.sent: list[Sent] = []

    def teardown(self) -> None:
        for pool, customer in self.model.customers:
            self.assert_history(pool, customer)
        for pool in self.model.pools:
            self.assert_statistics(pool)
        for pool, who in self.model.members:
            self.as_they_see_it(who, pool)
        assert_sound(self.world.table, now=self.world.clock.now)
        self.opened.__exit__(None, None, None)

    def assert_history(self, pool: str, customer: str) -> None:
        """The events are those of the model, and replaying them gives the current state."""
        mona = self.user("mona", pool)
        history, shown = mona.walk(f"/customers/{customer}/history"), mona.customer(customer)
        events = [Event(**{name: each.get(name) for name in REPLAYED}) for each in history]
        assert [event.type for event in events] == self.model.customers[pool, customer].events
        assert [event.seq for event in events] == list(range(1, shown["version"] + 1))
        assert replayed(events) == (shown["state"], shown["holder"], shown["claim_id"], shown["expires_at"])

    def assert_statistics(self, pool: str) -> None:
        first, last = (rfc3339(moment)[:10] for moment in (START - DAY, self.world.clock.now + DAY))
        statistics = self.user("mona", pool).get(f"/stats?from={first}&to={last}").json
        (activity, states), now = self.model.statistics(pool), self.world.clock.now
        assert statistics["totals"] == activity | {"amount": "0.00"}
        assert statistics["now"] == states | self.model.attention(pool, now) | {"cut": False}
        held = {row["user_id"]: (row["held"], row["private"]) for row in statistics["by_member"]}
        for of_pool, user in self.model.members:
            if of_pool == pool:
                assert held[user] == (len(self.model.held_by(pool, user)), len(self.model.owned_by(pool, user)))
        with self.world.process():
            assert self.user("mona", pool).get().json["totals"] == states

    # Requests

    def user(self, name: str, pool: str) -> User:
        return self.world.user(name, admin=name == "root", pool=pool)

    def send(
        self, how: How, who: str, pool: str, path: str, body: Any, do: Callable[[Request], Any],
        method: str = "POST", version: int | None = None, repeat: bool = True,
    ) -> tuple[Reply, Any]:  # fmt: skip
        """Send the request to model and service and compare the results. `version` is a possible If-Match. Return the
        response and the result of the model. Without `repeat` the caller repeats a keyed request once the model has
        caught up.
        """
        seen = None if version is None or how.seen is None else version + (7 if how.seen == "wrong" else 0)
        headers = {} if seen is None else {"if_match": str(seen)}
        headers |= {"idempotency_key": f"k{len(self.sent)}"} if how.keyed else {}
        expected, refused = None, None
        try:
            expected = do(Request(self.model, who, pool, self.world.clock.now, seen))
        except Refusal as refusal:
            refused = refusal
        self.world.service = self.processes[how.process]
        if how.process:
            path, body = by_subject(path, body)
        reply = self.user(who, pool).request(method, address(pool, path), body, **headers)
        self.answered(reply, expected, refused)
        self.world.clock.forward(1)  # no two are the same request by their very moment
        if how.keyed:
            self.sent.append(Sent(who, pool, method, path, body, headers, self.world.clock.now, reply))
            if repeat:
                self.again(self.sent[-1], 1 - how.process)
        return reply, expected

    def answered(self, reply: Reply, given: Any, refusal: Refusal | None) -> None:
        if refusal is not None:
            assert (reply.status, reply.json.get("code")) == (refusal.status, refusal.code), reply.text
        elif isinstance(given, list):
            assert "results" in reply.json, reply.text
            assert reply.results == given
            refused = next((each for each in given if each != "ok"), None)
            assert reply.status == 200 or (reply.status, reply.code) == (409, refused)
        else:
            assert reply.status in (200, 201), reply.text

    def again(self, sent: Sent, process: int) -> None:
        self.world.service = self.processes[process]
        reply = self.user(sent.who, sent.pool).request(
            sent.method, address(sent.pool, sent.path), sent.body, **sent.headers
        )
        withheld = self.withheld(sent)
        if withheld is not None:
            assert (reply.status, reply.code) == (403, withheld) and "Idempotent-Replayed" not in reply.headers
            return
        expected = as_seen(sent.reply.json, partial(self.as_now, sent.who))
        assert (reply.status, reply.json) == (sent.reply.status, expected), "another answer to a repetition"
        assert reply.headers.get("Idempotent-Replayed") == "true"

    def withheld(self, sent: Sent) -> str | None:
        """Return the code that refuses a replay to former members and admins, or None."""
        req = Request(self.model, sent.who, sent.pool, self.world.clock.now)
        for_admins = sent.path.startswith("/users/") or sent.path in ("/pause", "/resume", "/open", "/close")
        if req.admin or (not for_admins and (sent.pool, sent.who) in self.model.members):
            return None
        first, code = sent.reply, "not_admin" if for_admins else "not_a_member"
        if sent.method == "DELETE" and f"/members/{sent.who}" in sent.path and first.status == 200:
            return None
        for_all = {code, "pool_not_open", "duplicate_in_request", "invalid_request"}
        if "results" in first.json:
            codes = [each.get("code") for each in first.json["results"] if each["id"] != "no id"]
        else:
            codes = [first.json.get("code")]
        return None if for_all.issuperset(codes) else code

    def as_now(self, who: str, shown: dict[str, Any]) -> dict[str, Any]:
        """Return the customer of an earlier response with the fields that the user may see now."""
        pool, customer = shown["pool_id"], shown["id"]
        known = self.model.customers.get((pool, customer))
        gone = known is None or known.created != ms(shown["created_at"])
        if gone or Request(self.model, who, pool, self.world.clock.now).hides(self.model.customers[pool, customer]):
            return shown | {"name": None, "fields": None, "masked": False}
        now = self.model.seen(pool, customer, who, self.world.clock.now)
        return shown | {name: now[name] for name in ("name", "fields", "masked")}

    def again_of(self, user: str, process: int) -> None:
        """Repeat the latest keyed request of that user, who may see less or more than before."""
        for sent in [each for each in self.remembered() if each.who == user][-1:]:
            self.again(sent, process)

    def remembered(self, which: int | None = None) -> list[Sent]:
        """Return the requests whose keys have not expired, or one of them."""
        those = [each for each in self.sent if self.world.clock.now - each.at < FORGOTTEN_AFTER]
        return those if which is None or not those else [those[which % len(those)]]

    def same(self, pools: str = "pq") -> None:
        """Compare everything that a manager can see with the model."""
        tally.count("steps of the model")
        for pool in pools:
            mona, now = self.user("mona", pool), self.world.clock.now
            seen = {each["id"]: plain(each) for each in mona.walk("/customers")}
            self.name_claims(pool, seen)
            expected = self.model.shown(pool)
            assert seen == {customer: as_row(shown) for customer, shown in expected.items()}
            if seen:
                whole = mona.get(f"/customers?ids={','.join(seen)}").json["items"]
                assert [plain(each) for each in whole] == [expected[each] for each in seen]
            people = {each["user_id"]: each for each in mona.walk("/members")}
            members = {user: self.model.member_shown(pool, user, now) for at, user in self.model.members if at == pool}
            for user, shown in people.items():
                assert {name: value for name, value in shown.items() if name != "resets_at"} == members.pop(user)
            assert not members
            shown, home = mona.request("GET", f"/v1/pools/{pool}").json, self.model.pools[pool]
            assert (shown["status"], shown["version"]) == (home.status, home.version)

    def erased_are_listed(self, pool: str) -> None:
        listed = {each["id"]: each["suppressed"] for each in self.user("mona", pool).walk("/erased")}
        erased = sorted(customer for at, customer in self.model.erased if at == pool)
        assert listed == {customer: (pool, customer) in self.model.suppressed for customer in erased}

    def as_they_see_it(self, who: str, pool: str) -> None:
        """Compare the list and the notes that this member can see with the model."""
        user, now = self.user(who, pool), self.world.clock.now
        listed, req = user.walk("/customers"), Request(self.model, who, pool, now)
        assert {each["id"] for each in listed} == {each.id for each in self.model.of_pool(pool) if not req.hides(each)}
        for shown in listed:
            assert plain(shown) == as_row(self.model.seen(pool, shown["id"], who, now))
            events = user.walk(f"/customers/{shown['id']}/history")
            assert all(each["reason"] is None for each in events if each["masked"])
            known = self.model.customers[pool, shown["id"]]
            written_events = [each for each in events if each["masked"] or each["reason"]]
            notes = {each["seq"]: each["reason"] for each in written_events if each["reason"] not in BY_THE_SERVICE}
            assert notes == self.model.notes_seen(known, who, now)
            assert {each["seq"]: each["changed"] for each in events if each["changed"]} == known.changes

    def finds_what_they_see(self, who: str, pool: str, city: str, text: str) -> None:
        """Compare a filter, a search and the order by name with the customers whose values this member sees in full."""
        user, now = self.user(who, pool), self.world.clock.now
        req = Request(self.model, who, pool, now)
        visible = [each for each in self.model.of_pool(pool) if not req.hides(each)]
        named = {
            each.id: each.name for each in visible if self.model.seen(pool, each.id, who, now)["name"] == each.name
        }
        filtered, searched, by_name = (
            user.get(f"/customers?limit=100&{wish}") for wish in (f"filter=city:{city}", f"q={text}", "sort=name")
        )
        assert set(filtered.ids) == {each.id for each in visible if each.city == city}
        assert set(searched.ids) == {each for each, name in named.items() if text in name.casefold()}
        if "name" in (self.model.pools[pool].policy.get("masked_fields") or ()) and not req.manages:
            assert (by_name.status, by_name.code) == (403, "not_manager")
        else:
            assert set(by_name.ids) == named.keys()
            assert [named[each] for each in by_name.ids] == sorted(named.values())

    def name_claims(self, pool: str, seen: dict[str, dict[str, Any]]) -> None:
        """Store the ids of new claims, which no claim had before."""
        for each in self.model.of_pool(pool):
            if each.claim is not None and each.claim.id is None and each.id in seen:
                each.claim.id = seen[each.id]["claim_id"]
                assert each.claim.id not in self.claims
                self.claims.add(str(each.claim.id))

    def one(
        self, how: How, who: str, pool: str, customer: str, verb: str, do: Callable[[Request], Any], body: Any = None,
        method: str = "POST",
    ) -> None:  # fmt: skip
        """Send a verb of one customer and compare the customer in the response."""
        known = self.model.customers.get((pool, customer))
        path = f"/customers/{customer}{verb}"
        reply, _ = self.send(how, who, pool, path, body, do, method, version=known.version if known else 1)
        self.same()
        if reply.status == 200:
            moment = self.world.clock.now - 1  # of the request
            assert plain(reply.json) == self.model.seen(reply.json["pool_id"], customer, who, moment)

    def many(
        self, how: How, who: str, pool: str, verb: str, chosen: list[str], atomic: bool, do: Callable[[Request], Any],
        **more: Any,
    ) -> None:  # fmt: skip
        self.send(how, who, pool, verb, {"customer_ids": chosen, "atomic": atomic} | present(**more), do)
        self.same()

    def by_holder(self, own: bool, who: str, pool: str, customer: str, state: str = "claimed") -> tuple[str, str, str]:
        """If `own`, return a customer in that state, its pool and its holder, or the caller who manages the pool.

        Without such a customer, or without `own`, return what is given.
        """
        held = [each for each in self.model.customers.values() if each.state == state] if own else []
        if not held:
            return who, pool, customer
        chosen = held[int(customer.removeprefix("c")) % len(held)]
        return who if who in MANAGERS else str(chosen.holder), chosen.pool, chosen.id

    def claim_id(self, pool: str, customer: str, known: str | None) -> str | None:
        """Return the id of the claim that the client sends."""
        found = self.model.customers.get((pool, customer))
        current = found.claim.id if found is not None and found.claim is not None else "none"
        return current if known == "current" else known

    def room_was_made(self, req: Request, taken: list[str]) -> bool:
        """Return True if the service returned the caller's expired claims first; it must where the headroom was too
        small.
        """
        expired = [each for each in self.model.held_by(req.pool, req.who) if req.expired(each)]
        if not expired:
            return False
        shown = {each["id"]: each for each in self.user("mona", req.pool).walk("/customers")}
        return any(shown[each.id]["version"] > each.version for each in expired if each.id not in taken)

    def heard(self) -> None:
        """Wait until every process has reloaded the changed pool."""
        self.world.clock.forward(POOL_CACHE_MS)
        self.same()
