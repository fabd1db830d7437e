"""What may be logged of an exception: which it is and where it came from. Never a text that may quote a
customer.

A record that does not read as one says in its exception what stands there instead, a refused transaction what was to
be written. So no traceback is logged either: it ends in that text.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

FRAMES: Final = 8


def outline(error: BaseException) -> str:
    """`KeyError at layout.py:268 plain < copies.py:128 record; from …`: the innermost place first, then the cause."""
    told: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        places = reversed(traceback.extract_tb(cause.__traceback__)[-FRAMES:])
        told.append(f"{type(cause).__name__} at {' < '.join(_place(frame) for frame in places)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "; from ".join(told)


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
