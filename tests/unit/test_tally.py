"""The summary at the end of a run counts what its proofs covered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tally

PROOFS = """
from tests.support import tally

def test_one():
    tally.count("faults tried", 1_000)

def test_another():
    tally.count("faults tried", 234)
    tally.count("schedules played")
"""


def test_the_summary_of_a_run_adds_up_the_counts_of_all_processes(tmp_path: Path) -> None:
    (tmp_path / "test_proofs.py").write_text(PROOFS, encoding="utf-8")

    options = ["-p", "xdist", "-p", "tests.support.tally", "-n", "2", f"--rootdir={tmp_path}", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options]
    bare = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=bare).stdout

    assert output.index("        1 schedules played\n") < output.index("    1,234 faults tried\n")


def test_only_named_counts_are_accepted() -> None:
    with pytest.raises(AssertionError, match="no kind of case"):
        tally.count("sheep")


def test_the_summary_of_a_run_omits_absent_counts() -> None:
    assert tally.lines({"faults tried": 0, "tables audited": 12}) == ["       12 tables audited"]
