"""Map Chinese and English column headings to attributes of a customer, and lines of cells to rows of the API.

An unknown heading becomes a field of that name. An invalid line becomes a `Mistake` in the user's language. The service
validates every row again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

from chalicelib.model.normalization import phone
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.spreadsheets import Cell

# The headings of each attribute. `export` writes the first one in Chinese.
HEADINGS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("编号", "客户编号", "客户id", "客户代码", "id", "customer id", "external id", "customer number", "code"),
    "name": ("客户名称", "名称", "客户", "客户姓名", "姓名", "名字", "name", "customer", "customer name", "full name"),
    "priority": ("优先级", "priority"),
    "phone": (
        "手机", "手机号", "手机号码", "移动电话", "电话", "电话号码", "联系电话", "联系方式", "phone", "phone number",
        "mobile", "mobile phone", "cell", "cell phone", "tel", "telephone",
    ),
    "email": ("邮箱", "电子邮箱", "电子邮件", "邮件", "email", "e mail", "email address", "mail"),
    "company": ("公司", "公司名称", "单位", "单位名称", "企业", "企业名称", "company", "company name", "organisation",
                "organization", "account"),
    "contact": ("联系人", "contact", "contact name", "contact person"),
    "position": ("职位", "职务", "position", "job title"),
    "wechat": ("微信", "微信号", "wechat"),
    "industry": ("行业", "所属行业", "industry"),
    "province": ("省份", "省", "province", "state or province"),
    "city": ("城市", "市", "city"),
    "address": ("地址", "联系地址", "详细地址", "address"),
    "website": ("网址", "网站", "官网", "website", "web site", "url"),
    "source": ("来源", "客户来源", "source", "lead source"),
    "level": ("等级", "客户等级", "客户级别", "level", "grade"),
    "note": ("备注", "说明", "描述", "note", "notes", "remark", "remarks", "comment", "comments"),
}  # fmt: skip
OWN: Final = ("id", "name", "priority")  # all others are fields
ERROR, LINE = "poolctl_error", "poolctl_line"  # extra columns of an errors file
# Columns that `export` adds and `import` ignores: only the service sets these attributes.
POOL_ATTRIBUTES: Final = {
    "state": ("公海状态", "pool_state"),
    "holder": ("公海负责人", "pool_holder"),
    "claimed_at": ("领取时间", "claimed_at"),
    "expires_at": ("到期时间", "expires_at"),
}

_SHORTENED: Final = re.compile(r"[+-]?\d+([.,]\d+)?[eE]\+?\d+")
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
LONGEST_NAME: Final = 200

Row: TypeAlias = dict[str, Any]


class Mistake(NamedTuple):
    """The reason why a line cannot be imported; `code` is for programs."""

    code: str
    text: str


def folded(heading: str) -> str:
    """Return the heading without differences of width and case, stars, notes in brackets and repeated blanks."""
    plain = unicodedata.normalize("NFKC", heading).casefold()
    plain = re.sub(r"\([^)]*\)|\[[^\]]*\]|[*:]", "", plain)
    return " ".join(re.split(r"[\s_./-]+", plain)).strip()


_KNOWN: Final = {folded(each): target for target, headings in HEADINGS.items() for each in (*headings, target)}
_IGNORED: Final = {folded(each) for each in (ERROR, LINE, *chain.from_iterable(POOL_ATTRIBUTES.values()))}


def targets(headings: Sequence[str], given: Mapping[str, str]) -> list[str | None]:
    """Return the attribute of each column: `id`, `name`, `priority` or a field; None for an ignored column.

    `given` overrides the known headings. If two columns map to the same attribute, the first one wins and the other
    becomes a field named after its heading. Raises `CommandFailed` without a column for the name, or for two equal
    headings.
    """
    if unknown := given.keys() - set(headings):
        raise CommandFailed(Exit.USAGE, "no_column", column=", ".join(sorted(unknown)), headings=", ".join(headings))
    found: list[str | None] = [given.get(each) for each in headings]
    for index, heading in enumerate(headings):
        if found[index] is None and folded(heading) not in _IGNORED and heading:
            known = _KNOWN.get(folded(heading), heading[:64])
            found[index] = heading[:64] if known in found else known
    if "name" not in found and "company" in found:
        found[found.index("company")] = "name"
    mapped = [each for each in found if each is not None]
    if "name" not in mapped:
        raise CommandFailed(Exit.FILE, "no_name_column", headings=", ".join(headings)[:500])
    if twice := sorted({each for each in mapped if mapped.count(each) > 1}):
        raise CommandFailed(Exit.FILE, "column_twice", column=twice[0])
    return found


def row_of(columns: Sequence[str | None], cells: Sequence[Cell], key: str) -> Row | Mistake:
    """Return a line as a row of the API, or its mistake. `key` is the attribute that identifies customers."""
    if any(cell != "" for cell in cells[len(columns) :]):
        return Mistake("too_many_cells", message("too_many_cells", count=len(columns)))
    values = {target: cell for target, cell in zip(columns, cells, strict=False) if target is not None and cell != ""}
    for check in (_check_digits, _check_name, _check_id_and_priority):
        if mistake := check(values):
            return mistake
    if "phone" in values:
        number = phone(values["phone"])
        if number is None and key == "phone":
            return Mistake("no_phone", message("no_phone", phone=values["phone"]))
        values["phone"] = number or str(values["phone"])
    if key != "id" and key not in values:
        return Mistake(f"no_{key}", message("no_key", key=key))
    row: Row = {name: values.pop(name) for name in OWN if name in values}
    return row | {"fields": values}


def _check_digits(values: dict[str, Any]) -> Mistake | None:
    """Find a number that Excel saved as 1.38E+10, without its last digits."""
    for target in ("phone", "id"):
        cell = values.get(target, "")
        if (isinstance(cell, str) and _SHORTENED.fullmatch(cell)) or isinstance(cell, float):
            return Mistake("digits_lost", message("digits_lost", cell=cell))
    return None


def _check_name(values: dict[str, Any]) -> Mistake | None:
    if "name" not in values:
        return Mistake("no_name", message("no_name"))
    values["name"] = str(values["name"])
    if len(values["name"]) > LONGEST_NAME:
        return Mistake("name_too_long", message("name_too_long", most=LONGEST_NAME))
    return None


def _check_id_and_priority(values: dict[str, Any]) -> Mistake | None:
    if "id" in values:
        values["id"] = str(values["id"])
        if _ID.fullmatch(values["id"]) is None:
            return Mistake("no_id", message("no_id", id=values["id"]))
    if "priority" in values:
        try:
            values["priority"] = int(str(values["priority"]))
        except ValueError:
            return Mistake("no_priority", message("no_priority", priority=values["priority"]))
    return None
