"""A change of field definitions: a job of the schedule brings the stored customers in line with them (rule 35)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.table import Put
from chalicelib.model.field_definitions import Field, Label
from chalicelib.services import field_forecast, field_job, search_rows
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from chalicelib.transactions.context import Caller, RequestContext
from chalicelib.transactions.unit_of_work import PlanOutdated
from tests.support.audit import assert_sound
from tests.support.undo_requests import imported, undo, undo_results
from tests.support.world import MINUTE, Reply, User, World, everything


def field(key: str, kind: str = "text", **flags: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key, "zh": key}, "type": kind} | flags


def define(mona: User, *fields: dict[str, Any], **more: Any) -> Reply:
    return mona.patch("", {"fields": list(fields)} | more, if_match=mona.get().headers["ETag"])


CITY, TAX = field("city", filter=True), field("tax_id", unique=True)


def filled(world: World, *values: dict[str, Any]) -> User:
    """Create a pool without special fields and customers c0, c1, … with these values."""
    mona = world.pool(fields=[field("remark")])
    for at, each in enumerate(values):
        assert mona.create(f"c{at}", fields=each, on_duplicate="allow").status == 201
    return mona


def stored_pool(world: World) -> Any:
    key = keys.pool_key("main", "p")
    return pool_items.pool_record("main", world.table.get([key])[key])


# Until the job is done


def test_a_pool_is_not_ready_until_the_schedule_has_finished_the_change(world: World) -> None:
    mona = filled(world, {"city": "Bonn"})

    changed = define(mona, CITY)
    world.sweep()
    meanwhile = mona.get().json["fields_ready"]
    world.clock.forward(MINUTE)
    swept = world.sweep()

    assert (changed.json["fields_ready"], meanwhile, mona.get().json["fields_ready"]) == (False, False, True)
    assert (swept.failed, mona.get().json["version"], mona.customer("c0")["version"]) == (0, 2, 1)


def test_a_filter_or_search_by_a_changing_field_waits(world: World) -> None:
    mona = filled(world, {"city": "Bonn", "contact": "Li"})
    define(mona, CITY, field("contact", search=True))

    refused = [
        mona.get("/customers?filter=city:Bonn"), mona.get("/customers?q=li"), mona.get("/customers?holder=me&q=li"),
        world.alice.post("/claim-next", {"filter": {"city": ["Bonn"]}}),
    ]  # fmt: skip
    others = [mona.get("/customers"), mona.get("/customers?sort=name"), world.alice.claim_next()]

    assert [(each.status, each.code) for each in refused] == [(409, "request_in_progress")] * 4
    assert [each.ids for each in others] == [["c0"]] * 3
    assert refused[0].json["errors"] == ["fields.city: is being changed; try again in a few minutes"]
    world.finish_field_changes()
    assert mona.get("/customers?filter=city:Bonn").ids == mona.get("/customers?q=li").ids == ["c0"]


def test_only_a_member_learns_that_a_field_is_changing(world: World) -> None:
    define(filled(world), CITY)

    stranger = world.user("nobody")
    refused = [stranger.get("/customers?filter=city:Bonn"), stranger.post("/claim-next", {"filter": {"city": ["x"]}})]

    assert [each.code for each in refused] == ["not_a_member"] * 2


def test_fields_that_do_not_change_are_filtered_by_meanwhile(world: World) -> None:
    mona = world.pool(fields=[field("size", "number", filter=True), field("city", list=True)])
    mona.create("a", fields={"size": 5})

    define(mona, field("size", "number", filter=True), CITY)

    assert mona.get("/customers?filter=size:5").ids == ["a"]
    assert mona.get("/customers?filter=city:Bonn").code == "request_in_progress"


def test_an_import_by_a_field_that_becomes_unique_waits(world: World) -> None:
    mona = filled(world, {"tax_id": "1"})
    define(mona, TAX)
    body = {"rows": [{"name": "A", "fields": {"tax_id": "1"}}], "on_duplicate": "update"}

    refused = [mona.post("/import", body | {"key": key}) for key in ("tax_id", "auto")]
    by_member = world.alice.post("/import", body | {"key": "tax_id"})
    world.finish_field_changes()

    assert [each.code for each in (*refused, by_member)] == ["request_in_progress"] * 2 + ["not_manager"]
    assert mona.post("/import", body | {"key": "tax_id"}).json["results"][0]["id"] == "c0"


@pytest.mark.parametrize(
    "other",
    [
        {"label": {"en": "Town", "zh": "城"}}, {"required": True}, {"masked": True},
        {"label": {"en": "Town", "zh": "城"}, "masked": True},
    ],
)  # fmt: skip
def test_a_change_of_a_label_or_of_who_sees_a_field_needs_no_job(world: World, other: dict[str, Any]) -> None:
    mona = world.pool(fields=[CITY])

    changed = define(mona, CITY | other)

    assert changed.json["fields_ready"] is True


def test_a_field_without_a_place_anywhere_is_added_and_removed_at_once(world: World) -> None:
    mona = world.pool(fields=[CITY])

    changes = [define(mona, CITY, field("note")), define(mona, CITY)]

    assert [each.json["fields_ready"] for each in changes] == [True, True]


# What the job writes


def test_stored_customers_get_the_cards_keys_and_rows_of_the_new_definitions(world: World) -> None:
    mona = filled(world, {"city": "Bonn", "mobile": "13812345678", "tax_id": "1"}, {"city": "Rome", "tax_id": "2"})
    world.alice.claim("c1")

    define(mona, CITY, field("mobile", "phone", search=True), TAX)
    world.finish_field_changes()
    mona.patch("/members/alice", {"takes": {"city": ["Bonn"]}})

    assert mona.get("/customers?filter=city:Rome").ids == ["c1"]
    assert mona.get("/customers?phone=13812345678").ids == mona.get("/customers?q=3812").ids == ["c0"]
    assert mona.create("new", fields={"tax_id": " 1"}).code == "duplicate_customer"
    assert mona.create("new", fields={"mobile": "13812345678"}).code == "duplicate_customer"
    assert world.alice.claim("c0").status == 200
    assert mona.events("c1") == ["created", "claimed"]
    assert_sound(world.table)


def test_a_field_that_is_no_longer_unique_leaves_its_values_to_everybody(world: World) -> None:
    mona = world.pool(fields=[TAX])
    mona.create("a", fields={"tax_id": "1"})

    define(mona, field("tax_id"))
    world.finish_field_changes()

    assert not [item for item in everything(world.table) if "#D#" in item["pk"]["S"]]
    assert mona.create("b", fields={"tax_id": "1"}).status == 201


def test_a_change_of_the_time_zone_moves_customers_to_other_days(world: World) -> None:
    mona = world.pool(fields=[field("since", "date", filter=True)])
    mona.create("a", fields={"since": "2026-06-01T23:00:00Z"})

    changed = mona.patch("", {"policy": {"time_zone": "Asia/Shanghai"}}, if_match='"1"')
    world.finish_field_changes()

    assert changed.json["fields_ready"] is False
    assert mona.get("/customers?filter=since:2026-06-02").ids == ["a"]


def test_a_change_of_the_region_reads_phone_numbers_again(world: World) -> None:
    mona = world.pool(fields=[field("mobile", "phone", unique=True)])
    mona.create("a", fields={"mobile": "030 1234567"})

    mona.patch("", {"policy": {"phone_region": "DE"}}, if_match='"1"')
    world.finish_field_changes()

    assert mona.get("/customers?phone=%2B49301234567").ids == ["a"]
    assert mona.create("b", fields={"mobile": "+49 30 1234567"}).code == "duplicate_customer"


def test_a_value_that_no_longer_fits_survives_the_job(world: World) -> None:
    mona = filled(world, {"stage": "cold"})

    define(mona, field("stage", "choice", filter=True, options=["hot"]))
    world.finish_field_changes()

    assert mona.customer("c0")["fields"] == {"stage": "cold"}
    assert mona.patch("/customers/c0", {"fields": {"remark": "x"}}).status == 200
    assert mona.patch("/customers/c0", {"fields": {"stage": "warm"}}).code == "field_invalid"


def test_a_malformed_customer_stops_no_other_one_and_is_left_to_the_audit(world: World) -> None:
    mona = filled(world, {"tax_id": "1"}, {"tax_id": "2"})
    key = keys.fields_key("main", "p", "c0")
    item = world.table.get([key])[key]
    world.table.write([Put(key, item | {"fields": {"S": "{"}})])

    define(mona, TAX)
    world.finish_field_changes()

    world.table.write([Put(key, item)])
    drift = world.root.request("POST", "/v1/audit", {"repair": True}).json["drift"]

    assert mona.get().json["fields_ready"] is True
    assert [(each["kind"], each["id"], each["repaired"]) for each in drift] == [("keys", "c0", True)]
    assert [mona.create("new", fields={"tax_id": each}).code for each in "12"] == ["duplicate_customer"] * 2


# A unique field with twins


def test_a_new_unique_field_with_twins_stays_off_and_names_them(world: World) -> None:
    mona = filled(world, {"tax_id": "1"}, {"tax_id": "2"}, {"tax_id": " 1 "}, {"tax_id": "3"})

    define(mona, TAX, CITY)
    world.finish_field_changes()

    shown = mona.get().json
    assert (shown["fields_ready"], shown["fields_problem"]) == (True, {"twins": {"tax_id": ["c0", "c2"]}})
    assert {each["key"]: each["unique"] for each in shown["fields"]} == {"tax_id": False, "city": False}
    assert "fields_problem" not in world.alice.get().json
    assert mona.create("new", fields={"tax_id": "2"}).status == 201
    assert not [item for item in everything(world.table) if "#D#unique" in item["pk"]["S"]]
    assert mona.walk("/log")[-1]["by"] == "system"


def test_after_the_twins_have_parted_the_field_becomes_unique(world: World) -> None:
    mona = filled(world, {"tax_id": "1"}, {"tax_id": "1"})
    define(mona, TAX)
    world.finish_field_changes()
    mona.patch("/customers/c1", {"fields": {"tax_id": "2"}})

    again = define(mona, TAX)
    world.finish_field_changes()

    assert "fields_problem" not in again.json and "fields_problem" not in mona.get().json
    assert mona.get().json["fields"][0]["unique"] is True
    assert mona.create("new", fields={"tax_id": "2"}).code == "duplicate_customer"


def test_a_change_of_the_rules_keeps_the_problem_with_the_fields(world: World) -> None:
    mona = filled(world, {"tax_id": "1"}, {"tax_id": "1"})
    define(mona, TAX)
    world.finish_field_changes()

    changed = mona.patch("", {"policy": {"cooldown": "PT1H"}}, if_match=mona.get().headers["ETag"])

    assert changed.json["fields_problem"] == {"twins": {"tax_id": ["c0", "c1"]}}


def test_twins_that_part_during_the_job_are_none(memory_world: World) -> None:
    world, mona = memory_world, filled(memory_world, {"tax_id": "1"}, {"tax_id": "1"}, {"tax_id": "3"})
    define(mona, TAX)
    world.clock.forward(MINUTE)
    run_pages(world, 2)

    mona.patch("/customers/c0", {"fields": {"tax_id": "2"}})
    world.finish_field_changes()

    assert "fields_problem" not in mona.get().json
    assert mona.create("new", fields={"tax_id": "1"}).code == "duplicate_customer"


def test_the_first_hundred_twins_are_named(memory_world: World) -> None:
    world = memory_world
    mona = world.pool(fields=[field("remark")])
    rows = [{"id": f"c{at:03d}", "name": "A", "fields": {"tax_id": at // 2}} for at in range(150)]
    for start in (0, 75):
        mona.post("/import", {"rows": rows[start : start + 75]})

    define(mona, TAX)
    world.finish_field_changes()

    assert mona.get().json["fields_problem"] == {"twins": {"tax_id": [f"c{at:03d}" for at in range(100)]}}


# The dry run


def test_a_dry_run_counts_values_that_no_longer_fit_and_names_twins(world: World) -> None:
    mona = filled(world, {"stage": "hot", "tax_id": "1"}, {"stage": "cold", "tax_id": "1"}, {"stage": "warm"})
    stage = field("stage", "choice", options=["hot"])

    tried = define(mona, stage, TAX, dry_run=True)
    of_a_label = mona.patch("", {"policy": {}, "dry_run": True}, if_match='"1"')

    assert tried.json["fields_forecast"] == {
        "looked_at": 3, "complete": True, "unfit": {"stage": 2}, "twins": {"tax_id": ["c0", "c1"]},
    }  # fmt: skip
    assert "fields_forecast" not in of_a_label.json
    assert (mona.get().json["version"], mona.get().json["fields_ready"]) == (1, True)
    assert define(world.alice, stage, dry_run=True).code == "not_manager"


def test_a_dry_run_says_how_far_it_looked(memory_world: World) -> None:
    world, mona = memory_world, filled(memory_world)
    world.fill(101)
    ctx = RequestContext(world.service.backend, Caller("main", "mona", admin=False), world.clock())
    pool = stored_pool(world)
    after = replace(pool, fields=(*pool.fields, Field("size", Label("Size", "大小"), "number")))

    some, everybody = (field_forecast.forecast(ctx, pool, after, most=most) for most in (100, 101))

    assert [(each.looked_at, each.complete) for each in (some, everybody)] == [(100, False), (101, True)]
    assert define(mona, TAX, dry_run=True).json["fields_forecast"]["looked_at"] == 101


# In rounds


def run_pages(world: World, pages: int, per_page: int = 1) -> None:
    """Run rounds of the job with time for one page each."""
    for _ in range(pages):
        backend = world.another_process().backend
        search_rows.continue_indexing(backend.table, stored_pool(world), world.clock(), lambda: 60.0)
        pool = stored_pool(world)
        field_job.continue_job(backend, pool, world.clock(), lambda: MIN_SECONDS_LEFT - 1, per_page=per_page)


def test_rounds_continue_where_the_one_before_stopped(memory_world: World) -> None:
    world, mona = memory_world, filled(memory_world, *({"tax_id": f"{at}"} for at in range(4)))
    define(mona, TAX)
    world.clock.forward(MINUTE)

    states = []
    for _ in range(4):
        run_pages(world, 1)
        states.append((unique_values(world), stored_pool(world).fields_since is None))

    assert states == [(1, False), (2, False), (3, False), (4, True)]
    assert_sound(world.table)


def unique_values(world: World) -> int:
    return sum("#D#unique#" in item["pk"]["S"] for item in everything(world.table))


def test_a_second_change_restarts_the_job(memory_world: World) -> None:
    world, mona = memory_world, filled(memory_world, *({"tax_id": "1", "city": "Bonn"} for _ in range(4)))
    define(mona, TAX)
    world.clock.forward(MINUTE)
    run_pages(world, 3)

    define(mona, CITY)
    world.clock.forward(MINUTE // 2)
    run_pages(world, 5)
    early = (mona.get().json["fields_ready"], mona.get("/customers?filter=city:Bonn").status)
    world.finish_field_changes()

    assert early == (False, 409)
    assert (unique_values(world), mona.get().json["fields_ready"]) == (0, True)
    assert "fields_problem" not in mona.get().json and len(mona.get("/customers?filter=city:Bonn").ids) == 4


def test_a_round_that_began_before_a_second_change_writes_nothing_more(memory_world: World) -> None:
    world, mona = memory_world, filled(memory_world, {"tax_id": "1"})
    define(mona, TAX)
    world.clock.forward(MINUTE)
    earlier = stored_pool(world)

    define(mona, field("tax_id"))
    with pytest.raises(PlanOutdated):
        field_job.continue_job(world.another_process().backend, earlier, world.clock(), lambda: 60.0)

    assert unique_values(world) == 0 and stored_pool(world).fields_since is not None


@pytest.mark.parametrize("status", ["pause", "close"])
def test_the_job_goes_on_in_a_pool_that_is_paused_or_closed(world: World, status: str) -> None:
    mona = filled(world, {"city": "Bonn"})
    define(mona, CITY)

    world.root.post(f"/{status}", {"mode": "drain"} if status == "close" else None)
    world.finish_field_changes()

    assert mona.get().json["fields_ready"] is True
    assert mona.get("/customers?filter=city:Bonn").ids == ["c0"]


def test_a_pool_that_is_deleted_during_the_job_leaves_nothing_of_it(memory_world: World) -> None:
    world, mona = memory_world, filled(memory_world)
    done = imported(mona, *({"id": f"c{at}", "name": "A", "fields": {"tax_id": f"{at}"}} for at in range(2)))
    define(mona, TAX)
    world.clock.forward(MINUTE)
    run_pages(world, 1)
    earlier = stored_pool(world)
    assert undo_results(undo(mona, done)) == {"c0": "left", "c1": "left"}

    assert world.root.delete().status == 200
    world.forged = True  # the statistics are deleted, too
    world.pool(fields=[field("remark")])
    world.mona.create("c0", fields={"tax_id": "1"})
    with pytest.raises(PlanOutdated):
        field_job.continue_job(world.another_process().backend, earlier, world.clock(), lambda: 60.0)

    assert world.mona.get().json["fields_ready"] is True and unique_values(world) == 0
    assert keys.field_job_key("main", "p").pk not in {item["pk"]["S"] for item in everything(world.table)}


# A process that has read a customer before


def test_an_edit_planned_before_the_job_keeps_the_key_that_the_job_wrote(world: World) -> None:
    mona = filled(world, {"tax_id": "1"})
    define(mona, TAX)
    world.clock.forward(MINUTE)
    world.alice.claim("c0")
    mona.customer("c0")

    with world.process():
        world.sweep()
    edited = mona.patch("/customers/c0", {"fields": {"remark": "x"}})

    assert edited.status == 200 and mona.get().json["fields_ready"] is True
    assert mona.create("new", fields={"tax_id": "1"}).code == "duplicate_customer"
    assert_sound(world.table)


@pytest.mark.parametrize("verb", ["erase", "deposit"])
def test_what_ends_a_customer_releases_the_key_that_the_job_wrote(world: World, verb: str) -> None:
    mona = filled(world, {})
    world.pool("q")
    mona.create("x", fields={"tax_id": "1"}, private_of="alice")
    define(mona, TAX)
    world.clock.forward(MINUTE)
    mona.customer("x")

    with world.process():
        world.sweep()
    body = {"reason": "requested", "force": True} if verb == "erase" else {"pool": "q"}
    gone = mona.post(f"/customers/x/{verb}", body)

    assert gone.status == 200, gone.text
    assert mona.create("new", fields={"tax_id": "1"}).status == 201
    assert_sound(world.table)
