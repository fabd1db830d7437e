"""Filters of lists by fields: what a client may write, and which values fit."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from chalicelib.dynamodb import cards
from chalicelib.dynamodb.conditions import evaluate
from chalicelib.model.field_definitions import Field, Label, definitions_of
from chalicelib.model.field_filters import InvalidFilter, TextSearch, parse, searchable
from chalicelib.model.model import Pool
from chalicelib.model.policy import Policy

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


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-50, 50), st.decimals(-9, 9, places=1).map(str),
    st.sampled_from(["", " ", "a", " a ", "b,c", "c", "true", "no", "2026-06-01", "2026-06-01T23:30:00Z", "很长" * 60]),
    st.lists(st.sampled_from(["a", "b", "a longer option"]), max_size=3),
)  # fmt: skip
WANTED = st.sampled_from(["a", "b", "", "true", "no", "5", "1.5", "2026-06-01", "很长" * 60, "a longer option"])
RANGES = {"number": ["0..", "..3.5", "-5..5", "9..1", ".."], "date": ["2026-06-01..", "..2026-06-01", ".."]}


KINDS = st.sampled_from(["text", "number", "date", "choice", "choices", "bool"])


@settings(deadline=None, derandomize=True, database=None)
@given(KINDS, VALUES, st.lists(WANTED, min_size=1), st.data())
def test_the_condition_on_a_card_agrees_with_the_filter_of_values(
    kind: str, value: Any, wanted: list[str], data: st.DataObject
) -> None:
    options = ("a", "b", "a longer option") if kind in ("choice", "choices") else ()
    field = Field("f", LABEL, kind, options, filter=True)
    pool = Pool("main", "p", "P", "open", Policy(), 1, 0, 0, fields=(field,))
    written = data.draw(st.sampled_from([",".join(wanted), *RANGES.get(kind, [])]))
    chosen = parse(f"f:{written}", pool.definitions)

    condition = cards.matching([chosen], pool.definitions)
    card = cards.card_of({"f": value}, pool)

    assert condition is not None
    assert evaluate(condition, {"card": {"M": card}}) == chosen.fits(value, ZoneInfo("UTC"))
