"""The messages of poolctl: complete in both languages, and all in use."""

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
from poolctl.commands_base import COMMANDS, LocalizedCommand
from poolctl.exits import Exit
from poolctl.messages import language_of, messages

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "poolctl").glob("*.py")}
CHINESE = re.compile("[\u4e00-\u9fff]")
SAME = {"local_token"}
KEYS = messages("en").keys()


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_poolctl_message_exists_in_both_languages_with_the_same_values() -> None:
    english, chinese = messages("en"), messages("zh")

    assert list(english) == list(chinese)
    for key, text in english.items():
        assert text and chinese[key], key
        assert values_in(text) == values_in(chinese[key]), key
        assert not CHINESE.search(text), key
        assert CHINESE.search(chinese[key]) or key in SAME, key


def test_every_poolctl_command_and_option_has_help() -> None:
    for command in [poolctl, *COMMANDS]:
        assert isinstance(command, LocalizedCommand) and f"help.{command.name}" in KEYS
        for param in command.params:
            if isinstance(param, click.Option):
                assert {f"help.{command.name}.{param.name}", f"help.{param.name}"} & KEYS, param.name


def test_every_poolctl_message_exists_and_is_used() -> None:
    text = "\n".join(SOURCES.values())
    used = set(re.findall(r'(?:message|CommandFailed)\(\s*(?:Exit\.\w+,\s*)?"([a-z_.]+)"', text))

    assert used - KEYS == set()
    for key in KEYS:
        assert key.startswith(("help.", "column.", "state.", "sweep.", "heading.", "file.")) or f'"{key}"' in text, key


def test_every_name_of_the_service_has_a_poolctl_message() -> None:
    counts = set(SweepReport.__struct_fields__) - {"unconfirmed"}

    assert {key for key in KEYS if key.startswith("sweep.")} == {f"sweep.{name}" for name in counts}
    assert {key for key in KEYS if key.startswith("state.")} == {f"state.{name}" for name in get_args(State)}
    for name in {*output.CUSTOMER.names, *output.RESULT.names, *watch.EVENT.names}:
        assert f"column.{name}" in KEYS


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
