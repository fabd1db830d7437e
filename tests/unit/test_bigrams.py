"""The parts of texts by which a search finds them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from chalicelib.model.bigrams import parts, rarest_first
from chalicelib.model.field_filters import searchable


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("华", set()),
        ("华为", {"华为"}),
        ("acme", {"ac", "cm", "me"}),
        ("13800", {"13", "38", "80", "00", "1380", "3800"}),
    ],
)
def test_the_parts_of_a_text_are_its_pairs_and_every_four_digits(text: str, found: set[str]) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    ("text", "first"), [("北京科技公司", "京科"), ("13812345", "1234"), ("ltd7", "d7"), ("华为", "华为"), ("25", "25")]
)
def test_a_search_prefers_parts_that_few_names_have(text: str, first: str) -> None:
    assert rarest_first(text)[0] == first


@given(st.text(), st.text(), st.text(min_size=1))
def test_a_text_that_contains_another_has_all_its_parts(before: str, after: str, text: str) -> None:
    found = searchable(text)

    assert parts(found) <= parts(searchable(before) + found + searchable(after))
    assert set(rarest_first(found)) == parts(found)
