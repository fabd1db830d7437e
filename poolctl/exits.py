"""Exit codes, and the exception that ends a command with one of them and one line of text. The codes are stable."""

from __future__ import annotations

from enum import IntEnum

from poolctl.messages import message
from poolctl.problems import Unusable


class Exit(IntEnum):
    """The exit codes documented in docs/poolctl.md."""

    DONE = 0
    REFUSED = 1  # all or some of it, by a rule of the pool or by the service
    USAGE = 2  # the command line itself
    UNREACHABLE = 3  # no response, or none in time
    NOT_SIGNED_IN = 4  # no token, or one that the service rejects
    FILE = 5  # a file that cannot be read, parsed or written
    DEFECT = 70  # an error in poolctl itself
    STOPPED = 130  # Ctrl-C


class CommandFailed(Unusable):
    """End the command with an exit code. `key` and `values` select the printed line from `messages`.

    `code` is for programs: the code from the service if there is one, else `key`.
    """

    def __init__(self, status: Exit, key: str, /, **values: object) -> None:
        super().__init__(message(key, **values))
        self.status, self.code = status, str(values.get("code", key))
