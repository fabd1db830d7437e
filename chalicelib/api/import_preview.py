"""The body of the preview of an import, which contains a piece of a file."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.api.requests import MAX_BODY_BYTES, check_size, invalid
from chalicelib.model.text import NAME_PATTERN

if TYPE_CHECKING:
    from importing.pieces import Piece

MOST_ENCODED: int = 4 * MAX_BODY_BYTES  # bytes of a body: a piece in Base64 or as text in JSON, and the rest

LineNumber = Annotated[int, Meta(ge=1, le=10_000_000)]
Heading = Annotated[str, Meta(max_length=200_000)]
Target = Annotated[str, Meta(min_length=1, max_length=64, pattern=NAME_PATTERN)]
EncodingName = Annotated[str, Meta(min_length=1, max_length=40)]


class AfterBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`next.after` of the preview of the piece before."""

    line: LineNumber
    header_row: LineNumber
    headings: Annotated[list[Heading], Meta(min_length=1, max_length=1_000)]
    encoding: EncodingName | None = None
    separator: Annotated[str, Meta(pattern=r'^([^\s"]|\t)$')] | None = None
    spaced: bool = False


class _Sized(Struct):
    """The members of a body that contain the piece. Others are ignored."""

    text: msgspec.Raw = msgspec.Raw()
    base64: msgspec.Raw = msgspec.Raw()


class PreviewBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a file: `text`, or the Base64 of its bytes. `more`: it is not the end of the file."""

    text: str | None = None
    base64: str | None = None
    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=NAME_PATTERN)] | None = None
    mapping: dict[Heading, Target | None] = {}
    header_row: LineNumber | None = None
    encoding: EncodingName | None = None
    sheet: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    more: bool = False
    after: AfterBody | UnsetType | None = UNSET

    @staticmethod
    def size(raw: bytes) -> int:
        """Return the size of a body without its piece, unless the body is too large in any case. The piece has a limit
        of its own: in JSON it is longer than in the file."""
        if len(raw) > MOST_ENCODED:
            return len(raw)
        try:
            sized = msgspec.json.decode(raw, type=_Sized)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return len(raw)
        return len(raw) - len(bytes(sized.text)) - len(bytes(sized.base64))


def piece_of(body: PreviewBody) -> Piece:
    """Return the piece in a body. Raises Refused."""
    from importing.pieces import After, Piece, encoding_named

    content = _content(body)
    check_size(len(content))
    after = body.after or None
    names = {"encoding": body.encoding, "after.encoding": after and after.encoding}
    known = {member: name and encoding_named(name) for member, name in names.items()}
    for member, name in names.items():
        if name is not None and known[member] is None:
            raise invalid("encoding", member)
    given = "utf-8" if body.text is not None else known["encoding"]
    so_far = after and After(
        after.line, after.header_row, after.headings, known["after.encoding"], after.separator, after.spaced
    )
    return Piece(content, body.more, so_far, given, body.header_row, body.sheet)


def _content(body: PreviewBody) -> bytes:
    if (body.text is None) == (body.base64 is None):
        raise invalid("text_or_base64")
    if body.text is not None:
        return body.text.encode()
    try:
        return binascii.a2b_base64(body.base64 or "", strict_mode=True)
    except ValueError:
        raise invalid("base64", "base64") from None
