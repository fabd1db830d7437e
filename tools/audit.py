"""`make audit`: asks the running service to audit itself, and says what has drifted, one line a difference.

Ends with exit code 0 when all is as the customers say, and with 1 when something was not, or could not be looked at.
"""

from __future__ import annotations

import json
import os
from typing import Any

from tools.client import Client
from tools.keys import LocalKeys, checked
from tools.problems import run_tool
from tools.seed import ADMIN


def main() -> int:
    body: dict[str, object] = {"repair": os.environ.get("REPAIR", "0") not in ("", "0")}
    if pool := os.environ.get("POOL"):
        body["pool"] = checked("pool", pool)
    keys = LocalKeys().ensure()
    tenant = os.environ.get("TENANT") or None
    client = Client(f"http://127.0.0.1:{os.environ.get('PORT') or '8000'}", keys.token(ADMIN, ["admin"], tenant))
    report = client.must("POST", "/v1/audit", body)
    print("\n".join(lines(report)))
    return 0 if report["complete"] and not report["drifted"] else 1


def lines(report: dict[str, Any]) -> list[str]:
    """The report for a person to read."""
    told = [f"{report['customers']:,} customers and {report['members']:,} members audited"]
    told += [_line(each) for each in report["drift"]]
    if more := report["drifted"] - len(report["drift"]):
        told.append(f"and {more:,} more")
    told += [f"never stood still long enough to be sure: {each}" for each in report["unsettled"]]
    told += [f"not enough time for all of pool {each}" for each in report["remaining"]]
    return [*told, f"{report['drifted']:,} drifted, {report['repaired']:,} of them repaired"]


def _line(drift: dict[str, Any]) -> str:
    expected, found = (json.dumps(drift[name], ensure_ascii=False) for name in ("expected", "found"))
    repaired = ", repaired" if drift["repaired"] else ""
    return f"{drift['kind']} of {drift['pool']}/{drift['id']}: expected {expected}, found {found}{repaired}"


if __name__ == "__main__":
    run_tool(main)
