"""Validation errors as data: one `FieldError` for each invalid member, and its sentences in two languages.

An error names a kind and a path and contains no value that a client sent, so it can be stored, and rendered later in
the reader's language. Only this module converts msgspec's messages to errors, and errors to sentences. It must not
know HTTP, the table or any route.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

import msgspec
from msgspec import Struct

Value: TypeAlias = str | int | float


class FieldError(Struct, frozen=True, array_like=True, omit_defaults=True):
    """One invalid member. `kind` is a key of `SENTENCES`, `path` names the member, as in `rows[0].name`; `values` fill
    the sentence, such as a limit. In a path, `[...]` stands for a value in an object and `{}` for a name in it."""

    kind: str
    path: str = ""
    values: tuple[Value, ...] = ()


SENTENCES: Final[dict[str, tuple[str, str]]] = {
    # errors that msgspec finds
    "missing": ("is required", "必填"),
    "unknown": ("is not a known member", "不是可用的字段"),
    "unknown_name": ("has an unknown member: allowed are {0}", "含有未知字段，可用字段为 {0}"),
    "wrong_type": ("must be {0}", "必须是{0}"),
    "not_one_of": ("must be one of {0}", "只能是以下之一：{0}"),
    "not_allowed": ("has a value that is not allowed", "取值不在允许范围内"),
    "empty": ("must not be empty", "不能为空"),
    "too_short": ("must have at least {0} characters", "至少 {0} 个字符"),
    "too_long": ("must have at most {0} characters", "最多 {0} 个字符"),
    "too_few": ("must have at least {0} entries", "至少 {0} 项"),
    "too_many": ("must have at most {0} entries", "最多 {0} 项"),
    "not_so_many": ("must have exactly {0} entries", "必须正好 {0} 项"),
    "too_small": ("must be at least {0}", "不能小于 {0}"),
    "too_large": ("must be at most {0}", "不能大于 {0}"),
    "not_above": ("must be greater than {0}", "必须大于 {0}"),
    "not_below": ("must be less than {0}", "必须小于 {0}"),
    "not_a_multiple": ("must be a multiple of {0}", "必须是 {0} 的倍数"),
    "out_of_range": ("is outside the possible range", "超出范围"),
    "too_deep": ("must have at most eight levels of lists and objects", "列表和对象最多嵌套八层"),
    "undefined_field": ("is not a field of this pool", "不是该公海的字段"),
    "identifier": ("must have 1 to 64 letters, digits, - or _", "须为 1 到 64 个字母、数字、- 或 _"),
    "controls": ("must not contain control or text-direction characters", "不能包含控制字符或文字方向控制符"),
    "field_names": ("must be names of fields: up to 64 visible characters", "须为字段名：最多 64 个可见字符"),
    "pattern": ("does not have the required form", "格式不符合要求"),
    "user": (
        "must be the id or subject of a user: text of 1 to 1,024 characters, without control characters",
        "须为用户编号或登录标识：1 到 1024 个字符的文本，不含控制字符",
    ),
    "date": ("must be a date such as 2026-06-01", "须为日期，例如 2026-06-01"),
    "time": ("must be a time such as 2026-06-01T08:00:00Z", "须为时间，例如 2026-06-01T08:00:00Z"),
    "no_offset": (
        "must name its offset, as in 2026-06-01T08:00:00+08:00", "须带时区偏移，例如 2026-06-01T08:00:00+08:00"
    ),
    "invalid": ("is not valid", "无效"),
    "url": ("must be a web address such as https://example.com", "须为网址，例如 https://example.com"),
    # errors of field definitions
    "too_many_fields": ("at most {0} fields may be {1}", "最多 {0} 个字段可设为 {1}"),
    "field_key": (
        "must be the name of a field: up to 64 visible characters without a colon",
        "须为字段名：最多 64 个可见字符，不含冒号",
    ),
    "field_key_taken": ("is used by another field", "与其他字段重复"),
    "not_for_type": ("is not possible for a field of the type {0}", "不适用于 {0} 类型的字段"),
    "options_of_choice": (
        "only a field of the type choice or choices has options", "只有 choice 或 choices 类型的字段可设选项"
    ),
    "same_option": ("must not contain the same option twice", "选项不能重复"),
    "option": ("must contain neither a comma nor two dots together", "选项不能含逗号或连续的两个点"),
    "changing": ("is being changed; try again in a few minutes", "正在变更，请几分钟后再试"),
    # errors that routes find
    "content_type": ("send the body with Content-Type: application/json", "请求须带 Content-Type: application/json"),
    "repeated": ("is given more than once", "重复给出"),
    "null_parameter": ("must not be null: leave it out", "不能为 null，不需要时请省略"),
    "not_digits": ("must be a whole number in digits", "须为数字形式的整数"),
    "none_given": ("expected at least one", "至少需要一项"),
    "text_or_base64": ("send either `text` or `base64`", "请提供 text 或 base64 之一"),
    "base64": ("must be Base64 (RFC 4648)", "须为 Base64 编码（RFC 4648）"),
    "encoding": (
        "must be an encoding such as UTF-8, GB18030 or Windows-1252",
        "须为编码名称，例如 UTF-8、GB18030 或 Windows-1252",
    ),
    "external_id": ("expected an external id", "须填写外部编号"),
    "member": (
        "must be the id, the e-mail address or the unique name of a member", "须为成员的编号、邮箱或唯一的姓名"
    ),
    "no_filter": ("must be `key:value`, and the key one of these fields: {0}", "须为“字段:值”，可筛选的字段为 {0}"),
    "no_breakdown": (
        "must be day, member or one of these fields: {0}", "须为 day、member 或以下可筛选的字段：{0}"
    ),
    "no_order": ("is not possible for this list: its orders are {0}", "该列表不支持此排序，可用的排序为 {0}"),
    "one_search": ("search by only one of these", "只能按其中一项查询"),
    "not_with": ("cannot be combined with {0}", "不能与 {0} 同时使用"),
    "blank": ("must not be blank", "不能只有空白"),
    "phone": ("expected a phone number", "须为有效的电话号码"),
    "email": ("expected an e-mail address", "须为有效的邮箱地址"),
    "other_user": ("must be another user", "须为其他用户"),
    "leave_by_post": ("can only be false: send POST /leave", "只能为 false，办理离职请使用 POST /leave"),
    "too_many_members": ("sorts pools with at most {0} members", "仅支持成员不超过 {0} 人的公海排序"),
    "transfer_only": ("requires a transfer, and a transfer requires it", "须与 transfer 一起使用"),
    "days": ("must be at least one day and at most {0}", "至少 1 天，最多 {0} 天"),
    "atomic": (
        "an atomic batch must fit into one transaction of 100 writes", "原子批量须能在一个含 100 次写入的事务中完成"
    ),
    # errors that the domain finds
    "nothing_written": ("expected a note that is not blank, or an outcome", "请填写跟进内容（不能只有空白）或跟进结果"),
    "contact": ("must not contain a phone number or an e-mail address", "不能包含电话号码或邮箱地址"),
    "too_late": ("must be at most {0} years ahead", "最多可设为 {0} 年后"),
    "bytes": ("{0} bytes, but at most {1} are allowed", "共 {0} 字节，最多 {1} 字节"),
    "duration": ("must be a duration such as P30D or PT15M", "须为时长，例如 P30D 或 PT15M"),
    "duration_length": (
        "must be longer than zero and at most a century; null switches a rule off",
        "须大于零且不超过一百年；null 表示不启用该规则",
    ),
    "time_zone": ("must be an IANA time zone such as Asia/Shanghai", "须为 IANA 时区，例如 Asia/Shanghai"),
    "region": (
        "must be the two capital letters of a region (ISO 3166), such as CN", "须为两个大写字母的地区代码，例如 CN"
    ),
    "no_extension": ("the policy has no default extension: send `by`", "公海规则未设置默认延期时长，请指定"),
    "future": ("must lie in the future, and before the year 10000", "须晚于当前时间，且早于公元 10000 年"),
    "no_version": ("send If-Match with the version of the pool", "请在 If-Match 中给出公海的版本号"),
}  # fmt: skip

TYPES: Final[dict[str, tuple[str, str]]] = {
    "str": ("text", "文本"),
    "int": ("a whole number", "整数"),
    "float": ("a number", "数字"),
    "bool": ("true or false", "true 或 false"),
    "null": ("null", "null"),
    "array": ("a list", "列表"),
    "object": ("an object", "对象"),
    "date": ("a date such as 2026-06-01", "日期（例如 2026-06-01）"),
    "datetime": ("a time such as 2026-06-01T08:00:00Z", "时间（例如 2026-06-01T08:00:00Z）"),
}

# Sentences


def sentence(error: FieldError, language: str) -> str:
    """Return the error as a sentence in `en` or `zh`, starting with the path of the member."""
    at = 1 if language == "zh" else 0
    values = error.values if error.kind != "wrong_type" else (_types(str(error.values[0]), at),)
    text = SENTENCES.get(error.kind, SENTENCES["invalid"])[at].format(*values)
    if not error.path:
        return text[0].upper() + text[1:]
    apart, key, member = ("：", " 的字段名", " 的某个值") if at else (": ", ", a name in it", ", a value in it")
    path = error.path.replace("{}", key).replace("[...]", member)
    return f"{path}{apart}{text}"


def _types(names: str, at: int) -> str:
    """Return `int | null` in words."""
    given = [name.strip() for name in names.split("|")]
    # "a number" includes "a whole number".
    words = [TYPES[name][at] for name in given if name in TYPES and not (name == "int" and "float" in given)]
    if len(words) < 2:
        return words[0] if words else ("of another type", "其他类型")[at]
    return ("、" if at else ", ").join(words[:-1]) + ("或" if at else " or ") + words[-1]


# msgspec's messages

# Patterns are compiled when the first invalid request needs them, which keeps cold starts short.
_PLACE: Final = r"(?P<text>.*?)(?: - at (?P<name>`key` in )?`\$(?P<path>.*)`)?"
_IDENTIFIER: Final = "{1,64}"  # occurs in the pattern of ids; `_EXCLUDING` in that of text without control characters
_EXCLUDING: Final = "[^"
_NAME: Final = r"[A-Za-z_]{1,32}"  # any other name may be a phone number or an address
_MESSAGES: Final = (
    (r"Object missing required field `(.*)`", "missing"),
    (r"Object contains unknown field `(.*)`", "unknown"),
    (r"Expected `(?:datetime|time)` with a timezone component", "no_offset"),
    (r"Expected `(?:str|bytes)` of length >= 1", "empty"),
    (r"Expected `(?:str|bytes)` of length >= (\d+)", "too_short"),
    (r"Expected `(?:str|bytes)` of length <= (\d+)", "too_long"),
    (r"Expected `(?:array|object)` of length >= (\d+)", "too_few"),
    (r"Expected `(?:array|object)` of length <= (\d+)", "too_many"),
    (r"Expected `array` of at least length (\d+), got \d+", "too_few"),
    (r"Expected `array` of at most length (\d+), got \d+", "too_many"),
    (r"Expected `array` of length (\d+)(?:, got \d+)?", "not_so_many"),
    (r"Expected `array` of length (\d+ to \d+)(?:, got \d+)?", "not_so_many"),
    (r"Expected `(?:int|float)` >= (\S+)", "too_small"),
    (r"Expected `(?:int|float)` <= (\S+)", "too_large"),
    (r"Expected `(?:int|float)` > (\S+)", "not_above"),
    (r"Expected `(?:int|float)` < (\S+)", "not_below"),
    (r"Expected `(?:int|float)` that's a multiple of (\S+)", "not_a_multiple"),
    (r"Expected `str` matching regex (.*)", "pattern"),
    (r"Expected `str` with a visible character", "blank"),
    (r"Expected `([^`]*)`(?:, got `[^`]*`)?", "wrong_type"),
    (r"Invalid (?:enum )?value .*", "not_one_of"),
    (r"Invalid RFC3339 encoded date", "date"),
    (r"Invalid RFC3339 encoded (?:datetime|time)", "time"),
    (r"(?:Integer value|Number|Duration is|Timestamp is) out of range ?", "out_of_range"),
)


def from_msgspec(error: Exception, kind: Any, names: bool = False) -> FieldError:
    """Return the FieldError for msgspec's error while decoding `kind`; `invalid` for an unrecognized message.

    An unknown member is named only with `names` and if it is a plain word; otherwise the known members are listed.
    """
    place = re.fullmatch(_PLACE, str(error), re.DOTALL)
    text, path = str(error), ""
    if place is not None:
        text, path = place["text"], (place["path"] or "").removeprefix(".") + ("{}" if place["name"] else "")
    if text in SENTENCES:
        return FieldError(text, path)  # raised by one of our own types
    for pattern, name in _MESSAGES:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return _as_error(name, path, found, kind, names)
    return FieldError("invalid", path)


def _as_error(name: str, path: str, found: re.Match[str], kind: Any, names: bool) -> FieldError:
    if name == "missing" or (name == "unknown" and names and re.fullmatch(_NAME, found[1])):
        return FieldError(name, f"{path}.{found[1]}".removeprefix("."))
    if name == "unknown":
        return FieldError("unknown_name", path, (", ".join(_members(_part(kind, path))),))
    if name == "pattern":
        names_it = {_IDENTIFIER: "identifier", _EXCLUDING: "controls"}
        return FieldError(next((each for part, each in names_it.items() if part in found[1]), name), path)
    if name == "not_one_of":
        options = ", ".join(_options(kind, path))
        return FieldError(name, path, (options,)) if options else FieldError("not_allowed", path)
    return FieldError(name, path, tuple(_number(text) for text in found.groups()))


def _number(text: str) -> Value:
    """Return text as a number, `1.0` as 1; other text unchanged."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _options(kind: Any, path: str) -> list[str]:
    """Return the allowed values of the member of that name."""
    return [str(option) for option in _literals(_members(kind).get(path))]


def _members(kind: Any) -> dict[str, Any]:
    """Return the type of each member by name; empty if `kind` has no members."""
    try:
        return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    except TypeError:
        return {}


def _part(kind: Any, path: str) -> Any:
    """Return the type with members at that path; `kind` itself where there is none."""
    found = _members(kind).get(path)
    return next((each for each in (found, *get_args(found)) if _members(each)), kind)


def _literals(kind: Any) -> Iterator[str | int]:
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        for part in get_args(kind):
            yield from _literals(part)
