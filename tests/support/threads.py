"""Threads that start at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from chalicelib import services
from chalicelib.model.struct_types import prepare_structs

T = TypeVar("T")


def at_once(jobs: Iterable[Callable[[], T]]) -> list[T]:
    """Run all jobs in threads that start together; return their results in order."""
    services.import_all()
    prepare_structs()
    waiting = list(jobs)
    barrier = Barrier(len(waiting))

    def start(job: Callable[[], T]) -> T:
        barrier.wait()
        return job()

    with ThreadPoolExecutor(len(waiting)) as pool:
        return list(pool.map(start, waiting))
