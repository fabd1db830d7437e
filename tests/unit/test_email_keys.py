"""An e-mail address has one key in every spelling, also beside a name, and text without one has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from importing.emails import email_keys


@pytest.mark.parametrize(
    "text",
    ["li@example.com", " LI@Example.COM\n", "ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ", "li@example\u200b.com",
     "Li Wei <li@example.com>", "mailto:li@example.com",
     "'li@example.com", "“li@example.com”", "‘li@example.com’", "<'li@example.com>",
     "(li@example.com)", "邮箱：li@example.com", "li@example.com."],
)  # fmt: skip
def test_every_spelling_of_an_address_has_the_same_key(text: str) -> None:
    assert email_keys(text) == ["li@example.com"]


@pytest.mark.parametrize("text", ["li@a.cn;wang@b.cn", "li@a.cn / wang@b.cn", "li@a.cn、wang@b.cn，li@a.cn"])
def test_each_address_of_a_cell_is_a_key(text: str) -> None:
    assert email_keys(text) == ["li@a.cn", "wang@b.cn"]


@pytest.mark.parametrize(
    "text", ["", "@", "a@b", "a@b@c.de", "a@b.", "@b.cn", None, 7, True, f"{'a' * 250}@b.cn", "a@b.cn " * 100], ids=repr
)
def test_text_without_an_address_has_no_key(text: Any) -> None:
    assert email_keys(text) == []


@given(st.text("aA@.＠ß;<> \u200b，'“", max_size=30))
def test_the_key_of_a_key_is_itself(text: str) -> None:
    for key in email_keys(text):
        assert email_keys(key) == [key]


@settings(max_examples=50, deadline=None)
@given(st.from_regex(r"\A[A-Za-z0-9._+-]{1,9}@[A-Za-z0-9-]{1,5}(\.[A-Za-z0-9-]{1,5}){0,3}\Z"))
def test_an_address_alone_has_the_key_that_it_has_among_others(address: str) -> None:
    assert email_keys(address) == email_keys(f"<{address}>")
