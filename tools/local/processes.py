"""Child processes that end with their parent, and locks on folders. Contains nothing about engines.

A child runs in its own session, so that Ctrl-C in a terminal reaches only the parent, which then stops the child.
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

# The child runs while the parent's end of the pipe on standard input is open. Once it is closed, also by `kill -9` of
# the parent, the child gets a SIGTERM.
WRAPPER = """
exec 3<&0
"$@" 3<&- </dev/null & process=$!
{ cat <&3 >/dev/null; kill "$process" 2>/dev/null; } & watch=$!
exec 3<&-
wait "$process"; status=$?
kill "$watch" 2>/dev/null
exit "$status"
"""

LOCK_WITHIN = 15.0  # seconds: an engine whose parent was killed needs some time to save its data


class Lifeline:
    """A child process, running until `release`."""

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
                # The child inherits the lock, so the folder stays locked until the child has ended.
                pass_fds=[lock.fileno()] if lock else [],
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def release(self, within: float) -> None:
        """Stop the child with SIGTERM, and kill it after `within` seconds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def lock_folder(folder: Path) -> IO[bytes]:
    """Lock `folder` until the returned file and all inherited copies are closed. Raises `Unusable`."""
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
