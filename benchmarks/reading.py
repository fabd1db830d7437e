"""Read a CSV file of 200,000 customers in a new process: the processor time, and the memory of the whole process.

The bounds are absolute: they keep an import of a large file usable on a small machine. The file is never in memory.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row, Target
from tools.paths import PROJECT

ROWS = 200_000
HEADINGS = ["客户名称", "手机", "公司", "联系人", "邮箱", "行业", "城市", "地址", "来源", "备注"]


def rows(_: Target) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        _write(path)
        command = [sys.executable, "-m", "benchmarks.read_file", str(path)]
        measured = json.loads(subprocess.run(command, cwd=PROJECT, check=True, capture_output=True).stdout)
    assert measured["rows"] == ROWS
    yield Row(f"reading of {ROWS:,} CSV rows: processor time", measured["seconds"], bound=3, unit="s")
    yield Row(f"reading of {ROWS:,} CSV rows: memory of the process", measured["megabytes"], bound=60, unit="MB")


def _write(path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for number in range(ROWS):
            phone, email = f"138{number:08d}", f"u{number}@example.com"
            company = [f"客户{number}", phone, "集团", "张三", email]
            writer.writerow([*company, "软件", "上海", f"世纪大道 {number} 号", "展会", "常联系"])
