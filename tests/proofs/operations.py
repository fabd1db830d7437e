"""Every operation that writes, each with a world to run it in: the table of cases for proofs about faults and kills.

A `Trial` runs one operation on the in-memory engine from the same world each time, with one disturbance. The
requirement is the same for all: together with its repetition under the same Idempotency-Key, the disturbed operation
has the response and the table of the undisturbed one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from chalicelib.dynamodb.table import Table
from chalicelib.model.times import rfc3339
from tests.proofs.race_runner import Shape, shape_of, with_new_ids
from tests.support.audit import assert_sound
from tests.support.dynamodb_calls import Crash, failing
from tests.support.memory import Memory, memory_table
from tests.support.world import DAY, HOUR, MINUTE, START, Clock, Reply, World

Key = str | None
UNSURE = ("outcome_unknown", "store_unavailable", "throttled")


@dataclass(frozen=True, eq=False)
class Operation:
    """A request by a user of the world that `set_up` creates. `finds`: it reads an index, and may find less while the
    index is late. `reports`: its response counts the work of this very run. `recognizable`: it writes an event that
    identifies an earlier transaction even without key or token.
    """

    name: str
    set_up: Callable[[World], Any]
    who: str
    method: str
    path: str
    body: Any = None
    if_match: str | None = None
    finds: bool = False
    reports: bool = False

    @property
    def recognizable(self) -> bool:
        return "customer" in self.path or "customer" in str(self.body)

    def send(self, world: World, key: Key) -> Reply:
        headers = {"idempotency_key": key} if key else {}
        headers |= {"if_match": self.if_match} if self.if_match else {}
        user = world.user(self.who, admin=self.who == "root")
        return user.request(self.method, f"/v1{self.path}", self.body, **headers)


class Trial:
    """One operation for many faults and kills."""

    def __init__(self, operation: Operation, kind: type[Table] = Table) -> None:
        self.operation = operation
        self.engine = Memory()
        self.table = memory_table(self.engine, kind)
        world = World(memory_table(self.engine))
        operation.set_up(world)
        self.now = world.clock.now
        self.start, self.before_that = dict(self.engine.items), self.engine.past
        self.undisturbed, self.calls = self._undisturbed("k")
        self.keyless, self.calls_without_key = self._undisturbed(None)

    def _undisturbed(self, key: Key) -> tuple[Shape, list[str]]:
        """Return the result of the undisturbed operation and its calls."""
        calls: list[str] = []
        world = self.begin()
        self.engine.before = calls.append
        reply = self.operation.send(world, key)
        self.rest()
        assert reply.status in (200, 201), reply.text
        return self.shape(reply), calls

    def begin(self) -> World:
        """Return the prepared world with a new process."""
        self.rest()
        self.engine.load(self.start, self.before_that)
        return with_new_ids(World(self.table, Clock(self.now)))

    def rest(self) -> None:
        """Make the engine follow its settings from now on."""
        self.engine.before = self.engine.after = lambda call: None
        self.engine.torn = self.engine.late = self.engine.blank = self.engine.twice = False
        self.engine.remembers = True

    def shape(self, reply: Reply) -> Shape:
        shape = shape_of([reply], self.table)
        return shape[1:] if self.operation.reports else shape

    def assert_done_once(self, world: World, reply: Reply, key: Key = "k") -> None:
        """Check that the result is the undisturbed one, also after a repetition."""
        assert_sound(self.table)
        assert self.shape(reply) == (self.undisturbed if key else self.keyless)
        if key:
            again = self.operation.send(world, key)
            assert (again.status, again.text) == (reply.status, reply.text), "another answer to a repetition"
            assert again.headers.get("Idempotent-Replayed") == "true"
            assert self.shape(again) == self.undisturbed, "a repetition has done something more"


@cache
def trial(operation: Operation) -> Trial:
    return Trial(operation)


# The worlds


def empty(world: World, **policy: Any) -> None:
    world.pool(members="alice bob", **policy)


def known_user(world: World) -> None:
    empty(world)
    assert world.user("alice").request("GET", "/v1/me").status == 200


def filled(world: World, **policy: Any) -> None:
    """c1 to c5; carl holds c4, and the private c5 is his."""
    world.pool(members="alice bob carl", **policy)
    world.fill(5)
    world.user("carl").claim_batch(["c4", "c5"])
    world.user("mona").post("/customers/c5/convert")


def filled_with_own_limit(world: World) -> None:
    filled(world)
    role = {"role": "member", "holding_limit": 1}
    world.user("root", admin=True).request("PUT", "/v1/pools/p/members/alice", role)


def held(world: World, **policy: Any) -> None:
    """Alice holds c1 and c2, and there is another pool."""
    filled(world, **({"claim_ttl": "PT4H", "members_may_extend": True, "pin_limit": 1} | policy))
    world.pool("q", members="alice mona")
    world.user("alice").claim_batch(["c1", "c2"])
    world.clock.forward(MINUTE)


def in_two_pools(world: World) -> None:
    """As held. Alice owns c3, and holds c1 of a pool that bob is no member of."""
    held(world)
    world.alice.claim("c3")
    world.mona.post("/customers/c3/convert")
    world.fill(1, "q")
    world.user("alice", pool="q").claim("c1")


def half_gone(world: World) -> None:
    """As in_two_pools. Alice leaves, and the process died before her claims in the second pool were released."""
    in_two_pools(world)
    with pytest.raises(Crash), failing(world, 5):
        OPERATIONS_BY_NAME["leave"].send(world, None)


def expired(world: World) -> None:
    """The claims of alice have expired; no sweep has run."""
    held(world, holding_limit=2, reminders=["PT1H"])
    world.clock.forward(DAY)


def tomorrow(world: World) -> None:
    filled(world, daily_claim_limit=2)
    world.user("alice").claim("c1")
    world.clock.forward(DAY)


def tomorrow_held(world: World) -> None:
    held(world, claim_ttl="P3D")
    world.clock.forward(DAY)


def removed(world: World) -> None:
    """Alice has claimed and released a customer today, and is no longer a member."""
    filled(world, daily_claim_limit=2)
    world.user("alice").claim("c1")
    world.user("alice").release("c1")
    assert world.user("mona").request("DELETE", "/v1/pools/p/members/alice").status == 200


def in_territories(world: World) -> None:
    """As held. Alice and bob take customers in Bonn, where c3 is; c1 and c2 of alice are nowhere."""
    held(world)
    world.mona.patch("/customers/c3", {"fields": {"city": "Bonn"}})
    for each in ("alice", "bob"):
        assert world.mona.patch(f"/members/{each}", BONN).status == 200


def to_be_reminded(world: World) -> None:
    held(world, reminders=["PT1H", "PT2H"])
    world.clock.forward(3 * HOUR)


def paused(world: World) -> None:
    held(world)
    world.user("root", admin=True).post("/pause")
    world.clock.forward(DAY)


def private(world: World) -> None:
    held(world)
    for each in ("c1", "c2"):
        world.user("alice").post(f"/customers/{each}/win")


def private_expired(world: World) -> None:
    """The private customers of alice have expired, and fill her private limit; she holds c3."""
    held(world, private_ttl="PT2H", private_limit=2, holding_limit=4)
    world.user("alice").post("/win", TWO)
    world.clock.forward(HOUR)
    world.user("alice").claim("c3")
    world.clock.forward(HOUR)


def private_expired_in_a_pause(world: World) -> None:
    """As private_expired, and the pool is paused, so that nothing private is returned. Carl owns c4."""
    private_expired(world)
    assert world.mona.post("/customers/c4/convert").status == 200
    world.root.post("/pause")


def by_approval(world: World) -> None:
    """As held, where wins need an approval; mona holds c6."""
    held(world, win="approval")
    world.mona.create("c6")
    world.mona.claim("c6")


def requested(world: World) -> None:
    """Alice has requested the wins of c1 and c2."""
    by_approval(world)
    world.alice.post("/win", {"customer_ids": ["c1", "c2"]})


def pinned(world: World) -> None:
    """Alice has pinned c1, and the pin has ended."""
    held(world)
    world.user("alice").post("/customers/c1/pin", {"until": rfc3339(START + HOUR)})
    world.clock.forward(2 * HOUR)


def aside(world: World) -> None:
    held(world, max_returns=1)
    world.user("alice").release("c1")


def imported(world: World) -> None:
    empty(world)
    rows = [{"id": name, "name": name} for name in ("c1", "c2")]
    assert world.user("mona").post("/import", {"rows": rows}).json["import_id"] == "id000006"


def imported_for_holders(world: World) -> None:
    empty(world)
    rows = [{"id": name, "name": name, "holder": "alice"} for name in ("c1", "c2")]
    assert world.user("mona").post("/import", {"rows": rows}).json["import_id"] == "id000006"


def imported_in_parts(world: World) -> None:
    """An import of two requests, each with a customer for bob and a row that is refused."""
    empty(world)
    for each in ("c1", "c2"):
        rows = [{"id": each, "name": each}, {"id": f"{each}x", "name": each, "holder": "bob"}, {"id": "bad id"}]
        assert world.mona.post("/import", {"rows": rows, "import": {"id": "file-1"}}).results[:2] == ["ok", "ok"]
        world.clock.forward(MINUTE)


def known_by_phone(world: World) -> None:
    empty(world)
    assert OPERATIONS_BY_NAME["import by phone"].send(world, None).status == 200


def spreading(world: World) -> None:
    """The lists of the pool are about to be moved to four shards."""
    held(world)
    world.user("root", admin=True).post("/spread", {"shards": 4})
    world.clock.forward(15 * MINUTE)


FIELDS = [
    {"key": "city", "label": {"en": "City", "zh": "城市"}, "type": "text", "filter": True},
    {"key": "tax_id", "label": {"en": "Tax id", "zh": "税号"}, "type": "text", "unique": True},
    {"key": "mobile", "label": {"en": "Mobile", "zh": "手机"}, "type": "phone", "search": True},
]  # fmt: skip


def redefined(world: World, *tax_ids: str) -> None:
    """As held. The fields of c1 to c3 are defined since a minute."""
    held(world)
    for each, tax_id in zip(("c1", "c2", "c3"), tax_ids or ("1", "2", "3"), strict=True):
        world.mona.patch(f"/customers/{each}", {"fields": {"city": "x", "tax_id": tax_id, "mobile": "13812345678"}})
    assert world.mona.patch("", {"fields": FIELDS}, if_match='"1"').status == 200
    world.clock.forward(MINUTE)


def redefined_with_twins(world: World) -> None:
    redefined(world, "1", "2", "1")


def closed(world: World) -> None:
    empty(world)
    world.user("root", admin=True).post("/close", {"mode": "drain"})


def with_contacts(world: World) -> None:
    """Alice holds c1 and c2, which an import has overwritten. Both had c1's phone number; c1 has had another one."""
    long_history(world)
    for number in ("+49 30 7654321", "+49 30 1234567"):
        rows = [{"id": each, "name": "Other", "fields": {"phone": number}} for each in ("c1", "c2")]
        assert world.mona.post("/import", {"rows": rows, "on_duplicate": "update"}).json["summary"]["failed"] == 0


