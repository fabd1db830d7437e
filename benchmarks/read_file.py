"""Read a CSV file with the package `importing`, and print the rows, the processor time and the memory of this process.

A program of its own, so that nothing else is in its memory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import process_time

from importing.columns import columns_of
from importing.rows import Read, RowReader
from importing.tables import open_table


def main(path: Path) -> None:
    started = process_time()
    table = open_table(lambda: path.open("rb"))
    reader = RowReader(columns_of(table.headings, {}))
    rows = sum(isinstance(reader.read(line), Read) for line in table.lines())
    seconds = process_time() - started
    print(json.dumps({"rows": rows, "seconds": seconds, "megabytes": _most_memory()}))


def _most_memory() -> float:
    """Return the largest resident memory of this program. `getrusage` counts that of its parent before exec too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
