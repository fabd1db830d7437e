"""`make mutants`: changes the rules in small ways, one at a time, and counts how many of the changes are noticed.

mutmut makes the mutants, runs the tests that come by each, and goes on where it stopped; `pyproject.toml` says of which
modules, with which tests. This runs it and holds what it found to a bound. What `make check` finds is counted apart:
the bound is on what is left for the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.paths import PROJECT
from tools.problems import Unusable, run_tool

BOUND: Final = 0.9
MADE: Final = PROJECT / "mutants" / "chalicelib"
BIN: Final = Path(sys.executable).parent

BY_TYPES: Final = (37,)
BY_TESTS: Final = (1, 3, -24, 24, 152, 255)  # a test failed, in one way or another; or it took far longer than it does


@dataclass(frozen=True)
class Found:
    """What became of the mutants of one module, or of several: how many there are, and who noticed them."""

    mutants: int = 0
    by_types: int = 0
    by_tests: int = 0
    not_yet: int = 0

    def __add__(self, other: Found) -> Found:
        mine, theirs = vars(self).values(), vars(other).values()
        return Found(*(one + another for one, another in zip(mine, theirs, strict=True)))

    @property
    def survived(self) -> int:
        return self.mutants - self.by_types - self.by_tests - self.not_yet

    @property
    def killed(self) -> float:
        """The share that the tests notice, of those that the types let pass and that have been tried."""
        tried = self.by_tests + self.survived
        return self.by_tests / tried if tried else 1.0


def counted(verdicts: Iterable[int | None]) -> Found:
    """The exit codes of the tests, None for a mutant that was not tried yet. One that no test comes by has survived."""
    codes = list(verdicts)
    by_types = sum(code in BY_TYPES for code in codes)
    return Found(len(codes), by_types, sum(code in BY_TESTS for code in codes), sum(code is None for code in codes))


def table(modules: Mapping[str, Found]) -> list[str]:
    """The figures for a person to read, and a last line that says whether they will do."""
    total = sum(modules.values(), Found())
    lines = [f"{'':14}{'mutants':>9}{'by types':>10}{'by tests':>10}{'survived':>10}{'not yet':>9}{'killed':>9}"]
    for name, found in (*sorted(modules.items()), ("all", total)):
        lines.append(
            f"{name:14}{found.mutants:9,}{found.by_types:10,}{found.by_tests:10,}{found.survived:10,}"
            f"{found.not_yet:9,}{found.killed:9.1%}"
        )
    return [*lines, verdict(total)]


def verdict(total: Found) -> str:
    if total.not_yet:
        return f"{total.not_yet:,} have not been tried yet: make mutants goes on with them"
    words = "that is enough" if enough(total) else "that is too few"
    return f"{total.killed:.1%} of what the types let pass is noticed by a test, {BOUND:.0%} shall be: {words}"


def enough(total: Found) -> bool:
    return total.mutants > 0 and total.not_yet == 0 and total.killed >= BOUND


def verdicts() -> dict[str, dict[str, int | None]]:
    """What mutmut remembers: by module, what came of each mutant."""
    kept = {path.name.removesuffix(".py.meta"): json.loads(path.read_text()) for path in MADE.glob("*.py.meta")}
    return {name: each["exit_code_by_key"] for name, each in kept.items() if each["exit_code_by_key"]}


def survivors() -> list[str]:
    return sorted(
        mutant
        for of_module in verdicts().values()
        for mutant, code in of_module.items()
        if code is not None and code not in (*BY_TYPES, *BY_TESTS)
    )


def main() -> int:
    again = survivors() if os.environ.get("AGAIN", "0") not in ("", "0") else []
    command = [str(BIN / "mutmut"), "run", "--max-children", os.environ.get("AT_ONCE") or "1", *again]
    found_there = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])  # mypy, among others
    working = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"PATH": found_there})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops mutmut in order, and what it has found is told
    if working.wait() != 0:
        raise Unusable("mutmut could not do its work: it says why above")
    modules = {name: counted(of_module.values()) for name, of_module in verdicts().items()}
    print("\n".join(["", *survivors(), "", *table(modules)]))
    return 0 if enough(sum(modules.values(), Found())) else 1


if __name__ == "__main__":
    run_tool(main)
