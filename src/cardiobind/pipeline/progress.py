"""How a stage tells a person where it is."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Receives the progress of stages; the command line draws it, tests ignore it."""

    def start(self, stage: str) -> None:
        """A stage begins."""

    def advance(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` records of a stage are finished."""

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        """Training has made `step` of `total` steps."""

    def finish(self, stage: str, *, cached: bool) -> None:
        """A stage is done, or was found done."""

    def say(self, line: str) -> None:
        """Show one line."""


class Quiet:
    """A reporter that shows nothing."""

    def start(self, stage: str) -> None: ...

    def advance(self, stage: str, done: int, total: int) -> None: ...

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None: ...

    def finish(self, stage: str, *, cached: bool) -> None: ...

    def say(self, line: str) -> None: ...
