"""What is kept for an Idempotency-Key, part by part, and what a repetition makes of it."""

from __future__ import annotations

import zlib

import pytest
from msgspec.structs import replace

from chalicelib.domain import rendering
from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.conditions import evaluate
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer
from chalicelib.model.policy import Policy
from chalicelib.transactions.idempotency import NO_KEY, WHOLE, IdempotencyRecord, Result, decoded
from tests.support.memory import Memory, memory_table
from tests.support.world import DAY, SECOND, START

NEW = Customer(
    "main", "p", "c1", "Acme", "available", version=1, created_at=START, updated_at=START, entered_at=START,
    waiting_since=START, fields_version=1, fields={"phone": "13812345678"},
)  # fmt: skip
FACTS = rendering.facts(NEW, Policy())
DONE, ALSO = Result("c1", FACTS), Result("c2", replace(FACTS, id="c2"))
ENDED = Result("", body={"id": "p"})
REFUSED = Result("c3", refusal=Refusal("cooldown", START, 1, 2))


def key_of(part: int) -> Key:
    return keys.idempotency_record_key("main", "alice", "claim", "k", part)


def journal(now: int = START, fingerprint: str = "f") -> IdempotencyRecord:
    return IdempotencyRecord(key_of, fingerprint, now)


def written(*parts: dict[int, Result]) -> Memory:
    """Return an engine with the stored results of an attempt at that time, in that many parts."""
    memory, kept = Memory(), journal()
    for answers in parts:
        memory_table(memory).write(kept.parts(answers))
        kept.committed(answers)
    return memory


def test_each_part_of_an_idempotency_record_is_an_item_that_expires_after_a_day() -> None:
    found_items = written({0: DONE}, {2: ALSO, 1: REFUSED}).items

    assert set(found_items) == {key_of(0), key_of(1)}
    assert {items.deserialize(item["ttl"]) for item in found_items.values()} == {START // SECOND + 24 * 3600}
    assert {items.deserialize(item["fingerprint"]) for item in found_items.values()} == {"f"}


def test_a_third_part_of_an_idempotency_record_follows_the_second() -> None:
    assert set(written({0: DONE}, {1: ALSO}, {2: REFUSED}).items) == {key_of(0), key_of(1), key_of(2)}


def test_a_repetition_loads_all_parts_in_one_read_and_continues_after_them() -> None:
    memory = written({0: DONE}, {2: ALSO, 1: REFUSED})
    requests: list[str] = []
    memory.before = requests.append

    again = journal(START + DAY - SECOND)
    again.load(memory_table(memory))

    assert again.answers == {0: DONE, 2: ALSO, 1: REFUSED}
    assert (again.replayed, again.reserved_keys, requests) == (True, [key_of(2)], ["Query"])
    assert items.deserialize(again.parts({3: DONE})[0].item["ttl"]) == START // SECOND + 24 * 3600, (
        "all parts end together"
    )


def test_an_idempotency_key_is_new_after_a_day_and_its_parts_are_overwritten() -> None:
    memory = written({0: DONE})
    day_later = journal(START + DAY)

    day_later.load(memory_table(memory))

    assert (day_later.answers, day_later.replayed, day_later.reserved_keys) == ({}, False, [key_of(0)])
    assert memory_table(memory).write(day_later.parts({0: ALSO})) is None
    assert memory_table(memory).write(journal(START + DAY - SECOND).parts({0: DONE})) == {
        key_of(0): memory.items[key_of(0)]
    }  # fmt: skip


