"""`make lock`: update uv.lock from pyproject.toml, and export the requirement files from it.

Chalice and the packaging read `requirements.txt`; `tools.environment` installs uv itself from the other file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.environment import installed_uv, run
from tools.paths import PROJECT
from tools.problems import run_tool

# Each exported file with its group of pyproject.toml.
EXPORTS = {"requirements.txt": "service", "requirements-uv.txt": "uv"}


def main() -> int:
    uv = str(installed_uv())
    run([uv, "lock", "--project", str(PROJECT), *sys.argv[1:]], "could not update uv.lock")
    export(PROJECT)
    return 0


def export(folder: Path) -> None:
    """Write the requirement files from the pyproject.toml and the uv.lock of the folder."""
    for file, group in EXPORTS.items():
        command = [str(installed_uv()), "export", "--frozen", "--only-group", group, "--output-file", file]
        run(["env", "-C", str(folder), *command], f"could not export {file}")


if __name__ == "__main__":
    run_tool(main)
