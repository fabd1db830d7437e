"""A package of a fake next version: the present one with another number, and `tests.support.next_version`'s table."""

from __future__ import annotations

import shutil
from pathlib import Path

from chalicelib import __version__
from tests.support import next_version

NEXT = "1.1.0"
CHANGES = {
    "chalicelib/__init__.py": (f'__version__ = "{__version__}"', f'__version__ = "{NEXT}"'),
    "chalicelib/bootstrap.py": (
        "    from chalicelib.dynamodb.table import Table\n\n    return",
        "    from next_version import NextTable as Table\n\n    return",
    ),
}


def next_release(unpacked: Path, target: Path) -> Path:
    """Copy an unpacked package to `target` and make it the next version. Return `target`."""
    shutil.copytree(unpacked, target)
    for name, (present, following) in CHANGES.items():
        path = target / name
        text = path.read_text()
        assert present in text, name
        path.write_text(text.replace(present, following))
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()  # it is not compared with its source
    assert next_version.__file__ is not None
    shutil.copyfile(next_version.__file__, target / "next_version.py")
    return target
