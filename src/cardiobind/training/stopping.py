"""Ctrl-C and SIGTERM: what is being computed is finished and saved, then the process ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AT_ONCE_AFTER_S = 1.0  # a launcher may pass on the Ctrl-C that the terminal has sent already


class Stopped(BaseException):
    """Training was asked to stop, has saved a checkpoint and stops."""


class StopRequest:
    """Whether somebody wants training to stop; a second Ctrl-C, a second later, does not wait.

    Attributes:
        signal: the signal that asked, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked_s = 0.0

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        now = time.monotonic()
        if number == signal.SIGINT and self.signal is not None and now - self._asked_s > _AT_ONCE_AFTER_S:
            raise KeyboardInterrupt
        if self.signal is None:
            self.signal, self._asked_s = number, now

    def install(self) -> None:
        """Listen to both signals; threads other than the main one cannot."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.ask)

    def end(self) -> BaseException:
        """Return what ends the process: KeyboardInterrupt, or SIGTERM's exit, also where another process was asked."""
        return KeyboardInterrupt() if self.signal == signal.SIGINT else SystemExit(128 + signal.SIGTERM)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Listen to Ctrl-C and SIGTERM for the length of a block, then put the handlers back that were there."""
    request = StopRequest()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    request.install()
    try:
        yield request
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
