"""The production dependencies: table, clock, ids and randomness. Tests pass their own."""

from __future__ import annotations

import random
import time
import uuid

from chalicelib.config import Config
from chalicelib.dynamodb.sharded_query import run_concurrently
from chalicelib.dynamodb.table import Table
from chalicelib.transactions.context import Backend


def clock() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a random id that cannot be guessed."""
    return uuid.uuid4().hex


def table(settings: Config) -> Table:
    return Table(
        settings.table, new_id=new_id, jitter=random.random, endpoint=settings.endpoint, region=settings.region
    )


def backend(settings: Config) -> Backend:
    return Backend(table(settings), new_id, random.sample, run_concurrently)
