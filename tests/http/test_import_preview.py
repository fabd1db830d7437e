"""The preview of an import: files are read by the service, piece by piece, into rows that an import takes."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from importing.headings import EXPORTED_FIRST, attribute_title
from tests.support.import_files import sheet_of, workbook
from tests.support.world import Reply, User, World, everything
from tests.unit.test_import_layouts import LAYOUTS, csv_of, lines_of

FIELDS = [
    {"key": "mobile", "label": {"en": "Mobile", "zh": "手机"}, "type": "phone"},
    {"key": "size", "label": {"en": "Company size", "zh": "公司规模"}, "type": "number"},
    {"key": "vip", "label": {"en": "VIP", "zh": "重点客户"}, "type": "bool"},
    {"key": "signed", "label": {"en": "Signed on", "zh": "签约日期"}, "type": "date"},
    {"key": "tags", "label": {"en": "Tags", "zh": "标签"}, "type": "choices", "options": ["a", "b"]},
    {"key": "zip", "label": {"en": "Postcode", "zh": "邮编"}, "type": "text"},
]


def preview(user: User, content: bytes | str, language: str = "en", **options: Any) -> Reply:
    piece = {"text": content} if isinstance(content, str) else {"base64": b64encode(content).decode()}
    return user.post("/import/preview", piece | options, accept_language=language)


def pool_with_fields(world: World) -> User:
    mona = world.pool()
    assert mona.patch("", {"fields": FIELDS}, if_match='"1"').status == 200
    return mona


def codes(reply: Reply) -> list[tuple[int | None, str]]:
    return [(each["line"], each["code"]) for each in reply.json["problems"]]


def in_pieces(user: User, content: bytes, size: int, **options: Any) -> list[dict[str, Any]]:
    """Return the previews of a whole file, as a client sends it."""
    answers, at, after = list[dict[str, Any]](), 0, dict[str, Any]()
    while True:
        more = at + size < len(content)
        reply = preview(user, content[at : at + size], more=more, **options, **after)
        assert reply.status == 200, reply.text
        answers.append(reply.json)
        if reply.json["next"] is None:
            return answers
        assert reply.json["next"]["offset"] > 0
        at, after = at + reply.json["next"]["offset"], {"after": reply.json["next"]["after"]}


def rows_of(answers: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Return all rows with their lines."""
    return [
        (line["line"], answer["rows"][line["row"]])
        for answer in answers for line in answer["lines"] if line["row"] is not None
    ]  # fmt: skip


@pytest.fixture
def manager(memory_world: World) -> User:
    return memory_world.pool()


# One piece


def test_a_preview_shows_the_columns_the_rows_and_how_the_file_was_read(world: World) -> None:
    mona = world.pool()

    reply = preview(mona, "名录,,\n客户名称,手机,负责人\n甲,13800138000,bob\n乙,-,\n")

    assert (reply.status, reply.json["header_row"], reply.json["separator"]) == (200, 2, ",")
    assert [(each["heading"], each["target"], each["sample"]) for each in reply.json["columns"]] == [
        ("客户名称", "name", "甲"), ("手机", "phone", "13800138000"), ("负责人", "负责人", "bob"),
    ]  # fmt: skip
    assert [each["offers_holder"] for each in reply.json["columns"]] == [False, False, True]
    assert reply.json["mapping"] == {"客户名称": "name", "手机": "phone", "负责人": "负责人"}
    assert reply.json["rows"][0] == {"name": "甲", "fields": {"phone": "13800138000", "负责人": "bob"}}
    assert [(each["line"], each["row"]) for each in reply.json["lines"]] == [(3, 0), (4, 1)]
    assert [each["code"] for each in reply.json["warnings"]] == ["title_lines"]
    assert (reply.json["keys"], reply.json["next"]) == ({"phone": 1, "none": 1}, None)


def test_the_rows_of_a_preview_are_imported_as_they_are(world: World) -> None:
    mona = world.pool()
    table = "编号,姓名,手机,邮箱\nc1,甲,13800138000,\n,乙,,b@x.cn\nKH.1,丙,,\n,丁,,\n"

    rows = preview(mona, table).json["rows"]
    first, again = (mona.post("/import", {"rows": rows, "key": "auto", "on_duplicate": "skip"}) for _ in range(2))

    assert first.json["summary"] == again.json["summary"] == {"ok": 4, "failed": 0}
    assert first.ids == again.ids and "c1" in first.ids
    assert sorted(each["name"] for each in mona.get("/customers?limit=100").json["items"]) == ["丁", "丙", "乙", "甲"]


