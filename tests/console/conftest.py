"""The service as `make run` serves it, a browser, and for each test a tenant of its own with people in a pool."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.pages import Door, Team
from tools.browser import browser as chromium
from tools.local.gateway import LocalApi
from tools.local.keys import LocalKeys
from tools.local.service import load_app

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LocalKeys:
    return LocalKeys(Path(tmp_path_factory.mktemp("keys"))).ensure()


@pytest.fixture(scope="session")
def service(ministack: str, keys: LocalKeys) -> Iterator[LocalApi]:
    with LocalApi(load_app(ministack, keys).app) as api:
        yield api


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture
def team(service: LocalApi, keys: LocalKeys) -> Team:
    """Alice and bob in a pool that mona manages, in a tenant where nobody else is."""
    made = Team(service.url, keys, f"tenant-{next(_numbers)}")
    made.found()
    return made


@pytest.fixture
def door(browser: Any, team: Team) -> Iterator[Door]:
    """Open pages. At the end, fail if a page met an error or violated its content security policy."""
    made = Door(browser, team)
    yield made
    made.close()
    assert made.errors == []
