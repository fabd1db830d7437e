"""The parts of texts by which a search finds them: every two characters, and every four digits in a row.

Pure. Texts are folded as a search compares them. A text contains a searched text only if it has all parts of it, so a
search reads the customers with one part and checks the rest on them. Two digits are common in every pool with phone
numbers, so four digits are a part too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_DIGITS: Final = re.compile(r"[0-9]{4,}")
# Parts of most names of companies. A search prefers any other: it costs a request to find out that one is common.
_COMMON: Final = frozenset(
    ("有限", "限公", "公司", "司有", "科技", "技有", "技公", "股份", "份有", "集团", "团有", "贸易", "易有", "实业",
     "业有", "工程", "程有", "服务", "务有", "发展", "展有", "建设", "设有", "北京", "京市", "上海", "海市", "广州",
     "深圳", "圳市", "杭州", "州市", "中国", "al", "an", "ar", "co", "en", "er", "in", "lt", "nc", "on", "or", "re",
     "td", "te", "ti")
)  # fmt: skip


def parts(text: str) -> set[str]:
    """Return the parts of a folded text without spaces. A text of one character has none."""
    return {*_pairs(text), *_fours(text)}


def rarest_first(text: str) -> list[str]:
    """Return the parts of a searched text, those first that few texts are expected to have.

    Of the parts of one word often all are common or none. So after one in the middle come the last and the first.
    """
    middle = len(text) / 2
    found = dict.fromkeys((*_fours(text), *_pairs(text)))
    ordered = dict[str, None]()
    for commonness in sorted(set(map(_commonness, found))):
        same = [part for part in found if _commonness(part) == commonness]
        by_place = sorted(same, key=lambda part: abs(text.index(part) + 1 - middle))
        ordered |= dict.fromkeys([by_place[0], max(same, key=text.index), min(same, key=text.index), *by_place])
    return list(ordered)


def _pairs(text: str) -> Iterator[str]:
    return (text[at : at + 2] for at in range(len(text) - 1))


def _fours(text: str) -> Iterator[str]:
    for run in _DIGITS.findall(text):
        yield from (run[at : at + 4] for at in range(len(run) - 3))


def _commonness(part: str) -> int:
    if len(part) == 4:
        return 0
    return 2 if part in _COMMON or (part.isascii() and part.isdigit()) else 1
