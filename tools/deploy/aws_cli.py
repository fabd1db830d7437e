"""The AWS CLI in the environment of `make deploy`."""

from __future__ import annotations

import subprocess

from tools.paths import AWS_CLI
from tools.problems import Unusable


def aws(*arguments: str) -> str:
    """Run the AWS CLI and return its output. Raise `Unusable` with the last line of its errors."""
    if not AWS_CLI.exists():
        raise Unusable("The AWS CLI is not installed: run `make deploy` or `make e2e`")
    done = subprocess.run([AWS_CLI, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise Unusable(lines[-1] if lines else f"aws {' '.join(arguments[:2])} failed")
    return done.stdout
