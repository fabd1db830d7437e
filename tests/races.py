"""Races: a few requests that are sent at once, and what must be true however their calls of the engine interleave.

Each function sets its world up and says who does what. A proof plays it in schedule after schedule, each time from the
world as it was set up. Unless a race says otherwise, its answers and the whole table afterwards must be those of some
order in which the requests might have come one by one.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec

from chalicelib.layout import events_record, page_record, plain_item
from chalicelib.table import Table
from chalicelib.times import rfc3339
from tests.audit import assert_no_key_twice, assert_sound
from tests.memory import Items, Memory, memory_table
from tests.schedules import Ran, Tape, park, run
from tests.world import DAY, HOUR, MINUTE, START, Clock, Reply, World, everything

Memories = Literal["cold", "warm", "shared"]
Sent = Callable[[World], Any]  # is given a world with a process of its own
Shape = tuple[str, ...]


@dataclass(frozen=True)
class Race:
    """`sent` is what each worker does. `so` is the race's own statement about the world and the results afterwards.
    `serial`: all of it could have come of some order. `sees` are the customers that a warm process has seen before."""

    sent: Sequence[Sent]
    so: Callable[[World, list[Any]], None] = lambda world, results: None
    serial: bool = True
    sees: Sequence[str] = ("c1",)


SetUp = Callable[[World], Race]
RACES: list[SetUp] = []


def race(set_up: SetUp) -> SetUp:
    RACES.append(set_up)
    return set_up


class Arena:
    """One race set up, to be run again and again: `memories` says what the processes know when it begins."""

    def __init__(self, set_up: SetUp, memories: Memories = "cold", kind: type[Table] = Table) -> None:
        self.name = set_up.__name__
        self.engine = Memory()
        self.table = memory_table(self.engine, kind)
        world = World(memory_table(self.engine))
        self.race, self.memories = set_up(world), memories
        self.start: Items = dict(self.engine.items)
        self.now = world.clock.now
        self.last: Shape = ()
        self._orders: set[Shape] | None = None

    def run(self, tape: Tape, *, torn: bool = False) -> Ran:
        """Plays that schedule, and asserts all that must be true after it."""
        (world, jobs), ran = self._begin(), Ran()
        try:
            self._run(jobs, tape, ran, torn)
            self._check(world, ran.results)
        except Exception as error:
            error.add_note(f"in the schedule {ran.told()}")
            error.add_note(f"to play it again: {self._again(ran, torn)}")
            raise
        return ran

    def _run(self, jobs: Sequence[Callable[[], Any]], tape: Tape, ran: Ran, torn: bool) -> None:
        self.engine.before, self.engine.torn = park, torn
        try:
            run(jobs, tape, ran)
        finally:
            self.engine.before, self.engine.torn = lambda call: None, False

    def _again(self, ran: Ran, torn: bool) -> str:
        """The command that plays exactly this schedule."""
        turns = "".join(map(str, ran.turns)).rstrip("0") or "0"
        return f".venv/bin/python -m tests.again {self.name} {self.memories} {'torn' if torn else 'whole'} {turns}"

    def _check(self, world: World, results: list[Any]) -> None:
        shape = shape_of(results, self.table)
        self.last = shape
        assert_sound(self.table)
        self.race.so(world, results)
        if self.race.serial:
            assert shape in self._serial(), f"no order of the requests comes to this: {shape}"

    def _begin(self) -> tuple[World, list[Callable[[], Any]]]:
        self.engine.load(self.start)
        world = anew(World(self.table, Clock(self.now)))
        processes = [process(world, self.memories) for _ in self.race.sent]
        if self.memories == "warm":
            for each in processes:
                for customer in self.race.sees:
                    each.user("mona").get(f"/customers/{customer}")
        return world, [partial(sent, its) for sent, its in zip(self.race.sent, processes, strict=True)]

    def _serial(self) -> set[Shape]:
        """What comes of the requests one by one, in every order."""
        if self._orders is None:
            self._orders = {self._in_order(order) for order in itertools.permutations(range(len(self.race.sent)))}
        return self._orders

    def _in_order(self, order: Sequence[int]) -> Shape:
        _, jobs = self._begin()
        results = {number: jobs[number]() for number in order}
        return shape_of([results[number] for number in range(len(jobs))], self.table)


def shape_of(results: Sequence[Any], table: Table) -> Shape:
    """Every answer and every item but the journals and the logs of imports, without the names of new ids."""
    answers = [f"{each.status} {each.text}" if isinstance(each, Reply) else str(each) for each in results]
    items = [item for item in everything(table) if not re.search("#[KI]#", item["pk"]["S"])]
    stored = [json.dumps(_readable(item), sort_keys=True) for item in items]
    return (*map(_unnamed, answers), *sorted(map(_unnamed, stored)))


def _readable(item: Any) -> Any:
    """As text, with the events unpacked: their ids are new ones too."""
    packed = {"tail": events_record, "events": page_record}
    told = {name: msgspec.json.encode(read(item)).decode() for name, read in packed.items() if name in item}
    return {name: str(content) for name, content in (plain_item(item) | told).items()}


def _unnamed(text: str) -> str:
    return re.sub(r"\b(new)?\d{6}\b", "#", text)


def anew(world: World) -> World:
    """That world from now on: what is minted is told from what was minted while it was set up."""
    minted = itertools.count(1)
    world.mint = lambda: f"new{next(minted):06d}"
    world.service = world.another_process()
    return world


def process(world: World, memories: Memories = "cold") -> World:
    """The same world, seen through a process with a memory of its own, unless it is to be shared."""
    other = copy.copy(world)
    other.service = world.service if memories == "shared" else world.another_process()
    return other


def earlier(ms: int, sent: Sent) -> Sent:
    """The same, sent so much earlier: its process has a clock that is behind."""

    def send(world: World) -> Any:
        world.clock = Clock(world.clock.now - ms)
        world.service = type(world.service)(world.service.backend, world.clock)
        return sent(world)

    return send


def codes(results: Sequence[Any]) -> list[str]:
    return sorted("ok" if reply.status in (200, 201) else reply.code for reply in results)


def swept(world: World) -> int:
    """A round of the schedule; how much of it failed."""
    return world.sweep().failed


def asked(user: str, method: str, path: str, body: Any = None, **headers: str) -> Sent:
    """One request of that user; root is an admin."""
    return lambda world: world.user(user, admin=user == "root").request(method, path, body, **headers)


def put_limit(world: World, user: str, limit: int) -> Reply:
    root = world.user("root", admin=True)
    return root.request("PUT", f"/v1/pools/p/members/{user}", {"role": "member", "holding_limit": limit})


def as_root(world: World, verb: str, body: Any = None) -> Reply:
    return world.user("root", admin=True).post(f"/{verb}", body)


# Claims


@race
def two_members_claim_one_customer(world: World) -> Race:
    world.pool()
    world.fill(1)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]

    return Race([lambda w: w.user("alice").claim("c1"), lambda w: w.user("bob").claim("c1")], so)


@race
def three_members_claim_one_customer(world: World) -> Race:
    world.pool(members="alice bob carl")
    world.fill(1)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "already_claimed", "ok"]

    return Race([lambda w, name=name: w.user(name).claim("c1") for name in ("alice", "bob", "carl")], so)


@race
def a_member_with_room_for_one_claims_two(world: World) -> Race:
    world.pool(holding_limit=1)
    world.fill(2)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["holding_limit", "ok"]
        assert world.user("alice").held() == 1

    return Race([lambda w, c=c: w.user("alice").claim(c) for c in ("c1", "c2")], so, sees=("c1", "c2"))


@race
def a_member_whose_room_is_taken_by_a_lapsed_claim_claims_two(world: World) -> Race:
    world.pool(holding_limit=1, claim_ttl="PT1H")
    world.fill(3)
    world.user("alice").claim("c3")
    world.clock.forward(HOUR)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["holding_limit", "ok"]
        assert world.user("alice").held() == 1

    return Race([lambda w, c=c: w.user("alice").claim(c) for c in ("c1", "c2")], so, sees=("c1", "c2", "c3"))


@race
def the_first_two_claims_of_a_new_day_at_a_daily_limit_of_one(world: World) -> Race:
    world.pool(daily_claim_limit=1)
    world.fill(3)
    world.user("alice").claim("c1")
    world.clock.forward(DAY)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["daily_limit", "ok"]
        assert world.user("alice").get("/members/me").json["claimed_today"] == 1

    return Race([lambda w, c=c: w.user("alice").claim(c) for c in ("c2", "c3")], so, sees=("c2", "c3"))


@race
def a_limit_is_lowered_while_its_member_claims(world: World) -> Race:
    world.pool()
    world.fill(3)
    put_limit(world, "alice", 2)

    def so(world: World, results: list[Any]) -> None:
        assert results[2].status == 200
        assert world.user("alice").held() == codes(results[:2]).count("ok") >= 1
        assert world.user("alice").claim("c3").code == "holding_limit"

    claims = [lambda w, c=c: w.user("alice").claim(c) for c in ("c1", "c2")]
    return Race([*claims, lambda w: put_limit(w, "alice", 1)], so, sees=("c1", "c2"))


@race
def two_batches_overlap_in_opposite_order(world: World) -> Race:
    world.pool(holding_limit=2)
    ids = world.fill(3)

    def so(world: World, results: list[Any]) -> None:
        won = [each["id"] for reply in results for each in reply.json["results"] if each["ok"]]
        assert sorted(won) == ids, "each is won once"
        assert {world.user("alice").held(), world.user("bob").held()} == {1, 2}

    batches = [lambda w: w.user("alice").claim_batch(ids), lambda w: w.user("bob").claim_batch(ids[::-1])]
    return Race(batches, so, serial=False, sees=ids)


@race
def two_atomic_batches_overlap(world: World) -> Race:
    world.pool()
    ids = world.fill(3)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["already_claimed", "ok"]
        assert {world.user("alice").held(), world.user("bob").held()} == {0, 2}

    batches = [
        lambda w: w.user("alice").claim_batch(ids[:2], atomic=True),
        lambda w: w.user("bob").claim_batch(ids[:0:-1], atomic=True),
    ]
    return Race(batches, so, sees=ids)


@race
def two_members_take_the_next(world: World) -> Race:
    world.pool()
    world.fill(3)

    def so(world: World, results: list[Any]) -> None:
        taken = [each["id"] for reply in results for each in reply.json["items"]]
        assert len(taken) == len(set(taken)) == 2

    return Race([lambda w: w.user("alice").claim_next(), lambda w: w.user("bob").claim_next()], so, serial=False)


@race
def two_members_want_the_last_two(world: World) -> Race:
    world.pool(holding_limit=2)
    world.fill(2)

    def so(world: World, results: list[Any]) -> None:
        taken = [each["id"] for reply in results for each in reply.json["items"]]
        assert sorted(taken) == ["c1", "c2"]

    nexts = [lambda w: w.user("alice").claim_next(2), lambda w: w.user("bob").claim_next(2)]
    return Race(nexts, so, serial=False, sees=("c1", "c2"))


# Deadlines


def _held_for_an_hour(world: World, **policy: Any) -> None:
    """Alice holds c1, and this is the moment at which her claim ends."""
    world.pool(claim_ttl="PT1H", **policy)
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(HOUR)


@race
def a_claim_and_a_sweep_at_the_instant_of_expiry(world: World) -> Race:
    _held_for_an_hour(world)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and results[1] == 0
        assert world.user("mona").events("c1") == ["imported", "claimed", "expired", "claimed"]

    return Race([lambda w: w.user("bob").claim("c1"), swept], so)


@race
def two_claims_and_a_sweep_at_the_instant_of_expiry(world: World) -> Race:
    _held_for_an_hour(world)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results[:2]) == ["already_claimed", "ok"]
        assert world.user("mona").events("c1").count("expired") == 1

    return Race([lambda w: w.user("bob").claim("c1"), lambda w: w.user("mona").claim("c1"), swept], so)


@race
def two_sweeps_at_once(world: World) -> Race:
    _held_for_an_hour(world)

    def so(world: World, results: list[Any]) -> None:
        assert results == [0, 0]
        assert world.user("mona").events("c1").count("expired") == 1

    return Race([swept, swept], so)


def extend(world: World, user: str = "alice") -> Reply:
    return world.user(user).post("/customers/c1/extend", {"by": "PT1H"})


@race
def an_extension_a_millisecond_before_expiry_and_a_sweep(world: World) -> Race:
    _held_for_an_hour(world, members_may_extend=True)

    def so(world: World, results: list[Any]) -> None:
        extended, customer = results[0].status == 200, world.user("mona").customer("c1")
        assert extended == (customer["holder"] == "alice")
        assert customer["expires_at"] == (rfc3339(START + 2 * HOUR + 1) if extended else None)

    return Race([earlier(1, extend), swept], so)


@race
def an_extension_at_the_instant_of_expiry_and_a_sweep(world: World) -> Race:
    _held_for_an_hour(world, members_may_extend=True)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].code in ("expired", "not_claimed") and results[1] == 0
        assert world.user("alice").held() == 0

    return Race([extend, swept], so)


@race
def two_extensions_where_one_is_allowed(world: World) -> Race:
    _held_for_an_hour(world, members_may_extend=True, max_extensions=1)
    world.clock.forward(-MINUTE)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["extension_limit", "ok"]

    return Race([extend, lambda w: extend(w, "mona")], so)


@race
def two_equal_extensions_in_one_millisecond(world: World) -> Race:
    _held_for_an_hour(world, members_may_extend=True)
    world.clock.forward(-MINUTE)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "ok"]
        ends = sorted(reply.json["expires_at"] for reply in results)
        assert ends == [rfc3339(START + 2 * HOUR + 1), rfc3339(START + 3 * HOUR + 1)]

    return Race([extend, extend], so)


@race
def a_win_a_millisecond_before_expiry_and_a_claim_after_it(world: World) -> Race:
    _held_for_an_hour(world)

    def so(world: World, results: list[Any]) -> None:
        assert "ok" in codes(results)

    won = earlier(1, lambda w: w.user("alice").post("/customers/c1/win"))
    return Race([won, lambda w: w.user("bob").claim("c1")], so)


@race
def two_pins_where_one_is_allowed(world: World) -> Race:
    world.pool(pin_limit=1, claim_ttl="P1D")
    world.fill(2)
    world.user("alice").claim_batch(["c1", "c2"])

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "pin_limit"]

    def pin(world: World, customer: str) -> Reply:
        return world.user("alice").post(f"/customers/{customer}/pin", {"until": rfc3339(START + 3 * DAY)})

    return Race([lambda w: pin(w, "c1"), lambda w: pin(w, "c2")], so, sees=("c1", "c2"))


@race
def a_claim_in_place_of_a_lapsed_one_and_a_sweep(world: World) -> Race:
    _held_for_an_hour(world, holding_limit=1)
    world.fill(1, prefix="d")

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200, "one's own lapsed claims never block the headroom"

    return Race([lambda w: w.user("alice").claim("d1"), swept], so, serial=False, sees=("c1", "d1"))


# One customer, two verbs


def _held(world: World, **policy: Any) -> None:
    world.pool(members="alice bob carl", **policy)
    world.fill(1)
    world.user("alice").claim("c1")


def verb(user: str, name: str, **body: Any) -> Sent:
    return lambda world: world.user(user).post(f"/customers/c1/{name}", body)


@race
def a_release_and_an_assignment(world: World) -> Race:
    _held(world)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200

    return Race([verb("alice", "release"), verb("mona", "assign", to="bob")], so)


@race
def a_release_and_an_assignment_and_a_claim(world: World) -> Race:
    _held(world)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and codes(results[1:]).count("ok") <= 1

    return Race([verb("alice", "release"), verb("mona", "assign", to="bob"), verb("carl", "claim")], so)


@race
def a_conversion_and_a_release(world: World) -> Race:
    _held(world)
    return Race([verb("mona", "convert"), verb("alice", "release")])


@race
def a_transfer_and_a_release(world: World) -> Race:
    _held(world)
    return Race([verb("mona", "transfer", to="bob"), verb("alice", "release")])


@race
def two_transfers_of_one_customer(world: World) -> Race:
    _held(world, holding_limit=1)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "ok"]

    return Race([verb("mona", "transfer", to="bob"), verb("mona", "transfer", to="carl")], so)


@race
def two_releases_of_one_claim(world: World) -> Race:
    _held(world)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["not_claimed", "ok"]

    return Race([verb("alice", "release", reason="mine"), verb("mona", "release", reason="hers")], so)


@race
def two_wins_of_one_claim_and_an_edit(world: World) -> Race:
    _held(world)
    edited = {"fields": {"phone": "+49 30 1234567"}}
    edit = asked("mona", "PATCH", "/v1/pools/p/customers/c1", edited)
    return Race([verb("alice", "win"), verb("mona", "win"), edit])


@race
def two_edits_and_a_claim(world: World) -> Race:
    world.pool()
    world.fill(1)

    def edit(world: World, **fields: str) -> Reply:
        return world.user("mona").request("PATCH", "/v1/pools/p/customers/c1", {"fields": fields})

    edits: list[Sent] = [lambda w: edit(w, size="12"), lambda w: edit(w, city="Bonn")]
    return Race([*edits, verb("bob", "claim")])


@race
def a_deposit_into_another_pool_and_an_edit_and_a_claim(world: World) -> Race:
    _held(world)
    world.pool("q", members="alice")
    world.user("alice").post("/customers/c1/win")
    edit = asked("mona", "PATCH", "/v1/pools/p/customers/c1", {"name": "Other"})

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200
        assert world.user("mona").get("/customers/c1").status == 404
        assert world.user("mona", pool="q").customer("c1")["state"] == "available"

    return Race([verb("alice", "deposit", pool="q"), edit, verb("bob", "claim")], so)


@race
def a_deposit_and_a_claim_in_the_pool_where_it_lands(world: World) -> Race:
    _held(world)
    world.pool("q", members="alice bob")
    world.user("alice").post("/customers/c1/win")
    return Race([verb("alice", "deposit", pool="q"), lambda w: w.user("bob", pool="q").claim("c1")])


@race
def two_deposits_into_two_pools(world: World) -> Race:
    _held(world)
    world.pool("q", members="alice")
    world.pool("r", members="alice")
    world.user("alice").post("/customers/c1/win")

    def so(world: World, results: list[Any]) -> None:
        assert codes(results).count("ok") == 1

    return Race([verb("alice", "deposit", pool="q"), verb("mona", "deposit", pool="r")], so)


# A pool as a whole


@race
def a_pause_and_a_claim_and_an_extension(world: World) -> Race:
    world.pool(claim_ttl="PT1H", members_may_extend=True)
    world.fill(2)
    world.user("alice").claim("c1")

    def so(world: World, results: list[Any]) -> None:
        world.clock.forward(DAY)
        assert as_root(world, "resume").json["status"] == "open"
        ends = {each: world.user("mona").customer(each)["expires_at"] for each in ("c1", "c2")}
        assert ends["c1"] == rfc3339(START + 1 + (2 if results[2].status == 200 else 1) * HOUR + DAY)
        assert ends["c2"] == (rfc3339(START + 1 + HOUR + DAY) if results[1].status == 200 else None)

    return Race([lambda w: as_root(w, "pause"), lambda w: w.user("bob").claim("c2"), extend], so, sees=("c1", "c2"))


@race
def a_resumption_and_a_follow_up(world: World) -> Race:
    world.pool(idle_ttl="PT1H", follow_up_restarts_clock=True)
    world.fill(1)
    world.user("alice").claim("c1")
    world.clock.forward(30 * MINUTE)
    as_root(world, "pause")
    world.clock.forward(DAY)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].json["status"] == "open"
        left = HOUR if results[1].status == 200 else 30 * MINUTE
        assert world.user("mona").customer("c1")["expires_at"] == rfc3339(world.clock() + left)

    return Race([lambda w: as_root(w, "resume"), verb("alice", "follow-up")], so, serial=False)


@race
def a_resumption_and_a_sweep(world: World) -> Race:
    world.pool(claim_ttl="PT1H")
    world.fill(1)
    world.user("alice").claim("c1")
    as_root(world, "pause")
    world.clock.forward(DAY)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].json["status"] == "open" and results[1] == 0
        assert world.user("mona").customer("c1")["expires_at"] == rfc3339(world.clock() + HOUR)
        assert world.user("mona").events("c1").count("updated") == 1

    return Race([lambda w: as_root(w, "resume"), swept], so, serial=False)


@race
def one_policy_for_all_claims_is_set_while_a_sweep_is_on(world: World) -> Race:
    _held_for_an_hour(world)
    world.clock.forward(-1)
    body = {"policy": {"claim_ttl": "PT5H"}, "apply_to": "all"}

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200
        assert world.user("mona").customer("c1")["expires_at"] == rfc3339(START + 1 + 5 * HOUR)

    return Race([asked("mona", "PATCH", "/v1/pools/p", body, if_match="1"), swept], so, serial=False)


@race
def a_closing_and_a_claim_and_a_sweep(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim("c1")

    def so(world: World, results: list[Any]) -> None:
        world.sweep()
        assert (world.user("alice").held(), world.user("bob").held()) == (0, 0)

    closing = asked("root", "POST", "/v1/pools/p/close", {"mode": "drain"})
    return Race([closing, lambda w: w.user("bob").claim("c2"), swept], so, serial=False, sees=("c1", "c2"))


def _spreading(world: World, shards: int = 4) -> None:
    """A pool of three customers that is on its way to so many shards, at the moment when its lists are gone through."""
    world.pool(claim_ttl="PT1H")
    world.fill(3)
    world.user("root", admin=True).post("/spread", {"shards": shards})
    world.clock.forward(15 * MINUTE)


def _whole(world: World, taken: int) -> None:
    """The lists of the pool have everybody, also once all has been moved."""
    for _ in range(2):
        states = [each["state"] for each in world.user("mona").walk("/customers")]
        assert states.count("claimed") == taken == len(world.user("mona").walk("/customers?state=claimed"))
        assert len(world.user("mona").walk("/customers?state=available")) == 3 - taken
        world.sweep()


@race
def a_claim_while_the_pool_is_spread(world: World) -> Race:
    _spreading(world)

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and results[1] == 0
        _whole(world, 1)

    return Race([lambda w: w.user("alice").claim("c1"), swept], so)


@race
def claim_next_while_the_pool_is_spread(world: World) -> Race:
    _spreading(world)

    def so(world: World, results: list[Any]) -> None:
        assert len(results[0].json["items"]) == 2 and results[1] == 0
        _whole(world, 2)

    return Race([lambda w: w.user("alice").claim_next(2), swept], so, serial=False)


@race
def a_spread_and_a_claim_and_a_release(world: World) -> Race:
    world.pool()
    world.fill(3)
    world.user("bob").claim("c2")

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "ok", "ok"]
        world.clock.forward(15 * MINUTE)
        _whole(world, 1)

    spread = asked("root", "POST", "/v1/pools/p/spread", {"shards": 4})
    both = [lambda w: w.user("alice").claim("c1"), lambda w: w.user("bob").release("c2")]
    return Race([spread, *both], so, sees=("c1", "c2"))


@race
def a_sweep_while_the_pool_is_spread(world: World) -> Race:
    world.pool(claim_ttl="PT1H")
    world.fill(3)
    world.user("alice").claim_batch(["c1", "c2"])
    world.user("root", admin=True).post("/spread", {"shards": 4})
    world.clock.forward(HOUR)

    def so(world: World, results: list[Any]) -> None:
        assert results[:2] == [0, 0] and results[2].status == 200
        assert world.user("mona").events("c1")[:3] == ["imported", "claimed", "expired"]
        _whole(world, 1)

    return Race([swept, swept, lambda w: w.user("bob").claim("c1")], so, sees=("c1", "c2"), serial=False)


@race
def a_pool_is_deleted_while_a_customer_enters_it(world: World) -> Race:
    world.pool()

    def so(world: World, results: list[Any]) -> None:
        deleted, created = (reply.status in (200, 201) for reply in results)
        assert not (deleted and created)
        assert (world.user("mona").get().status == 404) == deleted

    delete = asked("root", "DELETE", "/v1/pools/p")
    return Race([delete, lambda w: w.user("mona").create("c1")], so, serial=False, sees=())


@race
def two_changes_of_one_policy(world: World) -> Race:
    world.pool(claim_ttl="PT1H")

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) == ["ok", "version_conflict"]

    def change(world: World, **policy: Any) -> Reply:
        return world.user("mona").request("PATCH", "/v1/pools/p", {"policy": policy}, if_match="1")

    return Race([lambda w: change(w, claim_ttl="PT2H"), lambda w: change(w, holding_limit=3)], so, sees=())


@race
def a_policy_for_all_claims_and_an_extension_and_a_release(world: World) -> Race:
    _held(world, claim_ttl="PT1H", members_may_extend=True)
    body = {"policy": {"claim_ttl": "PT5H"}, "apply_to": "all"}

    def so(world: World, results: list[Any]) -> None:
        hours = 5 + (results[1].status == 200)
        ends = None if results[2].status == 200 else rfc3339(START + 1 + hours * HOUR)
        assert world.user("mona").customer("c1")["expires_at"] == ends

    change = asked("mona", "PATCH", "/v1/pools/p", body, if_match="1")
    return Race([change, extend, verb("alice", "release")], so, serial=False)


# Members


@race
def a_member_is_removed_while_claiming(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim("c1")

    def so(world: World, results: list[Any]) -> None:
        assert results[0].status == 200 and codes(results[1:])[0] in ("ok", "not_a_member")
        states = [world.user("mona").customer(each)["state"] for each in ("c1", "c2")]
        assert states == ["available", "available"]

    remove = asked("mona", "DELETE", "/v1/pools/p/members/alice?held=release")
    return Race([remove, lambda w: w.user("alice").claim("c2")], so, serial=False, sees=("c1", "c2"))


@race
def a_member_is_removed_while_handing_over(world: World) -> Race:
    _held(world)

    def so(world: World, results: list[Any]) -> None:
        holder = world.user("mona").customer("c1")["holder"]
        assert results[0].status == 200 and holder in ("bob", "carl")

    remove = asked("mona", "DELETE", "/v1/pools/p/members/alice?held=transfer&to=bob")
    return Race([remove, verb("mona", "transfer", to="carl")], so, serial=False)


@race
def an_assignment_to_a_member_who_is_removed(world: World) -> Race:
    world.pool()
    world.fill(1)

    def so(world: World, results: list[Any]) -> None:
        assert codes(results) in (["member_has_claims", "ok"], ["not_a_member", "ok"])

    remove = asked("mona", "DELETE", "/v1/pools/p/members/alice")
    return Race([verb("mona", "assign", to="alice"), remove], so)


# Imports


@race
def two_imports_of_one_phone_number(world: World) -> Race:
    world.pool()

    def so(world: World, results: list[Any]) -> None:
        assert sorted(word for reply in results for word in reply.results) == ["duplicate_customer", "ok"]
        assert len(world.user("mona").walk("/customers")) == 1
        assert_no_key_twice(world.table)

    return Race([lambda w: by_phone(w, "reject", "A"), lambda w: by_phone(w, "reject", "B")], so, sees=())


@race
def two_imports_of_one_phone_number_that_update(world: World) -> Race:
    world.pool()

    def so(world: World, results: list[Any]) -> None:
        assert [word for reply in results for word in reply.results] == ["ok", "ok"]
        assert len(world.user("mona").walk("/customers")) == 1
        assert_no_key_twice(world.table)

    return Race([lambda w: by_phone(w, "update", "A"), lambda w: by_phone(w, "update", "B")], so, sees=())


@race
def an_import_by_phone_and_an_edit_of_the_phone_number(world: World) -> Race:
    world.pool()
    by_phone(world, "reject", "A", id="c1")
    said = {"fields": {"phone": "+49 30 7654321"}}
    edit = asked("mona", "PATCH", "/v1/pools/p/customers/c1", said)
    return Race([lambda w: by_phone(w, "update", "B", id="c2"), edit])


def by_phone(world: World, on_duplicate: str, name: str, id: str | None = None, **headers: str) -> Reply:
    row: dict[str, Any] = {"name": name, "fields": {"phone": "+49 30 1234567"}} | ({"id": id} if id else {})
    body = {"rows": [row], "key": "phone", "on_duplicate": on_duplicate}
    return world.user("mona").post("/import", body, **headers)


# One Idempotency-Key, sent three times


def _thrice(sent: Sent, so: Callable[[World, Reply], None], sees: Sequence[str] = ("c1",)) -> Race:
    def all_alike(world: World, results: list[Any]) -> None:
        assert len({(reply.status, reply.text) for reply in results}) == 1
        assert sum("Idempotent-Replayed" not in reply.headers for reply in results) == 1
        so(world, results[0])

    return Race([sent] * 3, all_alike, serial=False, sees=sees)


@race
def a_claim_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(1)

    def so(world: World, reply: Reply) -> None:
        assert reply.status == 200
        assert world.user("mona").events("c1") == ["imported", "claimed"]

    return _thrice(lambda w: w.user("alice").claim("c1", idempotency_key="k"), so)


@race
def a_release_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim_batch(["c1", "c2"])

    def so(world: World, reply: Reply) -> None:
        assert reply.status == 200 and world.user("alice").held() == 1

    return _thrice(lambda w: w.user("alice").release("c1", idempotency_key="k"), so)


@race
def a_batch_with_one_key_sent_three_times(world: World) -> Race:
    world.pool(holding_limit=2)
    ids = world.fill(3)
    world.user("bob").claim("c1")

    def so(world: World, reply: Reply) -> None:
        assert reply.results == ["already_claimed", "ok", "ok"] and world.user("alice").held() == 2

    return _thrice(lambda w: w.user("alice").claim_batch(ids, idempotency_key="k"), so, ids)


@race
def claim_next_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(5)

    def so(world: World, reply: Reply) -> None:
        assert len(reply.json["items"]) == world.user("alice").held() == 2

    return _thrice(lambda w: w.user("alice").claim_next(2, idempotency_key="k"), so)


@race
def an_import_by_phone_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()

    def so(world: World, reply: Reply) -> None:
        assert reply.results == ["ok"] and len(world.user("mona").walk("/customers")) == 1

    return _thrice(lambda w: by_phone(w, "reject", "A", idempotency_key="k"), so, ())


@race
def a_removal_with_one_key_sent_three_times(world: World) -> Race:
    world.pool()
    world.fill(2)
    world.user("alice").claim_batch(["c1", "c2"])
    path = "/v1/pools/p/members/alice?held=release"

    def so(world: World, reply: Reply) -> None:
        assert reply.status == 200 and world.user("alice").get("/members/me").code == "not_a_member"
        assert [world.user("mona").events(each).count("reclaimed") for each in ("c1", "c2")] == [1, 1]

    return _thrice(lambda w: w.user("mona").request("DELETE", path, idempotency_key="k"), so, ("c1", "c2"))
