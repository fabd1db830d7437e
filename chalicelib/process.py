"""What a process is made of: the real table, the real clock, real randomness. Tests make their own of each."""

from __future__ import annotations

import random
import time
import uuid

from chalicelib.config import Config
from chalicelib.context import Backend
from chalicelib.shards import abreast
from chalicelib.table import Table


def clock() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def mint() -> str:
    """An id that nobody can guess."""
    return uuid.uuid4().hex


def table(settings: Config) -> Table:
    return Table(settings.table, mint=mint, jitter=random.random, endpoint=settings.endpoint, region=settings.region)


def backend(settings: Config) -> Backend:
    return Backend(table(settings), mint, random.sample, abreast)
