"""`make clients-check`: lint docs/openapi.json and generate three clients from it. Any warning is a failure.

The generators have pinned versions in their own folder and environment. Nothing of them is deployed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from tools.environment import run
from tools.paths import BUILD, PROJECT
from tools.problems import Unusable, run_tool

PINNED = PROJECT / "tools" / "clients"
FOLDER = BUILD / "clients"
PYTHON_TOOLS = PROJECT / ".venv-clients" / "bin"
DOCUMENT = PROJECT / "docs" / "openapi.json"
OLDEST_NODE = 20

# A generator may report a problem and still exit with 0.
PROBLEM = re.compile(r"warn|error|⚠|skipp|unable|unsupported|deprecated", re.IGNORECASE)


def main() -> int:
    install()
    for name, command in commands().items():
        check(name, command)
        print(f"{name}: no warnings")
    return 0


def commands() -> dict[str, list[str]]:
    """Return the command of each linter and generator in the order of their execution."""
    node, made = FOLDER / "node_modules" / ".bin", FOLDER / "made"
    document = str(DOCUMENT)
    python_client = [str(PYTHON_TOOLS / "openapi-python-client"), "generate", "--path", document]
    sources = [str(made / "types.ts"), str(made / "client" / "index.ts")]
    strict = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]
    return {
        "spectral": [
            str(node / "spectral"), "lint", document, "--ruleset", str(PINNED / "spectral.yaml"),
            "--fail-severity", "hint",
        ],
        "openapi-typescript": [str(node / "openapi-typescript"), document, "--output", str(made / "types.ts")],
        "@hey-api/openapi-ts": [
            str(node / "openapi-ts"), "--input", document, "--output", str(made / "client"), "--no-log-file",
        ],
        "openapi-python-client": [
            *python_client, "--output-path", str(made / "python"), "--overwrite", "--meta", "none", "--fail-on-warning",
        ],
        "tsc": [str(node / "tsc"), *strict, *sources],
        "compileall": [sys.executable, "-m", "compileall", "-q", str(made / "python")],
    }  # fmt: skip


def install() -> None:
    """Install the pinned npm packages, unless they are installed already. Raises `Unusable`."""
    if shutil.which("npm") is None or node_version() < OLDEST_NODE:
        raise Unusable(f"the generators need Node.js {OLDEST_NODE} or later, with npm")
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(FOLDER / "made", ignore_errors=True)
    (FOLDER / "made").mkdir()
    lock = (PINNED / "package-lock.json").read_text(encoding="utf-8")
    installed = FOLDER / "installed"
    if installed.exists() and installed.read_text(encoding="utf-8") == lock:
        return
    print("Installing the generators (once, about a minute) ...", file=sys.stderr)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, FOLDER / name)
    npm = ["npm", "ci", "--prefix", str(FOLDER), "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    run(npm, "could not install the generators")
    installed.write_text(lock, encoding="utf-8")


def node_version() -> int:
    shown = subprocess.run(
        [shutil.which("node") or "node", "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.match(r"v(\d+)", shown)
    return int(found[1]) if found else 0


def check(name: str, command: list[str]) -> None:
    """Run one command. Raise `Unusable` if it fails or warns."""
    # openapi-python-client formats its output with the ruff of its own environment.
    environment = os.environ | {"PATH": f"{PYTHON_TOOLS}:{os.environ['PATH']}", "NO_COLOR": "1", "CI": "1"}
    done = subprocess.run(
        command, cwd=FOLDER, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    problems = [line for line in done.stdout.splitlines() if PROBLEM.search(line)]
    if done.returncode != 0 or (problems and name != "spectral"):
        print(done.stdout, file=sys.stderr)
        raise Unusable(f"{name} rejects docs/openapi.json or warns: see its output above")


if __name__ == "__main__":
    run_tool(main)
