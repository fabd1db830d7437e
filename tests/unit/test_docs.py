"""The pages are correct: every link, anchor, file, target, function and test they name exists."""

from __future__ import annotations

import importlib
import importlib.util
import re
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from chalicelib.api.console import words
from tests.support.pages import ROOT, anchors, blocks, headings, links, pages, prose, quoted, slug, tables, text_of

RULES = 26
CONSOLE_COLUMNS = ("subject", "主题", "where", "位置", "words", "按钮与名称")
INVARIANTS = 12
HOMES = (
    "",
    "chalicelib/",
    "poolctl/",
    "tools/",
    "tools/local/",
    "tools/deploy/",
    "tools/docs/",
    "tests/",
    "tests/e2e/",
    "tests/http/",
    "tests/unit/",
    "tests/proofs/",
    "tests/support/",
    "docs/",
    "benchmarks/",
    ".chalice/",
)
every_page = pytest.mark.parametrize("page", pages())


@cache
def known_tests() -> set[str]:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in files for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


@cache
def our_code() -> str:
    homes = ("chalicelib", "poolctl", "tools", "tests", "benchmarks")
    return "\n".join(path.read_text(encoding="utf-8") for home in homes for path in (ROOT / home).rglob("*.py"))


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", text_of("Makefile"), re.MULTILINE))


def code_of(page: str) -> str:
    """Everything on it that is set as code."""
    return "\n".join([*quoted(prose(page)), *(block.text for block in blocks(page))])


# Every page


@every_page
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: str) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(str(target.resolve().relative_to(ROOT))), f"{page}: {link}"


@every_page
def test_every_make_target_on_a_page_exists(page: str) -> None:
    named = re.findall(r"\bmake (?:-\w+ )*([a-z][a-z0-9-]*)", code_of(page))

    assert set(named) - targets() == set()


@every_page
def test_every_test_on_a_page_exists(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.])test_\w+(?!\.py)\b", code_of(page)))

    assert named - known_tests() == set()


@every_page
def test_every_file_on_a_page_exists(page: str) -> None:
    file = re.compile(r"[\w.-][\w./-]*\.(py|md|toml|json|svg|sh|txt)")
    named = {each for each in quoted(prose(page)) if file.fullmatch(each)}
    made = {each for each in named if each.startswith(("build/", ".local/"))} | {"sales_pipeline.csv"}

    missing = [each for each in named - made if not any((ROOT / home / each).exists() for home in HOMES)]
    assert missing == []


@every_page
def test_every_code_name_on_a_page_exists(page: str) -> None:
    """`module.thing` of the service, and what begins with an underscore or is written in capitals, wherever it is."""
    packages = {path.stem for path in (ROOT / "chalicelib").iterdir()}

    for name in quoted(prose(page)):
        if re.fullmatch(r"[a-z_]+(\.[A-Za-z_]\w*)+", name) and name.partition(".")[0] in packages:
            assert is_there(name) or name.endswith((".py", ".md", ".json")), f"{page}: {name}"
        if re.fullmatch(r"_[a-z_]+|[A-Z]+_[A-Z_]+", name):
            assert re.search(rf"\b{name}\b", our_code()), f"{page}: {name}"


def test_heading_anchors_match_those_of_github() -> None:
    assert slug("What is proven, and how") == "what-is-proven-and-how"
    assert slug("The `audit` of 公海 (rule 26)") == "the-audit-of-公海-rule-26"


# The rules and the guarantees


def rows() -> list[tuple[int, list[str], list[str]]]:
    """Rule, code and tests of each row of docs/rules.md."""
    return [
        (int(rule), quoted(code), quoted(tests))
        for rule, _, code, tests in (row for table in tables("docs/rules.md") for row in table)
    ]


def test_every_rule_has_its_row_and_a_test_named_after_it() -> None:
    by_rule = {rule: tests for rule, _, tests in rows()}

    assert sorted(by_rule)[:RULES] == list(range(1, RULES + 1))
    assert len(by_rule) == len(rows())
    for rule, tests in by_rule.items():
        assert tests[0].startswith(f"test_rule_{rule}_"), rule