def test_a_mapping_overrides_the_guess_and_leaves_columns_out(memory_world: World) -> None:
    mona = memory_world.pool(members="bob")

    reply = preview(
        mona, "Kunde,Telefon,Extra,Extra,Owner\nA,13800138000,1,2,bob\n",
        mapping={"Kunde": "name", "Telefon": "phone", "#3": None, "#4": "extra", "Owner": "holder"},
    )  # fmt: skip
    imported = mona.post("/import", {"rows": reply.json["rows"], "key": "auto"})

    assert reply.json["rows"] == [{"name": "A", "holder": "bob", "fields": {"phone": "13800138000", "extra": "2"}}]
    assert (reply.json["left_out"], reply.json["mapping"]["#3"]) == (["Extra"], None)
    assert imported.json["results"][0]["customer"]["holder"] == "bob"


def test_the_answer_s_mapping_can_be_sent_back(memory_world: World) -> None:
    mona = memory_world.pool()
    table = "First Name,Last Name,Company,City,City,,Email\nAda,Lovelace,Acme,1,2,3,a@x.cn\n"

    first = preview(mona, table).json
    again = preview(mona, table, mapping=first["mapping"]).json

    assert (again["rows"], again["mapping"]) == (first["rows"], first["mapping"])
    assert first["rows"][0]["fields"] == {
        "contact": "Ada Lovelace", "city": "1", "City": "2", "column_6": "3", "email": "a@x.cn"
    }  # fmt: skip


def test_the_labels_of_the_pool_s_own_fields_come_first_and_their_types_are_kept(world: World) -> None:
    mona = pool_with_fields(world)
    table = (
        "名称,手机,公司规模,重点客户,签约日期,标签,邮编\n"
        '甲,13800138000,12,是,2026/3/1,"a，b",010010\n'
        "乙,13900139000,many,no,2026年12月31日,c,1\n"
    )

    reply = preview(mona, table)
    imported = mona.post("/import", {"rows": reply.json["rows"], "key": "auto"})

    assert reply.json["rows"] == [{"name": "甲", "fields": {
        "mobile": "13800138000", "size": 12, "vip": True, "signed": "2026-03-01", "tags": ["a", "b"], "zip": "010010"
    }}]  # fmt: skip
    assert codes(reply) == [(3, "field_invalid")] and "fields.size" in reply.json["problems"][0]["text"]
    assert imported.json["summary"] == {"ok": 1, "failed": 0}


def test_a_row_that_an_import_refuses_in_any_case_is_a_problem_of_its_line(memory_world: World) -> None:
    mona = memory_world.pool()
    table = f"name,phone,note\nA,1,{'字' * 2_000}\nB,\x07,x\n,2,x\nC,3,x,4\n{'D' * 201},5,x\nE,6,x\nF,6,x\n"

    reply = preview(mona, table, "zh-CN")

    assert [line for line, _ in codes(reply)] == [2, 4, 5, 6]
    assert "缺少客户名称" in reply.json["problems"][1]["text"] and reply.headers["Content-Language"] == "zh-CN"
    assert [each["cells"] for each in reply.json["lines"] if each["row"] is None][1] == ["", "2", "x"]


def test_cells_are_those_of_an_errors_file(memory_world: World) -> None:
    mona = memory_world.pool()

    reply = preview(mona, "name,phone\n,'=cmd()\n,=1+1\n")

    assert [each["cells"] for each in reply.json["lines"]] == [["", "'=cmd()"], ["", "'=1+1"]]


# How a file is read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_the_encoding_of_a_file_is_found(memory_world: World, encoding: str) -> None:
    mona = memory_world.pool()

    reply = preview(mona, "客户名称;手机\n北辰𠮷;13800138000\n".encode(encoding))

    assert reply.json["rows"] == [{"name": "北辰𠮷", "fields": {"phone": "13800138000"}}]
    assert (reply.json["encoding"], reply.json["separator"]) == (encoding, ";")


def test_another_encoding_is_read_if_it_is_named(memory_world: World) -> None:
    mona = memory_world.pool()
    content = "name,phone\nJürgen Weiß,+493012345678\n".encode("cp1252")

    guessed, named, unknown = (preview(mona, content, **each) for each in ({}, {"encoding": "Windows-1252"},
                                                                           {"encoding": "rot13"}))  # fmt: skip

    assert (codes(guessed), guessed.json["rows"]) == ([(None, "no_encoding")], [])
    assert named.json["rows"][0]["name"] == "Jürgen Weiß"
    assert (unknown.status, unknown.json["code"]) == (422, "invalid_request") and "encoding" in unknown.text


