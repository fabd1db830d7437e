"""The entry point of poolctl. Collects the commands and turns each failure into one line and an exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from chalicelib import __version__
from poolctl import (
    change_log,
    customers,
    exports,
    import_list,
    imports,
    leaving,
    login,
    maintenance,
    messages,
    policies,
    suppression,
    usage,
    users,
    verbs,
    watch,
    wins,
)
from poolctl.client import Refused, Unreachable
from poolctl.commands_base import COMMANDS, LocalizedGroup, shared
from poolctl.exits import CommandFailed, Exit
from poolctl.messages import message
from poolctl.output import printable
from poolctl.session import Session

MODULES = (
    login,
    verbs,
    customers,
    wins,
    suppression,
    imports,
    import_list,
    exports,
    policies,
    change_log,
    maintenance,
    users,
    leaving,
    watch,
)  # each import registers its commands


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"poolctl {__version__}")
        ctx.exit()


poolctl = shared(LocalizedGroup("poolctl", commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}))
poolctl.params.append(click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version))


def main(arguments: Sequence[str]) -> int:
    """Run one command. Return the exit code; raises only with POOLCTL_DEBUG."""
    messages.set_language(messages.language_of(arguments, os.environ))
    _open_streams()
    session = Session(json="--json" in messages.before_dashes(arguments), language=messages.language())
    try:
        status = _run(list(arguments) or ["--help"], session)
        sys.stdout.flush()
        return status
    except BaseException as error:
        return _failed(session, error, debug=bool(os.environ.get("POOLCTL_DEBUG")))


def _run(arguments: list[str], session: Session) -> int:
    """Run without `click.Command.main`, which prints its own line at Ctrl-C."""
    try:
        with poolctl.make_context("poolctl", arguments, obj=session) as context:
            return int(poolctl.invoke(context) or 0)
    except click.exceptions.Exit as end:  # after a help text
        return end.exit_code


def _open_streams() -> None:
    """Replace closed standard streams, and keep text that cannot be encoded or decoded from raising."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)


def _failed(session: Session, error: BaseException, *, debug: bool) -> int:
    if debug:
        raise error
    if isinstance(error, BrokenPipeError):
        # The reader has closed the pipe. Python would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.DONE
    reason = _reason(session, error)
    line = printable(" ".join(str(reason).split()))  # it may quote the content of a file
    report = {"code": reason.code, "detail": line, "exit": int(reason.status)}
    try:
        print(json.dumps(report, ensure_ascii=False) if session.json else line, file=sys.stderr, flush=True)
    except OSError:  # standard error is closed too
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return reason.status


def _reason(session: Session, error: BaseException) -> CommandFailed:
    match error:
        case CommandFailed():
            reason = error
        case Refused() | Unreachable():
            reason = session.failure(error)
        case click.Abort() | KeyboardInterrupt():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ignore further Ctrl-C during the exit
            reason = CommandFailed(Exit.STOPPED, "stopped")
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "poolctl"
            reason = CommandFailed(Exit.USAGE, "usage", error=usage.describe(error), command=command)
        case OSError():
            reason = _file_error(error)
        case _:
            reason = CommandFailed(Exit.DEFECT, "defect", kind=type(error).__name__)
    return reason


def _file_error(error: OSError) -> CommandFailed:
    file = error.filename or message("output")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return CommandFailed(Exit.FILE, "disk_full", file=file)
    key = f"file.{errno.errorcode.get(error.errno or 0)}"
    why = message(key) if messages.has_message(key) else error.strerror or type(error).__name__
    return CommandFailed(Exit.FILE, "file", file=file, why=why)


def run() -> Any:
    status = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        # Reported already. Python would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
