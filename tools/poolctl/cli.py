"""The whole of poolctl: its commands, and how each failure becomes one line and an exit code, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from tools.client import NotDone, Unreachable
from tools.poolctl import exporting, importing, ruling, signing_in, upkeep, verbs, watching, words
from tools.poolctl.asking import COMMANDS, ToldGroup, shared
from tools.poolctl.exits import Ended, Exit
from tools.poolctl.session import Session, ended
from tools.poolctl.showing import shown
from tools.poolctl.words import say

MODULES = (
    signing_in,
    verbs,
    importing,
    exporting,
    ruling,
    upkeep,
    watching,
)  # importing them has put their commands on the list

poolctl = shared(ToldGroup("poolctl", commands=COMMANDS, no_args_is_help=True))


def main(arguments: Sequence[str]) -> int:
    """One run; the exit code. Never raises."""
    words.speak(words.language_of(arguments, os.environ))
    for stream in (sys.stdout, sys.stderr):
        # A terminal may know fewer signs than customers have in their names.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    session = Session(json="--json" in arguments, language=words.language())
    try:
        status = poolctl.main(list(arguments), "poolctl", standalone_mode=False, obj=session)
        sys.stdout.flush()
        return int(status or 0)
    except BaseException as error:
        return _failed(session, error, debug=bool(os.environ.get("POOLCTL_DEBUG")))


def _failed(session: Session, error: BaseException, *, debug: bool) -> int:
    if debug:
        raise error
    if isinstance(error, BrokenPipeError | SystemExit):  # the second is what click makes of the first
        # Whoever read our output has read enough. Python would complain about it once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.DONE
    reason = _reason(session, error)
    line = shown(" ".join(str(reason).split()))  # it may quote a file, whatever that holds
    told = {"code": reason.code, "detail": line, "exit": int(reason.status)}
    print(json.dumps(told, ensure_ascii=False) if session.json else line, file=sys.stderr)
    return reason.status


def _reason(session: Session, error: BaseException) -> Ended:
    match error:
        case Ended():
            reason = error
        case NotDone() | Unreachable():
            reason = ended(error, session.address)
        case click.Abort() | KeyboardInterrupt():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a third one would only disturb the end
            reason = Ended(Exit.STOPPED, "stopped")
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "poolctl"
            reason = Ended(Exit.USAGE, "usage", told=error.format_message(), command=command)
        case OSError():
            reason = _of_file(error)
        case _:
            reason = Ended(Exit.DEFECT, "defect", kind=type(error).__name__)
    return reason


def _of_file(error: OSError) -> Ended:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Ended(Exit.FILE, "disk_full", file=error.filename or say("output"))
    return Ended(Exit.FILE, "file", file=error.filename or say("output"), why=error.strerror or type(error).__name__)


def run() -> Any:
    status = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        # It has been told already; what Python would say while it ends is a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
