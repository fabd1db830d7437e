"""A text stream that writes whole lines: each with one write, its end included, however many threads print.

`print` writes its text and the end of the line one after the other, and logging has a lock of its own, so lines of
several threads would be joined. Here each thread collects its line, and streams that share a file share a lock.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from typing import Final, Protocol

_WRITING: Final = threading.Lock()  # of all streams: standard output and standard error are often the same file


class Raw(Protocol):
    """An unbuffered binary file. `write` may take less than it is given, and None means: nothing, for now."""

    def write(self, data: memoryview, /) -> int | None: ...

    def fileno(self) -> int: ...

    def isatty(self) -> bool: ...


class WholeLines(io.TextIOBase):
    """Collects text by thread and writes what ends with a newline. `flush` also writes an unfinished line."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._own = threading.local()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def write(self, text: str, /) -> int:
        whole, end, rest = (self._unfinished() + text).rpartition("\n")
        self._own.text = rest
        self._write(whole + end)
        return len(text)

    def flush(self) -> None:
        text, self._own.text = self._unfinished(), ""
        self._write(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def _unfinished(self) -> str:
        text: str = getattr(self._own, "text", "")
        return text

    def _write(self, text: str) -> None:
        """Raises OSError where the file takes no more."""
        rest = memoryview(text.encode(self.encoding, self.errors))
        with _WRITING:
            while rest:
                taken = self._raw.write(rest)
                if taken is None:  # somebody has made the terminal or pipe non-blocking
                    select.select([], [self._raw.fileno()], [])
                else:
                    rest = rest[taken:]


def write_whole_lines() -> None:
    """Make standard output and standard error of this process such streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout, sys.stderr = _stream(1), _stream(2)


def _stream(descriptor: int) -> WholeLines:
    return WholeLines(io.FileIO(os.dup(descriptor), "w"))
