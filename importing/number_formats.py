"""Scan an .xlsx sheet: cells whose number format changes what people see (leading zeros and percent), formulas that may
have no stored result, errors, and its extent.

The workbook reader returns only values, and it reserves memory for every cell between the first and the last one. Other
kinds of workbooks are not scanned.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from itertools import takewhile
from operator import itemgetter
from posixpath import join, normpath
from typing import Final, NamedTuple, TypeAlias
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from importing.encodings import Source
from importing.values import NOTHING

Position: TypeAlias = tuple[int, int]  # row and column, from 0
Attributes: TypeAlias = dict[str, str]
OnText: TypeAlias = Callable[[str], None]

_BUILT_IN: Final = {"9": "0%", "10": "0.00%"}
_CELL: Final = re.compile(r"([A-Za-z]{1,7})(\d{1,10})")
_PIECE: Final = 1 << 20
_SIGN: Final = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[[^\]]*\]|(.)', re.DOTALL)
_PERCENT: Final = re.compile(r"[0#,]*[0#](?:\.(0*)(#*))?%")
_DIGIT: Final = re.compile("[0#?]")
_ALONE: Final = frozenset("-+() ")  # signs that a format shows without quotation marks
_WORKBOOK: Final = "xl/workbook.xml"


class Scan(NamedTuple):
    """The number format of each cell whose format matters, and how many cells the sheet spans. `unsure` are the cells
    that have no value if they are empty: those with an error other than #N/A, and with a formula that some program has
    not calculated."""

    formats: dict[Position, str]
    cells: int
    unsure: frozenset[Position]


def scan(source: Source, sheet: str) -> Scan | None:
    """Return the scan of a sheet. None for a file that is no sound .xlsx workbook."""
    try:
        with source() as file, ZipFile(file) as archive:
            codes = {style: code for style, code in _styles(archive) if matters(code)}
            return _cells(archive, _part(archive, sheet), codes)
    except (BadZipFile, KeyError, ExpatError, ValueError, OverflowError, zlib.error):
        return None


def unpacked_size(source: Source) -> int | None:
    """Return the size of a workbook when unpacked. None for a file that is no sound .xlsx workbook.

    Unpacks every part, since the sizes that an archive states may be false.
    """
    try:
        with source() as file, ZipFile(file) as archive:
            if _WORKBOOK not in archive.namelist():
                return None
            for each in archive.infolist():
                with archive.open(each) as part:
                    while part.read(_PIECE):
                        pass
            return sum(each.file_size for each in archive.infolist())
    except (BadZipFile, KeyError, ValueError, OSError, EOFError, RuntimeError, NotImplementedError, zlib.error):
        return None


def matters(code: str) -> bool:
    return _percent(code) is not None or _zeros(code) is not None


def shown(number: float, code: str) -> str | float:
    """Return a number as Excel shows it in one of these formats."""
    if (percent := _percent(code)) is not None:
        least, most = percent
        text = str((Decimal(repr(number)) * 100).quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP))
        spare = min(most - least, len(text) - len(text.rstrip("0"))) if most else 0
        return f"{text[: len(text) - spare].removesuffix('.')}%"
    signs = _zeros(code)
    if signs is None or number < 0 or not number.is_integer():
        return number
    places = "".join(sign for sign, written in signs if not written)
    width = len(places) - places.find("0") if "0" in places else 1
    digits = f"{int(number):0{width}d}"
    spare = max(len(digits) - len(places), 0)  # the first place shows these digits too
    rest = iter([""] * (len(places) - len(digits)) + [digits[: spare + 1], *digits[spare + 1 :]])
    return "".join(sign if written else next(rest) for sign, written in signs)


def _signs(code: str) -> list[tuple[str, bool]]:
    """Return the signs of the format of positive numbers, each with whether it is shown as it is written."""
    signs = list[tuple[str, bool]]()
    for quoted, escaped, plain in _SIGN.findall(code.partition(";")[0]):
        signs += [(sign, True) for sign in quoted or escaped] or [(plain, False)] * bool(plain)
    return signs


def _percent(code: str) -> tuple[int, int] | None:
    """Return the least and the most decimal places of a percent format. None for another format."""
    found = _PERCENT.fullmatch("".join(sign for sign, written in _signs(code) if not written and sign != " "))
    if found is None:
        return None
    least = len(found[1] or "")
    return least, least + len(found[2] or "")


def _zeros(code: str) -> list[tuple[str, bool]] | None:
    """Return the signs of a format that shows leading zeros, or digits in front of the number. None for another one.

    `0.00`, `#,##0` and `# ?/?` show numbers in another way.
    """
    signs = [(sign, written or sign in _ALONE) for sign, written in _signs(code)]
    places = "".join(sign for sign, written in signs if not written)
    if not places or not all(map(_DIGIT.match, places)):
        return None
    ahead = "".join(sign for sign, _ in takewhile(itemgetter(1), signs))
    return signs if places.count("0") >= 2 or re.search(r"[\d+]", ahead) else None


# The parts of an .xlsx file


def _elements(archive: ZipFile, part: str, found: Callable[[str, Attributes], OnText | None]) -> None:
    """Call `found` for each element. It may return a function for the text inside."""
    parser = ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def start(name: str, attributes: Attributes) -> None:
        parser.CharacterDataHandler = found(name.rpartition(" ")[2], attributes)

    parser.StartElementHandler = start
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


def _cells(archive: ZipFile, part: str, codes: dict[str, str]) -> Scan:
    marked, extent, unsure = dict[Position, str](), [0, 0], set[Position]()
    row, column, style, kind = 0, 0, "", ""

    def error(text: str) -> None:
        if text not in NOTHING:
            unsure.add((row - 1, column - 1))

    def found(name: str, attributes: Attributes) -> OnText | None:
        nonlocal row, column, style, kind
        if name == "row":
            row, column = int(attributes["r"]) if "r" in attributes else row + 1, 0
        elif name == "c":
            place = _CELL.fullmatch(attributes.get("r", ""))
            row, column = (int(place[2]), _column(place[1]) + 1) if place else (row, column + 1)
            style, kind = attributes.get("s", ""), attributes.get("t", "")
        elif name == "f" and kind not in ("str", "e"):  # the result may be an empty text
            unsure.add((row - 1, column - 1))
        elif name in ("v", "is"):
            extent[0], extent[1] = max(extent[0], row), max(extent[1], column)
            if style in codes:
                marked[row - 1, column - 1] = codes[style]
            return error if kind == "e" else None
        return None

    _elements(archive, part, found)
    return Scan(marked, extent[0] * extent[1], frozenset(unsure))


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
