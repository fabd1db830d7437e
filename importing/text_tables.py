"""Read the lines of a CSV file, in any dialect, strictly.

A misplaced quotation mark, an undecodable byte, a NUL or an overlong cell is the problem of its line alone. Where a
quotation mark leaves unclear which lines belong together, the file is refused.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from importing.cells import Line
from importing.encodings import Encoding, Source
from importing.problems import Problem, Unreadable, problem

DELIMITERS: Final = "\t;|,"  # the first of two that lines contain equally often: text contains commas
LONGEST_CELL: Final = 131_072
_SAMPLE: Final = 30  # lines that decide about the delimiter
_SEP: Final = re.compile(r"sep=([^\s\"]|\t)\s*", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')
_SURROGATE: Final = re.compile("[\udc80-\udcff]")

# The length of a cell is checked here: the csv module raises the same error for an unclosed quotation mark.
csv.field_size_limit(sys.maxsize)


class Dialect(NamedTuple):
    """`skipped` counts lines before the table, such as `sep=;`. `spaced`: blanks stand between cells: `"a", "b"`."""

    delimiter: str
    skipped: int = 0
    spaced: bool = False


def dialect(source: Source, encoding: Encoding) -> Dialect:
    with _opened(source, encoding) as text:
        sample = list(islice(text, _SAMPLE))
    if sample and (given := _SEP.fullmatch(sample[0])):
        return Dialect(given[1], 1)
    delimiter = _delimiter("".join(sample))
    spaced = re.compile(rf'"{re.escape(delimiter)} +"')
    # Each quoted cell becomes one mark: a cell may contain a delimiter and a blank itself.
    return Dialect(delimiter, spaced=any(spaced.search(_QUOTED.sub('"', line)) for line in sample))


def _delimiter(sample: str) -> str:
    """Return the delimiter that most lines contain equally often. Excel writes tabs into UTF-16, and semicolons in much
    of Europe, where numbers contain commas."""
    lines = [line for line in _QUOTED.sub("", sample).splitlines() if line.strip()]

    def score(delimiter: str) -> tuple[int, int]:
        counts = Counter(count for line in lines if (count := line.count(delimiter)))
        often, count = max(((often, count) for count, often in counts.items()), default=(0, 0))
        return often, count

    best = max(DELIMITERS, key=score)
    return best if best in sample else ","


def lines(source: Source, encoding: Encoding, read_as: Dialect, above: int = 0) -> Iterator[Line]:
    """Yield each line with its number. A line with a problem has its text as its only cell. `above` lines precede the
    source."""
    with _opened(source, encoding) as text:
        feed = _Feed(text, encoding, above)
        for _ in range(read_as.skipped):
            next(feed)
        spaced = read_as.spaced
        reader = csv.reader(feed, delimiter=read_as.delimiter, skipinitialspace=spaced, strict=True)
        while True:
            begins = feed.number + 1
            feed.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield _broken(feed, begins, str(error))
                continue
            yield Line(begins, cells, feed.problem or _too_long(feed, cells))  # type: ignore[arg-type]


def _broken(feed: _Feed, begins: int, reason: str) -> Line:
    code = "open_quote" if "end of data" in reason else "stray_quote"
    if feed.number > begins:
        raise Unreadable("open_quote" if code == "open_quote" else "stray_quote_in_lines", begins)
    return Line(begins, [feed.text.strip()], feed.problem or problem(code))


def _too_long(feed: _Feed, cells: list[str]) -> Problem | None:
    if feed.size > LONGEST_CELL and any(len(cell) > LONGEST_CELL for cell in cells):
        return problem("cell_too_long", most=f"{LONGEST_CELL:,}")
    return None


def count(source: Source, encoding: Encoding) -> int:
    """Return the number of physical lines."""
    with _opened(source, encoding) as text:
        return sum(1 for _ in text)


def size_of(source: Source, encoding: Encoding, count: int) -> int:
    """Return how many bytes the first `count` physical lines have."""
    with _opened(source, encoding) as text:
        return len("".join(islice(text, count)).encode(encoding.name, _errors(encoding)))


def _opened(source: Source, encoding: Encoding) -> io.TextIOWrapper:
    return io.TextIOWrapper(source(), encoding=encoding.name, errors=_errors(encoding), newline="")


def _errors(encoding: Encoding) -> str:
    return "surrogateescape" if not encoding.name.startswith("utf-16") else "replace"


class _Feed:
    """The physical lines of a text. Records number, size and problem of the line that is read."""

    def __init__(self, text: io.TextIOWrapper, encoding: Encoding, above: int) -> None:
        self._text, self._encoding = text, encoding
        self.number, self.size, self.text, self.problem = above, 0, "", None

    problem: Problem | None

    def begin(self) -> None:
        self.size, self.problem = 0, None

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        self.text = text = next(self._text)
        self.number += 1
        self.size += len(text)
        if "\0" in text:
            self.problem = problem("nul")
        if not self._encoding.clean and (_SURROGATE.search(text) or "\ufffd" in text):
            self.problem = problem("undecodable", encoding=self._encoding.name)
        return text
