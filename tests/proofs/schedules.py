"""A scheduler for concurrent requests: a tape decides which job continues at each DynamoDB call.

Each job runs in its own thread and is parked before each of its calls; exactly one continues at a time. A run is
therefore determined by its tape: it can be drawn, shrunk, printed and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Semaphore, Thread, current_thread
from typing import Any

Job = Callable[[], Any]
Tape = Sequence[int]


class Abandoned(BaseException):
    """Ends a job whose run is over for another reason."""


@dataclass
class Ran:
    """What came of a run: the result of each job, who made which call, among how many each was chosen, and by which
    turn of the tape."""

    results: list[Any] = field(default_factory=list)
    calls: list[tuple[int, str]] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)

    def told(self) -> str:
        return ", ".join(f"{worker} {call}" for worker, call in self.calls)


class _Worker(Thread):
    def __init__(self, number: int, job: Job) -> None:
        super().__init__(daemon=True)
        self.number, self.job = number, job
        self.go, self.back = Semaphore(0), Semaphore(0)
        self.abandoned = self.over = False
        self.call = ""
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        self.go.acquire()
        try:
            self.result = self.job()
        except BaseException as error:  # given to whoever waits for the run
            self.error = error
        self.over = True
        self.back.release()

    def park(self, call: str) -> None:
        """In the worker's own thread: gives the word back, until it is resumed."""
        self.call = call
        self.back.release()
        self.go.acquire()
        if self.abandoned:
            raise Abandoned

    def resume(self) -> None:
        self.go.release()
        self.back.acquire()


def park(call: str) -> None:
    """The hook before each engine call. It parks only workers; the thread that sets up or inspects continues."""
    thread = current_thread()
    if isinstance(thread, _Worker):
        thread.park(call)


def run(jobs: Sequence[Job], tape: Tape, ran: Ran | None = None) -> Ran:
    """Runs the jobs to their ends. At each call the tape says how many workers on it is whose turn it is, counted from
    the one who went last; so 0 goes on with the same, and a tape that has ended lets each go on to its end.

    Raises what the first of them raised. `ran` is told all of it, also then.
    """
    ran = ran or Ran()
    workers = [_Worker(number, job) for number, job in enumerate(jobs)]
    for worker in workers:
        worker.start()
        worker.resume()  # to its first call: nothing that others can see
    last = 0
    try:
        while parked := [worker for worker in workers[last:] + workers[:last] if not worker.over]:
            at = len(ran.widths)
            turn = tape[at] % len(parked) if at < len(tape) else 0
            chosen = parked[turn]
            ran.turns.append(turn)
            ran.widths.append(len(parked))
            ran.calls.append((chosen.number, chosen.call))
            last = chosen.number
            chosen.resume()
    finally:
        for worker in workers:
            while not worker.over:
                worker.abandoned = True
                worker.resume()
    for worker in workers:
        if worker.error is not None:
            raise worker.error
    ran.results = [worker.result for worker in workers]
    return ran


def every_tape(play: Callable[[Tape], Ran]) -> Iterator[Ran]:
    """Plays every schedule that there is, each once, the less eventful first."""
    tape: list[int] = []
    while True:
        ran = play(tape)
        yield ran
        tape = [*tape, *[0] * (len(ran.widths) - len(tape))]
        while tape and tape[-1] + 1 >= ran.widths[len(tape) - 1]:
            tape.pop()
        if not tape:
            return
        tape[-1] += 1
