"""All of poolctl: its commands, and how each failure becomes one line and an exit code, never a traceback."""

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
from poolctl import exports, imports, login, maintenance, policies, usage, verbs, watch, words
from poolctl.client import NotDone, Unreachable
from poolctl.commands_base import COMMANDS, ToldGroup, shared
from poolctl.exits import Ended, Exit
from poolctl.output import shown
from poolctl.session import Session
from poolctl.words import say

MODULES = (
    login,
    verbs,
    imports,
    exports,
    policies,
    maintenance,
    watch,
)  # importing them has put their commands on the list


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"poolctl {__version__}")
        ctx.exit()


poolctl = shared(ToldGroup("poolctl", commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}))
poolctl.params.append(click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version))


def main(arguments: Sequence[str]) -> int:
    """One run; the exit code. Never raises."""
    words.speak(words.language_of(arguments, os.environ))
    _open_streams()
    session = Session(json="--json" in words.before_dashes(arguments), language=words.language())
    try:
        status = _run(list(arguments) or ["--help"], session)
        sys.stdout.flush()
        return status
    except BaseException as error:
        return _failed(session, error, debug=bool(os.environ.get("POOLCTL_DEBUG")))


def _run(arguments: list[str], session: Session) -> int:
    """Without `click.Command.main`, which writes a line of its own at Ctrl-C."""
    try:
        with poolctl.make_context("poolctl", arguments, obj=session) as context:
            return int(poolctl.invoke(context) or 0)
    except click.exceptions.Exit as end:  # after a help text
        return end.exit_code


def _open_streams() -> None:
    """Make every stream usable: one that the caller has closed, a terminal that cannot show every customer's name, and
    a standard input with bytes that are not text."""
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
        # Whoever read our output has read enough. Python would complain about it once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.DONE
    reason = _reason(session, error)
    line = shown(" ".join(str(reason).split()))  # it may quote a file, whatever that holds
    told = {"code": reason.code, "detail": line, "exit": int(reason.status)}
    try:
        print(json.dumps(told, ensure_ascii=False) if session.json else line, file=sys.stderr, flush=True)
    except OSError:  # nobody reads that either
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return reason.status


def _reason(session: Session, error: BaseException) -> Ended:
    match error:
        case Ended():
            reason = error
        case NotDone() | Unreachable():
            reason = session.ended(error)
        case click.Abort() | KeyboardInterrupt():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a third one would only disturb the end
            reason = Ended(Exit.STOPPED, "stopped")
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "poolctl"
            reason = Ended(Exit.USAGE, "usage", told=usage.told(error), command=command)
        case OSError():
            reason = _of_file(error)
        case _:
            reason = Ended(Exit.DEFECT, "defect", kind=type(error).__name__)
    return reason


def _of_file(error: OSError) -> Ended:
    file = error.filename or say("output")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Ended(Exit.FILE, "disk_full", file=file)
    key = f"file.{errno.errorcode.get(error.errno or 0)}"
    why = say(key) if key in words.WORDS else error.strerror or type(error).__name__
    return Ended(Exit.FILE, "file", file=file, why=why)


def run() -> Any:
    status = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        # It has been told already; what Python would say while it ends is a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
