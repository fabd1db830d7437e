"""The sentences of poolctl: complete in both languages, and all in use."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import click

from chalicelib.model.model import State
from chalicelib.model.reports import SweepReport
from poolctl import output, watch
from poolctl.cli import poolctl
from poolctl.columns import HEADINGS, folded
from poolctl.commands_base import COMMANDS, LocalizedCommand
from poolctl.exits import Exit
from poolctl.words import WORDS, language_of

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "poolctl").glob("*.py")}
CHINESE = re.compile("[\u4e00-\u9fff]")
SAME = {"as_told", "column.poolctl_line"}


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_poolctl_sentence_exists_in_both_languages_with_the_same_values() -> None:
    for key, said in WORDS.items():
        assert said.en and said.zh, key
        assert values_in(said.en) == values_in(said.zh), key
        assert not CHINESE.search(said.en), key
        assert CHINESE.search(said.zh) or key in SAME, key


def test_every_poolctl_command_and_option_has_help() -> None:
    for command in [poolctl, *COMMANDS]:
        assert isinstance(command, LocalizedCommand) and f"help.{command.name}" in WORDS
        for param in command.params:
            if isinstance(param, click.Option):
                assert {f"help.{command.name}.{param.name}", f"help.{param.name}"} & WORDS.keys(), param.name


def test_every_poolctl_sentence_exists_and_is_used() -> None:
    text = "\n".join(source for name, source in SOURCES.items() if not name.endswith("words.py"))
    used = set(re.findall(r'(?:message|CommandFailed)\(\s*(?:Exit\.\w+,\s*)?"([a-z_.]+)"', text))

    assert used - WORDS.keys() == set()
    for key in WORDS:
        assert key.startswith(("help.", "column.", "state.", "sweep.", "heading.", "file.")) or f'"{key}"' in text, key


def test_every_name_of_the_service_has_a_poolctl_sentence() -> None:
    counts = set(SweepReport.__struct_fields__) - {"unconfirmed"}

    assert {key for key in WORDS if key.startswith("sweep.")} == {f"sweep.{name}" for name in counts}
    assert {key for key in WORDS if key.startswith("state.")} == {f"state.{name}" for name in get_args(State)}
    for name in {*output.CUSTOMER.names, *output.RESULT.names, *watch.EVENT.names}:
        assert f"column.{name}" in WORDS


def test_the_locale_decides_unless_the_command_line_does() -> None:
    assert language_of([], {"LANG": "zh_CN.UTF-8"}) == "zh"
    assert language_of([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}) == "en"
    assert language_of(["pools", "--lang=zh"], {}) == "zh"
    assert language_of([], {}) == "en"


# The page


PAGE = (Path(__file__).parents[2] / "docs" / "poolctl.md").read_text(encoding="utf-8")


def test_the_poolctl_page_has_every_command_and_exit_code() -> None:
    rows = re.findall(r"^\| `([a-z]+)[ `]", PAGE, re.MULTILINE)
    codes = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)

    assert [command.name for command in COMMANDS if command.name not in rows] == []
    assert [int(code) for code in codes] == sorted(Exit)


def test_the_poolctl_page_has_every_known_heading() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    named = {field: {folded(each) for each in f"{zh}, {en}".split(", ")} for field, zh, en in rows}

    for field, headings in HEADINGS.items():
        assert named[field] == {folded(each) for each in headings}, field
