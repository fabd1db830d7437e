"""How a command ends: its exit codes, and the one line that goes with each failure. Programs may rely on the codes."""

from __future__ import annotations

from enum import IntEnum

from poolctl.words import say
from tools.problems import Unusable


class Exit(IntEnum):
    """What docs/poolctl.md promises."""

    DONE = 0
    REFUSED = 1  # by a rule of the pool or by the service; all of it, or some
    USAGE = 2  # the command line itself
    UNREACHABLE = 3  # nobody answers, or not soon enough
    NOT_SIGNED_IN = 4  # no token, or one that the service does not take
    FILE = 5  # a file that cannot be read, understood or written
    DEFECT = 70  # poolctl's own fault
    STOPPED = 130  # Ctrl-C


class Ended(Unusable):
    """The command ends with that exit code; `key` and `values` are the line that says why, in `words`; `code` is for
    programs: that of the service, where it has given one."""

    def __init__(self, status: Exit, key: str, /, **values: object) -> None:
        super().__init__(say(key, **values))
        self.status, self.code = status, str(values.get("code", key))
