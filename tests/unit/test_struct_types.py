"""Types of msgspec that threads decode for the first time. A crash ends the process, so each test starts its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECODE_IN_THREADS = """
import sys, threading, msgspec
from chalicelib.model.struct_types import prepare_structs

sys.setswitchinterval(1e-6)

def decode():
    start.wait()
    msgspec.convert({"inner": {name: 1 for name in names}}, outer)

names = [f"field_{number}" for number in range(20)]
for _ in range(100):
    inner = msgspec.defstruct("Inner", [(name, int) for name in names])
    outer = msgspec.defstruct("Outer", [("inner", inner)])
    PREPARE
    start = threading.Barrier(4)
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def exit_code(prepare: str) -> int:
    program = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))" + DECODE_IN_THREADS
    return subprocess.run([sys.executable, "-c", program.replace("PREPARE", prepare)], cwd=ROOT, check=False).returncode


def test_threads_decode_prepared_types_at_the_same_time() -> None:
    assert exit_code("prepare_structs()") == 0


def test_preparation_accepts_types_that_are_only_encoded() -> None:
    program = "import app\nfrom chalicelib import services\nfrom chalicelib.model.struct_types import prepare_structs\n"
    program += "services.import_all()\nprepare_structs()"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
