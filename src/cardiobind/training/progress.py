"""A progress display in the terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn


class RichProgress:
    """Shows one line a title: bar, steps, loss and time left; use it as a context manager.

    Args:
        console: where to write; standard error by default, so that standard output stays for results.
    """

    def __init__(self, console: Console | None = None) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"), TextColumn("{task.fields[left]}"),
        )  # fmt: skip
        self._display = Progress(*columns, console=console or Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> RichProgress:
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        """Show the state after `step` of `total` optimiser steps, see `Progress`."""
        if title not in self._tasks:
            self._tasks[title] = self._display.add_task(title, total=total, loss=loss, left="")
        left = f"{seconds_left / 60:.0f} min left" if seconds_left >= 90 else f"{seconds_left:.0f} s left"
        self._display.update(self._tasks[title], completed=step, total=total, loss=loss, left=left)
