"""The log of `make run` has whole lines: none is joined, cut or lost."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolctl.client import Client
from tests.support.running_clone import Clone, running_clone
from tests.support.threads import at_once
from tools.paths import PROJECT
from tools.whole_lines import WholeLines

ACCESS = re.compile(r"\d\d:\d\d:\d\d (?P<method>[A-Z]+) +(?P<route>/\S+) (?P<status>\d{3}) \d+ ms")
EVENT = re.compile(r"\d\d:\d\d:\d\d event (?P<type>\w+) (?P<detail>\{.*\})")


# Over HTTP


PEOPLE, READS, ROUNDS = 24, 20, 3
LAST_LINE_OF_THE_WELCOME = "Requests and published events:\n"


@dataclass(frozen=True)
class SentRequest:
    """A request with a response, the pattern of its route, and the event that it caused, if any."""

    method: str
    route: str
    event: str | None


@pytest.mark.slow
def test_concurrent_requests_to_make_run_log_whole_lines(tmp_path: Path) -> None:
    """`running_house` sends standard output and standard error to one file, as `make run > log 2>&1` does."""
    with running_clone(tmp_path / "customer-pool") as clone:
        token = clone.run("make -s token USER=mona").strip()
        conversations = at_once([conversation(clone, token, number) for number in range(PEOPLE)])
        expected = Counter(each.event for converse in conversations for each in converse if each.event)
        log = wait_for_events(clone.folder / "run.log", events=expected.total())

    accesses, events = Counter[tuple[str, str]](), Counter[str]()
    for line in log.partition(LAST_LINE_OF_THE_WELCOME)[2].strip("\n").split("\n"):
        if access := ACCESS.fullmatch(line):
            accesses[access["method"], access["route"]] += 1
        else:
            event = EVENT.fullmatch(line)
            assert event is not None, repr(line)
            assert json.loads(event["detail"])["type"] == event["type"]
            events[event["type"]] += 1
    assert accesses == Counter((each.method, each.route) for converse in conversations for each in converse)
    assert events == expected


def pattern(path: str) -> str:
    """Return the route that the path matches: a log line may not contain an id."""
    return re.sub(r"(?<=/customers/)[^/]+", "{customer}", path.replace("/pools/demo", "/pools/{pool}"))


def conversation(clone: Clone, token: str, number: int) -> Callable[[], list[SentRequest]]:
    """Return a job that claims, reads many paths, and releases, several times."""
    mona, own = Client(f"http://127.0.0.1:{clone.port}", token), f"/v1/pools/demo/customers/own-{number}"
    sent_requests = list[SentRequest]()

    def send(method: str, path: str, body: object = None, event: str | None = None) -> None:
        reply = mona.call(method, path, body)
        sent_requests.append(SentRequest(method, pattern(path), event if reply.status < 300 else None))

    def converse() -> list[SentRequest]:
        send("POST", "/v1/pools/demo/customers", {"id": f"own-{number}", "name": f"Own {number}"}, "created")
        for turn in range(ROUNDS):
            send("POST", f"{own}/claim", {}, "claimed")
            for read in range(READS):
                send("GET", f"/v1/pools/demo/customers/none-{number}-{turn}-{read}")
            send("POST", f"{own}/release", {}, "released")
        return sent_requests

    return converse


def wait_for_events(path: Path, *, events: int) -> str:
    """Return the log once it has that many events, which are polled twice a second."""
    for _ in range(100):
        log = path.read_text(encoding="utf-8")
        if log.count(" event ") >= events:
            return log
        time.sleep(0.1)
    raise AssertionError(f"{events} events expected: {log[-2000:]}")


# One line, one write

MANY = """
import logging, sys, threading, warnings
from tools.local.serve import log_request
from tools.whole_lines import write_whole_lines

write_whole_lines()
logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
sys.setswitchinterval(1e-6)

def talk(number):
    for turn in range(200):
        log_request("GET", f"/v1/{number}/{turn}", 200, 0.001)
        logging.getLogger("customer-pool").warning("service %d %d", number, turn)
        print("bare", number, turn)
        print("error", number, turn, file=sys.stderr)

threads = [threading.Thread(target=talk, args=(number,)) for number in range(16)]
for each in threads: each.start()
for each in threads: each.join()
"""


def test_log_lines_of_several_writers_are_never_joined(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with log.open("w") as file:
        subprocess.run([sys.executable, "-c", MANY], cwd=PROJECT, stdout=file, stderr=file, check=True, timeout=120)

    written = Counter(re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in log.read_text().splitlines())
    expected = Counter[str]()
    for number in range(16):
        for turn in range(200):
            expected[f"GET     /v1/{number}/{turn} 200 1 ms"] += 1
            expected[f"customer-pool: service {number} {turn}"] += 1
            expected[f"bare {number} {turn}"] += 1
            expected[f"error {number} {turn}"] += 1
    assert written == expected


class Writes(io.RawIOBase):
    """A file that records each write, and accepts at most `most` bytes of one."""

    def __init__(self, most: int = 1 << 20) -> None:
        self.most, self.parts = most, list[bytes]()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)[: self.most]  # type: ignore[call-overload]
        self.parts.append(part)
        return len(part)


def test_a_line_printed_in_parts_is_one_write() -> None:
    raw = Writes()
    stream = WholeLines(raw)

    print("a", "b", file=stream)
    print("first\nsecond\n", end="", file=stream, flush=True)
    stream.write("begun ")
    stream.write("and ended\nbegun")

    assert raw.parts == [b"a b\n", b"first\nsecond\n", b"begun and ended\n"]


def test_a_record_with_a_traceback_is_one_write() -> None:
    raw = Writes()
    handler = logging.StreamHandler(WholeLines(raw))
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "failed", None, (ValueError, ValueError("x"), None))

    handler.handle(record)

    assert raw.parts == [b"failed\nValueError: x\n"]


def test_a_flush_writes_an_unterminated_line() -> None:
    raw = Writes()
    stream = WholeLines(raw)

    stream.write("Token: ")
    stream.flush()

    assert raw.parts == [b"Token: "]


def test_a_partial_write_is_followed_by_the_rest_of_the_line() -> None:
    raw = Writes(most=4)
    stream = WholeLines(raw)

    stream.write("a long line\n")

    assert b"".join(raw.parts) == b"a long line\n"


def test_an_unencodable_character_does_not_lose_its_line() -> None:
    raw = Writes()

    WholeLines(raw).write("a lone \ud800\n")

    assert raw.parts == [b"a lone \\ud800\n"]


def test_a_full_nonblocking_pipe_loses_no_line() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    read = list[bytes]()

    def drain() -> None:
        while piece := os.read(reader, 1 << 12):
            read.append(piece)
            time.sleep(0.0005)

    def fill() -> None:
        with os.fdopen(writer, "wb", buffering=0) as raw:
            stream = WholeLines(raw)
            for number in range(3000):
                print(number, "x" * 60, file=stream)

    at_once([drain, fill])

    assert b"".join(read).decode().splitlines() == [f"{number} {'x' * 60}" for number in range(3000)]
