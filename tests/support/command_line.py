"""poolctl as people run it, against the service over real HTTP: in this process, or as a program of its own."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from poolctl.cli import main
from poolctl.local_keys import LocalKeys
from tests.support.world import World
from tools.local.fixed_clock_service import front
from tools.local.gateway import LocalApi, RequestLog
from tools.paths import PROJECT


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a run."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def ids(self) -> list[str]:
        """The id of each item or result."""
        return [each["id"] for each in self.json["items" if "items" in self.json else "results"]]

    @property
    def error_line(self) -> str:
        """The one line that a failed run may write: a second one could be a traceback."""
        (line,) = self.err.splitlines()
        return line


@dataclass
class Terminal:
    """A terminal of a user with an empty home folder."""

    url: str
    keys: LocalKeys
    home: Path
    monkeypatch: pytest.MonkeyPatch

    def environment(self, user: str | None, **more: str) -> dict[str, str]:
        settings = {"XDG_CONFIG_HOME": str(self.home / "config"), "HOME": str(self.home), "LANG": "en_GB.UTF-8", **more}
        settings["POOLCTL_URL"] = self.url
        return settings if user is None else settings | {"POOLCTL_TOKEN": self.token(user)}

    def token(self, user: str) -> str:
        return self.keys.token(user, ["admin"] if user == "root" else None)

    def run(self, *arguments: object, user: str | None = "mona", stdin: str = "", **more: str) -> CommandResult:
        """Run poolctl in this process."""
        out, err = io.StringIO(), io.StringIO()
        with self.monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("POOLCTL_", "LC_"))]:
                patch.delenv(name)
            for name, value in self.environment(user, **more).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with redirect_stdout(out), redirect_stderr(err):
                status = main([str(each) for each in arguments])
        return CommandResult(status, out.getvalue(), err.getvalue())

    def run_on_a_full_disk(self, *arguments: object) -> CommandResult:
        """Run poolctl where no file can grow beyond a kilobyte."""
        return result_of(self.start(*arguments, through=("bash", "-c", 'ulimit -f 1; exec "$@"', "-")))

    def start(
        self, *arguments: object, user: str | None = "mona", through: Sequence[str] = (), **more: str
    ) -> subprocess.Popen[str]:
        """Start poolctl as a program, `through` another one if given."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: programs would inherit it
            signal.signal(signal.SIGINT, signal.default_int_handler)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("POOLCTL_", "LC_"))}
        return subprocess.Popen(
            [*through, sys.executable, "-m", "poolctl", *(str(each) for each in arguments)],
            cwd=PROJECT, env=kept | self.environment(user, **more), text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def on_a_terminal(self, *arguments: str, user: str | None = "mona", typed: str = "", columns: int = 120) -> str:
        """Return all output of poolctl on a terminal. `typed` is sent after the first output."""
        ours, theirs = pty.openpty()
        program = subprocess.Popen(
            [sys.executable, "-m", "poolctl", *arguments], cwd=PROJECT, stdin=theirs, stdout=theirs,
            stderr=theirs, env=self.environment(user, TERM="xterm", COLUMNS=str(columns)), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - nothing but this call
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        with os.fdopen(ours, "r+b", buffering=0) as terminal, suppress(OSError):  # the other end is closed at last
            while piece := terminal.read(1 << 16):
                seen += piece
                if typed:
                    terminal.write(typed.encode())
                    typed = ""
        assert program.wait(60) in (0, 1), seen
        return seen.decode()


def result_of(program: subprocess.Popen[str]) -> CommandResult:
    out, err = program.communicate(timeout=60)
    return CommandResult(program.returncode, out, err)


@contextmanager
def terminal_for(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, log: RequestLog | None = None
) -> Iterator[Terminal]:
    """Serve the world over HTTP. Return a terminal whose poolctl uses that service."""
    keys = LocalKeys(folder / "keys").ensure()
    with LocalApi(front(world.service, keys), log=log) as api:
        yield Terminal(api.url, keys, folder, monkeypatch)


# Files to import, and the imported customers


def save(terminal: Terminal, text: str, name: str = "customers.csv", encoding: str = "utf-8") -> Path:
    path = terminal.home / name
    path.write_bytes(text.encode(encoding))
    return path


def customers_by_name(world: World) -> dict[str, Any]:
    """Every customer of the pool, by name."""
    listed = world.mona.in_full("/customers")
    by_name = {each["name"]: each for each in listed}
    assert len(by_name) == len(listed), "one was imported twice"
    return by_name


def csv_of(count: int) -> str:
    return "name,phone\n" + "".join(f"Customer {n},1380000{n:04d}\n" for n in range(count))
