"""A bar on standard error for who watches, with rate and time left; nothing where no terminal is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from poolctl import output
from poolctl.words import say


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else say("rows_a_second", rate=f"{speed:,.0f}"))


@contextmanager
def progress(rows: int | None) -> Iterator[Callable[[int], None]]:
    """What is called inside moves it on; `rows` is None where nobody knows how many there will be."""
    shown = output.console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=rows)
        yield lambda count: bar.advance(task, count)
