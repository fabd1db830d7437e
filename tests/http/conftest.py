"""Fixtures of the tests over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Terminal, terminal_for
from tests.support.world import World


@pytest.fixture
def terminal(
    request: pytest.FixtureRequest, threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Terminal]:
    """Return a terminal of users of one pool, which has the settings `POOL` of the test's module."""
    threaded.pool(**getattr(request.module, "POOL", {}))
    with terminal_for(threaded, tmp_path, monkeypatch) as opened:
        yield opened
