"""Read the pages of the repository: their tables, links, headings and code blocks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE_HERE = re.compile(r"\.venv|\.uv$|\.local$|\.dynamodb-local$|\.hypothesis$|\.pytest_cache$|build$|mutants$")


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and its first line number."""

    language: str
    text: str
    line: int


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pages() -> list[str]:
    """Every page, by its path from the root."""
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(str(path) for path in paths if not any(map(MADE_HERE.match, path.parts)))


def blocks(name: str) -> list[Block]:
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    inside: list[str] = []
    for number, line in enumerate(text_of(name).splitlines(), 1):
        if not line.startswith("```"):
            inside.append(line)
        elif opened is None:
            opened, inside = (line[3:].strip(), number), []
        else:
            found.append(Block(opened[0], "\n".join(inside), opened[1]))
            opened = None
    assert opened is None, f"{name}: a block of code has no end"
    return found


def prose(name: str) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)


def headings(name: str) -> list[tuple[int, str]]:
    """Depth and words of each."""
    return [(len(marks), words.strip()) for marks, words in re.findall(r"^(#+) (.+)$", prose(name), re.MULTILINE)]


def anchors(name: str) -> set[str]:
    """Return the anchors of a page, derived from its headings as GitHub does."""
    seen: dict[str, int] = {}
    made = set()
    for _, words in headings(name):
        anchor = slug(words)
        again = seen.get(anchor, 0)
        seen[anchor] = again + 1
        made.add(f"{anchor}-{again}" if again else anchor)
    return made


def section(name: str, anchor: str) -> str:
    """Return the text of a section, with those below it."""
    lines, found, depth = text_of(name).splitlines(), list[str](), 0
    for line in lines:
        marks, _, words = line.partition(" ")
        if marks and set(marks) == {"#"}:
            if depth and len(marks) <= depth:
                break
            depth = depth or (len(marks) if slug(words) == anchor else 0)
        found += [line] if depth else []
    return "\n".join(found)


def slug(words: str) -> str:
    """Return the anchor of a heading: lower-case letters, digits, - and _, with dashes for spaces."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).replace("`", "").lower()
    kept = (each for each in plain if each in " -_" or unicodedata.category(each)[0] in "LNM")
    return "".join(kept).replace(" ", "-")


def links(name: str) -> list[str]:
    """Return the targets of its links and pictures."""
    found = re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", prose(name))
    return [target for pair in found for target in pair if target and not target.startswith("mailto:")]


def tables(name: str) -> list[list[list[str]]]:
    """Each table as rows of cells, without its head."""
    found: list[list[list[str]]] = []
    rows: list[list[str]] = []
    for line in [*prose(name).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])])
        elif rows:
            found.append(rows[2:])
            rows = []
    return found


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)