def test_rare_characters_of_a_chinese_text_are_reported(memory_world: World) -> None:
    mona = memory_world.pool()

    reply = preview(mona, "name,phone\nAdolesCiência,0912345678\n".encode("cp1252"))

    assert [each["code"] for each in reply.json["warnings"]] == ["other_encoding"]
    assert "AdolesCi阯cia" in reply.json["warnings"][0]["text"] and "--" not in reply.json["warnings"][0]["text"]


def test_a_workbook_is_read_as_people_see_it(world: World) -> None:
    mona = world.pool()
    book = sheet_of(
        ["客户名称", "手机", "银行账号"], ["甲", 13800138000, 6222020200112233445], ["乙", "13900139000", ""]
    )

    reply = preview(mona, book, name="客户.xlsx")

    assert [each["fields"] for each in reply.json["rows"]] == [{"phone": "13800138000"}, {"phone": "13900139000"}]
    assert (reply.json["sheet"], reply.json["sheets"]) == ("Sheet1", ["Sheet1"])
    assert [(each["line"], each["code"]) for each in reply.json["warnings"]] == [(2, "cell_digits_lost")]


def test_a_sheet_and_a_line_of_headings_can_be_named(memory_world: World) -> None:
    mona = memory_world.pool()
    book = sheet_of(["a", "b"], ["name", "phone"], ["A", "1"])

    reply, wrong = preview(mona, book, header_row=2, sheet="Sheet1"), preview(mona, book, sheet="Other")

    assert reply.json["rows"][0]["name"] == "A" and codes(wrong) == [(None, "no_sheet")]
    assert codes(preview(mona, "name\nA\n", header_row=5)) == [(None, "no_header_row")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (None, "empty_file")),
        ('客户名称,备注\n甲,"开\n乙,x\n'.encode(), (2, "open_quote")),
        (b'name,note\nA,"x\nB,"y" z\n', (2, "stray_quote_in_lines")),
        (b"<html><table></table></html>", (None, "web_page")),
        (b"<?xml version='1.0'?><Workbook/>", (None, "xml_page")),
        (b"PK\x03\x04broken", (None, "other_workbook")),
        (b"\xd0\xcf\x11\xe0old", (None, "other_workbook")),
        (b"\xff\xff\x80\n\xff\xfe", (None, "no_encoding")),
        (b"phone,city\n1,2\n", (None, "no_name_column")),
        (",".join(f"c{n}" for n in range(1_001)).encode(), (None, "too_many_columns")),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_file_that_cannot_be_read_correctly_has_a_problem_and_no_rows(
    memory_world: World, content: bytes, expected: tuple[int | None, str], language: str
) -> None:
    mona = memory_world.pool()

    reply = preview(mona, content, language)

    assert (reply.status, codes(reply)[0], reply.json["rows"], reply.json["next"]) == (200, expected, [], None)
    assert reply.json["problems"][0]["text"].isascii() == (language == "en")


def test_a_file_without_names_shows_its_columns_so_that_one_can_be_chosen(memory_world: World) -> None:
    mona = memory_world.pool()

    first = preview(mona, "Kunde,phone\nA,13800138000\n")
    chosen = preview(mona, "Kunde,phone\nA,13800138000\n", mapping={"Kunde": "name"})
    wrong = preview(mona, "Kunde,phone\nA,13800138000\n", mapping={"Other": "name"})

    assert (codes(first), first.json["columns"][0]["sample"]) == ([(None, "no_name_column")], "A")
    assert chosen.json["rows"] == [{"name": "A", "fields": {"phone": "13800138000"}}]
    assert (None, "no_column") in codes(wrong) and wrong.json["rows"] == []


def test_a_workbook_that_would_fill_the_memory_is_refused(memory_world: World) -> None:
    def far(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "name")
        sheet.write(1_048_575, 16_383, "x")

    mona = memory_world.pool()

    reply = preview(mona, workbook(far))

    assert codes(reply) == [(None, "large_workbook")]


# Several pieces


def table_of(rows: list[list[str]], ending: str = "\n") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_file_in_pieces_gives_the_rows_of_the_whole_file(memory_world: World, encoding: str, ending: str) -> None:
    mona = memory_world.pool()
    lines = [["客户名称", "手机", "备注"], *([f"客户{n}", f"1380000{n:04d}", f"第 {n} 行,\n“x”"] for n in range(200))]
    content = table_of(lines, ending).encode(encoding)

    (whole,) = in_pieces(mona, content, len(content))
    answers = in_pieces(mona, content, 1_500)

    assert len(whole["rows"]) == 200 and len(answers) > 5
    assert rows_of(answers) == rows_of([whole])
    assert {each["encoding"] for each in answers} <= {encoding, encoding.removesuffix("-sig"), "utf-16-le"}


