"""The commit of the checkout, for the service's logs and `/v1/health`."""

from __future__ import annotations

import subprocess

from tools.paths import PROJECT


def commit() -> str | None:
    """Return the short name of the commit, with `-dirty` if tracked files differ. None without git or a repository."""
    git = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
