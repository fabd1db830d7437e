"""The search rows of customers: equal in the end, however the records of the table's stream arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.keys import Key
from chalicelib.services import audit, row_search, search_rows, sweeper
from tests.conftest import new_table
from tests.support.audit import assert_sound
from tests.support.memory import memory_table
from tests.support.search_rows import Streaming, index_customers, rows_of
from tests.support.world import KEY_SECRET, World, everything
from tools.local.stream import Stream

Record = dict[str, Any]
LONG = "长" + "".join(chr(0x4E00 + number) for number in range(150))


@pytest.fixture
def streamed() -> Iterator[World]:
    world = World(memory_table(Streaming()))
    yield world
    assert_sound(world.table)


def engine_of(world: World) -> Streaming:
    engine = world.table.connection
    assert isinstance(engine, Streaming)
    return engine


def index(world: World, records: list[Record]) -> list[str]:
    """Process records like Lambda. Return the sequence number that it is to go on from, if any."""
    response = search_rows.index_records(world.table, records).response
    return [each["itemIdentifier"] for each in response["batchItemFailures"]]


def index_all(world: World, records: list[Record]) -> None:
    """Process records like Lambda, which retries those that failed."""
    while failed := index(world, records):
        numbers = [each["dynamodb"]["SequenceNumber"] for each in records]
        records = records[numbers.index(failed[0]) :]


def rows(world: World, pool: str = "p") -> dict[str, set[str]]:
    """Return the parts of each customer's rows."""
    found: dict[str, set[str]] = {}
    for pk, sk in rows_of(everything(world.table)):
        if keys.pool_from_pk(pk) == pool:
            found.setdefault(keys.id_from_pk(pk), set()).add(sk[4:])
    return found


