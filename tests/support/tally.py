"""Counts of the cases that a test run covered, printed at its end.

Each proof counts its cases here; the pytest hooks add up the counts of all processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

import pytest

KINDS: Final = (
    "answers held against the document",
    "tables audited",
    "schedules played",
    "faults tried",
    "deaths tried",
    "requests made up",
    "tokens made up",
    "steps of the model",
    "histories put in order",
    "requests under load",
)

_counted: Counter[str] = Counter()
_lock = Lock()


def count(kind: str, number: int = 1) -> None:
    """Add that many cases of one of `KINDS`."""
    assert kind in KINDS, f"no kind of case: {kind}"
    with _lock:
        _counted[kind] += number


def counted() -> dict[str, int]:
    """Return the counts of this process and of its finished workers."""
    with _lock:
        return dict(_counted)


def lines(numbers: Mapping[str, int]) -> list[str]:
    """Return one line for each kind with cases."""
    return [f"{numbers[kind]:>9,} {kind}" for kind in KINDS if numbers.get(kind)]


# Hooks of pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass the counts of a worker to its controller."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = counted()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for kind, number in getattr(node, "workeroutput", {}).get("tally", {}).items():
        count(kind, number)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if report := lines(counted()):
        terminalreporter.section("gone through")
        terminalreporter.write_line("\n".join(report))
