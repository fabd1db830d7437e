"""Encode and decode the pagination cursors of lists.

A cursor is opaque to clients and grants no access: it holds a position, never a key. A digest binds it to its list, so
an altered cursor, or one of another list, is rejected. Keys are always built from the request's own tenant and pool.
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
    """Encode and decode cursors of the list that `scope` identifies."""

    def __init__(self, *scope: str) -> None:
        self._scope = "\n".join(scope).encode()

    def write(self, position: Any) -> str:
        content = msgspec.json.encode(position)
        return urlsafe_b64encode(self._digest(content) + content).decode().rstrip("=")

    def read(self, text: str | None, kind: type[T]) -> T | None:
        """Return the position in the cursor, or None if `text` is None. Raises Refused if the cursor is invalid."""
        if text is None:
            return None
        try:
            raw = urlsafe_b64decode(text[:_LONGEST].encode("ascii") + b"=" * (-len(text) % 4))
            content = raw[_DIGEST:]
            # Encode again and compare: a non-canonical encoding of the same cursor is rejected.
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