def test_every_function_that_a_rule_names_exists() -> None:
    for rule, code, _ in rows():
        assert [name for name in code if "." in name and not is_there(name)] == [], rule


def is_there(name: str) -> bool:
    """Return whether `package.module.thing`, or a part of a thing, exists in the service."""
    found: Any = importlib.import_module("chalicelib")
    path = "chalicelib"
    for part in name.split("."):
        path = f"{path}.{part}"
        if isinstance(found, ModuleType) and not hasattr(found, part) and importlib.util.find_spec(path) is not None:
            found = importlib.import_module(path)
        else:
            found = getattr(found, part, None)
    return found is not None


def test_every_term_of_the_glossary_is_used_in_the_code() -> None:
    terms = [row for table in tables("docs/glossary.md") for row in table]

    assert len(terms) > 40
    for english, chinese, *meanings, home in terms:
        assert english.isascii() and not chinese.isascii() and all(meanings), english
        assert is_there(quoted(home)[0]), f"{english}: {home}"


def test_every_subject_of_the_console_has_its_place_and_its_words_in_both_languages() -> None:
    english, chinese = words("en"), words("zh")
    pairs = [(english[key], chinese[key]) for key in english]
    of_several = [tuple(text["verb.ticked"].replace("{verb}", text[verb]) for text in (english, chinese))
                  for verb in english if re.fullmatch(r"verb\.[a-z]+", verb)]  # fmt: skip

    [subjects] = [table for table in tables("docs/console.md") if len(table[0]) == len(CONSOLE_COLUMNS)]

    for subject, _, place, where, *named in subjects:
        assert (place, where) in [(english[key], chinese[key]) for key in english if key.startswith("view.")], subject
        found = list(zip(named[0].split(", "), named[1].split("、"), strict=True))
        assert found and all(each in [*pairs, *of_several] for each in found), subject
    assert len(subjects) == 25


def test_every_invariant_has_its_row_and_tests_that_prove_it() -> None:
    proven = {row[0]: quoted(row[-1]) for table in tables("docs/guarantees.md") for row in table}

    invariants = [f"I{number}" for number in range(1, INVARIANTS + 1)]
    assert [name for name in proven if re.fullmatch(r"I\d+", name)] == invariants
    assert all(proven[name] for name in invariants)
    assert len({test for tests in proven.values() for test in tests}) > 40


# The README in two languages

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"


def test_the_readme_in_chinese_has_the_same_parts_blocks_and_links() -> None:
    def depths(page: str) -> list[int]:
        return [depth for depth, _ in headings(page)]

    def target_pool(page: str) -> list[str]:
        return sorted(link for link in links(page) if link not in (ENGLISH, CHINESE))

    def points(page: str) -> list[int]:
        """How many there are in each part."""
        return [
            len(re.findall(r"^- ", part, re.MULTILINE)) for part in re.split(r"^#+ ", prose(page), flags=re.MULTILINE)
        ]

    assert depths(CHINESE) == depths(ENGLISH)
    assert points(CHINESE) == points(ENGLISH)
    assert [(each.language, each.text) for each in blocks(CHINESE)] == [
        (each.language, each.text) for each in blocks(ENGLISH)
    ]
    assert target_pool(CHINESE) == target_pool(ENGLISH)


def test_the_readme_in_chinese_has_the_same_tables_with_the_same_commands_and_figures() -> None:
    def code_and_numbers(page: str) -> list[list[list[list[str]]]]:
        """Row by row what is set as code, and the numbers."""
        return [
            [[sorted(quoted(" ".join(row))), sorted(re.findall(r"\d(?:[\d,.]*\d)?", " ".join(row)))] for row in table]
            for table in tables(page)
        ]

    assert code_and_numbers(CHINESE) == code_and_numbers(ENGLISH)
