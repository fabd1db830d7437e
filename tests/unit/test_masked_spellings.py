"""Contacts in text are masked in every spelling that a reader takes for a phone number or an e-mail address."""

from __future__ import annotations

import itertools

from hypothesis import given, settings, strategies as st

from chalicelib.domain.masking import in_text

INVISIBLE = (
    "", "\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\ufeff", "\u202e", "\ufe0f", "\u0336", "\u3164", "\x07"
)  # fmt: skip
FULL_WIDTH = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
DIGITS = [
    {str(digit): style(digit) for digit in range(10)}
    for style in (
        str, lambda digit: chr(0xFF10 + digit), lambda digit: chr(0x0660 + digit), lambda digit: chr(0x1D7CE + digit),
        lambda digit: "⓪①②③④⑤⑥⑦⑧⑨"[digit], lambda digit: "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit],
    )
]  # fmt: skip
drawn = settings(deadline=None, derandomize=True, database=None, max_examples=300)
LETTERS = st.sampled_from(({}, FULL_WIDTH))
SEPARATORS = st.sampled_from(("", " ", "-", ".", "\u00a0", "\u2009", "\u3000", "—", "－", "·", "_"))
BEFORE = st.sampled_from(("", "电话", "call ", "：", "。", "\n"))
AFTER = st.sampled_from(("", "谢谢", " now", "）", "，", "\n"))
LOCALS = st.from_regex(r"[a-z][a-z0-9]{1,8}([._-][a-z]{1,5}){0,2}", fullmatch=True)
DOMAINS = st.sampled_from(("example.com", "mail.example.com.cn", "例子.公司", "müller.de", "xn--fsqu00a.xn--55qx5d"))


def spelled(draw: st.DrawFn, text: str, style: dict[str, str]) -> str:
    """Write the text in that style, with invisible characters between its characters."""
    between = [draw(st.sampled_from(INVISIBLE)) for _ in text[1:]]
    signs = (style.get(sign, sign) for sign in text)
    return "".join(itertools.chain.from_iterable(itertools.zip_longest(signs, between, fillvalue="")))


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, str]:
    """Return an address in some spelling, and how it is shown."""
    style, local = draw(LETTERS), draw(LOCALS)
    domain = spelled(draw, draw(DOMAINS).replace(".", draw(st.sampled_from(".。．｡․"))), style)
    name = spelled(draw, local, style)
    if draw(st.booleans()):
        name = name.replace(".", "．")
    return f"{name}{draw(st.sampled_from('@＠﹫'))}{domain}", f"{local[0]}****@{domain}"


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Return the number 13812345678 in some spelling."""
    style, separator = draw(st.sampled_from(DIGITS)), draw(SEPARATORS)
    prefix = draw(st.sampled_from(("", "+86", "＋86 ", "0086 ")))
    return prefix + separator.join(spelled(draw, group, style) for group in ("138", "1234", "5678"))


@drawn
@given(BEFORE, addresses(), AFTER)
def test_an_address_in_any_spelling_is_masked_and_the_text_around_it_is_shown(
    before: str, address: tuple[str, str], after: str
) -> None:
    written, shown = address

    assert in_text(before + written + after, "CN") == before + shown + after


@drawn
@given(BEFORE, numbers(), AFTER)
def test_a_number_in_any_spelling_is_masked_and_the_text_around_it_is_shown(
    before: str, number: str, after: str
) -> None:
    masked = in_text(before + number + after, "CN")

    assert masked == before + "138****5678" + after


@drawn
@given(st.text(st.sampled_from("ab张@＠.。 \u200b①1８\"'-")))
def test_masking_a_masked_text_again_changes_nothing(text: str) -> None:
    once = in_text(text, "CN")

    assert in_text(once, "CN") == once
