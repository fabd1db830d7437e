"""What may be logged or kept of an exception: which it is and where it came from. Never a text that may quote a
customer.

A record that does not read as one says in its exception what stands there instead, a refused transaction what was to
be written. So no traceback is logged either: it ends in that text.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any, Final

import msgspec

FRAMES: Final = 8
_QUOTED = re.compile(r"^(Invalid (?:enum )?value) .*?(?: - at `[^`]*`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*?)`(?: - at `[^`]*`)?$", re.DOTALL)
_WORD = re.compile(r"[a-z_]{1,32}")
_WHERE = re.compile(r" - at `[^`]*`$")


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


def unquoted_rule(error: msgspec.ValidationError, kind: Any) -> str:
    """As `unquoted`, for the rules of a policy: a name that is none of them is quoted if it is a plain word."""
    unknown = _UNKNOWN.match(str(error))
    return str(error) if unknown and _WORD.fullmatch(unknown[1]) else unquoted(error, kind)


def unquoted(error: msgspec.ValidationError, kind: Any) -> str:
    """What is wrong with a value of that type, without the value: an Idempotency-Key keeps it with the refusal."""
    text = str(error)
    where = _WHERE.search(text)
    place = "" if where is None else where[0]
    if quoted := _QUOTED.match(text):
        return quoted[1] + place
    if not _UNKNOWN.match(text):
        return text
    return f"Object contains an unknown field{place or ', expected ' + ', '.join(_members(kind))}"


def _members(kind: Any) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
