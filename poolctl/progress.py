"""A progress bar on standard error with rate and time left, shown only on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from poolctl import output
from poolctl.messages import message


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else message("rows_a_second", rate=f"{speed:,.0f}"))


@contextmanager
def progress(rows: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances the bar. `rows` is None if the total is unknown."""
    console = output.console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=rows)
        yield lambda count: bar.advance(task, count)
