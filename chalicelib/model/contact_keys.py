"""The keys of a customer: digests of its phone numbers and e-mail addresses, by which imports and searches find it.

The package `importing` finds the numbers and addresses in a value, so the service and the command line agree about
them. The table contains only keyed digests: every phone number can be tried, so a digest without a key reveals it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from chalicelib.model.normalization import KINDS, Kind
from importing import MAX_KEYS

_DIGEST_DIGITS: Final = 32


class KeySecret(Struct, frozen=True):
    """The secret of a stack, and its version, which every digest names."""

    version: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"KeySecret({self.version!r})"

    def digest(self, text: str) -> str:
        """Return `<key version>.<digest>` of a normalized value: HMAC-SHA-256. Raises RuntimeError without a secret."""
        if not self.secret:
            raise RuntimeError("KEY_SECRET is not set")
        return f"{self.version}.{hmac.digest(self.secret.encode(), text.encode(), 'sha256').hex()[:_DIGEST_DIGITS]}"


def contacts_in(kind: Kind, written: Any, region: str) -> list[str]:
    """Return the normalized phone numbers (E.164) or e-mail addresses in a value. `region` completes numbers."""
    if written is None or written == "":
        return []
    if kind == "email":
        from importing.emails import email_keys  # both are loaded on use: a cold start has no key to compute

        return email_keys(written)
    from importing.phones import phone_keys

    return phone_keys(written, region)


def key_of(kind: Kind, contact: str, secret: KeySecret) -> str:
    """Return the key of a normalized contact. It may be part of a table key."""
    return f"{kind}#{secret.digest(contact)}"


def keys_of_kind(
    kind: Kind, fields: Mapping[str, Any], kinds: Mapping[str, Kind], region: str, secret: KeySecret
) -> list[str]:
    """Return the keys in all fields of a kind. `kinds` names the fields that hold contacts."""
    contacts = [
        contact
        for name, each in kinds.items()
        if each == kind
        for contact in contacts_in(kind, fields.get(name), region)
    ]
    return [key_of(kind, contact, secret) for contact in dict.fromkeys(contacts)]


def contact_keys(
    fields: Mapping[str, Any], kinds: Mapping[str, Kind], region: str, secret: KeySecret
) -> tuple[str, ...]:
    """Return the keys in a customer's fields: first the first of each kind, then the others, MAX_KEYS at most."""
    found = [keys_of_kind(kind, fields, kinds, region, secret) for kind in KINDS]
    ordered = [key for keys in found for key in keys[:1]] + [key for keys in found for key in keys[1:]]
    return tuple(ordered[:MAX_KEYS])
