"""Names: each has a visible character and no control character."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from msgspec.structs import fields

from chalicelib.api.routes import ROUTES
from chalicelib.model.text import is_blank, is_field_name
from tests.support.every_route import assert_problem
from tests.support.world import World

BLANK = [
    " ", "\u3000", "\u00a0", "\u2028", "\u200b", "\u200e", "\ufeff", "\u00ad", "\u3164", "\u115f", "\u1160", "\uffa0",
    "\u2800", "\u034f",
    "\t\n", "\u200b\u200d\u2060", "\u115f\u1160", "\u202e", "\u180e", "\U000e0020", "\x00\x1f",
    "\ufe0f", "\u180b", "\U000e0001", "\U0001d159", " \u3164\u200d\u2800 ",
]  # fmt: skip
CONTROLS = [chr(code) for code in [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]]
WRONG = [*BLANK, *(f"Acme{sign}Ltd" for sign in CONTROLS), *CONTROLS, "", "x" * 201]
GOOD = [
    "A",
    "张三",
    ".",
    "\u200ba",
    "👍",
    "👨\u200d👩",
    "´",
    "①",
    "é",
    "١",
    "😀",
    "👩\u200d💻",
    "x" * 200,
    "名" * 200,
    "a\u200eb",
    "\ue000",
    "-",
    "\u0301",
    "O'Hara & Söhne",
]


@pytest.mark.parametrize("text", ["", *BLANK, *CONTROLS], ids=ascii)
def test_text_without_a_visible_character_is_blank(text: str) -> None:
    assert is_blank(text)


def test_text_with_a_visible_character_is_not_blank() -> None:
    assert [text for text in GOOD if is_blank(text) or is_blank(f"\u3164{text} ")] == []


def test_no_visible_letter_or_digit_is_blank() -> None:
    visible = [sign for sign in map(chr, range(0x3000)) if unicodedata.category(sign) in ("Lu", "Ll", "Lt", "Nd", "Nl")]

    assert [sign for sign in visible if is_blank(sign)] == []


def test_a_name_of_a_pool_is_refused_when_it_is_blank_or_contains_controls(memory_world: World) -> None:
    mona, root = memory_world.pool(), memory_world.root

    for wrong in WRONG:
        made = root.request("POST", "/v1/pools", {"id": "q", "name": wrong})
        renamed = mona.patch("", {"name": wrong}, if_match="1")

        assert_problem(made, 422, "invalid_request", ascii(wrong))
        assert_problem(renamed, 422, "invalid_request", ascii(wrong))
    assert root.request("GET", "/v1/pools/q").status == 404
    assert mona.get().json["name"] == "P"


def test_a_name_of_a_customer_is_refused_when_it_is_blank_or_contains_controls(memory_world: World) -> None:
    mona = memory_world.pool(customers=1)

    for wrong in WRONG:
        made = mona.create("c2", name=wrong)
        renamed = mona.patch("/customers/c1", {"name": wrong})

        assert_problem(made, 422, "invalid_request", ascii(wrong))
        assert_problem(renamed, 422, "invalid_request", ascii(wrong))
    assert mona.get("/customers/c2").status == 404
    assert mona.customer("c1")["name"] == "Customer c1"


@pytest.mark.parametrize("key", ["id", "phone"])
@pytest.mark.parametrize("mode", ["reject", "update", "skip"])
def test_a_row_with_a_bad_name_fails_alone_and_the_others_are_imported(world: World, key: str, mode: str) -> None:
    mona = world.pool()
    names = ["Good", "\u3164", "a\u202eb", "also good", "x\x7f"]
    rows = [{"id": f"n{at}", "name": name, "fields": {"phone": f"1381234567{at}"}} for at, name in enumerate(names)]

    imported = mona.post("/import", {"rows": rows, "key": key, "on_duplicate": mode})

    assert imported.results == ["ok", "invalid_request", "invalid_request", "ok", "invalid_request"]
    assert imported.ids == [row["id"] for row in rows]
    assert {each["name"] for each in mona.walk("/customers")} == {"Good", "also good"}


def test_valid_names_are_stored_unchanged(world: World) -> None:
    mona = world.pool()

    made = [mona.create(None, name=name) for name in GOOD]

    assert [reply.status for reply in made] == [201] * len(GOOD)
    assert [reply.json["name"] for reply in made] == GOOD


@pytest.mark.parametrize("wrong", ["", " ", "\u3164", "a\n", "\u202ephone", "\x00", "x" * 65], ids=ascii)
def test_no_field_has_a_name_that_is_blank_or_contains_controls(memory_world: World, wrong: str) -> None:
    mona = memory_world.pool(customers=1)
    body: dict[str, Any] = {"fields": {"city": "Jinan", wrong: "x"}}

    replies = [mona.create("c2", **body), mona.patch("/customers/c1", body)]
    imported = mona.post("/import", {"rows": [{"name": "Row", **body}]})

    assert not is_field_name(wrong)
    for reply in replies:
        assert_problem(reply, 422, "invalid_request")
    assert imported.results == ["invalid_request"]
    assert mona.customer("c1")["fields"] == {}


def test_every_body_with_a_name_refuses_a_blank_one(no_store: World) -> None:
    named = [route for route in ROUTES if "name" in {each.name for each in fields(route.body)}]

    assert len(named) >= 4
    for route in named:
        path = route.path.format(pool="p", customer="c1", user="bob")
        body = {"id": "q", "name": "\u3164"}
        taken = {name: value for name, value in body.items() if name in {each.name for each in fields(route.body)}}
        reply = no_store.mona.request(route.method, path, taken)
        assert_problem(reply, 422, "invalid_request", path)