def suppressed(world: World) -> None:
    """c1 and c2 are suppressed and have one phone number; c3 is erased and suppressed."""
    held(world)
    for each, number in (("c1", "+49 30 1234567"), ("c2", "+49 30 1234567"), ("c3", "+49 30 7654321")):
        world.mona.patch(f"/customers/{each}", {"fields": {"phone": number}})
    for each in ("c1", "c2"):
        assert world.mona.post(f"/customers/{each}/suppress", {"force": True}).status == 200
    assert world.mona.post("/customers/c3/erase", {"reason": "requested", "suppress": True}).status == 200


def long_history(world: World) -> None:
    """c1 has so many events that the next one moves the older ones to their own item."""
    held(world)
    for _ in range(2):
        world.user("alice").post("/customers/c1/follow-up", {"note": "x" * 60})


# The operations

P = "/pools/p"
C1 = f"{P}/customers/c1"
TWO = {"customer_ids": ["c1", "c2"]}
BONN = {"takes": {"city": ["Bonn"]}}
SIX = {"customer_ids": ["c3", "c4", "nobody", "c1", "c1", "c2"]}
PHONES = {"key": "phone", "on_duplicate": "update", "rows": [
    {"name": "A", "fields": {"phone": "+49 30 1234567", "city": "Bonn"}},
    {"name": "B", "fields": {"phone": "+49 30 7654321"}},
    {"name": "C", "fields": {"phone": "none"}},
]}  # fmt: skip
RELEASE = {"held": "release", "private": "deposit"}
TO_BOB = {"held": "transfer", "private": "transfer", "to": "bob"}
IDS = {"on_duplicate": "update", "rows": [{"id": "c1", "name": "Other"}, {"id": "new", "name": "New"}, {"name": "N"}]}
FOR_HOLDERS = {"key": "auto", "on_duplicate": "update", "rows": [
    {"name": "A", "fields": {"phone": "+49 30 1234567"}, "holder": "alice"},
    {"id": "c3", "name": "Other", "holder": "bob"},
    {"name": "C", "fields": {"external_id": "KH.0002"}, "holder": "nobody"},
    {"name": "D"},
]}  # fmt: skip
MORE_PHONES = PHONES | {"rows": [{"name": "Z", "fields": {"phone": "+49301234567"}}, *PHONES["rows"][1:]]}

