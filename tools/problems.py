"""End a tool on an error with an exit code and one line: the cause and the remedy, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from poolctl.problems import Unusable

__all__ = ["Unusable", "fail", "run_tool"]


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
