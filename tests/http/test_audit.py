"""The audit finds every planted fault and repairs it where another record has the correct value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chalicelib.domain.invariants import ClaimState, replayed
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Table
from chalicelib.model.model import Event
from chalicelib.model.reports import AuditReport
from chalicelib.services import audit as audit_service, sweeper
from tests.support.world import DAY, HOUR, KEY_SECRET, World

ALICE = keys.member_key("main", "p", "alice")
LEAVERS = keys.pool_counts_key("main", "p")
C1 = keys.customer_key("main", "p", "c1")


def corrupt(world: World, key: Key, change: str, **values: Any) -> None:
    """Change a stored item without any rule."""
    values_by_tag = {f":{name}": items.serialize(given) for name, given in values.items()}
    names = {
        f"#{word}": word
        for word in ("held", "pins", "room", "state", "place", "rank", "roster")
        if f"#{word}" in change
    }
    options: dict[str, Any] = {"ExpressionAttributeValues": values_by_tag} if values_by_tag else {}
    options |= {"ExpressionAttributeNames": names} if names else {}
    world.table.connection.client.update_item(
        TableName=world.table.name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}, UpdateExpression=change, **options
    )


def audit(world: World, **body: Any) -> Any:
    reply = world.root.request("POST", "/v1/audit", body)
    assert reply.status == 200, reply.text
    return reply.json


def kinds(report: Any) -> list[tuple[str, str]]:
    return [(each["kind"], each["id"]) for each in report["drift"]]


def claimed_and_pinned(world: World) -> None:
    """Create three customers. Alice holds c1, which is pinned, and c2."""
    world.pool(claim_ttl="P7D", pin_limit=2, customers=3)
    assert world.alice.claim_batch(["c1", "c2"]).results == ["ok", "ok"]
    assert world.alice.post("/customers/c1/pin", {"until": "2026-06-20T00:00:00Z"}).status == 200


def run_many_operations(world: World) -> None:
    """Run many operations in two pools."""
    mona = world.pool(claim_ttl="P2D", max_returns=2, pin_limit=2)
    world.pool("q")
    world.fill(12)
    alice, bob = world.alice, world.bob
    alice.claim_batch([f"c{number}" for number in range(1, 7)])
    for _ in range(5):
        alice.post("/customers/c1/follow-up", {"note": "called them, and they asked for a better offer"})
    alice.post("/customers/c2/pin", {"until": "2026-06-08T00:00:00Z"})
    alice.post("/customers/c3/win")
    mona.post("/customers/c3/deposit", {"pool": "q"})
    alice.post("/customers/c4/win")
    alice.release("c5")
    mona.post("/customers/c6/transfer", {"to": "bob"})
    mona.post("/assign", {"customer_ids": ["c7", "c8"], "to": "bob"})
    mona.post("/customers/c7/extend", {"by": "P1D"})
    world.clock.forward(2 * DAY + HOUR)
    bob.claim("c1")
    world.sweep()
    mona.put("/members/bob", {"role": "member", "holding_limit": 9})
    for name in ("c5", "c8"):
        bob.claim(name)
        bob.release(name)
    world.user("mona", pool="q").post("/customers/c3/assign", {"to": "bob"})
    mona.post("/customers/c9/convert", {"to": "alice"})
    mona.delete("/members/alice?held=transfer&private=transfer&to=bob")


# A pool without drift


def test_rule_26_the_audit_recomputes_every_counter_and_reports_or_repairs_any_drift(world: World) -> None:
    claimed_and_pinned(world)
    corrupt(world, ALICE, "ADD #held :n, #pins :n, #room :n, pooled :n, aside :n", n=1)

    reports = [audit(world), audit(world, repair=True), audit(world)]

    found = [("held", "alice"), ("pins", "alice"), ("room", "alice"), ("pooled", "p"), ("aside", "p")]
    assert [kinds(report) for report in reports] == [found, found, []]
    assert [report["repaired"] for report in reports] == [0, 5, 0]


def test_the_audit_finds_no_drift_after_many_operations(world: World) -> None:
    run_many_operations(world)

    report = audit(world)

    assert (report["drift"], report["drifted"], report["unsettled"], report["remaining"]) == ([], 0, [], [])
    assert (report["customers"], report["members"], report["complete"]) == (12, 5, True)


def test_events_replay_to_state_holder_claim_and_deadline() -> None:
    story = [
        Event(1, "imported", 0, "mona", to_state="available"),
        Event(2, "claimed", 1, "alice", "alice", "k1", None, "available", "claimed", 70),
        Event(3, "extended", 2, "alice", "alice", "k1", None, "claimed", "claimed", 90),
        Event(4, "transferred", 3, "mona", "bob", "k2", None, "claimed", "claimed", None),
        Event(5, "won", 4, "bob", "bob", "k2", None, "claimed", "private", None),
        Event(6, "deposited", 5, "bob", "bob", None, None, "private", "available"),
    ]

    steps = [replayed(story[:length]) for length in range(1, 7)]

    assert steps == [
        ClaimState("available"), ClaimState("claimed", "alice", "k1", 70), ClaimState("claimed", "alice", "k1", 90),
        ClaimState("claimed", "bob", "k2"), ClaimState("private", "bob"), ClaimState("available"),
    ]  # fmt: skip


# Counters


@pytest.mark.parametrize("counter, right", [("held", 2), ("pins", 1), ("room", 3)])
def test_the_audit_repairs_a_drifted_member_counter(world: World, counter: str, right: int) -> None:
    claimed_and_pinned(world)
    world.mona.put("/members/alice", {"role": "member", "holding_limit": 5})
    corrupt(world, ALICE, f"SET #{counter} = :n", n=right + 4)

    found, repaired = audit(world), audit(world, repair=True)

    drift = {"pool": "p", "kind": counter, "id": "alice", "expected": right, "found": right + 4}
    assert found["drift"] == [drift | {"repaired": False}]
    assert repaired["drift"] == [drift | {"repaired": True}]
    assert audit(world)["drift"] == []


@pytest.mark.parametrize("counter, right", [("pooled", 3), ("aside", 1)])
@pytest.mark.parametrize("key", [ALICE, LEAVERS])
def test_the_audit_repairs_a_drifted_pool_total(world: World, counter: str, right: int, key: Key) -> None:
    mona = world.pool(max_returns=1, customers=3)
    world.alice.claim("c1")
    world.alice.release("c1")
    corrupt(world, key, f"ADD {counter} :n", n=7)

    repaired = audit(world, repair=True)

    assert repaired["drift"] == [
        {"pool": "p", "kind": counter, "id": "p", "expected": right, "found": right + 7, "repaired": True}
    ]
    assert audit(world)["drift"] == []
    assert mona.get("/stats").json["now"].items() >= {"available": 2, "claimed": 0, "set_aside": 1}.items()


def test_the_audit_repairs_a_changing_counter_by_its_exact_drift(threaded: World) -> None:
    threaded.pool()
    ids = iter(threaded.fill(40))
    threaded.alice.claim(next(ids))
    corrupt(threaded, ALICE, "ADD #held :n", n=3)

    def claim_once_more(seconds: float) -> None:
        assert threaded.alice.claim(next(ids)).status == 200

    report = run(threaded, repair=True, wait=claim_once_more)

    assert [(each.kind, each.found - each.expected, each.repaired) for each in report.drift] == [("held", 3, True)]


def run(world: World, seconds: float = 60.0, **how: Any) -> AuditReport:
    backend = world.service.backend
    pools = list(sweeper.pools_of(backend, "main"))
    return audit_service.run(world.table, pools, lambda: seconds, secret=KEY_SECRET, now=world.clock(), **how)


def test_the_audit_reports_a_holder_without_a_membership_and_creates_none(table: Table) -> None:
    world = World(table)
    claimed_and_pinned(world)
    world.table.connection.client.delete_item(TableName=table.name, Key={"pk": {"S": ALICE.pk}, "sk": {"S": ALICE.sk}})

    report = audit(world, repair=True)

    assert [(each["kind"], each["id"], each["expected"], each["repaired"]) for each in report["drift"]] == [
        ("held", "alice", 2, False)
    ]


# Lists


MISPLACED = {
    "on no list of its pool": "REMOVE #roster",
    "with somebody else": "SET #place = :bob",
    "at another deadline": "SET #rank = :n",
    "under another name": "SET folded = :text",
    "on no list by state": "REMOVE #place, #rank, due, due_at",
}


@pytest.mark.parametrize("change", MISPLACED.values(), ids=MISPLACED.keys())
def test_the_audit_moves_a_customer_from_a_wrong_list(world: World, change: str) -> None:
    claimed_and_pinned(world)
    before = (world.mona.customer("c1"), world.mona.events("c1"))
    values = {"bob": keys.place_of_holder("main", "p", "bob"), "n": 5, "text": "someone"}
    corrupt(world, C1, change, **{name: given for name, given in values.items() if f":{name}" in change})

    found, repaired = audit(world), audit(world, repair=True)

    assert kinds(found) == kinds(repaired) == [("index", "c1")]
    assert (found["repaired"], repaired["repaired"]) == (0, 1)
    assert "someone" not in str(found), "a report contains no names"
    assert audit(world)["drift"] == []
    assert (world.mona.customer("c1"), world.mona.events("c1")) == before, "a repair is no transition"


def test_the_audit_separates_counter_drift_from_list_drift(world: World) -> None:
    claimed_and_pinned(world)
    corrupt(world, C1, "REMOVE #place, #rank")
    corrupt(world, ALICE, "ADD #held :n", n=1)

    found = audit(world)

    assert kinds(found) == [("index", "c1"), ("held", "alice")]
    assert (found["drift"][1]["expected"], found["drift"][1]["found"]) == (2, 3)
    assert audit(world, repair=True)["repaired"] == 2


# Drift that cannot be repaired


def rewrite_events(world: World, change: Callable[[list[list[Any]]], list[list[Any]]]) -> None:
    stored = world.table.get([C1])[C1]
    tail = change(json.loads(msgspec.json.encode(items.recent_events_record(stored))))
    corrupt(world, C1, "SET tail = :tail", tail=json.dumps(tail))


def test_the_audit_reports_a_gap_in_the_events_and_changes_nothing(table: Table) -> None:
    world = World(table)
    claimed_and_pinned(world)
    rewrite_events(world, lambda tail: [tail[0], *tail[2:]])

    first, second = audit(world, repair=True), audit(world, repair=True)

    assert first["drift"] == second["drift"]
    gap = next(each for each in first["drift"] if each["kind"] == "events")
    assert (gap["id"], gap["expected"], gap["found"], gap["repaired"]) == ("c1", "1 to 3, each once", [2], False)


def test_the_audit_reports_events_that_contradict_the_customer(table: Table) -> None:
    world = World(table)
    claimed_and_pinned(world)
    rewrite_events(world, lambda tail: [[("bob" if part == "alice" else part) for part in event] for event in tail])

    report = audit(world, repair=True)

    assert kinds(report) == [("replay", "c1")]
    assert (report["drift"][0]["expected"]["holder"], report["drift"][0]["found"]["holder"]) == ("bob", "alice")


def test_the_audit_reports_a_claim_without_a_claim_id(table: Table) -> None:
    world = World(table)
    claimed_and_pinned(world)
    corrupt(world, C1, "REMOVE ci")

    assert kinds(audit(world, repair=True)) == [("claim", "c1"), ("replay", "c1")]


def test_the_audit_reports_malformed_records_and_continues(table: Table) -> None:
    world = World(table)
    claimed_and_pinned(world)
    corrupt(world, C1, "SET version = :text", text="three")
    corrupt(world, keys.member_key("main", "p", "bob"), "SET #held = :text", text="none")
    corrupt(world, keys.customer_key("main", "p", "c3"), "SET tail = :text", text="{")
    corrupt(world, ALICE, "ADD #pins :n", n=1)

    report = audit(world, repair=True)

    assert kinds(report) == [("malformed", "c1"), ("malformed", "c3"), ("malformed", "bob"), ("pins", "alice")]
    assert (report["customers"], report["members"], report["repaired"]) == (3, 3, 1)
