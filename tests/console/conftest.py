"""The service as `make run` serves it, a browser, and for each test a tenant with a pool and its members."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from poolctl.local_keys import LocalKeys
from tests.console.pages import WITHIN_MS, Browser, Team
from tools.browser import browser as chromium
from tools.local.engines import ENGINES
from tools.local.gateway import LocalApi
from tools.local.service import load_app

_numbers = itertools.count(1)
expect.set_options(timeout=WITHIN_MS)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LocalKeys:
    return LocalKeys(Path(tmp_path_factory.mktemp("keys"))).ensure()


@pytest.fixture(scope="session")
def service(keys: LocalKeys) -> Iterator[LocalApi]:
    """The service on MiniStack, or on the engine that `ENGINE` names."""
    with (
        ENGINES[os.environ.get("ENGINE", "ministack")]() as engine,
        LocalApi(load_app(engine.endpoint, keys).app) as api,
    ):
        yield api


@pytest.fixture(scope="session")
def chromium_process() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def team(service: LocalApi, keys: LocalKeys) -> Team:
    """Alice and bob in a pool that mona manages, in a tenant of their own."""
    made = Team(service.url, keys, f"tenant-{next(_numbers)}")
    made.create_pool()
    return made


@pytest.fixture
def browser(chromium_process: Any, team: Team) -> Iterator[Browser]:
    """Open pages. At the end, fail if a page met an error or violated its content security policy."""
    made = Browser(chromium_process, team)
    yield made
    made.close()
    assert made.errors == []
