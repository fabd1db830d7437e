"""A fresh copy of the checkout in which `make run` runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.pages import MADE_HERE, ROOT
from tools.local.engines import free_port

ENVIRONMENTS = (".venv", ".venv-engine")  # linked, since their set-up is tested elsewhere
READY_WITHIN = 60  # seconds


@dataclass
class Clone:
    """The folder, and the port of its service, which is not 8000."""

    folder: Path
    port: int

    def environment(self) -> dict[str, str]:
        """Return an environment without settings of this machine, with that port."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "MAKE", "POOL", "XDG"))}
        ours = {"HOME": str(self.folder), "PORT": str(self.port), "POOLCTL_URL": f"http://127.0.0.1:{self.port}"}
        return kept | ours | {"LANG": "C.UTF-8"}

    def run(self, script: str) -> str:
        """Return what a shell in that folder prints. Fails on any error output."""
        ours, theirs = f"127.0.0.1:{self.port}", "127.0.0.1:8000"
        ran = subprocess.run(
            ["bash", "-c", script.replace(theirs, ours)],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), f"{script}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout.replace(ours, theirs)


@contextmanager
def running_clone(folder: Path) -> Iterator[Clone]:
    """Run `make run` in a copy; at the end Ctrl-C must stop it."""
    left_out = shutil.ignore_patterns(".git", "__pycache__")
    shutil.copytree(
        ROOT,
        folder,
        ignore=lambda at, names: {*left_out(at, names), *(name for name in names if MADE_HERE.match(name))},
    )
    for name in ENVIRONMENTS:
        (folder / name).symlink_to(ROOT / name)
    clone = Clone(folder, free_port())
    log = folder / "run.log"
    with log.open("w") as out:
        started = subprocess.Popen(
            ["make", "run"], cwd=folder, env=clone.environment(), stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_until_it_answers(started, log)
        yield clone
    finally:
        os.killpg(started.pid, signal.SIGINT)
        started.wait(30)
    assert "Stopped." in log.read_text(encoding="utf-8")


def wait_until_it_answers(started: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(READY_WITHIN * 10):
        if re.search(r"^Ctrl-C stops everything", log.read_text(encoding="utf-8"), re.MULTILINE):
            return
        try:
            started.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"make run has not come up: {log.read_text(encoding='utf-8')}")
