"""Create a virtual environment from a group of uv.lock: `python -m tools.environment .venv dev`.

This module runs before anything is installed, so it imports only the standard library. It installs uv itself too, at
the version of requirements-uv.txt. Two processes at the same time wait for each other. An environment gets its marker,
the file `ready`, as the last step: without it, or with another one, the environment is built again from nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tools.paths import PROJECT
from tools.problems import Unusable, run_tool

LOCK = PROJECT / "uv.lock"
UV_REQUIREMENTS = PROJECT / "requirements-uv.txt"
UV_FOLDER = PROJECT / ".uv"


def main() -> int:
    folder, group = Path(sys.argv[1]), sys.argv[2]
    with one_process_at_a_time(LOCK):
        ready = folder / "ready"
        wanted = f"{sys.version}\n{group}\n{sha256(LOCK.read_bytes()).hexdigest()}\n"
        if not ready.exists() or ready.read_text() != wanted:
            build(folder, group)
            ready.write_text(wanted)
        os.utime(ready)  # make compares its time with the time of uv.lock
    return 0


def build(folder: Path, group: str) -> None:
    """Create the environment from nothing. uv takes most files from its cache, so that this is quick."""
    uv = installed_uv()
    print(f"Creating {folder} ...", file=sys.stderr)
    delete(folder)
    sync = [str(uv), "sync", "--quiet", "--frozen", "--python", sys.executable, "--only-group", group]
    run(sync, f"could not create {folder}", UV_PROJECT_ENVIRONMENT=str(folder), UV_PYTHON_DOWNLOADS="never")


def installed_uv() -> Path:
    """Return the path of the pinned uv, after installing it if necessary. Raise `Unusable` if pip fails."""
    uv, ready = UV_FOLDER / "bin" / "uv", UV_FOLDER / "ready"
    with one_process_at_a_time(UV_REQUIREMENTS):
        wanted = UV_REQUIREMENTS.read_text()
        if not ready.exists() or ready.read_text() != wanted or not uv.exists():
            print("Installing uv (once) ...", file=sys.stderr)
            delete(UV_FOLDER)
            venv = [sys.executable, "-m", "venv", str(UV_FOLDER)]
            run(venv, "could not run Python's venv module (on Debian: apt-get install python3-venv)")
            pip = [str(UV_FOLDER / "bin" / "python"), "-m", "pip", "install", "--no-input", "--require-hashes"]
            run([*pip, "--quiet", "-r", str(UV_REQUIREMENTS)], "could not install uv")
            ready.write_text(wanted)
    return uv


@contextmanager
def one_process_at_a_time(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing file, which stays unchanged."""
    with file.open() as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def delete(folder: Path) -> None:
    """Delete a folder, or only the link if it is a link to an environment elsewhere."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def run(command: list[str], failure: str, **settings: str) -> None:
    """Run a command without showing its output. Raise `Unusable` with the last line of the output if it fails."""
    environment = os.environ | settings
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines()]
        shown = [line for line in lines if line and not line.startswith(("WARNING", "[notice]", "hint:"))]
        raise Unusable(f"{failure}: {shown[-1] if shown else f'exit code {done.returncode}'}")


if __name__ == "__main__":
    run_tool(main)
