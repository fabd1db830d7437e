"""The journal of an import, stored in the settings folder, so that an interrupted import can continue.

Each response appends one line. An incomplete or malformed line is ignored: its request is sent again with the same
Idempotency-Key and is executed once. Without a readable first line the import begins again. A lock admits one process
per import.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import BufferedRandom
from pathlib import Path
from typing import Any, Self

from poolctl.exits import CommandFailed, Exit
from poolctl.session import folder

KEPT_DAYS = 30


@dataclass
class ImportJournal:
    """`chunks` by number: the count `ok`, the `failed` lines with code and text, and the `import_id` for undo."""

    name: str
    attempt: int
    file: BufferedRandom = field(repr=False)
    chunks: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def import_id(self) -> str:
        """The id of the import that all requests of this attempt are a part of."""
        return f"file-{self.name}-{self.attempt}"

    def key(self, chunk: int) -> str:
        """Return the Idempotency-Key of a request, derived from the file, the import options and the chunk number."""
        return sha256(f"{self.name}/{self.attempt}/{chunk}".encode()).hexdigest()[:48]

    def write(self, chunk: int, done: dict[str, Any]) -> None:
        """Append the result of a request. Raises OSError; the next run then repeats the request without effect."""
        try:
            self.file.write(json.dumps({"chunk": chunk, **done}).encode() + b"\n")
            self.file.flush()
        except OSError as error:
            error.filename = self.file.name
            raise
        self.chunks[chunk] = done

    def begin(self) -> None:
        """Start a new attempt without results; its requests have other Idempotency-Keys."""
        self.attempt, self.chunks = self.attempt + 1, {}
        self.file.seek(0)
        self.file.truncate()
        self.file.write(json.dumps({"attempt": self.attempt}).encode() + b"\n")
        self.file.flush()

    @property
    def ok(self) -> int:
        return sum(each["ok"] for each in self.chunks.values())

    @property
    def rows(self) -> int:
        return sum(each["ok"] + len(each["failed"]) for each in self.chunks.values())

    @property
    def failed(self) -> dict[int, tuple[str, str]]:
        """Return code and text by line of the file."""
        return {line: (code, text) for each in self.chunks.values() for line, code, text in each["failed"]}

    @property
    def import_ids(self) -> list[str]:
        return list(dict.fromkeys(each["import_id"] for _, each in sorted(self.chunks.items())))

    @classmethod
    @contextmanager
    def of(cls, identity: list[Any], *, again: bool) -> Iterator[Self]:
        """Yield the journal of an import, with its results so far; with `again`, as a new attempt.

        Raises `CommandFailed` while another process holds it, and OSError.
        """
        name = sha256(json.dumps(identity).encode()).hexdigest()[:32]
        with _locked(_path(name)) as file:
            first, *others = [_parsed(line) for line in file.read().split(b"\n")[:-1]] or [{}]
            attempt = first["attempt"] if isinstance(first.get("attempt"), int) else 0
            journal = cls(name, attempt, file, {each.pop("chunk"): each for each in others if _is_result(each)})
            if again or not attempt:
                journal.begin()
            else:
                # Drop an incomplete last line.
                file.seek(0)
                file.seek(file.read().rfind(b"\n") + 1)
                file.truncate()
            yield journal


def _parsed(line: bytes) -> dict[str, Any]:
    """Return the object in a line; an empty one for a malformed line."""
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _is_result(parsed: dict[str, Any]) -> bool:
    """Return whether the object holds the result of a request, as `write` stores it."""
    failed = parsed.get("failed")
    return (
        isinstance(parsed.get("chunk"), int)
        and isinstance(parsed.get("ok"), int)
        and isinstance(parsed.get("import_id"), str)
        and isinstance(failed, list)
        and all(_is_failure(each) for each in failed)
    )


def _is_failure(failed: Any) -> bool:
    """Return whether this is the number of a line, with a code and a text."""
    return isinstance(failed, list) and list(map(type, failed)) == [int, str, str]


def _path(name: str) -> Path:
    kept = folder() / "imports"
    kept.mkdir(mode=0o700, exist_ok=True)
    for old in kept.glob("*.jsonl"):
        if old.stat().st_mtime < time.time() - KEPT_DAYS * 86_400:
            old.unlink(missing_ok=True)
    return kept / f"{name}.jsonl"


@contextmanager
def _locked(path: Path) -> Iterator[BufferedRandom]:
    path.touch(mode=0o600)
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandFailed(Exit.REFUSED, "import_under_way") from None
        yield file