OPERATIONS = [
    Operation("create a pool", empty, "root", "POST", "/pools", {"id": "r", "name": "R"}),
    Operation("change a policy", held, "mona", "PATCH", P, {"policy": {"claim_ttl": "PT9H"}}, "1"),
    Operation(
        "change a policy for all", held, "mona", "PATCH", P,
        {"policy": {"claim_ttl": "PT9H"}, "apply_to": "all"}, "1", finds=True, reports=True,
    ),
    Operation("change the fields", held, "mona", "PATCH", P, {"fields": FIELDS}, "1"),
    Operation("try a change of the fields", redefined, "mona", "PATCH", P,
              {"fields": [FIELDS[0] | {"unique": True}], "dry_run": True}, "2", finds=True),
    Operation("pause", held, "root", "POST", f"{P}/pause"),
    Operation("resume", paused, "root", "POST", f"{P}/resume", finds=True),
    Operation("close and drain", held, "root", "POST", f"{P}/close", {"mode": "drain"}, finds=True),
    Operation("close to private", held, "root", "POST", f"{P}/close", {"mode": "to_private"}, finds=True),
    Operation("spread", held, "root", "POST", f"{P}/spread", {"shards": 4}),
    Operation("open", closed, "root", "POST", f"{P}/open"),
    Operation("delete a pool", empty, "root", "DELETE", P, finds=True),
    Operation("put a new user", empty, "root", "PUT", "/users/dora", {"name": "Dora", "email": "dora@example.com"}),
    Operation("forget a user", known_user, "root", "PUT", "/users/alice", {"forget": True}, "1"),
    Operation("leave", in_two_pools, "root", "POST", "/users/alice/leave", RELEASE, finds=True),
    Operation("leave to another member", in_two_pools, "root", "POST", "/users/alice/leave", TO_BOB, finds=True),
    Operation("leave with other answers", half_gone, "root", "POST", "/users/alice/leave", TO_BOB, finds=True),
    Operation("take a leave back", half_gone, "root", "PUT", "/users/alice", {"left": False, "name": "Alice"}),
    Operation("put a new member", held, "mona", "PUT", f"{P}/members/dora", {"role": "member", "holding_limit": 3}),
    Operation("put a member", held, "mona", "PUT", f"{P}/members/alice", {"role": "member", "holding_limit": 3}),
    Operation("change a member", held, "mona", "PATCH", f"{P}/members/alice", {"private_limit": 3}),
    Operation("give a member a territory", held, "mona", "PATCH", f"{P}/members/alice", BONN),
    Operation("give a member another territory", in_territories, "mona", "PUT", f"{P}/members/alice",
              {"role": "member", "takes": {"level": ["A"]}}),
    Operation("take a territory back", in_territories, "mona", "PATCH", f"{P}/members/alice", {"takes": None}),
    Operation("remove a member with a territory", in_territories, "mona", "DELETE", f"{P}/members/bob"),
    Operation("claim in a territory", in_territories, "alice", "POST", f"{P}/customers/c3/claim"),
    Operation("claim several in a territory", in_territories, "bob", "POST", f"{P}/claim", SIX),
    Operation("claim the next in a territory", in_territories, "bob", "POST", f"{P}/claim-next", {"count": 2},
              finds=True),
    Operation("edit several by a field that a territory names", in_territories, "alice", "POST", f"{P}/edit",
              SIX | {"fields": {"city": "Bonn"}}),
    Operation("edit a field that no territory names", in_territories, "alice", "PATCH", C1,
              {"fields": {"level": "A"}}),
    Operation("put a member back", removed, "mona", "PUT", f"{P}/members/alice", {"role": "member"}),
    Operation("put a member back, by an admin", removed, "root", "PUT", f"{P}/members/alice", {"role": "manager"}),
    Operation("remove a member", held, "mona", "DELETE", f"{P}/members/bob"),
    Operation("remove and release", held, "mona", "DELETE", f"{P}/members/alice?held=release", finds=True),
    Operation("remove and transfer", held, "mona", "DELETE", f"{P}/members/alice?held=transfer&to=bob", finds=True),
    Operation("create a customer", empty, "mona", "POST", f"{P}/customers", {"id": "new", "name": "New"}),
    Operation("create a private customer", empty, "mona", "POST", f"{P}/customers",
              {"id": "new", "name": "New", "private_of": "bob"}),
    Operation("create a private customer in place of expired ones", private_expired, "root", "POST", f"{P}/customers",
              {"id": "new", "name": "New", "private_of": "alice"}, finds=True),
    Operation("create a customer with a phone number", empty, "mona", "POST", f"{P}/customers",
              {"name": "New", "fields": {"phone": "13800000001"}}),
    Operation("create a customer with the phone number of another", known_by_phone, "mona", "POST", f"{P}/customers",
              {"name": "New", "fields": {"phone": "13800000001"}}),
    Operation("create a customer without id", empty, "mona", "POST", f"{P}/customers", {"name": "New"}),
    Operation("import by id", held, "mona", "POST", f"{P}/import", IDS),
    Operation("import by phone", empty, "mona", "POST", f"{P}/import", PHONES),
    Operation("import by phone again", known_by_phone, "mona", "POST", f"{P}/import", MORE_PHONES),
    Operation("import for holders", held, "mona", "POST", f"{P}/import", FOR_HOLDERS),
    Operation("import for a holder of expired claims", expired, "mona", "POST", f"{P}/import", FOR_HOLDERS, finds=True),
    Operation("import another part of a file", imported_in_parts, "mona", "POST", f"{P}/import",
              IDS | {"import": {"id": "file-1", "file": "customers.xlsx"}}),
    Operation("undo the latest part of a file", imported_in_parts, "mona", "POST", f"{P}/imports/file-1/undo", {}),
    Operation("undo an import for holders", imported_for_holders, "mona", "POST", f"{P}/imports/id000006/undo"),
    Operation("undo an import", imported, "mona", "POST", f"{P}/imports/id000006/undo"),
    Operation("edit", held, "alice", "PATCH", C1, {"name": "Other", "fields": {"phone": "+49 30 1234567"}}),
    Operation("claim", filled, "alice", "POST", f"{C1}/claim"),
    Operation("claim with a limit of one's own", filled_with_own_limit, "alice", "POST", f"{C1}/claim"),
    Operation("claim what has expired", expired, "bob", "POST", f"{C1}/claim"),
    Operation("claim in place of expired claims", expired, "alice", "POST", f"{P}/customers/c3/claim", finds=True),
    Operation("claim a private customer that has expired", private_expired, "bob", "POST", f"{C1}/claim"),
    Operation("win in place of expired private customers", private_expired, "alice", "POST",
              f"{P}/customers/c3/win", finds=True),
    Operation("win in a pause in place of expired private customers", private_expired_in_a_pause, "alice", "POST",
              f"{P}/customers/c3/win", finds=True),
    Operation("win several in a pause in place of expired private customers", private_expired_in_a_pause, "alice",
              "POST", f"{P}/win", SIX, finds=True),
    Operation("transfer in a pause in place of expired private customers", private_expired_in_a_pause, "mona", "POST",
              f"{P}/customers/c4/transfer", {"to": "alice"}, finds=True),
    Operation("close to private in place of expired private customers", private_expired_in_a_pause, "root", "POST",
              f"{P}/close", {"mode": "to_private"}, finds=True),
    Operation("remove the owner of expired private customers", private_expired, "mona", "DELETE",
              f"{P}/members/alice?held=release&private=transfer&to=bob", finds=True),
    Operation("change private deadlines for all", private_expired, "mona", "PATCH", P,
              {"policy": {"private_ttl": "PT9H"}, "apply_to": "all"}, "1", finds=True, reports=True),
    Operation("claim on a new day", tomorrow, "alice", "POST", f"{P}/customers/c2/claim"),
    Operation("claim several", lambda world: filled(world, holding_limit=2), "alice", "POST", f"{P}/claim", SIX),
    Operation("claim several on a new day", tomorrow, "alice", "POST", f"{P}/claim",
              {"customer_ids": ["c2", "c3", "c1"]}),
    Operation("claim all or none", filled, "alice", "POST", f"{P}/claim", TWO | {"atomic": True}),
    Operation("claim the next", filled, "alice", "POST", f"{P}/claim-next", {"count": 2}, finds=True),
    Operation("release", held, "alice", "POST", f"{C1}/release", {"reason": "no time"}),
    Operation("release, with a page of events", long_history, "alice", "POST", f"{C1}/release"),
    Operation("release somebody else's", held, "mona", "POST", f"{C1}/release"),
    Operation("release several", held, "alice", "POST", f"{P}/release", SIX),
    Operation("assign", filled, "mona", "POST", f"{C1}/assign", {"to": "bob"}),
    Operation("assign several", filled, "mona", "POST", f"{P}/assign", SIX | {"to": "bob"}),
    Operation("transfer", held, "mona", "POST", f"{C1}/transfer", {"to": "bob"}),
    Operation("transfer several", held, "mona", "POST", f"{P}/transfer", SIX | {"to": "bob"}),
    Operation("convert", held, "mona", "POST", f"{C1}/convert"),
    Operation("convert for a member", filled, "mona", "POST", f"{C1}/convert", {"to": "bob"}),
    Operation("convert several", held, "mona", "POST", f"{P}/convert", SIX),
    Operation("extend", held, "alice", "POST", f"{C1}/extend", {"by": "PT1H"}),
    Operation("extend several", held, "mona", "POST", f"{P}/extend", SIX | {"by": "PT1H"}),
    Operation("follow up", long_history, "alice", "POST", f"{C1}/follow-up", {"note": "called"}),
    Operation("follow up, by a manager", held, "mona", "POST", f"{C1}/follow-up", {"outcome": "interested"}),
    Operation("follow up several", long_history, "alice", "POST", f"{P}/follow-up", SIX | {"note": "called"}),
    Operation("pin several", held, "alice", "POST", f"{P}/pin", SIX | {"until": rfc3339(START + 2 * DAY)},
              finds=True),
    Operation("pin several, by a manager", held, "mona", "POST", f"{P}/pin", SIX | {"until": rfc3339(START + 2 * DAY)}),
    Operation("pin several in place of one that has ended", pinned, "alice", "POST", f"{P}/pin",
              SIX | {"until": rfc3339(START + 2 * DAY)}, finds=True),
    Operation("unpin several", pinned, "alice", "POST", f"{P}/unpin", SIX),
    Operation("edit several", held, "mona", "POST", f"{P}/edit", SIX | {"name": "Other", "fields": {"city": "Bonn"}}),
    Operation("follow up what is private", private, "alice", "POST", f"{C1}/follow-up", {"note": "called"}),
    Operation("win", held, "alice", "POST", f"{C1}/win"),
    Operation("win with an amount", held, "alice", "POST", f"{C1}/win", {"amount": "7.50"}),
    Operation("follow up, by an admin", held, "root", "POST", f"{C1}/follow-up", {"note": "called"}),
    Operation("follow up on a new day", tomorrow_held, "alice", "POST", f"{P}/follow-up", SIX | {"note": "called"}),
    Operation("win several", held, "alice", "POST", f"{P}/win", SIX | {"note": "signed"}),
    Operation("win, where a manager has to approve", by_approval, "alice", "POST", f"{C1}/win", {"amount": "7.50"}),
    Operation("win one's own as a manager", by_approval, "mona", "POST", f"{P}/customers/c6/win", finds=True),
    Operation("approve a win", requested, "mona", "POST", f"{C1}/win/approve"),
    Operation("approve several wins", requested, "mona", "POST", f"{P}/win/approve", SIX),
    Operation("decline a win", requested, "mona", "POST", f"{C1}/win/decline", {"reason": "not signed"}),
    Operation("deposit", private, "alice", "POST", f"{C1}/deposit"),
    Operation("deposit elsewhere", private, "mona", "POST", f"{C1}/deposit", {"pool": "q"}),
    Operation("deposit several", private, "alice", "POST", f"{P}/deposit", SIX),
    Operation("deposit several elsewhere", private, "mona", "POST", f"{P}/deposit", SIX | {"pool": "q"}),
    Operation("pin", held, "alice", "POST", f"{C1}/pin", {"until": rfc3339(START + 2 * DAY)}),
    Operation("pin in place of one that has ended", pinned, "alice", "POST", f"{P}/customers/c2/pin",
              {"until": rfc3339(START + 2 * DAY)}, finds=True),
    Operation("unpin", pinned, "alice", "POST", f"{C1}/unpin"),
    Operation("restore", aside, "mona", "POST", f"{C1}/restore"),
    Operation("change a policy for all, by an admin", held, "root", "PATCH", P,
              {"policy": {"claim_ttl": "PT9H"}, "apply_to": "all"}, "1", finds=True, reports=True),
    Operation("remove a member, by an admin", held, "root", "DELETE", f"{P}/members/bob"),
    Operation("remove and release, by an admin", held, "root", "DELETE", f"{P}/members/alice?held=release",
              finds=True),
    Operation("create a customer, by an admin", empty, "root", "POST", f"{P}/customers", {"id": "new", "name": "New"}),
    Operation("import by id, by an admin", held, "root", "POST", f"{P}/import", IDS),
    Operation("import by phone, by an admin", empty, "root", "POST", f"{P}/import", PHONES),
    Operation("undo an import, by an admin", imported, "root", "POST", f"{P}/imports/id000006/undo"),
    Operation("release somebody else's, by an admin", held, "root", "POST", f"{C1}/release"),
    Operation("assign several, by an admin", filled, "root", "POST", f"{P}/assign", SIX | {"to": "bob"}),
    Operation("deposit several, by an admin", private, "root", "POST", f"{P}/deposit", SIX),
    Operation("deposit elsewhere, by an admin", private, "root", "POST", f"{C1}/deposit", {"pool": "q"}),
    Operation("restore, by an admin", aside, "root", "POST", f"{C1}/restore"),
    Operation("erase", with_contacts, "mona", "POST", f"{C1}/erase", {"reason": "requested", "force": True}),
    Operation("erase several", with_contacts, "mona", "POST", f"{P}/erase",
              SIX | {"reason": "requested", "force": True}),
    Operation("erase all or none", with_contacts, "root", "POST", f"{P}/erase",
              TWO | {"reason": "requested", "force": True, "atomic": True}),
    Operation("suppress", with_contacts, "mona", "POST", f"{C1}/suppress", {"force": True}),
    Operation("suppress, by an admin", private, "root", "POST", f"{C1}/suppress", {"force": True}),
    Operation("unsuppress", suppressed, "mona", "POST", f"{C1}/unsuppress"),
    Operation("unsuppress what is erased", suppressed, "root", "POST", f"{P}/customers/c3/unsuppress", finds=True),
    Operation("edit what is suppressed", suppressed, "mona", "PATCH", C1, {"fields": {"phone": "+49 30 5555555"}}),
    Operation("erase what is suppressed", suppressed, "mona", "POST", f"{P}/erase",
              TWO | {"reason": "requested", "suppress": True}),
    Operation("erase what is suppressed, and end it", suppressed, "mona", "POST", f"{P}/erase",
              TWO | {"reason": "requested"}),
    Operation("sweep", expired, "root", "POST", "/sweep", {}, finds=True, reports=True),
    Operation("sweep private customers", private_expired, "root", "POST", "/sweep", {}, finds=True, reports=True),
    Operation("sweep and spread", spreading, "root", "POST", "/sweep", {}, finds=True, reports=True),
    Operation("sweep and rewrite fields", redefined, "root", "POST", "/sweep", {}, finds=True, reports=True),
    Operation("sweep and turn a unique field off", redefined_with_twins, "root", "POST", "/sweep", {}, finds=True,
              reports=True),
    Operation("sweep and remind", to_be_reminded, "root", "POST", "/sweep", {}, finds=True, reports=True),
    Operation("audit", held, "root", "POST", "/audit", {"repair": True}),
]  # fmt: skip
OPERATIONS_BY_NAME = {each.name: each for each in OPERATIONS}
