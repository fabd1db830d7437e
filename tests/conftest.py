"""Fixtures: the same tests on two engines, one in memory and MiniStack over HTTP.

`--memory` selects the tests that need neither MiniStack nor moto.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import botocore.session
import pytest
from moto import mock_aws

from chalicelib.dynamodb.table import Table
from tests.support.audit import assert_sound
from tests.support.canaries import LogCapture, captured_logs
from tests.support.memory import Memory, memory_table
from tests.support.tally import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown  # noqa: F401 (hooks)
from tests.support.world import NoStore, World
from tools.local.engines import MiniStack

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

OTHER_ENGINES = {"ministack", "moto", "moto_world"}  # marks and fixtures
_numbers = itertools.count(1)
_tokens = random.Random(11)  # one for each process: its engine remembers the tokens of all tables
_session = botocore.session.get_session()  # shared: reading the description of DynamoDB is slow


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogCapture]:
    """Capture the logs of every test, which fails if they contain a secret (I10)."""
    with captured_logs() as capture:
        yield capture


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """Return the address of a separate engine that persists nothing."""
    with MiniStack() as engine:
        yield engine.endpoint


def new_table(endpoint: str | None, *, stream: bool = False, session: Any = None) -> Table:
    table = Table(
        f"pool-{next(_numbers)}",
        new_id=lambda: f"{_tokens.getrandbits(128):032x}",
        jitter=_tokens.random,
        wait=lambda seconds: time.sleep(seconds / 20),
        endpoint=endpoint,
        region="us-east-1",
    )
    table.connection.session = session or _session  # its clients share only that description
    table.create(expiry=False, stream=stream)  # the clock of the tests is not the real one
    return table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--memory", action="store_true", help="run only what the engine in memory can run: quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--memory"):
        needs_engine = [item for item in items if OTHER_ENGINES & {*item.keywords, *getattr(item, "fixturenames", ())}]
        config.hook.pytest_deselected(items=needs_engine)
        items[:] = [item for item in items if item not in needs_engine]


class InMemory(Memory):
    """The engine in memory for tests of any engine. A test that needs what only a client has is skipped."""

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip(f"the engine in memory has no {name}")


@contextmanager
def moto_table() -> Iterator[Table]:
    with mock_aws():
        yield new_table(None)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("ministack", marks=pytest.mark.ministack),
        pytest.param("moto", marks=[pytest.mark.moto, pytest.mark.exhaustive]),
    ]
)
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """Return an empty table on each engine in turn; on moto too if all cases run."""
    if request.param == "memory":
        yield memory_table(InMemory())
    elif request.param == "moto":
        with moto_table() as made:
            yield made
    else:
        made = new_table(request.getfixturevalue("ministack"))
        yield made
        made.connection.client.delete_table(TableName=made.name)


@pytest.fixture
def real_table(ministack: str) -> Table:
    """Return an empty table on MiniStack, which compares values like DynamoDB; moto fails on a string and a number."""
    return new_table(ministack)


@pytest.fixture
def world(table: Table) -> Iterator[World]:
    """Return a world whose invariants are checked after the test."""
    made = World(table)
    yield made
    assert_sound(table, statistics=not made.forged, now=made.clock.now)


@pytest.fixture
def memory_world() -> Iterator[World]:
    """A world on the engine in memory, for tests of what does not depend on the engine."""
    made = World(memory_table(InMemory()))
    yield made
    assert_sound(made.table, statistics=not made.forged, now=made.clock.now)


@pytest.fixture
def moto_world() -> Iterator[World]:
    """A world on moto, for tests that need a client in the process and no real engine."""
    with moto_table() as table:
        made = World(table)
        yield made
        assert_sound(made.table, statistics=not made.forged, now=made.clock.now)


@pytest.fixture
def no_store() -> World:
    """Return a world without a table: a request that uses the store fails."""
    return World(NoStore())  # type: ignore[arg-type]


@pytest.fixture
def threaded(ministack: str) -> Iterator[World]:
    """Return a world on the engine that supports real threads."""
    made = World(new_table(ministack))
    yield made
    assert_sound(made.table, statistics=not made.forged, now=made.clock.now)
