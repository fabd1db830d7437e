"""`make openapi`: writes the published description of the HTTP surface to `docs/openapi.json`."""

from __future__ import annotations

import json

from chalicelib.api.openapi import document
from chalicelib.api.routes import ROUTES
from tools.paths import PROJECT
from tools.problems import run_tool

COMMITTED = PROJECT / "docs" / "openapi.json"


def rendered() -> str:
    """The document as it is committed: one thing a line, so that a change of the contract reads as one."""
    return json.dumps(document(tuple(ROUTES)), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    COMMITTED.write_text(rendered(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_tool(main)
