"""Processes that cannot outlive the one that started them, and folders that only one of them may use.

The process runs in a session of its own, so that Ctrl-C in a terminal reaches its starter first, which then stops it
in order. Knows nothing about engines.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

from tools.problems import Unusable

# The process lives while the starter's end of the pipe on standard input is open. A closed pipe, which is also what
# `kill -9` of the starter leaves behind, becomes a SIGTERM for the process.
WRAPPER = """
exec 3<&0
"$@" 3<&- </dev/null & process=$!
{ cat <&3 >/dev/null; kill "$process" 2>/dev/null; } & watch=$!
exec 3<&-
wait "$process"; status=$?
kill "$watch" 2>/dev/null
exit "$status"
"""

LOCK_WITHIN = 15.0  # seconds: a process whose starter was killed needs some time to write its data down


class Lifeline:
    """A running process, held until `release`."""

    def __init__(
        self, command: list[str], environment: dict[str, str], log: Path, lock: IO[bytes] | None = None
    ) -> None:
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", WRAPPER, "lifeline", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                # The process shares the lock, so the folder stays locked until it has really ended.
                pass_fds=[lock.fileno()] if lock else [],
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def release(self, within: float) -> None:
        """Let it stop in order, and kill what is left after `within` seconds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def lock_folder(folder: Path) -> IO[bytes]:
    """Make `folder` ours until the returned file, and every copy of it, is closed. Raises `Unusable`."""
    lock = (folder / "lock").open("wb")
    deadline = time.monotonic() + LOCK_WITHIN
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError:
            if time.monotonic() > deadline:
                lock.close()
                raise Unusable(f"another process is using the data in {folder}: stop it first") from None
            time.sleep(0.1)
