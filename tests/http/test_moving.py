"""Moving a customer to another pool: a private customer is deposited there, with its history."""

from __future__ import annotations

from typing import Any

from chalicelib.dynamodb import keys
from tests.proofs.test_faults import lost, struck
from tests.support.dynamodb_calls import counted
from tests.support.memory import Memory, memory_table
from tests.support.world import DAY, User, World


def two_pools(world: World, customers: int = 0, **policy: Any) -> None:
    """Create pools p and q, both managed by alice, and customers in p: only a manager of p deposits into q."""
    for pool in ("p", "q"):
        world.pool(pool, **policy)
        world.root.request("PUT", f"/v1/pools/{pool}/members/alice", {"role": "manager"})
    world.fill(customers)


def test_a_deposit_moves_a_private_customer_from_one_pool_to_another(world: World) -> None:
    two_pools(world, customers=1)
    alice = world.alice
    alice.claim("c1")
    alice.post("/customers/c1/win")

    moved = alice.post("/customers/c1/deposit", {"pool": "q"})

    assert (moved.status, moved.json["pool_id"], moved.json["state"]) == (200, "q", "available")
    assert alice.get("/customers/c1").status == 404
    assert alice.claim("c1").status == 404
    assert world.mona.get("/customers").ids == []
    assert world.user("bob", pool="q").claim("c1").status == 200


def test_a_moved_customer_keeps_its_fields_and_history_there_and_back(world: World) -> None:
    two_pools(world)
    world.mona.post("/customers", {"id": "c1", "name": "Acme", "fields": {"city": "上海"}})
    for _ in range(12):
        world.alice.claim("c1")
        world.alice.release("c1", reason="no answer for the third time this week")
    world.mona.post("/customers/c1/convert", {"to": "alice"})
    before = world.mona.get("/customers/c1/history?limit=100").json["items"]

    world.alice.post("/customers/c1/deposit", {"pool": "q"})
    there = world.user("alice", pool="q")
    history_there = there.get("/customers/c1/history?limit=100").json["items"]
    for _ in range(12):
        there.claim("c1")
        there.release("c1", reason="no answer for the third time this week")
    world.user("mona", pool="q").post("/customers/c1/convert", {"to": "alice"})
    there.post("/customers/c1/deposit", {"pool": "p"})
    back = world.alice

    assert history_there[:-1] == before
    assert history_there[-1]["type"] == "deposited"
    assert back.customer("c1")["fields"] == {"city": "上海"}
    history = back.get("/customers/c1/history?limit=100").json["items"]
    assert [event["seq"] for event in history] == list(range(1, back.customer("c1")["version"] + 1))
    late = back.get("/customers/c1/history?limit=3").json
    assert [event["seq"] for event in late["items"]] == [1, 2, 3]


def test_a_moved_customer_counts_on_the_local_day_of_the_target_pool(world: World) -> None:
    world.pool("p")
    mona = world.pool("q", time_zone="Pacific/Honolulu")  # where it is still the day before
    world.fill(1)
    world.mona.post("/customers/c1/convert", {"to": "alice"})

    world.mona.post("/customers/c1/deposit", {"pool": "q"})

    assert {row["day"]: row["entered"] for row in mona.get("/stats").json["by_day"]} == {"2026-05-31": 1}


def test_a_moved_customer_is_in_one_shard_of_the_target_pool(world: World) -> None:
    two_pools(world)
    world.root.post("/spread", {"shards": 8})
    world.clock.forward(DAY)
    world.sweep()
    ids = world.fill(12)
    world.alice.claim_batch(ids)
    world.mona.post("/convert", {"customer_ids": ids})

    moved = world.alice.post("/deposit", {"customer_ids": ids, "pool": "q"})

    assert moved.json["summary"]["ok"] == 12
    assert sorted(each["id"] for each in world.user("mona", pool="q").walk("/customers?state=available")) == sorted(ids)
    assert len(world.user("alice", pool="q").claim_next(12).json["items"]) == 12


def test_the_rules_of_the_target_pool_apply_from_the_move(world: World) -> None:
    world.pool("p")
    world.pool("q", embargo="P1D")
    world.fill(1)
    world.mona.post("/customers/c1/convert", {"to": "alice"})
    world.clock.forward(5 * DAY)

    world.mona.post("/customers/c1/deposit", {"pool": "q"})

    assert world.user("bob", pool="q").claim("c1").code == "embargoed"
    assert world.mona.get("/stats").json["now"].items() >= {"available": 0, "claimed": 0, "set_aside": 0}.items()
    other = world.user("mona", pool="q").get("/stats").json
    assert (other["now"]["available"], other["totals"]["entered"]) == (1, 1)


