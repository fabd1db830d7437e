"""Encode and decode the pagination cursors of lists.

A cursor is opaque to clients and grants no access: it holds a position, never a key. A digest binds it to its list, so
an altered cursor, or one of another list, is rejected. Keys are always built from the request's own tenant and pool.
A position that the client must not see is encrypted.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from chalicelib.model.contact_keys import KeySecret
from chalicelib.model.errors import Refusal, Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

T = TypeVar("T")
_DIGEST: Final = 9
_ENCRYPTED: Final = b"\0"  # no JSON begins with it
_LONGEST: Final = 512


class Cursor:
    """Encode and decode cursors of the list that `scope` identifies."""

    def __init__(self, *scope: str) -> None:
        self._scope = "\n".join(scope).encode()

    def write(self, position: Any, secret: KeySecret | None = None) -> str:
        """Return the cursor, encrypted with the secret if there is one."""
        content = msgspec.json.encode(position)
        return self._text(content if secret is None else self._encrypted(content, secret))

    def read(self, text: str | None, kind: type[T], secret: KeySecret | None = None) -> T | None:
        """Return the position in the cursor, or None if `text` is None. Raises Refused if the cursor is invalid."""
        if text is None:
            return None
        try:
            raw = urlsafe_b64decode(text[:_LONGEST].encode("ascii") + b"=" * (-len(text) % 4))
            content = raw[_DIGEST:]
            if self._digest(content) == raw[:_DIGEST]:
                encrypted = secret is not None and content.startswith(_ENCRYPTED)
                plain = self._decrypted(content, secret) if encrypted and secret is not None else content
                position = msgspec.json.decode(plain, type=kind)
                # Encode again and compare: a non-canonical encoding of the same cursor is rejected.
                if self.write(position, secret if encrypted else None) == text:
                    return position
        except (ValueError, msgspec.MsgspecError):
            pass
        raise Refused(Refusal("invalid_cursor"))

    def _text(self, content: bytes) -> str:
        return urlsafe_b64encode(self._digest(content) + content).decode().rstrip("=")

    # AES-SIV needs no nonce: equal positions give equal cursors, and an altered one is rejected.

    def _encrypted(self, content: bytes, secret: KeySecret) -> bytes:
        return _ENCRYPTED + self._cipher(secret).encrypt(content, [self._scope])

    def _decrypted(self, content: bytes, secret: KeySecret) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher(secret).decrypt(content[1:], [self._scope])
        except InvalidTag:
            raise ValueError("not encrypted with this secret for this list") from None

    def _cipher(self, secret: KeySecret) -> AESSIV:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # imported on first use: few lists encrypt

        return AESSIV(blake2b(secret.digest("cursor").encode(), digest_size=32).digest())

    def _digest(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_DIGEST, key=blake2b(self._scope, digest_size=32).digest()).digest()
