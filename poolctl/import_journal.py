"""What an import has done so far, kept beside the login, so that it goes on where it stopped, however it stopped.

One line a request, written when the service has answered. A line that was cut short counts for nothing: its request is
sent again under the same Idempotency-Key, and done once. Only one poolctl at a time may work on an import.
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

from poolctl.exits import Ended, Exit
from poolctl.session import folder

KEPT_DAYS = 30


@dataclass
class ImportJournal:
    """`chunks` by number: `ok`, the lines that `failed` with code and text, and the `import_id` to undo it by."""

    name: str
    attempt: int
    file: BufferedRandom = field(repr=False)
    chunks: dict[int, dict[str, Any]] = field(default_factory=dict)

    def key(self, chunk: int) -> str:
        """The Idempotency-Key of that request: of the file, how it is imported, and its number."""
        return sha256(f"{self.name}/{self.attempt}/{chunk}".encode()).hexdigest()[:48]

    def write(self, chunk: int, done: dict[str, Any]) -> None:
        """Raises OSError; the request is then sent again by the next run, and not done again."""
        try:
            self.file.write(json.dumps({"chunk": chunk, **done}).encode() + b"\n")
            self.file.flush()
        except OSError as error:
            error.filename = self.file.name
            raise
        self.chunks[chunk] = done

    def begin(self) -> None:
        """Nothing is done of another attempt, whose requests are others."""
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
        """Code and text by line of the file."""
        return {line: (code, text) for each in self.chunks.values() for line, code, text in each["failed"]}

    @property
    def import_ids(self) -> list[str]:
        return [each["import_id"] for _, each in sorted(self.chunks.items())]

    @classmethod
    @contextmanager
    def of(cls, identity: list[Any], *, again: bool) -> Iterator[Self]:
        """The journal of that import: what was done of it, or nothing yet; with `again`, nothing in any case.

        Raises `Ended` while another process has it, and OSError.
        """
        name = sha256(json.dumps(identity).encode()).hexdigest()[:32]
        with _locked(_place(name)) as file:
            lines = [json.loads(line) for line in file.read().split(b"\n")[:-1]]
            attempt = int(lines[0]["attempt"]) if lines else 0
            journal = cls(name, attempt, file, {each.pop("chunk"): each for each in lines[1:]})
            if again or not lines:
                journal.begin()
            else:
                # What comes after the last whole line was cut short.
                file.seek(0)
                file.seek(file.read().rfind(b"\n") + 1)
                file.truncate()
            yield journal


def _place(name: str) -> Path:
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
            raise Ended(Exit.REFUSED, "import_under_way") from None
        yield file
