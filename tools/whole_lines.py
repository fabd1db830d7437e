"""A text stream that writes each line, with its newline, in one write, also if many threads print.

`print` writes the text and the newline separately, and logging uses another lock, so lines of several threads would
mix. This stream collects a line for each thread, and all streams share one lock.
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
    """An unbuffered binary file. `write` may accept only a part of the data, or nothing for now: None."""

    def write(self, data: memoryview, /) -> int | None: ...

    def fileno(self) -> int: ...

    def isatty(self) -> bool: ...


class WholeLines(io.TextIOBase):
    """Collect text by thread and write complete lines. `flush` also writes an unfinished line."""

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
        """Write all of the text. Raise OSError if the file does not accept it."""
        rest = memoryview(text.encode(self.encoding, self.errors))
        with _WRITING:
            while rest:
                taken = self._raw.write(rest)
                if taken is None:  # another program has made the terminal or pipe non-blocking
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
