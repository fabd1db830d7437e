"""Reading the body of one HTTP/1.1 request: declared or chunked, bounded, and never waiting for more than was promised.

After any error here the connection is out of step with the client and has to be closed.
"""

from __future__ import annotations

from email.message import Message
from io import BufferedIOBase

MAX_BODY = 10 * 1024 * 1024  # bytes, as API Gateway has it
MAX_CHUNK_LINE = 1024  # a chunk's size in hex and its extensions


class BodyMalformed(Exception):
    """The framing of the body makes no sense, or the client stopped before the end."""


class BodyTooLarge(Exception):
    """More than `MAX_BODY` bytes, announced or sent."""


def refuse_broken(headers: Message) -> None:
    """Raise `BodyMalformed` for headers that two readers could understand differently.

    The parser stops at a line that it does not know, so a Content-Length after it would be overlooked.
    """
    folded = any("\n" in value or "\r" in value for value in headers.values())
    if headers.defects or headers.get_payload() or folded:
        raise BodyMalformed


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """The whole body, empty if there is none. Raises `BodyMalformed`, `BodyTooLarge`, and `OSError` from the socket."""
    codings = headers.get_all("transfer-encoding", [])
    lengths = headers.get_all("content-length", [])
    if codings:
        # Both at once is how one request is smuggled inside another (RFC 9112, 6.1).
        if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise BodyMalformed
        return _read_chunks(stream)
    return _read_exactly(stream, declared_length(lengths))


def declared_length(lengths: list[str]) -> int:
    """The one Content-Length, 0 if there is none. Raises `BodyMalformed`, `BodyTooLarge`."""
    values = {length.strip() for length in lengths}
    if not values:
        return 0
    value = values.pop()
    # Only ASCII digits: int() would also take "+5", "5_0" and digits of other scripts.
    if values or not (value.isascii() and value.isdigit()):
        raise BodyMalformed
    if len(value) > 18 or int(value) > MAX_BODY:
        raise BodyTooLarge
    return int(value)


def _read_exactly(stream: BufferedIOBase, length: int) -> bytes:
    body = stream.read(length) if length else b""
    if len(body) != length:
        raise BodyMalformed
    return body


def _read_chunks(stream: BufferedIOBase) -> bytes:
    body = bytearray()
    while size := _chunk_size(stream):
        if len(body) + size > MAX_BODY:
            raise BodyTooLarge
        body += _read_exactly(stream, size)
        if _read_line(stream) != b"":
            raise BodyMalformed
    _skip_trailers(stream)
    return bytes(body)


def _chunk_size(stream: BufferedIOBase) -> int:
    digits = _read_line(stream).split(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BodyMalformed
    return int(digits, 16)


def _skip_trailers(stream: BufferedIOBase) -> None:
    for _ in range(100):
        if _read_line(stream) == b"":
            return
    raise BodyMalformed


def _read_line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(MAX_CHUNK_LINE + 1)
    if not line.endswith(b"\n") or len(line) > MAX_CHUNK_LINE:
        raise BodyMalformed
    return line.rstrip(b"\r\n")
