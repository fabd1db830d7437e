"""Makes a virtual environment from a requirements file: `python -m tools.environment .venv requirements-dev.txt`.

Runs on whatever Python is there, before anything is installed: standard library only, and no syntax that an old Python
would stumble over before it can be told that it is too old. Two at once wait for each other. Speaks on standard error.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.problems import Unusable, run_tool

OLDEST = (3, 11)


def main() -> int:
    folder, requirements = Path(sys.argv[1]), Path(sys.argv[2])
    if sys.version_info < OLDEST:
        raise Unusable(f"{sys.executable} is older than Python 3.11: name a newer one with PYTHON=")
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = described(requirements)
        ready = folder / "ready"
        if not ready.exists() or ready.read_text() != wanted:
            build(folder, requirements)
            ready.write_text(wanted)
        os.utime(ready)
    return 0


def described(requirements: Path) -> str:
    """The requirements with those that they include, and the Python they are for."""
    lines = requirements.read_text().splitlines()
    included = [described(requirements.with_name(line[3:].strip())) for line in lines if line.startswith("-r ")]
    return "\n".join([sys.version, *lines, *included])


def build(folder: Path, requirements: Path) -> None:
    print(f"Creating {folder} (once, about a minute) ...", file=sys.stderr)
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(folder)], f"could not make {folder}")
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--quiet", "--no-input", "--disable-pip-version-check"]
    run([*install, "-r", str(requirements)], f"could not install {requirements}")


def run(command: list[str], failure: str) -> None:
    """Run quietly. Raises `Unusable` with the last thing that the command said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise Unusable(f"{failure}: {said[-1] if said else f'exit code {done.returncode}'}")


if __name__ == "__main__":
    run_tool(main)
