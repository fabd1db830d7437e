"""How commands are declared: click, with the options that all share and every help text from `words`.

A command's help is `help.<command>`, that of an option or argument `help.<command>.<name>` or, where it is the same for
several, `help.<name>`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from tools.poolctl.session import Session
from tools.poolctl.words import LANGUAGES, WORDS, say

COMMANDS: list[click.Command] = []
BATCH = 100  # customers or rows that one request may name
F = TypeVar("F", bound=Callable[..., Any])


class Told(click.Command):
    """A command whose help is in the language of the person who asks."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return say(f"help.{self.name}").partition("\n")[0]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        asked = super().get_help_option(ctx)
        if asked is not None:
            asked.help = say("help.help")
        return asked

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.help = say(f"help.{self.name}")
        self.epilog = say("help.epilog")
        for param in self.params:
            if isinstance(param, click.Option):
                own = f"help.{self.name}.{param.name}"
                param.help = say(own if own in WORDS else f"help.{param.name}")
        super().format_help(ctx, formatter)


class ToldGroup(Told, click.Group):
    pass


class Id(click.ParamType[str]):
    """What the service takes for an id; anything else could name another address."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"[0-9A-Za-z_-]{1,64}", str(value)) is None:
            self.fail(say("no_id", id=ascii(value)), param, ctx)
        return str(value)


ID = Id()


def command(name: str, **settings: Any) -> Callable[[F], F]:
    """Makes a command of a function that takes the session first."""

    def made(function: F) -> F:
        COMMANDS.append(shared(click.command(name, cls=Told, **settings)(click.pass_obj(function))))
        return function

    return made


def shared(asked: click.Command) -> click.Command:
    """Adds the options that may stand anywhere. `--json` and `--lang` are looked up before all parsing: a mistake on
    the command line is told in that form and language too."""
    asked.params += [
        click.Option(["--json", "as_json"], is_flag=True, expose_value=False),
        click.Option(["--lang"], type=click.Choice(LANGUAGES), expose_value=False),
        click.Option(["--url"], expose_value=False, callback=_at),
    ]
    return asked


def _at(ctx: click.Context, param: click.Parameter, url: str | None) -> None:
    session = ctx.find_object(Session)
    if url is not None and session is not None:
        session.url = url


pool_option = click.option("--pool", "-p", type=ID, envvar="POOLCTL_POOL")
dry_run_option = click.option("--dry-run", is_flag=True)
ids_argument = click.argument("ids", nargs=-1, required=True)


def named(ids: Sequence[str]) -> list[str]:
    """The ids of the command line; `-` stands for those on standard input."""
    found = list[str]()
    for each in ids:
        found += sys.stdin.read().split() if each == "-" else [each]
    return found