def test_a_line_that_repeats_one_of_an_earlier_piece_has_a_key_of_it(memory_world: World) -> None:
    mona = memory_world.pool()
    lines = [
        ["客户名称", "手机", "邮箱"],
        ["甲", "13800138000", "a@x.cn"],
        *([f"{n}", f"1390000{n:04d}", ""] for n in range(99)),
    ]
    again = [["乙", "+86 138 0013 8000", ""], ["丙", "-", "A@x.cn"], ["丁", "13700137000", "a@x.cn"]]

    answers = in_pieces(mona, table_of([*lines, *again]).encode(), 400)

    earlier, repeated = set[str](), list[str]()
    for line in (line for answer in answers for line in answer["lines"]):
        repeated += [line["cells"][0]] if earlier.intersection(line["own_keys"]) else []
        earlier.update(line["own_keys"], line["other_keys"])
    assert len(answers) > 3 and repeated == ["乙", "丙"]


def test_equal_rows_without_a_key_share_a_new_id_that_is_numbered_in_a_piece(memory_world: World) -> None:
    mona = memory_world.pool()
    rows = [["甲", "上海"], ["甲", "上海"], *([f"{n}", "北京"] for n in range(40)), ["甲", "上海"]]

    answers = in_pieces(mona, table_of([["客户名称", "城市"], *rows]).encode(), 300)

    lines = [line for answer in answers for line in answer["lines"] if line["cells"][0] == "甲"]
    ids = [row["id"] for answer in answers for row in answer["rows"] if row["name"] == "甲"]
    (new_id,) = {line["new_id"] for line in lines}
    assert len(answers) > 1 and ids == [new_id, f"{new_id}-2", new_id]
    assert [line["own_keys"] for line in lines] == [[], [], []]


def test_a_file_is_refused_if_a_later_piece_is(memory_world: World) -> None:
    mona = memory_world.pool()

    answers = in_pieces(mona, b"name\n" + b"A\n" * 400 + b'"open\n' + b"C\n" * 300, 500)

    assert [each["refused"] for each in answers] == [False, False, True]
    assert (answers[-1]["rows"], answers[-1]["problems"][0]["line"]) == ([], 402)


def test_the_rows_of_an_export_are_imported_by_id(memory_world: World) -> None:
    mona = memory_world.pool()
    mona.create("c1", name="甲", fields={"phone": "13800138000"})
    headings = ",".join(attribute_title(name, "zh") for name in EXPORTED_FIRST)

    shown = preview(mona, f"{headings},手机\nc1,甲,available,,,,0,13900139000\n").json
    reply = mona.post("/import", {"rows": shown["rows"], "key": shown["key"], "on_duplicate": "update"})

    assert (shown["key"], shown["keys"], reply.ids) == ("id", {"id": 1}, ["c1"])
    assert preview(mona, "编号,客户名称\n1,甲\n").json["key"] == "auto"


CELL = st.text(st.sampled_from('aé客,;"\n 1'), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=12),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"]),
    size=st.integers(150, 400),
)
def test_any_table_in_pieces_gives_the_rows_of_the_whole_table(
    manager: User, rows: list[list[str]], encoding: str, size: int
) -> None:
    named = [[f"{number}{name}", note] for number, (name, note) in enumerate(rows)]
    content = table_of([["客户名称", "备注"], *named]).encode(encoding)

    (whole,) = in_pieces(manager, content, len(content) + 1)
    answers = in_pieces(manager, content, size)

    assert rows_of(answers) == rows_of([whole])


def test_an_encoding_that_only_a_later_piece_shows_is_found_there(memory_world: World) -> None:
    mona = memory_world.pool()
    content = ("name,phone\n" + "".join(f"A{n},1380000{n:04d}\n" for n in range(50)) + "北辰,021-12345678\n").encode(
        "gb18030"
    )

    answers = in_pieces(mona, content, 500)

    assert rows_of(answers)[-1] == (52, {"name": "北辰", "fields": {"phone": "021-12345678"}})
    assert (answers[0]["encoding"], answers[-1]["encoding"]) == ("utf-8", "gb18030")


