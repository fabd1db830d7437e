"""Which column says what of a customer, in Chinese and English headings, and a line of cells as a row of the API.

A heading that is not known becomes a field of that name. What a line lacks or spoils is told as a mistake, in words of
the person's language; the service checks everything again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from chalicelib.model.normalization import phone
from poolctl.exits import Ended, Exit
from poolctl.spreadsheets import Cell
from poolctl.words import say

# What a column may say: the Chinese heading first, which `export` writes, then the others that are understood.
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
OWN: Final = ("id", "name", "priority")  # the rest are fields
ERROR, LINE = "poolctl_error", "poolctl_line"  # what an errors file says beside the line itself
# What `export` writes beside, and nobody can import: it is the pool's to say.
OF_THE_POOL: Final = {
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
    """Why a line cannot be imported; `code` is for programs."""

    code: str
    text: str


def folded(heading: str) -> str:
    """Without what headings are decorated with: widths, capitals, a star or a note in brackets, blanks of all kinds."""
    plain = unicodedata.normalize("NFKC", heading).casefold()
    plain = re.sub(r"\([^)]*\)|\[[^\]]*\]|[*:]", "", plain)
    return " ".join(re.split(r"[\s_./-]+", plain)).strip()


_KNOWN: Final = {folded(each): target for target, headings in HEADINGS.items() for each in (*headings, target)}
_LEFT_OUT: Final = {folded(each) for each in (ERROR, LINE, *(name for pair in OF_THE_POOL.values() for name in pair))}


def targets(headings: Sequence[str], given: Mapping[str, str]) -> list[str | None]:
    """What each column says: `id`, `name`, `priority` or a field; None for one that is left out.

    `given` goes before all that is known here. Of two columns that would say the same the first does; the other is a
    field named as its heading. Raises `Ended` where no column says the name, or two headings are the same.
    """
    if unknown := given.keys() - set(headings):
        raise Ended(Exit.USAGE, "no_column", column=", ".join(sorted(unknown)), headings=", ".join(headings))
    found: list[str | None] = [given.get(each) for each in headings]
    for at, heading in enumerate(headings):
        if found[at] is None and folded(heading) not in _LEFT_OUT and heading:
            known = _KNOWN.get(folded(heading), heading[:64])
            found[at] = heading[:64] if known in found else known
    if "name" not in found and "company" in found:
        found[found.index("company")] = "name"
    said = [each for each in found if each is not None]
    if "name" not in said:
        raise Ended(Exit.FILE, "no_name_column", headings=", ".join(headings)[:500])
    if twice := sorted({each for each in said if said.count(each) > 1}):
        raise Ended(Exit.FILE, "column_twice", column=twice[0])
    return found


def row_of(columns: Sequence[str | None], cells: Sequence[Cell], key: str) -> Row | Mistake:
    """The line as the API takes it, or why it cannot be. `key` is what tells customers apart."""
    if any(cell != "" for cell in cells[len(columns) :]):
        return Mistake("too_many_cells", say("too_many_cells", count=len(columns)))
    said = {target: cell for target, cell in zip(columns, cells, strict=False) if target is not None and cell != ""}
    for check in (_shortened, _named, _numbered):
        if mistake := check(said):
            return mistake
    if "phone" in said:
        number = phone(said["phone"])
        if number is None and key == "phone":
            return Mistake("no_phone", say("no_phone", phone=said["phone"]))
        said["phone"] = number or str(said["phone"])
    if key != "id" and key not in said:
        return Mistake(f"no_{key}", say("no_key", key=key))
    row: Row = {name: said.pop(name) for name in OWN if name in said}
    return row | {"fields": said}


def _shortened(said: dict[str, Any]) -> Mistake | None:
    """Excel shows a long number as 1.38E+10, and saves it so: its last digits are lost."""
    for target in ("phone", "id"):
        cell = said.get(target, "")
        if (isinstance(cell, str) and _SHORTENED.fullmatch(cell)) or isinstance(cell, float):
            return Mistake("digits_lost", say("digits_lost", cell=cell))
    return None


def _named(said: dict[str, Any]) -> Mistake | None:
    if "name" not in said:
        return Mistake("no_name", say("no_name"))
    said["name"] = str(said["name"])
    if len(said["name"]) > LONGEST_NAME:
        return Mistake("name_too_long", say("name_too_long", most=LONGEST_NAME))
    return None


def _numbered(said: dict[str, Any]) -> Mistake | None:
    if "id" in said:
        said["id"] = str(said["id"])
        if _ID.fullmatch(said["id"]) is None:
            return Mistake("no_id", say("no_id", id=said["id"]))
    if "priority" in said:
        try:
            said["priority"] = int(str(said["priority"]))
        except ValueError:
            return Mistake("no_priority", say("no_priority", priority=said["priority"]))
    return None
