"""`make bench`: every benchmark, each beside its floor; a table, `results.json`, and exit code 1 if a bound is broken.

ONLY=<words> runs those whose names contain one of the words; FULL=1 takes the sizes that take many minutes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks import batches, cold_start, crowd, imports, lists, peers, requests, standing, sweep, warm_claim
from benchmarks.rows import Benchmark, Place, Row
from tools.local.engines import MiniStack
from tools.local.keys import LocalKeys
from tools.local.service import local_environment
from tools.problems import Unusable, run_tool

BENCHMARKS: dict[str, Benchmark] = {
    "warm claim": warm_claim.rows,
    "requests": requests.rows,
    "batches": batches.rows,
    "lists and units": lists.rows,
    "peers": peers.rows,
    "crowd": crowd.rows,
    "sweep": sweep.rows,
    "import": imports.rows,
    "memory": standing.rows,
    "cold start": cold_start.rows,
}
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    wanted = (os.environ.get("ONLY") or "").split()
    chosen = {name: each for name, each in BENCHMARKS.items() if not wanted or any(word in name for word in wanted)}
    if not chosen:
        raise Unusable(f"ONLY={' '.join(wanted)} is none of: {', '.join(BENCHMARKS)}")
    with tempfile.TemporaryDirectory() as folder, MiniStack() as engine:
        os.environ.update(local_environment(engine.endpoint, LocalKeys(Path(folder) / "keys").ensure()))
        rows = measured(chosen, Place(engine.endpoint, full=bool(os.environ.get("FULL"))))
    RESULTS.write_text(json.dumps([row.body() for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.kept for row in rows) else 1


def measured(chosen: dict[str, Benchmark], place: Place) -> list[Row]:
    """All rows, each told as soon as it is known."""
    rows = []
    print(line("", "value", "floor", "ratio", "bound"), flush=True)
    for name, benchmark in chosen.items():
        started = time.monotonic()
        for row in benchmark(place):
            rows.append(row)
            print(told(row), flush=True)
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", flush=True)
    return rows


def told(row: Row) -> str:
    bound = "" if row.bound is None else f"{'≥' if row.at_least else '≤'} {number(row.bound)}"
    cells = [f"{number(row.value)} {row.unit}".strip(), number(row.floor), number(row.ratio), bound]
    return line(row.name, *cells) + ("" if row.kept else "  BROKEN")


def line(name: str, *cells: str) -> str:
    return f"{name:78} " + " ".join(f"{cell:>12}" for cell in cells)


def number(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.0f}" if abs(figure) >= 1000 or figure == int(figure) else f"{figure:.3g}"


if __name__ == "__main__":
    run_tool(main)
