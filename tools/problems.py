"""How a tool ends on an error: one line with the cause and the remedy, and an exit code. Never a traceback."""

from __future__ import annotations  # old Pythons read this too, to be reported as too old

import sys
from collections.abc import Callable
from typing import NoReturn


class Unusable(Exception):
    """A problem that a person has to solve before the tool can run; its text is the one line that is printed."""


def fail(message: str, status: int = 1) -> NoReturn:
    """Print `message` on standard error and end the process with `status`."""
    print(message, file=sys.stderr)
    raise SystemExit(status)


def run_tool(main: Callable[[], int]) -> NoReturn:
    """Run a command-line tool, turning `Unusable` into one line and Ctrl-C into a quiet end."""
    try:
        status = main()
    except Unusable as problem:
        fail(str(problem))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(status)
