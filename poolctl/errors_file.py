"""`<file>.errors.csv`: the lines that were refused, as they were, with the reason beside them: to be put right there
and imported like any other file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from poolctl.atomic_files import drafted
from poolctl.columns import ERROR, LINE
from poolctl.formula_guard import guarded
from poolctl.spreadsheets import Spreadsheet


def write(file: Spreadsheet, failed: Mapping[int, tuple[str, str]]) -> Path:
    """`failed`: code and text by line. A file that somebody may be mending is put aside. Raises OSError."""
    path = file.path.with_name(f"{file.path.name}.errors.csv")
    with drafted(path) as draft:
        with draft.open("w", encoding="utf-8-sig", newline="") as text:
            writer = csv.writer(text)
            writer.writerow([LINE, ERROR, *(guarded(each) for each in file.headings)])
            for line, cells in file.lines():
                if line in failed:
                    writer.writerow([line, ": ".join(failed[line]), *(guarded(cell) for cell in cells)])
        if path.exists() and path.read_bytes() != draft.read_bytes():
            path.replace(path.with_name(f"{path.name}.bak"))
    return path
