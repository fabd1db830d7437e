"""`make sweep`: asks the running service for one pass of the sweep, and prints what it counted."""

from __future__ import annotations

import json
import os

from tools.client import Client
from tools.keys import LocalKeys, checked
from tools.problems import run_tool
from tools.seed import ADMIN


def main() -> int:
    body: dict[str, object] = {}
    if pool := os.environ.get("POOL"):
        body["pool"] = checked("pool", pool)
    if os.environ.get("DRY_RUN", "0") not in ("", "0"):
        body["dry_run"] = True
    keys = LocalKeys().ensure()
    tenant = os.environ.get("TENANT") or None
    client = Client(f"http://127.0.0.1:{os.environ.get('PORT') or '8000'}", keys.token(ADMIN, ["admin"], tenant))
    print(json.dumps(client.must("POST", "/v1/sweep", body), indent=2))
    return 0


if __name__ == "__main__":
    run_tool(main)
