"""Bounds on one record: a reader that hangs or takes all memory costs that record alone."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import IO

from cardiobind.errors import ConfigError

_LEAST_MEMORY_BYTES = 1 << 28


@dataclass(frozen=True)
class Limits:
    """What one record may cost.

    Attributes:
        seconds: time to read and prepare it.
        memory_bytes: what a worker process may take besides its libraries; not enforced where records are prepared in
            the process of the caller or by dask, whose workers have a limit of their own.

    Raises:
        ConfigError: a limit under which nothing can be read.
    """

    seconds: float = 60.0
    memory_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        if not 0 < self.seconds < 1e6:
            raise ConfigError("the time limit of a record is out of range", expected="0 to 1e6 s", got=self.seconds)
        if self.memory_bytes < _LEAST_MEMORY_BYTES:
            raise ConfigError(
                "the memory limit of a worker is too small", expected=f">= {_LEAST_MEMORY_BYTES} bytes",
                got=self.memory_bytes,
            )  # fmt: skip

    @property
    def hard_seconds(self) -> float:
        """When a worker that did not heed `seconds` is ended: code outside Python cannot be interrupted."""
        return 2 * self.seconds + 1


class TimedOut(BaseException):
    """The time of a record is up; no `except Exception` of a reader stops it."""


def limit_memory(memory_bytes: int) -> None:
    """Limit what this process may take beyond what it has; what asks for more gets a MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + memory_bytes
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):  # a system that has no such limit
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def _data_bytes() -> int:
    """Return the size of this process's data segment, which counts stacks and buffers of threads on many cores."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmData:")), 0)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimedOut` in a block that takes longer.

    Code that does not come back to the interpreter is not interrupted: see `end_process_after`.

    Args:
        seconds: time allowed.
    """
    in_main = threading.current_thread() is threading.main_thread()
    with _by_signal(seconds) if in_main else _by_thread(seconds):
        yield


@contextmanager
def end_process_after(seconds: float) -> Iterator[None]:
    """End this process, whatever it is at, if the block takes longer; only for processes that may be lost."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=_nowhere())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _by_signal(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _by_thread(seconds: float) -> Iterator[None]:
    alarm = _Alarm()
    timer = threading.Timer(seconds, alarm.ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        alarm.silence()


class _Alarm:
    """Raises `TimedOut` once in the thread that made it; none is left to hit the next record."""

    def __init__(self) -> None:
        self._target = ctypes.c_ulong(threading.get_ident())
        self._lock, self._silent, self._rang = threading.Lock(), False, False

    def ring(self) -> None:
        with self._lock:
            if not self._silent:
                self._rang = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(self._target, ctypes.py_object(TimedOut))

    def silence(self) -> None:
        """Ring no more, and let an exception that is still under way arrive here.

        It cannot be called back: an exception set to None leaves CPython 3.11 looking for it at each instruction, for
        ever, and under a trace function that is an endless loop.
        """
        with self._lock:
            self._silent = True
        if self._rang:
            with contextlib.suppress(TimedOut):
                for _ in range(100):  # each turn is a place where it arrives
                    pass


@cache
def _nowhere() -> IO[str]:
    return open(os.devnull, "w")
