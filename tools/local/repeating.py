"""A job that runs periodically in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self


class Repeating:
    """Run `job` every `seconds`, inside a `with`. The job must not raise."""

    def __init__(self, job: Callable[[], object], seconds: float, name: str) -> None:
        self._job, self._seconds = job, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._job()
