"""Files that appear with their complete content or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolctl.atomic_files import write_atomically


def test_a_file_that_cannot_be_created_is_named_and_not_its_draft(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "customers.csv"

    with pytest.raises(FileNotFoundError) as failed:
        write_atomically(path, b"id")

    assert failed.value.filename == str(path)
