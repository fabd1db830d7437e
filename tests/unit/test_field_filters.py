"""Filters of lists by fields: what a client may write, and which values fit."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.model.field_definitions import Field, Label, definitions_of
from chalicelib.model.field_filters import InvalidFilter, TextSearch, parse, searchable

SHANGHAI = ZoneInfo("Asia/Shanghai")
LABEL = Label("X", "X")
FIELDS = (
    Field("city", LABEL, "text", filter=True, search=True), Field("size", LABEL, "number", filter=True),
    Field("since", LABEL, "date", filter=True), Field("tags", LABEL, "choices", ("a", "b"), filter=True),
    Field("vip", LABEL, "bool", filter=True), Field("mobile", LABEL, "phone", search=True),
    Field("note", LABEL, "text"),
)  # fmt: skip
DEFINITIONS = definitions_of(FIELDS)


@pytest.mark.parametrize(
    ("text", "fitting", "others"),
    [
        ("city:上海,北京", ["上海", " 北京 "], ["上海市", "上", None, ""]),
        ("city:", ["", None], ["上海"]),
        ("city:a:b", ["a:b"], ["a", "b"]),
        ("size:5", [5, 5.0, "5", "5.00"], [50, "x", True, None]),
        ("size:5..10", [5, "10", 7.5], [4.99, "11", None, "7 people"]),
        ("size:..0", [-3, 0], [0.1]),
        ("size:9..", [9, "1000000000000000000000"], [8]),
        ("size:10..5", [], [5, 7, 10]),
        ("size:unknown", ["unknown"], [1, "others"]),
        ("since:2026-06-01..2026-06-02", ["2026-06-01", "2026-06-02T23:59:00+08:00"], ["2026-06-03", "soon", None]),
        ("since:2026-06-02", ["2026-06-01T17:00:00Z", "2026-06-02"], ["2026-06-02T17:00:00Z"]),
        ("tags:a,x", [["a"], ["b", "a"], "b,a"], [["b"], [], None]),
        ("vip:true", [True, "是", "yes"], [False, "否", None]),
        ("vip:否", [False, "no"], [True, None]),
    ],
)
def test_a_filter_selects_the_values_that_it_names(text: str, fitting: list[Any], others: list[Any]) -> None:
    wanted = parse(text, DEFINITIONS)

    assert [value for value in fitting if not wanted.fits(value, SHANGHAI)] == []
    assert [value for value in others if wanted.fits(value, SHANGHAI)] == []


@pytest.mark.parametrize("text", ["city", "", ":x", "note:x", "mobile:1", "town:x", "size:a..b", "since:1.6..2.6",
                                  "city:" + "x," * 100])  # fmt: skip
def test_a_filter_that_no_list_has_is_invalid(text: str) -> None:
    with pytest.raises(InvalidFilter):
        parse(text, DEFINITIONS)


@pytest.mark.parametrize("text", ["科技", "ACME", "ａｃｍｅ", "me科", "138", "3800", "Hai Dian"])
def test_a_search_finds_any_part_without_regard_to_case_width_and_spaces(text: str) -> None:
    fields = {"city": "haidian", "mobile": "+86 138-0013-8000", "note": "other"}

    assert TextSearch(searchable(text)).fits("Acme 科技", fields, DEFINITIONS, lambda key, value: True)


@pytest.mark.parametrize("text", ["other", "acme技", "139"])
def test_a_search_finds_nothing_in_fields_that_are_not_searched(text: str) -> None:
    fields = {"city": "haidian", "mobile": "+86 138-0013-8000", "note": "other"}

    assert not TextSearch(searchable(text)).fits("Acme 科技", fields, DEFINITIONS, lambda key, value: True)


def test_a_search_skips_values_that_the_caller_does_not_see() -> None:
    hidden = TextSearch("acme").fits("Acme", {"city": "acme"}, DEFINITIONS, lambda key, value: False)
    seen = TextSearch("acme").fits("Acme", {"city": "acme"}, DEFINITIONS, lambda key, value: key == "city")

    assert (hidden, seen) == (False, True)
