"""How commands are declared: click, with the options that all share and every help text from `words`.

A command's help is `help.<command>`, that of an option or argument `help.<command>.<name>` or, where it is the same for
several, `help.<name>`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from poolctl.exits import Ended, Exit
from poolctl.session import ID_PATTERN, Session
from poolctl.words import LANGUAGES, WORDS, say

COMMANDS: list[click.Command] = []
BATCH = 100  # customers or rows that one request may name
F = TypeVar("F", bound=Callable[..., Any])


class _Formatter(click.HelpFormatter):
    """Writes the headings of a help text in the language of the reader."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{say('heading.Usage')} ")

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        with super().section(say(f"heading.{name}")):
            yield


class _Context(click.Context):
    formatter_class = _Formatter


class Told(click.Command):
    """A command whose help is in the language of the reader."""

    context_class = _Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click names no command with some of its errors
            raise

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
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a person meets them."""
        return list(self.commands)


class Id(click.ParamType[str]):
    """An id as the service accepts it; any other text could name another address."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(ID_PATTERN, str(value)) is None:
            self.fail(say("usage.id"), param, ctx)
        return str(value)


ID = Id()


def command(name: str, **settings: Any) -> Callable[[F], F]:
    """Makes a command of a function that takes the session first."""

    def made(function: F) -> F:
        COMMANDS.append(shared(click.command(name, cls=Told, **settings)(click.pass_obj(function))))
        return function

    return made


def shared(asked: click.Command) -> click.Command:
    """Adds the options that may stand before the command and after it; the later one applies. `--json` and `--lang` are
    read before all parsing, so that an error on the command line has that form and language too."""
    asked.params += [
        click.Option(["--pool", "-p", "pool_id"], type=ID, expose_value=False, callback=_kept),
        click.Option(["--url"], expose_value=False, callback=_kept),
        click.Option(["--json", "as_json"], is_flag=True, expose_value=False),
        click.Option(["--lang"], type=click.Choice(LANGUAGES), expose_value=False),
    ]
    return asked


def _kept(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    session = ctx.find_object(Session)
    if value is not None and session is not None and param.name is not None:
        setattr(session, param.name, value)


dry_run_option = click.option("--dry-run", is_flag=True)


# Customers


def ids_argument(*, required: bool = True) -> Callable[[F], F]:
    return click.argument("ids", nargs=-1, required=required, metavar="ID...")


def named(session: Session, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Pool and id of each customer named on the command line; `-` stands for those on standard input.

    Raises `Ended` where a pool cannot be told, before anything is sent.
    """
    given = [text for each in ids for text in (_piped() if each == "-" else [each])]
    references = [_reference(each, session.pool_id) for each in given]
    bare = session.pool("say_which_pools") if any(pool is None for pool, _ in references) else ""
    return [(pool or bare, customer) for pool, customer in references]


def one_named(session: Session, text: str) -> tuple[str, str]:
    (reference,) = named(session, [text])
    return reference


def _piped() -> list[str]:
    return sys.stdin.read().removeprefix("\ufeff").split()


def _reference(text: str, pool_id: str | None) -> tuple[str | None, str]:
    """`ID` or `POOL/ID`. What is no id is sent all the same: the service refuses that customer alone."""
    pool, slash, customer = text.encode(errors="replace").decode().rpartition("/")
    if slash and not (customer and re.fullmatch(ID_PATTERN, pool)):
        raise Ended(Exit.USAGE, "no_reference", id=ascii(text))
    if slash and pool_id not in (None, pool):
        raise Ended(Exit.USAGE, "another_pool", id=text, pool=pool_id)
    return pool or None, customer
