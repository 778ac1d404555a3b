"""Progress on a terminal: stage, step, loss and time left; plain lines where the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

import rich.console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

PLAIN_WIDTH = 160


class Console:
    """Draws the progress of a run; a context manager.

    Args:
        console: where to draw; standard output by default.
    """

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console or rich.console.Console()
        if not self._console.is_terminal:
            self._console.width = PLAIN_WIDTH
        self._progress = Progress(
            TextColumn("{task.description:<44}"), BarColumn(bar_width=24),
            TextColumn("{task.completed:>6}/{task.total}"), TextColumn("{task.fields[loss]:<13}"),
            TextColumn("{task.fields[left]:>10}"), console=self._console, transient=True,
            disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._printed = time.monotonic()

    def __enter__(self) -> Console:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, stage: str) -> None:
        """Remember when a stage began."""
        self._began[stage] = time.monotonic()

    def advance(self, stage: str, done: int, total: int) -> None:
        """Show how many records a stage has done."""
        elapsed = time.monotonic() - self._began.setdefault(stage, time.monotonic())
        self._show(stage, done, total, "", elapsed * (total - done) / max(done, 1))

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        """Show the step, the loss and the time left of a training."""
        self._show(title, step, total, f"loss {loss:.4f}", seconds_left)

    def finish(self, stage: str, *, cached: bool) -> None:
        """Replace the bars of a stage by one line."""
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._tasks.clear()
        seconds = time.monotonic() - self._began.pop(stage, time.monotonic())
        self.say(f"{stage:<52} {'done before' if cached else f'{seconds:.1f} s'}")

    def say(self, line: str) -> None:
        """Print one line above the bars."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
        """Print the results table."""
        table = Table(*headers, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def _show(self, title: str, done: int, total: int, loss: str, seconds_left: float) -> None:
        left = f"{seconds_left / 60:.0f} min left" if seconds_left >= 90 else f"{seconds_left:.0f} s left"
        if title not in self._tasks:
            self._tasks[title] = self._progress.add_task(title, total=total, loss=loss, left=left)
        self._progress.update(self._tasks[title], completed=done, total=total, loss=loss, left=left)
        if not self._console.is_terminal and time.monotonic() - self._printed > 15:
            self._printed = time.monotonic()
            self.say(f"  {title}  {done}/{total}  {loss}  {left}")
