"""What is wrong with a request: named by kind and path, in the reader's language, with no sentence of msgspec's."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

import chalicelib
from chalicelib.api import problems
from chalicelib.api.requests import decode
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Identifier
from chalicelib.model.validation import SENTENCES, FieldError, from_msgspec, sentence
from tests.http.test_policies import BAD_RULES
from tests.support.every_route import WITH_BODY, send
from tests.support.world import Reply, World

CHINESE = re.compile(r"[\u4e00-\u9fff]")
MSGSPEC = re.compile(r"Expected|Invalid|Object|out of range|`|\$|unknown field|required field|got ")
WRONG: list[Any] = [
    None,
    "  ",
    -1,
    0,
    1.5,
    True,
    "",
    "x" * 600,
    "a#b",
    [],
    [None],
    ["", 1],
    {},
    {"": 1},
    {"a": []},
    10**9,
]


def in_both_languages(errors: tuple[FieldError, ...]) -> tuple[list[str], list[str]]:
    refusal = Refusal("invalid_request", errors=errors)
    english, chinese = (problems.refusal_body(refusal, language).errors for language in ("en", "zh"))
    assert english and chinese
    return english, chinese


# Sentences


@pytest.mark.parametrize("kind", SENTENCES)
def test_every_validation_error_has_a_sentence_in_both_languages(kind: str) -> None:
    english, chinese = SENTENCES[kind]

    assert english.isascii() and not english.endswith(".")
    assert CHINESE.search(chinese) and not chinese.endswith("。")
    named = [[name for _, name, _, _ in Formatter().parse(text) if name is not None] for text in (english, chinese)]
    assert named[0] == named[1]


@pytest.mark.parametrize(
    ("error", "english", "chinese"),
    [
        (FieldError("empty", "name"), "name: must not be empty", "name：不能为空"),
        (FieldError("too_long", "rows[3].name", (200,)), "rows[3].name: must have at most 200 characters",
         "rows[3].name：最多 200 个字符"),
        (FieldError("wrong_type", "limit", ("int | null",)), "limit: must be a whole number or null",
         "limit：必须是整数或null"),
        (FieldError("wrong_type", "fields[...]", ("bool | int | float | str | null",)),
         "fields, a value in it: must be true or false, a number, text or null",
         "fields 的某个值：必须是true 或 false、数字、文本或null"),
        (FieldError("empty", "fields{}"), "fields, a name in it: must not be empty", "fields 的字段名：不能为空"),
        (FieldError("wrong_type", "", ("object",)), "Must be an object", "必须是对象"),
        (FieldError("wrong_type", "x", ("bytes",)), "x: must be of another type", "x：必须是其他类型"),
        (FieldError("of a later version", "x"), "x: is not valid", "x：无效"),
    ],
)  # fmt: skip
def test_a_validation_error_is_one_sentence_that_begins_with_its_path(
    error: FieldError, english: str, chinese: str
) -> None:
    assert (sentence(error, "en"), sentence(error, "zh")) == (english, chinese)


def test_every_refusal_carries_an_error_instead_of_a_sentence() -> None:
    for path in Path(chalicelib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "errors" and isinstance(node.value, ast.Tuple):
                assert not any(isinstance(each, ast.Constant | ast.JoinedStr) for each in node.value.elts), (
                    f"{path.name}:{node.value.lineno}"
                )


# msgspec's messages


class Everything(Struct, forbid_unknown_fields=True):
    required: int
    mode: Literal["drain", "to_private"] | None = None
    number: Literal[1, 2] = 1
    text: Annotated[str, Meta(min_length=2, max_length=3)] = "xx"
    named: Annotated[str, Meta(min_length=1)] = "x"
    id: Identifier = "x"
    form: Annotated[str, Meta(pattern="^a+$")] = "a"
    few: Annotated[list[str], Meta(min_length=1, max_length=2)] = []
    pair: tuple[int, int] = (1, 2)
    limited: Annotated[dict[Annotated[str, Meta(min_length=1)], int], Meta(max_length=2)] = {}
    small: Annotated[int, Meta(ge=1, le=9)] = 1
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    even: Annotated[int, Meta(multiple_of=2)] = 2
    day: date = date(2026, 6, 1)
    moment: Annotated[datetime, Meta(tz=True)] | None = None
    hour: time | None = None
    lasts: timedelta | None = None
    uuid: UUID | None = None
    decimal: Decimal | None = None
    content: bytes = b""


MEMBERS = ", ".join(Everything.__struct_fields__)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"required": None}, FieldError("wrong_type", "required", ("int",))),
        ({"x": 1}, FieldError("unknown", "x")),
        ({"13812345678": 1}, FieldError("unknown_name", "", (MEMBERS,))),
        ({"张三": 1}, FieldError("unknown_name", "", (MEMBERS,))),
        ({"wang@example.com": 1}, FieldError("unknown_name", "", (MEMBERS,))),
        ({"mode": "x"}, FieldError("not_one_of", "mode", ("drain, to_private",))),
        ({"number": 3}, FieldError("not_one_of", "number", ("1, 2",))),
        ({"text": "x"}, FieldError("too_short", "text", (2,))),
        ({"text": "xxxx"}, FieldError("too_long", "text", (3,))),
        ({"named": ""}, FieldError("empty", "named")),
        ({"id": "a b"}, FieldError("identifier", "id")),
        ({"form": "b"}, FieldError("pattern", "form")),
        ({"few": []}, FieldError("too_few", "few", (1,))),
        ({"few": ["x"] * 3}, FieldError("too_many", "few", (2,))),
        ({"few": [1]}, FieldError("wrong_type", "few[0]", ("str",))),
        ({"pair": [1]}, FieldError("not_so_many", "pair", (2,))),
        ({"limited": {"a": 1, "b": 2, "c": 3}}, FieldError("too_many", "limited", (2,))),
        ({"limited": {"": 1}}, FieldError("empty", "limited{}")),
        ({"limited": {"a": "x"}}, FieldError("wrong_type", "limited[...]", ("int",))),
        ({"small": 0}, FieldError("too_small", "small", (1,))),
        ({"small": 10}, FieldError("too_large", "small", (9,))),
        ({"share": 0}, FieldError("not_above", "share", (0,))),
        ({"share": 1}, FieldError("not_below", "share", (1,))),
        ({"even": 3}, FieldError("not_a_multiple", "even", (2,))),
        ({"day": "tomorrow"}, FieldError("date", "day")),
        ({"moment": "now"}, FieldError("time", "moment")),
        ({"moment": "2026-06-01T08:00:00"}, FieldError("no_offset", "moment")),
        ({"hour": "noon"}, FieldError("time", "hour")),
        ({"lasts": "P1Y"}, FieldError("invalid", "lasts")),
        ({"uuid": "x"}, FieldError("invalid", "uuid")),
        ({"decimal": "x"}, FieldError("invalid", "decimal")),
        ({"content": "x"}, FieldError("invalid", "content")),
    ],
)  # fmt: skip
def test_a_msgspec_message_becomes_an_error_with_path_and_limits(wrong: dict[str, Any], error: FieldError) -> None:
    with pytest.raises(Refused) as refused:
        decode(json.dumps({"required": 1} | wrong).encode(), Everything, names=True)

    assert refused.value.refusal == Refusal("invalid_request", errors=(error,))
    english, chinese = in_both_languages((error,))
    assert not MSGSPEC.search(english[0]) and CHINESE.search(chinese[0]) and not MSGSPEC.search(chinese[0])


def test_a_missing_member_is_named_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError) as missing:
        msgspec.json.decode(b'{"rows": [{}]}', type=dict[str, list[Everything]])

    assert from_msgspec(missing.value, dict) == FieldError("missing", "[...][0].required")


def test_an_unknown_msgspec_message_is_not_shown() -> None:
    later = msgspec.ValidationError("Something new: `secret` - at `$.rows[0]`")

    assert from_msgspec(later, dict) == FieldError("invalid", "rows[0]")
    assert from_msgspec(ValueError("Exceeds the limit (4300 digits)"), dict) == FieldError("invalid")


def test_a_stored_validation_error_is_read_back_unchanged() -> None:
    refusal = Refusal("invalid_request", errors=(FieldError("too_long", "name", (200,)),))

    assert msgspec.json.decode(msgspec.json.encode(refusal), type=Refusal) == refusal


# Over the contract


def sentences_of(reply: Reply, language: str) -> Iterator[str]:
    """The sentences of a problem, and of each result of a batch that failed."""
    body = reply.json
    for each in [body, *body.get("results", [])]:
        for name in ("title", "detail"):
            if name in each:
                yield each[name]
        yield from each.get("errors", [])
    assert reply.headers.get("Content-Language", language) == language


def is_chinese(reply: Reply) -> bool:
    return all(CHINESE.search(each) and not MSGSPEC.search(each) for each in sentences_of(reply, "zh-CN"))


def is_english(reply: Reply) -> bool:
    return not any(CHINESE.search(each) or MSGSPEC.search(each) for each in sentences_of(reply, "en"))


def wrong_bodies(kind: type) -> Iterator[bytes]:
    """Return bodies with one invalid member; other members may be missing."""
    yield from (b"[]", b"null", b"7", b'{"surprise": 1}')
    for field in msgspec.structs.fields(kind):
        for value in WRONG:
            yield json.dumps({field.encode_name: value}).encode()


def test_no_route_returns_english_msgspec_text_to_a_reader_of_chinese(no_store: World) -> None:
    kinds = set()
    for route in WITH_BODY:
        for body in wrong_bodies(route.body):
            try:
                decode(body, route.body, names=True)
            except Refused as refused:
                kinds |= {each.kind for each in refused.refusal.errors if isinstance(each, FieldError)}
            else:
                continue
            chinese = send(no_store.user("alice", admin=True), route, body, accept_language="zh-CN")
            english = send(no_store.user("alice", admin=True), route, body)
            assert (chinese.status, chinese.code) == (english.status, english.code)
            assert is_chinese(chinese), body
            assert is_english(english), body
            assert "another type" not in english.text
            assert len(chinese.json["errors"]) == len(english.json["errors"]) == 1

    assert kinds == {
        "missing", "unknown", "wrong_type", "not_one_of", "identifier", "empty", "too_long", "too_small", "too_large",
        "time", "user", "blank", "pattern", "email", "leave_by_post", "unknown_name", "too_few",
    }  # fmt: skip
    assert "invalid" not in kinds, "every msgspec message about these bodies has a sentence of its own"


QUERIES = [
    "limit=x", "limit=0", "limit=101", "limit=1e1", "limit=1&limit=2", "surprise=1", "state=held",
    "holder=a%00b", "name=", "name=a&phone=123456", "from=null", "from=x", f"limit={'9' * 5000}",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_a_wrong_parameter_is_named_in_the_readers_language(no_store: World, query: str) -> None:
    path = "/stats" if query.startswith("from=") else "/customers"

    english, chinese = (no_store.alice.get(f"{path}?{query}", accept_language=each) for each in ("en", "zh-CN"))

    assert english.status == chinese.status == 422
    assert is_chinese(chinese)
    assert is_english(english)


@pytest.mark.parametrize("query", ["phone=x", "email=x"])
def test_a_search_for_no_contact_is_named_in_the_readers_language(memory_world: World, query: str) -> None:
    mona = memory_world.pool()

    english, chinese = (mona.get(f"/customers?{query}", accept_language=each) for each in ("en", "zh-CN"))

    assert english.status == chinese.status == 422
    assert is_chinese(chinese)
    assert is_english(english)


def test_a_wrong_rule_is_named_in_the_readers_language(memory_world: World) -> None:
    mona = memory_world.pool()
    root = memory_world.root
    policy = {"claim_ttl": "a week", "time_zone": "Mars/Olympus", "reminders": ["P0D"]}

    made = root.request("POST", "/v1/pools", {"id": "q", "name": "Q", "policy": policy}, accept_language="zh-CN")
    changed = mona.patch("", {"policy": {"holding_limit": -1}}, if_match="1", accept_language="zh-CN")

    assert made.json["errors"] == [
        "claim_ttl：须为时长，例如 P30D 或 PT15M",
        "reminders：须大于零且不超过一百年；null 表示不启用该规则",
        "time_zone：须为 IANA 时区，例如 Asia/Shanghai",
    ]
    assert changed.json["detail"] == "公海规则无效。holding_limit：不能小于 0。"


@pytest.mark.parametrize("rule", BAD_RULES)
def test_every_invalid_rule_has_an_error_with_sentences(no_store: World, rule: str) -> None:
    for wrong in BAD_RULES[rule]:
        body = {"id": "q", "name": "Q", "policy": {rule: wrong}}

        chinese = no_store.root.request("POST", "/v1/pools", body, accept_language="zh")
        english = no_store.root.request("POST", "/v1/pools", body)

        assert is_chinese(chinese), wrong
        assert "无效" not in "".join(chinese.json["errors"]) and rule in english.json["errors"][0], wrong


def test_each_rejected_import_row_has_its_error_in_the_readers_language(memory_world: World) -> None:
    mona = memory_world.pool()
    rows = [{"name": ""}, {"name": 5}, {}, {"name": "x" * 201}, {"name": "A", "priority": "high"},
            {"name": "A", "colour": "red"}, {"name": "A", "fields": {"phone": "none"}}, 7]  # fmt: skip

    chinese = mona.post("/import", {"rows": rows, "key": "phone"}, accept_language="zh-CN").json["results"]
    english = mona.post("/import", {"rows": rows, "key": "phone"}).json["results"]

    assert [each["errors"] for each in chinese] == [
        ["name：不能为空"], ["name：必须是文本"], ["name：必填"], ["name：最多 200 个字符"], ["priority：必须是整数"],
        ["含有未知字段，可用字段为 name, id, fields, priority, holder"], ["fields.phone：须为有效的电话号码"],
        ["必须是对象"],
    ]  # fmt: skip
    assert chinese[0]["detail"] == "请求无效。name：不能为空。"
    assert english[0]["detail"] == "The request is not valid. name: must not be empty."
    assert [each["code"] for each in chinese] == [each["code"] for each in english] == ["invalid_request"] * 8


def test_a_replayed_validation_error_is_in_the_language_of_the_new_request(memory_world: World) -> None:
    mona = memory_world.pool()

    first = mona.post("/import", {"rows": [{"name": ""}]}, idempotency_key="k")
    again = mona.post("/import", {"rows": [{"name": ""}]}, idempotency_key="k", accept_language="zh-CN")

    assert first.json["results"][0]["errors"] == ["name: must not be empty"]
    assert again.json["results"][0]["errors"] == ["name：不能为空"]
