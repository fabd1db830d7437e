"""Cursors: where a list goes on. Opaque to clients, and without authority: a cursor names a position, never a key.

The list that a cursor belongs to is checked by a digest, so one that was altered, or comes from another list, is
refused rather than misread. Keys are always built from the request's own tenant and pool.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Final, TypeVar

import msgspec

from chalicelib.model.errors import Refusal, Refused

T = TypeVar("T")
_DIGEST: Final = 9
_LONGEST: Final = 512


class Cursor:
    """The cursors of one list, which is named by everything that makes it what it is."""

    def __init__(self, *scope: str) -> None:
        self._scope = "\n".join(scope).encode()

    def write(self, position: Any) -> str:
        content = msgspec.json.encode(position)
        return urlsafe_b64encode(self._digest(content) + content).decode().rstrip("=")

    def read(self, text: str | None, kind: type[T]) -> T | None:
        """The position in that cursor; None where there is no cursor yet. Raises Refused for any other text."""
        if text is None:
            return None
        try:
            raw = urlsafe_b64decode(text[:_LONGEST].encode("ascii") + b"=" * (-len(text) % 4))
            content = raw[_DIGEST:]
            # Written again, so that no second spelling of a cursor passes for it.
            if (
                self._digest(content) == raw[:_DIGEST]
                and self.write(position := msgspec.json.decode(content, type=kind)) == text
            ):
                return position
        except (ValueError, msgspec.MsgspecError):
            pass
        raise Refused(Refusal("invalid_cursor"))

    def _digest(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_DIGEST, key=blake2b(self._scope, digest_size=32).digest()).digest()
