"""The keys of a customer: digests of its phone numbers, e-mail addresses and external id, by which it is found.

The package `importing` finds the numbers and addresses in a value, so the service and the command line agree about
them. The table contains only keyed digests: every phone number can be tried, so a digest without a key reveals it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from chalicelib.model.normalization import KINDS, Kind, fold_name
from importing import MAX_KEYS

KeyKind: TypeAlias = Literal["phone", "email", "external_id"]
KEY_KINDS: Final[tuple[KeyKind, ...]] = ("phone", "email", "external_id")  # in the order in which they identify
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


def contacts_in(kind: KeyKind, written: Any, region: str) -> list[str]:
    """Return the normalized phone numbers (E.164), e-mail addresses or external id in a value.

    `region` is the country of phone numbers without a country code.
    """
    if written is None or written == "":
        return []
    if kind == "external_id":
        return [folded] if (folded := fold_name(str(written))) else []
    if kind == "email":
        from importing.emails import email_keys  # both are loaded on use: a cold start has no key to compute

        return email_keys(written)
    from importing.phones import phone_keys

    return phone_keys(written, region)


def key_of(kind: KeyKind, contact: str, secret: KeySecret) -> str:
    """Return the key of a normalized contact. It may be part of a table key."""
    return f"{kind}#{secret.digest(contact)}"


def keys_of_kind(
    kind: KeyKind, fields: Mapping[str, Any], kinds: Mapping[str, Kind], region: str, secret: KeySecret
) -> list[str]:
    """Return the keys in all fields of a kind. `kinds` names the fields that hold contacts."""
    names = [kind] if kind == "external_id" else [name for name, each in kinds.items() if each == kind]
    contacts = [contact for name in names for contact in contacts_in(kind, fields.get(name), region)]
    return [key_of(kind, contact, secret) for contact in dict.fromkeys(contacts)]


def contact_keys(
    fields: Mapping[str, Any], kinds: Mapping[str, Kind], region: str, secret: KeySecret
) -> tuple[str, ...]:
    """Return the keys in a customer's fields: first the first of each kind, then the others, MAX_KEYS at most."""
    found = [keys_of_kind(kind, fields, kinds, region, secret) for kind in KEY_KINDS]
    ordered = [key for keys in found for key in keys[:1]] + [key for keys in found for key in keys[1:]]
    return tuple(ordered[:MAX_KEYS])


def of_people(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of phone numbers and e-mail addresses: those by which somebody is contacted."""
    return tuple(key for key in keys if key.partition("#")[0] in KINDS)
