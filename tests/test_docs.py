"""The pages in docs/ name what exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = 26
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def rows() -> list[tuple[int, list[str], list[str]]]:
    """Rule, code and tests of each row of docs/rules.md."""
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    return [(int(rule), quoted(code), quoted(tests)) for rule, code, tests in ROW.findall(page)]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def known_tests() -> set[str]:
    files = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    return {name for text in files for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


def test_every_rule_has_its_row_and_a_test_named_after_it() -> None:
    by_rule = {rule: tests for rule, _, tests in rows()}

    assert sorted(by_rule) == list(range(1, RULES + 1))
    for rule, tests in by_rule.items():
        assert tests[0].startswith(f"test_rule_{rule}_"), rule


def test_every_test_that_is_named_exists() -> None:
    named = {test for _, _, tests in rows() for test in tests}

    assert named - known_tests() == set()


def test_every_function_that_is_named_exists() -> None:
    for rule, code, _ in rows():
        for name in code:
            if "." in name:
                module, _, attribute = name.partition(".")
                assert hasattr(importlib.import_module(f"chalicelib.{module}"), attribute), f"rule {rule}: {name}"


def guarantees() -> list[tuple[str, list[str]]]:
    """Promise and tests of each row of docs/guarantees.md."""
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    return [
        (cells[0].strip(), quoted(cells[-1])) for cells in re.findall(r"^\|(.+)\|(.+)\|(.*)\|$", page, re.MULTILINE)
    ]


def test_every_invariant_has_its_row_and_tests_that_prove_it() -> None:
    proven = dict(guarantees())

    assert [promise for promise in proven if re.fullmatch(r"I\d+", promise)] == [f"I{n}" for n in range(1, 11)]
    assert all(proven[f"I{number}"] for number in range(1, 11))


def test_every_test_that_a_guarantee_names_exists() -> None:
    named = {test for _, tests in guarantees() for test in tests}

    assert named - known_tests() == set()
    assert len(named) > 40
