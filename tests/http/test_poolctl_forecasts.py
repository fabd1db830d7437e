"""poolctl import --dry-run: what it reports is what the import of the whole file then does."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Terminal, save, terminal_for
from tests.support.world import World

LIMIT = 4
STORED = {2: "13812345678", 3: "stored@x.cn"}  # contacts of stored customers, by column
DO_NOT_CONTACT = "13812340000"
HEADINGS = ("编号", "客户名称", "手机", "邮箱", "外部编号", "优先级", "规模", "负责人", "信用代码", "城市")
FIELDS = [
    {"key": "code", "label": {"en": "Code", "zh": "信用代码"}, "type": "text", "unique": True},
    {"key": "city", "label": {"en": "City", "zh": "城市"}, "type": "text", "filter": True},
    {"key": "size", "label": {"en": "Size", "zh": "规模"}, "type": "number"},
    {"key": "phone", "label": {"en": "Phone", "zh": "手机"}, "type": "phone"},
    {"key": "email", "label": {"en": "E-mail", "zh": "邮箱"}, "type": "email"},
]


def random_file(source: random.Random, number: int) -> str:
    """Return a file of up to 240 rows, of which some meet a stored customer, an earlier row or a full holder."""

    def cell(*values: str, empty: float = 0.6) -> str:
        return "" if source.random() < empty else source.choice(values)

    def phone() -> str:
        digits = f"138{number % 10_000:04d}{source.randrange(400):04d}"
        return source.choice(
            (digits, f"+86 {digits}", f"{digits}.0", f"{digits};139{digits[3:]}", "无", f"手机：{digits}")
        )

    rows = [
        [
            cell(f"n{number}-{source.randrange(300)}", "stored", "KH.1", empty=0.7),
            cell("甲", "乙", "x" * 201, empty=0.05),
            cell(phone(), phone(), phone(), STORED[2], DO_NOT_CONTACT, empty=0.4),
            cell(f"a{source.randrange(200)}.{number}@x.cn", STORED[3], "none"),
            cell(f"KH.{number}.{source.randrange(100)}", empty=0.8), cell("5", "3.0", "99999", "高", empty=0.8),
            cell("12", "many", empty=0.8), cell("alice", "bob", "nobody", empty=0.7),
            cell(f"A{source.randrange(150)}.{number}", f"ａ{source.randrange(150)}.{number}", "STORED", empty=0.6),
            cell("上海", "北京", empty=0.5),
        ]
        for _ in range(source.randrange(1, 240))
    ]  # fmt: skip
    for each in rows:
        if each[2] == DO_NOT_CONTACT:  # an address would be suppressed too, which later requests meet
            each[3] = ""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADINGS, *rows])
    return text.getvalue()


@pytest.fixture
def prepared(memory_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Terminal, World]]:
    """A pool whose customers the files meet by their phone number, e-mail address or id."""
    world, mona = memory_world, memory_world.pool(holding_limit=LIMIT, fields=FIELDS)
    mona.create("stored", fields={"phone": STORED[2]})
    mona.create("by-email", fields={"email": STORED[3]})
    mona.create("held", fields={"external_id": "KH.1"})
    mona.create("coded", fields={"code": "stored"})
    mona.create("suppressed", fields={"phone": DO_NOT_CONTACT})
    assert mona.post("/customers/suppressed/suppress", {}).status == 200
    assert mona.patch("/members/bob", {"takes": {"city": ["上海"]}}).status == 200
    assert world.alice.claim("held").status == 200
    with terminal_for(world, tmp_path, monkeypatch) as terminal:
        yield terminal, world


def counts_of(world: World) -> dict[str, int]:
    mona = world.mona
    members = {each: mona.get(f"/members/{each}").json["held"] for each in ("alice", "bob")}
    return {"customers": len(mona.walk("/customers")), **members}


def check(terminal: Terminal, world: World, seed: int) -> None:
    source = random.Random(seed)
    file = save(terminal, random_file(source, seed), f"{seed}.csv")
    options = ["--on-duplicate", source.choice(("skip", "update", "reject"))]
    options += ["--key", source.choice(("auto", "auto", "id", "phone", "email", "external_id", "name"))]
    options += ["--assign-owners"] if source.random() < 0.7 else []
    before = counts_of(world)

    dry = terminal.run("import", file, "--dry-run", "--json", *options)
    between = counts_of(world)
    done = terminal.run("import", file, "--json", *options)

    after = counts_of(world)
    context = (seed, options, dry.err, done.err)
    assert between == before, context
    assert (dry.json["rows"], dry.json["failed"]) == (done.json["ok"], done.json["failed"]), context
    assert after["customers"] - before["customers"] == dry.json["created"], context
    for user, room in dry.json["room"].items():
        if user in after:
            assert LIMIT - after[user] == room, context
    refused = {each["line"]: each["code"] for each in dry.json["mistakes"]}
    assert refused == {int(line): code for line, code in refused_lines(done.json["errors_file"])}, context
    terminal.run("import", file, "--undo", *options)


def refused_lines(errors_file: str | None) -> list[tuple[str, str]]:
    if errors_file is None:
        return []
    with open(errors_file, encoding="utf-8-sig", newline="") as file:
        return [(row["poolctl_line"], row["poolctl_error"].partition(":")[0]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("seed", range(8))
def test_the_dry_run_of_a_random_file_equals_its_import(prepared: tuple[Terminal, World], seed: int) -> None:
    check(*prepared, seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(10))
def test_the_dry_runs_of_a_thousand_random_files_equal_their_imports(
    prepared: tuple[Terminal, World], part: int
) -> None:
    for seed in range(100 * part, 100 * part + 100):
        check(*prepared, 1_000 + seed)
