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
class Run:
    """The result of each job, the worker of each call, the number of workers from which it was chosen, and the turn of
    the tape that chose it.
    """

    results: list[Any] = field(default_factory=list)
    calls: list[tuple[int, str]] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)

    def description(self) -> str:
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
        except BaseException as error:  # raised again where the run is awaited
            self.error = error
        self.over = True
        self.back.release()

    def park(self, call: str) -> None:
        """Wait in the worker's own thread until it is resumed."""
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


def run(jobs: Sequence[Job], tape: Tape, ran: Run | None = None) -> Run:
    """Run the jobs to their ends. At each call the tape selects the next worker, counted from the one that ran last: 0
    continues with the same worker. After the end of the tape each worker runs to its end.

    Raise the first error of a job. `ran` records the run, also in that case.
    """
    ran = ran or Run()
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


def every_tape(play: Callable[[Tape], Run]) -> Iterator[Run]:
    """Run every possible schedule once, those with fewer switches first."""
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
