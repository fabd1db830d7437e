"""`make bench`: run every benchmark, print a table and write `results.json`. Exit with 1 if a bound is broken.

ONLY=<words> runs the benchmarks whose names contain one of the words. FULL=1 uses the sizes that take many minutes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks import (
    batches,
    cold_start,
    contention,
    imports,
    lists,
    memory,
    peers,
    reading,
    requests,
    sweep,
    warm_claim,
)
from benchmarks.rows import Benchmark, Row, Target
from poolctl.local_keys import LocalKeys
from tools.local.engines import MiniStack
from tools.local.service import local_environment
from tools.problems import Unusable, run_tool

BENCHMARKS: dict[str, Benchmark] = {
    "warm claim": warm_claim.rows,
    "requests": requests.rows,
    "batches": batches.rows,
    "lists and units": lists.rows,
    "peers": peers.rows,
    "contention": contention.rows,
    "sweep": sweep.rows,
    "import": imports.rows,
    "reading": reading.rows,
    "memory": memory.rows,
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
        rows = run(chosen, Target(engine.endpoint, full=bool(os.environ.get("FULL"))))
    RESULTS.write_text(json.dumps([row.body() for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.kept for row in rows) else 1


def run(chosen: dict[str, Benchmark], target: Target) -> list[Row]:
    """Run the benchmarks and print each row as soon as it is measured. Return all rows."""
    rows = []
    print(line("", "value", "baseline", "ratio", "bound"), flush=True)
    for name, benchmark in chosen.items():
        started = time.monotonic()
        for row in benchmark(target):
            rows.append(row)
            print(formatted(row), flush=True)
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", flush=True)
    return rows


def formatted(row: Row) -> str:
    bound = "" if row.bound is None else f"{'≥' if row.at_least else '≤'} {number(row.bound)}"
    cells = [f"{number(row.value)} {row.unit}".strip(), number(row.baseline), number(row.ratio), bound]
    return line(row.name, *cells) + ("" if row.kept else "  BROKEN")


def line(name: str, *cells: str) -> str:
    return f"{name:78} " + " ".join(f"{cell:>12}" for cell in cells)


def number(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.0f}" if abs(figure) >= 1000 or figure == int(figure) else f"{figure:.3g}"


if __name__ == "__main__":
    run_tool(main)
