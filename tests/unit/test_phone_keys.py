"""Two spellings of one phone number have one key, and text without a number has none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from importing import MAX_KEYS
from importing.phones import phone_keys, without_artifacts

MOBILE = (
    "13800138000", "8613800138000", "+86 138 0013 8000", "+86(0)13800138000", "0086-138-0013-8000", "(+86)13800138000",
    "013800138000", "１３８００１３８０００", "13800138000.0", "'13800138000", '="13800138000"', "=13800138000",
    "手机：13800138000",
    "tel:+8613800138000", "Mobile 138 0013 8000", "13800138000(微信同号)", "13800138000（张三）",
    "张三 13800138000", "张三13800138000",
    "1.3800138E10", "1.3800138000E10", "‘13800138000", "’13800138000", "“13800138000”", '"13800138000"',
    "=“13800138000”",
    "☎13800138000", "📱 13800138000", "*13800138000", "13800138000。", "work 13800138000", "Li Lei 13800138000",
    "微信同号：13800138000", "13800138000-张三", "13800138000 - work", "手机:+86 138 0013 8000；",
    "13800138000 张三", "\u202a13800138000\u202c", 13800138000, 13800138000.0,
)  # fmt: skip
LANDLINE = (
    "021-12345678", "+86 21 1234 5678", "86-21-12345678", "(021)12345678", "021 1234 5678", "+86(0)21 12345678",
    "+86-021-12345678", "021－12345678", "电话:021—12345678",
)  # fmt: skip
EXTENSION = (
    "021-12345678-801", "021-12345678转801", "021-12345678 转 801", "021-12345678 ext 801", "+86 21 12345678 ext801",
    "(021)12345678-801", "86-21-12345678-801", "021-12345678#801", "021-12345678x801", "021-12345678（转801）",
    "021-12345678转分机801", "021-12345678(801)", "021-1234-5678-801", "021-12345678 ext#801", "021-12345678*801",
    "021-12345678；转801", "021-12345678, ext 801", "021-12345678 分机：801",
    "tel:+86-21-12345678;ext=801", "021-12345678,801",
)  # fmt: skip
BRITISH = ("+44 (0)20 7946 0958", "+44 20 7946 0958", "0044 20 7946 0958", "+4402079460958")


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (MOBILE, "+8613800138000"),
        (LANDLINE, "+862112345678"),
        (EXTENSION, "+862112345678;ext=801"),
        (BRITISH, "+442079460958"),
    ],
)
def test_every_spelling_of_a_phone_number_has_the_same_key(spellings: tuple[Any, ...], key: str) -> None:
    assert {text: phone_keys(text) for text in spellings} == {text: [key] for text in spellings}


@pytest.mark.parametrize(
    "text",
    ["13800138000;13900139000", "13800138000；13900139000", "13800138000/13900139000", "13800138000 ::: 13900139000",
     "13800138000\n13900139000", "13800138000、13900139000", "13800138000，13900139000", "13800138000 13900139000",
     "13800138000或13900139000", "13800138000和13900139000", "13800138000&13900139000", "13800138000-13900139000",
     "13800138000--13900139000", "13800138000<br/>13900139000", "13800138000。13900139000",
     "手机：13800138000 手机：13900139000", "13800138000/13900139000/13800138000"],
)  # fmt: skip
def test_each_number_of_a_cell_is_a_key(text: str) -> None:
    assert phone_keys(text) == ["+8613800138000", "+8613900139000"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("13700137000/010-12345678", ["+8613700137000", "+861012345678"]),
        ("021-12345678/79", ["+862112345678"]),
        ("400-800-8888转1", ["+864008008888;ext=1"]),
        ("17012345678-1234", ["+8617012345678;ext=1234"]),
        ("+1 (415) 555-0100 x22", ["+14155550100;ext=22"]),
        ("+852 1381 2345", ["+85213812345"]),
    ],
)
def test_a_number_with_other_text_keeps_its_digits(text: str, keys: list[str]) -> None:
    assert phone_keys(text) == keys


@pytest.mark.parametrize(
    "text",
    ["", "-", "—", "无", "N/A", "1.38E+10", "call me", "10086", "1380013800", "138001380001", "12345678", "2026-12-31",
     "6222020200112233445", "QQ:13800138000", "wxid_13800138000", "wx 13800138000", "1.38E10", "1.38001E+11",
     "http://example.com/13800138000", "a@13800138000.cn",
     "91310000MA1FL0T12X", "KH.0002", "客户003", "٠١٢٣٤٥٦٧٨٩", None, True, 1.5, -13800138000, 10**40,
     "1 " * 400, "9" * 499],
    ids=repr,
)  # fmt: skip
def test_text_without_a_phone_number_has_no_key(text: Any) -> None:
    assert phone_keys(text) == []


def test_the_region_completes_numbers_without_a_country_code() -> None:
    assert phone_keys("(415) 555-0100", "US") == phone_keys("+1 415 555 0100", "CN") == ["+14155550100"]
    assert phone_keys("020 7946 0958", "GB") == ["+442079460958"]
    assert phone_keys("13800138000", "US") == phone_keys("13800138000", "XX") == []
    assert phone_keys("+8613800138000", "US") == ["+8613800138000"]


def test_a_cell_has_at_most_five_keys() -> None:
    numbers = [f"1380013800{digit}" for digit in range(8)]

    assert phone_keys(";".join(numbers)) == [f"+86{each}" for each in numbers[:MAX_KEYS]]


@given(st.text(max_size=60))
def test_the_key_of_a_key_is_itself(text: str) -> None:
    for key in phone_keys(text):
        assert phone_keys(key) == [key]


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "+86", "86", "0086 ", "+86(0)"]))
def test_a_mainland_mobile_number_has_its_e164_form_as_key(mobile: str, prefix: str) -> None:
    assert phone_keys(prefix + mobile) == [f"+86{mobile}"]


FILLINGS = st.text(" \u3000\u00a0\u200b-‐–—－−.．()（）[]【】", max_size=3)
TRUNK_ZERO = re.compile(r"[(（][\s\u200b]*0[\s\u200b]*[)）]")
WIDE = {ord(digit): ord("０") + int(digit) for digit in "0123456789"} | {ord("+"): "＋"}


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.sampled_from(["", "+86", "0086"]),
    st.lists(FILLINGS, min_size=16, max_size=16),
    st.booleans(),
)
def test_separators_prefix_and_width_do_not_change_a_mobile_number(
    mobile: str, prefix: str, between: list[str], wide: bool
) -> None:
    digits = prefix + mobile
    # A dot before nothing but zeros is that of a spreadsheet's number: 13800138000.0.
    zeros = range(len(digits.rstrip("0")), len(digits))
    assume(not {".", "．"} & set("".join(between[index] for index in zeros)))
    text = "".join(filling + digit for filling, digit in zip(between, digits, strict=False))
    assume(not TRUNK_ZERO.search(text))  # people write +44 (0)20 7946 0958

    assert phone_keys(text.translate(WIDE) if wide else text) == [f"+86{mobile}"]


def test_only_the_marks_of_spreadsheets_are_removed_from_a_written_number() -> None:
    assert without_artifacts('="13800138000"') == without_artifacts(" '13800138000.0 ") == "13800138000"
    assert without_artifacts("手机：138 0013 8000") == "手机：138 0013 8000"
