"""Ctrl-C while something must not be left half said: the first lets the request under way end, the second does not."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any, Self

from poolctl.words import say


class Interruptible:
    """`asked` turns True at the first Ctrl-C; a second one is a KeyboardInterrupt as ever."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print(say("finishing"), file=sys.stderr, flush=True)
