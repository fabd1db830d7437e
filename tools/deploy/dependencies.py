"""Install a group of uv.lock for Lambda's processor and system, in a folder that is created once per content.

Nothing is resolved here and nothing is built from source: the lock pins every wheel with its hash.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tools.environment import installed_uv, run
from tools.paths import BUILD, PROJECT

SERVICE, RUNTIME = "service", "lambda-runtime"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# The glibc of Lambda: Amazon Linux 2 up to Python 3.11, then Amazon Linux 2023.
SYSTEM = "manylinux2014" if sys.version_info < (3, 12) else "manylinux_2_34"


def dependencies(architecture: str, group: str = SERVICE) -> Path:
    """Return the folder with the packages of the group. Raise `Unusable` with the last line that uv prints."""
    folder = BUILD / "dependencies" / f"{group}-{architecture}-{_fingerprint()}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            _install(architecture, group, Path(draft))
            if not folder.exists():  # another process may have been faster
                shutil.move(Path(draft) / "packages", folder)
    return folder


def _fingerprint() -> str:
    contents = f"{(PROJECT / 'uv.lock').read_text(encoding='utf-8')}\n{sys.version_info[:2]}"
    return sha256(contents.encode()).hexdigest()[:12]


def _install(architecture: str, group: str, draft: Path) -> None:
    uv, requirements, target = str(installed_uv()), draft / "requirements.txt", draft / "packages"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"Fetching the packages of the group {group} for {architecture} (once) ...", file=sys.stderr)
    export = [uv, "export", "--quiet", "--frozen", "--only-group", group, "--output-file", str(requirements)]
    run([*export, "--project", str(PROJECT)], f"could not export the group {group}")
    install = [
        uv, "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
        f"--python={sys.executable}", f"--python-version={version}",
        f"--python-platform={MACHINES[architecture]}-{SYSTEM}", f"--target={target}", "-r", str(requirements),
    ]  # fmt: skip
    run(install, f"could not fetch the group {group} for {architecture}")
    (target / ".lock").unlink(missing_ok=True)  # uv's own
