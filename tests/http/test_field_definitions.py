"""Definitions of fields: what a pool may define, and the check of each value that is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.table import SetAttributes
from chalicelib.model.field_definitions import STANDARD
from tests.support.world import Reply, User, World


def field(key: str, kind: str = "text", **members: Any) -> dict[str, Any]:
    return {"key": key, "label": {"en": key.title(), "zh": f"字段{key}"}, "type": kind} | members


def define(mona: User, *fields: dict[str, Any], **policy: Any) -> Reply:
    version = mona.get("").json["version"]
    return mona.patch("", {"fields": list(fields), "policy": policy}, if_match=f'"{version}"')


STAGE = field("stage", "choice", options=["new", "hot"])
TAGS = field("tags", "choices", options=["vip", "east"])


def test_a_pool_that_defines_no_fields_has_the_standard_set(world: World) -> None:
    mona = world.pool()

    pool = mona.get("").json

    assert [each["key"] for each in pool["fields"]] == [each.key for each in STANDARD] and pool["fields_ready"] is True
    assert pool["fields"][0] == field("phone", "phone", label={"en": "Phone", "zh": "电话"}) | {
        "options": [], "required": False, "unique": False, "masked": False, "list": True, "filter": False,
        "search": False,
    }  # fmt: skip


UNDEFINED = {"tags": ["a", 1, None], "site": {"floor": 3, "rooms": [{"no": "A1"}]}, "empty": {}, "yes": True, "n": 1.5}


@pytest.mark.parametrize("definitions", [[], [STAGE]])
def test_a_key_without_a_definition_keeps_the_json_value_it_was_given(
    world: World, definitions: list[dict[str, Any]]
) -> None:
    mona = world.pool()
    if definitions:
        define(mona, *definitions)

    created = mona.post("/customers", {"id": "a", "name": "A", "fields": UNDEFINED})
    edited = mona.patch("/customers/a", {"fields": {"site": [[]]}})

    assert (created.status, created.json["fields"]) == (201, UNDEFINED)
    assert edited.json["fields"] == mona.customer("a")["fields"] == UNDEFINED | {"site": [[]]}


def test_a_key_of_the_standard_set_holds_no_list_and_no_object(world: World) -> None:
    mona = world.pool()

    refused = [mona.post("/customers", {"name": "A", "fields": {"city": value}}) for value in (["a"], {"a": 1})]

    assert [(each.status, each.code) for each in refused] == [(422, "field_invalid")] * 2


def test_a_value_is_nested_at_most_eight_levels_deep(world: World) -> None:
    mona = world.pool()
    deep = [json.loads("[" * levels + "]" * levels) for levels in (8, 9, 800)]

    replies = [mona.post("/customers", {"name": "A", "fields": {"x": value}}) for value in deep]

    assert [(each.status, each.json.get("code")) for each in replies] == [(201, None), *[(422, "invalid_request")] * 2]


def test_definitions_replace_the_former_ones_and_an_empty_list_restores_the_standard_set(world: World) -> None:
    mona = world.pool()

    first, second = define(mona, STAGE, TAGS), define(mona, TAGS)
    restored = define(mona)

    assert [each["key"] for each in first.json["fields"]] == ["stage", "tags"]
    assert [each["key"] for each in second.json["fields"]] == ["tags"]
    assert [each["key"] for each in restored.json["fields"]] == [each.key for each in STANDARD]
    assert world.alice.patch("", {"fields": []}, if_match='"4"').code == "not_manager"


def test_a_pool_is_created_with_its_fields(world: World) -> None:
    body = {"id": "q", "name": "Q", "fields": [STAGE]}

    made = world.root.request("POST", "/v1/pools", body)

    assert made.status == 201 and made.json["fields"] == [
        STAGE | dict.fromkeys(("required", "unique", "masked", "list", "filter", "search"), False)
    ]


BAD_DEFINITIONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "an unknown type": ([field("a", "colour")], "fields[0].type"),
    "no label": ([{"key": "a", "type": "text"}], "fields[0].label"),
    "a blank label": ([field("a", label={"en": " ", "zh": "甲"})], "fields[0].label.en"),
    "a key with a colon": ([field("a:b")], "fields[0].key"),
    "a blank key": ([field("\u3164")], "fields[0].key"),
    "the key of the name": ([field("name")], "fields[0].key"),
    "a repeated key": ([field("a"), field("a")], "fields[1].key"),
    "a choice without options": ([field("a", "choice")], "fields[0].options"),
    "a text with options": ([field("a", options=["x"])], "fields[0].options"),
    "a repeated option": ([field("a", "choice", options=["x", "x"])], "fields[0].options"),
    "an option with a comma": ([field("a", "choice", options=["x,y"])], "fields[0].options"),
    "an option with two dots": ([field("a", "choice", options=["x..y"])], "fields[0].options"),
    "a filter by phone": ([field("a", "phone", filter=True)], "fields[0].filter"),
    "a search in numbers": ([field("a", "number", search=True)], "fields[0].search"),
    "a unique bool": ([field("a", "bool", unique=True)], "fields[0].unique"),
    "fifty-one fields": ([field(f"f{n}") for n in range(51)], "fields"),
    "nine fields in rows": ([field(f"f{n}", list=n < 4, filter=n >= 4) for n in range(9)], "fields"),
    "four unique fields": ([field(f"f{n}", unique=True) for n in range(4)], "fields"),
    "five searched fields": ([field(f"f{n}", search=True) for n in range(5)], "fields"),
    "an unknown member": ([field("a", hidden=True)], "fields[0]"),
}


@pytest.mark.parametrize("case", BAD_DEFINITIONS)
def test_an_invalid_definition_is_refused_and_named(world: World, case: str) -> None:
    fields, member = BAD_DEFINITIONS[case]
    mona = world.pool()

    changed = define(mona, *fields)
    made = world.root.request("POST", "/v1/pools", {"id": "q", "name": "Q", "fields": fields})

    assert [(each.status, each.code) for each in (changed, made)] == [(422, "field_invalid")] * 2
    assert all(any(error.startswith(member) for error in each.json["errors"]) for each in (changed, made))
    assert mona.get("").json["version"] == 1


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        ("text", ["", "x", None], [1, True, ["x"]]),
        ("number", [2, 0.5, "12.50", "-3", None, ""], ["12a", True, "1e3", "∞"]),
        ("date", ["2026-06-01", "2026-06-01T08:00:00+08:00"], ["2026-13-01", "1.6.2026", "2026-06-01T08:00:00", 5]),
        ("bool", [True, False, "true", "否"], ["maybe", 2]),
        ("phone", ["13800138000", "ask Wang", 13800138000], [True, 0.5]),
        ("email", ["a@b.example", "none yet"], [1]),
        ("url", ["https://a.example/x", "a.example"], ["a b", "ftp://a.example", "nothing"]),
        ("choice", ["new", "hot", ""], ["cold", "New", 1, ["new"]]),
        ("choices", [["new", "hot"], [], "new,hot"], [["cold"], "new,cold", 1]),
    ],
)
def test_a_value_must_fit_the_type_of_its_field(world: World, kind: str, fitting: list[Any], others: list[Any]) -> None:
    mona = world.pool()
    options = {"options": ["new", "hot"]} if kind in ("choice", "choices") else {}
    define(mona, field("f", kind, **options))

    stored = [mona.create(f"c{at}", fields={"f": each}, on_duplicate="allow") for at, each in enumerate(fitting)]
    refused = [mona.create("x", fields={"f": each}) for each in others]
    edited = [mona.patch("/customers/c0", {"fields": {"f": each}}) for each in others]

    assert [each.json["fields"]["f"] for each in stored] == fitting
    assert {(each.status, each.code) for each in refused + edited} == {(422, "field_invalid")}
    assert all(each.json["errors"][0].startswith("fields.f: ") for each in refused + edited)
    assert mona.customer("c0")["version"] == 1


def test_values_of_an_import_and_of_a_batch_are_checked_row_by_row(world: World) -> None:
    mona = world.pool()
    define(mona, STAGE)
    mona.create("a"), mona.create("b", fields={"stage": "hot"})
    rows = [{"id": "c", "name": "C", "fields": {"stage": "new"}}, {"id": "d", "name": "D", "fields": {"stage": "old"}}]

    imported = mona.post("/import", {"rows": rows}).json["results"]
    edited = mona.post("/edit", {"customer_ids": ["a", "b"], "fields": {"stage": "cold"}}).json["results"]

    assert [each.get("code", "ok") for each in imported] == ["ok", "field_invalid"]
    assert [each["code"] for each in edited] == ["field_invalid"] * 2
    assert mona.customer("b")["fields"] == {"stage": "hot"}


def test_a_required_field_is_never_left_empty(world: World) -> None:
    mona = world.pool()
    mona.create("old")
    define(mona, field("code", required=True))

    missing, blank = mona.create("x"), mona.create("x", fields={"code": " "})
    mona.create("a", fields={"code": "1"})
    removed = mona.patch("/customers/a", {"fields": {"code": None}})
    other = mona.patch("/customers/old", {"fields": {"remark": "written before the field was required"}})

    assert [each.code for each in (missing, blank, removed)] == ["field_invalid"] * 3
    assert missing.json["errors"] == ["fields.code: is required"]
    assert other.status == 200


def test_a_value_that_no_longer_fits_stays_until_its_key_is_written(world: World) -> None:
    mona = world.pool()
    mona.create("a", fields={"stage": "cold"})
    define(mona, STAGE)

    other = mona.patch("/customers/a", {"fields": {"remark": "x"}})
    same = mona.patch("/customers/a", {"fields": {"stage": "colder"}})

    assert other.status == 200 and other.json["fields"]["stage"] == "cold"
    assert same.code == "field_invalid"


def test_a_strict_pool_refuses_fields_that_it_does_not_define(world: World) -> None:
    mona = world.pool()
    define(mona, STAGE, strict_fields=True)

    refused = mona.create("a", fields={"stage": "hot", "color": "red"})
    unnamed = mona.create("a", fields={"13800138000": "x"})

    assert (refused.status, refused.code) == (422, "field_invalid")
    assert refused.json["errors"] == ["fields.color: is not a field of this pool"]
    assert "13800138000" not in unnamed.text


def test_of_the_defined_fields_only_choices_hold_a_list(world: World) -> None:
    mona = world.pool()
    define(mona, TAGS, field("text"))

    choices = mona.create("a", fields={"tags": ["vip"]})
    text = mona.create("b", fields={"text": ["vip"]})

    assert choices.json["fields"] == {"tags": ["vip"]} == mona.customer("a")["fields"]
    assert text.code == "field_invalid"


def test_the_members_role_is_checked_before_the_values(world: World) -> None:
    mona = world.pool()
    define(mona, STAGE)

    by_member = world.alice.create("a", fields={"stage": "cold"})

    assert by_member.code == "not_manager"
    assert mona.customer("a")["code"] == "not_found"


def test_a_field_is_masked_by_its_definition(world: World) -> None:
    mona = world.pool()
    define(mona, field("mobile", "phone", masked=True), field("code", unique=True), TAGS | {"masked": True})
    mona.create("a", name="Ring 13912345678", fields={
        "mobile": "13812345678", "code": "13712345678", "tags": ["vip"], "remark": "or 13612345678",
    })  # fmt: skip

    shown = world.alice.customer("a")

    assert shown["masked"] is True and shown["name"] == "Ring 139****5678"
    assert shown["fields"] == {
        "mobile": "138****5678", "code": "13712345678", "tags": "****", "remark": "or 136****5678",
    }  # fmt: skip
    assert mona.customer("a")["fields"]["mobile"] == "13812345678"
    assert world.alice.get("/customers?phone=13812345678").code == "not_manager"


def test_a_field_of_the_type_phone_is_a_key_of_its_customer(world: World) -> None:
    mona = world.pool()
    define(mona, field("mobile", "phone"), field("work", "email"))
    mona.create("a", fields={"mobile": "138 0013 8000", "work": "A@b.example"})

    by_phone = mona.get("/customers?phone=13800138000").json["items"]
    by_email = mona.get("/customers?email=a@B.example").json["items"]
    again = mona.post("/import", {"key": "phone", "rows": [{"name": "B", "fields": {"mobile": "+86 13800138000"}}]})

    assert [each["id"] for each in by_phone + by_email] == ["a", "a"]
    assert again.json["results"][0]["code"] == "duplicate_customer"


def test_definitions_of_a_later_version_are_kept(world: World) -> None:
    mona = world.pool()
    define(mona, STAGE)
    key = keys.pool_key("main", "p")
    later = '[{"key": "stage", "label": {"en": "Stage", "zh": "S"}, "type": "relation", "icon": "star"}]'
    world.table.write([SetAttributes(key, {"fields": {"S": later}})])
    world.clock.forward(10_000)

    shown = mona.get("").json["fields"][0]
    created = mona.create("a", fields={"stage": "anything"})
    define(mona, TAGS, STAGE)

    stored = world.table.get([key])[key]["fields"]["S"]
    assert shown["type"] == "text" and created.status == 201
    assert '"icon":"star"' in stored and '"choice"' in stored


@pytest.mark.parametrize(
    "definition",
    [
        field("a", "choice", options=["\u202eb"]),
        field("a", label={"en": "a\nb", "zh": "b"}),
        field("a", label={"en": "a", "zh": "\u0000"}),
    ],
)
def test_labels_and_options_have_no_control_or_direction_characters(world: World, definition: dict[str, Any]) -> None:
    made = world.root.request("POST", "/v1/pools", {"id": "q", "name": "Q", "policy": {}, "fields": [definition]})

    assert (made.status, made.code) == (422, "field_invalid")
