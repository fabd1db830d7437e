"""Published events: each event of a history once, in order, without personal data."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from chalicelib.events import stream
from chalicelib.events.stream import Detail, StreamEvent
from chalicelib.model.responses import EventType
from tests.conftest import new_table
from tests.support.audit import assert_sound
from tests.support.canaries import CANARIES, FIELDS, NAME, PHONE, LogCapture
from tests.support.world import DAY, HOUR, User, World
from tools.local.stream import Stream

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")


@pytest.fixture
def streamed(ministack: str) -> Iterator[World]:
    """A world whose table has its stream."""
    world = World(new_table(ministack, stream=True))
    yield world
    assert_sound(world.table)


def records(world: World) -> list[dict[str, Any]]:
    """Return all records of the stream so far."""
    endpoint = world.table.connection.client.meta.endpoint_url
    return Stream(endpoint, "us-east-1", world.table.name, whole=True).read()


def published_by(world: World) -> list[StreamEvent]:
    reading = stream.events_from(records(world))
    assert reading.malformed == []
    return reading.events


def busy_week(world: World) -> User:
    """Every event there is, in two pools, about customers who are canaries all over."""
    mona = world.pool(claim_ttl="P3D", reminders=["P1D"], max_returns=3, members_may_extend=True, pin_limit=2)
    world.pool("q")
    for each in ("c1", "c2", "c3"):
        mona.create(each, name=NAME, fields=FIELDS, on_duplicate="allow")
    mona.post("/import", {"rows": [{"id": "c4", "name": NAME, "fields": {"phone": PHONE + "1"}}], "key": "id"})
    alice = world.user("alice")
    alice.claim_batch(["c1", "c2", "c3", "c4"])
    alice.post("/customers/c1/follow-up", {"note": NAME})
    alice.post("/customers/c1/extend", {"by": "P1D"})
    until = "2026-06-02T08:00:00Z"
    alice.post("/customers/c1/pin", {"until": until})
    alice.post("/customers/c1/unpin")
    mona.post("/customers/c1/transfer", {"to": "bob"})
    alice.release("c2", reason=f"the number of {NAME} is {PHONE}")
    mona.post("/customers/c2/assign", {"to": "bob"})
    mona.release("c2", reason=NAME)
    mona.request("PATCH", "/v1/pools/p/customers/c2", {"name": f"{NAME}!"})
    alice.post("/customers/c3/win")
    mona.post("/customers/c3/deposit", {"pool": "q"})
    mona.request("PATCH", "/v1/pools/p", {"policy": {"win": "approval"}}, if_match=mona.get().headers["ETag"])
    alice.post("/customers/c4/win")
    mona.post("/customers/c4/win/decline", {"reason": NAME})
    mona.post("/customers/c2/convert", {"to": "bob"})
    mona.post("/customers/c2/deposit")
    world.clock.forward(2 * DAY + HOUR)
    world.sweep()
    world.clock.forward(2 * DAY)
    world.sweep()
    alice.claim("c2")
    alice.release("c2")
    mona.post("/customers/c2/restore")
    mona.post("/customers/c2/suppress")
    mona.post("/customers/c2/unsuppress")
    mona.create("c5", name=NAME)
    mona.post("/customers/c5/erase", {"reason": "requested"})
    return mona


def test_every_event_of_every_history_is_published_once_in_order(streamed: World) -> None:
    mona = busy_week(streamed)

    messages: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for message in published_by(streamed):
        messages[message.detail.customer_id].append((message.detail.seq, message.detail.type))

    in_q = User(streamed, mona.caller, "q")
    histories = {each: mona if each != "c3" else in_q for each in ("c1", "c2", "c3", "c4")}
    for customer, user in histories.items():
        history = user.get(f"/customers/{customer}/history?limit=100").json["items"]
        assert messages[customer] == [(event["seq"], event["type"]) for event in history]
    assert {type_ for events in messages.values() for _, type_ in events} == set(get_args(EventType))


def test_a_published_event_has_the_data_of_the_history_and_its_location(streamed: World) -> None:
    streamed.pool(claim_ttl="P3D")
    streamed.fill(1)
    claim = streamed.user("alice").claim("c1").json

    event = streamed.user("mona").get("/customers/c1/history").json["items"][-1]

    detail = json.loads(published_by(streamed)[-1].entry("bus")["Detail"])
    assert (event.pop("reason"), event.pop("outcome"), event.pop("masked")) == (None, None, False)
    assert event.pop("changed") == []
    assert {name: detail[name] for name in event} == event
    assert (detail["tenant"], detail["pool_id"], detail["customer_id"]) == ("main", "p", "c1")
    assert (detail["schema"], detail["level"], detail["claim_id"]) == (1, None, claim["claim_id"])


def test_a_published_reminder_has_its_level(streamed: World) -> None:
    streamed.pool(claim_ttl="P3D", reminders=["P1D", "PT1H"])
    streamed.fill(1)
    streamed.user("alice").claim("c1")
    streamed.clock.forward(3 * DAY - HOUR)

    streamed.sweep()

    reminders = [message.detail for message in published_by(streamed) if message.detail.type == "reminded"]
    assert [(each.holder, each.level) for each in reminders] == [("alice", "P1D"), ("alice", "PT1H")]


def test_the_same_stream_records_yield_the_same_unique_event_ids(streamed: World) -> None:
    busy_week(streamed)

    first, again = published_by(streamed), published_by(streamed)

    assert first == again
    assert len({message.detail.id for message in first}) == len(first)


def test_no_published_event_contains_personal_data(streamed: World) -> None:
    busy_week(streamed)

    entries = [json.dumps(message.entry("bus")).lower() for message in published_by(streamed)]

    assert entries
    assert [entry for entry in entries if any(canary in entry for canary in CANARIES)] == []


def test_a_stream_record_without_a_transition_publishes_nothing(streamed: World) -> None:
    mona = streamed.pool(claim_ttl="P3D")
    streamed.fill(2)
    before = len(published_by(streamed))

    mona.get("/customers")
    streamed.user("alice").claim("nobody", idempotency_key="k")
    streamed.user("root", admin=True).request("POST", "/v1/audit", {"repair": True})
    streamed.user("root", admin=True).post("/pause")

    assert len(published_by(streamed)) == before


def test_a_customer_removed_by_undo_publishes_nothing_more(streamed: World) -> None:
    mona = streamed.pool()
    made = mona.post("/import", {"rows": [{"id": "c1", "name": "One"}], "key": "id"}).json["import_id"]

    mona.post(f"/imports/{made}/undo")

    assert [message.detail.type for message in published_by(streamed)] == ["imported"]


# What reads as no record


def change(**image: Any) -> dict[str, Any]:
    item = {
        "pk": {"S": "T#main#P#p#C#c1"}, "sk": {"S": "-"}, "version": {"N": "1"}, "created_at": {"N": "7"},
        "tail": {"S": '[[1,"created",7,"mona",null,null,null,null,"available",null]]'},
    }  # fmt: skip
    new = {name: value for name, value in (item | image).items() if value is not None}
    return {"dynamodb": {"SequenceNumber": "1", "NewImage": new}}


MALFORMED = {
    "no change at all": {},
    "events that are no JSON": change(tail={"S": f"[{NAME}"}),
    "events of another shape": change(tail={"S": json.dumps([[1, NAME, PHONE]])}),
    "no version": change(version=None),
    "a version that is a text": change(version={"S": NAME}),
    "a key of another form": change(pk={"S": NAME}),
    "a time beyond all calendars": change(tail={"S": json.dumps([[1, "created", 10**18, "mona"]])}),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_stream_record_is_logged_safely_and_stops_no_other(what: str) -> None:
    reading = stream.events_from([change(), MALFORMED[what], change()])

    assert [message.detail.type for message in reading.events] == ["created", "created"]
    outlined = reading.malformed[0].summary
    assert " at " in outlined and not any(canary in outlined.lower() for canary in CANARIES)


# The documentation


def test_the_events_page_lists_every_member_and_type() -> None:
    members = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Types")[0], re.MULTILINE)
    types = re.findall(r"`(\w+)`", PAGE.partition("## Types")[2].partition("\n\nTheir meanings")[0])

    assert members == list(Detail.__struct_fields__)
    assert types == list(get_args(EventType))


def test_the_example_of_the_events_page_is_valid() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    event = json.loads(example)

    assert (event["source"], event["detail-type"]) == (stream.SOURCE, event["detail"]["type"])
    assert list(event["detail"]) == list(Detail.__struct_fields__)


def test_no_event_is_logged(streamed: World, logs: LogCapture) -> None:
    busy_week(streamed)
    logs.messages.clear()

    stream.events_from(records(streamed))

    assert logs.messages == []