def test_a_quotation_mark_that_is_never_closed_is_found_in_its_piece(memory_world: World) -> None:
    mona = memory_world.pool()
    content = b"name,note\n" + b"A,x\n" * 300 + b'B,"open\n' + b"C,y\n" * 300

    answers = in_pieces(mona, content, 1_000)

    assert answers[-1]["problems"][0]["code"] == "open_quote" and answers[-1]["problems"][0]["line"] == 302


def test_a_line_that_does_not_end_within_a_piece_is_a_problem(memory_world: World) -> None:
    mona = memory_world.pool()

    reply = preview(mona, b"name,note\n" + b"x" * 5_000, more=True)
    alone = preview(mona, b"x" * 5_000, more=True)

    assert reply.json["next"]["offset"] == 10 and codes(alone) == [(1, "long_line")]


def test_a_long_answer_is_continued_and_a_workbook_is_sent_again_for_it(memory_world: World) -> None:
    mona = memory_world.pool()
    heading = "一个很长的列名" * 8
    book = sheet_of(["name", "phone", heading], *([f"A{n}", f"138{n:08d}", "x"] for n in range(9_000)))

    answers, after = list[dict[str, Any]](), dict[str, Any]()
    while not answers or answers[-1]["next"]:
        answers.append(preview(mona, book, **after).json)
        after = {"after": answers[-1]["next"] and answers[-1]["next"]["after"]}

    assert len(answers) > 1 and [each["next"]["offset"] for each in answers[:-1]] == [0] * (len(answers) - 1)
    assert [line for line, _ in rows_of(answers)] == list(range(2, 9_002))


def test_a_workbook_is_one_piece(memory_world: World) -> None:
    mona = memory_world.pool()

    reply = preview(mona, sheet_of(["name"], ["A"]), more=True)

    assert codes(reply) == [(None, "large_workbook")]


# The request


def test_a_piece_may_have_256_kb_whatever_its_size_in_the_body(memory_world: World) -> None:
    mona = memory_world.pool()
    most = 256 * 1024
    content = b"name\n" + b'"\n' * ((most - 5) // 2)

    fits = [preview(mona, each) for each in (content.ljust(most), content.decode().ljust(most))]
    larger = [preview(mona, each) for each in (b"x" * (most + 1), "x" * (most + 1), "客" * 90_000)]

    assert [each.status for each in fits] == [200, 200]
    assert [(each.status, each.json["code"], each.json["limit"]) for each in larger] == [
        (413, "payload_too_large", most)
    ] * 3


@pytest.mark.parametrize(
    "body",
    [
        {}, {"text": "a", "base64": "YQ=="}, {"base64": "!"}, {"base64": "YQ"}, {"text": "a", "header_row": 0},
        {"text": "a", "mapping": {"a": ""}}, {"text": "a", "after": {"line": 1}}, {"text": "a", "other": 1},
        {"text": "a", "after": {"line": 1, "header_row": 1, "headings": ["a"], "encoding": "hex"}},
        {"text": "a", "after": {"line": 1, "header_row": 1, "headings": ["a"], "separator": "\n"}},
    ],
)  # fmt: skip
def test_a_preview_of_something_else_is_invalid(memory_world: World, body: dict[str, Any]) -> None:
    reply = memory_world.pool().post("/import/preview", body)

    assert (reply.status, reply.json["code"]) == (422, "invalid_request") and reply.json["errors"]


def test_only_managers_preview_and_nothing_is_written(world: World) -> None:
    mona = world.pool(members="alice")
    before = list(everything(world.table))

    refused = preview(world.alice, "name\nA\n")
    foreign = preview(world.user("zoe"), "name\nA\n")

    assert (refused.status, refused.json["code"]) == (403, "not_manager") and foreign.status == 403
    assert preview(mona, "name\nA\n").status == 200 and mona.get("/customers").json["items"] == []
    assert list(everything(world.table)) == before


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode), more=st.booleans())
def test_any_bytes_are_read_or_named_as_a_problem(manager: User, content: bytes, more: bool) -> None:
    reply = preview(manager, content, more=more)

    assert reply.status == 200 and (reply.json["rows"] or reply.json["problems"] or reply.json["columns"])


# Exports of other systems


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_hundred_rows_of_another_system_are_previewed_and_imported(manager: User, name: str) -> None:
    content = csv_of(lines_of(LAYOUTS[name]))

    reply = preview(manager, content.encode("gb18030"))
    dry, done = (
        manager.post("/import", {"rows": reply.json["rows"], "key": "auto", "dry_run": dry_run})
        for dry_run in (True, False)
    )

    assert (len(reply.json["rows"]), reply.json["problems"]) == (100, [])
    assert dry.json["summary"] == done.json["summary"] == {"ok": 100, "failed": 0}
