"""How a tool gives up: one line that says what is wrong and what to do, and an exit code. Never a traceback."""

from __future__ import annotations  # read by old Pythons too, to be told that they are

import sys
from collections.abc import Callable
from typing import NoReturn


class Unusable(Exception):
    """Something a person has to put right before the tool can work; its text is the one line they see."""


def fail(message: str, status: int = 1) -> NoReturn:
    """Say `message` on standard error and end the process with `status`."""
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
