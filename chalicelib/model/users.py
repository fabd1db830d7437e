"""The record of a user of a tenant: what their token or an admin has stated about them. Frozen values.

Personal data of users is stored only in these records. Roles and limits in pools are those of `model.model.Member`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.model.text import NAME_PATTERN, is_blank

# The personal members of a user, which are claims of OpenID Connect too, with the most characters of each.
PERSONAL: Final = {"name": 200, "email": 254, "department": 200}


class Profile(Struct, frozen=True):
    """What a verified token states about its user. None: the token has no such claim, or an invalid one."""

    name: str | None = None
    email: str | None = None
    department: str | None = None


def profile_of(claims: Mapping[str, Any]) -> Profile:
    """Return the profile in these claims. A claim that is no proper text is left out: it denies nobody access."""
    return Profile(**{name: _text(claims.get(name), longest) for name, longest in PERSONAL.items()})


def _text(claim: Any, longest: int) -> str | None:
    if not isinstance(claim, str) or len(claim) > longest or re.search(NAME_PATTERN, claim) is None:
        return None
    if any("\ud800" <= sign <= "\udfff" for sign in claim):  # has no UTF-8 form
        return None
    return None if is_blank(claim) else claim


class Person(Struct, frozen=True):
    """A user as stored. Version 0 is one that is not stored.

    `seen_at` is when they first called GET /me. `set_by` maps each member that an admin has set to that admin: their
    tokens no longer change it.
    """

    tenant: str
    id: str
    name: str | None = None
    email: str | None = None
    department: str | None = None
    set_by: dict[str, str] = {}
    seen_at: int | None = None
    version: int = 0

    @property
    def seen(self) -> bool:
        return self.seen_at is not None

    def introduced(self, profile: Profile, now: int) -> Person:
        """Return the user after GET /me. It is the same, at the same version, if nothing differs."""
        stated = {name: text for name in PERSONAL if (text := getattr(profile, name)) is not None}
        changes = {name: text for name, text in stated.items() if name not in self.set_by}
        after = replace(self, seen_at=now if self.seen_at is None else self.seen_at, **changes)
        return self if after == self else replace(after, version=self.version + 1)

    def set_to(self, given: Mapping[str, str | None], admin: str) -> Person:
        """Return the user with these members set by an admin. None empties one, and returns it to the token."""
        kept = {name: by for name, by in self.set_by.items() if name not in given}
        now_set = {name: admin for name, text in given.items() if text is not None}
        return replace(self, **given, set_by=kept | now_set, version=self.version + 1)

    def forgotten(self, admin: str) -> Person:
        """Return the user without personal data. No token stores it again, since an admin has emptied it."""
        return replace(self, **dict.fromkeys(PERSONAL), set_by=dict.fromkeys(PERSONAL, admin))
