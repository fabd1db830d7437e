"""Write `<file>.errors.csv`: the refused lines, unchanged, each with its line number and reason.

The user corrects the lines in this file and imports it like any other file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from importing.columns import Columns, mapped
from importing.headings import ERROR, LINE
from importing.tables import Table
from importing.values import exact, guarded
from poolctl.atomic_files import atomic_draft


def write(file: Path, table: Table, columns: Columns, failed: Mapping[int, tuple[str, str]]) -> Path:
    """Write the lines in `failed` (code and text by line number). Return the path.

    A heading that was mapped by hand becomes what it was mapped to, so that the file is imported without options.
    An existing errors file with other content is kept as `.bak`. Raises OSError.
    """
    path = file.with_name(f"{file.name}.errors.csv")
    with atomic_draft(path) as draft:
        with draft.open("w", encoding="utf-8-sig", errors="replace", newline="") as text:
            writer = csv.writer(text)
            writer.writerow([LINE, ERROR, *(guarded(exact(each)) for each in _headings(table, columns))])
            for line in table.lines():
                if line.number in failed:
                    reason = ": ".join(failed[line.number])
                    writer.writerow([line.number, reason, *(guarded(exact(cell)) for cell in line.cells)])
        if path.exists() and path.read_bytes() != draft.read_bytes():
            path.replace(path.with_name(f"{path.name}.bak"))
    return path


def _headings(table: Table, columns: Columns) -> list[str]:
    guessed = mapped(table.headings, {}).columns
    return [
        heading if mine.target in (None, guess.target) else str(mine.target)
        for heading, mine, guess in zip(table.headings, columns.columns, guessed, strict=True)
    ]