def test_parts_after_a_gap_or_an_expired_part_are_ignored() -> None:
    gap = written({0: DONE}, {1: ALSO}, {2: REFUSED})
    del gap.items[key_of(1)]
    ended = written({0: DONE}, {1: ALSO})
    ended.items[key_of(0)] = ended.items[key_of(0)] | {"ttl": {"N": str(START // SECOND)}}

    after_a_gap, after_an_end = journal(), journal()
    after_a_gap.load(memory_table(gap))
    after_an_end.load(memory_table(ended))

    assert (after_a_gap.answers, after_an_end.answers) == ({0: DONE}, {})


def test_a_part_is_written_only_over_nothing_or_an_expired_part() -> None:
    (put,) = journal().parts({0: DONE})
    assert put.condition is not None

    def free(item: Item) -> bool:
        assert put.condition is not None
        return evaluate(put.condition, item)

    ends_now, goes_on = ({"pk": {"S": put.key.pk}, "ttl": {"N": str(START // SECOND + more)}} for more in (0, 1))
    assert (free({}), free(ends_now), free(goes_on)) == (True, True, False)


def test_an_idempotency_key_with_another_body_is_refused() -> None:
    memory = written({0: DONE})

    with pytest.raises(Refused) as caught:
        journal(fingerprint="g").load(memory_table(memory))

    assert caught.value.refusal == Refusal("idempotency_key_reused")


def test_a_refused_request_is_refused_again() -> None:
    whole = Result("", refusal=Refusal("batch_too_large", limit=3))

    with pytest.raises(Refused) as caught:
        journal().load(memory_table(written({WHOLE: whole})))

    assert caught.value.refusal == Refusal("batch_too_large", limit=3)
    done = journal()
    done.load(memory_table(written({WHOLE: ENDED})))
    assert done.answers == {WHOLE: ENDED}


def test_the_final_part_keeps_earlier_results_and_stores_the_rest() -> None:
    memory = written({0: DONE})
    again = journal()
    again.load(memory_table(memory))

    answers = again.close(memory_table(memory), {0: ALSO, 1: REFUSED})

    assert answers == {0: DONE, 1: REFUSED}
    assert (again.replayed, set(memory.items)) == (False, {key_of(0), key_of(1)})
    assert again.close(memory_table(memory), {0: ALSO, 1: REFUSED}) == answers
    assert len(memory.items) == 2, "nothing was missing"


def test_two_concurrent_attempts_return_one_response() -> None:
    memory = Memory()
    first, second = journal(), journal()
    first.close(memory_table(memory), {0: DONE})

    answers = second.close(memory_table(memory), {0: ALSO, 1: REFUSED})

    assert answers == {0: DONE, 1: REFUSED}
    assert set(memory.items) == {key_of(0), key_of(1)}


def test_repetitions_share_a_request_marker_that_changes_after_a_day() -> None:
    memory = written({0: DONE})
    first, again, later = journal(), journal(START + 5 * SECOND), journal(START + DAY)
    other = IdempotencyRecord(lambda part: keys.idempotency_record_key("main", "bob", "claim", "k", part), "f", START)

    again.load(memory_table(memory))

    assert first.name == again.name and len(first.name) == 32
    assert len({first.name, later.name, other.name}) == 3


def test_a_stored_refusal_is_selected_by_its_reason() -> None:
    assert REFUSED.refused_as("cooldown")
    assert not REFUSED.refused_as("embargoed") and not DONE.refused_as("cooldown")


def test_an_idempotency_record_stores_facts_and_nothing_personal() -> None:
    seen = Result("c1", FACTS, seen=NEW, managed=True)
    (item,) = written({0: seen}).items.values()

    content = zlib.decompress(item["answers"]["B"])

    assert b"Acme" not in content and b"1381234" not in content
    assert decoded(item["answers"]["B"]) == {0: DONE}


def test_an_idempotency_record_stores_no_text_given_as_an_id() -> None:
    memory, given = Memory(), Result("call Wang", refusal=Refusal("not_found"))
    journal().close(memory_table(memory), {0: given})

    (item,) = memory.items.values()
    again = journal()
    answers = again.close(memory_table(memory), {0: given})

    assert b"Wang" not in zlib.decompress(item["answers"]["B"])
    assert answers == {0: given}


def test_a_request_without_a_key_stores_nothing_and_takes_every_result_as_it_is() -> None:
    memory = Memory()
    memory.before = lambda operation: pytest.fail(f"{operation} without a key")

    NO_KEY.load(memory_table(memory))
    answers = NO_KEY.close(memory_table(memory), {0: DONE})
    NO_KEY.committed({0: DONE})

    assert answers == {0: DONE}
    assert (NO_KEY.parts({0: DONE}), NO_KEY.reserved_keys, NO_KEY.answers) == ([], [], {})
    assert not NO_KEY.merge_stored({key_of(0): {}}) and not NO_KEY.is_finished
