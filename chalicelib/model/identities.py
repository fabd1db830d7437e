"""Maps token subjects, and the users that requests name, to user ids. Pure functions of text.

A subject that fits an id is the id. Any other one, any that begins with `u_`, and the reserved ones are mapped to `u_`
and the beginning of its digest, so that no subject can take the id of another one.
"""

from __future__ import annotations

import re
from base64 import b32encode
from hashlib import sha256
from typing import Annotated, Any, Final, TypeAlias, final

from msgspec import Meta

from chalicelib.model.text import IDENTIFIER

PREFIX: Final = "u_"
CALLER: Final = "me"  # names the caller in a request
SYSTEM: Final = "system"  # names the scheduler in an event
DIGITS: Final = 26  # of the digest: 130 bits, more than two subjects will ever share
LONGEST_SUBJECT: Final = 1_024  # characters that a request may send; OpenID Connect allows 255

_MAPPED: Final = re.compile(rf"{PREFIX}[a-z2-7]{{{DIGITS}}}")
_SUBJECT: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{LONGEST_SUBJECT}}}")
USER_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_SUBJECT,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
    "examples": ["alice", "auth0|5f7c8ec7c33c6c004bbafe82"],
}


def user_of(subject: str) -> str:
    """Return the id of the user with that subject. Raise ValueError for a subject that has no UTF-8 form."""
    if IDENTIFIER.fullmatch(subject) and not subject.startswith(PREFIX) and subject not in (CALLER, SYSTEM):
        return subject
    digest = b32encode(sha256(subject.encode()).digest()).decode("ascii")
    return PREFIX + digest[:DIGITS].lower()


def user_named(text: str) -> str:
    """Return the id of the user that a request names, by the id that answers show or by the subject.

    A mapped id stays as it is, and so does `me`, by which a request names its caller. Raise ValueError for text that
    is empty, too long or contains control characters.
    """
    if _MAPPED.fullmatch(text) or text == CALLER:
        return text
    if _SUBJECT.fullmatch(text) is None:
        raise ValueError("user")  # a key of `validation.SENTENCES`
    return user_of(text)


@final
class UserRef:
    """The user that a request names. Decoding creates it, so no route can use the raw text."""

    __slots__ = ("id",)

    def __init__(self, text: str) -> None:
        self.id = user_named(text)


def decode_user(kind: type, given: object) -> UserRef:
    """Decode a `UserRef`, as msgspec's `dec_hook`. Raise ValueError for an invalid value."""
    if kind is not UserRef:
        raise NotImplementedError(kind)
    if not isinstance(given, str):
        raise ValueError("user")
    return UserRef(given)


User: TypeAlias = Annotated[UserRef, Meta(extra_json_schema=USER_SCHEMA)]
