"""Files that are there whole or not at all, however their writer ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """A file to write, which gets its name when all went well: two tools may start at once, and either may be
    interrupted. Raises OSError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode))
        yield draft
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a write that fails does not say where
        raise


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    with drafted(path, mode) as draft:
        draft.write_bytes(content)
