"""The life of a customer: the list of transitions, the page that explains it, its picture, and what really happens."""

from __future__ import annotations

import importlib
import re
from typing import Any, get_args

from chalicelib.domain.invariants import TRANSITIONS, is_transition
from chalicelib.dynamodb import items, keys
from chalicelib.model.model import Event
from chalicelib.model.responses import EventType
from chalicelib.model.times import rfc3339
from tests.support.pages import quoted, tables, text_of
from tests.support.world import DAY, HOUR, User, World
from tools.docs.pictures import PAGES, PICTURES

PAGE = "docs/lifecycle.md"
EVERY_STEP = {(event, *step) for event, steps in TRANSITIONS.items() for step in steps}


def rows() -> dict[str, list[str]]:
    """The cells of each event of the page."""
    return {quoted(first)[0]: rest for first, *rest in tables(PAGE)[0]}


def test_the_transition_table_has_exactly_the_events_of_the_contract() -> None:
    assert set(TRANSITIONS) == set(get_args(EventType))


def test_the_transition_page_has_a_row_for_each_event() -> None:
    documented = {
        event: {(start or None, end or None) for start, end in re.findall(r"(\w*) ?→ ?(\w*)", cells[0])}
        for event, cells in rows().items()
    }

    assert documented == {event: set(steps) for event, steps in TRANSITIONS.items()}


def test_functions_on_the_transition_page_exist() -> None:
    for event, cells in rows().items():
        for name in quoted(cells[-1]):
            module, _, function = name.rpartition(".")
            assert hasattr(importlib.import_module(f"chalicelib.{module}"), function), f"{event}: {name}"


def test_the_committed_pictures_match_the_code() -> None:
    for name, draw in PAGES.items():
        assert (PICTURES / name).read_text(encoding="utf-8") == draw(), "run: make pictures"
        assert f"pictures/{name}" in text_of(PAGE) + text_of("docs/architecture.md"), f"no page shows {name}"


def test_a_change_outside_the_transition_table_is_rejected() -> None:
    assert is_transition(Event(2, "claimed", 0, "alice", from_state="available", to_state="claimed"))
    assert not is_transition(Event(2, "claimed", 0, "alice", from_state="private", to_state="claimed"))
    assert not is_transition(Event(2, "stolen", 0, "alice", from_state="available", to_state="claimed"))


def test_every_transition_of_the_table_occurs_in_the_samples(memory_world: World) -> None:
    mona = memory_world.pool(
        claim_ttl="P2D", extension="P1D", members_may_extend=True, max_returns=2, pin_limit=2, reminders=["PT1H"],
        private_ttl="P2D",
    )  # fmt: skip
    alice = memory_world.user("alice")
    memory_world.fill(4)
    mona.create("made")
    mona.create("own", private_of="bob")

    from_hand_to_hand(memory_world, mona, alice)
    out_of_the_pool_and_back(mona, alice)
    by_request(mona, alice)
    by_the_clock(memory_world, mona, alice)
    suppressions(memory_world, mona)

    ids = [
        each["id"] for state in ("available", "claimed", "private") for each in mona.walk(f"/customers?state={state}")
    ]
    taken = {
        (event["type"], event["from_state"], event["to_state"])
        for customer in ids
        for event in mona.walk(f"/customers/{customer}/history")
    }
    assert taken | erasures(memory_world, mona) == EVERY_STEP


def erasures(world: World, mona: User) -> set[tuple[str, Any, Any]]:
    """Erase a customer of each state. Return the steps, which no route shows."""
    taken = set()
    world.fill(3, prefix="e")
    done(mona.claim("e2"), mona.claim("e3"), mona.post("/customers/e3/win"))
    for customer in ("e1", "e2", "e3"):
        done(mona.post(f"/customers/{customer}/erase", {"reason": "requested", "force": True}))
        key = keys.customer_key("main", "p", customer)
        event = items.tombstone_record(world.table.get([key])[key]).tail[-1]
        taken.add((event.type, event.from_state, event.to_state))
    return taken


def suppressions(world: World, mona: User) -> None:
    world.fill(3, prefix="s")
    done(mona.claim("s2"), mona.claim("s3"), mona.post("/customers/s3/win"))
    for customer in ("s1", "s2", "s3"):
        done(mona.post(f"/customers/{customer}/suppress", {"force": True}))
        done(mona.post(f"/customers/{customer}/unsuppress"))


def done(*replies: Any) -> None:
    assert [reply.status for reply in replies] == [200] * len(replies), [reply.text for reply in replies]


def from_hand_to_hand(world: World, mona: User, alice: User) -> None:
    done(mona.post("/customers/c1/assign", {"to": "bob"}), mona.post("/customers/c1/transfer", {"to": "alice"}))
    done(alice.post("/customers/c1/extend"), alice.post("/customers/c1/follow-up", {"note": "rang"}))
    done(alice.post("/customers/c1/pin", {"until": rfc3339(world.clock.now + DAY)}), alice.post("/customers/c1/unpin"))
    done(alice.release("c1"), alice.claim("c1"), mona.release("c1"))
    done(mona.post("/customers/c1/restore"))


def out_of_the_pool_and_back(mona: User, alice: User) -> None:
    done(alice.claim("c2"), edited(mona, "c2"), alice.post("/customers/c2/win"), edited(mona, "c2"))
    done(alice.post("/customers/c2/deposit"), edited(mona, "c2"), mona.post("/customers/c2/convert", {"to": "bob"}))
    done(mona.post("/customers/c2/transfer", {"to": "alice"}), mona.post("/customers/c2/transfer", {"to": "bob"}))
    done(alice.claim("c3"), mona.post("/customers/c3/convert"), alice.post("/customers/c3/follow-up", {"note": "rang"}))


def by_request(mona: User, alice: User) -> None:
    version = mona.get().headers["ETag"]
    done(mona.request("PATCH", "/v1/pools/p", {"policy": {"win": "approval"}}, if_match=version))
    done(alice.claim("made"), alice.post("/customers/made/win"))
    done(mona.post("/customers/made/win/decline", {"reason": "not signed"}))


def by_the_clock(world: World, mona: User, alice: User) -> None:
    done(alice.claim("c4"))
    world.clock.forward(2 * DAY - HOUR)
    world.sweep()
    world.clock.forward(HOUR)
    world.sweep()


def edited(mona: User, customer: str) -> Any:
    number = len(mona.events(customer))
    return mona.request("PATCH", f"/v1/pools/p/customers/{customer}", {"name": f"Name {number}"})