def test_a_customer_stays_when_the_target_pool_cannot_take_it(world: World) -> None:
    two_pools(world, customers=3)
    world.fill(1, pool="q")
    mona = world.mona
    mona.post("/convert", {"customer_ids": ["c1", "c2", "c3"], "to": "alice"})
    outsider = world.pool("r", members="")
    closed = world.user("root", admin=True, pool="q")

    refused = [mona.post("/customers/c1/deposit", {"pool": "q"}).code]
    refused += [world.alice.post("/customers/c1/deposit", {"pool": "r"}).code]
    refused += [mona.post("/customers/c1/deposit", {"pool": "nowhere"}).code]
    refused += [world.bob.post("/customers/c2/deposit", {"pool": "q"}).code]
    closed.post("/close", {"mode": "drain"})
    world.clock.forward(6_000)
    refused += [mona.post("/customers/c2/deposit", {"pool": "q"}).code]

    assert refused == ["duplicate_customer", "not_a_member", "not_found", "not_manager", "pool_not_open"]
    assert mona.customer("c1")["state"] == mona.customer("c2")["state"] == "private"
    assert outsider.get("/customers").json["items"] == []


def test_a_batch_deposit_moves_each_customer_once(world: World) -> None:
    two_pools(world, customers=5)
    world.mona.post("/convert", {"customer_ids": ["c1", "c2", "c3"], "to": "alice"})

    body = {"customer_ids": ["c1", "c4", "c2", "c9"], "pool": "q"}
    first = world.mona.post("/deposit", body, idempotency_key="k")
    again = world.mona.post("/deposit", body, idempotency_key="k")

    assert first.results == ["ok", "already_available", "ok", "not_found"]
    assert again.text == first.text
    assert {each["id"] for each in world.user("mona", pool="q").get("/customers").json["items"]} == {"c1", "c2"}


def test_a_private_customer_is_read_and_moved_in_one_transaction(world: World) -> None:
    two_pools(world, customers=1)
    world.mona.post("/customers/c1/convert", {"to": "alice"})
    world.mona.get("/customers/c1")
    world.user("mona", pool="q").get("/customers")

    with counted(world) as made:
        assert world.mona.post("/customers/c1/deposit", {"pool": "q"}).status == 200

    # The read hides from members whether the id exists.
    assert made == {"BatchGetItem": 1, "TransactWriteItems": 1}


def test_a_moved_customer_is_found_by_number_only_in_the_target_pool(world: World) -> None:
    two_pools(world)
    mona, there = world.mona, world.user("mona", pool="q")
    rows = {"rows": [{"id": "c1", "name": "Acme", "fields": {"phone": "13812345678"}}], "key": "phone"}
    mona.post("/import", rows)
    mona.post("/customers/c1/convert", {"to": "alice"})
    world.alice.post("/customers/c1/deposit", {"pool": "q"})

    found = [user.get("/customers?phone=13812345678").ids for user in (mona, there)]
    again = [user.post("/import", rows).results for user in (there, mona)]

    assert found == [[], ["c1"]]
    assert again == [["duplicate_customer"], ["ok"]]


def test_nothing_of_a_moved_customer_stays_except_its_older_events(world: World) -> None:
    two_pools(world)
    rows = {"rows": [{"id": "c1", "name": "Acme", "fields": {"phone": "13812345678"}}], "on_duplicate": "update"}
    world.mona.create("c1", fields={"city": "上海"})
    world.mona.post("/import", rows)
    for _ in range(2):
        fill_history(world.alice, "called, and nobody answered")
    world.mona.post("/customers/c1/convert", {"to": "alice"})

    world.alice.post("/customers/c1/deposit", {"pool": "q"})

    left = [key.sk for key in world.table.query(keys.customer_key("main", "p", "c1").pk).keys]
    assert [each[0] for each in left] == ["E"]


def test_a_new_customer_with_a_moved_id_leaves_the_moved_history_intact(world: World) -> None:
    two_pools(world, customers=1)
    alice, there = world.alice, world.user("mona", pool="q")
    fill_history(alice, "the first customer")
    alice.post("/customers/c1/win")
    alice.post("/customers/c1/deposit", {"pool": "q"})
    before = there.get("/customers/c1/history?limit=100").json["items"]

    world.clock.forward(1)
    world.fill(1)
    fill_history(alice, "the second customer")

    assert there.get("/customers/c1/history?limit=100").json["items"] == before
    reasons = {event["reason"] for event in alice.get("/customers/c1/history?limit=100").json["items"]}
    assert reasons == {None, "the second customer"}


def fill_history(user: User, note: str) -> None:
    """Write so many events that the oldest move to an item of their own."""
    user.claim("c1")
    for _ in range(8):
        assert user.post("/customers/c1/follow-up", {"note": note}).status == 200


def test_customers_created_under_one_id_at_one_time_keep_their_own_histories(world: World) -> None:
    for pool in "pqr":
        world.pool(pool).create("c1", name=f"From {pool}") if pool != "r" else world.pool(pool)
    here, there, elsewhere = (world.user("mona", pool=pool) for pool in "pqr")
    notes = {"p": "the first of two companies", "q": "another company with this id"}

    for user, target in ((there, "r"), (here, "q")):
        user.claim("c1")
        for number in range(30):
            user.post("/customers/c1/follow-up", {"note": f"{notes[user.pool]}: call number {number}"})
        user.post("/customers/c1/convert")
        assert user.post("/customers/c1/deposit", {"pool": target}).status == 200

    for user, note in ((there, notes["p"]), (elsewhere, notes["q"])):
        events = user.walk("/customers/c1/history")
        assert [event["seq"] for event in events] == list(range(1, 35))
        assert all(event["reason"].startswith(note) for event in events if event["type"] == "followed_up")