def expected_rows(world: World) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the rows that the customers should have: those of the same customers on a table without any row."""
    other = World(memory_table(Streaming()))
    for stored in everything(world.table):
        key = Key(stored["pk"]["S"], stored["sk"]["S"])
        if not key.sk.startswith("Q"):
            engine_of(other).items[key] = stored
    index_customers(other)
    return rows_of(everything(other.table))


def work(world: World) -> Iterator[None]:
    """Do everything that changes what is searched, one step after the other."""
    mona = world.pool(claim_ttl="P7D", masked_fields=["phone"])
    world.pool("q")
    yield
    for number in range(4):
        mona.create(f"c{number}", name=f"华为 {number}", fields={"contact": "张三"}, on_duplicate="allow")
        yield
    mona.post("/import", {"rows": [{"id": "c4", "name": "Imported", "fields": {"contact": "李四 13812345678"}}]})
    yield
    mona.patch("/customers/c0", {"name": "Acme"})
    yield
    mona.patch("/customers/c0", {"fields": {"contact": "王五"}})
    yield
    world.alice.claim_batch(["c1", "c2"])
    yield
    world.alice.post("/customers/c1/win")
    yield
    world.alice.post("/customers/c1/deposit", {})
    yield
    mona.post("/customers/c1/claim")
    mona.post("/customers/c1/win")
    mona.post("/customers/c1/deposit", {"pool": "q"})
    yield
    mona.create("c1", name="A newcomer under the id of one that moved")
    yield
    mona.patch("/customers/c3", {"name": LONG})
    yield
    mona.patch("/customers/c3", {"name": "Short", "fields": {"contact": None}})
    yield
    mona.post("/customers/c2/erase", {"reason": "requested", "force": True})
    yield


ORDERS: dict[str, Callable[[list[Record], random.Random], list[Record]]] = {
    "in order": lambda records, chance: records,
    "doubled": lambda records, chance: [*records, *records],
    "reversed": lambda records, chance: records[::-1],
    "shuffled": lambda records, chance: chance.sample(records, len(records)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_stream_records_in_any_order_leave_the_same_rows(streamed: World, order: str, seed: int) -> None:
    chance = random.Random(seed)
    for _ in work(streamed):
        so_far = engine_of(streamed).records
        index(streamed, ORDERS[order](chance.sample(so_far, len(so_far) // 2), chance))

    assert index(streamed, ORDERS[order](list(engine_of(streamed).records), chance)) == []

    assert rows_of(everything(streamed.table)) == expected_rows(streamed) != {}


def test_rows_are_of_the_customer_as_it_is_now(streamed: World) -> None:
    for _ in work(streamed):
        index(streamed, engine_of(streamed).records)

    found = rows(streamed)
    assert found["c0"] == {"ac", "cm", "me", "王五"}
    assert found["c3"] == {"sh", "ho", "or", "rt"} and "c2" not in found
    assert "华为" in rows(streamed, "q")["c1"] and "ne" in found["c1"] and "华为" not in found["c1"]


def test_claims_and_repeated_records_write_no_row(streamed: World) -> None:
    streamed.pool(customers=1)
    index(streamed, engine_of(streamed).records)
    streamed.alice.claim("c1")
    streamed.alice.post("/customers/c1/follow-up", {"note": "called"})
    before = list(engine_of(streamed).records)

    index(streamed, before)

    assert engine_of(streamed).records == before


def test_an_erased_customer_has_no_row_even_if_the_stream_was_late(streamed: World) -> None:
    mona = streamed.pool()
    mona.create("c1", name="Zhang San")
    late = list(engine_of(streamed).records)
    index(streamed, late)
    assert rows(streamed)["c1"]

    mona.post("/customers/c1/erase", {"reason": "requested"})

    assert rows(streamed) == {}
    index(streamed, late)
    assert [each["sk"]["S"] for each in everything(streamed.table) if each["pk"]["S"].endswith("#C#c1")] == ["-"]


@pytest.mark.parametrize("change", ["renamed", "erased"])
def test_a_writer_that_is_overtaken_writes_no_row_of_what_it_read(streamed: World, change: str) -> None:
    mona = streamed.pool()
    mona.create("c1", name="Zhang San")
    engine, first = engine_of(streamed), list(engine_of(streamed).records)

    def overtake(operation: str) -> None:
        if operation == "TransactWriteItems":
            engine.before = lambda operation: None
            if change == "erased":
                mona.post("/customers/c1/erase", {"reason": "requested"})
            else:
                mona.patch("/customers/c1", {"name": "Li Si"})
            index(streamed, engine.records[len(first) :])

    engine.before = overtake
    index(streamed, first)

    assert rows(streamed) == ({} if change == "erased" else {"c1": {"li", "is", "si"}})


def test_a_batch_is_retried_from_the_first_record_that_was_not_indexed(streamed: World) -> None:
    mona = streamed.pool()
    mona.create("c1", name="Zhang San")
    engine = engine_of(streamed)
    number = next(str(at) for at, each in enumerate(engine.records, 1) if "#C#" in str(each))

    def throttle(operation: str) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)

    engine.before = throttle
    assert index(streamed, list(engine.records)) == [number]
    engine.before = lambda operation: None
    assert index(streamed, list(engine.records)) == []
    assert rows(streamed)["c1"]


def test_a_malformed_customer_or_record_does_not_stop_the_others(streamed: World) -> None:
    mona = streamed.pool()
    for each in ("c1", "c2"):
        mona.create(each, name="Zhang San")
    engine = engine_of(streamed)
    sound = dict(engine.items)
    key = keys.customer_key("main", "p", "c1")
    engine.items[key] = engine.items[key] | {"tail": items.serialize("[spoiled")}

    assert index(streamed, [*engine.records, {"dynamodb": {"SequenceNumber": "9", "NewImage": {"tail": {}}}}]) == []

    assert set(rows(streamed)) == {"c2"}
    engine.items[key] = sound[key]


# The audit


def audited(world: World, *, repair: bool = False) -> list[tuple[str, str]]:
    """Return the kind and the customer of each drift."""
    pools = sweeper.pools_of(world.another_process().backend, "main")
    report = audit.run(
        world.table, pools, lambda: 60.0, secret=KEY_SECRET, now=world.clock(), repair=repair, wait=lambda seconds: None
    )
    return [(each.kind, each.id) for each in report.drift]


def test_the_audit_of_a_large_pool_repairs_rows_that_the_stream_lost(streamed: World) -> None:
    streamed.pool()
    streamed.fill(row_search.SMALL + 1)
    index(streamed, engine_of(streamed).records)
    streamed.mona.patch("/customers/c7", {"name": "Lost"})

    drifts = [audited(streamed, repair=repair) for repair in (False, True, False)]

    assert drifts == [[("search", "c7")], [("search", "c7")], []]
    assert rows(streamed)["c7"] == {"lo", "os", "st"}


def test_the_audit_expects_no_rows_where_nobody_reads_the_stream(streamed: World) -> None:
    streamed.pool()
    streamed.fill(row_search.SMALL + 1)

    assert audited(streamed) == []


# After a change of the settings


def test_after_a_change_of_a_mask_the_schedule_computes_all_rows_again(streamed: World) -> None:
    mona = streamed.pool()
    streamed.fill(row_search.SMALL + 1)
    mona.create("x", name="Rare", fields={"contact": "13812345678"})
    index(streamed, engine_of(streamed).records)
    assert streamed.alice.get("/customers?q=1234").ids == ["x"]

    policy = {"policy": {"masked_fields": ["phone"]}}
    assert mona.request("PATCH", "/v1/pools/p", policy, if_match=mona.get().headers["ETag"]).status == 200
    meanwhile = [streamed.alice.walk(f"/customers?q={text}") for text in ("1234", "rare")]
    etag = mona.get().headers["ETag"]
    streamed.clock.forward(search_rows.STALE_MS)
    streamed.run_schedule(seconds=search_rows.MIN_SECONDS_LEFT - 1)  # one page only
    streamed.run_schedule()
    streamed.clock.forward(60_000)

    assert [[each["id"] for each in found] for found in meanwhile] == [[], ["x"]]
    assert [streamed.alice.walk("/customers?q=1234"), mona.get("/customers?q=1234").ids] == [[], ["x"]]
    assert streamed.alice.get("/customers?q=rare").ids == ["x"]
    assert mona.get().headers["ETag"] == etag
    assert rows_of(everything(streamed.table)) == expected_rows(streamed)
    assert items.deserialize_item(streamed.table.get([keys.pool_key("main", "p")])[keys.pool_key("main", "p")]).get(
        "unindexed_since"
    ) is None  # fmt: skip


# On an engine with a stream of its own


def test_a_large_pool_is_searched_after_its_stream_is_read(ministack: str) -> None:
    world = World(new_table(ministack, stream=True))
    mona = world.pool(members="alice")
    world.fill(row_search.SMALL + 1)
    mona.create("x1", name="华为 科技", fields={"contact": "Zhang"})
    mona.create("x2", name="华为 科技", fields={"contact": "Li"})
    mona.create("x3", name="Moves away")
    mona.create("x4", name="Is erased")
    world.alice.claim("x2")
    stream = Stream(ministack, "us-east-1", world.table.name, whole=True)
    index_all(world, stream.read())
    mona.patch("/customers/x1", {"name": "中国 华为"})
    mona.post("/customers/x4/erase", {"reason": "requested"})
    index_all(world, stream.read())

    assert world.alice.get(f"/customers?q={quote('华为')}").ids == ["x1", "x2"]
    assert [each["id"] for page in mona.pages(f"/customers?q={quote('为科')}", 1) for each in page] == ["x2"]
    assert len(list(mona.walk("/customers?q=omer"))) == row_search.SMALL + 1
    assert [mona.get(f"/customers?q={text}").ids for text in ("zhang", "erased", "moves")] == [["x1"], [], ["x3"]]
    assert_sound(world.table)
