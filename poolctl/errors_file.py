"""Write `<file>.errors.csv`: the refused lines, unchanged, each with its line number and reason.

The user corrects the lines in this file and imports it like any other file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from poolctl.atomic_files import atomic_draft
from poolctl.columns import ERROR, LINE
from poolctl.formula_guard import guarded
from poolctl.spreadsheets import Spreadsheet


def write(file: Spreadsheet, failed: Mapping[int, tuple[str, str]]) -> Path:
    """Write the lines in `failed` (code and text by line number). Return the path.

    An existing errors file with other content is kept as `.bak`. Raises OSError.
    """
    path = file.path.with_name(f"{file.path.name}.errors.csv")
    with atomic_draft(path) as draft:
        with draft.open("w", encoding="utf-8-sig", newline="") as text:
            writer = csv.writer(text)
            writer.writerow([LINE, ERROR, *(guarded(each) for each in file.headings)])
            for line, cells in file.lines():
                if line in failed:
                    writer.writerow([line, ": ".join(failed[line]), *(guarded(cell) for cell in cells)])
        if path.exists() and path.read_bytes() != draft.read_bytes():
            path.replace(path.with_name(f"{path.name}.bak"))
    return path
