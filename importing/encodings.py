"""Detect the encoding of a text file: UTF-8, UTF-16 or GB18030.

A few undecodable lines do not change the encoding of the others. Many byte sequences of other encodings are valid
GB18030, so a text with characters that Chinese text rarely contains is reported.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from importing.problems import Problem, Unreadable, problem

Source: TypeAlias = Callable[[], BinaryIO]  # opens the file at its beginning
PIECE: Final = 1 << 16
_MARKS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SEPARATORS: Final = "\n\r,;\t"


class Encoding(NamedTuple):
    """`clean`: every line can be decoded. `warning`: the text may have another encoding."""

    name: str
    clean: bool = True
    warning: Problem | None = None


def detect(source: Source) -> Encoding:
    """Return the encoding of a text. Raises `Unreadable` if most lines have none of the three."""
    with source() as file:
        start = file.read(PIECE)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return Encoding(name, clean=_decodes(source, name))
    if b"\0" in start and (wide := _utf_16(start)):
        return Encoding(wide, clean=_decodes(source, wide))
    if _decodes(source, "utf-8"):
        return Encoding("utf-8")
    return _by_lines(source)


def check(source: Source, name: str) -> Encoding:
    """Return a given encoding. Raises `Unreadable` if most lines cannot be decoded."""
    if _decodes(source, name):
        return Encoding(name)
    with source() as file:
        lines = [line for line in file if not line.isascii()]
    if name.startswith("utf-16") or 2 * sum(_valid(line, name) for line in lines) < len(lines):
        raise Unreadable("not_that_encoding", encoding=name)
    return Encoding(name, clean=False)


def continued(source: Source, name: str) -> Encoding:
    """Return the encoding of a later piece of a text, whose first piece has the encoding `name`."""
    if name != "gb18030":
        return Encoding(name, clean=_decodes(source, name))
    rare, clean = _Rare(), True
    with source() as file:
        for line in file:
            if _valid(line, name):
                rare.count(line.decode(name))
            else:
                clean = False
    return Encoding(name, clean, rare.warning)


def wide(start: bytes) -> str | None:
    """Return which UTF-16 a text has that begins like this; None for another encoding."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if start.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    return _utf_16(start) if b"\0" in start else None


def _utf_16(start: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: its separators have a zero byte, its text contains no NUL.

    A text of another encoding may contain NULs, also beside its line breaks.
    """
    if not start.isascii() and _begins_as_utf_8(start):
        return None
    for name in ("utf-16-le", "utf-16-be"):
        text = start[: len(start) // 2 * 2].decode(name, errors="replace")
        lines = "\r" in text or 4 * text.count("\n") >= start.count(b"\n")
        if lines and "\0" not in text and any(sign in text for sign in _SEPARATORS):
            return name
    return None


def _begins_as_utf_8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _decodes(source: Source, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with source() as file:
            while piece := file.read(PIECE):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _by_lines(source: Source) -> Encoding:
    """Choose between UTF-8 and GB18030 by the number of lines that each can decode."""
    lines = utf_8 = gb18030 = 0
    rare = _Rare()
    with source() as file:
        for line in file:
            if line.isascii():
                continue
            lines += 1
            utf_8 += _valid(line, "utf-8")
            if _valid(line, "gb18030"):
                gb18030 += 1
                rare.count(line.decode("gb18030"))
    if 2 * utf_8 > lines:
        return Encoding("utf-8", clean=False)
    if 2 * gb18030 > lines:
        return Encoding("gb18030", clean=gb18030 == lines, warning=rare.warning)
    raise Unreadable("no_encoding")


def _valid(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


class _Rare:
    """The characters outside GB2312, the set of usual Chinese characters."""

    def __init__(self) -> None:
        self.signs, self.outside, self.example = 0, 0, ""

    def count(self, text: str) -> None:
        signs = [sign for sign in text if not sign.isascii()]
        self.signs += len(signs)
        if _valid_in_gb2312(text):
            return
        outside = [sign for sign in signs if not _valid_in_gb2312(sign)]
        self.outside += len(outside)
        if not self.example:
            words = text.replace(",", " ").replace(";", " ").replace("\t", " ").replace('"', " ").split()
            self.example = next((word[:40] for word in words if outside[0] in word), outside[0])

    @property
    def warning(self) -> Problem | None:
        if not self.outside:
            return None
        return problem("other_encoding", outside=self.outside, signs=self.signs, example=self.example)


def _valid_in_gb2312(text: str) -> bool:
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
