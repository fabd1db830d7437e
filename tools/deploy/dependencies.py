"""What runs in Lambda, as wheels for its processor, unpacked into a folder that is made once per list.

A list is complete and pinned; nothing is resolved here, and nothing is built from source.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tools.environment import run
from tools.paths import BUILD, PROJECT

REQUIREMENTS = PROJECT / "requirements-package.txt"
RUNTIME = PROJECT / "requirements-runtime.txt"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# The C library of Lambda's system: Amazon Linux 2 up to Python 3.11, then Amazon Linux 2023.
OLD_GLIBC, NEW_GLIBC = 26, 34


def dependencies(architecture: str, requirements: Path = REQUIREMENTS) -> Path:
    """The folder with all of them. Raises `Unusable` with pip's last words."""
    made_of = f"{requirements.read_text()}\n{sys.version_info[:2]}\n{architecture}"
    folder = BUILD / "dependencies" / f"{architecture}-{sha256(made_of.encode()).hexdigest()[:12]}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            _install(architecture, requirements, Path(draft) / "made")
            if not folder.exists():  # another one may have been faster
                shutil.move(Path(draft) / "made", folder)
    return folder


def _install(architecture: str, requirements: Path, target: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"fetching what {requirements.name} lists, for {architecture} (once) ...", file=sys.stderr)
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--no-input", "--disable-pip-version-check",
        "--no-deps", "--no-compile", "--only-binary=:all:", "--implementation=cp", f"--python-version={version}",
        *(f"--platform={platform}" for platform in _platforms(MACHINES[architecture])),
        f"--target={target}", "-r", str(requirements),
    ]  # fmt: skip
    run(command, f"could not fetch {requirements.name} for {architecture}")


def _platforms(machine: str) -> list[str]:
    """pip takes platforms literally, so each older one that would do as well has to be named."""
    newest = OLD_GLIBC if sys.version_info < (3, 12) else NEW_GLIBC
    return [f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in range(17, newest + 1))]
