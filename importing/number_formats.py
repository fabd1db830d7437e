"""Find the cells of an .xlsx sheet whose number format changes what people see: leading zeros and percent.

The workbook reader returns only values. Formats of other kinds of workbooks are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from posixpath import join, normpath
from typing import Final, TypeAlias
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from importing.encodings import Source

Position: TypeAlias = tuple[int, int]  # row and column, from 0
Attributes: TypeAlias = dict[str, str]

_BUILT_IN: Final = {"9": "0%", "10": "0.00%"}
_CELL: Final = re.compile(r"([A-Z]+)(\d+)")
_LITERAL: Final = re.compile(r'"([^"]*)"|\\(.)|_.|\[[^\]]*\]')
_PERCENT: Final = re.compile(r"[0#,]*0(?:\.(0+))?\s?%")
_ZEROS: Final = re.compile(r"[0\s()/.-]*0[\s()/.-]*0[0\s()/.-]*")
_WORKBOOK: Final = "xl/workbook.xml"


def formats(source: Source, sheet: str) -> dict[Position, str]:
    """Return the number format of each cell whose format matters. Empty for a file that is no .xlsx workbook."""
    try:
        with source() as file, ZipFile(file) as archive:
            codes = {style: code for style, code in _styles(archive) if matters(code)}
            return dict(_cells(archive, _part(archive, sheet), codes)) if codes else {}
    except (BadZipFile, KeyError, ExpatError, ValueError):
        return {}


def matters(code: str) -> bool:
    return _shape(code) is not None


def shown(number: float, code: str) -> str | float:
    """Return a number as Excel shows it in one of these formats."""
    shape = _shape(code)
    if shape is not None and (percent := _PERCENT.fullmatch(shape)):
        places = Decimal(1).scaleb(-len(percent[1] or ""))
        return f"{(Decimal(repr(number)) * 100).quantize(places, ROUND_HALF_UP)}%"
    if shape is None or number < 0 or not number.is_integer():
        return number
    zeros = shape.count("0")
    digits = f"{int(number):0{zeros}d}"
    ahead, rest = digits[: len(digits) - zeros], iter(digits[len(digits) - zeros :])
    return ahead + "".join(next(rest) if sign == "0" else sign for sign in shape)


def _shape(code: str) -> str | None:
    """Return the format of positive numbers without literal marks, or None for a format that does not matter."""
    positive = code.partition(";")[0]
    shape = _LITERAL.sub(lambda found: found[2] or "", positive)
    return shape if _PERCENT.fullmatch(shape) or _ZEROS.fullmatch(shape) else None


# The parts of an .xlsx file


def _elements(archive: ZipFile, part: str, found: Callable[[str, Attributes], None]) -> None:
    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: found(name.rpartition(" ")[2], attributes)
    with archive.open(part) as xml:
        parser.ParseFile(xml)


def _styles(archive: ZipFile) -> list[tuple[str, str]]:
    """Return the number format of each cell style, by its index."""
    codes, styles, inside = dict(_BUILT_IN), list[str](), [""]

    def found(name: str, attributes: Attributes) -> None:
        if name == "numFmt":
            codes[attributes["numFmtId"]] = attributes["formatCode"]
        elif name in ("cellStyleXfs", "cellXfs", "cellStyles", "dxfs"):
            inside[0] = name
        elif name == "xf" and inside[0] == "cellXfs":
            styles.append(attributes.get("numFmtId", "0"))

    _elements(archive, "xl/styles.xml", found)
    return [(str(index), codes.get(number, "")) for index, number in enumerate(styles)]


def _part(archive: ZipFile, sheet: str) -> str:
    """Return the name of the part that contains a sheet."""
    sheets, targets = dict[str, str](), dict[str, str]()

    def in_workbook(name: str, attributes: Attributes) -> None:
        if name == "sheet":
            relation = next(value for key, value in attributes.items() if key.endswith("relationships id"))
            sheets[attributes["name"]] = relation

    def in_relations(name: str, attributes: Attributes) -> None:
        if name == "Relationship":
            targets[attributes["Id"]] = attributes["Target"]

    _elements(archive, _WORKBOOK, in_workbook)
    _elements(archive, "xl/_rels/workbook.xml.rels", in_relations)
    return normpath(join("xl", targets[sheets[sheet]])).lstrip("/")


def _cells(archive: ZipFile, part: str, codes: dict[str, str]) -> Iterator[tuple[Position, str]]:
    marked = list[tuple[str, str]]()

    def found(name: str, attributes: Attributes) -> None:
        if name == "c" and attributes.get("s") in codes:
            marked.append((attributes.get("r", ""), codes[attributes["s"]]))

    _elements(archive, part, found)
    for reference, code in marked:
        if place := _CELL.fullmatch(reference):
            yield (int(place[2]) - 1, _column(place[1])), code


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
