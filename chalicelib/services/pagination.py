"""Encode and decode the pagination cursors of lists.

A cursor is opaque to clients and grants no access: it holds a position, never a key. A digest with the secret of the
stack binds it to its list: a cursor that a client altered or made, or one of another list, is rejected. Keys are always
built from the request's own tenant and pool. A position that the client must not see is encrypted.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
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


class CursorCodec:
    """Encode and decode cursors of the list that `scope` identifies. `secret` is the secret of the stack."""

    def __init__(self, secret: KeySecret, *scope: str) -> None:
        self._secret, self._scope = secret, "\n".join(scope)

    def write(self, position: Any, *, hidden: bool = False) -> str:
        """Return the cursor, encrypted if the client must not see the position."""
        content = msgspec.json.encode(position)
        return self._text(self._encrypted(content) if hidden else content)

    def read(self, text: str | None, kind: type[T]) -> T | None:
        """Return the position in the cursor, or None if `text` is None. Raises Refused if the cursor is invalid."""
        if text is None:
            return None
        try:
            raw = urlsafe_b64decode(text[:_LONGEST].encode("ascii") + b"=" * (-len(text) % 4))
            content = raw[_DIGEST:]
            if compare_digest(self._digest(content), raw[:_DIGEST]):
                hidden = content.startswith(_ENCRYPTED)
                position = msgspec.json.decode(self._decrypted(content) if hidden else content, type=kind)
                # Encode again and compare: a non-canonical encoding of the same cursor is rejected.
                if self.write(position, hidden=hidden) == text:
                    return position
        except (ValueError, msgspec.MsgspecError):
            pass
        raise Refused(Refusal("invalid_cursor"))

    def _text(self, content: bytes) -> str:
        return urlsafe_b64encode(self._digest(content) + content).decode().rstrip("=")

    # AES-SIV needs no nonce: equal positions give equal cursors, and an altered one is rejected.

    def _encrypted(self, content: bytes) -> bytes:
        return _ENCRYPTED + self._cipher().encrypt(content, None)

    def _decrypted(self, content: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher().decrypt(content[1:], None)
        except InvalidTag:
            raise ValueError("not encrypted with this secret for this list") from None

    def _cipher(self) -> AESSIV:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # imported on first use: few lists encrypt

        return AESSIV(self._key("position"))

    def _digest(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_DIGEST, key=self._key("cursor")).digest()

    def _key(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose: no client can make a cursor, and none of one list is valid in another."""
        return self._secret.digest(f"{purpose}\n{self._scope}")[-32:].encode()