def test_a_move_with_a_lost_response_is_recognized_as_the_callers(threaded: World) -> None:
    two_pools(threaded)
    threaded.mona.create("c1", fields={"city": "上海"})
    threaded.mona.post("/customers/c1/convert", {"to": "alice"})

    with struck(threaded, lost(threaded)):
        moved = threaded.alice.post("/customers/c1/deposit", {"pool": "q"})

    assert (moved.status, moved.json["pool_id"], moved.json["fields"]) == (200, "q", {"city": "上海"})


def test_a_move_repeated_much_later_returns_the_first_move() -> None:
    engine = Memory()
    world = World(memory_table(engine))
    two_pools(world)
    world.mona.create("c1", fields={"city": "上海"})
    world.mona.post("/customers/c1/convert", {"to": "alice"})
    engine.twice, engine.remembers = True, False

    moved = world.alice.post("/customers/c1/deposit", {"pool": "q"})

    assert (moved.status, moved.json["pool_id"], moved.json["fields"]) == (200, "q", {"city": "上海"})


def test_a_conflicting_customer_in_the_target_pool_is_not_shown(world: World) -> None:
    two_pools(world, customers=2)
    world.user("mona", pool="q").create("c1", name="Secret")
    world.mona.post("/convert", {"customer_ids": ["c1", "c2"], "to": "alice"})

    refused = world.alice.post("/deposit", {"customer_ids": ["c2", "c1"], "pool": "q", "atomic": True})
    again = world.alice.post("/customers/c1/deposit", {"pool": "q"})

    assert [refused.code, again.code] == ["duplicate_customer"] * 2
    assert "Secret" not in refused.text + again.text


def test_a_move_with_a_stale_cache_costs_one_more_round(world: World) -> None:
    two_pools(world, customers=1)
    world.alice.claim("c1")
    world.alice.post("/customers/c1/win")
    with world.process():
        world.alice.patch("/customers/c1", {"name": "Other"})

    with counted(world) as made:
        reply = world.alice.post("/customers/c1/deposit", {"pool": "q"})

    assert (reply.status, reply.json["name"]) == (200, "Other")
    assert made["TransactWriteItems"] == 2


def test_a_refused_move_caches_no_target_customer_in_the_source_pool(world: World) -> None:
    two_pools(world)
    for pool in ("p", "q"):
        mona = world.user("mona", pool=pool)
        mona.create("c1", name=f"Of {pool}", fields={"phone": f"1380000000{'pq'.index(pool)}"})
        mona.post("/customers/c1/convert", {"to": "alice"})
    world.alice.post("/customers/c1/deposit", {"pool": "q"})

    world.alice.post("/customers/c1/deposit")

    assert world.alice.customer("c1")["name"] == "Of p"


def test_a_cached_moved_customer_is_not_used_for_a_new_one_with_its_id(world: World) -> None:
    two_pools(world)
    world.mona.create("c1", name="First", fields={"phone": "13800000001"})
    world.clock.forward(10)
    world.mona.post("/customers/c1/convert", {"to": "alice"})
    with world.process():
        world.alice.post("/customers/c1/deposit", {"pool": "q"})
        world.clock.forward(10)
        world.mona.create("c1", name="Second", fields={"phone": "13800000002"})
        world.mona.post("/customers/c1/convert", {"to": "alice"})

    reply = world.alice.post("/customers/c1/deposit")

    assert reply.json["name"] == "Second"
    assert world.alice.customer("c1")["name"] == "Second"


def test_cached_fields_of_a_moved_customer_are_not_used_for_another(world: World) -> None:
    two_pools(world)
    world.mona.create("c1", name="First", fields={"phone": "13800000001"})
    world.clock.forward(10)
    world.mona.post("/customers/c1/convert", {"to": "alice"})
    with world.process():
        world.alice.post("/customers/c1/deposit", {"pool": "q"})
        world.clock.forward(10)
        world.mona.create("c1", name="Second", fields={"phone": "13800000002"})

    reply = world.alice.claim("c1")

    assert reply.json["fields"] == {"phone": "13800000002"}


def test_a_move_response_is_masked_by_the_target_pool(world: World) -> None:
    world.pool("p")
    world.pool("q", masked_fields=["phone", "name"])
    for pool, role in (("p", "manager"), ("q", "member")):
        world.root.request("PUT", f"/v1/pools/{pool}/members/max", {"role": role})
    mona, boss = world.mona, world.user("max")
    mona.create("c1", name="Acme Corporation", fields={"phone": "13800000001"})
    mona.post("/customers/c1/convert", {"to": "alice"})

    shown = boss.post("/customers/c1/deposit", {"pool": "q"}).json

    assert shown["fields"] == {"phone": "138****0001"}
    assert shown["name"] == world.user("max", pool="q").customer("c1")["name"] != "Acme Corporation"
