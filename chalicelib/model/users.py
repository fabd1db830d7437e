"""The record of a user of a tenant: what their token or an admin has stated about them, and their leave. Frozen values.

Personal data of users is stored only in these records. Roles and limits in pools are those of `model.model.Member`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.model.text import NAME_PATTERN, is_blank

HeldAnswer: TypeAlias = Literal["release", "transfer"]
PrivateAnswer: TypeAlias = Literal["deposit", "transfer"]
LeaveState: TypeAlias = Literal["marking", "moving", "done", "returning"]

# The personal members of a user, which are claims of OpenID Connect too, with the most characters of each.
PERSONAL: Final = {"name": 200, "email": 254, "department": 200}


class Profile(Struct, frozen=True):
    """The claims of a verified token about its user. None: the token has no such claim, or an invalid one."""

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


class Caller(Struct, frozen=True):
    """The user of the verified token. Roles in pools are stored in the table, not in the token.

    `profile` is personal data: only GET /me stores it, and no log contains it.
    """

    tenant: str
    user: str
    admin: bool
    profile: Profile = Profile()


class Disposal(Struct, frozen=True):
    """How to dispose of a leaving user's claims and private customers. `to` is the recipient of a transfer."""

    held: HeldAnswer | None = None
    private: PrivateAnswer | None = None
    to: str | None = None

    def answers(self, reason: str) -> bool:
        """Return whether a refusal for this reason can be mended by moving customers."""
        return {"member_has_claims": self.held, "member_has_private": self.private}.get(reason) is not None


class Leave(Struct, frozen=True):
    """A user's leave from the company, since `at`, requested by the admin `by`.

    marking: their memberships are being marked, so that nothing gives them a customer any more.
    moving: their customers are being disposed of.
    done: they have none left.
    returning: an admin takes the leave back, and the marks are being removed.

    Each request has a new `id`: work for an older one no longer passes its conditions. `moved` counts the customers
    that were disposed of, and `not_transferred` those of them that the recipient could not get.
    """

    id: str
    state: LeaveState
    at: int
    by: str
    held: HeldAnswer
    private: PrivateAnswer
    to: str | None = None
    moved: int = 0
    not_transferred: int = 0

    @property
    def disposal(self) -> Disposal:
        return Disposal(self.held, self.private, self.to)


class Person(Struct, frozen=True):
    """A user as stored. Version 0 is one that is not stored.

    `seen_at` is when they first called GET /me. `set_by` maps each member that an admin has set to that admin: their
    tokens no longer change it. `leave` is set for a user who has left the company.
    """

    tenant: str
    id: str
    name: str | None = None
    email: str | None = None
    department: str | None = None
    set_by: dict[str, str] = {}
    seen_at: int | None = None
    leave: Leave | None = None
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

    def leaving(self, disposal: Disposal, request: str, admin: str, now: int) -> Person:
        """Return the user after a request to leave. A repeated request replaces the answers and keeps the counts."""
        assert disposal.held is not None and disposal.private is not None
        known = self.leave
        leave = Leave(request, "marking", now, admin, disposal.held, disposal.private, disposal.to)
        if known is not None and known.state != "returning":
            leave = replace(leave, at=known.at, moved=known.moved, not_transferred=known.not_transferred)
        return replace(self, leave=leave, version=self.version + 1)

    def returning(self, request: str) -> Person:
        """Return the user while their leave is cancelled. It is the same for a user who has not left."""
        return self if self.leave is None else replace(self, leave=replace(self.leave, id=request, state="returning"))

    def forgotten(self, admin: str) -> Person:
        """Return the user without personal data. No token stores it again, since an admin has emptied it."""
        return replace(self, **dict.fromkeys(PERSONAL), set_by=dict.fromkeys(PERSONAL, admin))
