"""Two spellings of a phone number, an e-mail address or a name are one key, and two different ones are two."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.normalization import digest, email, fold_name, keys_in, phone, truncate_name

mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
fillings = st.text(" \u3000\u00a0\u200b-‐–—－−.．()（）[]【】", max_size=3)
WIDE = {ord(digit): ord("０") + int(digit) for digit in "0123456789"} | {ord("+"): "＋"}


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "+86 138 1234 5678",
        "0086-138-1234-5678",
        "１３８１２３４５６７８",
        "＋８６（138）1234．5678",
        13812345678,
    ],
)
def test_a_mainland_mobile_number_has_one_key_in_any_spelling(text: Any) -> None:
    assert phone(text) == "13812345678"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("+1 (415) 555-0100", "+14155550100"),
        ("001 415 555 0100", "+14155550100"),
        ("+86 21 6234 5678", "+862162345678"),
        ("+852 1381 2345", "+85213812345"),
        ("021-6234 5678", "02162345678"),
        ("+86 1381234567", "+861381234567"),
    ],
)
def test_any_other_number_keeps_its_country_code(text: str, key: str) -> None:
    assert phone(text) == key


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "1234", "1" * 16, "call me", "138 1234 5678 x9", "+", "+0138", "++8613812345678", "138+12345678",
     "١٣٨١٢٣٤٥٦٧٨", None, True, 1.5, -13812345678, 10**40, "1 " * 400],
    ids=repr,
)  # fmt: skip
def test_text_that_is_not_a_phone_number_has_no_key(text: Any) -> None:
    assert phone(text) is None


@given(mobiles, st.sampled_from(["", "+86", "0086"]), st.lists(fillings, min_size=16, max_size=16), st.booleans())
def test_separators_prefix_and_width_do_not_change_a_mobile_number(
    mobile: str, prefix: str, between: list[str], wide: bool
) -> None:
    text = "".join(filling + digit for filling, digit in zip(between, prefix + mobile, strict=False))

    assert phone(text.translate(WIDE) if wide else text) == mobile


@given(st.text("+0123456789 -０１８６", max_size=20))
def test_normalizing_a_key_again_returns_it_unchanged(text: str) -> None:
    key = phone(text)

    assert key is None or phone(key) == key


@given(mobiles, mobiles)
def test_two_phone_numbers_have_two_keys(one: str, other: str) -> None:
    assert (phone(one) == phone("+86" + other)) == (one == other)
    assert (digest(one) == digest(other)) == (one == other)


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


def test_only_the_named_fields_are_keys() -> None:
    fields = {"phone": "+86 138 1234 5678", "email": "no address", "mobile": "13900000000", "city": "上海"}

    assert keys_in(fields) == {"phone": "13812345678"}


def test_a_digest_reveals_nothing_of_the_number() -> None:
    assert len(digest("13812345678")) == 32 and "1381" not in digest("13812345678")
