"""Atomic files: a file appears with its complete content or not at all, even if its writer is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_draft(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a draft to write; rename it to `path` on success and delete it on an error. Raises OSError.

    The draft's name contains the process id, so two processes may write the same file at once.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode))
        yield draft
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # A failed write has no file name, and users do not know the draft.
            error.filename = str(path) if error.filename in (None, draft, str(draft)) else error.filename
        raise


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    with atomic_draft(path, mode) as draft:
        draft.write_bytes(content)
