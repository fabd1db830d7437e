"""Start the installed Chromium without a window, for the tests of the console and for its pictures.

Nothing is downloaded, and the flags disable update requests. `python -m tools.browser` only checks that a browser is
installed; it runs before Playwright is installed, so Playwright is imported late.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.problems import Unusable, run_tool

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium() -> str:
    """Return the path of Chromium, or of the browser that CHROMIUM names. Raise `Unusable` if there is none."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None or shutil.which(found) is None:
        raise Unusable("Chromium not found: install it (apt-get install chromium) or name one with CHROMIUM=")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a Playwright browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS, headless=True)
        yield started
        started.close()


def main() -> int:
    chromium()
    return 0


if __name__ == "__main__":
    run_tool(main)
