"""Territories: which customers a member may take, by one field (rules 37 and 48)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.cards import MAX_BYTES
from chalicelib.dynamodb.table import SetAttributes
from tests.support.dynamodb_calls import counted
from tests.support.memory import Memory, memory_table
from tests.support.world import HOUR, Reply, User, World

CITIES = {"c1": "Beijing", "c2": "Shanghai", "c3": "Beijing", "c4": "Shanghai", "c5": None}
NORTH = {"city": ["Beijing", "Xi'an"]}


def field(key: str, kind: str = "text", **members: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key, "zh": key}, "type": kind} | members


def in_cities(world: World, cities: dict[str, str | None] = CITIES, **policy: Any) -> User:
    """Create a pool whose customers are in these cities, in this order."""
    mona = world.pool(**policy)
    rows = [{"id": each, "name": each, "fields": {"city": city} if city else {}} for each, city in cities.items()]
    for start in range(0, len(rows), 100):
        assert mona.post("/import", {"rows": rows[start : start + 100]}).json["summary"]["failed"] == 0
        world.clock.forward(1)
    return mona


def give(world: World, takes: dict[str, list[str]] | None, user: str = "alice") -> Reply:
    return world.mona.patch(f"/members/{user}", {"takes": takes})


def blocking(user: User, customer: str) -> list[str]:
    return [each["code"] for each in user.get(f"/customers/{customer}/eligibility").json["blocking"]]


def test_a_member_claims_only_inside_the_territory(world: World) -> None:
    in_cities(world)

    put = world.mona.put("/members/alice", {"role": "member", "takes": NORTH})
    inside, outside, without_city = (world.alice.claim(each) for each in ("c1", "c2", "c5"))
    batch = world.alice.claim_batch(["c2", "c3", "c4"])

    assert put.json["takes"] == NORTH == world.alice.get("/members/me").json["takes"]
    assert inside.status == 200 and batch.results == ["territory", "ok", "territory"]
    assert (outside.status, outside.code) == (409, "territory") == (without_city.status, without_city.code)
    assert world.bob.claim("c2").status == 200


def test_null_or_leaving_it_out_of_a_put_removes_a_territory(world: World) -> None:
    in_cities(world)
    give(world, NORTH)

    kept = world.mona.patch("/members/alice", {"holding_limit": 3}).json["takes"]
    refused = world.alice.claim("c2").code
    removed = world.mona.put("/members/alice", {"role": "member"}).json["takes"]

    assert kept == NORTH and refused == "territory" and removed is None
    assert world.alice.claim("c2").status == 200
    give(world, NORTH)
    assert world.alice.claim("c4").code == "territory" and give(world, None).json["takes"] is None
    assert world.alice.claim("c4").status == 200


def test_a_territory_comes_after_set_aside_and_before_the_embargo(world: World) -> None:
    in_cities(world, max_returns=1, embargo="PT1H", claim_ttl="P1D")
    give(world, NORTH)
    world.mona.post("/assign", {"customer_ids": ["c2"], "to": "bob"})
    world.bob.release("c2")

    assert world.alice.claim("c2").code == "set_aside"
    assert blocking(world.alice, "c2") == ["set_aside", "territory", "embargoed"]
    assert world.alice.claim("c4").code == "territory" and blocking(world.alice, "c4") == ["territory", "embargoed"]
    assert world.alice.claim("c1").code == "embargoed" and blocking(world.alice, "c1") == ["embargoed"]
    world.clock.forward(HOUR)
    assert blocking(world.alice, "c1") == [] and blocking(world.bob, "c4") == []


def test_claim_next_takes_only_what_is_in_the_territory(world: World) -> None:
    in_cities(world)
    give(world, {"city": ["Shanghai"]})

    one = world.alice.claim_next().ids
    all_left = world.alice.claim_next(5).ids
    nothing = world.alice.claim_next(5)

    assert one == ["c2"] and all_left == ["c4"]
    assert nothing.status == 200 and nothing.json["items"] == []
    assert sorted(world.bob.claim_next(5).ids) == ["c1", "c3", "c5"]


def test_claim_next_in_a_rare_territory_stops_with_a_cursor_and_continues() -> None:
    world = World(memory_table(Memory()))
    in_cities(world, {f"c{n}": "Shanghai" if n == 1_500 else "Beijing" for n in range(1, 1_601)})
    give(world, {"city": ["Shanghai"]})

    replies = [world.alice.claim_next()]
    while replies[-1].json.get("next_cursor"):
        replies.append(world.alice.post("/claim-next", {"count": 1, "cursor": replies[-1].json["next_cursor"]}))

    assert [reply.ids for reply in replies][-1] == ["c1500"] and 1 < len(replies) <= 4


def test_assign_transfer_and_convert_are_free_of_territories(world: World) -> None:
    in_cities(world)
    give(world, NORTH)
    give(world, NORTH, "bob")

    assert world.mona.post("/customers/c2/assign", {"to": "alice"}).status == 200
    assert world.mona.post("/customers/c2/transfer", {"to": "bob"}).status == 200
    assert world.mona.post("/customers/c4/convert", {"to": "alice"}).status == 200


def test_what_a_member_holds_stays_theirs_outside_a_new_territory(world: World) -> None:
    in_cities(world)
    world.alice.claim("c2")

    give(world, NORTH)

    assert world.alice.claim("c2").status == 200, "claiming what you hold is success"
    assert world.alice.post("/customers/c2/follow-up", {"note": "called"}).status == 200
    assert world.alice.release("c2").status == 200 and world.alice.claim("c2").code == "territory"


@pytest.mark.parametrize(
    ("takes", "code"),
    [
        ({}, "invalid_request"),
        ({"city": [], "level": ["A"]}, "invalid_request"),
        ({"city": []}, "invalid_request"),
        ({"city": ["x"] * 101}, "invalid_request"),
        ({"city": ["  "]}, "invalid_request"),
        ({"city": "Beijing"}, "invalid_request"),
        ({"phone": ["13812345678"]}, "field_invalid"),
        ({"planet": ["Mars"]}, "field_invalid"),
    ],
)
def test_a_territory_names_one_filter_field_and_1_to_100_values(world: World, takes: Any, code: str) -> None:
    in_cities(world)

    put = world.mona.put("/members/alice", {"role": "member", "takes": takes})
    patched = give(world, takes)

    assert (put.status, put.code) == (422, code) == (patched.status, patched.code)
    assert world.alice.get("/members/me").json["takes"] is None
    assert world.alice.put("/members/bob", {"role": "member", "takes": {"planet": ["Mars"]}}).code == "not_manager"


def test_a_hundred_values_of_any_length_are_exact(world: World) -> None:
    long = [f"{'很长的城市名称' * 20}{n:02d}" for n in range(100)]
    in_cities(world, {"c1": long[0], "c2": long[0] + "!", "c3": long[99], "c4": long[0][:-1]})

    assert give(world, {"city": long}).json["takes"] == {"city": long}
    assert world.alice.claim_batch(["c1", "c2", "c3", "c4"]).results == ["ok", "territory", "ok", "territory"]


def test_a_territory_is_by_a_field_of_any_filter_type(world: World) -> None:
    many = [f"Option number {n} of many" for n in range(100)]
    mona = world.pool(time_zone="Asia/Shanghai")
    fields = [field("size", "number", filter=True), field("since", "date", filter=True),
              field("vip", "bool", filter=True),
              field("lines", "choices", filter=True, options=["a", "ab", *many[2:]]),
              field("level", "choice", filter=True, options=["A", "B"])]  # fmt: skip
    assert mona.patch("", {"fields": fields}, if_match='"1"').status == 200
    inside = {"size": "12.50", "since": "2026-06-01T23:00:00Z", "vip": "是", "lines": ["ab", many[99]], "level": "A"}
    outside = {"size": 12, "since": "2026-06-01", "vip": False, "lines": ["a", many[98]], "level": "B"}
    mona.create("in", fields=inside), mona.create("out", fields=outside)
    territories = [
        {"size": ["12.5", "13"]}, {"since": ["2026-06-02"]}, {"vip": ["true"]}, {"lines": ["b", "ab"]},
        {"lines": many[99:]}, {"lines": [each for each in many if each != many[98]]}, {"level": ["A", "C"]},
    ]  # fmt: skip

    for takes in territories:
        assert give(world, takes).status == 200
        assert blocking(world.alice, "in") == [] and blocking(world.alice, "out") == ["territory"], takes
        assert world.alice.claim_batch(["in", "out"]).results == ["ok", "territory"], takes
        world.alice.release("in")


# The card


def test_whatever_writes_fields_writes_the_card(world: World) -> None:
    mona = in_cities(world)
    give(world, {"city": ["Xi'an"]})

    mona.patch("/customers/c1", {"fields": {"city": "Xi'an"}})
    mona.post("/edit", {"customer_ids": ["c2"], "fields": {"city": "Xi'an"}})
    rows = [{"id": each, "name": each, "fields": {"city": " Xi'an "}} for each in ("c3", "c4")]
    assert mona.post("/import", {"rows": rows[:1], "on_duplicate": "update"}).status == 200
    imported = mona.post("/import", {"rows": rows[1:], "on_duplicate": "update"})
    mona.create("new", fields={"city": "Xi'an"})
    eligible = [blocking(world.alice, each) == [] for each in ("c1", "c2", "c3", "c4", "c5", "new")]
    mona.post(f"/imports/{imported.json['import_id']}/undo")
    mona.patch("/customers/c1", {"fields": {"city": None}})

    assert eligible == [True, True, True, True, False, True]
    batch = world.alice.claim_batch(["c1", "c2", "c3", "c4", "new"])
    assert batch.results == ["territory", "ok", "ok", "territory", "ok"]


def test_a_customer_in_another_pool_has_a_card_of_that_pool(world: World) -> None:
    in_cities(world)
    other = world.pool("q")
    other.patch("", {"fields": [field("city", "choice", filter=True, options=["Beijing"])]}, if_match='"1"')
    world.mona.post("/customers/c1/convert", {"to": "mona"})
    other.patch("/members/alice", {"takes": {"city": ["Beijing"]}})

    assert world.mona.post("/customers/c1/deposit", {"pool": "q"}).status == 200
    assert world.user("alice", pool="q").claim("c1").status == 200


def test_a_card_is_short_whatever_the_fields_contain(world: World) -> None:
    mona = world.pool()
    long = dict.fromkeys(("phone", "contact", "city", "industry", "source", "level"), "很长" * 90)

    mona.create("c1", fields=long)

    card = world.table.get([keys.customer_key("main", "p", "c1")])[keys.customer_key("main", "p", "c1")]["card"]["M"]
    assert len(card) == 6 and sum(len(each["S"].encode()) for each in card.values()) <= MAX_BYTES
    assert items.size(card) <= 250 and world.alice.customer("c1")["fields"] == long


def test_a_card_from_before_a_change_of_the_definitions_decides_nothing(world: World) -> None:
    mona = in_cities(world)
    world.alice.customer("c1"), world.alice.customer("c2")
    fields = [field("city", "choices", filter=True, options=["Beijing", "Shanghai"])]

    assert mona.patch("", {"fields": fields}, if_match='"1"').status == 200
    give(world, {"city": ["Beijing"]})

    assert world.alice.claim_batch(["c1", "c2"]).results == ["ok", "territory"]
    assert world.alice.claim_next(5).ids == ["c3"]


def test_a_territory_by_a_field_that_is_no_filter_any_more_contains_nothing(world: World) -> None:
    mona = in_cities(world)
    give(world, NORTH)

    assert mona.patch("", {"fields": [field("city")]}, if_match='"1"').status == 200

    assert world.alice.claim("c1").code == "territory" and world.alice.claim_next().ids == []


# Several processes


def test_a_process_learns_a_changed_territory_from_a_claim(world: World) -> None:
    in_cities(world)
    give(world, NORTH)
    assert world.alice.claim("c1").status == 200

    with world.process():
        give(world, {"city": ["Shanghai"]})
    assert world.alice.claim("c3").code == "territory" and world.alice.claim("c2").status == 200

    with world.process():
        give(world, None)
    assert world.alice.claim_batch(["c3", "c4"], atomic=True).results == ["ok", "ok"]


def test_a_customer_edited_by_another_process_is_judged_by_its_new_value(world: World) -> None:
    in_cities(world)
    give(world, NORTH)
    world.alice.customer("c1"), world.alice.customer("c2")

    with world.process():
        world.mona.patch("/customers/c1", {"fields": {"city": "Shanghai"}})
        world.mona.patch("/customers/c2", {"fields": {"city": "Beijing"}})

    assert world.alice.claim("c1").code == "territory" and world.alice.claim("c2").status == 200


def test_an_atomic_batch_with_a_customer_outside_changes_nothing(world: World) -> None:
    in_cities(world)
    give(world, NORTH)

    reply = world.alice.claim_batch(["c1", "c2", "c3"], atomic=True)

    assert (reply.status, reply.code, reply.results) == (409, "territory", ["ok", "territory", "ok"])
    assert world.alice.held() == 0


def test_a_warm_claim_in_a_territory_is_one_request(world: World) -> None:
    in_cities(world)
    give(world, NORTH)
    world.alice.claim("c1"), world.alice.customer("c3")

    with counted(world) as calls:
        assert world.alice.claim("c3").status == 200

    assert dict(calls) == {"TransactWriteItems": 1}


def test_a_malformed_territory_is_reported(world: World) -> None:
    in_cities(world)
    world.table.write([SetAttributes(keys.member_key("main", "p", "alice"), {"takes": {"S": "{broken"}})])

    assert (world.alice.claim("c1").status, world.alice.claim("c1").code) == (503, "store_unavailable")
    world.table.write([SetAttributes(keys.member_key("main", "p", "alice"), {}, ("takes",))])
    assert world.alice.claim("c1").status == 200


# Edits of a field that a territory names


def test_only_managers_edit_a_field_that_a_territory_names(world: World) -> None:
    mona = in_cities(world)
    world.alice.claim("c1")
    mona.post("/customers/c2/convert", {"to": "alice"})
    give(world, NORTH, "bob")

    held = world.alice.patch("/customers/c1", {"fields": {"city": "Shanghai"}})
    owned = world.alice.post("/edit", {"customer_ids": ["c1", "c2"], "fields": {"city": None, "remark": "big"}})
    same, other = (
        world.alice.patch("/customers/c1", {"fields": fields})
        for fields in ({"city": "Beijing", "remark": "big"}, {"industry": "steel"})
    )

    assert (held.status, held.code) == (403, "not_manager") and owned.results == ["not_manager", "not_manager"]
    assert same.status == other.status == 200, "an edit that keeps the value of the named field is allowed"
    assert mona.patch("/customers/c1", {"fields": {"city": "Shanghai"}}).status == 200
    assert world.root.patch("/customers/c1", {"fields": {"city": "Beijing"}}).status == 200


def test_members_edit_the_field_again_once_no_territory_names_it(world: World) -> None:
    mona = in_cities(world)
    world.alice.claim("c1")
    give(world, NORTH, "bob")
    world.root.patch("/members/mona", {"takes": {"city": ["Shanghai"]}})
    give(world, {"level": ["A"]}, "bob")

    still_named = world.alice.patch("/customers/c1", {"fields": {"city": "Wuhan"}}).code
    world.root.patch("/members/mona", {"takes": None})
    of_city = world.alice.patch("/customers/c1", {"fields": {"city": "Wuhan"}}).status
    of_level = world.alice.patch("/customers/c1", {"fields": {"level": "A"}}).code
    mona.delete("/members/bob")

    assert (still_named, of_city, of_level) == ("not_manager", 200, "not_manager")
    assert world.alice.patch("/customers/c1", {"fields": {"level": "A"}}).status == 200


def test_a_process_learns_the_named_fields_from_an_edit(world: World) -> None:
    in_cities(world)
    world.alice.claim("c1")
    assert world.alice.patch("/customers/c1", {"fields": {"city": "Wuhan"}}).status == 200

    with world.process():
        give(world, NORTH, "bob")
    assert world.alice.patch("/customers/c1", {"fields": {"city": "Beijing"}}).code == "not_manager"

    with world.process():
        give(world, None, "bob")
    assert world.alice.patch("/customers/c1", {"fields": {"city": "Beijing"}}).status == 200


# The log


def test_the_log_shows_the_changes_of_a_territory(world: World) -> None:
    mona = in_cities(world)
    give(world, NORTH), give(world, None)

    logged = [(each["old"], each["new"]) for each in mona.walk("/log") if each["what"] == "member:alice"]

    assert logged[1:] == [({"takes": None}, {"takes": NORTH}), ({"takes": NORTH}, {"takes": None})]


def test_a_pool_that_is_made_again_has_no_territories(world: World) -> None:
    world.pool()
    give(world, NORTH, "bob")
    assert world.root.delete("").status == 200

    in_cities(world)
    world.alice.claim("c1")

    assert world.alice.patch("/customers/c1", {"fields": {"city": "Wuhan"}}).status == 200
