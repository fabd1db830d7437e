"""Describe usage errors in one sentence in the user's language. click has them in English only."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from poolctl.messages import message


def describe(error: click.UsageError) -> str:
    """Return the error as one sentence."""
    match error:
        case click.NoSuchCommand():
            text = _with_similar(message("usage.unknown_command", name=error.command_name), error.possibilities)
        case click.NoSuchOption():
            text = _with_similar(message("usage.unknown_option", name=error.option_name), error.possibilities)
        case click.BadOptionUsage():
            # click raises the same exception for both mistakes.
            takes_none = "does not take" in error.message
            text = message("usage.takes_no_value" if takes_none else "usage.needs_value", name=error.option_name)
        case click.MissingParameter():
            text = message("usage.missing", name=_name(error))
        case click.BadParameter():
            text = message("usage.value", name=_name(error), why=_reason(error))
        case _:
            text = _generic_error(error)
    return text


def _generic_error(error: click.UsageError) -> str:
    if error.message == "Missing command.":
        return message("usage.no_command")
    if extra := re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", error.message, re.DOTALL):
        return message("usage.unexpected", name=extra[1])
    return error.format_message()


def _with_similar(text: str, names: Sequence[str] | None) -> str:
    return text + message("usage.similar", names=", ".join(names)) if names else text


def _name(error: click.BadParameter) -> str:
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    return "" if error.param is None else error.param.human_readable_name.removesuffix("...")


def _reason(error: click.BadParameter) -> str:
    kind = None if error.param is None else error.param.type
    if isinstance(kind, click.Choice):
        return message("usage.choice", choices=", ".join(map(str, kind.choices)))
    if isinstance(kind, click.IntRange):
        return _range(kind)
    return error.message


def _range(kind: click.IntRange) -> str:
    if kind.min is None:
        return message("usage.number")
    if kind.max is None:
        return message("usage.number_from", least=kind.min)
    return message("usage.number_between", least=kind.min, most=kind.max)
