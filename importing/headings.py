"""The known headings of fields, read from `headings.toml`, and the columns that this program writes by itself."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

Table: TypeAlias = dict[str, dict[str, list[str]]]

ERROR, LINE = "poolctl_error", "poolctl_line"  # extra columns of an errors file
# Columns that an export adds in Chinese and English. Only the service sets these attributes.
POOL_ATTRIBUTES: Final = {
    "state": ("公海状态", "pool_state"),
    "holder": ("公海负责人", "pool_holder"),
    "claimed_at": ("领取时间", "claimed_at"),
    "expires_at": ("到期时间", "expires_at"),
}
ROW: Final = ("id", "name", "priority")  # attributes of a row; all others are fields
EXPORTED_FIRST: Final = ("id", "name", *POOL_ATTRIBUTES, "priority")  # then the fields
PERSON: Final = ("person", "first_name", "middle_name", "last_name")  # parts of a name: no fields
HOLDER: Final = "holder"  # an attribute of a row only where a mapping says so

_NOTES: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]|【[^】]*】|<[^>]*>")
_PARTS: Final = re.compile(r"[/／|、\n]|(?<=[\u3400-\u9fff])\s*(?=[A-Za-z])|(?<=[A-Za-z])\s*(?=[\u3400-\u9fff])")
_ENDINGS: Final = {
    "phone": re.compile(r"(?:(?:电话|手机)(?:号码?)?|座机|固话|(?:phone|mobile)(?:numbers?|no)?)\d{0,2}\Z"),
    "email": re.compile(r"(?:邮箱|电子邮件)(?:地址)?\d{0,2}\Z|电子邮件\d地址\Z"),
}
_OF_OTHERS: Final = re.compile("assistant|asst|secretary|emergency|fax|助理|秘书|紧急|传真")
# The lists of further headings are in the order of preference.
_FIRST_RANKS: Final = {"more": 1, "last": 1_001}
_RANK_BY_ENDING: Final = 1_000
_SEPARATORS: Final = re.compile(r"[\W_]+")


@cache
def table() -> Table:
    table: Table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return table


def fields() -> list[str]:
    """Return the known fields in the order of an export."""
    return [name for name in table() if name not in (*ROW, *PERSON, HOLDER)]


def attribute_title(name: str, language: str) -> str:
    """Return the heading of an attribute in an export."""
    if name in POOL_ATTRIBUTES:
        return POOL_ATTRIBUTES[name][language != "zh"]
    return table()[name]["chinese"][0] if language == "zh" else name


def field_title(name: str, language: str) -> str:
    """Return the heading of a field in an export. A field may have the name of an attribute."""
    return table()[name]["chinese"][0] if language == "zh" and name in fields() else name


def folded(heading: str) -> str:
    """Return the heading without differences of width and case, notes in brackets, signs and blanks."""
    plain = unicodedata.normalize("NFKC", heading).casefold()
    return _SEPARATORS.sub("", _NOTES.sub("", plain)) or _SEPARATORS.sub("", plain)


@cache
def _known() -> dict[str, tuple[str, int]]:
    """Return the field and the rank of each folded heading."""
    found = {folded(name): (name, 0) for name in (*ROW, *fields())}
    for name, headings in table().items():
        for group, texts in headings.items():
            first = _FIRST_RANKS.get(group.partition("_")[0])
            for at, text in enumerate(texts):
                found.setdefault(folded(text), (name, 0 if first is None else first + at))
    return found


def known(heading: str) -> tuple[str, int] | None:
    """Return the field of a heading, and its rank: of two columns for a field, the one with the lower rank is it. The
    usual headings have rank 0. None if unknown."""
    text = folded(heading)
    return _known().get(text) or _known_in_parts(heading) or _known_by_ending(text)


def _known_in_parts(heading: str) -> tuple[str, int] | None:
    """Return the field of a heading whose parts all name it: `手机/电话`, `邮箱 Email`."""
    parts = [part for part in _PARTS.split(heading) if part.strip()]
    found = [each for part in parts if (each := _known().get(folded(part))) is not None]
    alike = len({name for name, _ in found}) == 1 and len(found) == len(parts) > 1
    return min(found) if alike else None


def _known_by_ending(text: str) -> tuple[str, int] | None:
    """Return the field of a folded heading that ends with a usual one: `老板电话`, `住宅电话2`, `Boss's phone`."""
    rank = _RANK_BY_ENDING + 1_000 * bool(_OF_OTHERS.search(text))
    return next(((field, rank) for field, ending in _ENDINGS.items() if ending.search(text)), None)


def kind_of_field(name: str) -> str | None:
    """Return the known field that a field is like: `电话` and `Phone 2` are like `phone`. None if unknown."""
    found = known(name) or known(re.sub(r"\s*\d+\Z", "", name))
    return None if found is None else found[0]
