"""Fixtures: the same tests on two engines, moto in the process and MiniStack over HTTP."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from chalicelib.table import Table
from tests.audit import assert_sound
from tests.world import World
from tools.engines import MiniStack

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

_numbers = itertools.count(1)
_tokens = random.Random(11)  # one for the whole run: an engine remembers tokens for all of its tables


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """The address of an engine of its own, which keeps nothing."""
    with (
        tempfile.TemporaryDirectory() as folder,
        MiniStack(port=0, state_dir=Path(folder), persistent=False) as engine,
    ):
        yield engine.endpoint


def new_table(endpoint: str | None) -> Table:
    table = Table(
        f"pool-{next(_numbers)}",
        mint=lambda: f"{_tokens.getrandbits(128):032x}",
        jitter=_tokens.random,
        wait=lambda seconds: time.sleep(seconds / 20),
        endpoint=endpoint,
        region="us-east-1",
    )
    table.create()
    return table


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.ministack)])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """An empty table on each engine in turn."""
    if request.param == "moto":
        with mock_aws():
            yield new_table(None)
    else:
        made = new_table(request.getfixturevalue("ministack"))
        yield made
        made.connection.client.delete_table(TableName=made.name)


@pytest.fixture
def real_table(ministack: str) -> Table:
    """An empty table on the engine that compares as DynamoDB does; moto fails on a string against a number."""
    return new_table(ministack)


@pytest.fixture
def world(table: Table) -> Iterator[World]:
    """A world whose invariants are checked when the test is over, whatever it did."""
    made = World(table)
    yield made
    assert_sound(table, statistics=not made.forged)


@pytest.fixture
def threaded(ministack: str) -> Iterator[World]:
    """A world on the engine that stands real threads."""
    made = World(new_table(ministack))
    yield made
    assert_sound(made.table, statistics=not made.forged)
