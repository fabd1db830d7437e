"""Counts of what the proofs of a run covered, for its last lines.

Each proof counts its cases here, in any process; the hooks of pytest add the processes up.
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
    """Adds so many cases of one of `KINDS`."""
    assert kind in KINDS, f"no kind of case: {kind}"
    with _lock:
        _counted[kind] += number


def counted() -> dict[str, int]:
    """What has been counted in this process, and in those that worked for it and are done."""
    with _lock:
        return dict(_counted)


def lines(numbers: Mapping[str, int]) -> list[str]:
    """One line for each kind of which there were any."""
    return [f"{numbers[kind]:>9,} {kind}" for kind in KINDS if numbers.get(kind)]


# Hooks of pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that works for another hands its counts over."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = counted()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for kind, number in getattr(node, "workeroutput", {}).get("tally", {}).items():
        count(kind, number)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if told := lines(counted()):
        terminalreporter.section("gone through")
        terminalreporter.write_line("\n".join(told))
