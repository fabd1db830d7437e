"""`make mutants`: run mutmut on the rules and require that the tests kill most of the mutants.

`pyproject.toml` lists the modules and the tests. mutmut continues where it stopped. Mutants that mypy rejects are
counted apart: the bound applies to the others.
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
RESULTS: Final = PROJECT / "mutants" / "chalicelib"
BIN: Final = Path(sys.executable).parent

BY_TYPES: Final = (37,)
BY_TESTS: Final = (1, 3, -24, 24, 152, 255)  # exit codes of failed tests and of timeouts


@dataclass(frozen=True)
class Counts:
    """The mutants of one or several modules, by what killed them."""

    mutants: int = 0
    by_types: int = 0
    by_tests: int = 0
    not_yet: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = vars(self).values(), vars(other).values()
        return Counts(*(one + another for one, another in zip(mine, theirs, strict=True)))

    @property
    def survived(self) -> int:
        return self.mutants - self.by_types - self.by_tests - self.not_yet

    @property
    def killed(self) -> float:
        """Return the share of mutants killed by tests, among those that mypy accepts and that were tried."""
        tried = self.by_tests + self.survived
        return self.by_tests / tried if tried else 1.0


def count(verdicts: Iterable[int | None]) -> Counts:
    """Count mutants by the exit codes of their tests; None stands for untried. A mutant without a test has survived."""
    codes = list(verdicts)
    by_types = sum(code in BY_TYPES for code in codes)
    return Counts(len(codes), by_types, sum(code in BY_TESTS for code in codes), sum(code is None for code in codes))


def table(modules: Mapping[str, Counts]) -> list[str]:
    """Return the lines of a table with one row per module and a final verdict."""
    total = sum(modules.values(), Counts())
    lines = [f"{'':20}{'mutants':>9}{'by types':>10}{'by tests':>10}{'survived':>10}{'not yet':>9}{'killed':>9}"]
    for name, found in (*sorted(modules.items()), ("all", total)):
        lines.append(
            f"{name:20}{found.mutants:9,}{found.by_types:10,}{found.by_tests:10,}{found.survived:10,}"
            f"{found.not_yet:9,}{found.killed:9.1%}"
        )
    return [*lines, verdict(total)]


def verdict(total: Counts) -> str:
    if total.not_yet:
        return f"{total.not_yet:,} mutants are untried: run make mutants again to continue"
    result = "passed" if enough(total) else "failed"
    return f"{result}: tests kill {total.killed:.1%} of the mutants that mypy accepts (required: {BOUND:.0%})"


def enough(total: Counts) -> bool:
    return total.mutants > 0 and total.not_yet == 0 and total.killed >= BOUND


def verdicts() -> dict[str, dict[str, int | None]]:
    """Return the exit code of each mutant by module, as stored by mutmut."""
    kept = {path.name.removesuffix(".py.meta"): json.loads(path.read_text()) for path in RESULTS.rglob("*.py.meta")}
    return {name: each["exit_code_by_key"] for name, each in kept.items() if each["exit_code_by_key"]}


def survivors() -> list[str]:
    return sorted(
        mutant
        for codes in verdicts().values()
        for mutant, code in codes.items()
        if code is not None and code not in (*BY_TYPES, *BY_TESTS)
    )


def main() -> int:
    again = survivors() if os.environ.get("AGAIN", "0") not in ("", "0") else []
    command = [str(BIN / "mutmut"), "run", "--max-children", os.environ.get("AT_ONCE") or "1", *again]
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])  # mutmut runs mypy from there
    process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"PATH": path})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops mutmut alone; its results are still printed
    if process.wait() != 0:
        raise Unusable("mutmut failed: see its output above")
    modules = {name: count(codes.values()) for name, codes in verdicts().items()}
    print("\n".join(["", *survivors(), "", *table(modules)]))
    return 0 if enough(sum(modules.values(), Counts())) else 1


if __name__ == "__main__":
    run_tool(main)
