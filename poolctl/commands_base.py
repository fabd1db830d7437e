"""Declare commands with click, their shared options, and help texts from `messages`.

The help of a command is `help.<command>`; that of an option is `help.<command>.<name>`, or `help.<name>` if shared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from poolctl.exits import CommandFailed, Exit
from poolctl.messages import LANGUAGES, has_message, message
from poolctl.session import ID_PATTERN, Session

COMMANDS: list[click.Command] = []
BATCH = 100  # customers or rows that one request may name
F = TypeVar("F", bound=Callable[..., Any])


class _Formatter(click.HelpFormatter):
    """Write the headings of a help text in the user's language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{message('heading.Usage')} ")

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        with super().section(message(f"heading.{name}")):
            yield


class _Context(click.Context):
    formatter_class = _Formatter


class LocalizedCommand(click.Command):
    """A command with help in the user's language."""

    context_class = _Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # some errors of click name no command
            raise

    def get_short_help_str(self, limit: int = 45) -> str:
        return message(f"help.{self.name}").partition("\n")[0]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = message("help.help")
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.help = message(f"help.{self.name}")
        self.epilog = message("help.epilog")
        for param in self.params:
            if isinstance(param, click.Option):
                own = f"help.{self.name}.{param.name}"
                param.help = message(own if has_message(own) else f"help.{param.name}")
        super().format_help(ctx, formatter)


class LocalizedGroup(LocalizedCommand, click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a new user needs them."""
        return list(self.commands)


class Id(click.ParamType[str]):
    """An id as the service accepts it. Other text could change the path of a request."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(ID_PATTERN, str(value)) is None:
            self.fail(message("usage.id"), param, ctx)
        return str(value)


ID = Id()


class _Seconds(click.ParamType[float]):
    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not SHORTEST <= seconds <= LONGEST:  # also false for nan
            self.fail(message("usage.seconds", least=SHORTEST, most=LONGEST), param, ctx)
        return seconds


SHORTEST: Final = 0.1
LONGEST: Final = 86_400
SECONDS: Final = _Seconds()


def command(name: str, **settings: Any) -> Callable[[F], F]:
    """Return a decorator that registers a function, which takes the session first, as a command."""

    def register(function: F) -> F:
        COMMANDS.append(shared(click.command(name, cls=LocalizedCommand, **settings)(click.pass_obj(function))))
        return function

    return register


def shared(command: click.Command) -> click.Command:
    """Add the options that are valid before and after the command name; the later one wins.

    `--json` and `--lang` are read before parsing, so that usage errors have that form and language too.
    """
    command.params += [
        click.Option(["--pool", "-p", "pool_id"], type=ID, expose_value=False, callback=_store_option),
        click.Option(["--url"], expose_value=False, callback=_store_option),
        click.Option(["--json", "as_json"], is_flag=True, expose_value=False),
        click.Option(["--lang"], type=click.Choice(LANGUAGES), expose_value=False),
    ]
    return command


def _store_option(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    session = ctx.find_object(Session)
    if value is not None and session is not None and param.name is not None:
        setattr(session, param.name, value)


dry_run_option = click.option("--dry-run", is_flag=True)


# Customers


def ids_argument(*, required: bool = True) -> Callable[[F], F]:
    return click.argument("ids", nargs=-1, required=required, metavar="ID...")


def parse_customers(session: Session, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pool and id of each customer on the command line; `-` reads ids from standard input.

    Raises `CommandFailed` for an ambiguous pool, before anything is sent.
    """
    given = [text for each in ids for text in (_piped() if each == "-" else [each])]
    references = [_reference(each, session.pool_id) for each in given]
    bare = session.pool("several_pools_or_references") if any(pool is None for pool, _ in references) else ""
    return [(pool or bare, customer) for pool, customer in references]


def parse_customer(session: Session, text: str) -> tuple[str, str]:
    (reference,) = parse_customers(session, [text])
    return reference


def _piped() -> list[str]:
    return sys.stdin.read().removeprefix("\ufeff").split()


def _reference(text: str, pool_id: str | None) -> tuple[str | None, str]:
    """Parse `ID` or `POOL/ID`. An invalid id is sent anyway: the service refuses that customer alone."""
    pool, slash, customer = text.encode(errors="replace").decode().rpartition("/")
    if slash and not (customer and re.fullmatch(ID_PATTERN, pool)):
        raise CommandFailed(Exit.USAGE, "no_reference", id=ascii(text))
    if slash and pool_id not in (None, pool):
        raise CommandFailed(Exit.USAGE, "another_pool", id=text, pool=pool_id)
    return pool or None, customer
