"""Two spellings of an e-mail address or a name compare equal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from chalicelib.model.normalization import email, fold_name, truncate_name


@pytest.mark.parametrize(
    "text",
    [
        "Li.Wei@Example.COM",
        "  li.wei@example.com\n",
        "ｌｉ．ｗｅｉ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "LI.WEI@example\u200b.com",
    ],
)
def test_an_email_address_has_one_key_in_any_case_and_width(text: str) -> None:
    assert email(text) == "li.wei@example.com"


@pytest.mark.parametrize(
    "text", ["", "@", "a@b", "a b@c.de", "a@b@c.de", "a@b.", None, 7, f"{'a' * 250}@b.cn"], ids=repr
)
def test_text_that_is_not_an_email_address_has_no_key(text: Any) -> None:
    assert email(text) is None


@given(st.text(max_size=40))
def test_folding_a_folded_text_changes_nothing(text: str) -> None:
    once = fold_name(text)

    assert fold_name(once) == once == once.strip()
    assert fold_name(text.upper()) == fold_name(text.upper().lower()) or not text.isascii()


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(0, 80))
def test_a_name_index_holds_a_prefix_of_whole_characters(name: str, end: int) -> None:
    held = truncate_name(name)

    assert name.startswith(held) and len(held.encode()) <= 120
    assert held == name or len(held.encode()) > 116
    assert truncate_name(name).startswith(truncate_name(name[:end]))
